/*
 * The figures of a run and their tables: errors, latencies, kinds of requests,
 * and objectives.
 *
 * The state of the machine is recorded too, since it can explain a figure.
 */
#ifndef WEIR_LOAD_MEASURE_H
#define WEIR_LOAD_MEASURE_H

#include "tools/load/histogram.h"
#include "tools/weir-load/request/request.h"

#include "weir/address.h"

#include <jansson.h>
#include <sched.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* ---- errors ---- */

/*
 * Errors counted by phase and code, in a table of fixed size. An event is a
 * failed connection; the requests that were in flight on it are counted
 * separately. The first event of each kind keeps a line of detail.
 */

#define ERRORS_KINDS 32
/* Enough for eight failed addresses in the format of tried.h. */
#define ERRORS_DETAIL_SIZE 768

#define ERROR_PHASES(X)                                                        \
    X(CONNECT, "connect")   /* before the connection was established */        \
    X(TLS, "tls")           /* in the TLS handshake */                         \
    X(PREAMBLE, "preamble") /* before the first measured request */            \
    X(WRITE, "write")       /* a request was not accepted */                   \
    X(TRANSFER, "transfer") /* the connection broke */                         \
    X(EOF, "eof")           /* the server ended the stream */                  \
    X(VALIDATE, "validate") /* an answer was not as expected */                \
    X(TIMEOUT, "timeout")   /* no answer in time */

#define ERROR_PHASE(name, text) PHASE_##name,

enum error_phase { ERROR_PHASES(ERROR_PHASE) };

/* weir-load's own codes with their texts, below the codes of the library. HTTP
 * and Redis have more (http_head.h, the ranges below). */
#define ERROR_CODES(X)                                                         \
    X(EOF, "the server closed the connection")                                 \
    X(WRONG_ECHO, "the answer differs from what was sent")                     \
    X(SURPLUS, "more bytes were received than expected")                       \
    X(NO_ANSWER, "no answer within the time-out")                              \
    X(STATUS, "an unexpected status")                                          \
    X(LENGTH, "an invalid length field")                                       \
    X(WRONG_SIZE, "the datagram is not of the size of an answer")              \
    X(ANSWER, "an unexpected answer")                                          \
    X(WANTS_TLS, "the server says that it speaks TLS; write https://")         \
    X(BODY_SIZE, "a body too large for --expect re:")                          \
    X(CAPTURE, "an answer without the value for --capture")                    \
    X(HTTP2, "a violation of HTTP/2")                                          \
    X(NOT_HTTP2, "the server does not speak HTTP/2")                           \
    X(NO_SETTINGS, "no HTTP/2 SETTINGS within the time-out")                   \
    X(NO_STREAM, "the server allowed no stream")                               \
    X(RESP, "an invalid Redis reply")                                          \
    X(NO_WEBSOCKET, "the server does not accept WebSocket")                    \
    X(WEBSOCKET, "WebSocket frames that violate the protocol")                 \
    X(WEBSOCKET_CLOSE, "the server closed the WebSocket")

#define ERROR_CODE(name, text) ERROR_##name,

enum {
    ERROR_BEFORE = -5050,
    ERROR_CODES(ERROR_CODE) ERROR_BEHIND,
};

struct error_kind {
    enum error_phase phase;
    int code;
    uint64_t count;
    uint64_t requests;
    char detail[ERRORS_DETAIL_SIZE];
};

struct error_table {
    size_t kind_count;
    /* Events of kinds that did not fit into the table. */
    uint64_t other_count;
    struct error_kind kinds[ERRORS_KINDS];
};

struct error_count {
    enum error_phase phase;
    int code;
    uint64_t count;
};

struct error_counts {
    size_t kind_count;
    uint64_t other_count;
    struct error_count kinds[ERRORS_KINDS];
};

/* Counts an event. Returns its kind if it is the first of the kind, so that the
 * caller can set the detail, else NULL. */
struct error_kind *errors_add(struct error_table *table, enum error_phase phase,
                              int code, uint64_t requests);

void errors_merge(struct error_table *table, const struct error_table *from);

/* Returns the events since the last call with @seen, and updates @seen. Kinds
 * without new events are left out. */
void errors_since(const struct error_table *table, struct error_counts *seen,
                  struct error_counts *ret);

