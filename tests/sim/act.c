/*
 * What weir's side of a simulated connection does without a request.
 *
 * Each connection has a timer. Each time it echoes held bytes, writes own
 * bytes, and sometimes does something rare: it pauses reading, moves water
 * marks, sets timeouts, changes the protocol, ends the writing side, closes or
 * aborts. After its time a connection is closed, and if that does not end it,
 * aborted, so that every run ends.
 */
#include "tests/marks.h"
#include "tests/sim/sim.h"

#include <errno.h>
#include <weir/connect.h>

#define ABORT_AFTER (10 * SIM_S)

static void act(void *arg);

void sim_act_soon(struct sim_conn *conn, uint64_t delay_ns)
{
    if (conn->state != SIM_MADE) {
        return;
    }
    weir_handle_cancel(sim.loop, conn->act);
    conn->act_due_ns = weir_loop_get_time(sim.loop) + delay_ns;
    int err = weir_loop_call_later(sim.loop, delay_ns, act, conn, &conn->act);
    if (err < 0) {
        if (err != -ENOMEM || sim.alloc.failed == 0) {
            fake_fail("call_later failed with %d", err);
        }
        sim_abort(conn);
    }
}

static void note_close(struct sim_conn *conn)
{
    uint64_t now_ns = fake_now();
    fake_trace("connection %u: close", conn->id);
    conn->closing_ns = conn->close_asked ? conn->closing_ns : now_ns;
    conn->close_asked = true;
    conn->close_ns = conn->close_ns < now_ns ? conn->close_ns : now_ns;
}

void sim_close(struct sim_conn *conn)
{
    sim_enter_api(false);
    int err = weir_transport_close(conn->t);
    sim_leave_api();
    if (err != 0 || !weir_transport_is_closing(conn->t)) {
        fake_fail("connection %u: close gave %d", conn->id, err);
    }
    note_close(conn);
}

void sim_abort(struct sim_conn *conn)
{
    sim_enter_api(false);
    int err = weir_transport_abort(conn->t);
    sim_leave_api();
    if (err != 0 || !weir_transport_is_closing(conn->t)) {
        fake_fail("connection %u: abort gave %d", conn->id, err);
    }
    fake_trace("connection %u: abort", conn->id);
    conn->abort_asked = true;
}

static uint64_t random_time(void)
{
    uint64_t scale = fake_chance(500) ? SIM_MS : SIM_S;
    return fake_chance(600) ? 0 : 1 + fake_random(3 * scale);
}

/* Time limits and water marks. */
void sim_limit(struct sim_conn *conn)
{
    struct weir_timeouts limits = {.size = sizeof(limits),
                                   .idle_ns = random_time(),
                                   .read_ns = random_time(),
                                   .write_stall_ns = random_time(),
                                   .close_ns = random_time(),
                                   .linger_ns = random_time()};
    conn->limits_seen |=
        (limits.idle_ns ? SIM_LIMIT_IDLE : 0u) |
        (limits.read_ns ? SIM_LIMIT_READ : 0u) |
        (limits.write_stall_ns ? SIM_LIMIT_STALL : 0u) |
        (limits.close_ns || limits.linger_ns ? SIM_LIMIT_CLOSE : 0u);
    int64_t high =
        fake_chance(300) ? WEIR_DEFAULT : (int64_t)fake_random(sim.unit * 4u);
    int64_t low = fake_chance(500) || high == WEIR_DEFAULT
                      ? WEIR_DEFAULT
                      : (int64_t)fake_random((uint64_t)high + 1);
    conn->marks_moved = true;
    conn->moved_ns = fake_now();
    conn->limits_ns = conn->moved_ns;
    conn->idle_ns = limits.idle_ns;
    conn->close_limit_ns = limits.close_ns;
    sim_enter_api(true);
    int err = weir_transport_set_timeouts(conn->t, &limits);
    if (err == 0) {
        err = set_marks(conn->t, high, low);
    }
    sim_leave_api();
    if (err != 0 && !(err == -ENOMEM && sim.alloc.failed > 0)) {
        fake_fail("connection %u: limits gave %d", conn->id, err);
    }
}

