/*
 * The options of `weir-load run` as rows, and what is known of them until all
 * are read.
 *
 * For options.c and its parts, and for commands that pass options on to runs.
 */
#ifndef WEIR_LOAD_OPTIONS_ROWS_H
#define WEIR_LOAD_OPTIONS_ROWS_H

#include "options.h"
#include "tools/common/option.h"

/* What the command line said, so that defaults can depend on it: the options
 * that were given; NULL: they were not. */
struct options_given {
    const struct option *duration;
    const struct option *requests;
    const struct option *warmup;
    const struct option *interval;
    const struct option *timeout;
    const struct option *connect_timeout;
    const struct option *wait;
    const struct option *data;
    const struct option *data_order;
    const struct option *log;
    const struct option *mode;
    const struct option *direction;
    const struct option *rate;
    const struct option *stages;
    const struct option *conn_stages;
    const struct option *think;
    const struct option *depth;
    const struct option *requests_per_conn;
    const struct option *send;
    const struct option *recv;
    const struct option *body;
    const struct option *ws;
    const struct option *chunked;
    const struct option *proxy_protocol;
    /* The last of several. */
    const struct option *http;  /* that only HTTP has */
    const struct option *http2; /* that only HTTP/2 has */
    const struct option *open;  /* that only an open model has */
    const struct option *file;  /* --mix or --urls */
    const char *path;           /* of that file */
};

/* What the rows write into. */
struct options_reading {
    struct run_options options;
    struct options_given given;
};

extern const struct option_set options_set;

/* Take a word that is no option: a target. False with the reason in @why. */
bool options_read_target(void *options, const char *text, char *why);

/* What a URL decides, and what Redis is asked for (options_urls.c); false: a
 * line has said why. */
bool options_settle_urls(struct run_options *options,
                         const struct options_given *given);
bool options_settle_redis(struct run_options *options);
bool options_settle_ws(struct run_options *options,
                       const struct options_given *given);

/* One request for each connection. */
static inline void options_set_one_request(struct run_options *options)
{
    options->requests_per_conn = 1;
    options->requests_per_conn_max = 1;
}

/* With all options and targets read: defaults that depend on each other, and
 * what does not go together. False: a line has said why. */
bool options_settle(struct options_reading *reading);

#endif