/* Adds the events of another thread in the same interval. */
void errors_add_counts(struct error_counts *sum,
                       const struct error_counts *from);

const char *error_phase_name(enum error_phase phase);

const char *error_code_name(int code);

/* Returns one line without a full stop. */
const char *error_code_text(int code);

/* ---- h2_errors ---- */

/*
 * Error codes of HTTP/2 and gRPC. Each code that a server can send has an error
 * code of its own, and is counted and named separately.
 */

/* First code of each range. An error is this code minus the code of RFC 9113,
 * section 7, or of gRPC. */
enum {
    H2_ERROR_RST = -5100,
    H2_ERROR_GOAWAY = -5120,
    H2_ERROR_GRPC = -5140,
};

/* Return the error of RST_STREAM, of GOAWAY and of a grpc-status above 0. */
int h2_error_of_reset(uint32_t code);
int h2_error_of_goaway(uint32_t code);
int h2_error_of_grpc(uint32_t status);

/* Returns the name in the RFC, like "PROTOCOL_ERROR". */
const char *h2_code_name(uint32_t code);

/* ---- redis_errors ---- */

/*
 * Error codes of the errors that Redis answers with. Each kind, named by the
 * first word of the error's text, is counted separately.
 */

/* First code. The following codes are one less each. */
enum {
    REDIS_ERROR = -5200,
};

/* Returns the code of a text like "WRONGTYPE Operation against ...". Unknown
 * words are REDIS_OTHER. */
int redis_error_of(const char *text, size_t len);

/* ---- hdr ---- */

/*
 * Encodes a histogram in HdrHistogram's interchange format, version 2,
 * compressed and in base64 (the text begins with HISTF). Libraries and plotters
 * in many languages read it. No count is lost, so results can be merged and
 * compared later.
 */

/* Size limit of hdr_encode_coarse(): each bucket has at most one byte for the
 * zeros before it, and eight for a count of up to 2^53. Headers, the first
 * zeros, zlib's overhead and base64 are added. */
#define HDR_COARSE_BITS    5U
#define HDR_COARSE_BUCKETS ((HISTOGRAM_POWERS + 1U) << HDR_COARSE_BITS)
#define HDR_COARSE_SIZE    ((HDR_COARSE_BUCKETS * 9U + 96U) / 3U * 4U + 8U)

/* Encodes a histogram. Returns a string that the caller frees, or NULL if out
 * of memory. */
char *hdr_encode(const struct histogram *h);

/* Like hdr_encode(), with 32 buckets for each power of two: values are at most
 * 3 % too high, or 31 ns below 1 us. A count is at the highest value of its
 * bucket, so no value is reported too low. All results have the same buckets,
 * so merging them loses no more precision. */
char *hdr_encode_coarse(const struct histogram *h);

/* Encodes bytes in base64. Returns a string that the caller frees, or NULL if
 * out of memory. */
char *hdr_encode_base64(const uint8_t *data, size_t size);

/* ---- hgrm ---- */

/*
 * Writes a histogram as the table of percentiles that HdrHistogram's libraries
 * and wrk2 print, in milliseconds, for public plotters. Unlike hdr.c, it does
 * not have every count.
 */

/* The caller checks @out for errors. */
void hgrm_write(const struct histogram *h, FILE *out);

/* ---- record ---- */

/*
 * Latencies of one thread in one interval of a run.
 *
 * The first and the last byte of an answer that arrives in one piece have the
 * same time. Such an answer is counted once, in whole, and record_settle() adds
 * it to both service and ttfb.
 */

struct record {
    /* Times from the scheduled time to the answer; open models only. */
    struct histogram response;
    /* Times from the scheduled time until sending. */
    struct histogram lateness;
    /* The part of each lateness that this program caused, without the wait for
     * a connection. */
    struct histogram own_lateness;
    /* Times that requests waited for a free connection or HTTP/2 stream, or
     * until a server's window had taken the whole body. */
    struct histogram blocked;
    /* Samples of how long answers waited in the socket. */
    struct histogram reading;
    /* Response times of the requests sampled in reading, or in a closed loop
     * their service times. */
    struct histogram sampled;
    /* The times in sampled without the time in the socket and without
     * own_lateness. */
    struct histogram prompt;
    /* Times from sending to answers that arrive in one piece. */
    struct histogram whole;
    /* Times from sending to the end of answers that arrive in several pieces.
     */
    struct histogram service;
    /* Times from sending to the first byte of answers that arrive in several
     * pieces. */
    struct histogram ttfb;
};

