/*
 * A pair of transports in memory: each end receives the other's bytes. Written
 * bytes wait in the writer's outbox until the other end takes them, in its step
 * and within its receive window, so marks, limits and time-outs work as with a
 * socket. A write pushes the other end's step, which runs in the next loop
 * iteration.
 *
 *     write --> outbox --step of the other end--> lease --> delivery
 *
 * A closing end takes and drops arriving bytes, so that two closing ends do not
 * wait for each other. It is lost when the other end has taken everything. An
 * end that is lost otherwise resets the other end.
 */
#include "lib/base/options.h"
#include "lib/transport/connection.h"
#include "lib/transport/intake.h"

#include <weir/pair.h>

/* Maximum bytes that an end takes at a time, and in one loop iteration. */
#define TAKE_BYTES      (64u << 10)
#define TURN_TAKE_BYTES (4u * TAKE_BYTES)

struct wr_memory {
    struct wr_connection c;
    /* The other end; NULL after one of the two has ended. */
    struct wr_memory *other;
    /* Set when the other end has not taken all bytes. */
    bool is_stuck;
};

static struct wr_memory *memory_of(const struct wr_connection *c)
{
    return (struct wr_memory *)(uintptr_t)c;
}

static bool memory_has_arrived(const struct wr_connection *c)
{
    wr_debug_assert(c->t.state < WR_LIFE_LOST);
    const struct wr_memory *other = memory_of(c)->other;

    return other && other->c.t.is_made && !wr_life_is_over(&other->c.t) &&
           !wr_sendq_is_empty(&other->c.outbox.queue);
}

/* Returns the number of bytes taken, or 0 if the end waits for a window. */
static size_t memory_take(struct wr_memory *m, struct wr_connection *from)
{
    struct iovec piece;
    const uint32_t credit =
        wr_connection_ask(&m->c, m->is_stuck ? m->c.outbox.queue.bytes : 0);
    const size_t most = wr_min_u64(credit, TAKE_BYTES);

    if (credit == 0) {
        return 0;
    }
    const uint32_t count =
        wr_sendq_gather(&from->outbox.queue, &piece, 1, most);
    wr_assert(count == 1 && piece.iov_len > 0);
    wr_connection_received(&m->c, piece.iov_base, piece.iov_len);
    wr_connection_sent(from, piece.iov_len);
    return piece.iov_len;
}

/* Callbacks may close or abort both ends; only their steps free the structs. */
static void memory_receive(struct wr_connection *c)
{
    struct wr_memory *m = memory_of(c);
    struct wr_connection *from = m->other ? &m->other->c : NULL;
    size_t taken = 0;

    wr_assert(!wr_life_is_over(&c->t));
    if (!wr_connection_wants(c)) {
        wr_intake_leave(&c->t);
    }
    while (memory_has_arrived(c) && wr_connection_wants(c)) {
        const size_t bytes = memory_take(m, from);
        taken += wr_max_u64(bytes, WR_LEASE_LEAST);
        if (bytes == 0 || taken >= TURN_TAKE_BYTES) {
            break;
        }
    }
    /* At most one end is stuck, so that the ends do not wait for each other. */
    if (m->other) {
        m->other->is_stuck =
            memory_has_arrived(c) && c->t.demand.state != WR_DEMAND_STUCK;
    }
    if (taken >= TURN_TAKE_BYTES) {
        wr_connection_push(c); /* other connections run first */
    }
}

static void memory_queued(weir_transport *t, size_t len)
{
    struct wr_connection *c = wr_connection_of(t);
    struct wr_memory *other = memory_of(c)->other;

    wr_connection_note_queued(c, len);
    wr_connection_push(other ? &other->c : c);
}

static void memory_shut(struct wr_connection *c)
{
    struct wr_memory *other = memory_of(c)->other;

    wr_assert(!wr_outbox_has_unsent(&c->outbox));
    if (other) {
        wr_connection_received_end(&other->c);
    }
}

static int memory_look(struct wr_connection *c)
{
    struct wr_memory *m = memory_of(c);

    wr_assert(c->t.error == 0);
    /* If the other end is gone, drops the last bytes of a closing TLS
     * connection, whose loss is no error. */
    const uint64_t bytes = c->outbox.queue.bytes;

    wr_assert(!wr_life_is_over(&c->t));
    if (!m->other && !c->outbox.sender && bytes > 0 &&
        bytes <= c->t.farewell_bytes) {
        wr_connection_sent(c, bytes);
    }
    if (memory_has_arrived(c) && c->t.state == WR_LIFE_CLOSING) {
        wr_connection_sent(&m->other->c, m->other->c.outbox.queue.bytes);
    }
    return !m->other && wr_outbox_has_unsent(&c->outbox) ? -EPIPE : 0;
}

static void memory_stop(struct wr_connection *c)
{
    struct wr_memory *m = memory_of(c);
    struct wr_memory *other = m->other;

    if (!other) {
        return;
    }
    const bool is_clean =
        c->t.end_sent && c->t.error == 0 && c->t.end != WEIR_END_ABORTED;

    wr_assert(other->other == m);
    m->other = NULL;
    other->other = NULL;
    if (is_clean && !other->c.t.eof_seen) {
        wr_connection_received_end(&other->c);
    } else if (!is_clean && !wr_life_is_over(&other->c.t)) {
        wr_transport_set_error(&other->c.t, -ECONNRESET, "connection");
    }
    wr_connection_push(&other->c);
}

