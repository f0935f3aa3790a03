/*
 * Workers for the tests of what tasks wait on.
 *
 * A worker is a task that makes one call on an object, under a time-out if it
 * has one, notes its name when that returns, and keeps the result and that of
 * the suspending call after it. The main task starts workers, lets them come to
 * their waits with settle(), and looks at what became of them.
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

/* Names of the workers whose calls returned, in order. */
static char notes[256];

static inline void note(const char *name)
{
    cr_assert_lt(strlen(notes) + strlen(name), sizeof(notes));
    memcpy(notes + strlen(notes), name, strlen(name) + 1);
}

static inline int sync_work(weir_loop *on, void *arg)
{
    struct worker *worker = arg;
    struct weir_timeout limit;

    if (worker->limit_ns > 0) {
        cr_assert_eq(weir_timeout_begin(on, &limit, worker->limit_ns), 0);
    }
    worker->result = worker->call(worker->object);
    if (worker->limit_ns > 0) {
        worker->result = (int)weir_timeout_end(&limit, worker->result);
    }
    worker->is_back = true;
    note(worker->name);
    worker->next = weir_yield(on);
    return worker->result;
}

/* The other tasks come to where they wait. */
static inline void settle(void)
{
    for (int i = 0; i < 4; i++) {
        cr_assert_eq(weir_yield(loop), 0);
    }
}

static inline void start(struct worker *worker, const char *name,
                         sync_call *call, void *object)
{
    *worker = (struct worker){.call = call, .object = object, .name = name};
    worker->task = rig_spawn(sync_work, worker);
}

static inline void start_limited(struct worker *worker, uint64_t limit_ns,
                                 sync_call *call, void *object)
{
    start(worker, "", call, object);
    worker->limit_ns = limit_ns; /* it has not run yet */
}

/* The result of its call. */
static inline int finish(struct worker *worker)
{
    return rig_join(worker->task);
}

/* Cancels and waits: the result of its call. */
static inline int cancel(struct worker *worker)
{
    cr_assert(weir_task_cancel(worker->task));
    return finish(worker);
}

/* A call that must time out, when its time is over and not later. */
static inline void must_time_out(sync_call *call, void *object)
{
    struct worker worker;
    const uint64_t begin_ns = weir_loop_time(loop);

    start_limited(&worker, 5 * MS, call, object);
    cr_assert_eq(finish(&worker), -ETIMEDOUT);
    const uint64_t took_ns = weir_loop_time(loop) - begin_ns;
    cr_assert_geq(took_ns, 5 * MS);
    cr_assert_lt(took_ns, 5 * MS + 2 * US);
    cr_assert_eq(worker.next, 0, "it is delivered once");
}

/* ---- the wrong places ---- */

static inline void *sync_on_thread(void *arg)
{
    struct worker *worker = arg;
    worker->result = worker->call(worker->object);
    return NULL;
}

/* What the call returns on another thread. */
static inline int elsewhere(sync_call *call, void *object)
{
    struct worker worker = {.call = call, .object = object};
    pthread_t thread;

    cr_assert_eq(pthread_create(&thread, NULL, sync_on_thread, &worker), 0);
    cr_assert_eq(pthread_join(thread, NULL), 0);
    return worker.result;
}

static inline void sync_in_callback(void *arg)
{
    struct worker *worker = arg;
    worker->result = worker->call(worker->object);
    worker->is_back = true;
}

/* What it returns in a callback of the loop. */
static inline int in_callback(sync_call *call, void *object)
{
    struct worker worker = {.call = call, .object = object};

    cr_assert_eq(weir_loop_call_soon(loop, sync_in_callback, &worker, NULL), 0);
    settle();
    cr_assert(worker.is_back);
    return worker.result;
}

/* ---- no memory ---- */

static bool sync_is_poor;

static inline void *sync_alloc(void *arg, size_t size)
{
    (void)arg;
    return sync_is_poor ? NULL : malloc(size);
}

static inline void sync_free(void *arg, void *ptr, size_t size)
{
    (void)arg;
    (void)size;
    free(ptr);
}

/* What a call returns when there is no memory; its object is the loop. */
static inline int without_memory(sync_call *call)
{
    static const struct fake_options machine = {.seed = 1};
    static const struct weir_allocator allocator = {.alloc = sync_alloc,
                                                    .free = sync_free};
    const struct weir_loop_options options = {.size = sizeof(options),
                                              .allocator = &allocator};
    fake_start(&machine);
    cr_assert_eq(weir_loop_new(&options, &loop), 0);
    sync_is_poor = true;
    int result = call(loop);
    sync_is_poor = false;
    rig_stop();
    return result;
}

#endif
