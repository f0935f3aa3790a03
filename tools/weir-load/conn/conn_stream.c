/*
 * Streams: a codec writes requests and reads answers. The hot path is
 * data_received(): the codec reads the answers, their requests leave the ring,
 * and as many new requests are sent. It does not allocate.
 */
#include "conn.h"

#include "tools/common/clock.h"

#include "weir/error.h"

#include <assert.h>
#include <stdio.h>

/* Up to this size, a copy takes fewer instructions than a reference that the
 * library keeps until the bytes are sent. */
#define COPIED_MAX 512U

int codec_write(struct codec_out *out, const void *bytes, size_t len)
{
    return weir_transport_write(out->transport, bytes, len);
}

int codec_write_ref(struct codec_out *out, const void *bytes, size_t len)
{
    if (len <= COPIED_MAX) {
        return codec_write(out, bytes, len);
    }
    return weir_transport_write_ref(out->transport, bytes, len, NULL, NULL);
}

void codec_tell_line(struct codec_out *out, uint32_t place, size_t line)
{
    const struct conn *conn = out->conn;
    const struct traffic *traffic = conn->traffic;

    if (traffic->kinds) {
        conn_flight(conn, out->first + place)->kind =
            traffic->options->groups->places[line];
    }
}

void codec_count_ping(struct codec_out *out)
{
    out->conn->traffic->connections.pings++;
}

static void send_requests(struct conn *conn, uint32_t count, uint64_t meant_ns,
                          uint64_t now_ns)
{
    struct traffic *traffic = conn->traffic;
    const struct traffic_way *way = conn->way;
    const uint32_t first = conn->outstanding - count;
    struct codec_out out = {conn->transport, conn, first};
    const struct codec_batch batch = {
        .count = count,
        .number = traffic->next_number,
        .stride = traffic->number_stride,
        .has_last = conn->outstanding == conn->quota,
    };

    for (uint32_t i = 0; i < count; i++) {
        *conn_flight(conn, first + i) = (struct flight){
            .meant_ns = meant_ns,
            .sent_ns = now_ns,
            .number = traffic->next_number + i * traffic->number_stride,
            .late_ns = traffic->late_ns,
        };
    }
    traffic->next_number += count * traffic->number_stride;
    int err = way->codec->append(way->shared, conn->codec_state, &batch, &out);
    if (err < 0) {
        conn_write_refused(conn, err);
    }
}

static void repeat_requests(struct conn *conn)
{
    const struct traffic *traffic = conn->traffic;
    const struct traffic_way *way = conn->way;
    const uint32_t count = conn->outstanding;
    struct codec_out out = {conn->transport, conn, 0};
    int err = 0;

    conn->repeats = false;
    for (uint32_t i = 0; i < count && err == 0; i++) {
        const struct codec_batch batch = {
            .count = 1,
            .number = conn_flight(conn, i)->number,
            .stride = traffic->number_stride,
            .has_last = i + 1 == count && count == conn->quota,
        };
        err = way->codec->append(way->shared, conn->codec_state, &batch, &out);
        out.first++;
    }
    if (err < 0) {
        conn_write_refused(conn, err);
    }
}

/* Reads bytes between requests. Returns false if the server must not send them,
 * and the connection was given up. */
static bool read_stray(struct conn *conn, const uint8_t *bytes, size_t len,
                       bool *ret_is_end)
{
    const struct traffic_way *way = conn->way;
    char detail[ERRORS_DETAIL_SIZE];
    struct codec_answer answer = {.detail = detail};
    ssize_t used = ERROR_SURPLUS;

    if (way->codec->stray) {
        used = way->codec->stray(way->shared, conn->codec_state, bytes, len,
                                 &answer);
    }
    if (used < 0) {
        snprintf(detail, sizeof(detail),
                 "connection %u: %zu bytes more than expected", conn->index,
                 len);
        conn_give_up(conn, PHASE_VALIDATE, ERROR_SURPLUS, detail);
        return false;
    }
    *ret_is_end = answer.is_complete && answer.ends_connection;
    return true;
}

