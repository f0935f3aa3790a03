/*
 * The command line of `weir-load run`, read and checked.
 *
 * What stands here holds for the whole run and is printed into its result, so
 * that a result says how it can be had again.
 */
#ifndef WEIR_LOAD_OPTIONS_H
#define WEIR_LOAD_OPTIONS_H

#include "publish_paths.h"
#include "tools/common/option.h"
#include "tools/common/target.h"
#include "tools/weir-load/measure/cpus.h"
#include "tools/weir-load/measure/kinds.h"
#include "tools/weir-load/measure/slo.h"
#include "tools/weir-load/request/data.h"
#include "tools/weir-load/request/http_request.h"
#include "tools/weir-load/request/mix.h"
#include "tools/weir-load/request/preamble.h"
#include "tools/weir-load/request/script.h"
#include "tools/weir-load/request/sizes.h"
#include "tools/weir-load/request/urls.h"
#include "tools/weir-load/schedule/conn_stages.h"
#include "tools/weir-load/schedule/part.h"
#include "tools/weir-load/schedule/schedule.h"
#include "tools/weir-load/target/redis_url.h"
#include "tools/weir-load/target/sockets.h"
#include "tools/weir-load/target/tls.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define OPTIONS_TARGETS_MAX 64
#define OPTIONS_THREADS_MAX 256
#define OPTIONS_LOCALS_MAX  256
#define OPTIONS_LABELS_MAX  32
#define OPTIONS_COLUMNS_MAX 8

/* What a connection is for. */
enum run_mode {
    /* Requests, one after the other, until the run ends. */
    RUN_MODE_ECHO,
    /* Connect, one request, its answer, close, and again. */
    RUN_MODE_CRR,
    /* Requests and answers of fixed sizes that are not compared. */
    RUN_MODE_RR,
    /* HTTP/1.1 or HTTP/2. */
    RUN_MODE_HTTP,
    /* --request and --expect. */
    RUN_MODE_SCRIPT,
    /* Bytes without an end. */
    RUN_MODE_STREAM,
    /* Connect and close, and again. */
    RUN_MODE_CONNECT,
    /* Connect, and stay. */
    RUN_MODE_IDLE,
    /* Commands of Redis. */
    RUN_MODE_REDIS,
    /* Messages of WebSocket. */
    RUN_MODE_WS,
};

/* Where the bytes of mode stream go. */
enum run_direction {
    RUN_UP,
    RUN_DOWN,
    RUN_BOTH,
};

/* What says when a request is sent. */
enum run_model {
    /* The answer before. */
    RUN_MODEL_CLOSED,
    /* A schedule of equal gaps. */
    RUN_MODEL_CONSTANT,
    /* A schedule of exponential gaps. */
    RUN_MODEL_POISSON,
};

/* Files besides the report and the JSON; NULL: not written. */
struct options_files {
    const char *hgrm;
    const char *csv;
    const char *log;
    struct publish_paths publish;
    /* A line of JSON for each interval on standard output. */
    bool streams;
};

struct run_options {
    enum run_mode mode;
    enum run_direction direction;
    enum run_model model;
    /* Open models: the stages of the run, the warm-up as the first, and
     * --stages as it was given, or NULL. */
    struct schedule_plan schedule;
    const char *stages;
    /* Open models: requests a second, 0 with stages; requests that may be under
     * way, 0: as many as the connections can have; and whether a request that
     * finds no connection is dropped instead of waiting. */
    double rate;
    uint64_t max_in_flight;
    bool late_is_skipped;
    /* How late the client may send before the run is invalid: a time, and a
     * share in millionths of the figure that is reported. The larger counts. */
    uint64_t lateness_limit_ns;
    uint64_t lateness_limit_share;
    /* Closed loop: how long a connection waits before its next request. */
    uint64_t think_ns;
    /* Connections made in a second, of all threads; 0: no limit. */
    double conn_rate;
    /* When sending begins, ns since 1970; 0: when all connections stand. */
    uint64_t start_at_ns;
    /* Which part of the load this program makes. What is counted here is the
     * whole load's, but for conn_count. */
    struct part part;
    uint64_t whole_conn_count;
    uint64_t first_conn; /* this part's first of all connections */
    uint64_t thread_count;
    /* CPUs that the threads are bound to, in turn; none: they are not bound. */
    struct cpus cpus;
    /* Those of this machine that the server has; none: it was not said. */
    struct cpus server_cpus;
    /* CPUs that the threads may run on. */
    struct cpus client_cpus;
    /* Some are the server's, too, which --force allows. */
    bool shares_cpus;
    bool is_forced;
    uint64_t conn_count;
    /* Of the whole load, over the time of the window, and as given; without
     * stages and NULL: it is always the same. */
    struct conn_stages conn_stages;
    const char *conn_stages_text;
    uint64_t depth;
    /* Of requests; and of answers in mode rr, in others all zero. */
    struct sizes send;
    struct sizes recv;
    /* As given; NULL: not given. */
    const char *send_text;
    const char *recv_text;
    /* A connection ends after so many answers, from the first to the second;
     * 0: it stays. */
    uint32_t requests_per_conn;
    uint32_t requests_per_conn_max;
    struct http_options http;
    struct script_options script;
    /* --data as given, and in which order its rows are taken; and what it has,
     * NULL: it was not given. */
    const char *data_path;
    enum data_order data_order;
    const struct data *data;
    struct redis_options redis;
    /* What each connection asks for first, as given; and read, NULL: nothing.
     */
    struct preamble_words preamble_words;
    const struct preamble *preamble;
    /* WebSocket: messages are text. */
    bool ws_is_text;
    /* Several kinds of requests, of HTTP or of a script; NULL: one. They are
     * those of a mix or of a list, of which the other is NULL.
     */
    const struct request_kind *kinds;
    size_t kind_count;
    /* Which of them are counted together; NULL: none
     * is by itself. */
    const struct kinds *groups;
    struct mix *mix;
    struct urls *urls;
    /* As given; statuses, or the rule of a script. NULL: none. What bodies of
     * HTTP have to be is http.wanted. */
    const char *expected;
    /* 0: the run ends by its count. */
    uint64_t duration_ns;
    /* 0: the run ends by its duration. */
    uint64_t request_count;
    uint64_t warmup_ns;
    uint64_t interval_ns;
    uint64_t timeout_ns;
    uint64_t connect_timeout_ns;
    /* How long the targets are waited for before the run; 0: not at all. */
    uint64_t wait_ns;
    /* Errors that are allowed: a number, or a share in millionths. */
    uint64_t max_errors;
    bool max_errors_is_share;
    /* --max-errors was given. */
    bool has_max_errors;
    bool json;
    /* NULL: standard output. */
    const char *json_path;
    struct options_files files;
    /* What must hold; without terms nothing. */
    struct slo slo;
    uint64_t seed;
    bool quiet;
    /* Everything is checked and told, and nothing is sent. */
    bool is_dry;
    bool verbose;
    struct tls_flags tls;
    /* All are UDP, or none is. */
    struct target targets[OPTIONS_TARGETS_MAX];
    size_t target_count;
    /* Where all connections go; without a text each goes to its target. */
    struct target connect_to;
    /* Own addresses, taken in turns; none: the kernel chooses. */
    struct weir_address locals[OPTIONS_LOCALS_MAX];
    size_t local_count;
    /* AF_INET or AF_INET6, of all addresses; 0: both. */
    int family;
    struct socket_flags sockets;
    /* 1 or 2: of the PROXY header that connections begin with; 0: none. */
    int proxy_version;
    /* Percentiles of the report, as histogram.h has them. */
    uint32_t columns[OPTIONS_COLUMNS_MAX];
    size_t column_count;
    /* "NAME=VALUE", for the result alone. */
    const char *labels[OPTIONS_LABELS_MAX];
    size_t label_count;
    /* The whole command line, for the result. */
    char **argv;
    int argc;
};

