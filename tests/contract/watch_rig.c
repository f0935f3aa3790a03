/*
 * Callbacks that watch descriptors; see watch_rig.h.
 *
 * A test's loop has an exception hook that counts, and has run an iteration, so
 * that a watch added later is armed at the end of the next one.
 */
#include "tests/contract/watch_rig.h"

#include <weir/watch.h>

int watch_ends[2];
int exception_count;
int exception_err;

static void count_exception(void *arg, weir_loop *on,
                            const struct weir_exception *exception)
{
    if (exception->notice == WEIR_NOTICE_ENGINE) {
        return;
    }
    exception_count++;
    exception_err = exception->err;
}

void watched(void *arg)
{
    struct watcher *watcher = (struct watcher *)arg;
    char bytes[64];

    expect_neq(watcher->turn, turns(), "called twice in one turn");
    watcher->calls++;
    watcher->turn = turns();
    if (watcher->takes) {
        expect_geq(read(watcher->fd, bytes, sizeof(bytes)), 0);
    }
    if (watcher->remove_fd) {
        watcher->removed = weir_loop_remove_reader(loop, watcher->remove_fd);
    }
    if (watcher->stops) {
        weir_loop_stop(loop);
    }
}

struct watcher read_with(int fd, bool takes)
{
    return (struct watcher){.fd = fd, .takes = takes};
}

void add_reader(struct watcher *watcher)
{
    expect_eq(weir_loop_add_reader(loop, watcher->fd, watched, watcher), 0);
}

void add_writer(struct watcher *watcher)
{
    expect_eq(weir_loop_add_writer(loop, watcher->fd, watched, watcher), 0);
}

void make_turns(int count)
{
    for (int i = 0; i < count; i++) {
        one_turn();
    }
}

void open_watching(void)
{
    open_loop(NULL);
    exception_count = 0;
    exception_err = 0;
    weir_loop_set_exception_handler(loop, count_exception, NULL);
    expect_ok(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, watch_ends));
    one_turn();
}

void close_watching(void)
{
    close_loop();
    close_ends(watch_ends);
}

void with_watching(void (*body)(void))
{
    open_watching();
    body();
    close_watching();
}

void send_byte(int fd)
{
    expect_eq(write(fd, "x", 1), 1);
}

void fill(int fd)
{
    static const char bytes[65536];
    while (write(fd, bytes, sizeof(bytes)) > 0) {
    }
}

void empty(int fd)
{
    static char bytes[65536];
    while (read(fd, bytes, sizeof(bytes)) > 0) {
    }
}
