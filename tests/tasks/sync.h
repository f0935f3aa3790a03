/*
 * Workers for tests of synchronisation objects.
 *
 * A worker is a task that makes one call on an object, with a timeout if it has
 * one. When the call returns it records its name and the result, and the result
 * of another suspending call. The main task starts workers, lets them wait with
 * settle(), and checks their results.
 */
#ifndef WEIR_TESTS_TASKS_SYNC_H
#define WEIR_TESTS_TASKS_SYNC_H

#include "rig.h"

#include <pthread.h>

typedef int sync_call(void *object);

struct worker {
    sync_call *call;
    void *object;
    const char *name;
    uint64_t limit_ns; /* 0: none */
    weir_task *task;
    int result;
    int next; /* of the suspending call after it */
    bool is_back;
};

/* The body of its task, to which the worker is passed. */
int sync_work(weir_loop *on, void *arg);
void start(struct worker *worker, const char *name, sync_call *call,
           void *object);
/* The same for workers "a", "b" and so on, which come to their waits. */
void start_each(struct worker *workers, int count, sync_call *call,
                void *object);
extern struct worker first;
extern struct worker second;
void start_first(sync_call *call, void *object);
void start_both(sync_call *call, void *object);

void start_limited(struct worker *worker, uint64_t limit_ns, sync_call *call,
                   void *object);

/* The result of its call. */
int finish(struct worker *worker);

/* It has returned this, and its next suspending call that. */
void expect_end(struct worker *worker, int result, int next);

/* Cancels and waits: the result of its call. */
int cancel(struct worker *worker);

/* A call that must time out, when its time is over and not later. */
void must_time_out(sync_call *call, void *object);

/* ---- the wrong places ---- */

/* The result of the call on another thread. */
int elsewhere(sync_call *call, void *object);

/* Its result in a callback of the loop. */
int in_callback(sync_call *call, void *object);

/* ---- no memory ---- */

/* Its result when rig_memory has none; its object is the loop. */
int without_memory(sync_call *call);

#endif
