/*
 * The simulation's peers: the other ends of weir's connections.
 *
 * A peer sends its stream in pieces, checks each received byte, may stop
 * reading for a while, and ends as planned. It checks the most important rule:
 * after an end of stream without an error it has received every byte that
 * weir's side has accepted and not aborted.
 */
#include "tests/sim/sim.h"

#include <errno.h>

#define PIECE_MAX 262144u

static void nothing(void *arg)
{
}

void sim_peer_plan(struct sim_conn *conn)
{
    static const enum sim_peer_end ends[] = {SIM_PEER_FIN,   SIM_PEER_FIN,
                                             SIM_PEER_FIN,   SIM_PEER_WAIT,
                                             SIM_PEER_CLOSE, SIM_PEER_RESET};
    conn->plan_sent = fake_chance(100) ? 0 : fake_random(sim.unit * 40u);
    if (sim.bulk) {
        conn->plan_sent = fake_random(SIM_BULK_BYTES);
    }
    conn->peer_end = ends[fake_random(sizeof(ends) / sizeof(ends[0]))];
    conn->reset_at = fake_random(conn->plan_sent + 1);
    conn->never_reads = conn->peer_end != SIM_PEER_FIN &&
                        conn->peer_end != SIM_PEER_WAIT && fake_chance(300);
}

static void let_go(struct sim_conn *conn)
{
    if (fake_peer_readable(conn->peer) > 0) {
        conn->was_reset = true; /* as the kernel does for unread bytes */
    }
    fake_peer_close(conn->peer);
    conn->peer = NULL;
    conn->peer_gone = true;
}

/* An end of stream, and no error before it. */
static void check_end(struct sim_conn *conn)
{
    bool alive =
        conn->state == SIM_MADE && weir_transport_get_error(conn->t) == 0;
    bool clean = conn->state == SIM_LOST && conn->lost_err == 0;
    if (conn->file_torn) {
        fake_fail("peer %u takes a part of a file for the whole", conn->id);
    }
    if (conn->abort_asked || !(alive || clean)) {
        return; /* the rest was dropped, and weir's side knows */
    }
    if (conn->got != conn->written || conn->file.fd != 0) {
        fake_fail("peer %u read the end of the stream after %llu bytes, but "
                  "%llu were accepted",
                  conn->id, (unsigned long long)conn->got,
                  (unsigned long long)conn->written);
    }
}

static bool read_some(struct sim_conn *conn)
{
    static uint8_t buf[PIECE_MAX];
    size_t room = sim_size();
    room = room < sizeof(buf) ? room : sizeof(buf);
    uint64_t tokens[FAKE_TOKENS_MAX];
    uint32_t token_count = 0;
    ssize_t len =
        fake_peer_read_tokens(conn->peer, buf, room, tokens, &token_count);
    if (len == -EAGAIN) {
        return false;
    }
    if (len <= 0) {
        if (len == 0) {
            check_end(conn);
        }
        let_go(conn);
        return true;
    }
    bool own = conn->mode == SIM_SOURCE;
    sim_check_bytes(conn, own, conn->got, buf, (size_t)len);
    sim_pass_arrived(conn, (size_t)len, tokens, token_count);
    conn->got += (uint64_t)len;
    if (!own && conn->got > conn->sent) {
        fake_fail("peer %u got more bytes than it has sent", conn->id);
    }
    if (fake_chance(20)) {
        conn->stalled_to_ns = fake_now() + fake_random(300) * SIM_MS;
        fake_at(conn->stalled_to_ns, nothing, NULL);
    }
    return true;
}

/* Where connections move bulk, large pieces for some time and then small ones:
 * the way of receiving changes. */
static size_t piece_size(struct sim_conn *conn)
{
    if (!sim.bulk) {
        return sim_size();
    }
    if (fake_chance(80)) {
        conn->sends_little = !conn->sends_little;
    }
    return conn->sends_little ? 1 + (size_t)fake_random(4096)
                              : 16384 + (size_t)fake_random(PIECE_MAX - 16384);
}

static bool write_some(struct sim_conn *conn)
{
    static uint8_t buf[PIECE_MAX];
    uint64_t len = conn->plan_sent - conn->sent;
    size_t piece = piece_size(conn);
    len = len < piece ? len : piece;
    len = len < sizeof(buf) ? len : sizeof(buf);
    sim_fill(conn, false, conn->sent, buf, (size_t)len);
    ssize_t res = sim_pass_peer_write(conn, buf, (size_t)len);
    if (res == -EAGAIN) {
        return false;
    }
    if (res < 0) {
        let_go(conn);
        return true;
    }
    conn->sent += (uint64_t)res;
    sim_file_end_peer(conn);
    return res > 0;
}

/* Everything is sent: the planned end. */
static bool end_sending(struct sim_conn *conn)
{
    if (conn->peer_end == SIM_PEER_CLOSE) {
        let_go(conn);
        return true;
    }
    if (conn->peer_end == SIM_PEER_FIN && !conn->fin_sent) {
        fake_peer_shutdown(conn->peer);
        conn->fin_sent = true;
        return true;
    }
    return false;
}

bool sim_peer_step(struct sim_conn *conn)
{
    if (!conn->peer) {
        return false;
    }
    if (conn->peer_end == SIM_PEER_RESET && conn->sent >= conn->reset_at) {
        conn->was_reset = true;
        fake_peer_reset(conn->peer);
        let_go(conn);
        return true;
    }
    bool reads = !conn->never_reads && fake_now() >= conn->stalled_to_ns;
    if (reads && fake_chance(500) && read_some(conn)) {
        return true;
    }
    if (conn->sent < conn->plan_sent) {
        if (write_some(conn)) {
            return true;
        }
    } else if (end_sending(conn)) {
        return true;
    }
    return reads && conn->peer && read_some(conn);
}

void sim_peer_check(const struct sim_conn *conn)
{
    /* A client's peer may be found only after the client has gone. */
    if (conn->peer && !conn->never_reads && !conn->is_client) {
        fake_fail("peer %u has not come to its end", conn->id);
    }
}
