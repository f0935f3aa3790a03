/*
 * A callback runs on every thread, and then the watchdog is fed. If a thread
 * hangs, the watchdog fires. The next round starts after half of the watchdog's
 * time, even during a drain, which may last longer. Once a successor serves,
 * the old proxy stops feeding the watchdog: otherwise a hanging successor would
 * go unnoticed.
 *
 * If the service manager's socket is a path, it is opened before chroot().
 */
#include "manager.h"

#include "setup.h"
#include "tools/common/console.h"
#include "tools/weir-proxy/facts/sink.h"

#include "weir/error.h"
#include "weir/systemd.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* Returns -1 if NOTIFY_SOCKET is not a path or no process listens. */
static int connect_to_path(void)
{
    const char *path = getenv("NOTIFY_SOCKET");
    struct weir_address address;

    if (!path || path[0] != '/' ||
        weir_address_parse_unix(path, &address) < 0) {
        return -1;
    }
    const int fd = sink_connect(&address);
    return fd < 0 ? -1 : fd;
}

/* Uses the socket that was opened before chroot(), if any. */
static int notify(const struct proxy *proxy, const char *state)
{
    if (proxy->notify_fd < 0) {
        return weir_systemd_notify(false, state);
    }
    return send(proxy->notify_fd, state, strlen(state),
                MSG_DONTWAIT | MSG_NOSIGNAL) < 0
               ? -errno
               : 1;
}

void manager_tell(const struct proxy *proxy, const char *state)
{
    const int err = notify(proxy, state);

    if (err < 0) {
        say("systemd was not notified: %s", weir_strerror(err));
    }
}

void manager_begin(struct proxy *proxy)
{
    const int err = weir_systemd_get_watchdog(false, &proxy->watchdog_ns);

    if (err < 0) {
        say("WATCHDOG_USEC, WATCHDOG_PID: %s", weir_strerror(err));
    }
    if (proxy->setup->config->chroot) {
        proxy->notify_fd = connect_to_path();
    }
}

void manager_end(struct proxy *proxy)
{
    if (proxy->notify_fd >= 0) {
        close(proxy->notify_fd);
        proxy->notify_fd = -1;
    }
}

static void look_after_threads(void *arg);

static void look_later(struct proxy *proxy)
{
    const int err =
        weir_loop_call_later(proxy->workers[0].loop, proxy->watchdog_ns / 2,
                             look_after_threads, proxy, NULL);

    if (err < 0) {
        say("the watchdog is no longer notified: %s", weir_strerror(err));
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
        return; /* the loop has ended, or the successor feeds the watchdog */
    }
    /* If a slow manager refuses the notification, the next one follows soon. */
    (void)notify(proxy, "WATCHDOG=1");
    look_later(proxy);
}

static void look_after_threads(void *arg)
{
    struct proxy *proxy = arg;
    const struct worker *first = &proxy->workers[0];
    const int err =
        weir_threads_run_each(weir_thread_get_group(first->thread), first->loop,
                              is_alive, NULL, all_are_alive, proxy);

    if (err < 0) {
        look_later(proxy);
    }
}

void manager_tell_ready(struct proxy *proxy)
{
    char text[64];

    snprintf(text, sizeof(text), "MAINPID=%ld\nREADY=1", (long)getpid());
    manager_tell(proxy, proxy->predecessor >= 0 ? text : "READY=1");
    if (proxy->watchdog_ns > 0) {
        look_after_threads(proxy);
    }
}

void manager_tell_reloading(const struct proxy *proxy)
{
    struct timespec now;
    char text[80];

    clock_gettime(CLOCK_MONOTONIC, &now);
    snprintf(text, sizeof(text), "RELOADING=1\nMONOTONIC_USEC=%llu",
             (unsigned long long)now.tv_sec * 1000000u +
                 (unsigned long long)now.tv_nsec / 1000u);
    manager_tell(proxy, text);
}
