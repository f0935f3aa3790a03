/*
 * The protocol of weir's side of each simulated connection.
 *
 * Its callbacks are a state machine that fails if weir breaks a promise: made
 * first, lost once and last, nothing after the end or while paused, pause and
 * resume alternately, no callback inside a call, every byte in order, and an
 * end that matches the events.
 */
#include "tests/sim/sim.h"

#include "weir/error.h"

#include <errno.h>

void sim_begin(const struct sim_conn *conn, const weir_transport *t,
               const char *what)
{
    if (sim.in_api) {
        fake_fail("connection %u: %s from inside a call", conn->id, what);
    }
    if (sim.in_callback) {
        fake_fail("connection %u: %s inside another callback", conn->id, what);
    }
    if (conn->state != SIM_MADE || conn->t != t) {
        fake_fail("connection %u: %s in state %d", conn->id, what,
                  (int)conn->state);
    }
    sim.in_callback = true;
    fake_trace("connection %u: %s, %llu bytes received", conn->id, what,
               (unsigned long long)conn->received);
}

void sim_end(void)
{
    sim.in_callback = false;
}

/* The receiving callbacks. */
static void begin_reading(const struct sim_conn *conn, const weir_transport *t,
                          const char *what)
{
    sim_begin(conn, t, what);
    if (conn->eof || conn->close_asked || conn->abort_asked ||
        conn->callback_err < 0) {
        fake_fail("connection %u: %s after its end", conn->id, what);
    }
    if (conn->reading_paused) {
        fake_fail("connection %u: %s while reading is paused", conn->id, what);
    }
}

/* Something that the protocol does from inside a callback. */
static void act_inside(struct sim_conn *conn)
{
    sim_file_note_bytes(conn);
    switch (fake_random(400)) {
    case 0:
        sim_close(conn);
        break;
    case 1:
        sim_abort(conn);
        break;
    case 2:
        sim_switch(conn);
        break;
    case 3:
        conn->callback_err = SIM_CALLBACK_ERR;
        break;
    case 4:
    case 5:
    case 6:
        sim_enter_api(false);
        weir_transport_pause_reading(conn->t);
        sim_leave_api();
        conn->reading_paused = !conn->close_asked && !conn->abort_asked;
        sim_act_soon(conn, fake_random(20 * SIM_MS));
        break;
    case 7:
        sim_limit(conn);
        break;
    case 8:
    case 9:
        sim_file_disturb(conn);
        break;
    default:
        break;
    }
}

static void connection_made(void *user, weir_transport *t)
{
    struct sim_conn *conn = user;
    if (conn->state != SIM_NONE || sim.in_api || sim.in_callback ||
        conn->refuses) {
        fake_fail("connection %u: made in state %d", conn->id,
                  (int)conn->state);
    }
    fake_trace("connection %u: made, fd=%d, mode %d, protocol %d", conn->id,
               weir_transport_get_socket(t), (int)conn->mode,
               conn->buffered + conn->promises);
    sim.in_callback = true;
    sim.made_count++;
    conn->state = SIM_MADE;
    conn->t = t;
    if (sim.closes_server && !conn->is_client) { /* it may close the idle */
        conn->close_asked = true;
        conn->closing_ns = fake_now();
    }
    if (weir_transport_get_loop(t) != sim.loop ||
        weir_transport_get_protocol(t).user != conn) {
        fake_fail("connection %u: strange transport", conn->id);
    }
    if (conn->write_limit != 64u << 20) {
        weir_transport_set_write_hard_limit(t, conn->write_limit);
    }
    if (conn->is_client && !conn->is_unix) {
        struct weir_address own;
        weir_transport_get_sockname(t, &own);
        conn->port = ntohs(own.storage.inet.sin_port);
    }
    if (fake_chance(200)) {
        sim_limit(conn);
    }
    if (conn->mode == SIM_SOURCE && fake_chance(500)) {
        sim_write_own(conn);
    }
    act_inside(conn);
    conn->callback_err = 0; /* this callback cannot fail */
    sim_act_soon(conn, fake_random(20 * SIM_MS));
    sim_end();
}