/* Another protocol; bytes that are held may go along and come again. */
void sim_switch(struct sim_conn *conn)
{
    const uint32_t which = sim_choose_protocol();
    struct weir_protocol_binding binding = {&sim_protocols[which], conn};
    bool along = conn->mode == SIM_ECHO && !conn->eof && conn->held_count > 0 &&
                 fake_chance(700);
    uint32_t count = along ? conn->held_count : 0;
    sim_enter_api(false);
    int err = weir_transport_set_protocol(conn->t, &binding,
                                          along ? conn->held : NULL, count);
    sim_leave_api();
    if (err < 0) {
        bool right =
            (err == -ESHUTDOWN && weir_transport_is_closing(conn->t)) ||
            (err == -ENOMEM && sim.alloc.failed > 0);
        if (!right) {
            fake_fail("connection %u: set_protocol gave %d", conn->id, err);
        }
        return;
    }
    fake_trace("connection %u: switch to %u with %u buffers", conn->id, which,
               count);
    for (uint32_t i = 0; i < count; i++) {
        conn->received -= conn->held[i].len;
    }
    conn->was_switched = true;
    if (along) {
        sim_drop_held(conn);
    }
    sim_note_protocol(conn, which);
}

static void end_writing(struct sim_conn *conn)
{
    sim_enter_api(false);
    int err = weir_transport_write_eof(conn->t);
    sim_leave_api();
    if (err != 0) {
        fake_fail("connection %u: write_eof gave %d", conn->id, err);
    }
    conn->write_ended = true;
}

static void toggle_reading(struct sim_conn *conn)
{
    fake_trace("connection %u: %s reading", conn->id,
               conn->reading_paused ? "resume" : "pause");
    sim_enter_api(false);
    if (conn->reading_paused) {
        conn->reading_paused = false;
        weir_transport_resume_reading(conn->t);
    } else {
        weir_transport_pause_reading(conn->t);
        conn->reading_paused = !conn->close_asked && !conn->abort_asked;
    }
    if (conn->reading_paused && weir_transport_is_reading(conn->t)) {
        fake_fail("connection %u: reading while it is paused", conn->id);
    }
    sim_leave_api();
}

/* Closes or aborts all connections of the server. */
static void end_clients(void)
{
    bool aborts = fake_chance(300);
    sim_enter_api(false);
    if (aborts) {
        weir_server_abort_clients(sim.server);
    } else {
        weir_server_close_clients(sim.server);
    }
    sim_leave_api();
    for (uint32_t i = 0; i < sim.conn_count; i++) {
        struct sim_conn *conn = &sim.conns[i];
        if (conn->is_client || conn->state != SIM_MADE) {
            continue;
        }
        if (!weir_transport_is_closing(conn->t)) {
            fake_fail("connection %u: left out by the server", conn->id);
        }
        if (aborts) {
            conn->abort_asked = true;
        } else {
            note_close(conn);
        }
    }
}

static void act_rarely(struct sim_conn *conn)
{
    if (fake_chance(2)) {
        end_clients();
        return;
    }
    switch (fake_random(40)) {
    case 0:
        sim_abort(conn);
        break;
    case 1:
        sim_close(conn);
        break;
    case 2:
        end_writing(conn);
        break;
    case 3:
    case 4:
        sim_limit(conn);
        break;
    case 5:
    case 6:
        sim_switch(conn);
        break;
    case 7:
    case 8:
    case 9:
        toggle_reading(conn);
        break;
    default:
        if (conn->reading_paused && !conn->writing_paused) {
            toggle_reading(conn);
        }
        break;
    }
}

/* Own bytes, and the end once there are no more. */
static void act_on_writing(struct sim_conn *conn, bool flushed)
{
    bool may_write = !conn->write_ended && !conn->close_asked;
    if (conn->mode == SIM_SOURCE && may_write &&
        !(conn->writing_paused && conn->minds_marks)) {
        sim_write_own(conn);
    }
    bool all = conn->write_ended ||
               (conn->mode == SIM_ECHO ? flushed
                                       : conn->written == conn->plan_written);
    if (all && conn->end_when_empty) {
        sim_close(conn);
    } else if (all && may_write && conn->mode == SIM_SOURCE &&
               fake_chance(300)) {
        end_writing(conn);
    }
}

/* All write in one turn: more than one turn may send. */
static void write_together(void)
{
    for (uint32_t i = 0; i < sim.conn_count; i++) {
        struct sim_conn *conn = &sim.conns[i];
        if (conn->state == SIM_MADE && conn->mode == SIM_SOURCE &&
            !conn->write_ended && !conn->close_asked && !conn->writing_paused &&
            !weir_transport_is_closing(conn->t)) {
            sim_write_own(conn);
        }
    }
}

static void schedule_next(struct sim_conn *conn)
{
    uint64_t now_ns = fake_now();
    if (conn->held_count > 0 || conn->end_when_empty) {
        sim_act_soon(conn, 1 + fake_random(10 * SIM_MS));
    } else if (conn->acts_left > 0) {
        conn->acts_left--;
        sim_act_soon(conn, fake_random(30 * SIM_MS));
    } else if (now_ns < conn->close_ns) {
        sim_act_soon(conn, conn->close_ns - now_ns);
    } else {
        sim_act_soon(conn, ABORT_AFTER);
    }
}

