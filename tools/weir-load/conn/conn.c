/*
 * Shared by all kinds of connections: requests in flight, counters and the
 * closed loop.
 *
 * The clock is read once for each receive, and the answers in it share this
 * time. The send time of a request is when it is passed to the library, which
 * sends it at the end of the loop iteration. Both can only make a latency
 * longer. The loop's own time is read once per iteration and would hide the
 * time that this program takes between the first and the last connection.
 */
#include "conn.h"

#include "tools/common/clock.h"

#include "weir/error.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

static void note_kind(const struct traffic *traffic,
                      const struct flight *flight, enum request_end end,
                      uint16_t status, uint64_t now_ns)
{
    struct kind_record *kind = &traffic->kinds[flight->kind];
    const uint64_t begin_ns =
        traffic->pacing ? flight->meant_ns : flight->sent_ns;

    kind->counts.ok += end == REQUEST_OK;
    kind->counts.failed += end == REQUEST_FAILED || end == REQUEST_LOST;
    kind->counts.timeout += end == REQUEST_TIMEOUT;
    if (status < KINDS_STATUS_COUNT) {
        kind->status[status]++;
    }
    if (end == REQUEST_OK || end == REQUEST_TIMEOUT) {
        histogram_record(&kind->latency, now_ns - begin_ns);
    }
}

static void note_end(const struct conn *conn, const struct flight *flight,
                     enum request_end end, uint16_t status, uint64_t now_ns)
{
    if (!conn->traffic->notes_ends) {
        return;
    }
    if (conn->traffic->kinds) {
        note_kind(conn->traffic, flight, end, status, now_ns);
    }
    if (conn->traffic->log) {
        request_log_note(conn->traffic->log, &(struct request_note){
                                                 .number = flight->number,
                                                 .meant_ns = flight->meant_ns,
                                                 .sent_ns = flight->sent_ns,
                                                 .end_ns = now_ns,
                                                 .conn = conn->index,
                                                 .status = status,
                                                 .end = (uint8_t)end,
                                                 .kind = flight->kind,
                                             });
    }
}

void conn_note_lost(const struct conn *conn, const struct flight *flight,
                    uint64_t now_ns)
{
    note_end(conn, flight, REQUEST_LOST, 0, now_ns);
}

/* Records all measured requests in flight as lost. If the kind has neither a
 * ring nor note_lost(), they are only counted as not logged. */
static void note_lost(const struct conn *conn)
{
    struct traffic *traffic = conn->traffic;

    if (!traffic->notes_ends) {
        return;
    }
    const uint64_t now_ns = clock_now_ns();
    if (conn->way->kind->note_lost) {
        conn->way->kind->note_lost(conn, now_ns);
        return;
    }
    if (!conn->way->kind->has_ring) {
        assert(traffic->log && !traffic->kinds);
        request_log_drop(traffic->log,
                         conn->outstanding - conn->outstanding_warmup);
        return;
    }
    for (uint32_t i = conn->outstanding_warmup; i < conn->outstanding; i++) {
        note_end(conn, conn_flight(conn, i), REQUEST_LOST, 0, now_ns);
    }
}

uint32_t conn_drop_outstanding(struct conn *conn)
{
    struct traffic *traffic = conn->traffic;
    uint32_t dropped = conn->outstanding;

    note_lost(conn);
    traffic->warmup.failed += conn->outstanding_warmup;
    traffic->measured.failed += dropped - conn->outstanding_warmup;
    conn->was_counted |= dropped > conn->outstanding_warmup;
    traffic->outstanding -= dropped;
    conn->outstanding = 0;
    conn->outstanding_warmup = 0;
    return dropped;
}

struct error_kind *conn_count_error(struct conn *conn, enum error_phase phase,
                                    int code, uint32_t requests)
{
    struct traffic *traffic = conn->traffic;

    conn->failures++;
    conn->was_tried = true;
    if (requests == 0 && traffic->judging && traffic->remaining > 0) {
        traffic->events_without_request++;
        conn->was_counted = true;
    }
    return errors_add(&traffic->errors, phase, code, requests);
}

void conn_describe_error(struct conn *conn, struct error_kind *first,
                         const char *format, ...)
{
    va_list args;

    if (!first) {
        return;
    }
    va_start(args, format);
    vsnprintf(first->detail, sizeof(first->detail), format, args);
    va_end(args);
    conn->traffic->events->failed(conn->traffic->events_arg, conn, first);
}

