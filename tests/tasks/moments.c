/*
 * Calls of tasks, futures and synchronisation objects, interrupted at every
 * moment; see moments.h.
 *
 * After the table come programs that never ended while an interruption could be
 * lost: loops of calls that need not wait, or whose wait ends before the
 * awaited object knows about the interruption.
 */
#include "moments_rig.h"

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

static weir_future *futures[2];
static weir_event *event;
static weir_lock *lock;
static weir_semaphore *semaphore;
static weir_condition *condition;
static weir_barrier *barrier;
static weir_queue *queue;
static weir_task *helper;

static int call_sleep(weir_loop *on)
{
    return weir_sleep(on, MS);
}

static int call_sleep_until(weir_loop *on)
{
    return weir_sleep_until(on, 0);
}

static int call_yield(weir_loop *on)
{
    return weir_yield(on);
}

static void make_futures(void)
{
    for (int i = 0; i < 2; i++) {
        expect_eq(weir_future_new(loop, NULL, NULL, &futures[i]), 0);
    }
}

static void ignore_cancel(void *arg, weir_future *future)
{
}

static void make_stubborn(void)
{
    for (int i = 0; i < 2; i++) {
        expect_eq(weir_future_new(loop, ignore_cancel, NULL, &futures[i]), 0);
    }
}

static void give_futures(void)
{
    for (int i = 0; i < 2; i++) {
        int err = weir_future_set_result(futures[i], 7);
        cr_assert(err == 0 || err == -ESTALE);
    }
}

static void make_done(void)
{
    make_futures();
    give_futures();
}

static void drop_futures(void)
{
    give_futures();
    weir_future_unref(futures[0]);
    weir_future_unref(futures[1]);
}

static int call_await(weir_loop *on)
{
    return weir_future_await(futures[0], NULL);
}

static int call_shield(weir_loop *on)
{
    return weir_future_shield(futures[0], NULL);
}

static int call_wait_for(weir_loop *on)
{
    return weir_wait_for(futures[0], UINT64_MAX, NULL);
}

static int call_wait(weir_loop *on)
{
    int count = weir_wait(on, futures, 2, UINT64_MAX, WEIR_ALL_COMPLETED);
    return count < 0 ? count : 0;
}

static int call_gather(weir_loop *on)
{
    weir_future *both = NULL;
    expect_eq(weir_gather(on, WEIR_GATHER_ALL, futures, 2, &both), 0);
    int err = weir_future_await(both, NULL);
    weir_future_unref(both);
    return err;
}

static void make_event(void)
{
    expect_eq(weir_event_new(loop, &event), 0);
}

static void give_event(void)
{
    weir_event_set(event);
}

static void drop_event(void)
{
    weir_event_free(event);
}

static int wait_for_event(weir_loop *on, void *arg)
{
    return weir_event_wait(event);
}

static int compute(weir_loop *on, void *arg)
{
    return 3;
}

/* Goes on whatever interrupts it. */
static int insist(weir_loop *on, void *arg)
{
    while (weir_event_wait(event) < 0) {
    }
    return 3;
}

static int call_join(weir_loop *on)
{
    return weir_task_join(rig_spawn(wait_for_event, NULL), NULL);
}

static int call_join_computing(weir_loop *on)
{
    return weir_task_join(rig_spawn(compute, NULL), NULL);
}

static int call_join_insisting(weir_loop *on)
{
    return weir_task_join(rig_spawn(insist, NULL), NULL);
}

static int call_join_self(weir_loop *on)
{
    return weir_task_join(weir_task_ref(weir_task_get_current(on)), NULL);
}

static int call_group_end(weir_loop *on)
{
    struct weir_task_group group;

    expect_eq(weir_task_group_begin(on, &group), 0);
    expect_ok(weir_task_group_spawn(&group, wait_for_event, NULL, NULL, NULL));
    return weir_task_group_end(&group, 0);
}

static int call_empty_group_end(weir_loop *on)
{
    struct weir_task_group group;

    expect_eq(weir_task_group_begin(on, &group), 0);
    return weir_task_group_end(&group, 0);
}

static int call_failing_group_end(weir_loop *on)
{
    struct weir_task_group group;

    expect_eq(weir_task_group_begin(on, &group), 0);
    return weir_task_group_end(&group, -EPIPE);
}

static int call_event(weir_loop *on)
{
    return weir_event_wait(event);
}

static void make_lock(void)
{
    expect_eq(weir_lock_new(loop, &lock), 0);
    expect_eq(weir_condition_new(lock, &condition), 0);
}

static void make_owned_lock(void)
{
    make_lock();
    expect_eq(weir_lock_acquire_nowait(lock), 0);
}

