/*
 * Transports that receive with system calls when no receive buffer is
 * available: they retry at intervals, not in every iteration, and lose no byte.
 *
 * No buffer is available because the loop's allocator returns no memory for a
 * while.
 */
#include "tests/contract/harness.h"
#include "tests/walk.h"

#include <fcntl.h>
#include <weir/datagram.h>
#include <weir/pipe.h>

/* Far more than the attempts in the time of the test, far fewer than
 * iterations. */
#define TRIES_MAX 200u
#define SENT      1000u

static struct test_allocator memory;

static weir_loop *make_loop(void)
{
    allocator_init(&memory);
    return allocator_make_loop(&memory);
}

static void set_flag(void *arg)
{
    *(bool *)arg = true;
}

static void send_without(weir_loop *loop, int peer, const uint64_t *received)
{
    uint8_t bytes[SENT];
    struct weir_handle handle;
    bool is_over = false;

    expect_ok(
        weir_loop_call_later(loop, 100 * RIG_MS, set_flag, &is_over, &handle));
    memory.size_limit = 0;
    rig_pattern(bytes, 0, SENT);
    expect_eq(write(peer, bytes, SENT), SENT);
    RUN_UNTIL(loop, is_over);

    expect_eq(*received, 0);
    expect_geq(statistics_of(loop).starved, 1);
    expect_leq(statistics_of(loop).starved, TRIES_MAX);
    memory.size_limit = SIZE_MAX;
}

static void open_pipe(struct rig *rig, bool is_socket)
{
    static const struct pair_maker maker = {.traits =
                                                RIG_RECEIVES | RIG_IS_PIPE};
    const struct weir_factory factory = {.create = rig_create, .arg = rig};
    int ends[2];

    *rig = (struct rig){
        .protocol = &rig_protocol, .maker = &maker, .loop = make_loop()};
    expect_ok(is_socket
                  ? socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends)
                  : pipe2(ends, O_CLOEXEC));
    rig->peer = ends[1];
    expect_ok(weir_connect_read_pipe(rig->loop, &factory, ends[0], NULL, NULL,
                                     NULL, NULL));
    rig_turns(rig, 3);
}

static void read_without(bool is_socket)
{
    struct rig rig;

    open_pipe(&rig, is_socket);
    send_without(rig.loop, rig.peer, &rig.received);
    rig_wait_received(&rig, SENT);

    rig_peer_close(&rig);
    rig_expect_lost(&rig, 0);
    weir_transport_unref(rig.t);
    expect_leq(weir_loop_free(rig.loop), 1);
}

UNIT(no_buffer, a_pipe_tries_from_time_to_time)
{
    read_without(false);
    read_without(true);
}

UNIT(no_buffer, a_pipe_that_is_closed_while_it_rests_is_lost)
{
    struct rig rig;

    open_pipe(&rig, false);
    send_without(rig.loop, rig.peer, &rig.received);
    weir_transport_close(rig.t);
    rig_wait_lost(&rig);

    expect_eq(rig.received, 0);
    rig_peer_close(&rig);
    weir_transport_unref(rig.t);
    expect_leq(weir_loop_free(rig.loop), 1);
}

struct endpoint {
    weir_transport *t;
    uint64_t received;
};

static void endpoint_made(void *user, weir_transport *t)
{
    struct endpoint *endpoint = user;
    endpoint->t = weir_transport_ref(t);
}

static int endpoint_received(void *user, weir_transport *t,
                             const struct weir_datagram *datagram)
{
    struct endpoint *endpoint = user;
    endpoint->received += datagram->buf.len;
    return 0;
}

static CALLBACKS(protocol, DATAGRAM, .connection_made = endpoint_made,
                 .datagram_received = endpoint_received);

UNIT(no_buffer, a_datagram_endpoint_tries_from_time_to_time)
{
    weir_loop *loop = make_loop();
    struct endpoint endpoint = {.received = 0};
    const struct weir_factory factory = bind_to(&protocol, &endpoint);
    int ends[2];

    expect_eq(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, ends), 0);
    expect_ok(weir_create_datagram_endpoint_at(
        loop, &factory, weir_endpoint_fd(ends[0]), weir_endpoint_none(), NULL,
        NULL, NULL, NULL));
    for (int i = 0; i < 3; i++) {
        weir_loop_stop(loop);
        expect_eq(weir_loop_run(loop), 0);
    }

    send_without(loop, ends[1], &endpoint.received);
    RUN_UNTIL(loop, endpoint.received > 0);

    expect_eq(endpoint.received, SENT);
    weir_transport_close(endpoint.t);
    weir_transport_unref(endpoint.t);
    expect_leq(weir_loop_free(loop), 1);
    close(ends[1]);
}
