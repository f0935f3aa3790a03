/*
 * What a tool says, and how it ends.
 *
 * Results go to standard output; everything else is one line on standard error
 * that begins with the program's name.
 */
#ifndef WEIR_COMMON_CONSOLE_H
#define WEIR_COMMON_CONSOLE_H

/* The name of the program, which its main.c defines. */
extern const char console_name[];

/* The exit code when what was printed could not be written. */
#define CONSOLE_FAILED 1

/* One line on standard error, the name and ": " before it. */
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Before all else: where standard input, output or error is missing, its number
 * would be given to a descriptor of the program's own, which is written to.
 * What takes the place can be neither read nor written as the missing one would
 * be.
 */
void console_begin(void);

/* What was printed is written out: @code, or CONSOLE_FAILED where a success (0)
 * could not be told. */
int console_end(int code);

#endif
