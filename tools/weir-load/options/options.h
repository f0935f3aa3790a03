/*
 * The parsed and checked command line of `weir-load run`. These values hold
 * for the whole run and are printed in its result, so that the run can be
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

/* ---- publish_paths ---- */

/*
 * The options of run, ab and compare for files of a CI pipeline (publish.c).
 * They are not in publish.c because it needs results, which need the
 * options.
 */

#define PUBLISH_FORMATS 3U

/* Paths as given; "-" is standard output, NULL means no file. */
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

/* Checks that at most one file is standard output, and none if option @taken
 * uses it. @taken may be NULL. Returns false after printing an error. */
bool publish_check(const struct publish_paths *paths, const char *taken);

/* Gets the option and the path of a format. Returns false after the last. */
bool publish_list(const struct publish_paths *paths, size_t index,
                  const char **ret_flag, const char **ret_path);

/* ---- options ---- */

#define OPTIONS_TARGETS_MAX 64
#define OPTIONS_THREADS_MAX 256
#define OPTIONS_LOCALS_MAX  256
#define OPTIONS_LABELS_MAX  32
#define OPTIONS_COLUMNS_MAX 8

enum run_mode {
    /* Sends requests on each connection until the run ends. */
    RUN_MODE_ECHO,
    /* Connects, sends one request, closes after the answer, and repeats. */
    RUN_MODE_CRR,
    /* Requests and answers of chosen sizes. The bytes of answers are not
     * checked. */
    RUN_MODE_RR,
    RUN_MODE_HTTP,
    RUN_MODE_SCRIPT,
    /* An endless stream of bytes. */
    RUN_MODE_STREAM,
    /* Connect and close; repeat. */
    RUN_MODE_CONNECT,
    /* Connect, and stay connected. */
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
    /* A request is sent after the previous answer. */
    RUN_MODEL_CLOSED,
    /* Requests are sent by a schedule with equal gaps. */
    RUN_MODEL_CONSTANT,
    /* Requests are sent by a schedule with exponential gaps. */
    RUN_MODEL_POISSON,
};

