/*
 * Runs a simulation: plan, steps with invariants between them, and end; see
 * sim.h.
 *
 * A run ends when every connection has ended on both sides. Some runs are
 * stopped earlier, and then freeing the loop must end the rest. Afterwards
 * there must be no descriptor, no operation, no lease and no block of memory.
 */
#include "tests/sim/sim.h"

#include "lib/loop/loop.h"
#include "tests/pattern.h"
#include "uring/feature.h"
#include "weir/inspect.h"

#include <errno.h>

#define PEER_STEPS 3

struct sim sim;

/* Each direction of a connection is a stream of its own. */
static uint32_t seed_of(const struct sim_conn *conn, bool own)
{
    return conn->id * 2 + (own ? 1 : 0);
}

void sim_fill(const struct sim_conn *conn, bool own, uint64_t offset,
              uint8_t *data, size_t len)
{
    pattern_fill(seed_of(conn, own), offset, data, len);
}

void sim_check_bytes(const struct sim_conn *conn, bool own, uint64_t offset,
                     const uint8_t *data, size_t len)
{
    if (!pattern_is(seed_of(conn, own), offset, data, len)) {
        fake_fail(
            "connection %u: one of %zu bytes from offset %llu on is wrong",
            conn->id, len, (unsigned long long)offset);
    }
}

size_t sim_size(void)
{
    switch (fake_random(10)) {
    case 0:
        return 1;
    case 1:
        return 1 + (size_t)fake_random(sim.unit * 16u);
    default:
        return 1 + (size_t)fake_random(sim.unit);
    }
}

