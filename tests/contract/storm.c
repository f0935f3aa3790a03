/*
 * Ten thousand connections that end badly.
 *
 * Plain sockets and weir's own clients connect to a weir server; both sides
 * write, half-close, close, abort, reset, pause and keep leases at random.
 * Every connection that was made is lost once, the bytes that arrive are in
 * order, and no descriptor, operation, timer, lease or reference remains. The
 * seed is printed and accepted.
 */
#include "tests/contract/harness.h"
#include "tests/marks.h"
#include "tests/unit/random.h"

#include <arpa/inet.h>
#include <weir/connect.h>

#ifdef UNIT_HAS_LSAN
#define STORM_COUNT 1000
#else
#define STORM_COUNT 10000
#endif

enum { CLIENTS_MAX = 64 };

struct plain {
    int fd;
    int action;
    uint64_t to_send;
    uint64_t sent;
    uint64_t received;
};

struct storm {
    weir_loop *loop;
    weir_server *server;
    struct weir_address addr;
    struct unit_random random;
    struct plain plain[CLIENTS_MAX];
    uint64_t started;
    uint64_t attempts;
    uint64_t made;
    uint64_t lost;
    uint64_t writes;
    uint64_t releases;
    bool listening;
};

struct conn {
    struct storm *storm;
    weir_transport *t;
    weir_lease *lease;
    struct weir_handle fuse;
    uint64_t received;
    uint64_t written;
};

static uint64_t chance(struct storm *storm, uint64_t bound)
{
    return unit_random_below(&storm->random, bound);
}

static void release(void *arg)
{
    ((struct storm *)arg)->releases++;
}

static void write_some(struct conn *conn)
{
    static uint8_t buf[65536];
    const size_t len = (size_t)chance(conn->storm, sizeof(buf));

    rig_pattern(buf, conn->written, len);
    if (weir_transport_write(conn->t, buf, len) == 0) {
        conn->written += len;
    }
}

static void write_reference(struct conn *conn)
{
    static uint8_t whole[4096];
    const size_t len = conn->written == 0 ? sizeof(whole) : 0;

    rig_pattern(whole, 0, sizeof(whole));
    conn->storm->writes++;
    if (weir_transport_write_ref(conn->t, whole, len, release, conn->storm) ==
        0) {
        conn->written += len;
    }
}

static void behave(struct conn *conn)
{
    weir_transport *t = conn->t;
    switch (chance(conn->storm, 10)) {
    case 0:
        weir_transport_close(t);
        break;
    case 1:
        weir_transport_abort(t);
        break;
    case 2:
        weir_transport_write_eof(t);
        break;
    case 3:
        weir_transport_pause_reading(t);
        break;
    case 4:
        weir_transport_resume_reading(t);
        break;
    case 5:
        set_marks(t, 1000, WEIR_DEFAULT);
        break;
    case 6:
        write_reference(conn);
        break;
    default:
        write_some(conn);
    }
}

static void burn(void *arg)
{
    struct conn *conn = arg;
    weir_transport_abort(conn->t);
}

static void connection_made(void *user, weir_transport *t)
{
    struct conn *conn = user;
    struct storm *storm = conn->storm;

    conn->t = t;
    storm->made++;
    expect_ok(weir_loop_call_later(storm->loop, chance(storm, 20) * RIG_MS,
                                   burn, conn, &conn->fuse));
    behave(conn);
    behave(conn);
}

static void connection_lost(void *user, weir_transport *t, int err)
{
    struct conn *conn = user;

    expect(conn->t == t);
    expect_eq(weir_transport_get_error(t), err);
    expect(weir_transport_get_end(t) != WEIR_END_NONE);
    conn->storm->lost++;
    weir_handle_cancel(conn->storm->loop, conn->fuse);
    weir_buf_unref(conn->lease);
    free(conn);
}

static int data_received(void *user, weir_transport *t,
                         const struct weir_buf *buf)
{
    struct conn *conn = user;

    expect(conn->t == t);
    expect(rig_is_pattern(buf->data, conn->received, buf->len));
    conn->received += buf->len;
    if (!conn->lease && chance(conn->storm, 4) == 0) {
        struct weir_buf kept = *buf;
        expect_eq(weir_buf_ref(&kept), 0);
        conn->lease = kept.lease;
    }
    if (chance(conn->storm, 3) == 0) {
        behave(conn);
    }
    return chance(conn->storm, 50) == 0 ? -EPROTO : 0;
}

