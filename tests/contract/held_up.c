/*
 * A callback that takes longer than a time limit, on a real kernel.
 *
 * The kernel posts the completions of about twenty peers in one enter;
 * completions of the other peers wait when the timers expire. Each peer has
 * sent a byte in time.
 */
#include "tests/contract/maker.h"

#include <linux/sockios.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <weir/connect.h>
#include <weir/pipe.h>

enum { COUNT = 50, LIMIT_MS = 50, HELD_MS = 120 };

struct link {
    weir_transport *t;
    int peer;
    int made;
    int received;
    int lost_err; /* error of a loss before a byte was received, or 0 */
};

static weir_loop *loop;
static struct link links[COUNT];
static int made_count;
static int ended_count; /* links that received bytes or were lost */
static int lost_count;
static struct weir_timeouts limits;

static void made(void *user, weir_transport *t)
{
    struct link *link = user;
    link->t = t;
    made_count++;
}

static int received(void *user, weir_transport *t, const struct weir_buf *buf)
{
    struct link *link = user;
    ended_count += link->received == 0;
    link->received++;
    return 0;
}

static void lost(void *user, weir_transport *t, int err)
{
    struct link *link = user;
    if (link->received == 0) {
        link->lost_err = err;
        ended_count++;
    }
    lost_count++;
}

static CALLBACKS(protocol, STREAM, .connection_made = made,
                 .data_received = received, .connection_lost = lost);

typedef void pair_fn(int ret[2]);

static void pair_unix(int ret[2])
{
    expect_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ret), 0);
}

static void pair_pipe(int ret[2])
{
    expect_eq(pipe2(ret, O_CLOEXEC), 0);
}

static void open_link(struct link *link, pair_fn *pair)
{
    const struct weir_factory factory = bind_to(&protocol, link);
    int fds[2];

    pair(fds);
    link->peer = fds[1];
    expect_ok(pair == pair_pipe ? weir_connect_read_pipe(loop, &factory, fds[0],
                                                         NULL, NULL, NULL, NULL)
                                : weir_create_connection_at(
                                      loop, &factory, weir_endpoint_fd(fds[0]),
                                      NULL, NULL, NULL, NULL));
}

/* The limits count from here, and the peers send at once. */
static void hold_up(void *arg)
{
    const struct timespec time = {.tv_nsec = HELD_MS * (long)MS};

    for (int i = 0; i < COUNT; i++) {
        expect_eq(weir_transport_set_timeouts(links[i].t, &limits), 0);
        expect_eq(write(links[i].peer, "x", 1), 1);
    }
    /* The time itself is tested: no event is waited for. */
    nanosleep(&time, NULL);
    for (int i = 0; i < COUNT; i++) {
        /* TCP's last step runs in a softirq, which a busy machine may delay,
         * too: then the byte would not be in time. */
        const int peer = links[i].peer;
        int proto = 0;
        int held = 1;
        socklen_t len = sizeof(proto);
        while (getsockopt(peer, SOL_SOCKET, SO_PROTOCOL, &proto, &len) == 0 &&
               proto == IPPROTO_TCP && held > 0) {
            expect_eq(ioctl(peer, SIOCOUTQ, &held), 0);
            poll(NULL, 0, held > 0);
        }
    }
}

static void expect_fair(pair_fn *pair, struct weir_timeouts wanted)
{
    limits = wanted;
    limits.size = sizeof(limits);
    expect_eq(weir_loop_new(NULL, &loop), 0);
    for (int i = 0; i < COUNT; i++) {
        open_link(&links[i], pair);
    }
    RUN_UNTIL(loop, made_count == COUNT);

    expect_eq(weir_loop_call_soon(loop, hold_up, NULL, NULL), 0);
    RUN_UNTIL(loop, ended_count == COUNT);

    for (int i = 0; i < COUNT; i++) {
        expect_eq(links[i].lost_err, 0, "peer %d: %s", i,
                  weir_err_name(links[i].lost_err));
        expect_eq(links[i].received, 1);
    }
    /* The peers send no more, so the limit ends the connections. */
    RUN_UNTIL(loop, lost_count == COUNT);
    expect_eq(weir_loop_free(loop), 0);
    for (int i = 0; i < COUNT; i++) {
        close(links[i].peer);
    }
}

#define LIMITS(...) ((struct weir_timeouts){__VA_ARGS__})

UNIT(held_up, tcp_peers_that_sent_in_time_keep_the_read_limit)
{
    expect_fair(peer_tcp_pair, LIMITS(.read_ns = LIMIT_MS * MS));
}

UNIT(held_up, tcp_peers_that_sent_in_time_are_not_idle)
{
    expect_fair(peer_tcp_pair, LIMITS(.idle_ns = LIMIT_MS * MS));
}

UNIT(held_up, unix_peers_that_sent_in_time_keep_the_read_limit)
{
    expect_fair(pair_unix, LIMITS(.read_ns = LIMIT_MS * MS));
}

UNIT(held_up, pipes_that_were_written_to_in_time_keep_the_read_limit)
{
    expect_fair(pair_pipe, LIMITS(.read_ns = LIMIT_MS * MS));
}