/* Initialises a record in memory that is all zero. */
void record_init(struct record *record);

/* Completes service and ttfb. */
void record_settle(struct record *record);

/* Adds the counts of another record, without loss. Both must be settled. */
void record_merge(struct record *record, const struct record *from);

/* ---- kinds ---- */

/*
 * Kinds of requests that a run counts separately: their names and counters.
 *
 * Lines of --mix and --urls with the same name are one kind. The name is in
 * brackets at the start of a line, after its weight or time:
 *
 *     90 [list] GET /items?page={rand:1:9}
 *     10 POST /items {"id": {seq}}
 *
 * A line without a name in brackets is named by its method and its path without
 * query or, with other protocols, by the first word of the request, up to an
 * escape. If there are more than KINDS_MAX kinds, the last ones are counted
 * together as "other", like lines of that name. Kinds with a name in brackets
 * come first.
 */

#define KINDS_MAX 64U

#define KINDS_CHOSEN 10U

/* Longer names are cut and end with a hash of the whole name, so that different
 * names stay different. */
#define KINDS_NAME_SIZE 100U

#define KINDS_STATUS_COUNT 1000U

struct kinds {
    size_t count;
    /* Names of the kinds. If there are too many, the last is "other". */
    char names[KINDS_MAX][KINDS_NAME_SIZE];
    /* The name was in brackets. */
    bool has_name[KINDS_MAX];
    /* For each line the index of its kind. */
    uint8_t *places;
};

struct kind_counts {
    uint64_t ok;
    uint64_t failed;
    uint64_t timeout;
    /* Good answers in the window, even if the request was of the warm-up. */
    uint64_t completed;
};

struct kind_record {
    struct kind_counts counts;
    uint64_t status[KINDS_STATUS_COUNT];
    /* Latency from the scheduled time, in a closed loop from sending. Includes
     * timeouts. */
    struct histogram latency;
};

/* Finds the kinds of all lines. Returns 0 or -ENOMEM. */
int kinds_init(struct kinds *kinds, const struct request_kind *lines,
               size_t count);

/* Returns the index of a name, or kinds->count. */
size_t kinds_find(const struct kinds *kinds, const char *name);

/* Writes the names that fit, separated by commas. Returns @ret. */
char *kinds_list(const struct kinds *kinds, char *ret, size_t size);

/* Chooses up to KINDS_CHOSEN kinds, those with the most requests. */
void kinds_choose(const struct kinds *kinds, const struct kind_record *records,
                  bool ret[KINDS_MAX]);

/* Returns an empty record for each kind, or NULL if out of memory. */
struct kind_record *kinds_new_records(const struct kinds *kinds);

static inline uint64_t kinds_requests(const struct kind_counts *counts)
{
    return counts->ok + counts->failed + counts->timeout;
}

/* ---- h2_counts ---- */

/*
 * Additional counters of a run over HTTP/2: streams and header blocks of the
 * whole run, warm-up included. Each counter has its row in fields.c.
 */

struct h2_counts {
    /* Connections on which the server allowed fewer streams than --pipeline. */
    uint64_t limited;
    /* Smallest number of streams, above 0 and below --pipeline, that a server
     * allowed on a connection; 0 if there was no such number. */
    uint64_t allowed;
    /* Most streams in flight on a connection. */
    uint64_t reached;
    /* Connections that the server ended with GOAWAY. */
    uint64_t goaways;
    /* Requests that the server has not processed: REFUSED_STREAM, or above the
     * last stream id of a GOAWAY. */
    uint64_t refused;
    /* Streams that the server reset for another reason. */
    uint64_t resets;
    /* How often servers could not send because our receive window was used up,
     * over all streams and connections. */
    uint64_t window_stops;
    /* How long servers could not send for this reason, summed over all streams
     * and connections. */
    uint64_t window_stopped_ns;
    /* Bytes of header fields. */
    uint64_t header_bytes_out;
    uint64_t header_bytes_in;
    /* Bytes of the frames that carry header fields. */
    uint64_t packed_bytes_out;
    uint64_t packed_bytes_in;
};

/* ---- ledger ---- */

