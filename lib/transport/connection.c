/*
 * Connections: the life of a stream of bytes on any device.
 *
 * Only the step changes the life; a call of the program sets a state and pushes
 * the step. An error ends a connection in the same way on all devices: unsent
 * bytes are dropped, and bytes that arrived before the error are delivered.
 */
#include "connection.h"

#include "lib/base/options.h"
#include "uring/guard.h"
#include "weir/unix.h"

#include <string.h>

static const struct wr_device *connection_device(const struct wr_connection *c)
{
    wr_debug_assert(c->t.ops->device->receive);
    return c->t.ops->device;
}

/* ---- what must hold ---- */

static void connection_check_invariants(const struct wr_connection *c)
{
    const weir_transport *t = &c->t;

    wr_transport_check_invariants(t);
    wr_intake_check_invariants(t);
    wr_outbox_check_invariants(&c->outbox);
    wr_delivery_check_invariants(&c->delivery);
    wr_assert(wr_delivery_is_shut(&c->delivery) == (t->state > WR_LIFE_OPEN));
    wr_assert(!wr_delivery_has_end(&c->delivery) || c->eof_seen);
    wr_assert(!c->end_sent || !wr_outbox_has_unsent(&c->outbox));
    wr_assert(wr_outbox_is_over(&c->outbox) || !wr_life_is_over(t));
    wr_assert(t->state < WR_LIFE_ENDING || !wr_timer_is_armed(&c->clock.timer));
    connection_device(c)->check(c);
}

/* Something will continue the connection: a step, an operation or a wait. */
void wr_connection_check(const weir_transport *t)
{
    const struct wr_connection *c = wr_connection_of(t);

    connection_check_invariants(c);
    wr_assert(t->loop->budget.queued_bytes >= c->outbox.queue.bytes);
    if (wr_ready_is_pending(&t->step)) {
        return; /* the step checks everything */
    }
    wr_assert(c->is_made && t->state != WR_LIFE_DOOMED);
    wr_assert(t->state != WR_LIFE_ENDING || c->outbox.sender ||
              connection_device(c)->is_in_flight(c));
    wr_assert(!wr_connection_is_reading(t) ||
              !wr_delivery_has_held(&c->delivery));
    connection_device(c)->check_progress(c);
    if (c->outbox.sender && !wr_outbox_is_over(&c->outbox)) {
        wr_sender_check_progress(c->outbox.sender);
    }
}

/* ---- bytes ---- */

/* Arms the clock again if there are limits. */
static void connection_time_changed(struct wr_connection *c)
{
    wr_assert(c->t.state != WR_LIFE_LOST);
    if (c->clock.has_limits) {
        wr_clock_changed(&c->clock);
    }
}

void wr_connection_goes_on(struct wr_connection *c)
{
    wr_assert(!wr_life_is_over(&c->t));
    if (wr_intake_goes_on(&c->t)) {
        wr_clock_note_received(&c->clock); /* the read time-out restarts */
        connection_time_changed(c);
    }
}

uint32_t wr_connection_ask(struct wr_connection *c, uint64_t stuck_bytes)
{
    wr_assert(wr_connection_wants(c));
    if (wr_intake_waits(&c->t)) {
        return 0;
    }
    c->t.demand.stuck_bytes = stuck_bytes;
    const uint32_t credit = wr_intake_ask(&c->t);
    if (credit > 0) {
        wr_connection_goes_on(c);
    }
    return credit;
}

void wr_connection_note_received(struct wr_connection *c, uint64_t bytes)
{
    wr_assert(bytes > 0);
    c->t.loop->counts.received_bytes += bytes;
    wr_clock_note_received(&c->clock);
}

void wr_connection_received(struct wr_connection *c, const void *data,
                            size_t len)
{
    weir_transport *t = &c->t;
    weir_lease *lease =
        wr_lease_copy(&t->loop->pool, &t->demand.account, data, len);

    wr_assert(len > 0 && t->state < WR_LIFE_LOST);
    if (!lease) {
        wr_delivery_lose_bytes(t, -ENOMEM);
        return;
    }
    wr_connection_note_received(c, len);
    if (wr_delivery_given(t, &c->delivery, lease)) {
        wr_connection_push(c);
    }
}

