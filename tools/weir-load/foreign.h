/*
 * Flags of other load tools that fingers know (wrk, hey, oha, h2load, vegeta,
 * bombardier, ab, curl), and what stands for them here.
 *
 * They are refused, with what to write: the same letter means another thing in
 * each of those tools.
 */
#ifndef WEIR_LOAD_FOREIGN_H
#define WEIR_LOAD_FOREIGN_H

#include <stdbool.h>
#include <stddef.h>

/* Such a flag without its dashes, and the advice; NULL: it is not known. */
const char *foreign_find(const char *name, size_t len);

/* The long ones, by number from 0; NULL behind the last. */
const char *foreign_long_name(size_t index);

#endif