static int eof_received(void *user, weir_transport *t)
{
    struct conn *conn = user;
    expect(conn->t == t);
    behave(conn);
    return (int)chance(conn->storm, 3) - 1;
}

static void resume_writing(void *user, weir_transport *t)
{
    struct conn *conn = user;
    expect(conn->t == t);
    behave(conn);
}

static CALLBACKS(storm_protocol, STREAM, .connection_made = connection_made,
                 .connection_lost = connection_lost,
                 .resume_writing = resume_writing,
                 .data_received = data_received, .eof_received = eof_received);

static int create(void *arg, weir_transport *t,
                  struct weir_protocol_binding *ret)
{
    struct storm *storm = arg;
    if (chance(storm, 100) == 0) {
        return -EACCES;
    }
    struct conn *conn = calloc(1, sizeof(*conn));
    expect(conn != NULL);
    conn->storm = storm;
    *ret = (struct weir_protocol_binding){&storm_protocol, conn};
    return 0;
}

static void attempt_done(void *arg, int err, weir_transport *t)
{
    struct storm *storm = arg;
    expect((err < 0) == (t == NULL));
    storm->attempts--;
}

static void start_weir_client(struct storm *storm)
{
    const struct weir_factory factory = {.create = create, .arg = storm};
    const uint16_t port = ntohs(storm->addr.storage.inet.sin_port);
    weir_pending *connect;

    expect_ok(weir_create_connection(storm->loop, &factory, "127.0.0.1", port,
                                     NULL, attempt_done, storm, &connect));
    storm->attempts++;
    if (chance(storm, 20) == 0) {
        weir_pending_cancel(connect);
    }
}

static void start_plain_client(struct storm *storm, struct plain *plain)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    expect(fd >= 0);
    const int err =
        connect(fd, &storm->addr.storage.any, storm->addr.len) < 0 ? errno : 0;
    expect(err == 0 || err == EINPROGRESS);
    *plain = (struct plain){.fd = fd,
                            .action = (int)chance(storm, 6),
                            .to_send = chance(storm, 100000)};
}

