/*
 * What weir-load says and how it ends.
 *
 * Results go to standard output; everything else is one line on standard
 * error that begins with the program's name. The exit codes are part of the
 * interface: scripts tell from them what happened without reading a report.
 */
#ifndef WEIR_LOAD_CONSOLE_H
#define WEIR_LOAD_CONSOLE_H

/* Exit codes, as weir-load(1) documents them. */
enum load_exit {
    LOAD_OK = 0,            /* the run was valid */
    LOAD_INTERNAL = 1,      /* weir-load itself failed */
    LOAD_USAGE = 2,         /* bad flags, or a limit of this machine */
    LOAD_NOTHING = 3,       /* not one request succeeded */
    LOAD_ERRORS = 4,        /* more errors than --max-errors allows */
    LOAD_INVALID = 5,       /* the run does not show what it should */
    LOAD_INTERRUPTED = 130, /* by a signal; what there was is printed */
};

/* One line on standard error, "weir-load: " before it. */
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Before all else: where standard input, output or error is missing, its number
 * would be given to a descriptor of the program's own, which is written to.
 * What takes the place can be neither read nor written as the missing one would
 * be.
 */
void console_begin(void);

/* What was printed is written out: @code, or LOAD_INTERNAL where a success
 * could not be told. */
int console_end(int code);

#endif