void wr_connection_received_end(struct wr_connection *c)
{
    wr_assert(!c->eof_seen && c->t.state < WR_LIFE_LOST);
    c->eof_seen = true;
    if (c->t.state == WR_LIFE_OPEN) {
        wr_delivery_end(&c->delivery);
        connection_time_changed(c);
        wr_connection_push(c);
    }
}

void wr_connection_sent(struct wr_connection *c, uint64_t bytes)
{
    weir_transport *t = &c->t;

    wr_assert(bytes > 0 && t->state < WR_LIFE_LOST);
    t->loop->counts.sent_bytes += bytes;
    wr_clock_note_sent(&c->clock);
    wr_outbox_consume(t, bytes);
    wr_outbox_notify(t);
    if (t->demand.state == WR_DEMAND_STUCK) {
        wr_intake_look_anew(t);
    }
    if (c->outbox.sender || (wr_sendq_is_empty(&c->outbox.queue) &&
                             wr_outbox_is_ending(&c->outbox))) {
        wr_connection_push(c); /* a file or the end waits for an empty queue */
    }
}

/* ---- its life ---- */

void wr_connection_free(weir_transport *t)
{
    wr_guard_free(&t->loop->counting, wr_connection_of(t),
                  t->ops->device->size);
}

/* Drops the unsent bytes. A file being sent ends first, because it counts its
 * bytes in the queue. */
static void connection_break_outbox(struct wr_connection *c)
{
    wr_assert(c->t.error);
    if (!wr_outbox_is_over(&c->outbox)) {
        wr_outbox_lose_peer(&c->outbox);
    }
    if (!c->outbox.sender && !connection_device(c)->is_in_flight(c)) {
        wr_outbox_drop(&c->t);
        wr_intake_tell_drop(&c->t);
    }
}

static void connection_look(struct wr_connection *c)
{
    weir_transport *t = &c->t;
    const struct wr_device *device = connection_device(c);
    const int err = t->error == 0 && device->look ? device->look(c) : 0;

    wr_assert(!wr_life_is_over(t));
    if (err < 0) {
        wr_transport_set_error(t, err, "write");
    }
    if (t->error) {
        connection_break_outbox(c);
    } else if (!c->end_sent && wr_outbox_is_ending(&c->outbox) &&
               !wr_outbox_has_unsent(&c->outbox)) {
        c->end_sent = true;
        connection_time_changed(c);
        if (device->shut) {
            device->shut(c);
        }
    }
}

/* True if the connection can end: a close has sent everything or failed, or an
 * open connection has failed and has delivered all held bytes. The end of the
 * stream alone does not end it. */
static bool connection_is_done(const struct wr_connection *c)
{
    wr_assert(c->is_made);
    if (c->t.state == WR_LIFE_CLOSING) {
        return c->end_sent || c->t.error;
    }
    return c->t.state == WR_LIFE_OPEN && c->t.error &&
           !wr_delivery_has_held(&c->delivery);
}

static void connection_end(struct wr_connection *c)
{
    wr_assert(c->t.state == WR_LIFE_DOOMED);
    wr_life_set_state(&c->t, WR_LIFE_ENDING);
    wr_intake_leave(&c->t);
    wr_clock_stop(&c->clock);
    connection_device(c)->stop(c);
}

static void connection_lose(struct wr_connection *c)
{
    wr_assert(!connection_device(c)->is_in_flight(c));
    wr_outbox_drop(&c->t);
    wr_life_lose(&c->t);
    wr_protocol_lost(&c->t);
    if (connection_device(c)->close) {
        connection_device(c)->close(c);
    }
    wr_life_leave(&c->t);
}

/* Makes all changes of state that are possible now; may free the connection. */
static void connection_advance(struct wr_connection *c)
{
    if (!wr_life_is_over(&c->t)) {
        connection_look(c);
    }
    if (c->outbox.sender && wr_outbox_is_over(&c->outbox) &&
        !connection_device(c)->is_in_flight(c)) {
        wr_sender_break(c->outbox.sender);
    }
    if (connection_is_done(c)) {
        wr_life_doom(&c->t);
    }
    if (c->t.state == WR_LIFE_DOOMED) {
        connection_end(c);
    }
    connection_check_invariants(c);
    if (c->t.state == WR_LIFE_ENDING && !c->outbox.sender &&
        !connection_device(c)->is_in_flight(c)) {
        connection_lose(c);
    }
}

