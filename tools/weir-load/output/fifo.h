/*
 * Opening a file that is written in place, and may be a FIFO.
 *
 * A FIFO that nobody reads would hold its writer for ever. One that is started
 * beside this program may read it a little later, so a reader is waited for,
 * ten seconds; without one it is an error.
 */
#ifndef WEIR_LOAD_FIFO_H
#define WEIR_LOAD_FIFO_H

#include <stdio.h>

/* It is made, or emptied; NULL with errno, which fifo_error_text() explains:
 * ETIMEDOUT of a FIFO without a reader. */
FILE *fifo_open(const char *path);

/* The text of an errno of fifo_open(). */
const char *fifo_error_text(int err);

#endif
