/*
 * A bare loop and a list of what ran on it, in order and turn by turn.
 *
 * Each noted event has a number that the test chose and the turn in which it
 * came. Turns are counted by the loop itself, so "in the same turn" and "in the
 * next" are what the statistics say. A time-out ends a run that does not end.
 */
#ifndef WEIR_TESTS_CONTRACT_LOOP_RIG_H
#define WEIR_TESTS_CONTRACT_LOOP_RIG_H

#include "tests/unit.h"

#include <weir.h>

#include <errno.h>
#include <sys/socket.h>
#include <time.h>

#define MS UINT64_C(1000000)

enum { EVENTS_MAX = 32768, FAILSAFE_S = 30 };

struct event {
    int number;
    uint64_t turn;
};

static weir_loop *loop;
static struct event events[EVENTS_MAX];
static int event_count;
static int numbers[EVENTS_MAX]; /* arguments of note_number() */

static inline struct weir_loop_statistics statistics(void)
{
    struct weir_loop_statistics result;
    weir_loop_get_statistics(loop, &result);
    return result;
}

static inline uint64_t turns(void)
{
    return statistics().turns;
}

static inline void note(int number)
{
    cr_assert_lt(event_count, EVENTS_MAX);
    events[event_count++] = (struct event){number, turns()};
}

static inline void note_number(void *arg)
{
    note(*(int *)arg);
}

static inline int *number(int value)
{
    numbers[value] = value;
    return &numbers[value];
}

static inline void stop_loop(void *arg)
{
    (void)arg;
    weir_loop_stop(loop);
}

static inline void soon(weir_callback_fn *cb, void *arg)
{
    cr_assert_eq(weir_loop_call_soon(loop, cb, arg, NULL), 0);
}

static inline void later(uint64_t delay_ns, weir_callback_fn *cb, void *arg)
{
    cr_assert_eq(weir_loop_call_later(loop, delay_ns, cb, arg, NULL), 0);
}

static inline void open_loop(const struct weir_loop_options *options)
{
    event_count = 0;
    cr_assert_eq(weir_loop_new(options, &loop), 0);
}

static inline void close_loop(void)
{
    cr_assert_eq(weir_loop_free(loop), 0);
    loop = NULL;
}

/* One turn that waits for nothing. */
static inline void one_turn(void)
{
    weir_loop_stop(loop);
    cr_assert_eq(weir_loop_run(loop), 0);
}

static inline void fail_late(void *arg)
{
    (void)arg;
    cr_assert_fail("the loop did not stop in time");
}

/* Runs until a callback stops it. */
static inline void run_until_stopped(void)
{
    struct weir_handle handle;
    cr_assert_eq(weir_loop_call_later(loop, FAILSAFE_S * 1000 * MS, fail_late,
                                      NULL, &handle),
                 0);
    cr_assert_eq(weir_loop_run(loop), 0);
    cr_assert(weir_loop_cancel(loop, handle));
}

/* ---- time ---- */

static inline uint64_t clock_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static inline void spin(uint64_t time_ns)
{
    const uint64_t end_ns = clock_ns() + time_ns;
    while (clock_ns() < end_ns) {
    }
}

/* ---- a connection without a network ---- */

static inline int take_binding(void *arg, weir_transport *t,
                               struct weir_protocol_binding *ret)
{
    (void)t;
    *ret = *(struct weir_protocol_binding *)arg;
    return 0;
}

static weir_transport *connection; /* of keep_connection() */

static inline void keep_connection(void *user, weir_transport *t)
{
    (void)user;
    connection = t;
}

/* Adopts one end of a socket pair; returns the other, a plain descriptor. The
 * connection is made in the loop's next turn. */
static inline int adopt_pair(struct weir_protocol_binding *binding)
{
    const struct weir_factory factory = {.create = take_binding,
                                         .arg = binding};
    struct weir_connect_options options = {.size = sizeof(options),
                                           .use_sock = true};
    int fds[2];
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    options.sock = fds[0];
    cr_assert_eq(
        weir_create_connection(loop, &factory, NULL, 0, &options, NULL), 0);
    return fds[1];
}

#endif
