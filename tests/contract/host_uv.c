/*
 * weir inside libuv's loop, with traffic on both: a weir server, whose client
 * is a socket that libuv polls, and a timer of libuv that ticks meanwhile. No
 * turn is missed and none is spun. Skipped where libuv was not found.
 */
#include "tests/contract/host_rig.h"

#ifdef WEIR_HAS_UV
#include <uv.h>
#include <weir/embed.h>

enum { ROUNDS = 500, LIMIT_MS = 60000 };

struct uv_host {
    struct guest guest;
    uv_loop_t uv;
    uv_prepare_t prepare; /* asks for the deadline before each wait */
    uv_timer_t deadline;
    uv_poll_t descriptor;
    uv_poll_t client;
    uv_timer_t ticker;
    uv_timer_t limit;
    uint64_t rounds; /* of libuv's loop */
    int ticks;
    bool timed_out;
};

static void on_due(uv_timer_t *timer)
{
    guest_turn((struct guest *)timer->data);
}

static void on_readable(uv_poll_t *poll, int status, int which)
{
    expect_eq(status, 0);
    guest_turn((struct guest *)poll->data);
}

static void on_prepare(uv_prepare_t *prepare)
{
    struct uv_host *host = (struct uv_host *)prepare->data;
    const int wait_ms = guest_wait_ms();

    host->rounds++;
    uv_timer_stop(&host->deadline);
    if (wait_ms >= 0) {
        uv_update_time(&host->uv);
        uv_timer_start(&host->deadline, on_due, (uint64_t)wait_ms, 0);
    }
}

static void on_client(uv_poll_t *poll, int status, int which)
{
    struct uv_host *host = (struct uv_host *)poll->data;

    expect_eq(status, 0);
    guest_read(&host->guest);
    if (host->guest.echoed == host->guest.wanted) {
        uv_stop(&host->uv);
    }
}

static void on_tick(uv_timer_t *timer)
{
    ((struct uv_host *)timer->data)->ticks++;
}

static void on_limit(uv_timer_t *timer)
{
    struct uv_host *host = (struct uv_host *)timer->data;
    host->timed_out = true;
    uv_stop(&host->uv);
}

static void uv_host_open(struct uv_host *host)
{
    *host = (struct uv_host){.ticks = 0};
    guest_open(&host->guest);
    expect_eq(uv_loop_init(&host->uv), 0);
    uv_prepare_init(&host->uv, &host->prepare);
    uv_timer_init(&host->uv, &host->deadline);
    uv_timer_init(&host->uv, &host->ticker);
    uv_timer_init(&host->uv, &host->limit);
    uv_poll_init(&host->uv, &host->descriptor, weir_loop_get_fd(loop));
    uv_poll_init(&host->uv, &host->client, host->guest.client);
    host->deadline.data = &host->guest;
    host->descriptor.data = &host->guest;
    host->prepare.data = host;
    host->client.data = host;
    host->ticker.data = host;
    host->limit.data = host;
    uv_prepare_start(&host->prepare, on_prepare);
    uv_poll_start(&host->descriptor, UV_READABLE, on_readable);
    uv_poll_start(&host->client, UV_READABLE, on_client);
    uv_timer_start(&host->ticker, on_tick, 1, 1);
    uv_timer_start(&host->limit, on_limit, LIMIT_MS, 0);
}

static void close_handle(uv_handle_t *handle, void *arg)
{
    uv_close(handle, NULL);
}

static void uv_host_close(struct uv_host *host)
{
    uv_walk(&host->uv, close_handle, NULL);
    expect_eq(uv_run(&host->uv, UV_RUN_DEFAULT), 0);
    expect_eq(uv_loop_close(&host->uv), 0);
    uv_library_shutdown(); /* closes its pipe for signals */
    guest_close(&host->guest);
}

static void uv_host_run(struct uv_host *host)
{
    uv_run(&host->uv, UV_RUN_DEFAULT);
    cr_assert_not(host->timed_out, "%d of %d echoed", host->guest.echoed,
                  host->guest.wanted);
}

static void echo_every_byte(void)
{
    struct uv_host host;
    uv_host_open(&host);
    host.guest.wanted = ROUNDS;
    guest_send(&host.guest);

    uv_host_run(&host);

    expect_eq(host.guest.echoed, ROUNDS);
    expect_leq(host.guest.turns, 4 * ROUNDS + 20);
    expect_leq(host.guest.idle, ROUNDS / 10 + 20);
    uv_host_close(&host);
}

static void stop_uv(void *arg)
{
    uv_stop((uv_loop_t *)arg);
}

/* Ten of weir's timers beside one of libuv's that ticks each millisecond: the
 * turns are those of the ten. */
static void fire_timers(void)
{
    struct uv_host host;
    uv_host_open(&host);
    event_count = 0;
    for (int i = 1; i <= 10; i++) {
        later((uint64_t)i * 3 * MS, note_number, number(i));
    }
    later(40 * MS, stop_uv, &host.uv);

    uv_host_run(&host);

    expect_eq(event_count, 10);
    for (int i = 0; i < event_count; i++) {
        expect_eq(events[i].number, i + 1);
    }
    expect_gt(host.ticks, 0);
    expect_leq(host.guest.turns, 60);
    uv_host_close(&host);
}

static void stay_idle(void)
{
    struct uv_host host;
    uv_host_open(&host);
    later(2 * MS, stop_uv, &host.uv);
    uv_host_run(&host);
    const uint64_t before = host.guest.turns;
    uv_timer_stop(&host.ticker);
    uv_timer_start(&host.limit, on_limit, 50, 0);

    uv_run(&host.uv, UV_RUN_DEFAULT);

    cr_assert(host.timed_out);
    /* The connection may be accepted late; a guest that spins makes far more.
     */
    expect_leq(host.guest.turns, before + 10);
    expect_leq(host.rounds, 80);
    uv_host_close(&host);
}

#else

static void skip(void)
{
    cr_skip_test("built without libuv; runs with libuv1-dev");
}

#define echo_every_byte skip
#define fire_timers     skip
#define stay_idle       skip

#endif

UNIT(host_uv, every_byte_is_echoed_and_no_turn_is_spun)
{
    echo_every_byte();
}

UNIT(host_uv, timers_of_both_loops_fire)
{
    fire_timers();
}

UNIT(host_uv, an_idle_guest_costs_no_turn)
{
    stay_idle();
}