static bool start_peer(struct sim_conn *conn)
{
    struct sockaddr_in addr = {.sin_family = AF_INET,
                               .sin_port = htons(sim.port),
                               .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    if (conn->is_client || conn->started || !sim.serving) {
        return false;
    }
    conn->peer = fake_connect((struct sockaddr *)&addr, sizeof(addr));
    if (!conn->peer) {
        return false;
    }
    conn->started = true;
    conn->port = fake_peer_port(conn->peer);
    return true;
}

/* Finds out which client an accepted peer belongs to. */
static void match_strangers(void)
{
    struct fake_peer *peer = fake_listener_accept(sim.listener);
    if (peer && sim.stranger_count < SIM_CONN_MAX) {
        sim.strangers[sim.stranger_count++] = peer;
    }
    for (uint32_t s = 0; s < sim.stranger_count; s++) {
        uint16_t port = fake_peer_remote_port(sim.strangers[s]);
        for (uint32_t i = 0; i < sim.conn_count; i++) {
            struct sim_conn *conn = &sim.conns[i];
            if (conn->is_client && conn->port == port) {
                conn->peer = sim.strangers[s];
                sim.strangers[s] = sim.strangers[--sim.stranger_count];
                return;
            }
        }
    }
}

static bool step_some_peer(void)
{
    uint32_t first = (uint32_t)fake_random(sim.conn_count);
    match_strangers();
    if (fake_chance(500) && (sim_endpoints_step() || sim_pipes_step())) {
        return true;
    }
    for (uint32_t i = 0; i < sim.conn_count; i++) {
        struct sim_conn *conn = &sim.conns[(first + i) % sim.conn_count];
        if (start_peer(conn) || sim_peer_step(conn)) {
            return true;
        }
    }
    return sim_endpoints_step() || sim_pipes_step();
}

static void check_invariants(void)
{
    struct weir_loop_statistics now = {.size = sizeof(now)};
    uint64_t queued = sim_endpoints_watch() + sim_pipes_watch();
    uint64_t blocks = 0; /* of files that are read, at most */
    wr_loop_check_invariants(sim.loop);
    if (weir_loop_get_statistics(sim.loop, &now) < 0) {
        fake_fail("no statistics");
    }
    for (uint32_t i = 0; i < sim.conn_count; i++) {
        struct sim_conn *conn = &sim.conns[i];
        sim_side_watch(conn);
        if (conn->state == SIM_MADE) {
            queued += weir_transport_get_write_buffer_size(conn->t);
            blocks += conn->file.fd != 0 ? SIM_BLOCK_BYTES : 0;
        }
    }
    if (now.queued_bytes < queued || now.queued_bytes > queued + blocks) {
        fake_fail("%llu bytes are queued, the loop counts %llu",
                  (unsigned long long)queued,
                  (unsigned long long)now.queued_bytes);
    }
    if (now.held_bytes > sim.held_limit) {
        fake_fail("%llu bytes are held of %llu at most",
                  (unsigned long long)now.held_bytes,
                  (unsigned long long)sim.held_limit);
    }
    if (fake_ops_in_flight() > now.ops_in_flight) {
        fake_fail("%u operations are in flight, the loop counts %llu",
                  fake_ops_in_flight(), (unsigned long long)now.ops_in_flight);
    }
    if (!sim.posted &&
        now.memory_bytes + sim.uncounted_bytes != sim.alloc.live_bytes) {
        fake_fail("%llu bytes of memory are out, the loop counts %llu",
                  (unsigned long long)sim.alloc.live_bytes,
                  (unsigned long long)now.memory_bytes);
    }
}

static void on_enter(void *arg)
{
    if (!sim.loop) {
        return; /* it is being made */
    }
    check_invariants();
    sim.result.put_off += sim.loop->budget.turn_sent_bytes >= WR_TURN_BYTES &&
                          !wr_list_is_empty(&sim.loop->turn_ends);
    for (int i = 0; i < PEER_STEPS && fake_chance(300); i++) {
        step_some_peer();
    }
}

static bool on_idle(void *arg)
{
    return sim.loop && fake_chance(850) && step_some_peer();
}

static bool is_over(const struct sim_conn *conn)
{
    if (conn->state == SIM_MADE || conn->peer || !conn->started) {
        return false;
    }
    return !conn->is_client || conn->done;
}

static bool all_over(void *arg)
{
    if (sim.stop_ns != 0 && fake_now() >= sim.stop_ns) {
        return true;
    }
    for (uint32_t i = 0; i < sim.conn_count; i++) {
        if (!is_over(&sim.conns[i])) {
            return false;
        }
    }
    return sim_endpoints_are_over() && sim_pipes_are_over();
}

static void dump_conn(const struct sim_conn *conn)
{
    fprintf(stderr,
            "connection %u: %s started=%d state=%d done=%d peer=%s end=%d "
            "sent=%llu/%llu got=%llu received=%llu written=%llu file=%d\n",
            conn->id, conn->is_client ? "client" : "server", conn->started,
            (int)conn->state, conn->done, conn->peer ? "there" : "gone",
            (int)conn->peer_end, (unsigned long long)conn->sent,
            (unsigned long long)conn->plan_sent, (unsigned long long)conn->got,
            (unsigned long long)conn->received,
            (unsigned long long)conn->written, conn->file.fd);
}

static void posted(void *arg)
{
    if (sim.in_api || sim.in_callback) {
        fake_fail("a post runs out of turn");
    }
    sim.posted = false;
}

/* As another thread would; when all is over, the loop has to be told to look
 * at its condition. */
static void post(void)
{
    int err = weir_loop_call_soon_threadsafe(sim.loop, posted, NULL, NULL);
    sim.posted = err == 0;
    sim.posted_ns = fake_now();
    if (err < 0 && sim.alloc.failed == 0) {
        fake_fail("a post failed with %d", err);
    }
    if (all_over(NULL)) {
        sim.alloc.fail_after = false; /* memory comes back at last */
    }
}

static void beat(void *arg)
{
    if (fake_now() > FAKE_START_NS + SIM_END_NS) {
        weir_loop_dump(sim.loop, stderr);
        for (uint32_t i = 0; i < sim.conn_count; i++) {
            dump_conn(&sim.conns[i]);
        }
        fake_fail("the run has not ended after %llu s",
                  (unsigned long long)(SIM_END_NS / SIM_S));
    }
    if (sim.posted && sim.loop && fake_now() > sim.posted_ns + SIM_S) {
        fake_fail("a post was not run for a second");
    }
    if (!sim.posted && sim.loop && (all_over(NULL) || fake_chance(100))) {
        post();
    }
    for (uint32_t i = 0; sim.loop && i < sim.conn_count; i++) {
        sim_side_beat(&sim.conns[i]);
    }
    if (sim.loop) {
        sim_endpoints_beat();
        sim_pipes_beat();
    }
    fake_at(fake_now() + SIM_BEAT_NS, beat, NULL);
}

static void server_done(void *arg, int err, weir_server *server)
{
    struct weir_address addr;
    bool may_fail = err == -EMFILE || err == -ENOMEM ||
                    (err == -ECANCELED && sim.closes_server);
    if (sim.in_api || server != sim.server || (err != 0 && !may_fail)) {
        fake_fail("the server's start gave %d", err);
    }
    if (err != 0) {
        sim.stop_ns = 1; /* without a server there is nothing to see */
        return;
    }
    weir_server_get_socket(server, 0, &addr);
    sim.port = ntohs(addr.storage.inet.sin_port);
    sim.serving = true;
}

static void server_closed(void *arg, weir_server *server)
{
    if (sim.in_api || server != sim.server || sim.server_closed) {
        fake_fail("wait_closed out of turn");
    }
    sim.server_closed = true;
}

static bool is_closed(void *arg)
{
    return sim.server_closed;
}

static void on_exception(void *arg, weir_loop *loop,
                         const struct weir_exception *exception)
{
    if (loop != sim.loop || !exception->message || exception->err >= 0 ||
        (exception->transport && exception->server)) {
        fake_fail("a strange report: %d", exception->err);
    }
    if (exception->server && exception->err == SIM_CALLBACK_ERR) {
        sim.reported_count++;
    }
}

/* False when memory ran out. */
static bool start_loop(void)
{
    struct weir_loop_options options = {.size = sizeof(options),
                                        .allocator = &sim.alloc.hooks,
                                        .held_limit_bytes = sim.held_limit,
                                        .engine = sim.options.engine};
    weir_loop *loop;
    int err = weir_loop_new(&options, &loop);
    if (err < 0) {
        if (err != -ENOMEM || sim.alloc.failed == 0) {
            fake_fail("loop_new failed with %d", err);
        }
        return false;
    }
    sim.loop = loop;
    weir_loop_set_exception_handler(loop, on_exception, NULL);
    struct weir_loop_statistics now = {.size = sizeof(now)};
    if (weir_loop_get_statistics(loop, &now) < 0) {
        fake_fail("no statistics");
    }
    sim.uncounted_bytes = sim.alloc.live_bytes - now.memory_bytes;
    return true;
}

static bool start_server(void)
{
    struct weir_factory factory = {sim_factory, NULL};
    struct weir_server_options options = {
        .size = sizeof(options),
        .connection_limit = fake_chance(100) ? 1 + fake_random(4) : 0,
        .backlog = fake_chance(200) ? 1 : 0,
        .connection = {.size = sizeof(options.connection),
                       .read_limit_bytes = sim.read_limit}};
    sim_enter_api(false);
    int err = weir_create_server(sim.loop, &factory, "127.0.0.1", 0, &options,
                                 server_done, NULL, &sim.server);
    sim_leave_api();
    if (err < 0 && err != -EMFILE && !(err == -ENOMEM && sim.alloc.failed)) {
        fake_fail("create_server failed with %d", err);
    }
    return err == 0;
}

/* Closes the server and waits for it; sometimes in other words. */
static void end_server(void)
{
    int err;
    sim.closes_server = true;
    sim_enter_api(false);
    if (fake_chance(500)) {
        weir_server_close(sim.server);
        err = weir_server_add_closed_callback(sim.server, server_closed, NULL);
    } else {
        err = weir_server_stop(sim.server, fake_random(SIM_S), server_closed,
                               NULL);
    }
    sim_leave_api();
    if (err == -ENOMEM && sim.alloc.failed > 0) {
        return;
    }
    if (err < 0 || weir_loop_run_until(sim.loop, is_closed, NULL) != 0) {
        fake_fail("the server does not close: %d", err);
    }
    if (weir_server_get_connection_count(sim.server) != 0) {
        fake_fail("the server still counts connections");
    }
}

static void run_loop(void)
{
    beat(NULL);
    for (uint32_t i = 0; i < sim.conn_count; i++) {
        if (sim.conns[i].is_client) {
            sim_connect(&sim.conns[i]);
        }
    }
    sim_endpoints_start();
    sim_pipes_start();
    int err = weir_loop_run_until(sim.loop, all_over, NULL);
    if (err != 0) {
        fake_fail("the run ended with %d", err);
    }
    if (sim.stop_ns == 0) {
        end_server();
    }
}

static void end_loop(void)
{
    weir_loop *loop = sim.loop;
    uint64_t alive = sim.made_count - sim.lost_count;
    for (uint32_t i = 0; i < sim.conn_count; i++) {
        sim_drop_held(&sim.conns[i]);
        sim.conns[i].abort_asked |= sim.conns[i].state == SIM_MADE;
    }
    sim_endpoints_end();
    sim_pipes_end();
    bool server_first = fake_chance(500);
    sim.closes_server = true;
    if (server_first) {
        weir_server_free(sim.server);
    }
    int err = weir_loop_free(loop);
    sim.loop = NULL;
    if (err < 0 || (uint64_t)err != alive) {
        fake_fail("loop_free gave %d, %llu connections were alive", err,
                  (unsigned long long)alive);
    }
    if (!server_first) {
        weir_server_free(sim.server);
    }
}

static void check_end(void)
{
    for (uint32_t i = 0; i < sim.conn_count; i++) {
        sim_side_check(&sim.conns[i]);
        if (sim.stop_ns == 0) {
            sim_peer_check(&sim.conns[i]);
        }
    }
    sim_endpoints_check();
    sim_pipes_check();
    if (sim.reported_count != sim.refused_count) {
        fake_fail("%llu factories failed, %llu were reported",
                  (unsigned long long)sim.refused_count,
                  (unsigned long long)sim.reported_count);
    }
    if (sim.alloc.live_count != 0) {
        fake_fail("%llu blocks with %llu bytes were not freed",
                  (unsigned long long)sim.alloc.live_count,
                  (unsigned long long)sim.alloc.live_bytes);
    }
}

static void note_datagrams(const struct fake_stats *stats)
{
    uint64_t *counts = sim.result.counts;
    counts[SIM_DATAGRAMS_TRUNCATED] = stats->datagrams_truncated;
    counts[SIM_DATAGRAMS_EMPTY] = stats->datagrams_empty;
    counts[SIM_DATAGRAM_TOO_LONG] = stats->datagrams_too_long;
    counts[SIM_DATAGRAM_NO_ROOM] = stats->datagrams_full;
    counts[SIM_DATAGRAM_NO_MEMORY] = stats->datagrams_short;
    counts[SIM_DATAGRAM_RECV_NO_MEMORY] = stats->datagrams_no_memory;
    counts[SIM_DATAGRAM_LOST] = stats->datagrams_lost;
    counts[SIM_DATAGRAM_DOUBLED] = stats->datagrams_doubled;
    counts[SIM_DATAGRAM_DELAYED] = stats->datagrams_delayed;
    counts[SIM_DATAGRAM_DROPPED] = stats->datagrams_dropped;
    counts[SIM_PIPE_FULL] = stats->fifo_full;
    counts[SIM_PIPE_PEER_GONE] = stats->fifo_broken;
    counts[SIM_PIPE_WORKERS] = stats->fifo_worked;
}

void sim_run(const struct sim_options *options, struct sim_result *ret)
{
    memset(&sim, 0, sizeof(sim));
    sim.options = *options;
    allocator_init(&sim.alloc);
    sim.alloc.fail_at = options->fail_at;
    sim.alloc.fail_after = options->fail_after;
    sim_plan(options, on_enter, on_idle);
    if (start_loop()) {
        if (start_server()) {
            run_loop();
        }
        end_loop();
    }
    check_end();
    const struct fake_stats stats = *fake_stats();
    fake_stop();
    sim.result.call_receives = stats.call_receives;
    sim.result.call_receives_short = stats.call_receives_short;
    sim.result.call_receives_empty = stats.call_receives_empty;
    sim.result.call_receives_left = stats.call_receives_left;
    sim.result.counts[SIM_FILES_CUT_SHORT] = stats.sendfiles_short;
    sim.result.counts[SIM_FILES_WITHOUT_ROOM] = stats.sendfiles_full;
    note_datagrams(&stats);
    sim.result.counts[SIM_FILES_READ] = stats.disk_reads;
    sim.result.counts[SIM_FDS_WAITED] = stats.closes_waited;
    sim.result.counts[SIM_WORKERS_LACKING] = stats.workers_lacking;
    sim.result.counts[SIM_WORKERS_CANCELS] = stats.workers_lacking_cancelled;
    sim.result.counts[SIM_WORKED_HERE] = stats.worked_here;
    sim.result.allocations = sim.alloc.calls;
    sim.result.failed = sim.alloc.failed;
    sim.result.connections = sim.made_count;
    *ret = sim.result;
}
