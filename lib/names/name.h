/*
 * Host names as text: valid names, names of this machine, and the names under
 * which a short name is looked up.
 *
 * Pure.
 */
#ifndef WEIR_LIB_NAMES_NAME_H
#define WEIR_LIB_NAMES_NAME_H

#include "weir/base.h"

/* A name of 253 bytes, its last dot and the NUL. */
#define WR_NAME_SIZE 255u

#define WR_SEARCH_MAX 8u

/* The search list of short names. */
struct wr_search_list {
    char domains[WR_SEARCH_MAX][WR_NAME_SIZE];
    size_t count;
    uint32_t ndots; /* names with this many dots are tried unchanged first */
};

/* True for a valid host name, with or without a dot at the end. */
bool wr_name_is_valid(const char *name);

/* True for "localhost" and the names below it (RFC 6761, section 6.3). */
bool wr_name_is_localhost(const char *name);

/* True for a name with a dot at the end, for which no domain is searched. */
bool wr_name_is_absolute(const char *name);

/* True if two texts are the same name, ignoring case and last dots. */
bool wr_name_is_equal(const char *a, const char *b);

/* Copies a valid name without the dot at its end. */
void wr_name_write(const char *name, char ret[WR_NAME_SIZE]);

/* Replaces the domains of @search by those of @list, which are separated by
 * commas or blanks. Invalid domains and those beyond WR_SEARCH_MAX are
 * skipped. */
void wr_name_read_search(const char *list, struct wr_search_list *search);

/* Writes the name for step *@index (from 0) of looking up a valid @name, with a
 * dot at the end. False: no such step. Steps with an invalid or too long name
 * are skipped, and *@index is advanced. */
bool wr_name_candidate(const char *name, const struct wr_search_list *search,
                       size_t *index, char ret[WR_NAME_SIZE]);

#endif