/*
 * Counts the requests of a run, or of a part of it, by their result.
 *
 * Each request of the load model is counted once:
 *
 *     scheduled = sent + dropped + waiting for a connection
 *     sent      = ok + failed + timeout + still in flight
 *
 * At the end of a run no request waits for a connection, so scheduled = ok +
 * failed + timeout + dropped + in flight.
 */

struct ledger {
    /* Requests planned by the load model; in a closed loop equal to sent. */
    uint64_t scheduled;
    /* Requests passed to a connection. */
    uint64_t sent;
    uint64_t ok;
    /* Requests with a wrong answer, and requests lost with their connection. */
    uint64_t failed;
    uint64_t timeout;
    /* Requests that were never sent, because no connection was free within
     * --late or until the end of the run. */
    uint64_t dropped;
    /* Requests in flight at the end of the window. Set only in the ledger of a
     * whole run. */
    uint64_t in_flight;
};

struct interval {
    uint64_t begin_ns;
    uint64_t end_ns;
    /* Requests scheduled in the interval; in a closed loop, sent in it. */
    uint64_t offered;
    uint64_t ok;
    uint64_t failed;
    uint64_t timeout;
    uint64_t dropped;
    /* Latency of the answers in the interval: response time in an open model,
     * service time in a closed loop; 0 without an answer. */
    uint64_t p50_ns;
    uint64_t p99_ns;
    uint64_t max_ns;
    /* Requests in flight and open connections at the end of the interval. */
    uint64_t in_flight;
    uint64_t open;
    uint64_t received_bytes;
    uint64_t sent_bytes;
};

/* ---- request_log ---- */

/*
 * --log: writes a line for each measured request.
 *
 * A measuring thread only records a request in its own ring, which never grows;
 * the main thread writes the rings' contents several times in a hundred
 * milliseconds, and never waits for the reader of a pipe. If a ring is full,
 * because the file is slower than the load, the request is not recorded but
 * counted as dropped: the log must not slow down the load.
 */

#define REQUEST_LOG_SIZE (1U << 16)

/* Size of the longest line without the name of a kind. */
#define REQUEST_LOG_LINE 112U

/* Bytes that a ready pipe accepts without blocking (PIPE_BUF). */
#define REQUEST_LOG_PIPE 4096U

enum request_end {
    REQUEST_OK,
    REQUEST_FAILED, /* wrong answer */
    REQUEST_TIMEOUT,
    REQUEST_LOST, /* lost with its connection */
};

struct request_note {
    uint64_t number;
    uint64_t meant_ns;
    uint64_t sent_ns;
    uint64_t end_ns;
    uint32_t conn;
    uint16_t status; /* 0 if none */
    uint8_t end;
    uint8_t kind; /* index of the kind, if kinds are counted */
};

struct request_log_end {
    FILE *out;
    /* Start of the window; times are relative to it. */
    uint64_t begin_ns;
    /* NULL if kinds are not counted. */
    const struct kinds *kinds;
};

struct request_log {
    /* The measuring thread writes noted and dropped, and the main thread writes
     * taken. Each thread's fields have a cache line of their own. */
    _Alignas(64) uint64_t noted;
    uint64_t dropped;
    _Alignas(64) uint64_t taken;
    struct request_note notes[REQUEST_LOG_SIZE];
};

/* Returns NULL if out of memory. */
struct request_log *request_log_new(void);

/* Records a request. Called on the log's thread. */
void request_log_note(struct request_log *log, const struct request_note *note);

/* Counts requests that cannot be recorded. Called on the log's thread. */
static inline void request_log_drop(struct request_log *log, uint64_t count)
{
    log->dropped += count;
}

/* Writes at most @most recorded requests; called on one thread only. Returns
 * the number of lines. */
uint64_t request_log_write(struct request_log *log,
                           const struct request_log_end *end, uint64_t most);

/* Returns the number of lines that a ready pipe accepts without blocking. */
uint64_t request_log_piece(const struct kinds *kinds);

void request_log_write_header(FILE *out);

/* ---- track ---- */

/*
 * Tracks the datagrams of a connection that are in flight, and classifies
 * answers by number: first, late, or duplicate.
 *
 * Numbers begin at 1 and increase by one. A datagram also contains the index of
 * one of @depth slots, and its answer repeats the index, so that the datagram
 * of an answer is found at once. Slots in flight are linked, oldest first.
 */

#define TRACK_NONE UINT32_MAX

