/*
 * The simulation's descriptors, which Unix sockets pass with bytes in both
 * directions.
 *
 * Each has a different token, and each side has a queue of the batches that the
 * other one was given, with the position of their byte. A batch must arrive
 * once and in order: at weir's protocol before that byte, and at the peer
 * together with it. The machine finds leaked descriptors at the end.
 */
#include "tests/sim/sim.h"

#include "uring/sys.h"
#include "weir/unix.h"

#include <errno.h>

/* As many have a connection's number: half of them from weir's side. */
#define PEER_TOKENS (UINT64_C(1) << 31)

static void push(struct sim_passes *passes, uint64_t at, uint32_t count)
{
    struct sim_pass *pass = &passes->queue[passes->tail++ % SIM_PASS_ROOM];
    *pass = (struct sim_pass){.at = at, .first = passes->next, .count = count};
    passes->next += count;
}

static struct sim_pass *front(struct sim_passes *passes)
{
    return passes->head == passes->tail
               ? NULL
               : &passes->queue[passes->head % SIM_PASS_ROOM];
}

static bool is_full(const struct sim_passes *passes)
{
    return passes->tail - passes->head == SIM_PASS_MAX;
}

static uint32_t random_count(void)
{
    return 1 + (uint32_t)fake_random(fake_chance(200) ? WEIR_FDS_MAX : 4);
}

static uint64_t first_from_peer(const struct sim_conn *conn)
{
    return (uint64_t)conn->id << 32 | PEER_TOKENS;
}

void sim_pass_plan(struct sim_conn *conn)
{
    conn->is_unix = conn->adopts && fake_chance(600);
    conn->fd_limit = fake_chance(200)   ? 0
                     : fake_chance(500) ? WEIR_FDS_MAX
                                        : 1 + (uint32_t)fake_random(5);
    conn->passed_out.next = (uint64_t)conn->id << 32;
    conn->passed_in.next = first_from_peer(conn);
}

static void close_all(const int *fds, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (wr_sys_close(fds[i]) != 0) {
            fake_fail("a descriptor cannot be closed");
        }
    }
}

/* Descriptors that wait in weir's queue, whose byte it has not seen taken. */
static uint32_t waiting_count(const struct sim_conn *conn)
{
    const struct sim_passes *passes = &conn->passed_out;
    uint64_t from =
        conn->written - weir_transport_get_write_buffer_size(conn->t);
    uint32_t count = 0;
    for (uint32_t i = passes->tail; i > 0 && passes->tail - i < SIM_PASS_ROOM;
         i--) {
        const struct sim_pass *pass = &passes->queue[(i - 1) % SIM_PASS_ROOM];
        count += pass->at >= from ? pass->count : 0;
    }
    return count;
}

/* True when the refusal is that of descriptors, and was right. */
static bool is_of_fds(int err, bool has_room)
{
    return (err == -EMFILE && sim.fds_fail) || (err == -ENOBUFS && !has_room);
}

/* For descriptors or for bytes: both are refused for this. */
static bool lacks_memory(int err)
{
    return err == -ENOMEM && sim.alloc.failed > 0;
}

/* A refusal of descriptors is not remembered, and the next write may follow. */
static void check_forgotten(struct sim_conn *conn, int err)
{
    int told = weir_transport_take_write_error(conn->t);
    if (told != 0 && !(told == err && lacks_memory(err))) {
        fake_fail("connection %u: a refusal of descriptors is remembered: %d",
                  conn->id, told);
    }
    if (lacks_memory(err) && weir_transport_get_error(conn->t) == err) {
        conn->refused_err = err; /* it was closing and has broken off */
    }
}

bool sim_pass_is_due(const struct sim_conn *conn)
{
    return conn->is_unix && !is_full(&conn->passed_out) && fake_chance(300);
}

int sim_pass_write(struct sim_conn *conn, const uint8_t *data, size_t len)
{
    int fds[WEIR_FDS_MAX];
    uint64_t depth = weir_transport_get_write_buffer_size(conn->t);
    const uint32_t count = random_count();
    const bool has_room = waiting_count(conn) + count <= WEIR_FDS_MAX;
    for (uint32_t i = 0; i < count; i++) {
        fds[i] = fake_token_open(conn->passed_out.next + i);
    }
    const int err = weir_transport_send_fds(conn->t, data, len, fds, count);
    close_all(fds, count);
    fake_trace("connection %u: %u descriptors with %zu bytes: %d", conn->id,
               count, len, err);
    if (err == 0 && !has_room) {
        fake_fail("connection %u: too many descriptors wait", conn->id);
    }
    if (err == 0) {
        push(&conn->passed_out, conn->written, count);
        return 0;
    }
    bool is_of_bytes = depth + len > conn->write_limit;
    if (is_of_bytes || !(is_of_fds(err, has_room) || lacks_memory(err))) {
        return err;
    }
    sim.result.counts[SIM_FDS_REFUSED]++;
    check_forgotten(conn, err);
    return weir_transport_write(conn->t, data, len);
}