void conn_tell_drained(struct traffic *traffic)
{
    if (traffic->outstanding == 0 &&
        (!traffic->sending || traffic->remaining == 0)) {
        traffic->events->drained(traffic->events_arg);
    }
}

/* Aborts a connection and counts an error of all requests in flight and of
 * @counted requests that have already failed. */
static void give_up(struct conn *conn, enum error_phase phase, int code,
                    const char *detail, uint32_t counted)
{
    struct traffic *traffic = conn->traffic;
    uint32_t requests = counted + conn_drop_outstanding(conn);

    conn_describe_error(conn, conn_count_error(conn, phase, code, requests),
                        "%s", detail);
    conn->state = CONN_LEAVING;
    traffic->reading.taken_ns = 0;
    weir_transport_abort(conn->transport);
    conn_tell_drained(traffic);
}

void conn_give_up(struct conn *conn, enum error_phase phase, int code,
                  const char *detail)
{
    give_up(conn, phase, code, detail, 0);
}

void conn_report_late(struct conn *conn, uint32_t late, uint64_t measured,
                      bool gives_up)
{
    char detail[ERRORS_DETAIL_SIZE];

    snprintf(detail, sizeof(detail),
             "connection %u: %u requests unanswered, %u more were under way",
             conn->index, late, conn->outstanding);
    if (gives_up) {
        give_up(conn, PHASE_TIMEOUT, ERROR_NO_ANSWER, detail,
                (uint32_t)measured);
    } else {
        conn_describe_error(
            conn, conn_count_error(conn, PHASE_TIMEOUT, ERROR_NO_ANSWER, late),
            "%s", detail);
    }
}

void conn_write_refused(struct conn *conn, int err)
{
    char detail[ERRORS_DETAIL_SIZE];

    if (err == -EPIPE) {
        return;
    }
    weir_transport_get_error_text(conn->transport, detail, sizeof(detail));
    conn_give_up(conn, PHASE_WRITE, err, detail);
}

bool conn_may_repeat(const struct conn *conn)
{
    const struct traffic_way *way = conn->way;

    if (!conn->was_used || conn->outstanding == 0 || !way->codec ||
        !way->codec->may_repeat) {
        return false;
    }
    for (uint32_t i = 0; i < conn->outstanding; i++) {
        if (conn_flight(conn, i)->is_repeated) {
            return false;
        }
    }
    return way->codec->may_repeat(way->shared, conn->codec_state,
                                  conn->outstanding);
}

void conn_keep_requests(struct conn *conn)
{
    for (uint32_t i = 0; i < conn->outstanding; i++) {
        conn_flight(conn, i)->is_repeated = true;
    }
    conn->traffic->connections.repeated += conn->outstanding;
    conn->repeats = conn->outstanding > 0;
}

/* Returns true if the server may end the connection with @err. ended_new delays
 * the next connection if this one had no answer. */
static bool take_end(struct conn *conn, int err)
{
    const struct conn_kind *kind = conn->way->kind;
    const bool is_idle = conn->outstanding == 0;

    if (err != ERROR_EOF && err != -ECONNRESET && err != -EPIPE &&
        err != WEIR_ETLSTRUNCATED) {
        return false;
    }
    if (kind->keep) {
        if (!kind->keep(conn, err)) {
            return false;
        }
    } else if (conn->depth == 0) {
        return false; /* in the greeting, the server refuses the connection */
    } else if (!is_idle) {
        if (conn->first_byte_ns > 0 || !conn_may_repeat(conn)) {
            return false;
        }
        conn_keep_requests(conn);
    }
    conn->traffic->connections.ended_idle += is_idle;
    conn->ended_new += !conn->was_used;
    return true;
}

int conn_ended(void *user, weir_transport *t)
{
    struct conn *conn = user;
    char detail[ERRORS_DETAIL_SIZE];

    if (conn->state == CONN_PARTING) {
        return conn_part_at_end(conn);
    }
    if (conn->state == CONN_PREAMBLE) {
        conn_preamble_ended(conn);
    }
    if (conn->state != CONN_OPEN) {
        return 0;
    }
    if (take_end(conn, ERROR_EOF)) {
        conn->state = CONN_CLOSING;
        weir_transport_close(t);
        return 0;
    }
    snprintf(detail, sizeof(detail),
             "connection %u after %llu bytes of answers, %u requests "
             "outstanding",
             conn->index, LLU(conn->received_bytes), conn->outstanding);
    conn_give_up(conn, PHASE_EOF, ERROR_EOF, detail);
    return 0;
}

