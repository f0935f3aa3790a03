/*
 * The result of a run: the sums of all threads, and the verdict. Tables
 * describe all counted fields; the outputs and the merging of threads iterate
 * over these tables.
 */
#ifndef WEIR_LOAD_RESULT_H
#define WEIR_LOAD_RESULT_H

#include "tools/common/shell_line.h"
#include "tools/load/histogram.h"
#include "tools/weir-load/base/base.h"
#include "tools/weir-load/conn/conn.h"
#include "tools/weir-load/measure/measure.h"
#include "tools/weir-load/options/options.h"
#include "tools/weir-load/target/target.h"

#include "weir/loop.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The results of a run. The run writes them once at the end, verdict_reach()
 * evaluates them, and the reports read them.
 *
 * Times are nanoseconds. The measured window begins after the warm-up and ends
 * when sending stops, or with -n at the last answer. A request belongs to the
 * window if it was scheduled in it, or in a closed loop if it was sent in it.
 * The rate counts answers that arrived in the window.
 */

#define RESULT_ROWS_MAX     3600U
#define RESULT_REMARKS_MAX  16U
#define RESULT_REMARK_SIZE  640U
#define RESULT_FEATURE_SIZE 4096U
#define RESULT_THREADS_MAX  256U

struct result_row {
    struct interval counts;
    /* Latencies in the format of hdr_encode_coarse(). NULL without an answer,
     * or if not requested. */
    char *hdr;
    struct error_counts errors;
};

struct result_loop {
    uint64_t turns;
    uint64_t enters;
    uint64_t overflows;
    uint64_t starved;
};

struct result_thread {
    /* CPU that the thread was pinned to, or -1. */
    int cpu;
    uint64_t conn_count;
    uint64_t ok;
    uint64_t user_ns;
    uint64_t system_ns;
    /* How long the thread was ready to run but had no CPU. */
    uint64_t run_queue_wait_ns;
    /* Use of the CPUs that the thread could run on. */
    struct sharing sharing;
};

struct remarks {
    size_t count;
    char lines[RESULT_REMARKS_MAX][RESULT_REMARK_SIZE];
};

struct result {
    const struct run_options *options;
    enum run_model model;
    /* Scheduled requests per second in the window, sent or not. 0 in a closed
     * loop. */
    double offered_rate;
    /* False if the run ended before its window. */
    bool measured_began;
    bool interrupted;
    /* The run ended early, because no request succeeded or no answer
     * arrived. */
    bool gave_up;
    /* How long after --start-at sending started; 0 if it started in time. */
    uint64_t begin_late_ns;
    /* Wall clock at the start of the window, in ns since 1970. */
    uint64_t wall_begin_ns;
    uint64_t window_ns;
    /* Answers that arrived in the window, including answers to requests of the
     * warm-up. */
    uint64_t completed;
    struct ledger measured;
    struct ledger warmup;
    uint64_t events_without_request;
    /* Requests that waited because no connection was free. */
    uint64_t waited;
    /* If the server was overloaded: requests of the window that it did not
     * answer in the window; else 0. Set by the verdict. */
    uint64_t unserved;
    /* Measured answers by status. All are 0 if the protocol has no status. */
    uint64_t status[TRAFFIC_STATUS_COUNT];
    /* UDP: lost datagrams, and late, duplicate and reordered answers. Without
     * those of the warm-up. */
    struct track_counts answers;
    /* Indexed like options->groups, or NULL if kinds are not counted. */
    struct kind_record *kinds;
    struct error_table errors;
    /* Latencies of the measured requests that succeeded or timed out. In a
     * closed loop, response, lateness and own_lateness are empty, because a
     * request is due when the previous answer arrives. */
    struct record times;
    /* Time to connect, without TLS. Covers the whole run, but not the warm-up
     * of modes crr and connect. */
    struct histogram connect;
    /* Time of the TLS handshakes, of the same connections. */
    struct histogram handshake;
    struct tls_facts tls;
    /* Longest time without an answer while requests were in flight. */
    uint64_t stall_ns;
    /* Start of that time, from the start of the window. */
    uint64_t stall_at_ns;
    struct connection_counts connections;
    struct h2_counts http2;
    char location[CODEC_LOCATION_SIZE];
    uint64_t shortages;
    int shortage;
    /* Connections without any answer whose failures were not measured. */
    uint64_t unseen_failures;
    bool same_machine;
    /* Bytes received and sent in the window. */
    uint64_t received_bytes;
    uint64_t sent_bytes;
    struct result_loop loop;
    /* CPU time of all client threads in the window. */
    struct host_usage usage;
    struct host host;
    struct result_thread threads[RESULT_THREADS_MAX];
    size_t thread_count;
    char features[RESULT_FEATURE_SIZE];
    struct result_row rows[RESULT_ROWS_MAX];
    size_t row_count;
    uint64_t rows_dropped;
    /* Requests written to the file of --log, and not written. */
    uint64_t log_lines;
    uint64_t log_dropped;
    struct slo_outcome slo[SLO_TERMS_MAX];
    struct remarks invalid;
    struct remarks warnings;
    enum load_exit exit;
};

