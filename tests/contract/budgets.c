/*
 * Budgets: what peers can make grow, and what they cannot.
 *
 * A crowd of connections with peers that send as much as is taken from them,
 * and protocols that read nothing or keep everything. The pool stays within
 * the loop's limit, nothing is dropped, and a well-behaved connection beside
 * them is served all the time.
 */
#include "tests/contract/harness.h"

#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>

enum { CROWD_MAX = 1001, LEASES_MAX = 20000, SMALL_BUFFER = 16384 };

/* Buffers beyond the limit: those that are posted and not held by anybody. */
#define POSTED_BYTES (UINT64_C(10) << 18)

enum conduct {
    CONDUCT_READS,  /* and drops */
    CONDUCT_PAUSES, /* after the first byte, for good */
    CONDUCT_KEEPS,  /* every lease */
    CONDUCT_ECHOES,
};

struct member {
    struct crowd *crowd;
    weir_transport *t;
    enum conduct conduct;
    int peer;
    uint64_t peer_sent;
    uint64_t received;
    bool lost;
};

struct crowd {
    weir_loop *loop;
    struct member members[CROWD_MAX];
    int count;
    int made_count;
    weir_lease *leases[LEASES_MAX];
    int lease_count;
};

static struct crowd crowd; /* too large for the stack */

/* ---- the protocol ---- */

static void connection_made(void *user, weir_transport *t)
{
    struct member *member = user;
    member->t = t;
    member->crowd->made_count++;
}

static void connection_lost(void *user, weir_transport *t, int err)
{
    struct member *member = user;
    (void)t;
    (void)err;
    member->lost = true;
}

static int data_received(void *user, weir_transport *t,
                         const struct weir_buf *buf)
{
    struct member *member = user;

    expect(rig_is_pattern(buf->data, member->received, buf->len));
    member->received += buf->len;
    switch (member->conduct) {
    case CONDUCT_READS:
        break;
    case CONDUCT_PAUSES:
        weir_transport_pause_reading(t);
        break;
    case CONDUCT_KEEPS:
        expect(crowd.lease_count < LEASES_MAX);
        crowd.leases[crowd.lease_count++] = weir_lease_ref(buf->lease);
        break;
    case CONDUCT_ECHOES:
        expect_eq(weir_transport_write_buf(t, buf), 0);
        break;
    }
    return 0;
}

static const struct weir_protocol crowd_protocol = {
    .size = sizeof(crowd_protocol),
    .kind = WEIR_PROTOCOL_STREAM,
    .connection_made = connection_made,
    .connection_lost = connection_lost,
    .data_received = data_received,
};

static int create(void *arg, weir_transport *t,
                  struct weir_protocol_binding *ret)
{
    (void)t;
    *ret = (struct weir_protocol_binding){&crowd_protocol, arg};
    return 0;
}

/* ---- the crowd ---- */

static void turn(void)
{
    weir_loop_stop(crowd.loop);
    expect_eq(weir_loop_run(crowd.loop), 0);
}

static struct weir_loop_statistics statistics(void)
{
    struct weir_loop_statistics stats;
    weir_loop_get_statistics(crowd.loop, &stats);
    return stats;
}

static void raise_fd_limit(void)
{
    struct rlimit limit;
    expect_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = limit.rlim_max;
    expect_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
    if (limit.rlim_cur < 2 * CROWD_MAX + 100) {
        cr_skip_test("no more than %llu descriptors",
                     (unsigned long long)limit.rlim_cur);
    }
}

static void begin(uint64_t held_limit_bytes)
{
    const struct weir_loop_options options = {
        .size = sizeof(options), .held_limit_bytes = held_limit_bytes};
    raise_fd_limit();
    memset(&crowd, 0, sizeof(crowd));
    expect_eq(weir_loop_new(&options, &crowd.loop), 0);
}

/* Two connected sockets: one for weir, one for the peer. */
static void make_pair(bool is_tcp, int ret[2])
{
    if (!is_tcp) {
        expect_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ret), 0);
    } else {
        uint16_t port;
        struct sockaddr_storage addr;
        socklen_t len = sizeof(addr);
        int fd = listen_tcp(&port, SMALL_BUFFER);
        expect_eq(getsockname(fd, (struct sockaddr *)&addr, &len), 0);
        ret[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        expect(ret[0] >= 0);
        expect_eq(connect(ret[0], (struct sockaddr *)&addr, len), 0);
        ret[1] = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
        expect(ret[1] >= 0);
        close(fd);
    }
    set_socket_option(ret[0], SOL_SOCKET, SO_SNDBUF, SMALL_BUFFER);
    set_nonblocking(ret[0]);
}

