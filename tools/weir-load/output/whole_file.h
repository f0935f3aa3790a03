/*
 * A file that others read while it is written: it is there as a whole, or as it
 * was before.
 *
 * What is written stands in a file of its own beside it, which takes the name
 * at the end; where another file is mounted on the name, it is written in place
 * at the end. A device, a pipe or a FIFO is written as it is, and so is
 * standard output, whose name is "-".
 */
#ifndef WEIR_LOAD_WHOLE_FILE_H
#define WEIR_LOAD_WHOLE_FILE_H

#include <stdbool.h>
#include <stdio.h>

struct whole_file {
    const char *flag; /* that asked for it; borrowed */
    char *path;
    FILE *file;      /* NULL: it was not asked for */
    char *target;    /* that the path leads to, and the file beside it; */
    char *temporary; /* NULL: it is written as it is */
};

/* Path NULL: nothing is asked for. False after a line on standard error. */
bool whole_file_open(struct whole_file *self, const char *flag,
                     const char *path);

/* Ends what was opened: the file has what was written. False after a line; then
 * it is as it was before, or the line says where what was written is. */
bool whole_file_keep(struct whole_file *self);

/* Ends what was opened and is not kept: the file is as it was before. */
void whole_file_drop(struct whole_file *self);

/* Could it be opened? 0 or a negative error; nothing is made or emptied. */
int whole_file_check(const char *path);

/* "-" */
bool whole_file_is_stdout(const char *path);

#endif
