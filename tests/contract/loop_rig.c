/*
 * A loop, and callbacks that record when they ran; see loop_rig.h.
 *
 * A run that does not end by itself is ended by a timer that fails the test, so
 * that no test hangs.
 */
#include "tests/contract/loop_rig.h"
#include "tests/statistics.h"

#include <weir/connect.h>

weir_loop *loop;
struct event events[EVENTS_MAX];
int event_count;
static int numbers[EVENTS_MAX];

struct weir_loop_statistics statistics(void)
{
    return statistics_of(loop);
}

uint64_t turns(void)
{
    return statistics().turns;
}

void note(int number)
{
    cr_assert_lt(event_count, EVENTS_MAX);
    events[event_count++] = (struct event){number, turns()};
}

void note_number(void *arg)
{
    note(*(int *)arg);
}

int *number(int value)
{
    numbers[value] = value;
    return &numbers[value];
}

void stop_loop(void *arg)
{
    weir_loop_stop(loop);
}

void soon(weir_callback_fn *cb, void *arg)
{
    cr_assert_eq(weir_loop_call_soon(loop, cb, arg, NULL), 0);
}

void later(uint64_t delay_ns, weir_callback_fn *cb, void *arg)
{
    cr_assert_eq(weir_loop_call_later(loop, delay_ns, cb, arg, NULL), 0);
}

void open_loop(const struct weir_loop_options *options)
{
    event_count = 0;
    cr_assert_eq(weir_loop_new(options, &loop), 0);
}

void open_loop_from(struct test_allocator *memory)
{
    allocator_init(memory);
    const struct weir_loop_options options = allocator_options(memory);
    open_loop(&options);
}

void close_loop(void)
{
    cr_assert_eq(weir_loop_free(loop), 0);
    loop = NULL;
}

void with_loop(void (*body)(void))
{
    open_loop(NULL);
    body();
    close_loop();
}

void one_turn(void)
{
    weir_loop_stop(loop);
    cr_assert_eq(weir_loop_run(loop), 0);
}

void fail_late(void *arg)
{
    cr_assert_fail("the loop did not stop in time");
}

void run_until_stopped(void)
{
    struct weir_handle handle;
    expect_ok(weir_loop_call_later(loop, FAILSAFE_S * 1000 * MS, fail_late,
                                   NULL, &handle));
    cr_assert_eq(weir_loop_run(loop), 0);
    cr_assert(weir_handle_cancel(loop, handle));
}

uint64_t clock_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

void spin(uint64_t time_ns)
{
    const uint64_t end_ns = clock_ns() + time_ns;
    while (clock_ns() < end_ns) {
    }
}

weir_transport *connection;

void keep_connection(void *user, weir_transport *t)
{
    connection = t;
}

int adopt_pair(const struct weir_protocol *protocol, void *user)
{
    const struct weir_factory factory = bind_to(protocol, user);
    int fds[2];
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    expect_ok(weir_create_connection_at(
        loop, &factory, weir_endpoint_fd(fds[0]), NULL, NULL, NULL, NULL));
    return fds[1];
}
