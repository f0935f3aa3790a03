/*
 * The figures of a run: errors, latencies, kinds of requests,
 * objectives, and the state of the machine, which can explain a
 * figure.
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

/*
 * Errors counted by phase and code, in a table of fixed size. One event is one
 * failed request, or one failed connection; the requests that failed with it
 * are counted separately. The first event of each phase and code keeps one line
 * of detail.
 */

#define ERRORS_KINDS 32
/* Enough for eight failed addresses in the format of tried.h. */
#define ERRORS_DETAIL_SIZE 768

#define ERROR_PHASES(X)                                                        \
    X(CONNECT, "connect")   /* before the connection was established */        \
    X(TLS, "tls")           /* in the TLS handshake */                         \
    X(PREAMBLE, "preamble") /* in the preamble of a connection */              \
    X(WRITE, "write")       /* a request was not accepted */                   \
    X(TRANSFER, "transfer") /* the connection broke, or bytes were lost */     \
    X(EOF, "eof")           /* the server closed its direction */              \
    X(VALIDATE, "validate") /* an answer was not the expected one */           \
    X(TIMEOUT, "timeout")   /* no answer within the time-out */

#define ERROR_PHASE(name, text) PHASE_##name,

enum error_phase { ERROR_PHASES(ERROR_PHASE) };

/* weir-load's own error codes and their texts. The codes are below the
 * library's. HTTP, HTTP/2, gRPC and Redis have more codes (http_head.h, and the
 * ranges below). */
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
    /* Events that found the table full. Their phase and code are not kept. */
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

/* Counts an event. For the first event of a phase and code it returns the new
 * entry, whose detail the caller sets; otherwise NULL. */
struct error_kind *errors_add(struct error_table *table, enum error_phase phase,
                              int code, uint64_t requests);

void errors_merge(struct error_table *table, const struct error_table *from);

/* Sets @ret to the events since the last call with the same @seen, and updates
 * @seen. Kinds without new events are left out. */
void errors_since(const struct error_table *table, struct error_counts *seen,
                  struct error_counts *ret);

void errors_add_counts(struct error_counts *sum,
                       const struct error_counts *from);

const char *error_phase_name(enum error_phase phase);

const char *error_code_name(int code);

/* Returns one line of text without a full stop. */
const char *error_code_text(int code);

/* Error codes of HTTP/2 and gRPC. The error of code N (RFC 9113, section 7, or
 * gRPC) is the first code of its range minus N. */
enum {
    H2_ERROR_RST = -5100,
    H2_ERROR_GOAWAY = -5120,
    H2_ERROR_GRPC = -5140,
};

/* Return the error code for RST_STREAM, for GOAWAY and for a grpc-status, where
 * 0 means that there was none. Unknown codes map to the last code of the
 * range. */
int h2_error_of_reset(uint32_t code);
int h2_error_of_goaway(uint32_t code);
int h2_error_of_grpc(uint32_t status);

const char *h2_code_name(uint32_t code);

/* First error code of Redis's error replies. Each known first word of an error
 * has a code; the codes decrease. */
enum {
    REDIS_ERROR = -5200,
};

/* Returns the error code of a text like "WRONGTYPE Operation against ...". An
 * unknown first word has the code of REDIS_OTHER. */
int redis_error_of(const char *text, size_t len);

/*
 * Encodes a histogram in HdrHistogram's interchange format, version 2,
 * compressed and in base64 (the text begins with HISTF). Libraries and plotters
 * in many languages read it. All counts are kept, so results can be merged and
 * compared later.
 */

/* Size limit of hdr_encode_coarse(). Each bucket needs at most one byte for the
 * zeros before it and eight for a count of up to 2^53. The rest is for headers,
 * the first zeros, zlib's overhead and base64. */
#define HDR_COARSE_BITS    5U
#define HDR_COARSE_BUCKETS ((HISTOGRAM_POWERS + 1U) << HDR_COARSE_BITS)
#define HDR_COARSE_SIZE    ((HDR_COARSE_BUCKETS * 9U + 96U) / 3U * 4U + 8U)

/* Returns a string that the caller frees, or NULL if out of memory. */
char *hdr_encode(const struct histogram *h);

/* Like hdr_encode(), but with 32 buckets for each power of two. A count is at
 * the highest value of its bucket, so values are never too low, and at most 3 %
 * (below 1 us, 31 ns) too high. All results have the same buckets, so merging
 * loses no more precision. */
