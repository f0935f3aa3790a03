/*
 * Running a program's main task, asyncio.run and its parts; and starting tasks
 * from other threads.
 *
 * The main task is a task like any other, with a condition that ends the run
 * and SIGINT to cancel it.
 */
#include "task.h"

#include <signal.h>

struct main_task {
    weir_loop *loop;
    weir_task *task;
    uint32_t signal_count;
};

static bool is_over(void *arg)
{
    const struct main_task *run = arg;
    return weir_future_is_done(&run->task->future) || run->signal_count > 1;
}

static void interrupted(void *arg, int signum)
{
    struct main_task *run = arg;
    (void)signum;

    run->signal_count++;
    if (run->signal_count == 1) {
        wr_ignore(weir_task_cancel(run->task));
    }
}

static int run_main(struct main_task *run, int *ret)
{
    int err = weir_loop_run_until(run->loop, is_over, run);

    if (weir_future_result(&run->task->future, ret) == 0) {
        return 0;
    }
    wr_assert(err < 0 || run->signal_count > 1);
    return err < 0 ? err : -EINTR;
}

int weir_loop_run_task(weir_loop *loop, weir_task_fn *fn, void *arg, int *ret)
{
    struct main_task run = {.loop = loop};
    const struct weir_task_options options = {.size = sizeof(options),
                                              .name = "main"};
    int err = wr_loop_check(loop);
    if (err < 0) {
        return err;
    }
    wr_require(!loop->running, -EBUSY);
    /* First: a task that was started cannot be taken back. */
    const bool handles_signal = !wr_signals_find(loop, SIGINT);
    if (handles_signal) {
        err = weir_loop_add_signal_handler(loop, SIGINT, interrupted, &run);
        if (err < 0) {
            return err;
        }
    }
    err = weir_task_spawn(loop, fn, arg, &options, &run.task);
    if (err == 0) {
        err = run_main(&run, ret);
    }
    /* The task may have set another one. */
    if (handles_signal && wr_signals_find(loop, SIGINT) == interrupted) {
        wr_ignore(weir_loop_remove_signal_handler(loop, SIGINT));
    }
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
    wr_assert(freed >= 0 || freed == -ECHILD); /* else it is ours and rests */
    return err < 0 ? err : result;
}

/* A task that another thread wants; memory of its own, because a post carries
 * one pointer. */
struct wanted {
    struct wr_wake_item item;
    weir_loop *loop;
    weir_task_fn *fn;
    void *arg;
    weir_callback_fn *dropped;
};

static void drop_wanted(void *arg)
{
    const struct wanted wanted = *(struct wanted *)arg;

    wr_free(wanted.loop->allocator, arg, sizeof(wanted));
    if (wanted.dropped) {
        wanted.dropped(wanted.arg);
    }
}

static void spawn_wanted(void *arg)
{
    struct wanted *wanted = arg;
    weir_loop *loop = wanted->loop;
    int err = weir_task_spawn(loop, wanted->fn, wanted->arg, NULL, NULL);

    if (err == 0) {
        wanted->dropped = NULL;
    }
    drop_wanted(wanted);
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
    struct wanted *wanted = wr_alloc(loop->allocator, sizeof(*wanted));
    if (!wanted) {
        return -ENOMEM;
    }
    *wanted = (struct wanted){.item = {.run = spawn_wanted,
                                       .arg = wanted,
                                       .drop = drop_wanted,
                                       .is_counted = true},
                              .loop = loop,
                              .fn = fn,
                              .arg = arg,
                              .dropped = dropped};
    int err = wr_wake_post_item(loop->wake, &wanted->item);
    if (err < 0) {
        wr_free(loop->allocator, wanted, sizeof(*wanted));
    }
    return err;
}
