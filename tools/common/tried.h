/*
 * The addresses that an operation has tried in vain, in words.
 *
 * The library writes such a line of a connect by itself, but not of the other
 * operations that try addresses, nor of one that has succeeded in the end.
 */
#ifndef WEIR_TOOLS_TRIED_H
#define WEIR_TOOLS_TRIED_H

#include "weir/pending.h"

#include <stddef.h>

/* Enough for the attempts that anyone reads. */
#define TRIED_SIZE 1536

/* Writes "192.0.2.1:80: Connection refused (from 198.51.100.7:40312); ..." of
 * the attempts that have failed, inside done; cut at @size bytes, which are at
 * least 1. Returns the length; 0: none has failed. */
size_t tried_write(const weir_pending *pending, char *buf, size_t size);

#endif