char *hdr_encode_coarse(const struct histogram *h);

/* Returns a string that the caller frees, or NULL if out of memory. */
char *hdr_encode_base64(const uint8_t *data, size_t size);

/* Writes a histogram, in milliseconds, as the table of percentiles that
 * HdrHistogram's libraries and wrk2 print. Public plotters read it. The caller
 * checks @out for errors. */
void hgrm_write(const struct histogram *h, FILE *out);

/*
 * Latencies of one thread in one interval of a run.
 *
 * An answer that arrives in one piece has the same time for its first and last
 * byte. It is counted once, in `whole`; record_settle() adds `whole` to both
 * service and ttfb.
 */

struct record {
    /* From the scheduled time to the answer or timeout. Open models only. */
    struct histogram response;
    /* From the scheduled time to sending. */
    struct histogram lateness;
    /* The part of each lateness that this program caused, without the wait for
     * a free connection. */
    struct histogram own_lateness;
    /* How long requests waited for a free connection or HTTP/2 stream, or until
     * the server's flow-control window had taken the whole body. */
    struct histogram blocked;
    /* How long sampled answers waited in the socket before this program read
     * them. */
    struct histogram reading;
    /* Latencies of the requests sampled in `reading`: response times, or in a
     * closed loop service times. */
    struct histogram sampled;
    /* The times in `sampled` without the time in the socket and without the
     * lateness that this program caused. */
    struct histogram prompt;
    /* From sending to the answer, for answers that arrive in one piece. */
    struct histogram whole;
    /* From sending to the last byte, for answers that arrive in several pieces,
     * or to the timeout. */
    struct histogram service;
    /* From sending to the first byte, for answers that arrive in several
     * pieces. */
    struct histogram ttfb;
};

/* Initialises a record whose memory is all zero. */
void record_init(struct record *record);

/* Adds the answers that arrived in one piece to service and ttfb. */
void record_settle(struct record *record);

/* Returns the response times, or the service times in a closed loop. */
static inline const struct histogram *record_times(const struct record *record)
{
    return record->response.count > 0 ? &record->response : &record->service;
}

/* Adds the counts of another record. Both must be settled. */
void record_merge(struct record *record, const struct record *from);

/*
 * Kinds of requests that a run counts separately.
 *
 * Lines of --mix and --urls with the same name are one kind. The name is in
 * brackets at the start of a line, or after the weight in a line of --mix:
 *
 *     90 [list] GET /items?page={rand:1:9}
 *     10 POST /items {"id": {seq}}
 *
 * A line without brackets is named by its method and its path without query or,
 * with other protocols, by the first word of the request, up to an escape. If
 * there are more than KINDS_MAX kinds, those in brackets are kept first, and
 * the rest are counted together as "other".
 */

#define KINDS_MAX 64U

#define KINDS_CHOSEN 10U

/* Size of a name, with its NUL. A longer name is cut and ends with a hash of
 * the whole name, so that different names stay different. */
#define KINDS_NAME_SIZE 100U

#define KINDS_STATUS_COUNT 1000U

struct kinds {
    size_t count;
    /* If there are too many kinds, one of the names is "other". */
    char names[KINDS_MAX][KINDS_NAME_SIZE];
    /* The name was in brackets. */
    bool has_name[KINDS_MAX];
    /* Index of each line's kind. */
    uint8_t *places;
};

struct kind_counts {
    uint64_t ok;
    uint64_t failed;
    uint64_t timeout;
    /* Correct answers in the window, even if the request was sent in the
     * warm-up. */
    uint64_t completed;
};

struct kind_record {
    struct kind_counts counts;
    uint64_t status[KINDS_STATUS_COUNT];
    /* Latency from the scheduled time, or in a closed loop from sending.
     * Includes requests that timed out. */
    struct histogram latency;
};

/* Finds the kinds of all lines. Returns 0 or -ENOMEM. */
int kinds_init(struct kinds *kinds, const struct request_kind *lines,
               size_t count);

/* Returns the index of a name, or kinds->count if there is no such kind. */
size_t kinds_find(const struct kinds *kinds, const char *name);

/* Writes the names that fit into @size bytes, separated by commas. Returns
 * @ret. */
char *kinds_list(const struct kinds *kinds, char *ret, size_t size);

