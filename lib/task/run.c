/*
 * Running a program's main task, as asyncio.run() does, and starting tasks from
 * other threads.
 *
 * The run ends with the main task. The first SIGINT or SIGTERM announces a stop
 * and cancels the main task, the second ends the run (lib/loop/signal.c).
 */
#include "task.h"

static bool run_is_over(void *arg)
{
    const struct wr_run *run = arg;

    wr_assert(run->task);
    return weir_future_is_done(&run->task->future) || run->given_up < 0;
}

int wr_run_begin(struct wr_run *run, weir_loop *loop, weir_task_fn *fn,
                 void *arg)
{
    const struct weir_task_options options = {.size = sizeof(options),
                                              .name = "main"};

    wr_assert(!run->task && run->given_up == 0);
    return weir_task_spawn(loop, fn, arg, &options, &run->task);
}

int wr_run_finish(struct wr_run *run, int *ret)
{
    weir_task *task = run->task;

    wr_assert(task && run->given_up == 0);
    int err = wr_loop_run_until(task->future.loop, run_is_over, run);

    if (weir_future_get_result(&task->future, ret) == 0) {
        err = 0;
    } else if (err == 0) {
        wr_assert(run->given_up < 0);
        err = run->given_up;
    }
    wr_assert(run->task == task);
    run->task = NULL;
    weir_task_unref(task);
    return err;
}

void wr_run_cancel(struct wr_run *run)
{
    wr_assert(run->given_up <= 0);
    if (run->task) {
        weir_task_cancel(run->task);
    }
}

void wr_run_give_up(struct wr_run *run, int err)
{
    wr_assert(err < 0);
    if (run->task && run->given_up == 0) {
        run->given_up = err;
    }
}

struct run_main {
    struct wr_run run;
    uint32_t signal_count;
};

static void run_tell_signal(void *arg, int signum)
{
    struct run_main *program = arg;
    (void)signum; /* both end the run */

    program->signal_count += program->signal_count < UINT32_MAX;
    wr_assert(program->signal_count > 0);
    if (program->signal_count == 1) {
        if (program->run.task) {
            wr_loop_announce_stop(program->run.task->future.loop);
        }
        wr_run_cancel(&program->run);
    } else {
        wr_run_give_up(&program->run, -EINTR);
    }
}

int weir_loop_run_task(weir_loop *loop, weir_task_fn *fn, void *arg, int *ret)
{
    struct run_main program = {.signal_count = 0};
    int err = wr_loop_check(loop);
    wr_require(err >= 0, err);
    wr_require(!wr_loop_is_running(loop), -EBUSY);
    /* This can fail, and the start of the task cannot be undone. */
    err = wr_signals_begin_main(loop, run_tell_signal, &program);
    wr_require(err >= 0, err);
    wr_assert(program.signal_count == 0);
    wr_loop_forget_stop(loop);
    err = wr_run_begin(&program.run, loop, fn, arg);
    if (err == 0) {
        err = wr_run_finish(&program.run, ret);
    }
    wr_signals_end_main(loop);
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
    wr_assert(!wr_loop_is_running(loop));
    const int freed = weir_loop_free(loop);
    wr_assert(freed >= 0); /* made here, and not running */
    return err < 0 ? err : result;
}

/* Allocated, because a post carries one pointer. */
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