static void give_lock(void)
{
    int err = weir_lock_release(lock);
    cr_assert(err == 0 || err == -EPERM);
}

static void drop_lock(void)
{
    weir_condition_free(condition);
    weir_lock_free(lock);
}

static int call_lock(weir_loop *on)
{
    int err = weir_lock_acquire(lock);
    if (err == 0) {
        expect_eq(weir_lock_release(lock), 0);
    }
    return err;
}

static int call_condition(weir_loop *on)
{
    expect_eq(weir_lock_acquire_nowait(lock), 0);
    int err = weir_condition_wait(condition);
    expect_eq(weir_lock_release(lock), 0);
    return err;
}

static void notify(void)
{
    if (weir_lock_acquire_nowait(lock) == 0) {
        (void)weir_condition_notify(condition, 1);
        expect_eq(weir_lock_release(lock), 0);
    }
}

static void make_semaphore(void)
{
    expect_eq(weir_semaphore_new(loop, 0, &semaphore), 0);
}

static void give_permit(void)
{
    expect_eq(weir_semaphore_release(semaphore), 0);
}

static void drop_semaphore(void)
{
    weir_semaphore_free(semaphore);
}

static int call_semaphore(weir_loop *on)
{
    return weir_semaphore_acquire(semaphore);
}

static void make_barrier(void)
{
    expect_eq(weir_barrier_new(loop, 2, &barrier), 0);
    helper = NULL;
}

static int come_to_barrier(weir_loop *on, void *arg)
{
    return weir_barrier_wait(barrier);
}

static void give_party(void)
{
    if (!helper) {
        helper = rig_spawn(come_to_barrier, NULL);
    }
}

static void drop_barrier(void)
{
    weir_barrier_free(barrier);
    if (helper) {
        expect_eq(weir_task_join(helper, NULL), 0);
    }
}

static int call_barrier(weir_loop *on)
{
    int place = weir_barrier_wait(barrier);
    return place < 0 ? place : 0;
}

static void make_queue(void)
{
    expect_eq(weir_queue_new(loop, 1, WEIR_QUEUE_FIFO, &queue), 0);
}

static void make_full_queue(void)
{
    make_queue();
    expect_eq(weir_queue_put_nowait(queue, NULL), 0);
}

static void give_item(void)
{
    int err = weir_queue_put_nowait(queue, NULL);
    cr_assert(err == 0 || err == -EAGAIN);
}

static void give_room(void)
{
    void *item;
    expect_eq(weir_queue_get_nowait(queue, &item), 0);
}

static void give_done(void)
{
    int err = weir_queue_task_done(queue);
    cr_assert(err == 0 || err == -ERANGE);
}

static void drop_queue(void)
{
    weir_queue_free(queue);
}

static int call_get(weir_loop *on)
{
    void *item;
    return weir_queue_get(queue, &item);
}

static int call_put(weir_loop *on)
{
    return weir_queue_put(queue, NULL);
}

static int call_queue_join(weir_loop *on)
{
    return weir_queue_join(queue);
}

static const struct row rows[] = {
    {"sleep", NULL, call_sleep, NULL, NULL},
    {"sleep_until", NULL, call_sleep_until, NULL, NULL},
    {"yield", NULL, call_yield, NULL, NULL},
    {"await", make_futures, call_await, give_futures, drop_futures},
    {"await of a future that ignores its cancellation", make_stubborn,
     call_await, give_futures, drop_futures},
    {"await of a future that is done", make_done, call_await, NULL,
     drop_futures},
    {"shield", make_futures, call_shield, give_futures, drop_futures},
    {"shield of a future that is done", make_done, call_shield, NULL,
     drop_futures},
    {"wait_for", make_futures, call_wait_for, give_futures, drop_futures},
    {"wait_for a future that ignores its cancellation", make_stubborn,
     call_wait_for, give_futures, drop_futures},
    {"wait_for a future that is done", make_done, call_wait_for, NULL,
     drop_futures},
    {"wait", make_futures, call_wait, give_futures, drop_futures},
    {"wait for futures that are done", make_done, call_wait, NULL,
     drop_futures},
    {"gather", make_futures, call_gather, give_futures, drop_futures},
    {"gather of futures that ignore their cancellation", make_stubborn,
     call_gather, give_futures, drop_futures},
    {"join", make_event, call_join, give_event, drop_event},
    {"join of a task that only computes", NULL, call_join_computing, NULL,
     NULL},
    {"join of a task that ignores its cancellation", make_event,
     call_join_insisting, give_event, drop_event},
    {"join of itself", NULL, call_join_self, NULL, NULL},
    {"group_end", make_event, call_group_end, give_event, drop_event},
    {"group_end without members", NULL, call_empty_group_end, NULL, NULL},
    {"event", make_event, call_event, give_event, drop_event},
    {"lock", make_owned_lock, call_lock, give_lock, drop_lock},
    {"lock that is free", make_lock, call_lock, NULL, drop_lock},
    {"condition", make_lock, call_condition, notify, drop_lock},
    {"semaphore", make_semaphore, call_semaphore, give_permit, drop_semaphore},
    {"barrier", make_barrier, call_barrier, give_party, drop_barrier},
    {"queue get", make_queue, call_get, give_item, drop_queue},
    {"queue put", make_full_queue, call_put, give_room, drop_queue},
    {"queue join", make_full_queue, call_queue_join, give_done, drop_queue},
};