/* Selects the KINDS_CHOSEN kinds with the most requests. */
void kinds_choose(const struct kinds *kinds, const struct kind_record *records,
                  bool ret[KINDS_MAX]);

/* Returns an array with an empty record for each kind, or NULL if out of
 * memory. */
struct kind_record *kinds_new_records(const struct kinds *kinds);

static inline uint64_t kinds_requests(const struct kind_counts *counts)
{
    return counts->ok + counts->failed + counts->timeout;
}

/* Additional counters of a run over HTTP/2. They cover the whole run, warm-up
 * included. fields.c has a row for each. */

struct h2_counts {
    /* Connections on which the server allowed fewer streams than --pipeline. */
    uint64_t limited;
    /* Smallest number of streams, above 0 and below --pipeline, that a server
     * allowed on a connection. 0 if no server set such a limit. */
    uint64_t allowed;
    /* Most streams in flight on a connection. */
    uint64_t reached;
    uint64_t goaways;
    /* Requests that the server did not process: it reset them with
     * REFUSED_STREAM, or their stream id was above the last id of a GOAWAY. */
    uint64_t refused;
    /* Streams that the server reset with another code. */
    uint64_t resets;
    /* How often the client's receive window stopped a server from sending, over
     * all streams and connections. */
    uint64_t window_stops;
    /* How long the client's receive window stopped servers, summed over all
     * streams and connections. */
    uint64_t window_stopped_ns;
    /* Bytes of header fields before compression. */
    uint64_t header_bytes_out;
    uint64_t header_bytes_in;
    /* Bytes of the HTTP/2 frames that carry header fields. */
    uint64_t packed_bytes_out;
    uint64_t packed_bytes_in;
};

/*
 * Counts the requests of a run, or of an interval, by result. Each request is
 * counted once:
 *
 *     scheduled = sent + dropped + waiting for a connection
 *     sent      = ok + failed + timeout + still in flight
 *
 * At the end of a run no request waits for a connection.
 */

struct ledger {
    /* Requests planned by the load model. In a closed loop equal to sent. */
    uint64_t scheduled;
    /* Requests passed to a connection. */
    uint64_t sent;
    uint64_t ok;
    /* Requests with a wrong answer, and requests lost because their connection
     * broke. */
    uint64_t failed;
    uint64_t timeout;
    /* Requests never sent, because no connection was free at their time (--late
     * skip) or before the run ended. */
    uint64_t dropped;
    /* Requests unanswered at the end of the run. Set only for a whole run. */
    uint64_t in_flight;
};

struct interval {
    uint64_t begin_ns;
    uint64_t end_ns;
    /* Requests scheduled in the interval; in a closed loop, sent in the
     * interval. */
    uint64_t offered;
    uint64_t ok;
    uint64_t failed;
    uint64_t timeout;
    uint64_t dropped;
    /* Latency of the measured requests that succeeded or timed out in the
     * interval: response times, or service times in a closed loop. 0 without
     * such requests. */
    uint64_t p50_ns;
    uint64_t p99_ns;
    uint64_t max_ns;
    /* Requests in flight and open connections at the end of the interval. */
    uint64_t in_flight;
    uint64_t open;
    uint64_t received_bytes;
    uint64_t sent_bytes;
};

/*
 * Writes a line for each measured request (--log).
 *
 * A measuring thread only copies a request to its ring, which has a fixed size.
 * The main thread writes the rings to the file every 20 ms, and waits for the
 * reader of a pipe only at the end. If a ring is full, the request is counted
 * as dropped instead: the log must not slow down the load.
 */

#define REQUEST_LOG_SIZE (1U << 16)

/* Size of the longest line, without the name of its kind. */
#define REQUEST_LOG_LINE 112U

/* Bytes that a ready pipe accepts without blocking (PIPE_BUF). */
#define REQUEST_LOG_PIPE 4096U

enum request_end {
    REQUEST_OK,
    REQUEST_FAILED, /* the answer was wrong, or its stream was reset */
    REQUEST_TIMEOUT,
    REQUEST_LOST, /* the connection broke */
};

struct request_note {
    uint64_t number;
    uint64_t meant_ns;
    uint64_t sent_ns;
    uint64_t end_ns;
    uint32_t conn;
    uint16_t status; /* 0 without a status */
    uint8_t end;
    uint8_t kind; /* index of the kind, if kinds are counted */
};

