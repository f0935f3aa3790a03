/*
 * The rig for tests of futures: futures, tasks that wait for one in one of
 * several ways, and a string of events, in order. The body of a test is the
 * main task; settle() lets the others run until they wait.
 */
#ifndef WEIR_TESTS_TASKS_FUTURE_RIG_H
#define WEIR_TESTS_TASKS_FUTURE_RIG_H

#include "rig.h"

weir_future *pending(void);
weir_future *done_with(int result);
int result_of(const weir_future *future);

/* Notes its name, and what the future came to when that is not 0. */
void note_done(void *arg, weir_future *future, int result);
void *as_arg(const char *name);
void add(weir_future *future, const char *name);

/* A task that waits for a future in one of the ways. */
struct waiter {
    weir_future *future;
    const char *name;
    uint64_t timeout_ns; /* of weir_wait_for(); 0: weir_future_await() */
    bool shields;
    weir_task *task;
    int err;
    int result;
    int next; /* of the suspending call after it */
    int returns;
};

void waiter_start(struct waiter *waiter, weir_future *future);
void waiter_finish(struct waiter *waiter);

/* A stand-in for something that takes its time to be cancelled. */
struct slow {
    weir_future *future;
    int asked;
    int gives; /* the result at once when it is not 0 */
};

weir_future *slow_future(struct slow *slow);

#endif
