/*
 * weir inside GLib's main loop, with traffic on both: weir is a GSource with
 * the loop's descriptor, whose prepare function asks for the deadline; the
 * client is a socket of another GSource, and a time-out of GLib ticks
 * meanwhile. No turn is missed and none is spun. Skipped where GLib was not
 * found.
 */
#include "tests/contract/host_rig.h"

#ifdef WEIR_HAS_GLIB
#include <glib-unix.h>
#include <weir/embed.h>

enum { ROUNDS = 500, LIMIT_MS = 60000 };

struct glib_host {
    struct guest guest;
    GMainContext *context;
    GMainLoop *main;
    GSource *weir;
    GSource *client;
    GSource *ticker;
    GSource *limit;
    uint64_t rounds; /* of the context */
    int ticks;
    bool timed_out;
};

/* The guest as a source of GLib. */
struct guest_source {
    GSource source;
    struct glib_host *host;
    gpointer tag; /* of the descriptor */
};

static gboolean guest_prepare(GSource *source, gint *ret_timeout_ms)
{
    ((struct guest_source *)source)->host->rounds++;
    *ret_timeout_ms = guest_wait_ms();
    return *ret_timeout_ms == 0;
}

static gboolean guest_check(GSource *source)
{
    const struct guest_source *own = (struct guest_source *)source;
    return g_source_query_unix_fd(source, own->tag) != 0 ||
           guest_wait_ms() == 0;
}

static gboolean guest_dispatch(GSource *source, GSourceFunc callback,
                               gpointer data)
{
    guest_turn(&((struct guest_source *)source)->host->guest);
    return G_SOURCE_CONTINUE;
}

static gboolean on_client(gint fd, GIOCondition condition, gpointer data)
{
    struct glib_host *host = (struct glib_host *)data;
    expect_eq(fd, host->guest.client);
    expect_eq(condition, G_IO_IN);

    guest_read(&host->guest);
    if (host->guest.echoed == host->guest.wanted) {
        g_main_loop_quit(host->main);
    }
    return G_SOURCE_CONTINUE;
}

static gboolean on_tick(gpointer data)
{
    ((struct glib_host *)data)->ticks++;
    return G_SOURCE_CONTINUE;
}

static gboolean on_limit(gpointer data)
{
    struct glib_host *host = (struct glib_host *)data;
    host->timed_out = true;
    g_main_loop_quit(host->main);
    return G_SOURCE_REMOVE;
}

/* Adds a source whose call back gets the host. */
static GSource *glib_host_add(struct glib_host *host, GSource *source,
                              GSourceFunc callback)
{
    g_source_set_callback(source, callback, host, NULL);
    g_source_attach(source, host->context);
    return source;
}

static void glib_host_remove(GSource *source)
{
    g_source_destroy(source);
    g_source_unref(source);
}

static GSource *glib_host_add_weir(struct glib_host *host)
{
    static GSourceFuncs functions = {.prepare = guest_prepare,
                                     .check = guest_check,
                                     .dispatch = guest_dispatch};
    GSource *source = g_source_new(&functions, sizeof(struct guest_source));
    struct guest_source *own = (struct guest_source *)source;

    own->host = host;
    own->tag = g_source_add_unix_fd(source, weir_loop_get_fd(loop), G_IO_IN);
    return glib_host_add(host, source, NULL);
}

static void glib_host_open(struct glib_host *host)
{
    *host = (struct glib_host){.ticks = 0};
    guest_open(&host->guest);
    host->context = g_main_context_new();
    host->main = g_main_loop_new(host->context, FALSE);
    host->weir = glib_host_add_weir(host);
    host->client =
        glib_host_add(host, g_unix_fd_source_new(host->guest.client, G_IO_IN),
                      G_SOURCE_FUNC(on_client));
    host->ticker = glib_host_add(host, g_timeout_source_new(1), on_tick);
    host->limit = glib_host_add(host, g_timeout_source_new(LIMIT_MS), on_limit);
}

static void glib_host_close(struct glib_host *host)
{
    glib_host_remove(host->weir);
    glib_host_remove(host->client);
    glib_host_remove(host->ticker);
    glib_host_remove(host->limit);
    g_main_loop_unref(host->main);
    g_main_context_unref(host->context);
    guest_close(&host->guest);
}

static void glib_host_run(struct glib_host *host)
{
    g_main_loop_run(host->main);
    cr_assert_not(host->timed_out, "%d of %d echoed", host->guest.echoed,
                  host->guest.wanted);
}

static void echo_every_byte(void)
{
    struct glib_host host;
    glib_host_open(&host);
    host.guest.wanted = ROUNDS;
    guest_send(&host.guest);

    glib_host_run(&host);

    expect_eq(host.guest.echoed, ROUNDS);
    expect_leq(host.guest.turns, 4 * ROUNDS + 20);
    expect_leq(host.guest.idle, ROUNDS / 10 + 20);
    glib_host_close(&host);
}

static void quit_glib(void *arg)
{
    g_main_loop_quit((GMainLoop *)arg);
}

/* Ten of weir's timers beside one of GLib's that ticks each millisecond: the
 * turns are those of the ten. */
static void fire_timers(void)
{
    struct glib_host host;
    glib_host_open(&host);
    event_count = 0;
    for (int i = 1; i <= 10; i++) {
        later((uint64_t)i * 3 * MS, note_number, number(i));
    }
    later(40 * MS, quit_glib, host.main);

    glib_host_run(&host);

    expect_eq(event_count, 10);
    for (int i = 0; i < event_count; i++) {
        expect_eq(events[i].number, i + 1);
    }
    expect_gt(host.ticks, 0);
    expect_leq(host.guest.turns, 60);
    glib_host_close(&host);
}

static void stay_idle(void)
{
    struct glib_host host;
    glib_host_open(&host);
    later(2 * MS, quit_glib, host.main);
    glib_host_run(&host);
    const uint64_t turns = host.guest.turns;
    const uint64_t rounds = host.rounds;
    glib_host_remove(host.ticker);
    glib_host_remove(host.limit);
    host.limit = glib_host_add(&host, g_timeout_source_new(50), on_limit);
    host.ticker = glib_host_add(&host, g_timeout_source_new(LIMIT_MS), on_tick);

    g_main_loop_run(host.main);

    cr_assert(host.timed_out);
    /* The connection may be accepted late; a guest that spins makes far more.
     */
    expect_leq(host.guest.turns, turns + 10);
    expect_leq(host.rounds, rounds + 20);
    glib_host_close(&host);
}

#else

static void skip(void)
{
    cr_skip_test("built without GLib; runs with libglib2.0-dev");
}

#define echo_every_byte skip
#define fire_timers     skip
#define stay_idle       skip

#endif

UNIT(host_glib, every_byte_is_echoed_and_no_turn_is_spun)
{
    echo_every_byte();
}

UNIT(host_glib, timers_of_both_loops_fire)
{
    fire_timers();
}

UNIT(host_glib, an_idle_guest_costs_no_turn)
{
    stay_idle();
}