struct track_slot {
    /* Number of the last datagram sent from the slot; 0 if none. */
    uint64_t number;
    uint64_t sent_ns;
    /* Scheduled time; set by the caller. */
    uint64_t meant_ns;
    /* Number of the slot's last lost datagram; 0 if no datagram was lost, or if
     * the answer to the lost datagram has arrived since. */
    uint64_t lost;
    /* Neighbours in the list of slots in flight; next also links free slots. */
    uint32_t previous;
    uint32_t next;
    /* How late the client sent the datagram; set by the caller. */
    uint32_t late_ns;
    bool is_under_way;
};

/* Counts of lost datagrams, and of answers that are late, duplicate or
 * reordered. */
struct track_counts {
    /* Datagrams given up. Set only in the counts of a whole run. */
    uint64_t lost;
    /* Answers that arrived after their datagram was counted as lost. */
    uint64_t late;
    /* Second or later answers. */
    uint64_t duplicate;
    /* First answers, in time, with a number lower than an earlier answer's (RFC
     * 4737). */
    uint64_t reordered;
};

enum track_answer {
    TRACK_FIRST,
    TRACK_LATE, /* the datagram was given up before */
    TRACK_DUPLICATE,
    TRACK_STRANGE, /* there was no such datagram */
};

struct track {
    struct track_slot *slots;
    uint32_t depth;
    uint32_t free;
    uint32_t oldest;
    uint32_t newest;
    uint64_t next_number;
    /* Highest number of an answered datagram; 0 if none was answered. */
    uint64_t highest;
};

/* Starts with no datagram in flight. Borrows @depth slots. */
void track_init(struct track *track, struct track_slot *slots, uint32_t depth);

/* Puts a datagram in flight. Returns its slot, or TRACK_NONE if all slots are
 * in use. */
uint32_t track_send(struct track *track, uint64_t now_ns);

/* Handles an answer with this slot and number. Counts an answer in @counts
 * unless it is the first one to its datagram and arrives in order. Writes
 * *ret_sent_ns only if it returns TRACK_FIRST. */
enum track_answer track_receive(struct track *track, uint32_t slot,
                                uint64_t number, struct track_counts *counts,
                                uint64_t *ret_sent_ns);

/* Returns the send time of the oldest datagram in flight, or UINT64_MAX. */
uint64_t track_oldest_ns(const struct track *track);

/* Returns the scheduled time of the oldest datagram in flight, or
 * UINT64_MAX. */
uint64_t track_oldest_meant_ns(const struct track *track);

/* Gives up the oldest datagram in flight; one must be. Returns its number. */
uint64_t track_lose(struct track *track);

/* ---- slo ---- */

/*
 * Objectives of a run (--slo): terms separated by commas, all of which must
 * hold.
 *
 *     p99<5ms,errors<0.1%,rate>=50k
 *
 * A term is a figure, a comparison (< <= > >=) and a limit. Figures:
 *
 *     p50 p99.9 ... mean min max     latency; limit is a time
 *     errors timeouts dropped        number of requests, or share in %
 *     rate                           answers per second; limit is a count
 *     achieved                       share of the offered rate, in %
 *     status.503 status.5xx          answers with a status or class; number,
 *                                    or share of requests in %
 *
 * p95{GET /a}<20ms limits the figure of one kind of requests (kinds.c): a
 * response latency, errors, timeouts, the rate or a status.
 *
 * A latency is a response time, or in a closed loop a service time. Prefixes
 * select other times: `service.p99`, `connect.p99`, `tls.p99`, `ttfb.p99`,
 * `late.p99` and `client.p99`. Blanks are allowed between the parts of a term.
 */

#define SLO_TERMS_MAX 16U
#define SLO_WHY_SIZE  160U
#define SLO_TEXT_SIZE 192U
#define SLO_KIND_SIZE 100U

enum slo_figure {
    SLO_QUANTILE,
    SLO_MEAN,
    SLO_MIN,
    SLO_MAX,
    SLO_ERRORS,
    SLO_TIMEOUTS,
    SLO_DROPPED,
    SLO_RATE,
    SLO_ACHIEVED,
    SLO_STATUS,
};

enum slo_times {
    SLO_RESPONSE,
    SLO_SERVICE,
    SLO_TTFB,
    SLO_CONNECT,
    SLO_TLS,
    SLO_LATE,
    SLO_CLIENT,
    SLO_BLOCKED,
    SLO_READ,
    SLO_TIMES_COUNT,
};

