/*
 * The tables of fields. A counter without a row here is in no result. To add
 * one, add a struct member and a row; schema.py makes the schema from the row.
 * A row without ABOUT() is described in the manual.
 */
#include "result.h"

static bool is_open_loop(const struct result *result)
{
    return result->model != RUN_MODEL_CLOSED;
}

static bool has_fast_open(const struct result *result)
{
    return result->options->sockets.fast_open;
}

static bool has_ended_idle(const struct result *result)
{
    return result->connections.ended_idle + result->connections.repeated > 0;
}

static bool is_http(const struct result *result)
{
    return result->options->mode == RUN_MODE_HTTP;
}

static bool has_preamble(const struct result *result)
{
    return result->options->preamble != NULL;
}

static bool is_http2(const struct result *result)
{
    return options_may_speak_http2(result->options);
}

static bool is_auto(const struct result *result)
{
    return is_http(result) &&
           result->options->http.version == HTTP_VERSION_AUTO;
}

#define FIELD(type, member, ...)                                               \
    {                                                                          \
        .offset = offsetof(struct type, member), __VA_ARGS__                   \
    }
#define TEXT(line_, text_) .line = line_, .text = text_
#define ABOUT(text_)       .about = text_
#define END                                                                    \
    {                                                                          \
        .name = NULL                                                           \
    }

#define LEDGER(name_, member, words, ...)                                      \
    FIELD(ledger, member, .name = name_, TEXT("Requests", words), __VA_ARGS__)

const struct field fields_ledger[] = {
    LEDGER("offered", scheduled, "offered", .is_shown = is_open_loop),
    LEDGER("sent", sent, "sent", .is_shown = NULL),
    LEDGER("ok", ok, "ok", .is_shown = NULL),
    LEDGER("failed", failed, "failed", .is_shown = NULL),
    LEDGER("timeout", timeout, "timeout", .is_shown = NULL),
    LEDGER("dropped", dropped, "dropped", .is_shown = is_open_loop),
    LEDGER("in_flight", in_flight, "in flight", .is_shown = NULL),
    END,
};