static void count_sent(struct conn *conn, uint32_t count, uint64_t now_ns,
                       bool is_measured)
{
    struct traffic *traffic = conn->traffic;

    if (traffic->outstanding == 0) {
        traffic->quiet_ns = now_ns;
    }
    conn->was_tried = true;
    conn->outstanding += count;
    traffic->outstanding += count;
    if (is_measured) {
        traffic->measured.sent += count;
    } else {
        traffic->warmup.sent += count;
        conn->outstanding_warmup += count;
    }
}

/* Counts and returns the requests that a closed loop may send now. */
static uint32_t begin_requests(struct conn *conn, uint64_t now_ns)
{
    struct traffic *traffic = conn->traffic;
    uint64_t count =
        conn->depth > conn->outstanding ? conn->depth - conn->outstanding : 0;
    uint64_t quota = conn->quota - conn->outstanding;

    count = count < traffic->remaining ? count : traffic->remaining;
    count = count < quota ? count : quota;
    if (!traffic->sending || count == 0) {
        conn_tell_drained(traffic);
        return 0;
    }
    if (traffic->measuring) {
        traffic->measured.scheduled += count;
        traffic->remaining -= count;
    } else {
        traffic->warmup.scheduled += count;
    }
    count_sent(conn, (uint32_t)count, now_ns, traffic->measuring);
    return (uint32_t)count;
}

void conn_fill(struct conn *conn, uint64_t now_ns)
{
    uint32_t count = begin_requests(conn, now_ns);

    if (count > 0) {
        conn->way->kind->send(conn, count, now_ns, now_ns);
    }
}

bool conn_has_room(const struct conn *conn)
{
    return conn->state == CONN_OPEN && conn->traffic->sending &&
           conn->outstanding < conn->depth && conn->outstanding < conn->quota;
}

void conn_send_meant(struct conn *conn, uint64_t meant_ns, uint64_t now_ns,
                     bool is_measured)
{
    assert(conn_has_room(conn));
    count_sent(conn, 1, now_ns, is_measured);
    if (is_measured && conn->measured_from == UINT64_MAX) {
        conn->measured_from = conn->track.next_number;
    }
    conn->way->kind->send(conn, 1, meant_ns, now_ns);
}

static void thought_cb(void *arg)
{
    struct conn *conn = arg;

    conn->thought = (struct weir_handle){0};
    if (conn->state == CONN_OPEN) {
        conn_fill(conn, clock_now_ns());
    }
}

void conn_think(struct conn *conn, uint64_t now_ns)
{
    struct traffic *traffic = conn->traffic;
    uint64_t think_ns = traffic->options->think_ns;

    if (think_ns == 0 || !traffic->sending || traffic->remaining == 0) {
        conn_fill(conn, now_ns);
        return;
    }
    weir_handle_cancel(traffic->loop, conn->thought);
    conn->thought = (struct weir_handle){0};
    int err = weir_loop_call_later(traffic->loop, think_ns, thought_cb, conn,
                                   &conn->thought);
    if (err < 0) {
        conn_fill(conn, now_ns);
    }
}

void conn_mark_warmup(struct conn *conn)
{
    conn->outstanding_warmup = conn->outstanding;
    conn->measured_from =
        conn->traffic->measuring ? conn->track.next_number : UINT64_MAX;
}

static void count_failure(struct conn *conn, bool is_warmup,
                          enum error_phase phase,
                          const struct codec_answer *answer)
{
    struct traffic *traffic = conn->traffic;
    struct ledger *ledger = is_warmup ? &traffic->warmup : &traffic->measured;

    ledger->failed++;
    conn->was_counted |= !is_warmup;
    conn_describe_error(conn, conn_count_error(conn, phase, answer->code, 1),
                        "%s", answer->detail);
}