static struct member *add(bool is_tcp, enum conduct conduct)
{
    struct member *member = &crowd.members[crowd.count++];
    const struct weir_factory factory = {.create = create, .arg = member};
    struct weir_connect_options options = {.size = sizeof(options),
                                           .use_sock = true};
    int fds[2];
    make_pair(is_tcp, fds);
    member->crowd = &crowd;
    member->conduct = conduct;
    member->peer = fds[0];
    options.sock = fds[1];
    expect_eq(
        weir_create_connection(crowd.loop, &factory, NULL, 0, &options, NULL),
        0);
    return member;
}

static bool all_made(void *arg)
{
    (void)arg;
    return crowd.made_count == crowd.count;
}

static void wait_made(void)
{
    run_loop_until(crowd.loop, all_made, NULL);
}

/* As much as the socket takes now; true when that was something. */
static bool push(struct member *member, uint64_t most)
{
    uint8_t buf[4096];
    bool some = false;
    while (most > 0) {
        const size_t part = most < sizeof(buf) ? (size_t)most : sizeof(buf);
        rig_pattern(buf, member->peer_sent, part);
        const ssize_t sent = send(member->peer, buf, part, MSG_NOSIGNAL);
        if (sent <= 0) {
            expect_eq(errno, EAGAIN);
            break;
        }
        member->peer_sent += (uint64_t)sent;
        most -= (uint64_t)sent;
        some = true;
    }
    return some;
}

/* One small message there and back. */
static void expect_served(struct member *member)
{
    uint8_t buf[100];
    size_t got = 0;
    const uint64_t from = member->peer_sent;

    expect(push(member, sizeof(buf)));
    expect_eq(member->peer_sent, from + sizeof(buf));
    for (int i = 0; i < 3000 && got < sizeof(buf); i++) {
        turn();
        const ssize_t more = recv(member->peer, buf, sizeof(buf) - got, 0);
        if (more > 0) {
            expect(rig_is_pattern(buf, from + got, (size_t)more));
            got += (size_t)more;
        } else {
            poll(NULL, 0, 1);
        }
    }
    expect_eq(got, sizeof(buf));
}

/* Everybody sends until nobody can any more, or, where somebody reads, for
 * long enough; @served is served all the time. */
static void flood(int from, int count, struct member *served)
{
    int idle = 0;
    for (int round = 0; round < 300 && idle < 10; round++) {
        idle++;
        for (int i = from; i < from + count; i++) {
            if (push(&crowd.members[i], 1u << 20)) {
                idle = 0;
            }
        }
        turn();
        if (served) {
            expect_served(served);
        }
    }
}

static uint64_t sum(uint64_t (*of)(const struct member *member))
{
    uint64_t total = 0;
    for (int i = 0; i < crowd.count; i++) {
        total += of(&crowd.members[i]);
    }
    return total;
}

static uint64_t sent_by(const struct member *member)
{
    return member->peer_sent;
}

static uint64_t received_by(const struct member *member)
{
    return member->received;
}

static void give_leases_back(void)
{
    for (int i = 0; i < crowd.lease_count; i++) {
        weir_lease_unref(crowd.leases[i]);
    }
    crowd.lease_count = 0;
}

static bool all_delivered(void *arg)
{
    (void)arg;
    give_leases_back();
    return sum(received_by) == sum(sent_by);
}

static void end(void)
{
    give_leases_back();
    expect_eq(weir_loop_free(crowd.loop), crowd.count);
    for (int i = 0; i < crowd.count; i++) {
        expect(crowd.members[i].lost);
        close(crowd.members[i].peer);
    }
}

/* ---- one flooding peer ---- */

static void flood_a_protocol(enum conduct conduct, bool is_tcp)
{
    begin(0);
    struct member *const served = add(is_tcp, CONDUCT_ECHOES);
    add(is_tcp, conduct);
    wait_made();
    expect_served(served);
    const uint64_t memory = statistics().memory_bytes;

    flood(1, 1, served);

    const struct weir_loop_statistics stats = statistics();
    expect(weir_transport_get_read_buffer_size(crowd.members[1].t) <= 1u << 20);
    expect(stats.memory_bytes <= memory + (1u << 20) + POSTED_BYTES);
    crowd.members[1].conduct = CONDUCT_READS;
    weir_transport_resume_reading(crowd.members[1].t);
    run_loop_until(crowd.loop, all_delivered, NULL);
    turn();
    expect_eq(statistics().held_bytes, 0);
    end();
}