/* Tells the protocol of the end. The protocol may keep the connection, unless
 * the device is one-way: that connection is closed. */
static void connection_end_stream(struct wr_connection *c)
{
    wr_assert(c->eof_seen);
    wr_delivery_end_stream(&c->t, &c->delivery);
    if (connection_device(c)->is_one_way && c->t.state == WR_LIFE_OPEN) {
        wr_transport_set_end(&c->t, WEIR_END_EOF);
        wr_connection_close(&c->t);
    }
}

void wr_connection_tell_made(struct wr_connection *c)
{
    wr_assert(!c->is_made);
    c->is_made = true;
    wr_protocol_made(&c->t);
    if (!wr_life_is_over(&c->t) && !wr_sendq_is_empty(&c->outbox.queue)) {
        connection_device(c)->send(c); /* written before connection_made */
    }
}

static void connection_step(struct wr_ready *ready)
{
    struct wr_connection *c =
        wr_container_of(ready, struct wr_connection, t.step);

    connection_check_invariants(c);
    if (!c->is_made) {
        wr_connection_tell_made(c);
    }
    wr_delivery_show_held(&c->t, &c->delivery);
    if (!wr_life_is_over(&c->t)) {
        connection_device(c)->receive(c);
    }
    if (wr_delivery_end_is_due(&c->delivery)) {
        connection_end_stream(c);
    }
    if (c->outbox.sender && !wr_outbox_is_over(&c->outbox)) {
        wr_sender_go_on(c->outbox.sender);
    }
    connection_advance(c);
}

/* ---- calls of the program ---- */

void wr_connection_close(weir_transport *t)
{
    struct wr_connection *c = wr_connection_of(t);

    connection_check_invariants(c);
    if (wr_life_close(t)) {
        wr_intake_leave(t);
        wr_clock_close(&c->clock);
    }
}

void wr_connection_abort(weir_transport *t)
{
    connection_check_invariants(wr_connection_of(t));
    if (t->state != WR_LIFE_NEW && !wr_life_is_over(t)) {
        wr_transport_set_end(t, WEIR_END_ABORTED);
        wr_life_doom(t);
    }
}

void wr_connection_write_eof(weir_transport *t)
{
    struct wr_connection *c = wr_connection_of(t);

    connection_check_invariants(c);
    if (c->outbox.state == WR_OUTBOX_OPEN) {
        wr_outbox_end(&c->outbox);
        wr_connection_push(c);
    }
}

void wr_connection_pause_reading(weir_transport *t)
{
    connection_check_invariants(wr_connection_of(t));
    if (t->state == WR_LIFE_OPEN) {
        wr_delivery_pause(&wr_connection_of(t)->delivery);
        wr_intake_leave(t); /* the step asks again */
    }
}

void wr_connection_resume_reading(weir_transport *t)
{
    struct wr_connection *c = wr_connection_of(t);

    connection_check_invariants(c);
    if (t->state == WR_LIFE_OPEN && wr_delivery_is_paused(&c->delivery)) {
        wr_delivery_resume(&c->delivery);
        wr_clock_note_received(&c->clock); /* the read time-out restarts */
        connection_time_changed(c);
        wr_connection_push(c);
    }
}

/* Sets the limits without linger_ns: a close waits until everything is sent,
 * and does not linger. */
static void connection_set_limits(struct wr_connection *c,
                                  const struct weir_timeouts *timeouts)
{
    struct weir_timeouts limits = *timeouts;

    wr_assert(!wr_life_is_over(&c->t));
    limits.linger_ns = 0;
    wr_clock_set_limits(&c->clock, &limits);
}

int wr_connection_set_timeouts(weir_transport *t,
                               const struct weir_timeouts *timeouts)
{
    connection_check_invariants(wr_connection_of(t));
    if (!wr_life_is_over(t)) {
        connection_set_limits(wr_connection_of(t), timeouts);
    }
    return 0;
}

