/*
 * The watchdog is fed when a visit has been to all threads, so that one which
 * hangs lets it bite, and the next visit begins when half of its time is over.
 * It is fed during a drain, too: connections may last longer than its time. But
 * a proxy whose successor serves leaves that to it, as it would hide that the
 * successor hangs.
 */
#include "manager.h"

#include "tools/common/console.h"

#include "weir/error.h"
#include "weir/systemd.h"

#include <stdio.h>
#include <time.h>
#include <unistd.h>

static void tell(const char *state)
{
    const int err = weir_systemd_notify(false, state);

    if (err < 0) {
        say("systemd was not told: %s", weir_strerror(err));
    }
}

void manager_begin(struct proxy *proxy)
{
    const int err = weir_systemd_get_watchdog(false, &proxy->watchdog_ns);

    if (err < 0) {
        say("WATCHDOG_USEC, WATCHDOG_PID: %s", weir_strerror(err));
    }
}

/* ---- the watchdog ---- */

static void look_after_threads(void *arg);

static void look_later(struct proxy *proxy)
{
    const int err =
        weir_loop_call_later(proxy->workers[0].loop, proxy->watchdog_ns / 2,
                             look_after_threads, proxy, NULL);

    if (err < 0) {
        say("the watchdog is not fed any more: %s", weir_strerror(err));
    }
}

static void is_alive(void *arg, weir_thread *thread)
{
    (void)arg;
    (void)thread;
}

static void all_are_alive(void *arg, int result)
{
    struct proxy *proxy = arg;

    if (result < 0 || proxy->workers[0].is_replaced) {
        return; /* the loop has ended, or it is the successor's now */
    }
    /* What a slow manager does not take is told it again soon. */
    (void)!weir_systemd_notify(false, "WATCHDOG=1");
    look_later(proxy);
}

static void look_after_threads(void *arg)
{
    struct proxy *proxy = arg;
    const struct worker *first = &proxy->workers[0];
    const int err =
        weir_threads_visit(weir_thread_get_threads(first->thread), first->loop,
                           is_alive, NULL, all_are_alive, proxy);

    if (err < 0) {
        look_later(proxy);
    }
}

/* ---- the state ---- */

void manager_tell_ready(struct proxy *proxy)
{
    char text[64];

    snprintf(text, sizeof(text), "MAINPID=%ld\nREADY=1", (long)getpid());
    tell(proxy->predecessor >= 0 ? text : "READY=1");
    if (proxy->watchdog_ns > 0) {
        look_after_threads(proxy);
    }
}

void manager_tell_reloading(void)
{
    struct timespec now;
    char text[80];

    clock_gettime(CLOCK_MONOTONIC, &now);
    snprintf(text, sizeof(text), "RELOADING=1\nMONOTONIC_USEC=%llu",
             (unsigned long long)now.tv_sec * 1000000u +
                 (unsigned long long)now.tv_nsec / 1000u);
    tell(text);
}

void manager_tell_reloaded(void)
{
    tell("READY=1");
}

void manager_tell_stopping(void)
{
    tell("STOPPING=1");
}
