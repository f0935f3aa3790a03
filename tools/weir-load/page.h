/*
 * Results as one page of HTML: a table of all runs, plots, errors, and where
 * each run was made. It opens without a network and without scripts.
 *
 * It is written from values alone.
 */
#ifndef WEIR_LOAD_PAGE_H
#define WEIR_LOAD_PAGE_H

#include "saved.h"

#include <stdio.h>

/* 0, -ENOMEM, or the error of writing. */
int page_write(const struct saved *runs, size_t count, const char *title,
               FILE *out);

#endif