static bool may_fail_with(const struct sim_conn *conn, int err)
{
    switch (err) {
    case -ECONNRESET:
    case -EPIPE:
        return conn->was_reset || conn->peer_gone;
    case WEIR_EIDLE:
        return conn->limits_seen & SIM_LIMIT_IDLE;
    case WEIR_EREADTIMEOUT:
        return conn->limits_seen & SIM_LIMIT_READ;
    case WEIR_EWRITESTALL:
        return conn->limits_seen & SIM_LIMIT_STALL;
    case WEIR_ECLOSETIMEOUT:
        return conn->close_asked && (conn->limits_seen & SIM_LIMIT_CLOSE);
    case WEIR_ENOBUFFER:
        return conn->no_memory_given;
    case SIM_CALLBACK_ERR:
        return conn->callback_err == err;
    case -ENOMEM:
        return sim.alloc.failed > 0;
    default:
        return err < 0 && (conn->refused_err == err || conn->file_err == err);
    }
}

/* An end without an error promises that nothing was lost. */
static void check_clean_end(const struct sim_conn *conn, enum weir_end how)
{
    uint64_t taken = fake_taken_bytes(weir_transport_get_socket(conn->t));
    bool fin = conn->fin_sent || conn->peer_gone;
    if (conn->abort_asked) {
        return;
    }
    if (conn->file_err != 0) {
        fake_fail("connection %u: a clean end after a part of a file",
                  conn->id);
    }
    if (how == WEIR_END_CLOSED && !conn->close_asked) {
        fake_fail("connection %u: closed by nobody", conn->id);
    }
    if (how == WEIR_END_EOF &&
        (!conn->eof || !fin || conn->received != conn->sent)) {
        fake_fail("connection %u: end of stream after %llu of %llu bytes, "
                  "FIN sent: %d",
                  conn->id, (unsigned long long)conn->received,
                  (unsigned long long)conn->sent, fin);
    }
    if (how != WEIR_END_EOF && how != WEIR_END_CLOSED) {
        fake_fail("connection %u: end %d without an error", conn->id, (int)how);
    }
    if (taken != conn->written) {
        fake_fail("connection %u: %llu of %llu bytes were sent, and no error",
                  conn->id, (unsigned long long)taken,
                  (unsigned long long)conn->written);
    }
}

/* The peer's error comes after all that was received before it. */
static void check_broken_end(const struct sim_conn *conn, int err)
{
    uint64_t given = fake_given_bytes(weir_transport_get_socket(conn->t));
    bool by_peer = (err == -ECONNRESET || err == -EPIPE) &&
                   conn->callback_err == 0 && !conn->no_memory_given &&
                   conn->limits_seen == 0 && sim.alloc.failed == 0;
    if (!may_fail_with(conn, err)) {
        fake_fail("connection %u: lost with %d, for no reason", conn->id, err);
    }
    if (by_peer && !conn->close_asked && !conn->abort_asked &&
        conn->received != given) {
        fake_fail("connection %u: lost with %d, but only %llu of %llu bytes "
                  "that came before were delivered",
                  conn->id, err, (unsigned long long)conn->received,
                  (unsigned long long)given);
    }
}

