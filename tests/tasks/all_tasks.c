/*
 * weir_loop_walk_tasks(): which tasks a loop has, what each waits for, and
 * references to them.
 *
 * Each visit records the name of a task, so that their order is known.
 */
#include "rig.h"

#include <weir/sync.h>

static weir_lock *lock;
static weir_queue *queue;
static weir_event *event;

static int wait_for_lock(weir_loop *on, void *arg)
{
    return weir_lock_acquire(lock);
}

static int wait_for_item(weir_loop *on, void *arg)
{
    void *item;
    return weir_queue_get(queue, &item);
}

static int wait_for_event(weir_loop *on, void *arg)
{
    return weir_event_wait(event);
}

static int wait_for_task(weir_loop *on, void *arg)
{
    return weir_future_shield(weir_task_get_future(arg), NULL);
}

static int sleep_long(weir_loop *on, void *arg)
{
    return weir_sleep(on, 100 * S);
}

static weir_task *spawn_named(weir_task_fn *fn, void *arg, const char *name)
{
    weir_task *task = rig_spawn(fn, arg);
    weir_task_set_name(task, name);
    return task;
}

static void end_task(weir_task *task)
{
    expect_eq(rig_cancel(task), -ECANCELED);
}

static void note_task(void *arg, weir_task *task)
{
    expect_eq(arg, notes);
    cr_assert_null(weir_task_get_current(loop), "it may not suspend");
    note(weir_task_get_name(task));
}

TASK(all_tasks, are_visited_oldest_first_with_the_calling_one)
{
    weir_task *a = spawn_named(sleep_long, NULL, "a");
    weir_task *b = spawn_named(sleep_long, NULL, "b");
    weir_task *c = spawn_named(sleep_long, NULL, "c");
    weir_task_set_name(weir_task_get_current(loop), "m");
    settle();
    expect_eq(weir_loop_walk_tasks(loop, note_task, notes), 4);
    expect_str_eq(notes, "mabc");
    end_task(b);
    expect_eq(weir_loop_walk_tasks(loop, note_task, notes), 3);
    expect_str_eq(notes, "mabcmac");
    end_task(a);
    end_task(c);
}

static int end_at_once(weir_loop *on, void *arg)
{
    return 0;
}

static void cancel_and_spawn(void *arg, weir_task *task)
{
    int *count = arg;
    if (strcmp(weir_task_get_name(task), "victim") == 0) {
        cr_assert(weir_task_cancel(task));
    }
    expect_eq(weir_task_spawn(loop, end_at_once, NULL, NULL, NULL), 0);
    ++*count;
}

TASK(all_tasks, may_be_cancelled_and_spawned_by_a_visit)
{
    int count = 0;
    weir_task *a = spawn_named(sleep_long, NULL, "victim");
    weir_task *b = spawn_named(sleep_long, NULL, "victim");
    settle();
    expect_eq(weir_loop_walk_tasks(loop, cancel_and_spawn, &count), 3);
    expect_eq(count, 3, "new ones are not visited");
    expect_eq(rig_statistics().tasks, 6);
    expect_eq(rig_join(a), -ECANCELED);
    expect_eq(rig_join(b), -ECANCELED);
}

static void *visit_elsewhere(void *arg)
{
    expect_eq(weir_loop_walk_tasks(loop, note_task, notes), 0);
    cr_assert_null(weir_task_get_wait(arg));
    return NULL;
}

UNIT(all_tasks, of_a_loop_without_any_are_none)
{
    rig_start();
    expect_eq(weir_loop_walk_tasks(loop, note_task, notes), 0);
    expect_eq(weir_loop_walk_tasks(loop, NULL, NULL), 0);
    rig_stop();
}

TASK(all_tasks, on_another_thread_are_none)
{
    weir_task *task = rig_spawn(sleep_long, NULL);
    pthread_t thread;
    settle();
    expect_eq(pthread_create(&thread, NULL, visit_elsewhere, task), 0);
    expect_eq(pthread_join(thread, NULL), 0);
    expect_str_eq(notes, "");
    end_task(task);
}

static void expect_wait(weir_task *task, const char *words)
{
    expect_str_eq(weir_task_get_wait(task), words);
    cr_assert(weir_task_cancel(task));
    settle();
    cr_assert_null(weir_task_get_wait(task), "it has ended");
    weir_task_unref(task);
}

TASK(all_tasks, say_what_they_wait_for)
{
    expect_eq(weir_lock_new(loop, &lock), 0);
    expect_eq(weir_event_new(loop, &event), 0);
    expect_eq(weir_queue_new(loop, 1, WEIR_QUEUE_FIFO, &queue), 0);
    expect_eq(weir_lock_acquire(lock), 0);
    weir_task *locked = rig_spawn(wait_for_lock, NULL);
    weir_task *getter = rig_spawn(wait_for_item, NULL);
    weir_task *sleeper = rig_spawn(sleep_long, NULL);
    weir_task *joiner = rig_spawn(wait_for_task, sleeper);
    weir_task *waiter = rig_spawn(wait_for_event, NULL);
    cr_assert_null(weir_task_get_wait(sleeper), "it is ready");
    cr_assert_null(weir_task_get_wait(weir_task_get_current(loop)));
    settle();
    expect_wait(locked, "lock");
    expect_wait(getter, "queue get");
    expect_wait(joiner, "future");
    expect_wait(sleeper, "sleep");
    expect_wait(waiter, "event");
    weir_lock_free(lock);
    weir_event_free(event);
    weir_queue_free(queue);
}

TASK(all_tasks, are_kept_by_references_that_are_given_back_in_any_way)
{
    weir_task *task = rig_spawn(sleep_long, NULL);
    expect_eq(weir_task_ref(task), task);
    expect_eq(weir_task_ref(task), task);
    settle();
    weir_task_unref(task);
    expect_eq(rig_cancel(task), -ECANCELED);
    cr_assert(weir_future_is_done(weir_task_get_future(task)),
              "one reference is left");
    weir_task_unref(task);
    weir_task_unref(NULL);
    weir_task_unref(NULL);
}
