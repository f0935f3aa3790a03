/*
 * Mode stream: an endless flow of bytes up, down or in both directions, counted
 * in blocks of --send bytes.
 *
 * Up, a block is done when the kernel has accepted its last byte. The transport
 * pauses writing whenever bytes are queued, and resumes when none are, so all
 * --pipeline blocks in flight are done together. Down, a block is done when its
 * last byte has arrived; its contents are not checked. In both directions,
 * blocks are counted as they arrive, and sent one after the other.
 */
#include "conn.h"

#include "tools/common/clock.h"

#include "weir/error.h"

static bool goes_up(const struct conn *conn)
{
    return conn->traffic->options->direction != RUN_DOWN;
}

static bool goes_down(const struct conn *conn)
{
    return conn->traffic->options->direction != RUN_UP;
}

/* Returns false if the connection was given up or will be lost. */
static bool write_block(struct conn *conn)
{
    const struct traffic *traffic = conn->traffic;
    const size_t len = traffic->size_bytes;

    int err = weir_transport_write_ref(conn->transport,
                                       traffic->payload->bytes + conn->send_at,
                                       len, NULL, NULL);
    if (err < 0) {
        conn_write_refused(conn, err);
        return false;
    }
    conn->send_at = payload_after(conn->send_at, len);
    return true;
}

static void begin_blocks(struct conn *conn, uint32_t count, uint64_t meant_ns,
                         uint64_t now_ns)
{
    const uint32_t first = conn->outstanding - count;
    const bool is_both = goes_up(conn) && goes_down(conn);
    uint32_t to_write = goes_up(conn) ? count : 0;

    for (uint32_t i = 0; i < count; i++) {
        *conn_flight(conn, first + i) =
            (struct flight){.meant_ns = meant_ns, .sent_ns = now_ns};
    }
    if (goes_down(conn)) {
        weir_transport_resume_reading(conn->transport);
    }
    if (is_both && weir_transport_get_write_buffer_size(conn->transport) > 0) {
        to_write = 0; /* the previous block is still being sent */
    }
    while (to_write > 0 && write_block(conn)) {
        to_write--;
    }
}

static void end_block(struct conn *conn, uint64_t now_ns)
{
    static const struct codec_answer done = {.is_complete = true};

    traffic_note_quiet(conn->traffic, now_ns);
    conn_take_answer(conn, &done, now_ns);
}

static void resume_writing(void *user, weir_transport *t)
{
    struct conn *conn = user;
    const uint64_t now_ns = clock_now_ns();

    if (conn->state != CONN_OPEN) {
        return;
    }
    if (goes_down(conn)) {
        if (conn->traffic->sending) {
            write_block(conn);
        }
        return;
    }
    while (conn->outstanding > 0) {
        end_block(conn, now_ns);
    }
    conn_fill(conn, now_ns);
}

static void pause_writing(void *user, weir_transport *t)
{
}

static int data_received(void *user, weir_transport *t,
                         const struct weir_buf *buf)
{
    struct conn *conn = user;
    const size_t size = conn->traffic->size_bytes;
    const uint64_t now_ns = clock_now_ns();

    conn->received_bytes += buf->len;
    if (!goes_down(conn) || conn->outstanding == 0) {
        return 0; /* no block is expected */
    }
    conn->partial_bytes += buf->len;
    while (conn->state == CONN_OPEN && conn->outstanding > 0 &&
           conn->partial_bytes >= size) {
        conn->partial_bytes -= size;
        end_block(conn, now_ns);
        conn_fill(conn, now_ns);
    }
    return 0;
}

static void made(void *user, weir_transport *t)
{
    struct conn *conn = user;

    weir_transport_set_write_buffer_limits(
        t, (struct weir_water_marks){.high_bytes = 0, .low_bytes = 0});
    if (goes_down(conn)) {
        weir_transport_pause_reading(t); /* until a block is requested */
    }
    conn_made(conn, t);
}

static void prepare(struct conn *conn, const struct target *target)
{
    conn->send_at = payload_start(conn->traffic->options->seed, conn->index,
                                  conn->generation);
}

static const struct weir_protocol protocol = {
    .size = sizeof(struct weir_protocol),
    .kind = WEIR_PROTOCOL_STREAM,
    .connection_made = made,
    .connection_lost = conn_lost,
    .data_received = data_received,
    .eof_received = conn_ended,
    .pause_writing = pause_writing,
    .resume_writing = resume_writing,
};

const struct conn_kind conn_flow = {
    .protocol = &protocol,
    .prepare = prepare,
    .send = begin_blocks,
    .expire = conn_expire,
};