/* Handles a server that accepts no further request on this connection. */
static void leave(struct conn *conn)
{
    if (conn->outstanding > 0) {
        conn_keep_requests(conn);
    }
    conn_part(conn);
}

/* Reads bytes while no request is in flight. Returns false if the connection
 * has ended. */
static bool read_idle(struct conn *conn, const uint8_t *bytes, size_t len)
{
    bool is_end = false;

    if (!read_stray(conn, bytes, len, &is_end)) {
        return false;
    }
    if (is_end) {
        conn->traffic->connections.ended_idle++;
        conn->ended_new += !conn->was_used;
        leave(conn);
    }
    return !is_end;
}

/* Returns true if all bytes were read, or false if the connection was given up
 * or has ended. @detail has ERRORS_DETAIL_SIZE bytes for the description of a
 * failure. */
static inline __attribute__((always_inline)) bool
read_answers(struct conn *conn, const uint8_t *bytes, size_t len, char *detail,
             uint64_t now_ns)
{
    const struct traffic_way *way = conn->way;

    while (len > 0 && conn->outstanding > 0) {
        struct codec_answer answer = {.detail = detail};
        bool is_end = false;
        ssize_t used = way->codec->consume(way->shared, conn->codec_state,
                                           bytes, len, &answer);
        if (used < 0) {
            conn_give_up(conn, PHASE_VALIDATE, (int)used, detail);
            return false;
        }
        bytes += used;
        len -= (size_t)used;
        if (!answer.is_complete) {
            assert(len == 0);
            if (conn->first_byte_ns == 0 && !answer.is_blank) {
                conn->first_byte_ns = now_ns;
            }
            return true;
        }
        if (len > 0 && conn->outstanding == 1 && !answer.ends_connection) {
            if (!read_stray(conn, bytes, len, &is_end)) {
                return false;
            }
            len = 0;
        }
        if (!(answer.is_waited_out && conn_may_repeat(conn))) {
            traffic_note_quiet(conn->traffic, now_ns);
            conn_take_answer(conn, &answer, now_ns);
        }
        if (answer.ends_connection || is_end) {
            conn->traffic->connections.ended_idle += is_end;
            leave(conn);
            return false;
        }
    }
    return len == 0 || read_idle(conn, bytes, len);
}

/* Ends a connection without requests in flight. */
static void end(struct conn *conn)
{
    const struct traffic_way *way = conn->way;

    if (conn->depth == 0 || !way->codec->farewell) {
        conn_finish(conn);
        return;
    }
    const int err =
        way->codec->farewell(way->shared, conn->codec_state, &conn->out);
    if (err < 0) {
        conn_write_refused(conn, err);
    } else {
        conn_part(conn);
    }
}

static void end_greeting(struct conn *conn, uint64_t now_ns)
{
    struct traffic *traffic = conn->traffic;

    conn->depth = traffic->depth;
    if (conn->repeats) {
        repeat_requests(conn);
    }
    if (conn->state == CONN_OPEN && traffic->pacing) {
        traffic->ready(conn, now_ns);
    } else if (conn->state == CONN_OPEN && traffic->sending) {
        conn_fill(conn, now_ns);
    }
}

static void read_welcome(struct conn *conn, const uint8_t *bytes, size_t len,
                         char *detail, uint64_t now_ns)
{
    const struct traffic_way *way = conn->way;
    struct codec_answer answer = {.detail = detail};

    const ssize_t used = way->codec->welcome(way->shared, conn->codec_state,
                                             bytes, len, &answer);
    if (used < 0) {
        conn_give_up(conn, PHASE_VALIDATE, (int)used, detail);
        return;
    }
    assert(answer.is_complete || (size_t)used == len);
    len -= (size_t)used;
    if (answer.is_complete &&
        (len == 0 || read_idle(conn, bytes + used, len))) {
        end_greeting(conn, now_ns);
    }
}

