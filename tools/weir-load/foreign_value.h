/*
 * Values that other tools write in another form: what they look like, and how
 * they are written here.
 *
 * Rows of foreign.c have both, the first in ->is_meant, the second in ->fill.
 */
#ifndef WEIR_LOAD_FOREIGN_VALUE_H
#define WEIR_LOAD_FOREIGN_VALUE_H

#include "tools/common/reword.h"

#include <stdbool.h>

/* As ->is_meant of a row: @value is NULL where a flag has none. */
typedef bool foreign_is_fn(const char *value, char *const *words);

/* 1,000 and 1_000,000 */
foreign_is_fn foreign_is_grouped;

/* NAME=VALUE, a header of autocannon. */
foreign_is_fn foreign_is_equated;

/* post */
foreign_is_fn foreign_is_lower_method;

/* p(95)<500, a threshold of k6. */
foreign_is_fn foreign_is_threshold;

/* 30s:100,1m:100, stages of users of k6. */
foreign_is_fn foreign_is_user_stages;

/* Of words that are no flags: http:HOST, http:/HOST, http//HOST; 8080 and
 * :8080; ::1; http+unix://PATH; a URL with a blank, a fragment or a user in it,
 * or with a query behind its host. */
foreign_is_fn foreign_is_broken_url;
foreign_is_fn foreign_is_port;
foreign_is_fn foreign_is_ipv6;
foreign_is_fn foreign_is_url_with_blanks;
foreign_is_fn foreign_is_bare_query;
foreign_is_fn foreign_is_fragment;
foreign_is_fn foreign_is_user_url;
foreign_is_fn foreign_is_unix_url;

/* A host whose port is the value of --port. */
foreign_is_fn foreign_has_port;

/* The header of a user, as rows have it; "%s" is USER:PASSWORD. */
#define FOREIGN_BASIC "-H|\"Authorization: Basic $(printf %%s %s | base64)\""

/* The same as they are written here. */
reword_fill_fn foreign_fill_count;
reword_fill_fn foreign_fill_header;
reword_fill_fn foreign_fill_method;
reword_fill_fn foreign_fill_threshold;
reword_fill_fn foreign_fill_user_stages;
reword_fill_fn foreign_fill_broken_url;
reword_fill_fn foreign_fill_port;
reword_fill_fn foreign_fill_unix;
reword_fill_fn foreign_fill_place;
reword_fill_fn foreign_fill_blanks;
reword_fill_fn foreign_fill_query;
reword_fill_fn foreign_fill_fragment;
reword_fill_fn foreign_fill_user;

/* siege's "-r once": each line of its file. */
reword_fill_fn foreign_fill_once;

#endif