/* Output files besides the report and the JSON; NULL if not written. */
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
    /* Open models: the stages, beginning with the warm-up. */
    struct schedule_plan schedule;
    /* Text of --stages, or NULL. */
    const char *stages;
    /* Open models: requests per second, or 0 with stages. */
    double rate;
    /* Open models: limit of requests in flight, or 0 if only the connections
     * limit them. */
    uint64_t max_in_flight;
    /* Open models: a request that finds no connection is dropped instead of
     * waiting. */
    bool late_is_skipped;
    /* How late the client may send. The larger of the two limits applies. */
    uint64_t lateness_limit_ns;
    /* The same limit as a share of the reported figure, in millionths. */
    uint64_t lateness_limit_share;
    /* Closed loop: pause of a connection before its next request. */
    uint64_t think_ns;
    /* Connections made per second by all threads; 0 means no limit. */
    double conn_rate;
    /* When sending starts, in ns since 1970; 0 means when all connections are
     * established. */
    uint64_t start_at_ns;
    /* The part of the load that this program makes. All numbers in this struct
     * except conn_count are of the whole load. */
    struct part part;
    uint64_t whole_conn_count;
    uint64_t first_conn; /* this part's first connection */
    uint64_t thread_count;
    /* CPUs to which threads are bound in turn. If empty, threads are not
     * bound. */
    struct cpus cpus;
    /* The server's CPUs on this machine; empty if not given. */
    struct cpus server_cpus;
    /* CPUs that the threads may run on. */
    struct cpus client_cpus;
    /* The server uses some of the client's CPUs, too. --force allows this. */
    bool shares_cpus;
    bool is_forced;
    uint64_t conn_count;
    /* Number of connections of the whole load during the window. */
    struct conn_stages conn_stages;
    /* Text of --conn-stages, or NULL. */
    const char *conn_stages_text;
    uint64_t depth;
    /* Sizes of requests. */
    struct sizes send;
    /* Sizes of answers in mode rr; all zero in other modes. */
    struct sizes recv;
    /* Texts of the sizes, or NULL. */
    const char *send_text;
    const char *recv_text;
    /* Lower and upper bound of the number of answers after which a connection
     * ends; 0 means no limit. */
    uint32_t requests_per_conn;
    uint32_t requests_per_conn_max;
    struct http_options http;
    struct script_options script;
    /* Path of the file of --data. */
    const char *data_path;
    /* Order in which the rows of the file are used. */
    enum data_order data_order;
    /* Contents of the file, or NULL without --data. */
    const struct data *data;
    struct redis_options redis;
    /* Values of --preamble: the requests that each connection sends first. */
    struct preamble_words preamble_words;
    /* The parsed values of --preamble, or NULL. */
    const struct preamble *preamble;
    bool ws_is_text;
    /* Kinds of requests of --mix or --urls. They are owned by mix or by urls;
     * the other of these two is NULL. Without --mix and --urls, kinds, mix and
     * urls are NULL. */
    const struct request_kind *kinds;
    size_t kind_count;
    /* Groups of kinds that are counted together; NULL if not counted. */
    const struct kinds *groups;
    struct mix *mix;
    struct urls *urls;
    /* Value of --expect: statuses, or in mode script the end of an answer; may
     * be NULL. Expected HTTP bodies are in http.wanted. */
    const char *expected;
    /* Duration of the run; 0 if the run ends after request_count. */
    uint64_t duration_ns;
    /* Number of requests; 0 if the run ends after duration_ns. */
    uint64_t request_count;
    uint64_t warmup_ns;
    uint64_t interval_ns;
    uint64_t timeout_ns;
    uint64_t connect_timeout_ns;
    /* Longest time to wait before the run until the targets answer; 0 means no
     * waiting. */
    uint64_t wait_ns;
    /* Allowed errors: a number, or a share in millionths. */
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
    /* Address to which all connections are made instead, unless its text is
     * empty. */
    struct target connect_to;
    /* Local addresses, used in turn; if empty, the kernel chooses. */
    struct weir_address locals[OPTIONS_LOCALS_MAX];
    size_t local_count;
    /* AF_INET or AF_INET6 for all addresses; 0 means both. */
    int family;
    struct socket_flags sockets;
    /* Version of the PROXY header, 1 or 2; 0 means no header. */
    int proxy_version;
    /* Percentiles of the report, in the unit of histogram.h. */
    uint32_t columns[OPTIONS_COLUMNS_MAX];
    size_t column_count;
    /* "NAME=VALUE", only for the result. */
    const char *labels[OPTIONS_LABELS_MAX];
    size_t label_count;
    /* The whole command line, for the result. */
    char **argv;
    int argc;
};

/* Parses argv from index @first. *ret is only written if the result is
 * OPTIONS_READY. @suggest is called if an argument cannot be parsed, and may be
 * NULL. */
enum options_result
options_parse(int argc, char **argv, int first, struct run_options *ret,
              void (*suggest)(int argc, char **argv, int first));

/* Returns the address to connect to for a target, as a target. */
static inline const struct target *
options_place(const struct run_options *options, const struct target *target)
{
    return options->connect_to.text ? &options->connect_to : target;
}

static inline bool options_has_conn_stages(const struct run_options *options)
{
    return options->conn_stages.count > 0;
}

/* Returns with how many connections this part starts. */
static inline uint64_t options_first_conns(const struct run_options *options)
{
    return options_has_conn_stages(options)
               ? conn_stages_share(conn_stages_at(&options->conn_stages, 0),
                                   options->whole_conn_count,
                                   options->first_conn, options->conn_count)
               : options->conn_count;
}

/* Returns how many connections of this part a target has. */
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

/* In mode rr with random sizes, a request begins with two big-endian numbers of
 * 4 bytes: its own size and the size of the answer. */
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

/* Returns true if a new connection is made for each request. */
static inline bool options_is_churn(const struct run_options *options)
{
    return options->mode == RUN_MODE_CRR || options->mode == RUN_MODE_CONNECT;
}

/* Returns the option that defines the requests of a script. */
static inline const char *
options_requests_flag(const struct run_options *options)
{
    return options->urls ? "--urls" : options->mix ? "--mix" : "--request";
}

#endif