void sim_pass_arrived(struct sim_conn *conn, size_t len, const uint64_t *tokens,
                      uint32_t count)
{
    struct sim_pass *pass = front(&conn->passed_out);
    bool is_here = pass && pass->at < conn->got + len;
    bool fits = count == (is_here ? pass->count : 0);
    for (uint32_t i = 0; fits && i < count; i++) {
        fits = tokens[i] == pass->first + i;
    }
    if (!fits) {
        fake_fail("peer %u: %u descriptors came with bytes %llu to %llu, %u "
                  "were sent with byte %llu",
                  conn->id, count, (unsigned long long)conn->got,
                  (unsigned long long)(conn->got + len), pass ? pass->count : 0,
                  (unsigned long long)(pass ? pass->at : 0));
    }
    conn->passed_out.head += is_here;
    sim.result.counts[SIM_FDS_ARRIVED] += is_here;
}

void sim_pass_lost(const struct sim_conn *conn)
{
    sim.result.counts[SIM_FDS_RESTED] += conn->has_rested;
    sim.result.counts[SIM_FDS_BROKEN] += conn->has_rested_broken;
    sim.result.counts[SIM_FDS_CLOSING] += conn->has_rested_closing;
    uint64_t taken = fake_taken_bytes(weir_transport_get_socket(conn->t));
    const struct sim_passes *passes = &conn->passed_out;
    for (uint32_t i = passes->head; i != passes->tail; i++) {
        sim.result.counts[SIM_FDS_DROPPED] +=
            passes->queue[i % SIM_PASS_ROOM].at >= taken;
    }
}

ssize_t sim_pass_peer_write(struct sim_conn *conn, const uint8_t *data,
                            size_t len)
{
    if (!conn->is_unix || len == 0 || is_full(&conn->passed_in) ||
        !fake_chance(300)) {
        return fake_peer_write(conn->peer, data, len);
    }
    const uint32_t count = random_count();
    const ssize_t res = fake_peer_write_tokens(conn->peer, data, len,
                                               conn->passed_in.next, count);
    if (res > 0) {
        push(&conn->passed_in, conn->sent, count);
    }
    return res;
}

/* Closes what was given, and compares it with @pass as far as it goes. */
static void take_fds(const struct sim_conn *conn, const struct sim_pass *pass,
                     const int *fds, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (fake_token(fds[i]) != pass->first + i) {
            fake_fail("connection %u: a descriptor out of turn", conn->id);
        }
    }
    close_all(fds, count);
}

bool sim_pass_rests(const struct sim_conn *conn)
{
    return conn->is_unix &&
           fake_closing_tokens(first_from_peer(conn), PEER_TOKENS) > 0;
}

/* A message must not be received while descriptors of an older one are being
 * closed. */
static void check_rest(const struct sim_conn *conn, const struct sim_pass *pass)
{
    const uint64_t first = first_from_peer(conn);
    if (fake_closing_tokens(first, pass->first - first) > 0) {
        fake_fail("connection %u: descriptors came while it was to rest",
                  conn->id);
    }
}

/* Batches that came while no protocol took descriptors. */
static void skip_to(struct sim_conn *conn, uint64_t token)
{
    struct sim_pass *pass = front(&conn->passed_in);
    while (conn->skips_fds && pass && pass->first < token) {
        conn->passed_in.head++;
        sim.result.counts[SIM_FDS_CLOSED]++;
        pass = front(&conn->passed_in);
    }
}

void sim_pass_received(struct sim_conn *conn, const int *fds, size_t count,
                       bool lost)
{
    if (count > 0) {
        skip_to(conn, fake_token(fds[0]));
    }
    const struct sim_pass *pass = front(&conn->passed_in);
    if (!pass || count > conn->fd_limit || (count == 0 && !lost) ||
        (conn->received > pass->at && !conn->skips_fds)) {
        fake_fail("connection %u: %zu descriptors at byte %llu", conn->id,
                  count, (unsigned long long)conn->received);
    }
    const uint32_t room =
        pass->count < conn->fd_limit ? pass->count : conn->fd_limit;
    if (lost != (count < pass->count) || (count < room && !sim.fds_fail)) {
        fake_fail("connection %u: %zu of %u descriptors, lost: %d", conn->id,
                  count, pass->count, lost);
    }
    check_rest(conn, pass);
    take_fds(conn, pass, fds, count);
    conn->passed_in.head++;
    sim.result.counts[SIM_FDS_RECEIVED]++;
    sim.result.counts[SIM_FDS_LOST] += lost;
}

void sim_pass_shown(struct sim_conn *conn)
{
    struct sim_pass *pass = front(&conn->passed_in);
    while (pass && pass->at < conn->received) {
        if (conn->fd_limit > 0 && !conn->skips_fds) {
            fake_fail("connection %u: byte %llu came without its descriptors",
                      conn->id, (unsigned long long)pass->at);
        }
        conn->passed_in.head++;
        sim.result.counts[SIM_FDS_CLOSED]++;
        pass = front(&conn->passed_in);
    }
}
