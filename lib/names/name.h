/*
 * Host names as text.
 *
 * Valid names, localhost, and the names under which a short name is looked up.
 * The functions are pure, except for the memory that they allocate.
 */
#ifndef WEIR_LIB_NAMES_NAME_H
#define WEIR_LIB_NAMES_NAME_H

#include "uring/alloc.h"

/* A name of 253 bytes, its last dot and the NUL. */
#define WR_NAME_SIZE 255u

/* The search list of short names, in the order of the search. */
struct wr_search_list {
    char *domains; /* each terminated with a NUL; "" is the root */
    size_t size;
    size_t count;
    uint32_t ndots;    /* names with at least this many dots are tried unchanged
                        * first */
    bool no_tld_query; /* a name without a dot is not tried unchanged last */
};

/* Position in the search for one name; all 0 at the start. */
struct wr_search_walk {
    size_t index; /* index of the next domain */
    bool has_begun;
    bool was_first; /* the unchanged name was tried before any domain */
    bool was_as_is; /* the name was tried unchanged */
    bool was_below; /* the name was tried in a domain */
    bool is_cut;    /* no more domains are tried */
    bool has_ended;
};

/* True for a valid host name; it may have a dot at the end. */
bool wr_name_is_valid(const char *name);

/* True for "localhost" and the names below it (RFC 6761, section 6.3). */
bool wr_name_is_localhost(const char *name);

/* True for a name with a dot at the end, which is not searched in domains. */
bool wr_name_is_absolute(const char *name);

/* True if two texts are the same name, ignoring case and last dots. */
bool wr_name_is_equal(const char *a, const char *b);

/* Ignores case. */
uint32_t wr_name_hash(const char *name);

/* Copies a name of up to 253 bytes without the dot at its end. */
void wr_name_write(const char *name, char ret[WR_NAME_SIZE]);

/* Replaces the domains of @search by the domains in @list, separated by commas
 * or blanks; invalid domains are skipped. @search must be initialised or all 0.
 * Returns 0, or -ENOMEM and changes nothing. */
WEIR_MUST_USE int wr_search_read(const struct weir_allocator *allocator,
                                 const char *list,
                                 struct wr_search_list *search);

void wr_search_clear(const struct weir_allocator *allocator,
                     struct wr_search_list *search);

/* Writes the next name of the search for a valid @name, with a dot at the end.
 * Skips names that are invalid or too long. Returns false at the end. */
bool wr_search_next(struct wr_search_walk *walk, const char *name,
                    const struct wr_search_list *search,
                    char ret[WR_NAME_SIZE]);

/* Skips the remaining domains. The unchanged name follows if the search has not
 * tried it and the list allows it. */
void wr_search_cut(struct wr_search_walk *walk);

void wr_search_end(struct wr_search_walk *walk);

#endif