/* ---- what the parts call ---- */

void wr_connection_fed(weir_transport *t, enum wr_demand_state queue)
{
    wr_assert(queue != WR_DEMAND_IDLE && t->step.run == connection_step);
    wr_life_push_step(t);
}

static void connection_queued(weir_transport *t, size_t len)
{
    struct wr_connection *c = wr_connection_of(t);

    if (c->outbox.queue.bytes == len) {
        wr_clock_note_sent(&c->clock); /* the time-out begins */
        connection_time_changed(c);
    }
    connection_device(c)->send(c);
}

static void connection_file_changed(weir_transport *t)
{
    wr_assert(wr_connection_of(t)->outbox.sender);
    wr_life_push_step(t);
}

static const struct wr_sender_ops connection_sender_ops = {
    .queue = wr_outbox_queue_file,
    .ended = wr_outbox_file_ended,
    .part_bytes = WR_SENDFILE_READ,
};

const struct wr_outbox_ops wr_connection_outbox_ops = {
    .offset = offsetof(struct wr_connection, outbox),
    .queued = connection_queued,
    .file_begins = connection_file_changed,
    .file_ended = connection_file_changed,
    .sender = &connection_sender_ops,
};

static void connection_view(const weir_transport *t, struct wr_clock_view *ret)
{
    ret->is_over = wr_life_is_over(t);
    ret->is_open = t->state == WR_LIFE_OPEN;
    ret->is_reading =
        t->ops->is_reading && wr_connection_is_reading(t) && !t->held_back;
    ret->is_sending = !wr_sendq_is_empty(&wr_connection_of(t)->outbox.queue);
}

static const struct wr_clock_ops connection_clock_ops = {
    .view = connection_view, .expired = wr_life_expire};

/* ---- making ---- */

static int connection_check_options(struct weir_connection_options *connection)
{
    int err = wr_options_read_inner(connection, &connection->timeouts,
                                    sizeof(connection->timeouts));

    wr_require(err >= 0, err);
    wr_require(connection->read_limit_bytes == 0 ||
                   connection->read_limit_bytes >= WR_CREDIT_MIN,
               -EINVAL);
    wr_require(connection->fd_limit <= WEIR_FDS_MAX, -EINVAL);
    return 0;
}

int wr_connection_options_read(const void *outer,
                               struct weir_connection_options *connection)
{
    int err = wr_options_read_inner(outer, connection, sizeof(*connection));

    return err < 0 ? err : connection_check_options(connection);
}

int wr_connection_options_take(struct weir_connection_options *known,
                               const struct weir_connection_options *options)
{
    int err = wr_options_read(known, sizeof(*known), options);

    return err < 0 ? err : connection_check_options(known);
}

struct wr_connection *
wr_connection_make(weir_loop *loop, const struct wr_transport_ops *ops,
                   const struct weir_connection_options *options)
{
    struct wr_connection *c =
        wr_guard_alloc(&loop->counting, ops->device->size);

    wr_assert(ops->device->size >= sizeof(*c));
    if (!c) {
        return NULL;
    }
    memset(c, 0, ops->device->size);
    wr_transport_init(&c->t, loop, ops);
    wr_ready_init(&c->t.step, connection_step);
    wr_intake_init(&c->t);
    wr_sendq_init(&c->outbox.queue);
    wr_clock_init(&c->clock, &c->t, &connection_clock_ops);
    wr_transport_set_limits(&c->t, options->read_limit_bytes,
                            options->write_hard_limit_bytes);
    connection_set_limits(c, &options->timeouts);
    return c;
}

void wr_connection_discard(struct wr_connection *c)
{
    wr_assert(c->t.state == WR_LIFE_NEW);
    wr_clock_stop(&c->clock);
    wr_connection_free(&c->t);
}

void wr_connection_begin(struct wr_connection *c)
{
    wr_assert(wr_protocol_fits(&c->t, &c->t.binding));
    wr_life_begin(&c->t, WR_LIFE_OPEN);
    wr_loop_add_member(c->t.loop, &c->t.member);
    connection_time_changed(c);
    wr_connection_push(c);
}