struct request_log_end {
    FILE *out;
    /* Start of the window. Times in the file are relative to it. */
    uint64_t begin_ns;
    /* NULL if kinds are not counted. */
    const struct kinds *kinds;
};

struct request_log {
    /* The measuring thread writes `noted` and `dropped`, the main thread writes
     * `taken`. The counters of the two threads are on different cache lines. */
    _Alignas(64) uint64_t noted;
    uint64_t dropped;
    _Alignas(64) uint64_t taken;
    struct request_note notes[REQUEST_LOG_SIZE];
};

/* Returns NULL if out of memory. */
struct request_log *request_log_new(void);

/* Records a request. Must be called on the measuring thread. */
void request_log_note(struct request_log *log, const struct request_note *note);

/* Counts requests that cannot be recorded. Must be called on the measuring
 * thread. */
static inline void request_log_drop(struct request_log *log, uint64_t count)
{
    log->dropped += count;
}

/* Writes at most @most recorded requests. Must be called on the main thread.
 * Returns the number of lines written. */
uint64_t request_log_write(struct request_log *log,
                           const struct request_log_end *end, uint64_t most);

/* Returns the number of lines that a ready pipe accepts without blocking. */
uint64_t request_log_piece(const struct kinds *kinds);

void request_log_write_header(FILE *out);

/*
 * The datagrams in flight of a connection. Answers are classified by their
 * number: first, late, or duplicate.
 *
 * Numbers begin at 1 and increase by one. A datagram contains its number and
 * the index of one of @depth slots, and its answer repeats both, so the slot of
 * an answer is found without a search. Slots in flight are linked, oldest
 * first.
 */

#define TRACK_NONE UINT32_MAX

struct track_slot {
    /* Number of the last datagram sent from this slot; 0 if there was none. */
    uint64_t number;
    uint64_t sent_ns;
    /* Scheduled send time, set by the caller. */
    uint64_t meant_ns;
    /* Number of the slot's last lost datagram. 0 if none was lost, or if its
     * answer has arrived late. */
    uint64_t lost;
    /* Neighbours in the list of slots in flight; next also links free slots. */
    uint32_t previous;
    uint32_t next;
    /* How late the client sent the datagram; set by the caller. */
    uint32_t late_ns;
    bool is_under_way;
};

struct track_counts {
    /* Datagrams given up. Set only for a whole run. */
    uint64_t lost;
    /* Answers that arrived after their datagram was counted as lost. */
    uint64_t late;
    /* Answers to a datagram that was already answered. */
    uint64_t duplicate;
    /* First answers, in time, whose number is lower than that of an earlier
     * answer (RFC 4737). */
    uint64_t reordered;
};

enum track_answer {
    TRACK_FIRST,
    TRACK_LATE, /* the datagram was already counted as lost */
    TRACK_DUPLICATE,
    TRACK_STRANGE, /* no such datagram was sent */
};

struct track {
    struct track_slot *slots;
    uint32_t depth;
    uint32_t free;
    uint32_t oldest;
    uint32_t newest;
    uint64_t next_number;
    /* Highest number that was answered in time; 0 if there was none. */
    uint64_t highest;
};

/* Starts with no datagram in flight. @slots has @depth elements and must
 * outlive the track. */
void track_init(struct track *track, struct track_slot *slots, uint32_t depth);

/* Starts a datagram. Returns its slot, or TRACK_NONE if all slots are in
 * use. */
uint32_t track_send(struct track *track, uint64_t now_ns);

/* Handles an answer. Counts a late, duplicate or reordered answer in @counts.
 * Sets *ret_sent_ns only if it returns TRACK_FIRST. */
enum track_answer track_receive(struct track *track, uint32_t slot,
                                uint64_t number, struct track_counts *counts,
                                uint64_t *ret_sent_ns);

/* Return the send time and the scheduled time of the oldest datagram in flight,
 * or UINT64_MAX if there is none. */
uint64_t track_oldest_ns(const struct track *track);

uint64_t track_oldest_meant_ns(const struct track *track);

/* Counts the oldest datagram in flight as lost and frees its slot. Returns its
 * number. A datagram must be in flight. */
uint64_t track_lose(struct track *track);