#define ANSWERS(name_, ...)                                                    \
    FIELD(track_counts, name_, .name = #name_, __VA_ARGS__)

const struct field fields_answers[] = {
    /* The text report prints lost answers first, with their share. */
    ANSWERS(lost, .line = NULL),
    ANSWERS(late, TEXT("Datagrams", "late")),
    ANSWERS(duplicate, TEXT("Datagrams", "duplicate")),
    ANSWERS(reordered, TEXT("Datagrams", "reordered")),
    END,
};

#define SHAKES(name_, ...) FIELD(tls_facts, name_, .name = #name_, __VA_ARGS__)

const struct field fields_handshakes[] = {
    /* The text report prints the rate of handshakes. */
    SHAKES(in_window, .line = NULL),
    SHAKES(full, TEXT("TLS", "handshakes full")),
    SHAKES(resumed, TEXT("TLS", "resumed")),
    SHAKES(failed, TEXT("TLS", "failed")),
    END,
};

#define CONNS(name_, member, ...)                                              \
    FIELD(connection_counts, member, .name = name_, __VA_ARGS__)

const struct field fields_connections[] = {
    CONNS("asked", asked, TEXT("Connections", "asked")),
    CONNS("open_at_begin", open_at_begin, .line = NULL),
    CONNS("opened", opened, TEXT("Connections", "opened")),
    CONNS("failed", failed, TEXT("Connections", "failed")),
    CONNS("lost", lost, TEXT("Connections", "lost")),
    CONNS("open_at_end", open_at_end, TEXT("Connections", "open at the end")),
    CONNS("fast_open", fast_opened, TEXT("Connections", "fast open"),
          .is_shown = has_fast_open,
          ABOUT("connections whose first bytes were sent with the SYN; 0 "
                "without --fast-open")),
    CONNS("never_answered", never_answered,
          TEXT("Connections", "never answered"), .hides_zero = true),
    CONNS("preambles", preambles, TEXT("Preamble", "answered"),
          .is_shown = has_preamble,
          ABOUT("connections whose --preamble was answered")),
    CONNS("preambles_failed", preambles_failed, TEXT("Preamble", "failed"),
          .is_shown = has_preamble,
          ABOUT("connections that ended in their --preamble")),
    CONNS("ended_idle", ended_idle,
          TEXT("Ended", "by the server between requests"),
          .is_shown = has_ended_idle,
          ABOUT("connections that the server ended between requests; not "
                "failures")),
    CONNS("requests_repeated", repeated, TEXT("Ended", "requests sent again"),
          .is_shown = has_ended_idle,
          ABOUT("requests that were sent again because the "
                "server ended their connection without an "
                "answer; they count once")),
    CONNS("closed_first", closed_first, .line = NULL,
          ABOUT("connections that the client closed before the "
                "server did, which keep their ports for a "
                "minute")),
    CONNS("not_closed", not_closed, .line = NULL,
          ABOUT("connections among closed_first that the server should have "
                "closed after their last answer")),
    CONNS("pings", pings, TEXT("Connections", "pings answered"),
          .hides_zero = true, ABOUT("WebSocket pings that were answered")),
    CONNS("http1", http1, TEXT("Agreed", "on HTTP/1.1"), .is_shown = is_auto,
          ABOUT("connections that spoke HTTP/1.1 with --http auto; else 0")),
    CONNS("http2", http2, TEXT("Agreed", "on HTTP/2"), .is_shown = is_auto,
          ABOUT("connections that spoke HTTP/2 with --http auto; else 0")),
    END,
};

#define HTTP2(name_, ...) FIELD(h2_counts, name_, .name = #name_, __VA_ARGS__)
#define HEADER(name_, text_)                                                   \
    HTTP2(name_, .unit = FIELD_BYTES, TEXT("Header", text_),                   \
          .is_shown = is_http2)

const struct field fields_http2[] = {
    /* A warning shows these two. */
    HTTP2(limited, .line = NULL,
          ABOUT("connections that were allowed fewer streams than requested")),
    HTTP2(allowed, .merge = FIELD_LEAST,
          ABOUT("the fewest streams that one of these connections was allowed, "
                "or 0")),
    HTTP2(reached, .merge = FIELD_GREATEST, TEXT("HTTP/2", "streams reached"),
          .is_shown = is_http2,
          ABOUT("the most streams that were in flight on a connection")),
    HTTP2(refused, TEXT("HTTP/2", "refused"), .is_shown = is_http2,
          ABOUT("requests that the server had not started, shown by "
                "REFUSED_STREAM or GOAWAY")),
    HTTP2(resets, TEXT("HTTP/2", "reset"), .is_shown = is_http2),
    HTTP2(goaways, TEXT("HTTP/2", "GOAWAY"), .is_shown = is_http2),
    /* A warning shows these two. */
    HTTP2(window_stops, .line = NULL,
          ABOUT("how often the server was stopped by --window or "
                "--conn-window")),
    HTTP2(window_stopped_ns, .unit = FIELD_TIME, .line = NULL,
          ABOUT("how long the server was stopped, in total")),
    HEADER(header_bytes_out, "out"),
    HEADER(packed_bytes_out, "packed"),
    HEADER(header_bytes_in, "in"),
    HEADER(packed_bytes_in, "packed"),
    END,
};

#define INTERVAL(name_, member, ...)                                           \
    FIELD(interval, member, .name = name_, __VA_ARGS__)
#define LATENCY(name_, member)                                                 \
    FIELD(interval, member, .name = name_, .column = #member,                  \
          .unit = FIELD_LATENCY, .merge = FIELD_GREATEST, .has_kinds = true)

const struct field fields_interval[] = {
    INTERVAL("begin_ns", begin_ns, .unit = FIELD_TIME, .merge = FIELD_FIRST,
             .has_kinds = true),
    INTERVAL("end_ns", end_ns, .unit = FIELD_TIME, .merge = FIELD_GREATEST,
             .has_kinds = true),
    INTERVAL("offered", offered, .unit = FIELD_COUNT),
    INTERVAL("ok", ok, .unit = FIELD_COUNT, .has_kinds = true),
    INTERVAL("failed", failed, .unit = FIELD_COUNT, .has_kinds = true),
    INTERVAL("timeout", timeout, .unit = FIELD_COUNT, .has_kinds = true),
    INTERVAL("dropped", dropped, .unit = FIELD_COUNT),
    LATENCY("p50", p50_ns),
    LATENCY("p99", p99_ns),
    LATENCY("max", max_ns),
    INTERVAL("in_flight", in_flight, .has_kinds = false),
    INTERVAL("open", open, .has_kinds = false),
    INTERVAL("bytes_in", received_bytes, .unit = FIELD_BYTES),
    INTERVAL("bytes_out", sent_bytes, .unit = FIELD_BYTES),
    END,
};

#define USAGE(name_, member, ...)                                              \
    FIELD(host_usage, member, .name = name_, __VA_ARGS__)

const struct field fields_usage[] = {
    /* The text report prints these times as shares of the window. */
    USAGE("cpu_user_ns", user_ns, .unit = FIELD_TIME),
    USAGE("cpu_system_ns", system_ns, .unit = FIELD_TIME),
    USAGE("run_queue_wait_ns", run_queue_wait_ns, .unit = FIELD_TIME),
    USAGE("max_rss_bytes", max_rss_bytes, .unit = FIELD_BYTES,
          .merge = FIELD_PROCESS, TEXT("Client", "rss")),
    END,
};

#define LOOP(name_) FIELD(result_loop, name_, .name = #name_)

const struct field fields_loop[] = {
    LOOP(turns), LOOP(enters), LOOP(overflows), LOOP(starved), END,
};

#define ERROR(name_) FIELD(error_kind, name_, .name = #name_)

const struct field fields_error[] = {ERROR(count), ERROR(requests), END};

#define KIND(name_, ...) FIELD(kind_counts, name_, .name = #name_, __VA_ARGS__)

const struct field fields_kind[] = {
    KIND(ok, ABOUT("answered as expected")),
    KIND(failed, ABOUT("answered wrongly, or lost with their connection")),
    KIND(timeout, ABOUT("not answered in time")),
    KIND(completed, ABOUT("answered as expected in the window, including "
                          "requests of the warm-up")),
    END,
};

#define THREAD(name_, member, ...)                                             \
    FIELD(result_thread, member, .name = name_, __VA_ARGS__)

const struct field fields_thread[] = {
    THREAD("connections", conn_count, .unit = FIELD_COUNT),
    THREAD("ok", ok, .unit = FIELD_COUNT),
    THREAD("cpu_user_ns", user_ns, .unit = FIELD_TIME),
    THREAD("cpu_system_ns", system_ns, .unit = FIELD_TIME),
    THREAD("run_queue_wait_ns", run_queue_wait_ns, .unit = FIELD_TIME),
    END,
};

#define RESULT(name_, member, ...)                                             \
    FIELD(result, member, .name = name_, __VA_ARGS__)

static const struct field fields_bytes[] = {
    /* The text report prints bytes per second. */
    RESULT("in", received_bytes, .unit = FIELD_BYTES),
    RESULT("out", sent_bytes, .unit = FIELD_BYTES),
    END,
};

const struct field fields_result[] = {
    RESULT("waited", waited, TEXT("Offered", "waited for a connection"),
           .hides_zero = true, ABOUT("requests that waited for a connection")),
    RESULT("unserved", unserved, TEXT("Offered", "beyond the server"),
           .hides_zero = true,
           ABOUT("open loop: requests by which the queue grew in the window, "
                 "or that were dropped, if the server was overloaded, else 0")),
    /* The text report shows this count below the errors. */
    RESULT("errors_of_other_kinds", errors.other_count, .line = NULL),
    RESULT("intervals_dropped", rows_dropped, .line = NULL),
    RESULT("log_lines", log_lines, .line = NULL,
           ABOUT("requests in the file of --log")),
    RESULT("log_dropped", log_dropped, .line = NULL,
           ABOUT("requests that are not in the file of --log, because it was "
                 "too slow")),
    END,
};

/* These structs have only counts, each with a row. */
#define ALL_HAVE_ROWS(type, table)                                             \
    _Static_assert(sizeof(struct type) / sizeof(uint64_t) ==                   \
                       sizeof(table) / sizeof((table)[0]) - 1,                 \
                   "a count of struct " #type " has no row in " #table)

ALL_HAVE_ROWS(ledger, fields_ledger);
ALL_HAVE_ROWS(track_counts, fields_answers);
ALL_HAVE_ROWS(connection_counts, fields_connections);
ALL_HAVE_ROWS(h2_counts, fields_http2);
ALL_HAVE_ROWS(kind_counts, fields_kind);
ALL_HAVE_ROWS(interval, fields_interval);
ALL_HAVE_ROWS(host_usage, fields_usage);
ALL_HAVE_ROWS(result_loop, fields_loop);

#define PART(object_, fields_, member)                                         \
    {                                                                          \
        .object = object_, .fields = fields_,                                  \
        .offset = offsetof(struct result, member)                              \
    }

const struct fields_part fields_parts[] = {
    PART("requests", fields_ledger, measured),
    PART("warmup", fields_ledger, warmup),
    PART("datagrams", fields_answers, answers),
    PART("http2", fields_http2, http2),
    PART("tls", fields_handshakes, tls),
    PART("connections", fields_connections, connections),
    PART("client", fields_usage, usage),
    PART("client", fields_loop, loop),
    {.object = "bytes", .fields = fields_bytes},
    {.fields = fields_result},
    {.fields = NULL},
};

#define TIMES(name_, member, ...)                                              \
    {                                                                          \
        .name = name_, .offset = offsetof(struct result, member), __VA_ARGS__  \
    }

const struct field_times fields_times[SLO_TIMES_COUNT] = {
    [SLO_RESPONSE] = TIMES("response", times.response, .line = "Response",
                           .remark = "from intended time"),
    [SLO_SERVICE] = TIMES("service", times.service, .line = "Service",
                          .remark = "from actual send", .is_always = true),
    [SLO_TTFB] = TIMES("ttfb", times.ttfb, .line = "To 1st B",
                       .remark = "from actual send", .is_shown = is_http),
    [SLO_CONNECT] = TIMES("connect", connect, .line = "Connect", .remark = ""),
    [SLO_TLS] =
        TIMES("tls", handshake, .line = "Handshake", .remark = "of TLS"),
    [SLO_LATE] = TIMES("send_lateness", times.lateness, .line = NULL),
    [SLO_CLIENT] = TIMES("client_lateness", times.own_lateness, .line = NULL),
    [SLO_BLOCKED] = TIMES("blocked", times.blocked, .line = "Blocked",
                          .remark = "of requests that waited"),
    [SLO_READ] = TIMES("read_lateness", times.reading, .line = "Read late",
                       .remark = "in the socket until read"),
};

const struct histogram *fields_times_in(const struct result *result,
                                        enum slo_times times)
{
    return (const struct histogram *)((const char *)result +
                                      fields_times[times].offset);
}

uint64_t fields_get(const struct field *field, const void *from)
{
    return *(const uint64_t *)((const char *)from + field->offset);
}

void fields_merge(const struct field *fields, void *to, const void *from)
{
    for (; fields->name; fields++) {
        uint64_t *value = (uint64_t *)((char *)to + fields->offset);
        const uint64_t other = fields_get(fields, from);
        if (fields->merge == FIELD_SUM) {
            *value += other;
        } else if (fields->merge == FIELD_LEAST
                       ? other > 0 && (*value == 0 || other < *value)
                       : fields->merge != FIELD_FIRST && other > *value) {
            *value = other;
        }
    }
}

void fields_add_kinds(const struct kinds *kinds, struct kind_record *sum,
                      const struct kind_record *from)
{
    for (size_t i = 0; i < kinds->count; i++) {
        fields_merge(fields_kind, &sum[i].counts, &from[i].counts);
        for (size_t k = 0; k < KINDS_STATUS_COUNT; k++) {
            sum[i].status[k] += from[i].status[k];
        }
        if (from[i].latency.count > 0) {
            histogram_merge(&sum[i].latency, &from[i].latency);
        }
    }
}