enum slo_comparison {
    SLO_LESS,
    SLO_AT_MOST,
    SLO_MORE,
    SLO_AT_LEAST,
};

struct slo_term {
    enum slo_figure figure;
    enum slo_times times;
    unsigned first_status;
    unsigned last_status;
    /* For SLO_QUANTILE, in the unit of histogram.h. */
    uint32_t share;
    /* Name of the kind of requests that the term limits, or "" if it limits all
     * requests. */
    char kind[SLO_KIND_SIZE];
    enum slo_comparison comparison;
    /* Nanoseconds, a number, or millionths if is_share. */
    uint64_t limit;
    bool is_share;
    /* Text of the term, cut if too long. */
    char text[SLO_TEXT_SIZE];
};

struct slo {
    size_t count;
    struct slo_term terms[SLO_TERMS_MAX];
};

struct slo_error {
    /* Position of the first wrong character, starting at 1. */
    size_t position;
    char why[SLO_WHY_SIZE];
};

struct slo_facts {
    /* NULL if such times were not measured. */
    const struct histogram *times[SLO_TIMES_COUNT];
    uint64_t offered;
    uint64_t errors;
    uint64_t timeouts;
    uint64_t dropped;
    double rate;
    /* 0 in a closed loop. */
    double offered_rate;
    /* Number of answers with each status up to 999, or NULL. */
    const uint64_t *status;
    /* Writes the facts of the kind of requests named @name. Returns false if
     * there is no such kind. NULL if kinds are not counted. */
    bool (*find_kind)(const void *owner, const char *name,
                      struct slo_facts *ret);
    const void *owner;
};

struct slo_outcome {
    /* False if the figure is unknown, for example a percentile of too few
     * values. */
    bool known;
    /* Set if the figure is unknown: the number of values. */
    uint64_t value_count;
    /* Set if the figure is unknown: the number of values needed to know it. */
    uint64_t values_needed;
    bool passed;
    /* In the unit of the limit. */
    double value;
};

/* Returns 0, or -EINVAL with *ret_error. */
int slo_parse(const char *text, struct slo *ret, struct slo_error *ret_error);

/* Evaluates a term. A term with an unknown figure has not passed. */
struct slo_outcome slo_judge(const struct slo_term *term,
                             const struct slo_facts *facts);

bool slo_is_latency(enum slo_figure figure);

/* Formats the value of an outcome. Returns @buf of SLO_TEXT_SIZE bytes. */
const char *slo_format(const struct slo_term *term,
                       const struct slo_outcome *outcome, char *buf);

/* ---- cpus ---- */

/*
 * Lists of CPUs for --cpu and --server-cpu. The two lists must have no CPU in
 * common: if client and server on one machine take CPUs from each other, the
 * results mean little.
 */

#define CPUS_MAX CPU_SETSIZE

struct cpus {
    /* In the order of the list, which may repeat a CPU. */
    int list[CPUS_MAX];
    size_t count;
};

/* Parses a list such as "0,2-3". If the text is not a list, returns false and
 * leaves @ret unchanged. */
bool cpus_parse(const char *text, struct cpus *ret);

/* Returns the CPUs that this process may run on; empty if unknown. */
void cpus_of_process(struct cpus *ret);

/* Returns the first CPU of @a that is also in @b, or -1. */
int cpus_find_common(const struct cpus *a, const struct cpus *b);

void cpus_print(const struct cpus *cpus, FILE *out);

/* ---- sharing ---- */

/*
 * Measures how much other programs used the client's CPUs during the window.
 *
 * A client that uses little of its CPU gets it at once, even next to a program
 * that never sleeps, so the client's times do not reveal the other program.
 * /proc/stat reveals it: time of a CPU that was neither idle nor used by the
 * client was used by others.
 */

/* Shortest window that is measured: in a shorter window the 10 ms ticks of
 * /proc/stat are too coarse. */
#define SHARING_WINDOW_NS UINT64_C(500000000)

/* Counters of a CPU since boot, in ticks; all 0 if /proc/stat does not have the
 * CPU. */
struct sharing_cpu {
    /* Includes iowait, in which programs may run. */
    uint64_t idle;
    /* Interrupts, which are partly work for the client. */
    uint64_t interrupts;
    /* Time that the hypervisor gave to other virtual machines. */
    uint64_t stolen;
    /* Includes the time used by programs. */
    uint64_t total;
};

