/*
 * Relays that are refused because of the state of a side, or without memory.
 *
 * A side is being made, is closing, or its loop ends. The calls are made in its
 * callbacks.
 */
#define UNIT_RUN with_sides
#include "adopt.h"
#include "clock.h"
#include "tests/walk.h"
#include "uring/check.h"

#include <errno.h>
#include <string.h>
#include <weir/connect.h>
#include <weir/relay.h>

#define MS  UINT64_C(1000000)
#define KIB 1024u

static weir_loop *loop;
static weir_transport *sides[2];
static struct fake_peer *peers[2];

static void made(void *user, weir_transport *t)
{
    *(weir_transport **)user = t;
}

static CALLBACKS(protocol, STREAM, .connection_made = made);

/* The body frees the loop. */
static void with_sides(void (*body)(void))
{
    fake_start(&(struct fake_options){.seed = 1});
    expect_eq(weir_loop_new(NULL, &loop), 0);
    for (int i = 0; i < 2; i++) {
        adopt(loop, &protocol, &sides[i], NULL, &peers[i]);
    }
    clock_run_for(loop, MS);
    body();
    fake_peer_close(peers[0]);
    fake_peer_close(peers[1]);
    fake_stop();
}

static int refusal;

static void relay_again(void *user, weir_transport *t)
{
    refusal = weir_relay(sides[0], sides[1], NULL, NULL, NULL, NULL);
}

static void relay_when_lost(void *user, weir_transport *t, int err)
{
    relay_again(user, t);
}

static CALLBACKS(resuming_protocol, STREAM, .resume_writing = relay_again);
static CALLBACKS(losing_protocol, STREAM, .connection_lost = relay_when_lost);

static void bind_first(const struct weir_protocol *with)
{
    const struct weir_protocol_binding binding = {.protocol = with};

    refusal = 0;
    expect_eq(weir_transport_set_protocol(sides[0], &binding, NULL, 0), 0);
}

/* It may still be written to in that callback. */
UNIT(relay_refusals, a_closing_side_that_resumes_writing_is_refused)
{
    static const uint8_t much[512 * KIB];
    static uint8_t bytes[64 * KIB];

    bind_first(&resuming_protocol);
    expect_eq(weir_transport_write(sides[0], much, sizeof(much)), 0);
    clock_run_for(loop, MS);
    weir_transport_close(sides[0]);
    for (int i = 0; i < 100; i++) {
        wr_ignore(fake_peer_read(peers[0], bytes, sizeof(bytes)) < 0);
        clock_run_for(loop, MS);
    }
    expect_eq(refusal, -ESHUTDOWN);
    expect_eq(weir_loop_free(loop), 1);
}

static int create_in_relay(void *arg, weir_transport *t,
                           struct weir_protocol_binding *ret)
{
    refusal = weir_relay(sides[0], t, NULL, NULL, NULL, NULL);
    *ret = (struct weir_protocol_binding){.protocol = &protocol, .user = arg};
    return 0;
}

UNIT(relay_refusals, a_side_that_is_being_made_is_refused)
{
    weir_transport *third;
    const struct weir_factory factory = {.create = create_in_relay,
                                         .arg = &third};
    struct fake_peer *peer;

    expect_eq(weir_create_connection_at(
                  loop, &factory, weir_endpoint_fd(fake_connected_fd(&peer)),
                  NULL, NULL, NULL, NULL),
              0);
    clock_run_for(loop, MS);
    expect_eq(refusal, -EBUSY);
    expect_eq(weir_loop_free(loop), 3);
    fake_peer_close(peer);
}

UNIT(relay_refusals, a_side_in_a_loop_that_ends_is_refused)
{
    bind_first(&losing_protocol);
    expect_eq(weir_loop_free(loop), 2);
    expect_eq(refusal, -ESHUTDOWN);
}

static struct test_allocator memory;

/* Each rate has memory of its own, and so has the relay. */
static void relay_without_memory(void *arg)
{
    const struct weir_loop_options of_memory = allocator_options(&memory);
    const struct weir_relay_options options = {
        .size = sizeof(options), .a_rate_bytes = KIB, .b_rate_bytes = KIB};

    fake_start(&(struct fake_options){.seed = 1});
    expect_ok(weir_loop_new(&of_memory, &loop));
    for (int i = 0; i < 2; i++) {
        adopt(loop, &protocol, &sides[i], NULL, &peers[i]);
    }
    clock_run_for(loop, MS);
    walk_begin(&memory);
    const int err = weir_relay(sides[0], sides[1], &options, NULL, NULL, NULL);
    expect_eq(err, walk_end(&memory) ? -ENOMEM : 0);
    if (err < 0) { /* the sides are as before */
        expect_ok(weir_relay(sides[0], sides[1], &options, NULL, NULL, NULL));
    }
    expect_eq(weir_loop_free(loop), 2);
    fake_peer_close(peers[0]);
    fake_peer_close(peers[1]);
    fake_stop();
}

UNIT_IN(relay_refusals, without_memory_for_a_rate_nothing_is_taken_over,
        unit_alone, void)
{
    memset(&memory, 0, sizeof(memory));
    expect_geq(walk_allocations(&memory, relay_without_memory, NULL), 4);
}
