/*
 * The hot path is data_received: compare, take complete answers from the
 * ring, record, send as many requests again. It allocates nothing; the
 * payload is compared and sent where it lies.
 *
 * Time: the clock is read once for each receive that completes an answer. So
 * the answers that one receive brings together share a time stamp, which is
 * when this program saw them, and the time of a request's sending is when it
 * was handed to the library; it leaves at the end of the same turn of the
 * loop. Both make a latency longer than the server's part in it, never
 * shorter. The loop's own time, read once a turn, would hide the time that
 * this program takes between the first and the last connection of a turn.
 */
#include "conn.h"

#include "weir/error.h"

#include <stdio.h>
#include <time.h>

uint64_t conn_now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

/* Everything under way is lost: counted, and none of it measured. */
static uint32_t drop_outstanding(struct conn *conn)
{
    struct traffic *traffic = conn->traffic;
    uint32_t dropped = conn->outstanding;

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

void conn_tell_drained(struct traffic *traffic)
{
    if (traffic->outstanding == 0 &&
        (!traffic->sending || traffic->remaining == 0)) {
        traffic->events->drained(traffic->events_arg);
    }
}

/* The connection is of no use any more. */
static void give_up(struct conn *conn, enum error_phase phase, int code,
                    const char *detail)
{
    struct traffic *traffic = conn->traffic;
    uint32_t requests = drop_outstanding(conn);

    struct error_kind *first = conn_count_error(conn, phase, code, requests);
    if (first) {
        snprintf(first->detail, sizeof(first->detail), "%s", detail);
    }
    conn->state = CONN_LEAVING;
    traffic->events->failed(traffic->events_arg, conn, first);
    weir_transport_abort(conn->transport);
    conn_tell_drained(traffic);
}

/* ---- sending ---- */

/*
 * A batch of whole requests, by reference: also for 128 bytes that takes fewer
 * instructions than a copy (1180 to 1340 for a request and its answer, the
 * library's included), and no memory for what waits to be sent.
 */
static int write_bytes(struct conn *conn, size_t len)
{
    const uint8_t *bytes = conn->traffic->payload->bytes;

    while (len > 0) {
        size_t part = len < PAYLOAD_REACH ? len : PAYLOAD_REACH;
        int err = weir_transport_write_ref(
            conn->transport, bytes + conn->send_at, part, NULL, NULL);
        if (err < 0) {
            return err;
        }
        conn->send_at = payload_after(conn->send_at, part);
        len -= part;
    }
    return 0;
}

uint32_t conn_begin_requests(struct conn *conn)
{
    struct traffic *traffic = conn->traffic;
    uint64_t count = traffic->depth - conn->outstanding;

    count = count < traffic->remaining ? count : traffic->remaining;
    if (!traffic->sending || count == 0) {
        conn_tell_drained(traffic);
        return 0;
    }
    conn->was_tried = true;
    conn->outstanding += (uint32_t)count;
    traffic->outstanding += count;
    if (traffic->measuring) {
        traffic->measured.scheduled += count;
        traffic->measured.sent += count;
        traffic->remaining -= count;
    } else {
        traffic->warmup.scheduled += count;
        traffic->warmup.sent += count;
        conn->outstanding_warmup += (uint32_t)count;
    }
    return (uint32_t)count;
}

static void fill(struct conn *conn, uint64_t now_ns)
{
    struct traffic *traffic = conn->traffic;
    uint32_t tail = conn->head + conn->outstanding;

    uint32_t count = conn_begin_requests(conn);
    if (count == 0) {
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        conn->sent_ns[(tail + i) & traffic->ring_mask] = now_ns;
    }
    int err = write_bytes(conn, (size_t)count * traffic->size_bytes);
    if (err < 0) {
        char detail[ERRORS_DETAIL_SIZE];
        weir_transport_get_error_text(conn->transport, detail, sizeof(detail));
        give_up(conn, PHASE_WRITE, err, detail);
    }
}

void conn_mark_warmup(struct conn *conn)
{
    conn->outstanding_warmup = conn->outstanding;
    conn->measured_from =
        conn->traffic->measuring ? conn->track.next_number : UINT64_MAX;
}

/* ---- receiving ---- */

static void report_wrong_byte(struct conn *conn, const struct weir_buf *buf,
                              size_t good)
{
    const struct payload *payload = conn->traffic->payload;
    uint32_t at = payload_after(conn->receive_at, good);
    char detail[ERRORS_DETAIL_SIZE];

    snprintf(detail, sizeof(detail),
             "connection %u, byte %llu of the answers: 0x%02x where 0x%02x "
             "was sent",
             conn->index, (unsigned long long)(conn->received_bytes + good),
             buf->data[good], payload->bytes[at]);
    give_up(conn, PHASE_VALIDATE, ERROR_WRONG_ECHO, detail);
}

static bool check_echo(struct conn *conn, const struct weir_buf *buf)
{
    const struct traffic *traffic = conn->traffic;
    size_t good =
        payload_match(traffic->payload, conn->receive_at, buf->data, buf->len);

    if (good < buf->len) {
        report_wrong_byte(conn, buf, good);
        return false;
    }
    size_t expected =
        conn->outstanding * traffic->size_bytes - conn->partial_bytes;
    if (buf->len > expected) {
        char detail[ERRORS_DETAIL_SIZE];
        snprintf(detail, sizeof(detail),
                 "connection %u: %zu bytes more than were sent", conn->index,
                 buf->len - expected);
        give_up(conn, PHASE_VALIDATE, ERROR_SURPLUS, detail);
        return false;
    }
    conn->receive_at = payload_after(conn->receive_at, buf->len);
    conn->received_bytes += buf->len;
    return true;
}

/* How many answers are complete with len more bytes. */
static uint32_t count_answers(struct conn *conn, size_t len)
{
    size_t size_bytes = conn->traffic->size_bytes;
    size_t bytes = conn->partial_bytes + len;

    if (bytes < size_bytes) {
        conn->partial_bytes = bytes;
        return 0;
    }
    if (bytes == size_bytes) {
        conn->partial_bytes = 0;
        return 1;
    }
    conn->partial_bytes = bytes % size_bytes;
    return (uint32_t)(bytes / size_bytes);
}

static void take_answers(struct conn *conn, uint32_t count, uint64_t now_ns)
{
    struct traffic *traffic = conn->traffic;

    for (uint32_t i = 0; i < count; i++) {
        uint64_t sent_ns = conn->sent_ns[conn->head & traffic->ring_mask];
        conn->head++;
        if (conn->outstanding_warmup > 0) {
            conn->outstanding_warmup--;
            traffic->warmup.ok++;
            continue;
        }
        traffic->measured.ok++;
        histogram_record(traffic->latency, now_ns - sent_ns);
    }
    conn->outstanding -= count;
    conn->failures = 0;
    conn->was_answered = true;
    traffic->outstanding -= count;
}

/* The connection has had its answer. */
static void finish(struct conn *conn)
{
    conn->state = CONN_CLOSING;
    weir_transport_close(conn->transport);
    conn_tell_drained(conn->traffic);
}

static int data_received(void *user, weir_transport *t,
                         const struct weir_buf *buf)
{
    struct conn *conn = user;

    (void)t;
    if (conn->state != CONN_OPEN || !check_echo(conn, buf)) {
        return 0;
    }
    uint32_t answers = count_answers(conn, buf->len);
    if (answers > 0) {
        uint64_t now_ns = conn_now_ns();
        take_answers(conn, answers, now_ns);
        if (conn->traffic->is_crr) {
            finish(conn);
        } else {
            fill(conn, now_ns);
        }
    }
    return 0;
}

static int eof_received(void *user, weir_transport *t)
{
    struct conn *conn = user;
    char detail[ERRORS_DETAIL_SIZE];

    (void)t;
    if (conn->state != CONN_OPEN) {
        return 0;
    }
    snprintf(detail, sizeof(detail),
             "connection %u after %llu bytes of answers, %u requests "
             "outstanding",
             conn->index, (unsigned long long)conn->received_bytes,
             conn->outstanding);
    give_up(conn, PHASE_EOF, ERROR_EOF, detail);
    return 0;
}

static void expire(struct conn *conn, uint64_t now_ns, uint64_t timeout_ns)
{
    struct traffic *traffic = conn->traffic;
    uint32_t late = 0;

    while (conn->state == CONN_OPEN && conn->outstanding > 0) {
        uint64_t sent_ns = conn->sent_ns[conn->head & traffic->ring_mask];
        if (now_ns < sent_ns || now_ns - sent_ns < timeout_ns) {
            break;
        }
        if (conn->outstanding_warmup > 0) {
            conn->outstanding_warmup--;
            traffic->warmup.timeout++;
        } else {
            /* Left out of the histogram, it would flatter the tail. */
            histogram_record(traffic->latency, now_ns - sent_ns);
            traffic->measured.timeout++;
            conn->was_counted = true;
        }
        conn->head++;
        conn->outstanding--;
        traffic->outstanding--;
        late++;
    }
    if (late > 0) {
        char detail[ERRORS_DETAIL_SIZE];
        snprintf(detail, sizeof(detail),
                 "connection %u: %u requests unanswered, %u more were under "
                 "way",
                 conn->index, late, conn->outstanding);
        give_up(conn, PHASE_TIMEOUT, ERROR_NO_ANSWER, detail);
    }
}

/* ---- life ---- */

void conn_reset(struct conn *conn, uint64_t seed)
{
    uint32_t start = payload_start(seed, conn->index, conn->generation);

    conn->generation++;
    conn->outstanding = 0;
    conn->outstanding_warmup = 0;
    conn->send_at = start;
    conn->receive_at = start;
    conn->received_bytes = 0;
    conn->state = CONN_CONNECTING;
    conn->connect_began_ns = conn_now_ns();
}

static void prepare(struct conn *conn, uint64_t seed)
{
    conn_reset(conn, seed);
    conn->head = 0;
    conn->partial_bytes = 0;
}

void conn_made(void *user, weir_transport *t)
{
    struct conn *conn = user;

    conn->transport = t;
    conn->state = CONN_OPEN;
    conn->traffic->events->opened(conn->traffic->events_arg, conn);
}

void conn_lost(void *user, weir_transport *t, int err)
{
    struct conn *conn = user;
    struct traffic *traffic = conn->traffic;

    if (conn->state == CONN_OPEN && err < 0) {
        uint32_t requests = drop_outstanding(conn);
        struct error_kind *first =
            conn_count_error(conn, PHASE_TRANSFER, err, requests);
        if (first) {
            weir_transport_get_error_text(t, first->detail,
                                          sizeof(first->detail));
        }
        traffic->events->failed(traffic->events_arg, conn, first);
    }
    const bool is_done = conn->state == CONN_CLOSING;
    conn->state = CONN_IDLE;
    conn->transport = NULL;
    if (is_done) {
        traffic->events->closed(traffic->events_arg, conn, t);
        return;
    }
    traffic->events->lost(traffic->events_arg, conn);
    conn_tell_drained(traffic);
}

void conn_fail_connect(struct conn *conn, enum error_phase phase, int err,
                       const char *detail)
{
    struct traffic *traffic = conn->traffic;

    conn->state = CONN_IDLE;
    struct error_kind *first = conn_count_error(conn, phase, err, 0);
    if (first) {
        snprintf(first->detail, sizeof(first->detail), "%s", detail);
    }
    traffic->events->failed(traffic->events_arg, conn, first);
}

static const struct weir_protocol protocol = {
    .size = sizeof(struct weir_protocol),
    .kind = WEIR_PROTOCOL_STREAM,
    .connection_made = conn_made,
    .connection_lost = conn_lost,
    .data_received = data_received,
    .eof_received = eof_received,
};

const struct conn_kind conn_stream = {
    .protocol = &protocol,
    .prepare = prepare,
    .fill = fill,
    .expire = expire,
};