UNIT(budgets, a_flood_against_a_tcp_protocol_that_never_resumes_is_held_back)
{
    flood_a_protocol(CONDUCT_PAUSES, true);
}

UNIT(budgets, a_flood_against_a_unix_protocol_that_never_resumes_is_held_back)
{
    flood_a_protocol(CONDUCT_PAUSES, false);
}

UNIT(budgets, a_flood_against_a_tcp_protocol_that_keeps_all_is_held_back)
{
    flood_a_protocol(CONDUCT_KEEPS, true);
}

UNIT(budgets, a_flood_against_a_unix_protocol_that_keeps_all_is_held_back)
{
    flood_a_protocol(CONDUCT_KEEPS, false);
}

UNIT(budgets, a_flood_that_is_read_does_not_starve_others)
{
    begin(0);
    struct member *const served = add(true, CONDUCT_ECHOES);
    add(true, CONDUCT_READS);
    wait_made();

    for (int i = 0; i < 300; i++) {
        push(&crowd.members[1], 1u << 20);
        expect_served(served);
    }

    run_loop_until(crowd.loop, all_delivered, NULL);
    end();
}

/* ---- many ---- */

static void pause_a_thousand(bool is_tcp)
{
    const uint64_t limit = 64u << 20; /* the default */
    begin(0);
    struct member *const served = add(is_tcp, CONDUCT_ECHOES);
    for (int i = 0; i < 1000; i++) {
        add(is_tcp, CONDUCT_PAUSES);
    }
    wait_made();

    flood(1, 1000, served);

    const struct weir_loop_statistics stats = statistics();
    expect(stats.held_bytes > 0);
    expect(stats.held_bytes <= limit / 2);
    expect(stats.pool_bytes <= limit + POSTED_BYTES);
    for (int i = 1; i <= 1000; i++) {
        crowd.members[i].conduct = CONDUCT_READS;
        weir_transport_resume_reading(crowd.members[i].t);
    }
    run_loop_until(crowd.loop, all_delivered, NULL);
    end();
}

UNIT(budgets, a_thousand_paused_tcp_readers_leave_room_for_others)
{
    pause_a_thousand(true);
}

UNIT(budgets, a_thousand_paused_unix_readers_leave_room_for_others)
{
    pause_a_thousand(false);
}

UNIT(budgets, all_connections_together_hold_no_more_than_the_loops_limit)
{
    const uint64_t limit = 2u << 20;
    begin(limit);
    for (int i = 0; i < 100; i++) {
        add(false, CONDUCT_KEEPS);
    }
    wait_made();

    flood(0, 100, NULL);

    const struct weir_loop_statistics stats = statistics();
    expect(stats.held_bytes > limit / 4);
    /* Receives under way have their credit already; the buffers end it. */
    expect(stats.held_bytes <= stats.pool_bytes);
    expect(stats.pool_bytes <= limit + POSTED_BYTES);
    expect_eq(stats.held_bytes, sum(received_by));
    expect(sum(received_by) < sum(sent_by));
    run_loop_until(crowd.loop, all_delivered, NULL); /* nothing was dropped */
    end();
}

UNIT(budgets, a_burst_to_paused_readers_fills_half_the_limit_at_most)
{
    const uint64_t limit = 4u << 20;
    begin(limit);
    for (int i = 0; i < 100; i++) {
        struct member *member = add(false, CONDUCT_READS);
        set_socket_option(member->peer, SOL_SOCKET, SO_SNDBUF, 200000);
    }
    wait_made();
    for (int i = 0; i < 100; i++) { /* from now on all share the credit */
        expect(push(&crowd.members[i], 1));
    }
    run_loop_until(crowd.loop, all_delivered, NULL);

    for (int i = 0; i < 100; i++) {
        crowd.members[i].conduct = CONDUCT_PAUSES;
        push(&crowd.members[i], 1u << 20);
    }
    flood(0, 100, NULL);

    expect(statistics().held_bytes <= limit / 2);
    end();
}

