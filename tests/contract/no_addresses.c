/*
 * A program without address space (RLIMIT_AS) and without memory: existing
 * connections receive, a new one fails with -ENOMEM, the loop runs and can be
 * stopped.
 */
#define UNIT_RUN with_connections
#include "tests/bind.h"
#include "tests/unit.h"
#include "tests/walk.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <weir/connect.h>
#include <weir/embed.h>

enum {
    COUNT = 600,
    LATER = 600,
    ROUNDS = 3,
    HOARD_MAX = 200000,
    TURNS_MAX = 60000
};

struct conn {
    weir_transport *t;
    int peer;
    int received;
};

static weir_loop *loop;
static struct conn conns[COUNT];
static struct conn later[LATER]; /* the first later_count are adopted */
static int later_count;
static struct rlimit addresses;
static struct test_allocator memory;

static void begin_shortage(void)
{
    expect_eq(getrlimit(RLIMIT_AS, &addresses), 0);
    memory.fail_at = memory.calls + 1;
    memory.fail_after = true;
#ifndef UNIT_HAS_LSAN /* which needs its own address space */
    const struct rlimit none = {.rlim_cur = 0, .rlim_max = addresses.rlim_max};
    expect_eq(setrlimit(RLIMIT_AS, &none), 0);
#endif
}

static void end_shortage(void)
{
    expect_eq(setrlimit(RLIMIT_AS, &addresses), 0);
    memory.fail_at = 0;
}

static void made(void *user, weir_transport *t)
{
    ((struct conn *)user)->t = t;
}

static int count_bytes(void *user, weir_transport *t,
                       const struct weir_buf *buf)
{
    ((struct conn *)user)->received += (int)buf->len;
    return 0;
}

static void lost(void *user, weir_transport *t, int err)
{
    ((struct conn *)user)->t = NULL;
}

static CALLBACKS(counting, STREAM, .connection_made = made,
                 .data_received = count_bytes, .connection_lost = lost);

static int adopt(struct conn *conn)
{
    int ends[2];
    const struct weir_factory factory = bind_to(&counting, conn);
    *conn = (struct conn){.peer = -1};
    expect_ok(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0,
                         ends));
    conn->peer = ends[1];
    return weir_create_connection_at(loop, &factory, weir_endpoint_fd(ends[0]),
                                     NULL, NULL, NULL, NULL);
}

static int adopt_later(void)
{
    return adopt(&later[later_count++]);
}

static void turn_until_received(int each)
{
    int turns = 0;
    for (int i = 0; i < COUNT; i++) {
        while (conns[i].received < each) {
            cr_assert_lt(turns++, TURNS_MAX, "connection %d has %d of %d", i,
                         conns[i].received, each);
            expect_eq(weir_loop_run_once(loop), 0);
        }
    }
}

static void send_to_all(void)
{
    for (int i = 0; i < COUNT; i++) {
        expect_eq(send(conns[i].peer, "x", 1, MSG_NOSIGNAL), 1);
    }
}

static void close_peers(struct conn *all, int count)
{
    for (int i = 0; i < count; i++) {
        expect_eq(all[i].t, NULL);
        close(all[i].peer);
    }
}

/* The body frees the loop, which ends all connections. */
static void with_connections(void (*body)(void))
{
    struct rlimit limit;
    expect_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = limit.rlim_max;
    expect_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
    allocator_init(&memory);
    loop = allocator_make_loop(&memory);
    for (int i = 0; i < COUNT; i++) {
        expect_eq(adopt(&conns[i]), 0);
    }
    send_to_all();
    turn_until_received(1);
    body();
    allocator_check(&memory);
    close_peers(conns, COUNT);
    close_peers(later, later_count);
}

static void free_loop_in_shortage(void)
{
    const int left = weir_loop_free(loop);
    end_shortage();
    expect_geq(left, 0);
}

UNIT(no_addresses, connections_that_are_there_go_on)
{
    begin_shortage();
    for (int round = 0; round < ROUNDS; round++) {
        send_to_all();
        turn_until_received(2 + round);
    }
    const int err = adopt_later();
    const int ran = weir_loop_run_once(loop);
    end_shortage();

    expect_eq(ran, 0);
    expect_eq(err, -ENOMEM);
    expect_eq(adopt_later(), 0);
    send_to_all();
    turn_until_received(2 + ROUNDS);
    cr_assert_not_null(later[1].t);
    expect_geq(weir_loop_free(loop), 0);
}

/* Their first receives are prepared when there is no more memory. */
static void adopt_all_later(void)
{
    while (later_count < LATER) {
        expect_eq(adopt_later(), 0);
        expect_eq(send(later[later_count - 1].peer, "x", 1, MSG_NOSIGNAL), 1);
    }
}

/* A connection that found no memory may be lost; all others receive. */
static bool has_what_it_can(const struct conn *conn)
{
    return !conn->t || conn->received > 0;
}

UNIT(no_addresses, those_that_cannot_begin_do_not_hold_up_the_others)
{
    adopt_all_later();
    begin_shortage();
    for (int round = 0; round < ROUNDS; round++) {
        send_to_all();
        turn_until_received(2 + round);
    }
    end_shortage();

    for (int i = 0; i < LATER; i++) {
        for (int turns = 0; !has_what_it_can(&later[i]); turns++) {
            cr_assert_lt(turns, TURNS_MAX, "connection %d", i);
            expect_eq(weir_loop_run_once(loop), 0);
        }
    }
    expect_geq(weir_loop_free(loop), 0);
}

UNIT(no_addresses, the_loop_ends_while_others_could_not_begin)
{
    adopt_all_later();
    begin_shortage();
    send_to_all();
    turn_until_received(2);
    free_loop_in_shortage();
}

UNIT(no_addresses, the_loop_ends_when_it_is_told)
{
    begin_shortage();
    send_to_all();
    free_loop_in_shortage();
}
