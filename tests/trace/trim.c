/*
 * Idle memory is returned to its allocator: by weir_loop_trim() at once, and by
 * the loop itself four seconds after a connection was lost, on the clock of the
 * fake machine.
 */
#include "adopt.h"
#include "tests/bind.h"
#include "tests/statistics.h"

#include <weir/task.h>

#define S UINT64_C(1000000000)

enum { CONNECTIONS = 200, TASKS = 300 };

static weir_loop *loop;
static weir_transport *transports[CONNECTIONS];
static struct fake_peer *peers[CONNECTIONS];
static int made_count;

static void made(void *user, weir_transport *t)
{
    transports[made_count++] = t;
}

static CALLBACKS(protocol, STREAM, .connection_made = made);

static bool is_over(void *arg)
{
    return fake_now() >= *(uint64_t *)arg;
}

static void nothing(void *arg)
{
}

static void run_until(uint64_t after_start_ns)
{
    uint64_t end_ns = FAKE_START_NS + after_start_ns;
    const uint64_t delay_ns = end_ns - weir_loop_get_time(loop);
    struct weir_handle handle;

    expect_eq(weir_loop_call_later(loop, delay_ns, nothing, NULL, &handle), 0);
    expect_eq(weir_loop_run_until(loop, is_over, &end_ns), 0);
}

static void start(void)
{
    made_count = 0;
    fake_start(&(struct fake_options){.seed = 1});
    expect_eq(weir_loop_new(NULL, &loop), 0);
    for (int i = 0; i < CONNECTIONS; i++) {
        struct weir_connect_options options = {.size = sizeof(options)};
        adopt(loop, &protocol, NULL, &options, &peers[i]);
    }
    run_until(S / 10);
    expect_eq(made_count, CONNECTIONS);
}

static void stop(void)
{
    expect_geq(weir_loop_free(loop), 0);
    for (int i = 0; i < CONNECTIONS; i++) {
        fake_peer_close(peers[i]);
    }
    fake_stop();
}

static int sleep_for_2_s(weir_loop *on, void *arg)
{
    return weir_sleep(on, 2 * S);
}

static void spawn_tasks(void)
{
    for (int i = 0; i < TASKS; i++) {
        expect_eq(weir_task_spawn(loop, sleep_for_2_s, NULL, NULL, NULL), 0);
    }
}

UNIT(trim, a_call_gives_back_the_memory_of_connections_that_are_lost)
{
    start();
    const uint64_t busy = statistics_of(loop).memory_bytes;
    for (int i = 0; i < CONNECTIONS; i++) {
        weir_transport_abort(transports[i]);
    }
    run_until(S);
    expect_eq(statistics_of(loop).memory_bytes, busy,
              "no trim before its time");

    expect_eq(weir_loop_trim(loop), 0);

    expect_lt(statistics_of(loop).memory_bytes, busy - CONNECTIONS * 256);
    stop();
}

UNIT(trim, the_loop_gives_memory_back_four_seconds_after_a_loss)
{
    start();
    const uint64_t busy = statistics_of(loop).memory_bytes;
    for (int i = 0; i < CONNECTIONS; i++) {
        weir_transport_abort(transports[i]);
    }
    run_until(4 * S);
    expect_eq(statistics_of(loop).memory_bytes, busy);

    run_until(5 * S);

    expect_lt(statistics_of(loop).memory_bytes, busy - CONNECTIONS * 256);
    stop();
}

UNIT(trim, a_loss_while_a_trim_is_due_gives_back_what_is_used_until_later)
{
    start();
    weir_transport_abort(transports[0]);
    run_until(3 * S);
    weir_transport_abort(transports[1]);
    spawn_tasks(); /* they end after the first trim */
    run_until(7 * S);
    const uint64_t before = statistics_of(loop).memory_bytes;

    run_until(9 * S);

    expect_lt(statistics_of(loop).memory_bytes, before - TASKS * 64);
    stop();
}
