/*
 * Opens a file for writing that may be a FIFO.
 *
 * Opening a FIFO without a reader would block forever. Because the reader may
 * start slightly later than this program, it gets ten seconds; then the open
 * fails.
 */
#ifndef WEIR_LOAD_FIFO_H
#define WEIR_LOAD_FIFO_H

#include <stdio.h>

/* Creates or truncates the file. Returns NULL with errno, for
 * fifo_error_text(): ETIMEDOUT for a FIFO without a reader. */
FILE *fifo_open(const char *path);

const char *fifo_error_text(int err);

#endif
