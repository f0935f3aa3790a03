/*
 * What a tool says, and how it ends.
 *
 * Results go to standard output; everything else is one line on standard error
 * that begins with the program's name.
 */
#ifndef WEIR_COMMON_CONSOLE_H
#define WEIR_COMMON_CONSOLE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* The name of the program, which its main.c defines. */
extern const char console_name[];

/* The exit code when what was printed could not be written. */
#define CONSOLE_FAILED 1

/* A text that may come from others, in place: control characters, which a
 * terminal would obey, are question marks. */
void console_clean(char *text);

/* One line on standard error, the name and ": " before it, and cleaned. */
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* What this thread says goes into @line from now on, a line in place of the one
 * before; with NULL to standard error again. */
void console_divert(char *line, size_t size);

/* The columns of a terminal, 80 if it does not say; 0: it is none. */
unsigned console_width(int fd);

/* Lines of a text on standard error, which need not be one piece. */
void console_write(const char *text, size_t len);

/* How many of its bytes are the next piece: whole lines, which a pipe takes
 * undivided, or a part of a line that is longer than it does. */
size_t console_piece_of(const char *text, size_t len);

/* Writes a piece, as write(2), where @fd is ready for one within so many
 * milliseconds; else -1 and EAGAIN. A pipe that is ready takes a piece at once.
 */
ssize_t console_write_ready(int fd, const char *text, size_t len,
                            int patience_ms);

/* Whether what is said waits for as long as it takes to write it: it does,
 * until this is told. A program that serves must not stand still for a pipe
 * that nobody reads, or for a terminal that was stopped; lines that do not fit
 * are counted, and the count is said as soon as there is room. */
void console_set_patient(bool is_patient);

/* Ends the program after one line where @err is negative: something that cannot
 * fail unless memory or a thread has gone, and without which the program would
 * not end. */
void console_check(int err, const char *what);

/* Before all else: where standard input, output or error is missing, its number
 * would be given to a descriptor of the program's own, which is written to.
 * What takes the place can be neither read nor written as the missing one would
 * be. A write to a file that has grown to RLIMIT_FSIZE fails, and ends nothing.
 */
void console_begin(void);

/* What was printed is written out: @code, or CONSOLE_FAILED where a success (0)
 * could not be told. */
int console_end(int code);

#endif
