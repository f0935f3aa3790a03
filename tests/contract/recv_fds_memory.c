/*
 * Descriptors received without memory: bytes without a receive buffer are
 * copied, and if no memory is available at all, the connection is lost.
 *
 * In both cases no descriptor leaks.
 */
#include "tests/contract/fds_rig.h"
#include "tests/walk.h"

#include <weir/connect.h>

static int taken;
static unsigned int taken_count;

static int fds_received(void *user, weir_transport *t, const int *fds,
                        size_t count, bool lost)
{
    expect_eq(count, 1);
    expect(!lost);
    taken = fds[0];
    taken_count++;
    return 0;
}

static struct weir_protocol taking;

static __attribute__((constructor)) void make_taking(void)
{
    taking = rig_protocol;
    taking.fds_received = fds_received;
}

/* Passes a pipe and some bytes to a subject that gets no large allocation from
 * then on. Returns the error of the connection. */
static int pass_with(size_t limit)
{
    struct test_allocator memory;
    struct rig rig = {.protocol = &taking};
    const struct weir_factory factory = {.create = rig_create, .arg = &rig};
    struct weir_connect_options options = {.size = sizeof(options),
                                           .connection = {.fd_limit = 8}};
    const struct pair_maker maker = {.traits = RIG_BOTH_WAYS | RIG_IS_UNIX};
    int pair[2];
    int ends[2];
    taken_count = 0;
    allocator_init(&memory);
    passed_pipe(ends);
    expect_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    rig.peer = pair[1];
    rig.maker = &maker;
    rig.loop = allocator_make_loop(&memory);
    expect_ok(weir_create_connection_at(rig.loop, &factory,
                                        weir_endpoint_fd(pair[0]), &options,
                                        NULL, NULL, NULL));
    rig_turns(&rig, 3);
    memory.size_limit = limit;

    expect_eq(peer_send_fds(&rig, 10000, &ends[1], 1), 10000);
    close(ends[1]);
    TURN_UNTIL(rig_turn(&rig), rig.received == 10000 || rig.lost_count > 0);

    expect_eq(taken_count, rig.lost_count ? 0u : 1u);
    expect_eq(rig.received, rig.lost_count ? 0u : 10000u);
    if (taken_count > 0) {
        close(taken);
    }
    expect_pipe_closed(&rig, ends[0]);
    const int err = rig.lost_err;
    memory.size_limit = SIZE_MAX;
    rig_peer_close(&rig);
    weir_transport_unref(rig.t);
    expect_leq(weir_loop_free(rig.loop), 1);
    allocator_check(&memory);
    return err;
}

UNIT(recv_fds_memory, without_a_receive_buffer_bytes_are_copied)
{
    expect_eq(pass_with(200u << 10), 0);
}

UNIT(recv_fds_memory, without_any_memory_the_connection_is_lost_and_none_leaks)
{
    expect_eq(pass_with(0), -ENOMEM);
}
