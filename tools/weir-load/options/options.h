/*
 * The parsed and checked command line of `weir-load run`. The values do not
 * change during a run, and the result lists them so that the run can be
 * repeated.
 */
#ifndef WEIR_LOAD_OPTIONS_H
#define WEIR_LOAD_OPTIONS_H

#include "tools/common/option.h"
#include "tools/common/target.h"
#include "tools/weir-load/measure/measure.h"
#include "tools/weir-load/request/request.h"
#include "tools/weir-load/schedule/schedule.h"
#include "tools/weir-load/target/target.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Output files of run, ab and compare for CI pipelines. publish.c writes them.
 * output.h includes this header, so these declarations cannot be there. */

#define PUBLISH_FORMATS 3U

/* Each path is as on the command line. "-" is standard output, and NULL means
 * no file. */
struct publish_paths {
    const char *markdown;
    const char *junit;
    const char *prometheus;
};

#define PUBLISH_ROWS(type, member)                                             \
    {"markdown",                                                               \
     0,                                                                        \
     "FILE",                                                                   \
     "write a Markdown page for a pull request; - is standard output",         \
     .kind = OPTION_TEXT,                                                      \
     .offset = offsetof(struct type, member.markdown)},                        \
        {"junit",                                                              \
         0,                                                                    \
         "FILE",                                                               \
         "write the checks as JUnit test cases",                               \
         .kind = OPTION_TEXT,                                                  \
         .offset = offsetof(struct type, member.junit)},                       \
    {                                                                          \
        "prometheus", 0, "FILE",                                               \
            "write the figures in the format of Prometheus",                   \
            .kind = OPTION_TEXT,                                               \
            .offset = offsetof(struct type, member.prometheus)                 \
    }

/* Checks that at most one file is standard output, and none if the option
 * @taken already uses it. @taken may be NULL. Returns false after printing an
 * error. */
bool publish_check(const struct publish_paths *paths, const char *taken);

/* Returns the option and the path of a format, which may be NULL. */
void publish_list(const struct publish_paths *paths, size_t index,
                  const char **ret_flag, const char **ret_path);

#define OPTIONS_TARGETS_MAX 64
#define OPTIONS_THREADS_MAX 256
#define OPTIONS_LOCALS_MAX  256
#define OPTIONS_LABELS_MAX  32
#define OPTIONS_COLUMNS_MAX 8

enum run_mode {
    /* Sends requests on each connection until the run ends. */
    RUN_MODE_ECHO,
    /* Makes a connection for each request, and closes it after the answer. */
    RUN_MODE_CRR,
    /* Requests and answers of chosen sizes. The bytes of answers are not
     * checked. */
    RUN_MODE_RR,
    RUN_MODE_HTTP,
    RUN_MODE_SCRIPT,
    RUN_MODE_STREAM,
    /* Connects, closes the connection, and repeats. */
    RUN_MODE_CONNECT,
    /* Connects, and keeps the connection open. */
    RUN_MODE_IDLE,
    RUN_MODE_REDIS,
    RUN_MODE_WS,
};

enum run_direction {
    RUN_UP,
    RUN_DOWN,
    RUN_BOTH,
};

enum run_model {
    /* A connection sends its next request after the previous answer. */
    RUN_MODEL_CLOSED,
    /* Requests are sent by a schedule with equal gaps. */
    RUN_MODEL_CONSTANT,
    /* Requests are sent by a schedule with exponential gaps. */
    RUN_MODEL_POISSON,
};

/* Output files in addition to the report and the JSON. NULL means no file. */
struct options_files {
    const char *hgrm;
    const char *csv;
    const char *log;
    struct publish_paths publish;
    /* Print a line of JSON for each interval. */
    bool streams;
};