static bool memory_is_in_flight(const struct wr_connection *c)
{
    wr_assert(c->t.state < WR_LIFE_LOST);
    return false;
}

static void memory_check(const struct wr_connection *c)
{
    const struct wr_memory *m = memory_of(c);

    wr_assert(!m->other || m->other->other == m);
    wr_assert(!m->other || c->t.state < WR_LIFE_ENDING);
    wr_assert(m->other || c->t.state != WR_LIFE_NEW);
}

static void memory_check_progress(const struct wr_connection *c)
{
    wr_assert(!wr_connection_wants(c) || wr_intake_waits(&c->t) ||
              !memory_has_arrived(c));
}

/* True if bytes wait only because the loop has not run the other end's step. */
static bool memory_has_taken_all(const weir_transport *t)
{
    const struct wr_connection *c = wr_connection_of(t);
    const struct wr_memory *other = memory_of(c)->other;

    wr_assert(t->ops->receive == memory_receive);
    return other && !wr_life_is_over(&other->c.t) &&
           !wr_sendq_is_empty(&c->outbox.queue) &&
           wr_ready_is_pending(&other->c.t.step);
}

static uint64_t memory_get_depth(const weir_transport *t)
{
    return wr_outbox_depth(&wr_connection_of(t)->outbox);
}

static const struct wr_sendq *memory_get_unoffered(const weir_transport *t)
{
    return &wr_connection_of(t)->outbox.queue;
}

static const struct wr_transport_ops memory_ops = {
    .name = "memory",
    .protocol_kinds = WR_PROTOCOL_STREAMS,
    .can_write_eof = true,
    .size = sizeof(struct wr_memory),

    .write = wr_outbox_write,
    .writelines = wr_outbox_writelines,
    .write_ref = wr_outbox_write_ref,
    .write_lease = wr_outbox_write_lease,
    .write_eof = wr_connection_write_eof,
    .sendfile = wr_outbox_sendfile,
    .cancel_sendfile = wr_outbox_cancel_sendfile,
    .pause_reading = wr_connection_pause_reading,
    .resume_reading = wr_connection_resume_reading,
    .is_reading = wr_connection_is_reading,
    .is_closing = wr_life_is_closing,
    .get_depth = memory_get_depth,
    .get_unoffered = memory_get_unoffered,
    .get_handover = wr_connection_get_handover,
    .has_unread = wr_connection_has_unread,
    .has_taken_all = memory_has_taken_all,
    .limits_changed = wr_outbox_limits_changed,
    .set_read_limit = wr_intake_set_limit,
    .fed = wr_connection_fed,
    .set_timeouts = wr_connection_set_timeouts,
    .set_protocol = wr_intake_set_protocol,
    .close = wr_connection_close,
    .abort = wr_connection_abort,
    .doom = wr_connection_fail,
    .abandon = wr_outbox_abandon,
    .dump = wr_connection_dump,
    .check = wr_connection_check,
    .free = wr_connection_free,

    .queued = memory_queued,
    .look = memory_look,
    .receive = memory_receive,
    .shut = memory_shut,
    .stop = memory_stop,
    .holds_queue = memory_is_in_flight,
    .is_in_flight = memory_is_in_flight,
    .has_arrived = memory_has_arrived,
    .check_device = memory_check,
    .check_progress = memory_check_progress,

    .part_bytes = WR_SENDFILE_READ,
    .queue_file = wr_outbox_queue_file,
    .end_file = wr_outbox_end_file,
    .file_begins = wr_connection_file_changed,
    .file_ended = wr_connection_file_changed,

    .view_time = wr_connection_view_time,
    .time_expired = wr_life_expire,
};

static bool memory_fits(const struct weir_protocol_binding *binding)
{
    const weir_transport t = {.ops = &memory_ops};

    wr_assert(wr_transport_is_connection(&t));
    return binding->protocol && wr_protocol_fits(&t, binding);
}

int weir_transport_pair(weir_loop *loop,
                        const struct weir_protocol_binding bindings[2],
                        const struct weir_pair_options *options,
                        weir_transport *ret[2])
{
    struct weir_pair_options known;
    struct wr_connection *ends[2];

    wr_require_loop(loop);
    int err = wr_connection_options_read_all(&known, sizeof(known), options,
                                             &known.connection, -1);
    wr_require(err >= 0, err);
    wr_require(bindings && memory_fits(&bindings[0]) &&
                   memory_fits(&bindings[1]),
               -EINVAL);
    wr_require(!wr_loop_is_closing(loop), -ESHUTDOWN);
    ends[0] = wr_connection_make(loop, &memory_ops, &known.connection);
    wr_require(ends[0], -ENOMEM);
    ends[1] = wr_connection_make(loop, &memory_ops, &known.connection);
    if (!ends[1]) {
        wr_connection_discard(ends[0]);
        return -ENOMEM;
    }
    for (int i = 0; i < 2; i++) {
        memory_of(ends[i])->other = memory_of(ends[!i]);
    }
    for (int i = 0; i < 2; i++) {
        ends[i]->t.binding = bindings[i];
        wr_protocol_bound(&ends[i]->t);
        wr_connection_begin(ends[i]);
        wr_connection_push(ends[i]);
        if (ret) {
            ret[i] = &ends[i]->t;
        }
    }
    return 0;
}
