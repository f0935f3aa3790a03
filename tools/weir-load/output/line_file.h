/*
 * A file that gets complete lines during the run, for readers that follow it
 * (--csv).
 *
 * It may be a pipe with a slow or stopped reader. The run does not wait for the
 * reader: up to a megabyte of lines is kept while a pipe is full, and sent
 * later; further lines are dropped and counted. At the end the reader gets a
 * moment to read the rest.
 */
#ifndef WEIR_LOAD_LINE_FILE_H
#define WEIR_LOAD_LINE_FILE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct line_file {
    const char *flag; /* option that requested it; borrowed like the path */
    const char *path;
    FILE *file;      /* NULL if not requested */
    bool is_patient; /* true if all writes are accepted at once */
    FILE *lines;     /* memory stream for lines, set between begin and end */
    char *text;
    size_t size;
    char *waiting; /* bytes that did not fit into the pipe */
    size_t first;  /* @waiting has unsent bytes from first to end - 1 */
    size_t end;
    uint64_t missing; /* dropped lines */
    int err;          /* errno of the first failed write, or 0 */
};

/* Initialises with an open file; @name is for messages. */
void line_file_start(struct line_file *self, const char *flag, const char *name,
                     FILE *file);

/* Returns a stream to print the next lines to. Returns NULL if out of memory;
 * the lines then count as missing. */
FILE *line_file_begin(struct line_file *self);

/* Writes the lines printed since line_file_begin(). */
void line_file_end(struct line_file *self);

/* Closes the file. Returns false, after printing an error, if something was not
 * written. */
bool line_file_close(struct line_file *self);

#endif
