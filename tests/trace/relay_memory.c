/*
 * A relay of which one side is in memory, on the fake clock.
 *
 * Bytes move through memory in each iteration without any time, so a check of
 * the progress of a drain sees progress in no time.
 */
#include "adopt.h"
#include "clock.h"

#include <errno.h>
#include <weir/pair.h>
#include <weir/relay.h>

#define MS UINT64_C(1000000)

static weir_transport *broken; /* A, whose peer resets it */
static weir_transport *near;   /* B */
static weir_transport *far;    /* the peer of B */
static uint64_t received;      /* by it */
static int far_err;
static struct weir_relay_record record;
static int done_count;

static void made(void *user, weir_transport *t)
{
    *(weir_transport **)user = t;
}

static int far_received(void *user, weir_transport *t,
                        const struct weir_buf *buf)
{
    received += buf->len;
    return 0;
}

static void far_lost(void *user, weir_transport *t, int err)
{
    far_err = err;
}

static CALLBACKS(side_protocol, STREAM, .connection_made = made);
static CALLBACKS(far_protocol, STREAM, .connection_made = made,
                 .data_received = far_received, .connection_lost = far_lost);

static void done(void *arg, int err, const struct weir_relay_record *ret)
{
    done_count++;
    record = *ret;
}

/* Its kernel and the relay are full when this returns. */
static uint64_t fill(weir_loop *loop, struct fake_peer *peer)
{
    static const uint8_t bytes[4096];
    uint64_t sent = 0;

    for (int i = 0; i < 100; i++) {
        const ssize_t ret = fake_peer_write(peer, bytes, sizeof(bytes));
        sent += ret > 0 ? (uint64_t)ret : 0;
        clock_run_for(loop, MS);
    }
    return sent;
}

UNIT(relay_memory, a_reader_in_memory_has_all_bytes_and_the_reset_at_once)
{
    const struct weir_protocol_binding ends[2] = {{&side_protocol, &near},
                                                  {&far_protocol, &far}};
    struct fake_peer *peer;
    weir_loop *loop;

    fake_start(&(struct fake_options){.seed = 1});
    expect_ok(weir_loop_new(NULL, &loop));
    adopt(loop, &side_protocol, &broken, NULL, &peer);
    expect_ok(weir_transport_pair(loop, ends, NULL, NULL));
    clock_run_for(loop, MS);
    expect_ok(weir_relay(broken, near, NULL, done, NULL, NULL));
    weir_transport_pause_reading(far);
    const uint64_t sent = fill(loop, peer);
    fake_peer_reset(peer);
    expect_eq(done_count, 0);

    weir_transport_resume_reading(far);
    clock_run_for(loop, MS);

    expect_eq(done_count, 1);
    expect_eq(record.ended_by, WEIR_RELAY_A);
    expect_eq(record.err, -ECONNRESET);
    expect_gt(received, 64 * 1024);
    expect_leq(received, sent);
    expect_eq(received, record.a_bytes);
    expect_eq(far_err, -ECONNRESET);
    expect_eq(weir_loop_free(loop), 0);
    fake_peer_close(peer);
    fake_stop();
}