static void connection_lost(void *user, weir_transport *t, int err)
{
    struct sim_conn *conn = user;
    sim_begin(conn, t, "connection_lost");
    if (conn->file.fd != 0) {
        fake_fail("connection %u: lost before its file was told of", conn->id);
    }
    conn->state = SIM_LOST;
    conn->lost_err = err;
    sim.lost_count++;
    if (err != weir_transport_get_error(t) || err > 0 ||
        (conn->first_err != 0 && err != conn->first_err)) {
        fake_fail("connection %u: lost with %d, error %d, %d at first",
                  conn->id, err, weir_transport_get_error(t), conn->first_err);
    }
    if (err == 0) {
        bool asked = conn->close_asked || conn->abort_asked || conn->eof;
        if (conn->was_reset && !asked) {
            fake_fail("connection %u: a reset was lost", conn->id);
        }
        check_clean_end(conn, weir_transport_get_end(t));
        sim.result.clean_ends++;
    } else {
        check_broken_end(conn, err);
        sim.result.broken_ends++;
    }
    if (weir_transport_write(t, "x", 1) == 0) {
        fake_fail("connection %u: a write after the loss", conn->id);
    }
    sim.result.received_bytes += conn->received;
    sim_pass_lost(conn);
    weir_handle_cancel(sim.loop, conn->act);
    sim_drop_held(conn);
    sim_end();
}

static void pause_writing(void *user, weir_transport *t)
{
    struct sim_conn *conn = user;
    const struct weir_water_marks marks =
        weir_transport_get_write_buffer_limits(t);
    if (conn->state != SIM_MADE || conn->writing_paused ||
        (sim.in_api && !sim.in_write)) {
        fake_fail("connection %u: pause_writing out of turn", conn->id);
    }
    if (weir_transport_get_write_buffer_size(t) <= (uint64_t)marks.high_bytes) {
        fake_fail("connection %u: paused at %llu bytes", conn->id,
                  (unsigned long long)weir_transport_get_write_buffer_size(t));
    }
    conn->writing_paused = true;
    conn->marks_moved = false;
    if (conn->minds_marks && conn->mode == SIM_ECHO && !conn->reading_paused) {
        weir_transport_pause_reading(t);
        conn->reading_paused = !conn->close_asked && !conn->abort_asked;
    }
}

static void resume_writing(void *user, weir_transport *t)
{
    struct sim_conn *conn = user;
    sim_begin(conn, t, "resume_writing");
    const struct weir_water_marks marks =
        weir_transport_get_write_buffer_limits(t);
    if (!conn->writing_paused ||
        weir_transport_get_write_buffer_size(t) > (uint64_t)marks.low_bytes) {
        fake_fail("connection %u: resume_writing out of turn", conn->id);
    }
    conn->writing_paused = false;
    if (conn->reading_paused) {
        conn->reading_paused = false;
        sim_enter_api(false);
        weir_transport_resume_reading(t);
        sim_leave_api();
    }
    if (conn->mode == SIM_SOURCE && !conn->write_ended && fake_chance(700)) {
        sim_write_own(conn);
    }
    sim_end();
}

static int data_received(void *user, weir_transport *t,
                         const struct weir_buf *buf)
{
    struct sim_conn *conn = user;
    begin_reading(conn, t, "data_received");
    if (buf->len == 0 || !buf->lease || conn->buffered) {
        fake_fail("connection %u: data_received of %zu bytes", conn->id,
                  buf->len);
    }
    uint64_t held = weir_transport_get_read_buffer_size(t);
    /* The rest of a piece that has come twice is charged once more while the
     * first part is being sent; pieces are charged with 256 bytes at least. */
    uint64_t most = sim.bulk ? SIM_BULK_BYTES : sim.unit * 16u;
    uint64_t moved = conn->was_switched ? most : 0;
    moved += SIM_HELD_MAX * UINT64_C(256);
    if (held > sim.read_limit + moved) {
        fake_fail("connection %u: %llu bytes are held", conn->id,
                  (unsigned long long)held);
    }
    sim_check_bytes(conn, false, conn->received, buf->data, buf->len);
    conn->received += buf->len;
    sim_pass_shown(conn);
    if (conn->mode == SIM_ECHO) {
        sim_echo(conn, buf);
    } else if (fake_chance(100) && conn->held_count < SIM_HELD_MAX) {
        sim_hold(conn, buf);
    }
    act_inside(conn);
    sim_end();
    return conn->callback_err;
}

