/*
 * The addresses that an operation tried without success, as text.
 *
 * The library writes such a text only for a connect that fails, but not for a
 * connect that finally succeeds, or for other operations that try addresses.
 */
#ifndef WEIR_TOOLS_TRIED_H
#define WEIR_TOOLS_TRIED_H

#include "weir/pending.h"

#include <stddef.h>

/* Buffer size: as many attempts as people read. */
#define TRIED_SIZE 1536

/* Writes "192.0.2.1:80: Connection refused (from 198.51.100.7:40312); ..." for
 * the failed attempts. Must be called inside the done callback. The text with
 * its NUL is cut at @size bytes, which must be at least 1. Returns its length,
 * or 0 if no attempt failed. */
size_t tried_write(const weir_pending *pending, char *buf, size_t size);

#endif