struct sharing_sample {
    uint64_t at_ns;
    struct sharing_cpu cpus[CPUS_MAX];
};

/* Use of the CPUs that a thread could run on, in CPUs: 0.97 is 97 % of one. */
struct sharing {
    /* Number of these CPUs; 0 if the use is unknown. */
    size_t cpu_count;
    /* Number of threads of the client that shared these CPUs. */
    size_t thread_count;
    double idle;
    /* Use by other programs and by other virtual machines. */
    double others;
    /* Use by other virtual machines only. */
    double stolen;
};

/* Reads /proc/stat. If it cannot be read, the counters of all CPUs are 0. */
void sharing_look(uint64_t now_ns, struct sharing_sample *ret);

/* Returns the use of a list of CPUs between two samples. @own_cpus is the use
 * by the @thread_count threads of the client. Sets cpu_count to 0 if the window
 * was too short, if a CPU is missing in a sample (the CPU is offline, or a
 * container has its own /proc/stat), or if the counters do not match the
 * elapsed time. */
struct sharing sharing_find(const struct sharing_sample *begin,
                            const struct sharing_sample *end,
                            const struct cpus *cpus, size_t thread_count,
                            double own_cpus);

/* Returns the idle share of the CPUs that the threads can use at once. */
double sharing_idle_part(const struct sharing *sharing);

/* Returns the share of the CPU time of these CPUs that others used. */
double sharing_others_part(const struct sharing *sharing);

/* ---- host ---- */

/*
 * Describes this machine and process for a result: what ran where, and how busy
 * the client was. Results without this cannot be compared.
 */

struct host {
    char name[72];
    char kernel[160];
    char machine[72];
    char cpu_model[96];
    char governor[32];
    long cpu_count;
    long cpus_allowed;
    /* The kernel considers the wall clock synchronised (adjtimex(2)). */
    bool clock_is_synchronised;
    /* Estimated and greatest error of the wall clock; 0 if unknown. */
    uint64_t clock_estimated_error_ns;
    uint64_t clock_greatest_error_ns;
};

/* Counters of a thread, read at both ends of the window. */
struct host_usage {
    uint64_t user_ns;
    uint64_t system_ns;
    /* Time that the thread was ready to run but waited for a CPU. */
    uint64_t run_queue_wait_ns;
    /* Largest resident memory of the whole process. */
    uint64_t max_rss_bytes;
};

/* Describes this machine. Unknown values are "" or 0. */
void host_describe(struct host *ret);
void host_measure(struct host_usage *ret);

/* Subtracts the counters read before, except max_rss_bytes. */
void host_subtract(struct host_usage *usage, const struct host_usage *before);

/* Returns true if two addresses of a connection are on one machine. */
bool host_is_same(const struct weir_address *a, const struct weir_address *b);

/* ---- json_part ---- */

/*
 * Helpers for all parts of weir-load's JSON: numbers in range, UTF-8 texts, and
 * histograms.
 *
 * A part that could not be made is NULL. jansson returns NULL for an object
 * with such a part, so it is enough to check the whole object.
 */

/* Converts a value, limited to JSON's signed integers; no count comes near the
 * limit. */
json_int_t json_integer_of(uint64_t value);

bool json_is_text(const char *text);

/* Makes a string. A text that is not UTF-8 becomes "?", because such a text
 * would invalidate the whole object. */
json_t *json_text(const char *text, size_t len);

json_t *json_text_or_null(const char *text);

/* Appends a part to a list. If either is NULL, frees both and returns NULL. */
json_t *json_appended(json_t *list, json_t *part);

/* Returns the FNV-1a hash of an object as a string of 16 hex digits. */
json_t *json_hash(const json_t *object);

/* Returns an object with the main figures of a histogram and, as "hdr", all of
 * it. */
json_t *json_histogram(const struct histogram *h);

/* Like json_histogram(), but returns null for a histogram without counts. */
json_t *json_histogram_or_null(const struct histogram *h);

/* Writes an object, indented or in one line, and a newline. Takes ownership of
 * the object. Returns 0, -ENOMEM if it is NULL, or the error of writing. */
int json_write_object(json_t *object, bool pretty, FILE *out);

#endif