TASK(moments, an_interruption_is_told_once_by_this_call_or_the_next)
{
    play_rows(rows, COUNT_OF(rows));
}

/* A join that insists waits for ever here. */
TASK(moments, calls_that_are_interrupted_let_other_tasks_run)
{
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        if (rows[i].make != make_stubborn &&
            rows[i].call != call_join_insisting) {
            spend_budget(&rows[i]);
        }
    }
}

/* Time stands still while tasks are ready, so another task moves the limit. */
static int end_time(weir_loop *on, void *arg)
{
    for (int i = 0; i < 50; i++) {
        expect_eq(weir_yield(on), 0);
    }
    return weir_timeout_reschedule(arg, 0);
}

TASK(moments, a_time_out_ends_a_loop_of_spawn_and_join)
{
    struct weir_timeout limit;
    uint64_t rounds = 0;
    int err = 0;

    expect_eq(weir_timeout_begin(loop, &limit, S), 0);
    weir_task_unref(rig_spawn(end_time, &limit));
    while (err == 0 && rounds < 1000000) {
        rounds++;
        err = weir_task_join(rig_spawn(compute, NULL), NULL);
    }
    expect_eq(weir_timeout_end(&limit, err), -ETIMEDOUT);
}

static int member_joins(weir_loop *on, void *arg)
{
    uint64_t rounds = 0;
    int err = 0;
    while (err == 0 && rounds < 1000000) {
        rounds++;
        err = weir_task_join(rig_spawn(compute, NULL), NULL);
    }
    return err == 0 ? -ELOOP : err;
}

static int fail_soon(weir_loop *on, void *arg)
{
    for (int i = 0; i < 50; i++) {
        expect_eq(weir_yield(on), 0);
    }
    return -EPIPE;
}

TASK(moments, a_member_that_joins_in_a_loop_ends_with_its_group)
{
    struct weir_task_group group;
    weir_task *task;
    int result = 0;

    expect_eq(weir_task_group_begin(loop, &group), 0);
    expect_ok(weir_task_group_spawn(&group, member_joins, NULL, NULL, &task));
    expect_eq(weir_task_group_spawn(&group, fail_soon, NULL, NULL, NULL), 0);
    expect_eq(weir_task_group_end(&group, 0), -EPIPE);
    expect_eq(weir_future_get_result(weir_task_get_future(task), &result), 0);
    weir_task_unref(task);
    expect_eq(result, -ECANCELED);
}

static int await_done_for_ever(weir_loop *on, void *arg)
{
    uint64_t *rounds = arg;
    int err = 0;
    weir_future *done;

    expect_eq(weir_future_new(on, NULL, NULL, &done), 0);
    expect_eq(weir_future_set_result(done, 5), 0);
    while (err == 0 && *rounds < 1000000) {
        ++*rounds;
        err = weir_future_await(done, NULL);
    }
    weir_future_unref(done);
    return err;
}

static int leave_awaits(weir_loop *on, void *arg)
{
    expect_eq(weir_task_spawn(on, await_done_for_ever, arg, NULL, NULL), 0);
    return weir_yield(on);
}

UNIT(moments, awaits_of_what_is_done_end_with_the_loop)
{
    uint64_t rounds = 0;
    expect_eq(rig_run(leave_awaits, &rounds), 0);
    expect_lt(rounds, 10000);
}

/* An error comes first, and the interruption is not lost. */
TASK(moments, a_bodys_error_comes_first_and_the_next_call_tells)
{
    weir_task *self = weir_task_get_current(loop);

    cr_assert(weir_task_cancel(self));
    expect_eq(call_failing_group_end(loop), -EPIPE);
    expect_eq(weir_yield(loop), -ECANCELED);
    expect_eq(weir_yield(loop), 0);
}