/*
 * Objectives of a run (--slo): terms separated by commas, all of which must
 * hold.
 *
 *     p99<5ms,errors<0.1%,rate>=50k
 *
 * A term is a figure, a comparison (< <= > >=) and a limit. Figures:
 *
 *     p50 p99.9 ... mean min max     latency; the limit is a time
 *     errors timeouts dropped        number of requests, or share in %
 *     rate                           answers per second; the limit is a count
 *     achieved                       share of the offered rate, in %
 *     status.503 status.5xx          answers with a status or class; number,
 *                                    or share of requests in %
 *
 * p95{GET /a}<20ms limits a figure of one kind of requests: a response latency,
 * errors, timeouts, the rate or a status.
 *
 * A latency is a response time, or in a closed loop a service time. Prefixes
 * select other times: `service.p99`, `connect.p99`, `tls.p99`, `ttfb.p99`,
 * `late.p99`, `client.p99`, `blocked.p99` and `read.p99`. Blanks are allowed
 * between the parts of a term.
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
    /* Kind of requests that the term limits, or "" for all requests. */
    char kind[SLO_KIND_SIZE];
    enum slo_comparison comparison;
    /* Nanoseconds, a number, or millionths if is_share is set. */
    uint64_t limit;
    bool is_share;
    /* Text of the term for messages; a long one is cut. */
    char text[SLO_TEXT_SIZE];
};

struct slo {
    size_t count;
    struct slo_term terms[SLO_TERMS_MAX];
};

struct slo_error {
    /* Position of the first wrong character. The first position is 1. */
    size_t position;
    char why[SLO_WHY_SIZE];
};

struct slo_facts {
    /* Latencies by prefix. NULL if this time was not measured. */
    const struct histogram *times[SLO_TIMES_COUNT];
    uint64_t offered;
    uint64_t errors;
    uint64_t timeouts;
    uint64_t dropped;
    double rate;
    /* 0 in a closed loop. */
    double offered_rate;
    /* Number of answers by status, 0 to 999. May be NULL. */
    const uint64_t *status;
    /* Sets @ret to the figures of the kind named @name, or returns false if
     * there is none. NULL if kinds are not counted. */
    bool (*find_kind)(const void *owner, const char *name,
                      struct slo_facts *ret);
    const void *owner;
};

struct slo_outcome {
    /* The figure is known. A percentile of too few values, for example, is
     * not. */
    bool known;
    /* Only for an unknown percentile: the number of measured values, and the
     * number of values that the percentile needs. */
    uint64_t value_count;
    uint64_t values_needed;
    bool passed;
    /* In the unit of the limit. */
    double value;
};

/* Returns 0, or -EINVAL with *ret_error. */
int slo_parse(const char *text, struct slo *ret, struct slo_error *ret_error);

/* Evaluates a term. A term whose figure is unknown has not passed. */
struct slo_outcome slo_judge(const struct slo_term *term,
                             const struct slo_facts *facts);

bool slo_is_latency(enum slo_figure figure);

/* Writes the value of an outcome to @buf, which has SLO_TEXT_SIZE bytes.
 * Returns @buf. */
const char *slo_format(const struct slo_term *term,
                       const struct slo_outcome *outcome, char *buf);

/*
 * Lists of CPUs for --cpu and --server-cpu. If client and server on one machine
 * take CPU time from each other, the results mean little, so the two lists must
 * have no CPU in common (without --force).
 */

#define CPUS_MAX CPU_SETSIZE

struct cpus {
    /* In the order of the text, which may repeat a CPU. */
    int list[CPUS_MAX];
    size_t count;
};

/* Parses a list such as "0,2-3". Returns false and leaves @ret unchanged if the
 * text is no list. */
bool cpus_parse(const char *text, struct cpus *ret);

/* Gets the CPUs that this process may run on. @ret is empty if they are
 * unknown. */
void cpus_of_process(struct cpus *ret);

/* Returns the first CPU of @a that is also in @b, or -1. */
int cpus_find_common(const struct cpus *a, const struct cpus *b);

void cpus_print(const struct cpus *cpus, FILE *out);

/*
 * Measures how much other programs used the client's CPUs during the window.
 *
 * A client that uses little CPU time is scheduled at once, even next to a
 * program that never sleeps, so its own times do not show that program.
 * /proc/stat does: the time in which a CPU was not idle, not in an interrupt
 * and not used by the client was used by others.
 */

/* Shortest window that is measured. In a shorter one the 10 ms ticks of
 * /proc/stat are too coarse. */
#define SHARING_WINDOW_NS UINT64_C(500000000)