/* Read argv from index first on; ret is written when ready. @suggest is called
 * where a word cannot be read; NULL: none. */
enum options_result
options_parse(int argc, char **argv, int first, struct run_options *ret,
              void (*suggest)(int argc, char **argv, int first));

/* Where the connections of a target go. */
static inline const struct target *
options_place(const struct run_options *options, const struct target *target)
{
    return options->connect_to.text ? &options->connect_to : target;
}

/* Is this part to have fewer connections at times? */
static inline bool options_has_conn_stages(const struct run_options *options)
{
    return options->conn_stages.count > 0;
}

/* With how many connections this part begins. */
static inline uint64_t options_first_conns(const struct run_options *options)
{
    return options_has_conn_stages(options)
               ? conn_stages_share(conn_stages_at(&options->conn_stages, 0),
                                   options->whole_conn_count,
                                   options->first_conn, options->conn_count)
               : options->conn_count;
}

/* How many connections of this part a target has. */
static inline uint64_t options_conns_of(const struct run_options *options,
                                        size_t target)
{
    const uint64_t first = options->first_conn + options->target_count - 1;

    return (first + options->conn_count - target) / options->target_count -
           (first - target) / options->target_count;
}

/* The target of a connection. */
static inline const struct target *
options_target(const struct run_options *options, uint64_t conn_index)
{
    return &options->targets[conn_index % options->target_count];
}

/* May a connection of HTTP speak HTTP/2? */
static inline bool options_may_speak_http2(const struct run_options *options)
{
    return options->mode == RUN_MODE_HTTP &&
           options->http.version != HTTP_VERSION_1_1;
}

/* As --mode has it. */
const char *options_mode_name(enum run_mode mode);

/* How requests come in an open model, as the result has it; NULL: in a closed
 * loop. */
const char *options_arrival_name(enum run_model model);

/* As --direction has it. */
const char *options_direction_name(enum run_direction direction);

/* In mode rr requests of drawn sizes begin with two numbers of 4 bytes, the
 * most significant first: their own size, and that of the answer. */
#define OPTIONS_HEAD_SIZE 8U

static inline bool options_has_heads(const struct run_options *options)
{
    return options->mode == RUN_MODE_RR && !options->targets[0].is_datagram &&
           !(sizes_is_fixed(&options->send) && sizes_is_fixed(&options->recv));
}

/* Do connections carry requests, one after the other or on a schedule? */
static inline bool options_has_requests(const struct run_options *options)
{
    return options->mode != RUN_MODE_STREAM &&
           options->mode != RUN_MODE_CONNECT && options->mode != RUN_MODE_IDLE;
}

/* Is each connection made for one request, and closed after it? */
static inline bool options_is_churn(const struct run_options *options)
{
    return options->mode == RUN_MODE_CRR || options->mode == RUN_MODE_CONNECT;
}

/* Where the requests of a script come from. */
static inline const char *
options_requests_flag(const struct run_options *options)
{
    return options->urls ? "--urls" : options->mix ? "--mix" : "--request";
}

#endif