static void act(void *arg)
{
    struct sim_conn *conn = arg;
    if (sim.in_api || sim.in_callback || conn->state != SIM_MADE) {
        fake_fail("connection %u: its timer comes in state %d", conn->id,
                  (int)conn->state);
    }
    sim.in_callback = true;
    uint64_t now_ns = fake_now();
    if (now_ns < conn->act_due_ns || now_ns > conn->act_due_ns + sim.late_ns) {
        fake_fail("connection %u: its timer comes %lld ns late", conn->id,
                  (long long)(now_ns - conn->act_due_ns));
    }
    bool flushed = sim_flush_held(conn);
    if (now_ns >= conn->close_ns + ABORT_AFTER) {
        sim_abort(conn);
    } else if (now_ns >= conn->close_ns) {
        sim_close(conn);
    } else {
        act_on_writing(conn, flushed);
    }
    if (sim.bulk && fake_chance(400)) {
        write_together();
    }
    if (conn->file.fd != 0 && fake_chance(400)) {
        sim_file_disturb(conn);
    }
    if (!weir_transport_is_closing(conn->t)) {
        act_rarely(conn);
    } else if (conn->reading_paused) {
        toggle_reading(conn); /* the loss waits for bytes that are kept */
    }
    schedule_next(conn);
    sim.in_callback = false;
}

static void cancel_connect(void *arg)
{
    struct sim_conn *conn = arg;
    if (!conn->done && conn->connect) {
        conn->cancelled = true;
        sim_enter_api(false);
        weir_pending_cancel(conn->connect);
        sim_leave_api();
    }
}

static bool may_not_connect(const struct sim_conn *conn, int err)
{
    switch (err) {
    case -ECONNREFUSED:
        return conn->answer == FAKE_REFUSE;
    case -ETIMEDOUT:
        return conn->connect_timeout_ns != 0 || conn->answer == FAKE_SILENT;
    case -ECANCELED:
        return conn->cancelled || sim.stop_ns != 0;
    case SIM_CALLBACK_ERR:
        return conn->refuses;
    case -EMFILE:
        return true;
    case -ENOMEM:
        return sim.alloc.failed > 0;
    default:
        return false;
    }
}

static void connect_done(void *arg, int err, weir_transport *t)
{
    struct sim_conn *conn = arg;
    if (conn->done || sim.in_api || sim.in_callback) {
        fake_fail("client %u: done out of turn", conn->id);
    }
    conn->done = true;
    conn->connect = NULL;
    if (err == 0 && (conn->state == SIM_NONE || t != conn->t)) {
        fake_fail("client %u: done before connection_made", conn->id);
    }
    if (err < 0 &&
        (t || conn->state != SIM_NONE || !may_not_connect(conn, err))) {
        fake_fail("client %u: could not connect: %d", conn->id, err);
    }
}

void sim_connect(struct sim_conn *conn)
{
    struct weir_factory factory = {sim_factory, conn};
    struct weir_connect_options options = {
        .size = sizeof(options),
        .timeout_ns = conn->connect_timeout_ns,
        .connection = {.size = sizeof(options.connection),
                       .read_limit_bytes = sim.read_limit,
                       .fd_limit = conn->fd_limit}};
    const uint16_t port = (uint16_t)(7000 + conn->answer);
    int fd = -1;
    if (conn->adopts) {
        fd = conn->is_unix ? fake_connected_unix_fd(&conn->peer)
                           : fake_connected_fd(&conn->peer);
    }
    sim_enter_api(false);
    int err = conn->adopts
                  ? weir_create_connection_at(
                        sim.loop, &factory, weir_endpoint_fd(fd), &options,
                        connect_done, conn, &conn->connect)
                  : weir_create_connection(sim.loop, &factory, "127.0.0.1",
                                           port, &options, connect_done, conn,
                                           &conn->connect);
    sim_leave_api();
    conn->started = true;
    if (err < 0) {
        if (!may_not_connect(conn, err)) {
            fake_fail("client %u: create_connection gave %d", conn->id, err);
        }
        conn->done = true;
        return;
    }
    if (fake_chance(100) &&
        weir_loop_call_later(sim.loop, fake_random(5 * SIM_MS), cancel_connect,
                             conn, NULL) < 0 &&
        sim.alloc.failed == 0) {
        fake_fail("call_later failed");
    }
}