/*
 * A row for each counted field of a result: its name, how two values merge, and
 * where reports show it. All code that adds up threads, writes or merges
 * results, or prints reports and tables iterates over these rows. The meaning
 * of a field is documented in its struct and in the result's schema.
 */

struct result;

enum field_merge {
    FIELD_SUM,
    FIELD_GREATEST,
    FIELD_LEAST, /* minimum of the values that are not 0 */
    FIELD_FIRST, /* keeps the first value */
    /* Maximum of a process's threads, but sum of processes. */
    FIELD_PROCESS,
};

enum field_unit {
    FIELD_COUNT,
    FIELD_BYTES,
    FIELD_TIME,    /* ns */
    FIELD_LATENCY, /* ns; 0 means no answer: null in JSON, empty in tables */
};

struct field {
    const char *name; /* in the result; NULL ends a table */
    size_t offset;
    enum field_merge merge;
    enum field_unit unit;
    const char *line;   /* first word of the text report's line, or NULL */
    const char *text;   /* text before the value in this line */
    const char *column; /* heading in the table of intervals, or NULL for
                         * `name` */
    /* NULL if the text report always shows the field. */
    bool (*is_shown)(const struct result *result);
    bool hides_zero; /* the text report leaves out a value of 0 */
    bool has_kinds;  /* in an interval, also counted by kind */
    /* Description in the schema (schema.py), or NULL if the manual has it. */
    const char *about;
};

extern const struct field fields_ledger[];
extern const struct field fields_answers[];
extern const struct field fields_handshakes[];
extern const struct field fields_connections[];
extern const struct field fields_http2[];
extern const struct field fields_interval[];
extern const struct field fields_usage[];
extern const struct field fields_loop[];
extern const struct field fields_error[];
extern const struct field fields_kind[];
extern const struct field fields_thread[];
extern const struct field fields_result[];

/* A struct of a result, and the JSON object with its fields. */
struct fields_part {
    const char *object; /* NULL if the fields are in the result itself */
    const struct field *fields;
    size_t offset; /* of the struct in struct result */
};

/* Ends with a row without fields. */
extern const struct fields_part fields_parts[];

struct field_times {
    const char *name;
    size_t offset;    /* in struct result */
    const char *line; /* title in the text report, or NULL */
    const char *remark;
    /* Additional condition for the text report, which never shows times without
     * values. */
    bool (*is_shown)(const struct result *result);
    bool is_always; /* measured in every run, so never null */
};

extern const struct field_times fields_times[SLO_TIMES_COUNT];

const struct histogram *fields_times_in(const struct result *result,
                                        enum slo_times times);

/* Merges @from into @to. Both are structs of a thread that @fields
 * describes. */
void fields_merge(const struct field *fields, void *to, const void *from);

void fields_add_kinds(const struct kinds *kinds, struct kind_record *sum,
                      const struct kind_record *from);

uint64_t fields_get(const struct field *field, const void *from);

/*
 * Suggests another target if the server's answers show that it is needed: a
 * redirect's location, https:// or http:// instead of the other, another
 * version of HTTP, or no verification of the certificate. The suggestion is a
 * whole command line.
 */

#define ELSEWHERE_SIZE 768

/* Finds the target to suggest. Returns false if there is none, or if the run
 * had several targets. */
