/*
 * Running a program's main task, asyncio.run and its parts; and starting tasks
 * from other threads.
 *
 * The main task is a task like any other, with a condition that ends the run
 * and the signals that end a program (threads.h) to cancel it.
 */
#include "task.h"
#include "threads.h"

/* A signal that was posted refers to it, perhaps for longer than the run. */
struct main_task {
    weir_loop *loop;
    weir_task *task;
    uint32_t signal_count;
    bool has_ended; /* set by the end of the run */
    struct wr_ending ending;
};

static bool is_over(void *arg)
{
    const struct main_task *run = arg;
    return weir_future_is_done(&run->task->future) || run->signal_count > 1;
}

static void free_main(void *arg)
{
    struct main_task *run = arg;
    wr_assert(run->has_ended);
    wr_free(run->loop->allocator, run, sizeof(*run));
}

/* A handler that the program has for this signal on the loop comes first. */
static void tell_signal(struct main_task *run, int signum)
{
    if (wr_signals_deliver(run->loop, signum)) {
        return;
    }
    run->signal_count++;
    if (run->signal_count == 1) {
        wr_ignore(weir_task_cancel(run->task));
    }
}

static void tell_signals(void *arg)
{
    struct main_task *run = arg;
    uint32_t counts[WR_ENDING_COUNT];

    wr_ending_take(&run->ending, counts);
    if (run->has_ended) {
        free_main(run);
        return;
    }
    for (uint32_t i = 0; i < WR_ENDING_COUNT; i++) {
        for (uint32_t j = 0; j < counts[i]; j++) {
            tell_signal(run, wr_ending_signal(i));
        }
    }
}

static int begin_main(weir_loop *loop, struct main_task **ret)
{
    struct main_task *run = wr_alloc(loop->allocator, sizeof(*run));
    wr_require(run, -ENOMEM);
    *run = (struct main_task){
        .loop = loop,
        .ending = {
            .wake = loop->wake,
            .item = {.run = tell_signals, .arg = run, .drop = free_main}}};
    const int err = wr_ending_add(&run->ending);
    if (err < 0) {
        wr_free(loop->allocator, run, sizeof(*run));
        return err;
    }
    *ret = run;
    return 0;
}

static void end_main(struct main_task *run)
{
    weir_task_detach(run->task);
    run->has_ended = true;
    if (wr_ending_remove(&run->ending)) {
        free_main(run);
    } /* else when what was posted runs or is dropped */
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
    const struct weir_task_options options = {.size = sizeof(options),
                                              .name = "main"};
    struct main_task *run;
    int err = wr_loop_check(loop);
    if (err < 0) {
        return err;
    }
    wr_require(!loop->running, -EBUSY);
    /* First: a task that was started cannot be taken back. */
    err = begin_main(loop, &run);
    if (err < 0) {
        return err;
    }
    err = weir_task_spawn(loop, fn, arg, &options, &run->task);
    if (err == 0) {
        err = run_main(run, ret);
    }
    end_main(run);
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
