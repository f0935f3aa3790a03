/*
 * Running a program's main task, as asyncio.run() does, and starting tasks from
 * other threads.
 *
 * The main task is an ordinary task. Its end ends the run, and the signals that
 * end a program (lib/loop/signal.c) cancel it.
 */
#include "task.h"

/* A run of a main task. */
struct run_main {
    weir_loop *loop;
    weir_task *task;
    uint32_t signal_count;
};

static bool run_is_over(void *arg)
{
    const struct run_main *run = arg;

    wr_assert(run->task);
    return weir_future_is_done(&run->task->future) || run->signal_count > 1;
}

static void run_tell_signal(void *arg, int signum)
{
    struct run_main *run = arg;
    (void)signum; /* both end the run */

    wr_assert(run->task);
    run->signal_count += run->signal_count < UINT32_MAX;
    if (run->signal_count == 1) {
        weir_task_cancel(run->task);
    }
}

static int run_until_end(struct run_main *run, int *ret)
{
    int err = weir_loop_run_until(run->loop, run_is_over, run);

    if (weir_future_get_result(&run->task->future, ret) == 0) {
        return 0;
    }
    wr_assert(err < 0 || run->signal_count > 1);
    return err < 0 ? err : -EINTR;
}

int weir_loop_run_task(weir_loop *loop, weir_task_fn *fn, void *arg, int *ret)
{
    const struct weir_task_options options = {.size = sizeof(options),
                                              .name = "main"};
    struct run_main run = {.loop = loop};
    int err = wr_loop_check(loop);
    wr_require(err >= 0, err);
    wr_require(!wr_loop_is_running(loop), -EBUSY);
    /* Signals first: a started task cannot be taken back. */
    err = wr_signals_begin_main(loop, run_tell_signal, &run);
    wr_require(err >= 0, err);
    err = weir_task_spawn(loop, fn, arg, &options, &run.task);
    if (err == 0) {
        err = run_until_end(&run, ret);
    }
    wr_signals_end_main(loop);
    weir_task_detach(run.task);
    return err;
}

int weir_run(const struct weir_loop_options *options, weir_task_fn *fn,
             void *arg)
{
    weir_loop *loop;
    int result = 0;
    int err = weir_loop_new(options, &loop);
    if (err < 0) {
        return err;
    }
    err = weir_loop_run_task(loop, fn, arg, &result);
    const int freed = weir_loop_free(loop);
    wr_assert(freed >= 0); /* ours, and not running */
    return err < 0 ? err : result;
}

/* A task to start for another thread; allocated: a post carries one pointer. */
struct run_spawn {
    struct wr_wake_item item;
    weir_loop *loop;
    weir_task_fn *fn;
    void *arg;
    weir_callback_fn *dropped;
};

static void run_drop_spawn(void *arg)
{
    const struct run_spawn spawn = *(struct run_spawn *)arg;

    wr_free(spawn.loop->allocator, arg, sizeof(spawn));
    if (spawn.dropped) {
        spawn.dropped(spawn.arg);
    }
}

static void run_spawn_posted(void *arg)
{
    struct run_spawn *spawn = arg;
    weir_loop *loop = spawn->loop;

    wr_assert(spawn->fn);
    wr_assert(wr_loop_is_running(loop));
    int err = weir_task_spawn(loop, spawn->fn, spawn->arg, NULL, NULL);

    if (err == 0) {
        spawn->dropped = NULL;
    }
    run_drop_spawn(spawn);
    if (err < 0) {
        const struct weir_exception exception = {
            .message = "a task that another thread wanted was not started",
            .err = err};
        wr_loop_report(loop, &exception);
    }
}

int weir_task_spawn_threadsafe(weir_loop *loop, weir_task_fn *fn, void *arg,
                               weir_callback_fn *dropped)
{
    wr_require(!wr_loop_is_forked(loop), -ECHILD);
    wr_require(fn, -EINVAL);
    struct run_spawn *spawn = wr_alloc(loop->allocator, sizeof(*spawn));
    if (!spawn) {
        return -ENOMEM;
    }
    const bool is_own = wr_wake_is_owned_by(loop->wake, wr_this_thread());
    *spawn = (struct run_spawn){.item = {.run = run_spawn_posted,
                                         .arg = spawn,
                                         .drop = run_drop_spawn,
                                         .is_counted = true,
                                         .is_own = is_own},
                                .loop = loop,
                                .fn = fn,
                                .arg = arg,
                                .dropped = dropped};
    int err = wr_wake_post_item(loop->wake, &spawn->item);
    if (err < 0) {
        wr_free(loop->allocator, spawn, sizeof(*spawn));
    }
    return err;
}
