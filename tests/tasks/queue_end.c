/*
 * Queues: what weir/sync.h promises about their end, and about wrong uses.
 *
 * Shutting down in both ways, draining and freeing tell each waiting task, and
 * no item is lost.
 */
#define TASK_RUN free_after
#include "queue_rig.h"

/* ---- shutdown ---- */

TASK(queue_end, shut_down_takes_nothing_in_and_gives_out_what_is_there)
{
    struct worker putter;
    struct worker joiner;
    queue_make(loop, 2, WEIR_QUEUE_FIFO);
    expect_eq(drain(queue), -ENOENT);
    expect_eq(put(0), 0);
    expect_eq(drain(queue), -ENOENT,
              "only a queue that is shut can be drained");
    expect_eq(put(1), 0);
    start(&putter, "p", put_item, &items[2]);
    start(&joiner, "j", join, queue);
    settle();

    weir_queue_shutdown(queue);

    expect_eq(finish(&putter), WEIR_EQUEUESHUTDOWN);
    expect_eq(put(3), WEIR_EQUEUESHUTDOWN);
    expect_eq(put_item(&items[3]), WEIR_EQUEUESHUTDOWN);
    expect_eq(get(queue), 0, "items that are in are still given");
    expect_eq(put(3), WEIR_EQUEUESHUTDOWN,
              "nothing is put although there is room");
    expect_eq(get_nowait(queue), 1);
    expect_eq(get(queue), WEIR_EQUEUESHUTDOWN);
    expect_eq(get_nowait(queue), WEIR_EQUEUESHUTDOWN);
    settle();
    cr_assert_not(joiner.is_back, "the last item is not dealt with yet");
    expect_eq(weir_queue_task_done(queue), 0);
    expect_eq(weir_queue_task_done(queue), 0);
    expect_eq(finish(&joiner), 0);
}

TASK(queue_end, shut_down_tells_getters_when_it_is_empty)
{
    struct worker getters[2];
    queue_make(loop, 2, WEIR_QUEUE_FIFO);
    start(&first, "a", get, queue);
    start_each(getters, 2, get, queue);

    expect_eq(put(0), 0);
    weir_queue_shutdown(queue);
    weir_queue_shutdown(queue);

    expect_eq(finish(&first), 0, "the getter had its item");
    expect_eq(finish(&getters[0]), WEIR_EQUEUESHUTDOWN);
    expect_eq(finish(&getters[1]), WEIR_EQUEUESHUTDOWN);
}

TASK(queue_end, shut_down_at_once_gives_nothing_out_but_by_drain)
{
    queue_make(loop, 4, WEIR_QUEUE_FIFO);
    for (int i = 0; i < 4; i++) {
        expect_eq(put(i), 0);
    }
    expect_eq(get(queue), 0);
    start_first(join, queue);

    weir_queue_shutdown_immediate(queue);

    expect_eq(get(queue), WEIR_EQUEUESHUTDOWN);
    expect_eq(get_nowait(queue), WEIR_EQUEUESHUTDOWN);
    expect_eq(put(5), WEIR_EQUEUESHUTDOWN);
    settle();
    cr_assert_not(first.is_back, "one item is not dealt with yet");
    expect_eq(weir_queue_task_done(queue), 0);
    expect_eq(finish(&first), 0);
    for (int i = 1; i < 4; i++) {
        expect_eq(drain(queue), i);
    }
    expect_eq(drain(queue), -ENOENT);
    expect_eq(weir_queue_task_done(queue), -ERANGE);
}

TASK(queue_end, shut_down_at_once_ends_joins)
{
    struct worker joiner;
    struct worker putter;
    queue_make(loop, 2, WEIR_QUEUE_LIFO);
    expect_eq(put(0), 0);
    expect_eq(put(1), 0);
    start(&putter, "p", put_item, &items[2]);
    start(&joiner, "j", join, queue);
    settle();
    weir_queue_shutdown_immediate(queue);
    expect_eq(finish(&joiner), 0, "drained items count as dealt with");
    expect_eq(finish(&putter), WEIR_EQUEUESHUTDOWN);
    expect_eq(drain(queue), 1);
    expect_eq(drain(queue), 0);
    expect_eq(drain(queue), -ENOENT);
}

TASK(queue_end, shut_down_twice_may_become_immediate)
{
    queue_make(loop, 3, WEIR_QUEUE_FIFO);
    for (int i = 0; i < 3; i++) {
        expect_eq(put(i), 0);
    }
    start_first(join, queue);
    weir_queue_shutdown(queue);
    expect_eq(drain(queue), 0); /* counts as dealt with */
    settle();
    cr_assert_not(first.is_back);
    weir_queue_shutdown_immediate(queue);
    weir_queue_shutdown(queue); /* it stays as it is */
    expect_eq(finish(&first), 0);
    expect_eq(get(queue), WEIR_EQUEUESHUTDOWN);
    expect_eq(drain(queue), 1);
    expect_eq(drain(queue), 2);
}

TASK(queue_end, drained_counts_as_dealt_with)
{
    queue_make(loop, 1, WEIR_QUEUE_FIFO);
    expect_eq(put(0), 0);
    start_first(join, queue);
    weir_queue_shutdown(queue);
    expect_eq(drain(queue), 0);
    expect_eq(finish(&first), 0);
}

/* ---- freeing ---- */