static int eof_received(void *user, weir_transport *t)
{
    struct sim_conn *conn = user;
    begin_reading(conn, t, "eof_received");
    conn->eof = true;
    if (!conn->fin_sent && (!conn->peer_gone || conn->was_reset)) {
        fake_fail("connection %u: an end of stream from nowhere", conn->id);
    }
    if (fake_chance(20)) {
        conn->callback_err = SIM_CALLBACK_ERR;
        sim_end();
        return conn->callback_err;
    }
    bool flushed = sim_flush_held(conn);
    bool all_written = conn->mode == SIM_ECHO ||
                       conn->written == conn->plan_written || conn->write_ended;
    sim_end();
    if (flushed && all_written && fake_chance(600)) {
        conn->close_asked = true;
        conn->closing_ns = fake_now();
        return 0;
    }
    conn->end_when_empty = true;
    sim_act_soon(conn, fake_random(20 * SIM_MS));
    return 1;
}

static int get_buffer(void *user, weir_transport *t, size_t hint,
                      void **ret_buf, size_t *ret_size)
{
    struct sim_conn *conn = user;
    if (conn->state != SIM_MADE || conn->t != t || !conn->buffered ||
        conn->lent[conn->promises] || sim.in_api) {
        fake_fail("connection %u: get_buffer out of turn", conn->id);
    }
    if (fake_chance(2)) {
        conn->no_memory_given = true;
        return 0;
    }
    size_t size = sim_size();
    uint8_t *buf = malloc(size);
    if (!buf) {
        abort();
    }
    conn->lent[conn->promises] = buf;
    conn->lent_size[conn->promises] = size;
    conn->lent_count++;
    *ret_buf = buf;
    *ret_size = size;
    return 0;
}

static void take_back(struct sim_conn *conn, void *buf, bool promised)
{
    if (buf != conn->lent[promised]) {
        fake_fail("connection %u: memory comes back twice", conn->id);
    }
    conn->lent[promised] = NULL;
    conn->lent_count--;
    free(buf);
}

static int buffer_updated(void *user, weir_transport *t, size_t len)
{
    struct sim_conn *conn = user;
    bool promised = conn->promises;
    uint8_t *buf = conn->lent[promised];
    begin_reading(conn, t, "buffer_updated");
    if (len == 0 || len > conn->lent_size[promised] || !buf) {
        fake_fail("connection %u: buffer_updated with %zu of %zu bytes",
                  conn->id, len, conn->lent_size[promised]);
    }
    sim_check_bytes(conn, false, conn->received, buf, len);
    conn->received += len;
    sim_pass_shown(conn);
    if (conn->mode == SIM_ECHO) {
        sim_echo_copy(conn, buf, len);
    }
    take_back(conn, buf, promised);
    act_inside(conn);
    sim_end();
    return conn->callback_err;
}

static void release_buffer(void *user, void *buf)
{
    struct sim_conn *conn = user;
    take_back(conn, buf, true);
}

static int fds_received(void *user, weir_transport *t, const int *fds,
                        size_t count, bool lost)
{
    struct sim_conn *conn = user;
    begin_reading(conn, t, "fds_received");
    sim_pass_received(conn, fds, count, lost);
    act_inside(conn);
    sim_end();
    return conn->callback_err;
}

#define COMMON_CALLBACKS                                                       \
    .size = sizeof(struct weir_protocol), .connection_made = connection_made,  \
    .connection_lost = connection_lost, .pause_writing = pause_writing,        \
    .resume_writing = resume_writing, .eof_received = eof_received

/* Buffers of the pool; own memory at completion; own memory all the time; the
 * first one again, which takes no descriptors. */