static void end_plain(struct plain *plain, bool reset)
{
    const struct linger linger = {.l_onoff = 1, .l_linger = 0};
    if (reset) {
        setsockopt(plain->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
    }
    close(plain->fd);
    plain->fd = -1;
}

static bool plain_reads(struct plain *plain)
{
    static uint8_t buf[65536];
    const ssize_t got = recv(plain->fd, buf, sizeof(buf), 0);
    if (got <= 0) {
        return got == 0 || errno != EAGAIN;
    }
    expect(rig_is_pattern(buf, plain->received, (size_t)got));
    plain->received += (uint64_t)got;
    return false;
}

static bool plain_sends(struct plain *plain)
{
    uint8_t buf[8192];
    const uint64_t left = plain->to_send - plain->sent;
    const size_t part = left < sizeof(buf) ? (size_t)left : sizeof(buf);
    rig_pattern(buf, plain->sent, part);
    const ssize_t sent = send(plain->fd, buf, part, MSG_NOSIGNAL);
    plain->sent += sent > 0 ? (uint64_t)sent : 0;
    return sent < 0 && errno != EAGAIN;
}

static void step_plain(struct plain *plain)
{
    const bool quick = plain->action < 2; /* sends nothing */
    const bool done = quick || plain->sent == plain->to_send;
    const bool resets = plain->action % 2 == 1;

    if (!done) {
        if (plain_sends(plain)) {
            end_plain(plain, resets);
        }
        return;
    }
    if (plain->action == 5) { /* half-closes, and reads to the end */
        shutdown(plain->fd, SHUT_WR);
        if (!plain_reads(plain)) {
            return;
        }
    }
    if (plain->action == 4) { /* reads once more */
        plain_reads(plain);
    }
    end_plain(plain, resets && plain->action != 5);
}

static void server_done(void *arg, int err, weir_server *server)
{
    struct storm *storm = arg;
    expect_eq(err, 0);
    storm->listening = true;
}

static void start(struct storm *storm)
{
    const struct weir_factory factory = {.create = create, .arg = storm};

    const struct unit_random random = storm->random;
    memset(storm, 0, sizeof(*storm));
    storm->random = random;
    for (size_t i = 0; i < CLIENTS_MAX; i++) {
        storm->plain[i].fd = -1;
    }
    expect_eq(weir_loop_new(NULL, &storm->loop), 0);
    expect_ok(weir_create_server(storm->loop, &factory, "127.0.0.1", 0, NULL,
                                 server_done, storm, &storm->server));
    RUN_UNTIL(storm->loop, storm->listening);
    expect(weir_server_get_socket(storm->server, 0, &storm->addr) >= 0);
}

static void turn(struct storm *storm)
{
    weir_loop_stop(storm->loop);
    expect_eq(weir_loop_run(storm->loop), 0);
}

static void rage(struct storm *storm, uint64_t count)
{
    const uint64_t until = storm->started + count;
    bool busy = true;

    while (storm->started < until || busy) {
        busy = false;
        for (size_t i = 0; i < CLIENTS_MAX; i++) {
            struct plain *plain = &storm->plain[i];
            if (plain->fd >= 0) {
                step_plain(plain);
            } else if (storm->started < until) {
                start_plain_client(storm, plain);
                storm->started++;
            }
            busy = busy || plain->fd >= 0;
        }
        if (storm->started < until && storm->attempts < CLIENTS_MAX) {
            start_weir_client(storm);
            storm->started++;
        }
        turn(storm);
    }
    RUN_UNTIL(storm->loop, storm->made == storm->lost && storm->attempts == 0);
    for (int i = 0; i < 5; i++) { /* accepts of clients that are gone */
        turn(storm);
    }
    RUN_UNTIL(storm->loop, storm->made == storm->lost && storm->attempts == 0);
}

static void expect_nothing_left(const struct storm *storm, uint64_t ops)
{
    const struct weir_loop_statistics stats = statistics_of(storm->loop);

    expect_eq(stats.connections, 0);
    expect_eq(stats.ops_in_flight, ops);
    expect_eq(stats.leases, 0);
    expect_eq(stats.held_bytes, 0);
    expect_eq(stats.queued_bytes, 0);
    expect_eq(stats.timers, 0);
    expect_eq(weir_server_get_connection_count(storm->server), 0);
    expect_eq(storm->made, storm->lost);
    expect_eq(storm->writes, storm->releases);
}

UNIT(storm, ten_thousand_bad_ends_leave_nothing_behind)
{
    static struct storm storm;
    unit_random_seed(&storm.random);
    start(&storm);
    turn(&storm);
    const uint64_t ops = statistics_of(storm.loop).ops_in_flight;

    rage(&storm, STORM_COUNT / 2);
    expect_nothing_left(&storm, ops);
    const uint64_t memory = statistics_of(storm.loop).memory_bytes;
    rage(&storm, STORM_COUNT / 2);

    expect_nothing_left(&storm, ops);
    expect(storm.made > STORM_COUNT / 2);
    expect(statistics_of(storm.loop).memory_bytes <= 2 * memory);
    weir_server_free(storm.server);
    expect_eq(weir_loop_free(storm.loop), 0);
}

UNIT(storm, a_loop_that_is_freed_in_the_middle_leaves_nothing_behind)
{
    static struct storm storm;
    unit_random_seed(&storm.random);
    for (int round = 0; round < 20; round++) {
        start(&storm);
        for (int i = 0; i < 20; i++) {
            start_plain_client(&storm, &storm.plain[i]);
            start_weir_client(&storm);
            turn(&storm);
            step_plain(&storm.plain[i]);
        }
        weir_server_free(storm.server);

        expect(weir_loop_free(storm.loop) >= 0);

        expect_eq(storm.made, storm.lost);
        expect_eq(storm.attempts, 0);
        expect_eq(storm.writes, storm.releases);
        for (size_t i = 0; i < CLIENTS_MAX; i++) {
            if (storm.plain[i].fd >= 0) {
                end_plain(&storm.plain[i], false);
            }
        }
    }
}