static int data_received(void *user, weir_transport *t,
                         const struct weir_buf *buf)
{
    struct conn *conn = user;
    char detail[ERRORS_DETAIL_SIZE];

    if (conn->state != CONN_OPEN) {
        if (conn->state == CONN_PREAMBLE) {
            conn_preamble_read(conn, buf->data, buf->len);
        }
        return 0;
    }
    uint64_t now_ns = clock_now_ns();
    conn->received_bytes += buf->len;
    if (conn->depth == 0) {
        read_welcome(conn, buf->data, buf->len, detail, now_ns);
        return 0;
    }
    if (!read_answers(conn, buf->data, buf->len, detail, now_ns)) {
        return 0;
    }
    if (conn->quota > 0) {
        conn->traffic->ready(conn, now_ns);
    } else if (conn->way->announces_end && !conn->is_retired) {
        conn_part(conn);
    } else {
        end(conn);
    }
    return 0;
}

static bool ends_answer(struct conn *conn)
{
    const struct traffic_way *way = conn->way;
    char detail[ERRORS_DETAIL_SIZE];
    struct codec_answer answer = {.detail = detail};

    if (conn->outstanding == 0 || !way->codec->end ||
        !way->codec->end(way->shared, conn->codec_state, &answer)) {
        return false;
    }
    conn_take_answer(conn, &answer, clock_now_ns());
    return true;
}

static int eof_received(void *user, weir_transport *t)
{
    struct conn *conn = user;

    if (conn->state == CONN_OPEN && ends_answer(conn)) {
        leave(conn); /* conn_ended() then ends the connection */
    }
    return conn_ended(user, t);
}

static void prepare(struct conn *conn, const struct target *target)
{
    const struct traffic_way *way = conn->way;
    const struct codec_start start = {
        .target = target,
        .conn_index = conn->index,
        .generation = conn->generation,
        .named = conn->named,
        .repeat_count = conn->repeats ? conn->outstanding : 0,
    };

    way->codec->begin(way->shared, conn->codec_state, &start);
    if (way->codec->greet) {
        conn->depth = 0;
    }
}

static void made(void *user, weir_transport *t)
{
    struct conn *conn = user;
    const struct traffic_way *way = conn->way;

    conn->out = (struct codec_out){t, conn, 0};
    conn_made(conn, t); /* with a greeting, depth is 0: no request is sent */
    if (conn->state != CONN_OPEN || !way->codec->greet) {
        return;
    }
    const int waits =
        way->codec->greet(way->shared, conn->codec_state, &conn->out);
    if (waits < 0) {
        conn_write_refused(conn, waits);
    } else if (waits == 0) {
        end_greeting(conn, clock_now_ns());
    }
}

static void repeat(struct conn *conn)
{
    if (conn->depth > 0) {
        repeat_requests(conn);
    }
}

static void expire(struct conn *conn, uint64_t now_ns, uint64_t timeout_ns)
{
    const uint64_t limit_ns = conn->traffic->options->connect_timeout_ns;
    char detail[ERRORS_DETAIL_SIZE];

    if (conn->depth > 0) {
        conn_expire(conn, now_ns, timeout_ns);
    } else if (now_ns > conn->connected_ns &&
               now_ns - conn->connected_ns >= limit_ns) {
        snprintf(detail, sizeof(detail),
                 "connection %u: the server did not answer what it begins with",
                 conn->index);
        conn_give_up(conn, PHASE_TIMEOUT, ERROR_NO_ANSWER, detail);
    }
}

static void leave_at_end(struct conn *conn)
{
    const struct traffic_way *way = conn->way;

    if (conn->depth > 0 && way->codec->farewell) {
        /* If the write fails, the connection has ended. */
        (void)way->codec->farewell(way->shared, conn->codec_state, &conn->out);
    }
}

static const struct weir_protocol protocol = {
    .size = sizeof(struct weir_protocol),
    .kind = WEIR_PROTOCOL_STREAM,
    .connection_made = made,
    .connection_lost = conn_lost,
    .data_received = data_received,
    .eof_received = eof_received,
};

const struct conn_kind conn_stream = {
    .protocol = &protocol,
    .has_ring = true,
    .prepare = prepare,
    .send = send_requests,
    .expire = expire,
    .repeat = repeat,
    .leave = leave_at_end,
    .end = end,
};