void conn_record_times(const struct conn *conn, const struct flight *flight,
                       uint64_t now_ns, struct histogram *service)
{
    struct traffic *traffic = conn->traffic;

    traffic->reading.taken_ns = now_ns - flight->sent_ns;
    traffic->reading.sent_late_ns = flight->late_ns;
    histogram_record(service, now_ns - flight->sent_ns);
    if (traffic->pacing) {
        traffic->reading.taken_ns = now_ns - flight->meant_ns;
        histogram_record(&traffic->record->response, now_ns - flight->meant_ns);
    }
}

static void end_flight(struct conn *conn, bool is_warmup)
{
    assert(conn->outstanding > 0);
    conn->outstanding--;
    conn->outstanding_warmup -= is_warmup;
    conn->traffic->outstanding--;
}

void conn_end_request(struct conn *conn, const struct flight *flight,
                      bool is_warmup, uint64_t first_byte_ns,
                      const struct codec_answer *answer, uint64_t now_ns)
{
    struct traffic *traffic = conn->traffic;
    struct ledger *ledger = is_warmup ? &traffic->warmup : &traffic->measured;

    end_flight(conn, is_warmup);
    conn->quota--;
    conn->failures = 0;
    conn->ended_new = 0;
    conn->was_answered = true;
    conn->was_used = true;
    if (traffic->options->sockets.fast_open && !conn->knows_syn) {
        opening_look_at_syn(conn);
    }
    if (answer->status < TRAFFIC_STATUS_COUNT && !is_warmup) {
        traffic->status[answer->status]++;
    }
    if (answer->location && answer->status / 100 == 3 &&
        traffic->location[0] == '\0') {
        snprintf(traffic->location, sizeof(traffic->location), "%s",
                 answer->location);
    }
    if (!is_warmup && traffic->notes_ends) {
        note_end(conn, flight, answer->code == 0 ? REQUEST_OK : REQUEST_FAILED,
                 answer->status, now_ns);
    }
    if (answer->code == 0) {
        ledger->ok++;
        if (traffic->kinds && traffic->measuring && traffic->judging) {
            traffic->kinds[flight->kind].counts.completed++;
        }
        if (!is_warmup) {
            struct record *record = traffic->record;
            conn_record_times(conn, flight, now_ns,
                              first_byte_ns == 0 ? &record->whole
                                                 : &record->service);
            if (first_byte_ns > 0) {
                histogram_record(&record->ttfb,
                                 first_byte_ns - flight->sent_ns);
            }
        }
    } else {
        count_failure(conn, is_warmup, PHASE_VALIDATE, answer);
    }
}

void conn_take_answer(struct conn *conn, const struct codec_answer *answer,
                      uint64_t now_ns)
{
    const struct flight *flight = conn_flight(conn, 0);
    const uint64_t first_byte_ns = conn->first_byte_ns;

    conn->head++;
    conn->first_byte_ns = 0;
    conn_end_request(conn, flight, conn->outstanding_warmup > 0, first_byte_ns,
                     answer, now_ns);
}

void conn_fail_request(struct conn *conn, const struct flight *flight,
                       bool is_warmup, enum error_phase phase,
                       const struct codec_answer *why)
{
    end_flight(conn, is_warmup);
    conn->quota--;
    if (!is_warmup) {
        note_end(conn, flight,
                 phase == PHASE_VALIDATE ? REQUEST_FAILED : REQUEST_LOST, 0,
                 clock_now_ns());
    }
    count_failure(conn, is_warmup, phase, why);
}

void conn_miss_answer(struct conn *conn, const struct flight *flight,
                      bool is_warmup, uint64_t now_ns)
{
    struct traffic *traffic = conn->traffic;

    end_flight(conn, is_warmup);
    if (is_warmup) {
        traffic->warmup.timeout++;
        return;
    }
    /* Without the times of timeouts the highest percentiles would be too
     * low. */
    conn_record_times(conn, flight, now_ns, &traffic->record->service);
    note_end(conn, flight, REQUEST_TIMEOUT, 0, now_ns);
    traffic->measured.timeout++;
    conn->was_counted = true;
}

void conn_finish(struct conn *conn)
{
    conn->state = CONN_CLOSING;
    conn->traffic->reading.taken_ns = 0;
    conn->traffic->connections.closed_first++;
    weir_transport_close(conn->transport);
    conn_tell_drained(conn->traffic);
}

void conn_retire(struct conn *conn)
{
    assert(conn->state == CONN_OPEN);
    conn->is_retired = true;
    conn->quota = conn->outstanding;
    if (conn->outstanding == 0) {
        conn->way->kind->end(conn);
    }
}

