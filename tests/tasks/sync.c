/*
 * Workers that make one call on an object; see sync.h.
 *
 * A worker records its name when its call returns, and makes another suspending
 * call, which shows whether an interruption is still pending.
 */
#include "tests/tasks/sync.h"

int sync_work(weir_loop *on, void *arg)
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

void start(struct worker *worker, const char *name, sync_call *call,
           void *object)
{
    *worker = (struct worker){.call = call, .object = object, .name = name};
    worker->task = rig_spawn(sync_work, worker);
}

void start_each(struct worker *workers, int count, sync_call *call,
                void *object)
{
    static const char *const names[] = {"a", "b", "c", "d"};

    for (int i = 0; i < count; i++) {
        start(&workers[i], names[i], call, object);
    }
    settle();
}

struct worker first;
struct worker second;

void start_first(sync_call *call, void *object)
{
    start_each(&first, 1, call, object);
}

void start_both(sync_call *call, void *object)
{
    start(&first, "a", call, object);
    start(&second, "b", call, object);
    settle();
}

void start_limited(struct worker *worker, uint64_t limit_ns, sync_call *call,
                   void *object)
{
    start(worker, "", call, object);
    worker->limit_ns = limit_ns; /* it has not run yet */
}

int finish(struct worker *worker)
{
    return rig_join(worker->task);
}

void expect_end(struct worker *worker, int result, int next)
{
    expect_eq(finish(worker), result);
    expect_eq(worker->next, next);
}

int cancel(struct worker *worker)
{
    cr_assert(weir_task_cancel(worker->task));
    return finish(worker);
}

void must_time_out(sync_call *call, void *object)
{
    struct worker worker;
    const uint64_t begin_ns = weir_loop_get_time(loop);

    start_limited(&worker, 5 * MS, call, object);
    cr_assert_eq(finish(&worker), -ETIMEDOUT);
    const uint64_t took_ns = weir_loop_get_time(loop) - begin_ns;
    cr_assert_geq(took_ns, 5 * MS);
    cr_assert_lt(took_ns, 5 * MS + 2 * US);
    cr_assert_eq(worker.next, 0, "it is delivered once");
}

static void *sync_on_thread(void *arg)
{
    struct worker *worker = arg;
    worker->result = worker->call(worker->object);
    return NULL;
}

int elsewhere(sync_call *call, void *object)
{
    struct worker worker = {.call = call, .object = object};
    pthread_t thread;

    cr_assert_eq(pthread_create(&thread, NULL, sync_on_thread, &worker), 0);
    cr_assert_eq(pthread_join(thread, NULL), 0);
    return worker.result;
}

static void sync_in_callback(void *arg)
{
    struct worker *worker = arg;
    worker->result = worker->call(worker->object);
    worker->is_back = true;
}

int in_callback(sync_call *call, void *object)
{
    struct worker worker = {.call = call, .object = object};

    cr_assert_eq(weir_loop_call_soon(loop, sync_in_callback, &worker, NULL), 0);
    settle();
    cr_assert(worker.is_back);
    return worker.result;
}

int without_memory(sync_call *call)
{
    rig_start_counted();
    rig_memory.size_limit = 0;
    int result = call(loop);
    rig_memory.size_limit = SIZE_MAX;
    rig_stop();
    allocator_check(&rig_memory);
    return result;
}
