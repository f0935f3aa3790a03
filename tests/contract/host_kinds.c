/*
 * Hosts of weir; see host_kinds.h.
 *
 * Each does exactly what embed.h requires of a host. A process has one host at
 * a time.
 */
#include "tests/contract/host_kinds.h"

#include <poll.h>
#include <sys/epoll.h>

enum { LIMIT_MS = 60000 };

static int wait_of_host(void)
{
    const int wait_ms = guest_wait_ms();
    return wait_ms < 0 || wait_ms > LIMIT_MS ? LIMIT_MS : wait_ms;
}

static void after_wait(struct any_host *host, int count, int wait_ms)
{
    cr_assert(count != 0 || wait_ms < LIMIT_MS, "the host was not woken");
    cr_assert(count >= 0 || errno == EINTR);
    if (count > 0 || guest_wait_ms() == 0) {
        guest_turn(&host->guest);
    }
}

static void epoll_open(struct any_host *host)
{
    static int epfd;
    struct epoll_event event = {.events = EPOLLIN};

    epfd = epoll_create1(EPOLL_CLOEXEC);
    expect_ok(epoll_ctl(epfd, EPOLL_CTL_ADD, host->fd, &event));
    host->own = &epfd;
}

static void epoll_round(struct any_host *host)
{
    struct epoll_event event;
    const int wait_ms = wait_of_host();

    after_wait(host, epoll_wait(*(int *)host->own, &event, 1, wait_ms),
               wait_ms);
}

static void epoll_close(struct any_host *host)
{
    close(*(int *)host->own);
}

static void nothing(struct any_host *host)
{
}

static void poll_round(struct any_host *host)
{
    struct pollfd look = {.fd = host->fd, .events = POLLIN};
    const int wait_ms = wait_of_host();

    after_wait(host, poll(&look, 1, wait_ms), wait_ms);
}

#ifdef WEIR_HAS_UV
#include <uv.h>

static struct {
    uv_loop_t uv;
    uv_prepare_t prepare;
    uv_timer_t deadline;
    uv_timer_t limit;
    uv_poll_t descriptor;
} in_uv;

static void uv_due(uv_timer_t *timer)
{
    guest_turn((struct guest *)timer->data);
}

static void uv_readable(uv_poll_t *poll, int status, int which)
{
    expect_eq(status, 0);
    guest_turn((struct guest *)poll->data);
}

static void uv_late(uv_timer_t *timer)
{
    cr_assert(false, "the host was not woken");
}

/* libuv has already checked its timers: a timer due at once would wait for the
 * next round, but it ends this round's wait. */
static void uv_prepared(uv_prepare_t *prepare)
{
    const int wait_ms = guest_wait_ms();

    uv_update_time(&in_uv.uv);
    uv_timer_stop(&in_uv.deadline);
    uv_timer_start(&in_uv.limit, uv_late, LIMIT_MS, 0);
    if (wait_ms >= 0) {
        uv_timer_start(&in_uv.deadline, uv_due, (uint64_t)wait_ms, 0);
    }
}

static void in_uv_open(struct any_host *host)
{
    expect_eq(uv_loop_init(&in_uv.uv), 0);
    uv_prepare_init(&in_uv.uv, &in_uv.prepare);
    uv_timer_init(&in_uv.uv, &in_uv.deadline);
    uv_timer_init(&in_uv.uv, &in_uv.limit);
    uv_poll_init(&in_uv.uv, &in_uv.descriptor, host->fd);
    in_uv.deadline.data = &host->guest;
    in_uv.descriptor.data = &host->guest;
    uv_prepare_start(&in_uv.prepare, uv_prepared);
    uv_poll_start(&in_uv.descriptor, UV_READABLE, uv_readable);
}

static void in_uv_round(struct any_host *host)
{
    uv_run(&in_uv.uv, UV_RUN_ONCE);
}

static void uv_end(uv_handle_t *handle, void *arg)
{
    uv_close(handle, NULL);
}

static void in_uv_close(struct any_host *host)
{
    uv_walk(&in_uv.uv, uv_end, NULL);
    expect_eq(uv_run(&in_uv.uv, UV_RUN_DEFAULT), 0);
    expect_eq(uv_loop_close(&in_uv.uv), 0);
    uv_library_shutdown(); /* closes libuv's pipe for signals */
}
#endif

#ifdef WEIR_HAS_GLIB
#include <glib-unix.h>
#include <weir/embed.h>

struct in_glib {
    GSource source;
    struct any_host *host;
    gpointer tag;
    int wait_ms;
};

static gboolean glib_prepare(GSource *source, gint *ret_timeout_ms)
{
    ((struct in_glib *)source)->wait_ms = wait_of_host();
    *ret_timeout_ms = ((struct in_glib *)source)->wait_ms;
    return *ret_timeout_ms == 0;
}

static gboolean glib_check(GSource *source)
{
    const struct in_glib *in = (struct in_glib *)source;
    return g_source_query_unix_fd(source, in->tag) != 0 || guest_wait_ms() == 0;
}

static gboolean glib_dispatch(GSource *source, GSourceFunc callback,
                              gpointer data)
{
    guest_turn(&((struct in_glib *)source)->host->guest);
    return G_SOURCE_CONTINUE;
}

static void in_glib_open(struct any_host *host)
{
    static GSourceFuncs functions = {.prepare = glib_prepare,
                                     .check = glib_check,
                                     .dispatch = glib_dispatch};
    GSource *source = g_source_new(&functions, sizeof(struct in_glib));
    struct in_glib *in = (struct in_glib *)source;

    in->host = host;
    in->tag = g_source_add_unix_fd(source, host->fd, G_IO_IN);
    GMainContext *context = g_main_context_new();
    g_source_attach(source, context);
    host->own = source;
}

static void in_glib_round(struct any_host *host)
{
    GSource *source = host->own;
    const uint64_t before = host->guest.turns;
    const uint64_t began_ns = clock_ns();

    g_main_context_iteration(g_source_get_context(source), TRUE);
    cr_assert(host->guest.turns > before ||
                  clock_ns() - began_ns < LIMIT_MS * MS,
              "the host was not woken");
}

static void in_glib_close(struct any_host *host)
{
    GSource *source = host->own;
    GMainContext *context = g_source_get_context(source);

    g_source_destroy(source);
    g_source_unref(source);
    g_main_context_unref(context);
}
#endif

const struct host_kind host_kinds[] = {
    {"epoll", epoll_open, epoll_round, epoll_close},
    {"poll", nothing, poll_round, nothing},
#ifdef WEIR_HAS_UV
    {"libuv", in_uv_open, in_uv_round, in_uv_close},
#endif
#ifdef WEIR_HAS_GLIB
    {"GLib", in_glib_open, in_glib_round, in_glib_close},
#endif
    {NULL, NULL, NULL, NULL},
};

void any_host_open(struct any_host *host, const struct host_kind *kind)
{
    *host = (struct any_host){.kind = kind, .fd = weir_loop_get_fd(loop)};
    expect_geq(host->fd, 0);
    kind->open(host);
}

void any_host_round(struct any_host *host)
{
    host->kind->round(host);
}

uint64_t any_host_rest(struct any_host *host)
{
    struct pollfd look = {.fd = host->fd, .events = POLLIN};
    const uint64_t before = host->guest.turns;

    while (guest_wait_ms() == 0 || poll(&look, 1, 0) > 0) {
        guest_turn(&host->guest);
        cr_assert_lt(host->guest.turns - before, 100u, "the guest spins");
    }
    return host->guest.turns - before;
}

void any_host_close(struct any_host *host)
{
    host->kind->close(host);
}
