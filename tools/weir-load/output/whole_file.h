/*
 * A file that others may read at any time: it always has the complete new
 * contents or the old ones.
 *
 * Data is written to a temporary file next to it, which is renamed at the end;
 * if another file is mounted on the name, it is overwritten at the end. A
 * device, pipe or FIFO is written directly, and so is standard output, named
 * "-".
 */
#ifndef WEIR_LOAD_WHOLE_FILE_H
#define WEIR_LOAD_WHOLE_FILE_H

#include <stdbool.h>
#include <stdio.h>

struct whole_file {
    const char *flag; /* option that requested it; borrowed */
    char *path;
    FILE *file;      /* NULL if not requested */
    char *target;    /* the path with resolved links, and the temporary file; */
    char *temporary; /* NULL if the file is written directly */
};

/* Opens a file, or does nothing if @path is NULL. Returns false after printing
 * an error. */
bool whole_file_open(struct whole_file *self, const char *flag,
                     const char *path);

/* Closes the file and replaces the target. Returns false after printing an
 * error; the target is then unchanged, or the error names the file that has the
 * data. */
bool whole_file_keep(struct whole_file *self);

/* Discards the data; the target is unchanged. */
void whole_file_drop(struct whole_file *self);

/* Checks whether the file could be opened. Returns 0 or an error. */
int whole_file_check(const char *path);

bool whole_file_is_stdout(const char *path);

#endif