bool elsewhere_find(const struct result *result, char ret[ELSEWHERE_SIZE]);

/* Returns the text to print before the command line. */
const char *elsewhere_reason(const struct result *result);

/* Writes the command line with target @url. Returns false if it is too long. */
bool elsewhere_write(const struct result *result, const char *url,
                     struct shell_line *ret);

/*
 * Computes how much of the reported latencies is the client's lateness: how
 * late it sent requests, or read their answers.
 *
 * Each figure of the latencies is compared with the same figure of the
 * lateness: percentiles that are reported or in an objective, the mean, and the
 * maximum. The latencies include the lateness, so a lateness that is small
 * against each figure changes none of them much. The limit is a share of the
 * figure, but at least a time by which timers and schedulers may always be
 * late.
 *
 * If late sends, late reads and slow answers are 2 % each, only all three
 * together change the p95. So samples have the latency of a request with and
 * without its lateness, and a figure is compared with the same figure without
 * lateness.
 */

/* A figure of the latencies and the same figure of the lateness. */
struct lateness_figure {
    char name[16];
    double response_ns;
    double late_ns;
    double limit_ns;
};

/* Returns the lateness of a figure as a multiple of its limit. */
double lateness_part(const struct lateness_figure *figure);

/* Return the figure whose lateness is the largest multiple of its limit. Its
 * name is empty if there is none. lateness_of_sends() uses the lateness in
 * @late; lateness_of_client() uses own_lateness and the samples. */
struct lateness_figure lateness_of_sends(const struct result *result,
                                         const struct histogram *late);
struct lateness_figure lateness_of_client(const struct result *result);

/* Writes by how much the client's lateness may raise the reported percentiles,
 * such as "p95 by 12 %, p99 by 33 %". Returns false if it raises none by more
 * than 5 %, or if there are too few samples. */
bool lateness_write_shares(const struct result *result, char *text,
                           size_t size);

/* Returns the largest share of its rate that a closed loop may have lost
 * because the client waited for a CPU. @waited is the share of time that it
 * waited. The result is at most @waited, and at most the share of a latency in
 * which the answer was in the socket: short waits cost nothing while the server
 * has other requests to answer. */
double lateness_lost_share(const struct result *result, double waited);

/*
 * Tests whether the server became slower during the window.
 *
 * Answers of a run are not independent: one stall delays many, and a test of
 * single answers would call any stall a trend. So the window is cut into ten
 * equal parts, and each part is one value. By Little's law the mean latency is
 * the time that requests were in flight, divided by the number of answers.
 *
 * The server became slower if each of the last five parts took longer than each
 * of the first five, and the second half took at least a tenth longer. With
 * constant speed and independent parts, one of 252 orders of the ten parts is
 * like this, so less than half a percent of such runs are called slower. If the
 * server has slow periods of several parts, up to a tenth are. The limit of a
 * tenth avoids reports of tiny differences in runs with very many answers.
 *
 * The result is false with fewer than ten intervals, or if a part of the first
 * half has no answer. Of servers with random latencies that are a fifth slower
 * from the middle on, the test finds 41 % with 100 answers in each part and 91
 * % with 300. Of servers that slow down at three or seven tenths of the window,
 * it finds one in 20.
 */

bool slowing_is_shown(const struct result_row *rows, size_t count,
                      uint64_t window_ns);

/* Returns the index of the part with an interval, if the window has @part_count
 * equal parts. The middle of the interval decides, because timers make its ends
 * late. */
size_t slowing_part_of(const struct interval *row, uint64_t window_ns,
                       size_t part_count);

/* Evaluates a result: whether it is valid, and the exit code. */

/* Sets slo, invalid, warnings, unserved and exit of the result. */
void verdict_reach(struct result *result);

/* Returns "VALID", "INVALID", "FAILED" or "INTERRUPTED". */
const char *verdict_word(const struct result *result);

/* Return the number of requests, and of failed requests. Both include failures
 * that belong to no request. */
uint64_t verdict_attempt_count(const struct result *result);
uint64_t verdict_error_count(const struct result *result);

/* Returns the client's use of CPUs in the window. The unit is one CPU. */
double verdict_cpu_share(const struct result *result);

#endif
