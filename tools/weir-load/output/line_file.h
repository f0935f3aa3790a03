/*
 * A file that gets lines while the run is on, and has them at once: others read
 * along (--csv).
 *
 * It may be a pipe whose reader is slow, or reads no more. The run does not
 * wait for it: lines that a full pipe has no room for are kept, a megabyte of
 * them, and sent when there is room; more are left out, and counted. At the end
 * the reader has a moment for what is left.
 */
#ifndef WEIR_LOAD_LINE_FILE_H
#define WEIR_LOAD_LINE_FILE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct line_file {
    const char *flag; /* that asked for it; borrowed, as the path is */
    const char *path;
    FILE *file;      /* NULL: it was not asked for */
    bool is_patient; /* it is never full for a while */
    FILE *lines;     /* those between begin and end, and their bytes */
    char *text;
    size_t size;
    char *waiting; /* bytes that the pipe has no room for, and how many are */
    size_t first;  /* sent of them */
    size_t end;
    uint64_t missing; /* lines */
    int err;          /* the first error of a write, as errno; or 0 */
};

/* The descriptor of an open file; name is as messages call it. */
void line_file_start(struct line_file *self, const char *flag, const char *name,
                     FILE *file);

/* Where the next lines are printed; NULL without memory: they are missing. */
FILE *line_file_begin(struct line_file *self);

/* Those lines are whole. */
void line_file_end(struct line_file *self);

/* False after a line about what could not be written. */
bool line_file_close(struct line_file *self);

#endif