void conn_expire(struct conn *conn, uint64_t now_ns, uint64_t timeout_ns)
{
    struct traffic *traffic = conn->traffic;
    const uint64_t earlier = traffic->measured.timeout;
    uint32_t late = 0;

    while (conn->state == CONN_OPEN && conn->outstanding > 0) {
        const struct flight *flight = conn_flight(conn, 0);
        if (now_ns < flight->sent_ns || now_ns - flight->sent_ns < timeout_ns) {
            break;
        }
        conn->head++;
        conn_miss_answer(conn, flight, conn->outstanding_warmup > 0, now_ns);
        late++;
    }
    if (late > 0) {
        conn_report_late(conn, late, traffic->measured.timeout - earlier, true);
    }
}

static uint32_t choose_quota(const struct conn *conn)
{
    const struct traffic *traffic = conn->traffic;
    const uint32_t span =
        traffic->requests_per_conn_max - traffic->requests_per_conn;

    if (span == 0) {
        return traffic->requests_per_conn;
    }
    const uint64_t random =
        payload_chance(traffic->options->seed, conn->index, conn->generation);
    return traffic->requests_per_conn + (uint32_t)(random % (span + 1));
}

void conn_reset(struct conn *conn)
{
    conn->generation++;
    conn->quota = choose_quota(conn);
    conn->depth = conn->traffic->depth;
    if (!conn->repeats) {
        conn->head = 0;
        conn->outstanding = 0;
        conn->outstanding_warmup = 0;
    } else if (conn->quota < conn->outstanding) {
        conn->quota = conn->outstanding;
    }
    conn->is_retired = false;
    conn->was_used = false;
    conn->knows_syn = false;
    conn->first_byte_ns = 0;
    conn->received_bytes = 0;
    conn->partial_bytes = 0;
    conn->state = CONN_CONNECTING;
    conn->connect_began_ns = clock_now_ns();
}

void conn_made(void *user, weir_transport *t)
{
    struct conn *conn = user;

    conn->transport = t;
    conn->state = CONN_OPEN;
    conn->connected_ns = clock_now_ns();
    conn->traffic->events->opened(conn->traffic->events_arg, conn);
}

void conn_lost(void *user, weir_transport *t, int err)
{
    struct conn *conn = user;
    struct traffic *traffic = conn->traffic;

    if (conn->state == CONN_PREAMBLE && err < 0) {
        conn_preamble_broke(conn, err);
    } else if (conn->state == CONN_OPEN && err < 0 && take_end(conn, err)) {
        conn->state = CONN_CLOSING;
    } else if (conn->state == CONN_OPEN && err < 0) {
        const uint32_t requests = conn_drop_outstanding(conn);
        char detail[ERRORS_DETAIL_SIZE];
        weir_transport_get_error_text(t, detail, sizeof(detail));
        conn_describe_error(
            conn, conn_count_error(conn, PHASE_TRANSFER, err, requests), "%s",
            detail);
    }
    conn_preamble_drop(conn);
    const bool is_parting = conn->state == CONN_PARTING;
    const bool is_done = conn->state == CONN_CLOSING || is_parting;
    weir_handle_cancel(traffic->loop, conn->thought);
    conn->thought = (struct weir_handle){0};
    weir_handle_cancel(traffic->loop, conn->farewell);
    traffic->parting -= is_parting;
    conn->state = CONN_IDLE;
    conn->transport = NULL;
    if (is_done) {
        traffic->events->closed(traffic->events_arg, conn, t);
    } else {
        traffic->events->lost(traffic->events_arg, conn);
    }
    conn_tell_drained(traffic);
}

void conn_fail_connect(struct conn *conn, enum error_phase phase, int err,
                       const char *detail, bool is_shortage)
{
    struct traffic *traffic = conn->traffic;
    const uint32_t requests = conn_drop_outstanding(conn);
    struct error_kind *first = NULL;

    conn->repeats = false;
    conn->state = CONN_IDLE;
    if (is_shortage) {
        conn->failures++;
        traffic->shortages++;
        traffic->shortage = err;
        first = errors_add(&traffic->errors, PHASE_CONNECT, err, requests);
    } else {
        first = conn_count_error(conn, phase, err, requests);
    }
    conn_describe_error(conn, first, "%s", detail);
    conn_tell_drained(traffic);
}