/* Counters of a CPU since boot, in ticks. All are 0 if /proc/stat does not list
 * the CPU. */
struct sharing_cpu {
    /* Includes iowait, during which the CPU can run programs. */
    uint64_t idle;
    /* Interrupts. Part of this time is work for the client. */
    uint64_t interrupts;
    /* Time in which the hypervisor ran other virtual machines. */
    uint64_t stolen;
    /* Sum of the other three and the time used by programs. */
    uint64_t total;
};

struct sharing_sample {
    uint64_t at_ns;
    struct sharing_cpu cpus[CPUS_MAX];
};

/* Use of the CPUs that the client's threads could run on. The unit is one CPU:
 * 0.97 is 97 % of one. */
struct sharing {
    /* Number of these CPUs. 0 if their use is unknown. */
    size_t cpu_count;
    /* Number of the client's threads that shared these CPUs. */
    size_t thread_count;
    double idle;
    /* Use by other programs and other virtual machines. */
    double others;
    double stolen;
};

/* Reads /proc/stat. If the file cannot be opened, all fields of @ret are 0. */
void sharing_look(uint64_t now_ns, struct sharing_sample *ret);

/* Returns the use of a list of CPUs between two samples. @own_cpus is the use
 * by the client's @thread_count threads. Sets cpu_count to 0 in these cases:
 * - The window was too short.
 * - A CPU is missing in a sample: it is offline, or a container has its own
 *   /proc/stat.
 * - The counters do not match the elapsed time. */
struct sharing sharing_find(const struct sharing_sample *begin,
                            const struct sharing_sample *end,
                            const struct cpus *cpus, size_t thread_count,
                            double own_cpus);

/* Returns idle CPUs divided by the number of CPUs that the client's threads can
 * use at once. */
double sharing_idle_part(const struct sharing *sharing);

double sharing_others_part(const struct sharing *sharing);

/* Describes this machine and process in a result. Results without this cannot
 * be compared. */

struct host {
    char name[72];
    char kernel[160];
    char machine[72];
    char cpu_model[96];
    char governor[32];
    long cpu_count;
    long cpus_allowed;
    bool clock_is_synchronised;
    /* Estimated and maximum error of the wall clock (adjtimex(2)). 0 if
     * unknown. */
    uint64_t clock_estimated_error_ns;
    uint64_t clock_greatest_error_ns;
};

/* Counters of a thread, read at the start and the end of the window. */
struct host_usage {
    uint64_t user_ns;
    uint64_t system_ns;
    /* Time that the thread was ready to run but waited for a CPU. */
    uint64_t run_queue_wait_ns;
    /* Largest resident memory of the whole process. */
    uint64_t max_rss_bytes;
};

/* Unknown values become "" or 0. */
void host_describe(struct host *ret);
void host_measure(struct host_usage *ret);

/* Subtracts earlier counters, except from max_rss_bytes. */
void host_subtract(struct host_usage *usage, const struct host_usage *before);

/* Returns true if both addresses have the same IP address, or are Unix
 * sockets. */
bool host_is_same(const struct weir_address *a, const struct weir_address *b);

/*
 * Builds parts of JSON results: numbers in range, UTF-8 texts, histograms.
 *
 * A part that could not be made is NULL. jansson returns NULL for an object
 * with such a part, so it is enough to check the whole object.
 */

/* Converts a value; values above INT64_MAX, which no real count reaches, become
 * INT64_MAX. */
json_int_t json_integer_of(uint64_t value);

bool json_is_text(const char *text);

/* Makes a string. A text that is not UTF-8 becomes "?", because jansson would
 * fail the whole object. */
json_t *json_text(const char *text, size_t len);

json_t *json_text_or_null(const char *text);

/* Appends a part to a list. If the part is NULL, frees the list. Returns the
 * list or NULL. */
json_t *json_appended(json_t *list, json_t *part);

/* Returns the FNV-1a hash of an object as a string of 16 hex digits. */
json_t *json_hash(const json_t *object);

/* Returns an object with the main figures of a histogram. Its "hdr" has all
 * counts. */
json_t *json_histogram(const struct histogram *h);

json_t *json_histogram_or_null(const struct histogram *h);

/* Writes an object, indented or in one line, and a newline. Takes ownership of
 * the object. Returns 0, -ENOMEM if the object is NULL, or the error of
 * writing. */
int json_write_object(json_t *object, bool pretty, FILE *out);

#endif
