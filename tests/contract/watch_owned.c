/*
 * Descriptors of transports cannot be watched (R62): every kind of connection,
 * connections made later, and numbers that are used again.
 *
 * Without memory nothing is watched.
 */
#include "tests/contract/harness.h"
#include "tests/walk.h"

#include <sys/eventfd.h>
#include <weir/connect.h>
#include <weir/watch.h>

static void count_call(void *arg)
{
    ++*(int *)arg;
}

PAIRS(watch_owned, r62__the_descriptor_of_a_transport_is_refused, rig,
      .needs = RIG_BOTH_WAYS | RIG_HAS_KERNEL)
{
    int calls = 0;
    const int fd = weir_transport_get_socket(rig->t);

    expect_eq(weir_loop_add_reader(rig->loop, fd, count_call, &calls), -EBUSY);
    expect_eq(weir_loop_add_writer(rig->loop, fd, count_call, &calls), -EBUSY);
    rig_receive(rig, 100);

    expect_eq(calls, 0);
    expect_ok(weir_loop_add_reader(rig->loop, rig->peer, count_call, &calls));
    expect(weir_loop_remove_reader(rig->loop, rig->peer));
}

PAIRS(watch_owned, r62__a_number_is_free_again_when_the_connection_is_lost, rig,
      .needs = RIG_BOTH_WAYS | RIG_HAS_KERNEL)
{
    int calls = 0;
    const int fd = weir_transport_get_socket(rig->t);
    rig->step = eventfd(0, 0);
    expect_eq(weir_loop_add_reader(rig->loop, fd, count_call, &calls), -EBUSY);

    expect_eq(weir_transport_abort(rig->t), 0);
    rig_wait_lost(rig);
    rig_turns(rig, 2);
    expect_eq(dup2(rig->step, fd), fd);
    close(rig->step);

    expect_eq(weir_loop_add_writer(rig->loop, fd, count_call, &calls), 0);
    rig_turns(rig, 3);
    expect_geq(calls, 1);
    expect(weir_loop_remove_writer(rig->loop, fd));
    close(fd);
}

static CALLBACKS(silent, STREAM);

static int adopt_end(weir_loop *loop, int *ret_owned)
{
    const struct weir_factory factory = bind_to(&silent, NULL);
    int pair[2];
    expect_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    *ret_owned = pair[0];
    expect_ok(weir_create_connection_at(
        loop, &factory, weir_endpoint_fd(pair[0]), NULL, NULL, NULL, NULL));
    return pair[1];
}

static void turn(weir_loop *loop)
{
    weir_loop_stop(loop);
    expect_eq(weir_loop_run(loop), 0);
}

UNIT(watch_owned, r62__connections_that_come_later_are_refused_as_well)
{
    enum { COUNT = 40 };
    weir_loop *loop;
    int owned[COUNT];
    int peers[COUNT];
    int calls = 0;
    expect_eq(weir_loop_new(NULL, &loop), 0);

    for (int i = 0; i < COUNT; i++) {
        peers[i] = adopt_end(loop, &owned[i]);
        if (i % 3 == 0) {
            turn(loop);
            turn(loop);
            for (int j = 0; j <= i; j++) {
                expect_eq(
                    weir_loop_add_reader(loop, owned[j], count_call, &calls),
                    -EBUSY, "connection %d of %d", j, i);
            }
        }
    }

    expect_eq(weir_loop_free(loop), COUNT);
    for (int i = 0; i < COUNT; i++) {
        close(peers[i]);
    }
}

static struct test_allocator memory;

static void add_without(void *arg)
{
    weir_loop *loop = allocator_make_loop(&memory);
    int pair[2];
    int owned;
    int calls = 0;
    const int peer = adopt_end(loop, &owned);
    turn(loop);
    turn(loop);
    expect_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    expect_eq(write(pair[1], "x", 1), 1);

    walk_begin(&memory);
    const int err = weir_loop_add_reader(loop, pair[0], count_call, &calls);
    expect_eq(err, walk_end(&memory) ? -ENOMEM : 0);
    expect_eq(weir_loop_remove_reader(loop, pair[0]), err == 0);
    expect_eq(weir_loop_add_reader(loop, owned, count_call, &calls), -EBUSY);
    expect_eq(weir_loop_add_reader(loop, pair[0], count_call, &calls), 0);
    turn(loop);
    turn(loop);

    expect_geq(calls, 1);
    expect_eq(weir_loop_free(loop), 1);
    close_ends(pair);
    close(peer);
}

UNIT(watch_owned, without_memory_nothing_is_watched_and_nothing_left)
{
    expect_geq(walk_allocations(&memory, add_without, NULL), 5);
}