struct run_options {
    enum run_mode mode;
    enum run_direction direction;
    enum run_model model;
    /* Open models only: the stages of the load. The first stage is the warm-up,
     * if there is one. */
    struct schedule_plan schedule;
    const char *stages;
    /* Open models only: requests per second; 0 with --stages. */
    double rate;
    /* Open models only: limit of requests in flight. 0 means that only the
     * number of connections limits them. */
    uint64_t max_in_flight;
    /* Open models only: drop a request that finds no free connection, instead
     * of queueing it. */
    bool late_is_skipped;
    /* How late the client may send before the run is invalid, in nanoseconds.
     * The larger of this limit and the next one applies. */
    uint64_t lateness_limit_ns;
    /* The same limit as a share of the reported latency, in millionths. */
    uint64_t lateness_limit_share;
    /* Closed loop only: pause of a connection before its next request. */
    uint64_t think_ns;
    /* Limit of new connections per second, over all threads. 0 means no
     * limit. */
    double conn_rate;
    /* When sending starts, in ns since 1970; 0 means when all connections are
     * established. */
    uint64_t start_at_ns;
    /* The share of the load that this process makes (--part). conn_count is
     * this process's number; all other amounts of load in this struct are
     * totals of all processes. */
    struct part part;
    uint64_t whole_conn_count;
    uint64_t first_conn; /* index of this process's first connection */
    uint64_t thread_count;
    /* CPUs that the threads are pinned to, in turn. If the list is empty,
     * threads are not pinned. */
    struct cpus cpus;
    /* The server's CPUs, if it is on this machine; empty if unknown. */
    struct cpus server_cpus;
    /* CPUs that the client's threads may run on. */
    struct cpus client_cpus;
    /* The server's CPUs overlap the client's, which only --force allows. */
    bool shares_cpus;
    bool is_forced;
    uint64_t conn_count;
    /* Number of connections over time, of all processes. */
    struct conn_stages conn_stages;
    const char *conn_stages_text;
    uint64_t depth;
    struct sizes send;
    /* Sizes of answers in mode rr. All fields are zero in other modes. */
    struct sizes recv;
    const char *send_text;
    const char *recv_text;
    /* A connection ends after a number of answers between these bounds. 0 means
     * no limit. */
    uint32_t requests_per_conn;
    uint32_t requests_per_conn_max;
    struct http_options http;
    struct script_options script;
    const char *data_path;
    enum data_order data_order;
    /* Contents of the data file, or NULL without --data. */
    const struct data *data;
    struct redis_options redis;
    /* Values of --preamble: requests that each connection sends before the
     * measured ones. */
    struct preamble_words preamble_words;
    /* The parsed preamble_words, or NULL. */
    const struct preamble *preamble;
    bool ws_is_text;
    /* Kinds of requests of --mix or --urls, owned by `mix` or `urls`. At most
     * one of these two is set. All three pointers are NULL without --mix and
     * --urls. */
    const struct request_kind *kinds;
    size_t kind_count;
    /* Groups of kinds that are counted separately, or NULL. */
    const struct kinds *groups;
    struct mix *mix;
    struct urls *urls;
    /* Value of --expect: statuses, or in mode script the end of an answer. May
     * be NULL. http.wanted has the expected HTTP bodies. */
    const char *expected;
    /* Duration of the run; 0 if the run ends after request_count. */
    uint64_t duration_ns;
    /* Number of requests; 0 if the run ends after duration_ns. */
    uint64_t request_count;
    uint64_t warmup_ns;
    uint64_t interval_ns;
    uint64_t timeout_ns;
    uint64_t connect_timeout_ns;
    /* How long to wait for the targets to answer before the run. 0 means not to
     * wait. */
    uint64_t wait_ns;
    /* Allowed errors: a number, or millionths of the requests if
     * max_errors_is_share. */
    uint64_t max_errors;
    bool max_errors_is_share;
    bool has_max_errors;
    bool json;
    /* NULL means standard output. */
    const char *json_path;
    struct options_files files;
    struct slo slo;
    uint64_t seed;
    bool quiet;
    /* --dry-run: checks and prints everything, but sends nothing. */
    bool is_dry;
    bool verbose;
    struct tls_flags tls;
    /* Either all targets use UDP or none does. */
    struct target targets[OPTIONS_TARGETS_MAX];
    size_t target_count;
    /* Connect to this address instead of the targets' addresses, unless its
     * text is NULL. */
    struct target connect_to;
    /* Local addresses, used in turn. If there is none, the kernel chooses. */
    struct weir_address locals[OPTIONS_LOCALS_MAX];
    size_t local_count;
    /* Address family of all addresses, AF_INET or AF_INET6. 0 means both. */
    int family;
    struct socket_flags sockets;
    /* Version of the PROXY header, 1 or 2; 0 means no header. */
    int proxy_version;
    /* Percentiles in the report, in the unit of histogram.h. */
    uint32_t columns[OPTIONS_COLUMNS_MAX];
    size_t column_count;
    /* Texts "NAME=VALUE", copied to the result. */
    const char *labels[OPTIONS_LABELS_MAX];
    size_t label_count;
    char **argv;
    int argc;
};