static bool all_lost(void *arg)
{
    (void)arg;
    for (int i = 0; i < crowd.count; i++) {
        if (!crowd.members[i].lost) {
            return false;
        }
    }
    return true;
}

UNIT(budgets, connections_that_have_gone_take_no_share)
{
    begin(1u << 20);
    for (int i = 0; i < 300; i++) {
        struct member *member = add(false, CONDUCT_READS);
        wait_made();
        expect_eq(weir_transport_abort(member->t), 0);
        close(member->peer);
    }
    run_loop_until(crowd.loop, all_lost, NULL);
    crowd.count = 0;
    crowd.made_count = 0;
    memset(crowd.members, 0, sizeof(crowd.members));

    struct member *const alone = add(false, CONDUCT_KEEPS);
    wait_made();
    push(alone, 12000);
    turn();
    turn();

    expect_eq(crowd.lease_count, 1); /* in one piece */
    expect_eq(alone->received, 12000);
    end();
}

static bool is_broken(void *arg)
{
    return weir_transport_error(((struct member *)arg)->t) < 0;
}

/* The others take what is given back until it is its turn. */
static bool is_lost(void *arg)
{
    give_leases_back();
    return ((struct member *)arg)->lost;
}

/* No receive is armed for lack of room, and still its end is noticed. */
static void break_a_starved_connection(bool paused)
{
    const struct linger linger = {.l_onoff = 1, .l_linger = 0};
    begin(1u << 20);
    for (int i = 0; i < 400; i++) { /* each takes a part of what is free */
        add(false, CONDUCT_KEEPS);
    }
    wait_made();
    flood(0, 400, NULL);
    struct member *const starved = add(true, CONDUCT_READS);
    wait_made();
    push(starved, 100);
    turn();
    turn();
    expect_eq(starved->received, 0);
    if (paused) {
        weir_transport_pause_reading(starved->t);
        turn();
    }

    weir_transport_ref(starved->t);
    expect_eq(setsockopt(starved->peer, SOL_SOCKET, SO_LINGER, &linger,
                         sizeof(linger)),
              0);
    close(starved->peer);
    run_loop_until(crowd.loop, is_broken, starved);
    if (paused) {
        turn();
        expect(!starved->lost); /* its bytes wait in the kernel */
        weir_transport_resume_reading(starved->t);
    }
    run_loop_until(crowd.loop, is_lost, starved);

    expect_eq(weir_transport_error(starved->t), -ECONNRESET);
    expect_eq(starved->received, 100); /* data first */
    weir_transport_unref(starved->t);
    crowd.count--; /* it is gone already */
    end();
}

UNIT(budgets, a_starved_connection_that_breaks_is_lost)
{
    break_a_starved_connection(false);
}

UNIT(budgets, a_starved_and_paused_connection_that_breaks_is_lost_when_resumed)
{
    break_a_starved_connection(true);
}

UNIT(budgets, an_exhausted_pool_is_no_error_and_ends)
{
    begin(1u << 20);
    for (int i = 0; i < 200; i++) {
        add(false, i % 2 == 0 ? CONDUCT_KEEPS : CONDUCT_READS);
    }
    wait_made();
    flood(0, 200, NULL);
    for (int i = 0; i < 200; i++) {
        expect(!crowd.members[i].lost);
    }

    run_loop_until(crowd.loop, all_delivered, NULL);

    for (int i = 0; i < 200; i++) {
        expect(push(&crowd.members[i], 1000));
    }
    run_loop_until(crowd.loop, all_delivered, NULL);
    end();
}

UNIT(budgets, a_limit_below_one_mib_is_refused)
{
    const struct weir_loop_options options = {.size = sizeof(options),
                                              .held_limit_bytes = 1000};
    weir_loop *loop = NULL;

    expect_eq(weir_loop_new(&options, &loop), -EINVAL);

    expect(loop == NULL);
}

/* ---- writing ---- */

UNIT(budgets, a_peer_that_never_reads_stops_the_echo_at_its_own_limit)
{
    begin(0);
    struct member *const served = add(true, CONDUCT_ECHOES);
    add(true, CONDUCT_ECHOES);
    wait_made();

    flood(1, 1, served); /* and reads nothing of it */

    const weir_transport *t = crowd.members[1].t;
    expect(weir_transport_get_write_buffer_size(t) <= 1u << 20);
    expect(weir_transport_get_read_buffer_size(t) <= 1u << 20);
    expect_eq(statistics().copied_by_write, 0);
    end();
}
