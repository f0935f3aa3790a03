/*
 * Tasks that fail without being joined, and child processes that return into
 * the loop.
 *
 * Neither may go unnoticed: the exception hook reports the first, and the
 * caller that runs the loop gets an error for the second.
 */
#include "tests/death.h"

#include "rig.h"

#include <sys/resource.h>
#include <sys/wait.h>
#include <weir/sync.h>

static void note_failure(void *arg, weir_loop *on,
                         const struct weir_exception *exception)
{
    expect_eq(exception->err, -EPROTO);
    note(weir_task_get_name(exception->task));
}

static int fail(weir_loop *on, void *arg)
{
    return arg ? *(int *)arg : -EPROTO;
}

TASK(task_unseen, failure_without_a_task_that_joins_is_told_to_the_hook)
{
    const struct weir_task_options options = {.size = sizeof(options),
                                              .name = "u"};
    int cancelled = -ECANCELED;
    weir_loop_set_exception_handler(loop, note_failure, NULL);
    expect_eq(weir_task_spawn(loop, fail, NULL, &options, NULL), 0);
    expect_eq(weir_task_spawn(loop, fail, &cancelled, &options, NULL), 0);
    weir_task_unref(rig_spawn(fail, &cancelled));
    weir_task *seen = rig_spawn(fail, NULL);
    expect_eq(weir_yield(loop), 0);
    expect_eq(rig_join(seen), -EPROTO);
    expect_str_eq(notes, "u");
}

static int fail_with_lock(weir_loop *on, void *arg)
{
    weir_lock *lock = arg;
    expect_eq(weir_lock_acquire(lock), 0);
    return -EPROTO;
}

TASK(task_unseen, failure_of_a_task_that_owns_a_lock_is_told_to_the_hook)
{
    const struct weir_task_options options = {.size = sizeof(options),
                                              .name = "l"};
    weir_lock *lock;
    weir_loop_set_exception_handler(loop, note_failure, NULL);
    expect_eq(weir_lock_new(loop, &lock), 0);
    expect_eq(weir_task_spawn(loop, fail_with_lock, lock, &options, NULL), 0);
    expect_eq(weir_sleep(loop, MS), 0);
    cr_assert(weir_lock_is_locked(lock), "the task ended with the lock");
    weir_lock_free(lock);
    expect_str_eq(notes, "l");
}

static int cancel_again(weir_loop *on, void *arg)
{
    weir_task *self = weir_task_get_current(on);
    expect_eq(weir_sleep(on, S), -ECANCELED);
    cr_assert(weir_task_cancel(self));
    return weir_yield(on);
}

static int cancel_first(weir_loop *on, void *arg)
{
    weir_task *task = rig_spawn(cancel_again, arg);
    expect_eq(weir_yield(on), 0);
    cr_assert(weir_task_cancel(task));
    return rig_join(task);
}

UNIT(task_unseen, cancellation_after_one_that_was_delivered_is_not_lost)
{
    expect_eq(rig_run(cancel_first, NULL), -ECANCELED);
}

static void fork_here(void *arg)
{
    static const struct rlimit none;
    const pid_t child = fork();

    *(pid_t *)arg = child;
    if (child == 0) {
        expect_eq(setrlimit(RLIMIT_CORE, &none), 0);
        death_expect("a forked child came back to its parent's loop: it has to "
                     "exec, or to call _exit()");
    }
}

static int fork_and_sleep(weir_loop *on, void *arg)
{
    expect_eq(weir_loop_call_soon(on, fork_here, arg, NULL), 0);
    return weir_sleep(on, MS);
}

/* On the fake machine the child has a ring of its own by accident; it must not
 * come that far. */
UNIT(task_unseen, child_that_returns_into_the_loop_ends)
{
    pid_t child = -1;
    int status = -1;
    int result = 0;

    rig_start();
    int err = weir_loop_run_task(loop, fork_and_sleep, &child, &result);
    if (child == 0) {
        _exit(1);
    }
    expect_gt(child, 0);
    expect_eq(err, 0);
    expect_eq(waitpid(child, &status, 0), child);
    cr_assert(WIFSIGNALED(status));
    expect_eq(WTERMSIG(status), SIGABRT);
    rig_stop();
}
