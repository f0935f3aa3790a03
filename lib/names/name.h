/*
 * Host names as text: which are valid, which stand for this machine, and under
 * which names a short one is looked up.
 *
 * Pure: nothing is asked here.
 */
#ifndef WEIR_LIB_NAMES_NAME_H
#define WEIR_LIB_NAMES_NAME_H

#include "weir/base.h"

/* A name of 253 bytes, its last dot and the NUL. */
#define WR_NAME_SIZE 255u

#define WR_SEARCH_MAX 8u

/* Where a short name is looked for. */
struct wr_search_list {
    char domains[WR_SEARCH_MAX][WR_NAME_SIZE];
    size_t count;
    uint32_t ndots; /* a name with as many dots is tried as it is first */
};

/* True for text that can be a host name, with or without a dot at its end. */
bool wr_name_is_valid(const char *name);

/* True for "localhost" and the names below it (RFC 6761, section 6.3). */
bool wr_name_is_localhost(const char *name);

/* True for a name with a dot at its end, which is searched nowhere else. */
bool wr_name_is_absolute(const char *name);

/* True for two texts of one name, whatever their case and last dots. */
bool wr_name_is_equal(const char *a, const char *b);

/* Copies a valid name without the dot at its end. */
void wr_name_write(const char *name, char ret[WR_NAME_SIZE]);

/* Reads a list of domains, with commas or blanks between them, in place of the
 * one in @search. What is no domain is left out, and so is what is too much. */
void wr_name_read_search(const char *list, struct wr_search_list *search);

/* Writes the name under which a valid @name is looked up in step @index,
 * counted from 0, with a dot at its end. False when there is no such step; a
 * step whose name would be too long is left out, and its index with it. */
bool wr_name_candidate(const char *name, const struct wr_search_list *search,
                       size_t *index, char ret[WR_NAME_SIZE]);

#endif