/* Parses argv from index @first. *ret is only written if the result is
 * OPTIONS_READY. @suggest is called if an argument cannot be parsed, and may be
 * NULL. */
enum options_result
options_parse(int argc, char **argv, int first, struct run_options *ret,
              void (*suggest)(int argc, char **argv, int first));

/* Returns the target whose address a connection to @target uses. */
static inline const struct target *
options_place(const struct run_options *options, const struct target *target)
{
    return options->connect_to.text ? &options->connect_to : target;
}

static inline bool options_has_conn_stages(const struct run_options *options)
{
    return options->conn_stages.count > 0;
}

/* Returns the number of connections with which this process starts. */
static inline uint64_t options_first_conns(const struct run_options *options)
{
    return options_has_conn_stages(options)
               ? conn_stages_share(conn_stages_at(&options->conn_stages, 0),
                                   options->whole_conn_count,
                                   options->first_conn, options->conn_count)
               : options->conn_count;
}

/* Returns how many connections of this process belong to a target. */
static inline uint64_t options_conns_of(const struct run_options *options,
                                        size_t target)
{
    const uint64_t first = options->first_conn + options->target_count - 1;

    return (first + options->conn_count - target) / options->target_count -
           (first - target) / options->target_count;
}

static inline const struct target *
options_target(const struct run_options *options, uint64_t conn_index)
{
    return &options->targets[conn_index % options->target_count];
}

static inline bool options_may_speak_http2(const struct run_options *options)
{
    return options->mode == RUN_MODE_HTTP &&
           options->http.version != HTTP_VERSION_1_1;
}

const char *options_mode_name(enum run_mode mode);

/* Returns the name of the arrival model in results, or NULL for a closed
 * loop. */
const char *options_arrival_name(enum run_model model);

const char *options_direction_name(enum run_direction direction);

/* Size of the head of a request in mode rr with random sizes. The head has two
 * big-endian numbers of 4 bytes: the size of the request, head included, and
 * the size of the answer. */
#define OPTIONS_HEAD_SIZE 8U

static inline bool options_has_heads(const struct run_options *options)
{
    return options->mode == RUN_MODE_RR && !options->targets[0].is_datagram &&
           !(sizes_is_fixed(&options->send) && sizes_is_fixed(&options->recv));
}

static inline bool options_has_requests(const struct run_options *options)
{
    return options->mode != RUN_MODE_STREAM &&
           options->mode != RUN_MODE_CONNECT && options->mode != RUN_MODE_IDLE;
}

static inline bool options_is_churn(const struct run_options *options)
{
    return options->mode == RUN_MODE_CRR || options->mode == RUN_MODE_CONNECT;
}

/* Returns the index of a request's kind, 0 without kinds. With --urls it is
 * chosen by @number, the request's number in the run; with --mix by @random. */
static inline size_t options_choose_kind(const struct run_options *options,
                                         uint64_t random, uint64_t number)
{
    if (!options->kinds) {
        return 0;
    }
    return options->urls ? urls_kind(options->urls, number)
                         : mix_choose(options->mix, random);
}

/* Returns the option that defines the requests in mode script. */
static inline const char *
options_requests_flag(const struct run_options *options)
{
    return options->urls ? "--urls" : options->mix ? "--mix" : "--request";
}

#endif