UNIT_IN(queue_end, freed_wakes_who_waits, rig_run_body, void)
{
    struct worker getter;
    struct worker given;
    struct worker putter;
    struct worker joiner;
    queue_make(loop, 1, WEIR_QUEUE_FIFO);
    start(&given, "a", get, queue);
    start(&getter, "b", get, queue);
    settle();
    expect_eq(put(6), 0);
    weir_queue_free(queue);
    expect_eq(finish(&given), 6, "the getter had its item");
    expect_eq(finish(&getter), -ECANCELED);
    expect_eq(getter.next, 0, "the task was not cancelled");

    queue_make(loop, 1, WEIR_QUEUE_FIFO);
    expect_eq(put(0), 0);
    start(&putter, "a", put_item, &items[1]);
    start(&joiner, "b", join, queue);
    settle();
    weir_queue_free(queue);
    expect_eq(finish(&putter), -ECANCELED);
    expect_eq(finish(&joiner), -ECANCELED);
    weir_queue_free(NULL);
}

static int pass_until_it_fails(void *object)
{
    int err = 0;
    void *item;
    while (err == 0) {
        err = weir_queue_put(object, &items[0]);
        if (err == 0) {
            err = weir_queue_get(object, &item);
        }
        if (err == 0) {
            expect_eq(weir_queue_task_done(object), 0);
            err = weir_queue_join(object);
        }
    }
    return err;
}

UNIT_IN(queue_end,
        freed_inside_a_call_that_lets_others_run_is_not_touched_again,
        rig_run_body, void)
{
    for (int i = 0; i < 4; i++) {
        queue_make(loop, 1, WEIR_QUEUE_FIFO);
        start(&first, "a", pass_until_it_fails, queue);
        for (int turn = 0; turn <= i; turn++) {
            expect_eq(weir_yield(loop), 0);
        }
        cr_assert_not(first.is_back);
        weir_queue_free(queue);
        expect_eq(finish(&first), -ECANCELED);
    }
}

/* ---- the wrong places ---- */

static int done(void *object)
{
    return weir_queue_task_done(object);
}

static int new_queue(void *object)
{
    weir_queue *result;
    return weir_queue_new(object, 1, WEIR_QUEUE_FIFO, &result);
}

TASK(queue_end, on_another_thread_is_an_error)
{
    queue_make(loop, 2, WEIR_QUEUE_FIFO);
    expect_eq(put(0), 0);
    expect_eq(elsewhere(new_queue, loop), -EPERM);
    expect_eq(elsewhere(put_item, &items[1]), -EPERM);
    expect_eq(elsewhere(put_item_nowait, &items[1]), -EPERM);
    expect_eq(elsewhere(get, queue), -EPERM);
    expect_eq(elsewhere(get_nowait, queue), -EPERM);
    expect_eq(elsewhere(join, queue), -EPERM);
    expect_eq(elsewhere(done, queue), -EPERM);
    expect_eq(put(1), 0, "the queue is not shut");
    weir_queue_shutdown_immediate(queue);
    expect_eq(elsewhere(drain, queue), -ENOENT);
    expect_eq(weir_queue_get_size(queue), 2);
}

TASK(queue_end, is_used_without_waiting_in_callbacks)
{
    queue_make(loop, 1, WEIR_QUEUE_FIFO);
    expect_eq(in_callback(put_item, &items[0]), WEIR_ENOTTASK);
    expect_eq(in_callback(get, queue), WEIR_ENOTTASK);
    expect_eq(in_callback(join, queue), WEIR_ENOTTASK);
    start_first(get, queue);
    expect_eq(in_callback(put_item_nowait, &items[1]), 0);
    expect_eq(finish(&first), 1);
    expect_eq(in_callback(put_item_nowait, &items[2]), 0);
    expect_eq(in_callback(put_item_nowait, &items[3]), -EAGAIN);
    expect_eq(in_callback(get_nowait, queue), 2);
}

TASK(queue_end, without_room_or_order_is_not_made)
{
    weir_queue *none;
    expect_eq(weir_queue_new(loop, 0, WEIR_QUEUE_FIFO, &none), -EINVAL);
    expect_eq(weir_queue_new(loop, 1, (enum weir_queue_order)2, &none),
              -EINVAL);
    expect_eq(weir_queue_new(loop, 1, WEIR_QUEUE_FIFO, NULL), -EINVAL);
    expect_eq(weir_queue_new(loop, SIZE_MAX, WEIR_QUEUE_FIFO, &none), -ENOMEM);
    expect_eq(weir_queue_new(loop, SIZE_MAX / 8, WEIR_QUEUE_FIFO, &none),
              -ENOMEM);
    queue_make(loop, 1, WEIR_QUEUE_FIFO);
    expect_eq(weir_queue_get(queue, NULL), -EINVAL);
    expect_eq(weir_queue_get_nowait(queue, NULL), -EINVAL);
}

static struct worker left[3];

static int leave_waiting(weir_loop *on, void *arg)
{
    queue_make(on, 1, WEIR_QUEUE_FIFO);
    expect_eq(put(0), 0);
    start(&left[0], "p", put_item, &items[1]);
    start(&left[1], "j", join, queue);
    settle();
    weir_task_unref(left[0].task);
    weir_task_unref(left[1].task);
    return 0;
}

UNIT(queue_end, may_be_drained_and_freed_after_its_loop_which_ended_the_waits)
{
    rig_leave(leave_waiting, NULL);
    expect_eq(left[0].result, -ECANCELED);
    expect_eq(left[1].result, -ECANCELED);
    expect_eq(get(queue), WEIR_ENOTTASK);
    weir_queue_shutdown_immediate(queue);
    expect_eq(drain(queue), 0);
    expect_eq(drain(queue), -ENOENT);
    weir_queue_free(queue);
    fake_stop();
}

UNIT(queue_end, without_memory_is_not_made)
{
    expect_eq(without_memory(new_queue), -ENOMEM);
}
