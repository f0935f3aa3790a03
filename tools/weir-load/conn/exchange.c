/*
 * Requests and answers as datagrams.
 *
 * A wrong or refused datagram does not end the endpoint. An error that the
 * library reports (ICMP) names no datagram: it is counted by its code, and the
 * datagram is counted when it times out.
 *
 * In mode rr datagrams have no head. One is in flight at a time, and the next
 * received datagram, of --recv bytes, answers it.
 */
#include "conn.h"

#include "tools/common/clock.h"

#include "weir/datagram.h"
#include "weir/error.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

struct head {
    uint32_t tag;
    uint32_t slot;
    uint64_t number;
};

_Static_assert(sizeof(struct head) == EXCHANGE_HEAD_SIZE, "no padding");
_Static_assert(PAYLOAD_REACH >= EXCHANGE_SIZE_MAX, "one piece for a datagram");

static bool has_heads(const struct traffic *traffic)
{
    return traffic->options->mode != RUN_MODE_RR;
}

static struct ledger *end_request(struct conn *conn, uint64_t number)
{
    struct traffic *traffic = conn->traffic;

    assert(conn->outstanding > 0);
    conn->outstanding--;
    traffic->outstanding--;
    if (number >= conn->measured_from) {
        conn->was_counted = true;
        return &traffic->measured;
    }
    assert(conn->outstanding_warmup > 0);
    conn->outstanding_warmup--;
    return &traffic->warmup;
}

static void count_trouble(struct conn *conn, enum error_phase phase, int err)
{
    struct traffic *traffic = conn->traffic;

    conn_describe_error(conn, errors_add(&traffic->errors, phase, err, 0),
                        "connection %u", conn->index);
    traffic->events->datagram_error(traffic->events_arg);
}

/* Returns the tag of a head, which shows that this connection has sent the
 * datagram. */
static uint32_t tag_of(const struct conn *conn, const struct head *head)
{
    uint64_t number = payload_mix(head->number) + head->slot;

    return (uint32_t)payload_mix(conn->nonce ^ payload_mix(number));
}

static uint32_t place_of(const struct conn *conn, uint64_t number)
{
    return payload_after(conn->send_at,
                         (size_t)(number % PAYLOAD_PERIOD) *
                             (size_t)(conn->traffic->size_bytes + 1));
}

static size_t size_of(const struct conn *conn, uint64_t number)
{
    const struct run_options *options = conn->traffic->options;

    return sizes_is_fixed(&options->send)
               ? (size_t)options->send.most
               : (size_t)sizes_draw(
                     &options->send,
                     payload_mix(payload_chance(options->seed, conn->index,
                                                conn->generation) +
                                 number));
}

static int send_one(struct conn *conn, uint64_t meant_ns, uint64_t now_ns)
{
    const struct traffic *traffic = conn->traffic;
    const size_t head_size = has_heads(traffic) ? sizeof(struct head) : 0;
    struct head head = {0};

    head.slot = track_send(&conn->track, now_ns);
    assert(head.slot != TRACK_NONE);
    conn->track.slots[head.slot].meant_ns = meant_ns;
    conn->track.slots[head.slot].late_ns = traffic->late_ns;
    head.number = conn->track.slots[head.slot].number;
    head.tag = tag_of(conn, &head);
    const size_t size = size_of(conn, head.number);
    memcpy(traffic->scratch, &head, head_size);
    memcpy(traffic->scratch + head_size,
           traffic->payload->bytes + place_of(conn, head.number),
           size - head_size);
    return weir_transport_sendto(conn->transport, traffic->scratch, size, NULL);
}

/* A datagram that could not be sent stays in flight and times out. */
static void send_requests(struct conn *conn, uint32_t count, uint64_t meant_ns,
                          uint64_t now_ns)
{
    for (uint32_t i = 0; i < count; i++) {
        int err = send_one(conn, meant_ns, now_ns);
        if (err < 0) {
            count_trouble(conn, PHASE_WRITE, err);
        }
    }
}

static bool is_right(const struct conn *conn, const struct head *head,
                     const struct weir_buf *buf)
{
    const struct traffic *traffic = conn->traffic;

    if (!has_heads(traffic)) {
        return buf->len == traffic->options->recv.most;
    }
    return buf->len == size_of(conn, head->number) &&
           memcmp(buf->data + sizeof(*head),
                  traffic->payload->bytes + place_of(conn, head->number),
                  buf->len - sizeof(*head)) == 0;
}

static void report_wrong(struct conn *conn, const struct weir_buf *buf,
                         uint32_t requests)
{
    const int code =
        has_heads(conn->traffic) ? ERROR_WRONG_ECHO : ERROR_WRONG_SIZE;

    conn_describe_error(
        conn, conn_count_error(conn, PHASE_VALIDATE, code, requests),
        "connection %u, a datagram of %zu bytes", conn->index, buf->len);
}

