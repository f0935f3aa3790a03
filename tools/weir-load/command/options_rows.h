/*
 * The options of `weir-load run` as rows, and what is known of them until all
 * are read.
 *
 * For options.c and its parts, and for commands that pass options on to runs.
 */
#ifndef WEIR_LOAD_OPTIONS_ROWS_H
#define WEIR_LOAD_OPTIONS_ROWS_H

#include "tools/common/option.h"
#include "tools/weir-load/options/options.h"

/* What the command line said, so that defaults can depend on it: the options
 * that were given; NULL: they were not. */
struct options_given {
    const struct option *duration;
    const struct option *requests;
    const struct option *warmup;
    const struct option *interval;
    const struct option *timeout;
    const struct option *data;
    const struct option *data_order;
    const struct option *mode;
    const struct option *rate;
    const struct option *stages;
    const struct option *conn_stages;
    const struct option *send;
    const struct option *recv;
    const struct option *chunked;
    const struct option *proxy_protocol;
    const struct option *file; /* --mix or --urls */
    const char *path;          /* of that file */
};

/* What an option needs: the bits of `need` in its row. options_needs.c has the
 * conditions. */
enum option_need {
    NEED_CONNECTIONS = 1 << 0,
    NEED_NO_UDP = 1 << 1,
    NEED_HTTP = 1 << 2,
    NEED_BODIES = 1 << 3,
    NEED_BODY = 1 << 4,
    NEED_HTTP2 = 1 << 5,
    NEED_WS = 1 << 6,
    NEED_FIELDS = 1 << 7,
    NEED_SCHEDULE = 1 << 8,
    NEED_CLOSED_LOOP = 1 << 9,
    NEED_REQUESTS = 1 << 10,
    NEED_DEPTH_1 = 1 << 11,
    NEED_PIPELINE = 1 << 12,
    NEED_WINDOW = 1 << 13,
    NEED_RR = 1 << 14,
    NEED_STREAM = 1 << 15,
    NEED_NO_STREAM = 1 << 16,
    NEED_NEW_CONNECTIONS = 1 << 17,
    NEED_PREAMBLE = 1 << 18,
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

/* Parts of options_settle(): the preamble, with the mode known; the file of
 * --data, before the rest, because its rows may limit the requests; and what
 * requests take of its columns. */
bool preamble_settle(struct run_options *options);
bool settle_data(struct run_options *options,
                 const struct options_given *given);
bool settle_fields(const struct run_options *options,
                   const struct options_given *given);

option_read_fn preamble_read_request;
option_read_fn preamble_read_capture;

/* One request for each connection. */
static inline void options_set_one_request(struct run_options *options)
{
    options->requests_per_conn = 1;
    options->requests_per_conn_max = 1;
}

/* Refuses, with a line, an option that was given without what it needs. */
bool options_check_needs(const struct run_options *options,
                         const struct option_list *given);

/* With all options and targets read: defaults that depend on each other, and
 * what does not go together. False: a line has said why. */
bool options_settle(struct options_reading *reading,
                    const struct option_list *given);

#endif