const struct weir_protocol sim_protocols[SIM_PROTOCOLS] = {
    {COMMON_CALLBACKS, .kind = WEIR_PROTOCOL_STREAM,
     .data_received = data_received, .fds_received = fds_received},
    {COMMON_CALLBACKS, .kind = WEIR_PROTOCOL_BUFFERED, .get_buffer = get_buffer,
     .buffer_updated = buffer_updated, .fds_received = fds_received},
    {COMMON_CALLBACKS, .kind = WEIR_PROTOCOL_BUFFERED, .get_buffer = get_buffer,
     .buffer_updated = buffer_updated, .release_buffer = release_buffer,
     .fds_received = fds_received},
    {COMMON_CALLBACKS, .kind = WEIR_PROTOCOL_STREAM,
     .data_received = data_received},
};

uint32_t sim_choose_protocol(void)
{
    return fake_chance(50) ? 3 : (uint32_t)fake_random(3);
}

void sim_note_protocol(struct sim_conn *conn, uint32_t which)
{
    conn->buffered = sim_protocols[which].kind == WEIR_PROTOCOL_BUFFERED;
    conn->promises = sim_protocols[which].release_buffer != NULL;
    conn->skips_fds |= !sim_protocols[which].fds_received;
}

static struct sim_conn *find_by_port(uint16_t port)
{
    for (uint32_t i = 0; i < sim.conn_count; i++) {
        if (!sim.conns[i].is_client && sim.conns[i].port == port) {
            return &sim.conns[i];
        }
    }
    fake_fail("a connection from port %u, which nobody made", port);
}

/* It is asked of the kernel, which has forgotten it after a reset. */
static void check_peername(const struct sim_conn *conn, const weir_transport *t)
{
    struct weir_address from;
    weir_transport_get_peername(t, &from);
    bool is_right = from.len == 0
                        ? conn->was_reset
                        : ntohs(from.storage.inet.sin_port) == conn->port;
    if (!is_right) {
        fake_fail("connection %u: wrong peername", conn->id);
    }
}

int sim_factory(void *arg, weir_transport *t, struct weir_protocol_binding *ret)
{
    struct sim_conn *conn = arg;
    if (!conn) {
        conn = find_by_port(fake_remote_port(weir_transport_get_socket(t)));
        check_peername(conn, t);
    }
    if (sim.in_api || sim.in_callback || conn->state != SIM_NONE) {
        fake_fail("connection %u: its factory is called in state %d", conn->id,
                  (int)conn->state);
    }
    if (conn->refuses) {
        sim.refused_count += arg ? 0 : 1;
        return SIM_CALLBACK_ERR;
    }
    const uint32_t which = sim_choose_protocol();
    sim_note_protocol(conn, which);
    ret->protocol = &sim_protocols[which];
    ret->user = conn;
    return 0;
}

void sim_side_plan(struct sim_conn *conn)
{
    conn->mode = fake_chance(650) ? SIM_ECHO : SIM_SOURCE;
    conn->refuses = fake_chance(30);
    conn->minds_marks = fake_chance(800);
    conn->acts_left = (uint32_t)fake_random(30);
    conn->plan_written =
        fake_random(sim.bulk ? SIM_BULK_BYTES : sim.unit * 40u);
    conn->write_limit =
        fake_chance(200) ? 1 + fake_random(sim.unit * 30u) : 64u << 20;
    conn->close_ns = fake_now() + 100 * SIM_S;
    if (conn->peer_end == SIM_PEER_WAIT || conn->never_reads) {
        conn->close_ns = fake_now() + fake_random(2 * SIM_S);
    }
}

void sim_side_check(const struct sim_conn *conn)
{
    if (conn->state == SIM_MADE) {
        fake_fail("connection %u was never lost", conn->id);
    }
    if (conn->refs_out != 0) {
        fake_fail("connection %u: %u writes by reference were not released",
                  conn->id, conn->refs_out);
    }
    if (conn->file.fd != 0) {
        fake_fail("connection %u: nothing was told of a file", conn->id);
    }
    if (conn->lent_count != 0) {
        fake_fail("connection %u: %u buffers did not come back", conn->id,
                  conn->lent_count);
    }
    if (conn->is_client && conn->started && !conn->done) {
        fake_fail("client %u was never told", conn->id);
    }
}
