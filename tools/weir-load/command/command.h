/*
 * The command line of `weir-load run`: the rows of its options, the checks
 * after the last one, and secrets in a command line. Commands that pass options
 * on to runs use the same rows.
 */
#ifndef WEIR_LOAD_COMMAND_H
#define WEIR_LOAD_COMMAND_H

#include "tools/common/option.h"
#include "tools/weir-load/options/options.h"

#include <stddef.h>

/* Options that were given, else NULL. Defaults of other options depend on
 * them. */
struct options_given {
    const struct option *duration;
    const struct option *warmup;
    const struct option *interval;
    const struct option *timeout;
    const struct option *data;
    const struct option *data_order;
    const struct option *mode;
    const struct option *file; /* --mix or --urls */
    const char *path;          /* path of @file */
};

/* Bits of `need` in a row. options_needs.c has their conditions. */
enum option_need {
    NEED_CONNECTIONS = 1 << 0,
    NEED_NO_UDP = 1 << 1,
    NEED_HTTP = 1 << 2,
    NEED_BODIES = 1 << 3,
    NEED_BODY = 1 << 4,
    NEED_HTTP2 = 1 << 5,
    NEED_WS = 1 << 6,
    NEED_NO_WS = 1 << 7,
    NEED_SCHEDULE = 1 << 8,
    NEED_RATE = 1 << 9,
    NEED_THINK = 1 << 10,
    NEED_REQUESTS = 1 << 11,
    NEED_PIPELINE = 1 << 12,
    NEED_WINDOW = 1 << 13,
    NEED_RR = 1 << 14,
    NEED_SEND = 1 << 15,
    NEED_STREAM = 1 << 16,
    NEED_NO_STREAM = 1 << 17,
    NEED_NEW_CONNECTIONS = 1 << 18,
    NEED_PREAMBLE = 1 << 19,
    NEED_EXPECT = 1 << 20,
    NEED_SCRIPT = 1 << 21,
    NEED_GET = 1 << 22,
    NEED_VERSION = 1 << 23,
    NEED_MODE = 1 << 24,
    NEED_PROXY = 1 << 25,
    NEED_PATH = 1 << 26,
    NEED_ALPN = 1 << 27,
    NEED_FAST_OPEN = 1 << 28,
    NEED_TCP = 1 << 29,
    NEED_INET = 1 << 30,
};

struct options_reading {
    struct run_options options;
    struct options_given given;
};

extern const struct option_set options_set;

bool options_read_target(void *options, const char *text, char *why);

/* Set the mode from the URLs, and settings of Redis and WebSocket
 * (options_urls.c). Return false after printing an error. */
bool options_settle_urls(struct run_options *options,
                         const struct options_given *given);
bool options_settle_redis(struct run_options *options);
bool options_settle_ws(struct run_options *options);

/* Parts of options_settle(). settle_data() reads the file of --data and comes
 * first, because its rows may limit the number of requests. preamble_settle()
 * needs the mode. settle_fields() checks that the file has the columns that
 * requests use. */
bool preamble_settle(struct run_options *options);
bool settle_data(struct run_options *options,
                 const struct options_given *given);
bool settle_fields(const struct run_options *options,
                   const struct options_given *given);

option_read_fn preamble_read_request;
option_read_fn preamble_read_capture;

static inline void options_set_one_request(struct run_options *options)
{
    options->requests_per_conn = 1;
    options->requests_per_conn_max = 1;
}

/* Refuses an option whose condition is not met. Returns false after printing an
 * error. */
bool options_check_needs(const struct run_options *options,
                         const struct options_given *given,
                         const struct option_list *list);

/* Called after all options and targets are parsed: sets defaults that depend on
 * other options and refuses conflicts. Returns false after printing an
 * error. */
bool options_settle(struct options_reading *reading,
                    const struct option_list *list);

/*
 * Finds secrets in a command line: the login of any URL, and the requests of a
 * preamble. Results and messages leave them out. Process lists still show them,
 * so a warning is printed.
 */

/* Returns a copy of argv[at] without its secrets, or NULL if out of memory. The
 * caller frees it. */
char *secret_words_strip(char **argv, int at);

void secret_words_warn(int argc, char **argv);

#endif
