/*
 * Messages and exit of a tool.
 *
 * Results go to standard output. Everything else is a line on standard error
 * that begins with the program's name.
 */
#ifndef WEIR_COMMON_CONSOLE_H
#define WEIR_COMMON_CONSOLE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* Defined by the program's main.c. */
extern const char console_name[];

/* Exit code if output could not be written. */
#define CONSOLE_FAILED 1

/* Replaces control characters, which a terminal would execute, by question
 * marks. For texts that a peer or another user may have written. */
void console_clean(char *text);

/* Prints the program's name, ": " and a line to standard error, without control
 * characters. Returns false, so that a caller can return the result. */
bool say(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Makes say() in this thread write to @line; each line replaces the previous
 * one. NULL restores standard error. */
void console_divert(char *line, size_t size);

/* Returns the columns, 80 if unknown, or 0 if @fd is not a terminal. */
unsigned console_width(int fd);

/* Writes lines to standard error, not mixed with lines of other threads. */
void console_write(const char *text, size_t len);

/* Returns the length of the next piece: whole lines that a pipe accepts
 * atomically, or the start of a longer line. */
size_t console_piece_of(const char *text, size_t len);

/* Writes a piece (console_piece_of()) like write(2) if @fd becomes ready within
 * @patience_ms. Otherwise returns -1 with EAGAIN. A ready pipe accepts a piece
 * without blocking. */
ssize_t console_write_ready(int fd, const char *text, size_t len,
                            int patience_ms);

/* Sets whether output may block, which is the default. A server must not block
 * on a pipe without a reader or on a stopped terminal. It drops and counts
 * lines that cannot be written in time, and prints the count when it can. */
void console_set_patient(bool is_patient);

/* Prints a message and ends the program if @err is negative. For calls that
 * fail only if memory runs out or a thread is lost, and whose failure would
 * keep the program from ending. */
void console_check(int err, const char *what);

/* Must be called first. Opens missing standard descriptors, so that no other
 * file gets their numbers and is written to. They are opened in the wrong
 * direction, so that using them fails. Also makes writes beyond RLIMIT_FSIZE
 * fail instead of ending the program. */
void console_begin(void);

/* Returns a duplicate whose number is above the standard descriptors, or a
 * negative errno. */
int console_dup(int fd);

/* Flushes standard output. Returns @code, or CONSOLE_FAILED if @code is 0 and
 * the output could not be written. */
int console_end(int code);

#endif
