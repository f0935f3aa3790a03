/*
 * Running a program's main task: asyncio.run and its parts.
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
    err = weir_task_spawn(loop, fn, arg, &options, &run.task);
    if (err < 0) {
        return err;
    }
    const bool handles_signal = !wr_signals_has(loop, SIGINT);
    if (handles_signal) {
        err = weir_loop_add_signal_handler(loop, SIGINT, interrupted, &run);
        if (err < 0) {
            wr_ignore(weir_task_cancel(run.task));
            weir_task_detach(run.task);
            return err;
        }
    }
    err = run_main(&run, ret);
    if (handles_signal) {
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
    wr_assert(freed >= 0); /* it does not run, and is ours */
    return err < 0 ? err : result;
}