/* Ends a request with its first answer, right or wrong. */
static void take_first(struct conn *conn, const struct head *head,
                       const struct weir_buf *buf, uint64_t sent_ns)
{
    struct traffic *traffic = conn->traffic;
    uint64_t now_ns = clock_now_ns();

    traffic_note_quiet(traffic, now_ns);
    struct ledger *ledger = end_request(conn, head->number);
    if (is_right(conn, head, buf)) {
        ledger->ok++;
        conn->failures = 0;
        conn->was_answered = true;
        if (ledger == &traffic->measured) {
            const struct flight flight = {
                .meant_ns = conn->track.slots[head->slot].meant_ns,
                .sent_ns = sent_ns,
                .late_ns = conn->track.slots[head->slot].late_ns};
            conn_record_times(conn, &flight, now_ns, &traffic->record->whole);
        }
    } else {
        ledger->failed++;
        report_wrong(conn, buf, 1);
    }
    traffic->ready(conn, now_ns);
}

/* Gets the head of the request that a datagram answers. Returns false if there
 * is none. */
static bool read_head(const struct conn *conn, const struct weir_buf *buf,
                      struct head *ret)
{
    if (!has_heads(conn->traffic)) {
        *ret = (struct head){.number = conn->track.slots[0].number};
        return ret->number > 0;
    }
    if (buf->len < sizeof(*ret)) {
        return false;
    }
    memcpy(ret, buf->data, sizeof(*ret));
    return ret->number > 0 && ret->tag == tag_of(conn, ret);
}

static int datagram_received(void *user, weir_transport *t,
                             const struct weir_datagram *datagram)
{
    struct conn *conn = user;
    struct traffic *traffic = conn->traffic;
    const struct weir_buf *buf = &datagram->buf;
    struct head head = {0};
    uint64_t sent_ns = 0;

    if (conn->state != CONN_OPEN) {
        return 0;
    }
    enum track_answer answer = TRACK_STRANGE;
    if (read_head(conn, buf, &head)) {
        struct track_counts *counts = head.number >= conn->measured_from
                                          ? &traffic->measured_answers
                                          : &traffic->warmup_answers;
        answer = track_receive(&conn->track, head.slot, head.number, counts,
                               &sent_ns);
    }
    if (answer == TRACK_FIRST) {
        take_first(conn, &head, buf, sent_ns);
    } else if (answer == TRACK_STRANGE || !is_right(conn, &head, buf)) {
        report_wrong(conn, buf, 0);
    }
    return 0;
}

static void error_received(void *user, weir_transport *t, int err,
                           const struct weir_address *peer)
{
    const struct conn *conn = user;

    if (conn->state == CONN_OPEN) {
        count_trouble(user, PHASE_TRANSFER, err);
    }
}

static void expire(struct conn *conn, uint64_t now_ns, uint64_t timeout_ns)
{
    struct traffic *traffic = conn->traffic;
    uint32_t lost = 0;

    for (;;) {
        const struct flight flight = {.meant_ns =
                                          track_oldest_meant_ns(&conn->track),
                                      .sent_ns = track_oldest_ns(&conn->track)};
        if (now_ns < flight.sent_ns || now_ns - flight.sent_ns < timeout_ns) {
            break;
        }
        struct ledger *ledger = end_request(conn, track_lose(&conn->track));
        ledger->timeout++;
        if (ledger == &traffic->measured) {
            /* Without the times of timeouts the highest percentiles would be
             * too low. */
            conn_record_times(conn, &flight, now_ns, &traffic->record->service);
        }
        lost++;
    }
    if (lost == 0) {
        return;
    }
    conn_describe_error(
        conn, conn_count_error(conn, PHASE_TIMEOUT, ERROR_NO_ANSWER, lost),
        "connection %u: %u datagrams unanswered, %u more were under way",
        conn->index, lost, conn->outstanding);
    traffic->ready(conn, now_ns);
}

static void prepare(struct conn *conn, const struct target *target)
{
    const struct traffic *traffic = conn->traffic;

    conn->send_at = payload_start(traffic->options->seed, conn->index,
                                  conn->generation - 1);
    conn->nonce = payload_mix(traffic->nonce ^ payload_mix(conn->index)) +
                  conn->generation;
    track_init(&conn->track, conn->track.slots, traffic->depth);
    conn->measured_from =
        traffic->measuring && !traffic->pacing ? 1 : UINT64_MAX;
}

static const struct weir_protocol protocol = {
    .size = sizeof(struct weir_protocol),
    .kind = WEIR_PROTOCOL_DATAGRAM,
    .connection_made = conn_made,
    .connection_lost = conn_lost,
    .datagram_received = datagram_received,
    .error_received = error_received,
};

const struct conn_kind exchange_kind = {
    .protocol = &protocol,
    .prepare = prepare,
    .send = send_requests,
    .expire = expire,
};
