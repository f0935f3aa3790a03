/*
 * Queues: what weir/sync.h promises about their end, and about wrong uses.
 *
 * Shutting down in both ways, draining and freeing tell each of those who wait
 * what they must know, and leave every item with somebody.
 */
#include "queue.h"

/* ---- shutdown ---- */

static int shut_down_full(weir_loop *on, void *arg)
{
    struct worker putter;
    struct worker joiner;
    (void)arg;
    make(on, 2, WEIR_QUEUE_FIFO);
    cr_assert_eq(drain(queue), -ENOENT);
    cr_assert_eq(put(0), 0);
    cr_assert_eq(drain(queue), -ENOENT, "it is open");
    cr_assert_eq(put(1), 0);
    start(&putter, "p", put_item, &items[2]);
    start(&joiner, "j", join, queue);
    settle();

    weir_queue_shutdown(queue, false);

    cr_assert_eq(finish(&putter), WEIR_EQUEUESHUTDOWN);
    cr_assert_eq(put(3), WEIR_EQUEUESHUTDOWN);
    cr_assert_eq(put_item(&items[3]), WEIR_EQUEUESHUTDOWN);
    cr_assert_eq(get(queue), 0, "what is in still comes out");
    cr_assert_eq(put(3), WEIR_EQUEUESHUTDOWN, "though there is room");
    cr_assert_eq(get_nowait(queue), 1);
    cr_assert_eq(get(queue), WEIR_EQUEUESHUTDOWN);
    cr_assert_eq(get_nowait(queue), WEIR_EQUEUESHUTDOWN);
    settle();
    cr_assert_not(joiner.is_back, "who got something deals with it");
    cr_assert_eq(weir_queue_task_done(queue), 0);
    cr_assert_eq(weir_queue_task_done(queue), 0);
    cr_assert_eq(finish(&joiner), 0);
    weir_queue_free(queue);
    return 0;
}

UNIT(queue_end, shut_down_takes_nothing_in_and_gives_out_what_is_there)
{
    cr_assert_eq(rig_run(shut_down_full, NULL), 0);
}

static int shut_down_empty(weir_loop *on, void *arg)
{
    struct worker given;
    struct worker getters[2];
    (void)arg;
    make(on, 2, WEIR_QUEUE_FIFO);
    start(&given, "a", get, queue);
    start(&getters[0], "b", get, queue);
    start(&getters[1], "c", get, queue);
    settle();

    cr_assert_eq(put(0), 0);
    weir_queue_shutdown(queue, false);
    weir_queue_shutdown(queue, false);

    cr_assert_eq(finish(&given), 0, "it had its item");
    cr_assert_eq(finish(&getters[0]), WEIR_EQUEUESHUTDOWN);
    cr_assert_eq(finish(&getters[1]), WEIR_EQUEUESHUTDOWN);
    weir_queue_free(queue);
    return 0;
}

UNIT(queue_end, shut_down_tells_getters_when_it_is_empty)
{
    cr_assert_eq(rig_run(shut_down_empty, NULL), 0);
}

static int stop_it(weir_loop *on, void *arg)
{
    struct worker joiner;
    (void)arg;
    make(on, 4, WEIR_QUEUE_FIFO);
    for (int i = 0; i < 4; i++) {
        cr_assert_eq(put(i), 0);
    }
    cr_assert_eq(get(queue), 0);
    start(&joiner, "j", join, queue);
    settle();

    weir_queue_shutdown(queue, true);

    cr_assert_eq(get(queue), WEIR_EQUEUESHUTDOWN);
    cr_assert_eq(get_nowait(queue), WEIR_EQUEUESHUTDOWN);
    cr_assert_eq(put(5), WEIR_EQUEUESHUTDOWN);
    settle();
    cr_assert_not(joiner.is_back, "one was taken out before");
    cr_assert_eq(weir_queue_task_done(queue), 0);
    cr_assert_eq(finish(&joiner), 0);
    for (int i = 1; i < 4; i++) {
        cr_assert_eq(drain(queue), i);
    }
    cr_assert_eq(drain(queue), -ENOENT);
    cr_assert_eq(weir_queue_task_done(queue), -ERANGE);
    weir_queue_free(queue);
    return 0;
}

UNIT(queue_end, shut_down_at_once_gives_nothing_out_but_by_drain)
{
    cr_assert_eq(rig_run(stop_it, NULL), 0);
}

static int stop_waited_for(weir_loop *on, void *arg)
{
    struct worker joiner;
    struct worker putter;
    (void)arg;
    make(on, 2, WEIR_QUEUE_LIFO);
    cr_assert_eq(put(0), 0);
    cr_assert_eq(put(1), 0);
    start(&putter, "p", put_item, &items[2]);
    start(&joiner, "j", join, queue);
    settle();
    weir_queue_shutdown(queue, true);
    cr_assert_eq(finish(&joiner), 0, "all counts as dealt with");
    cr_assert_eq(finish(&putter), WEIR_EQUEUESHUTDOWN);
    cr_assert_eq(drain(queue), 1);
    cr_assert_eq(drain(queue), 0);
    cr_assert_eq(drain(queue), -ENOENT);
    weir_queue_free(queue);
    return 0;
}

UNIT(queue_end, shut_down_at_once_ends_joins)
{
    cr_assert_eq(rig_run(stop_waited_for, NULL), 0);
}

static int shut_down_twice(weir_loop *on, void *arg)
{
    struct worker joiner;
    (void)arg;
    make(on, 3, WEIR_QUEUE_FIFO);
    for (int i = 0; i < 3; i++) {
        cr_assert_eq(put(i), 0);
    }
    start(&joiner, "j", join, queue);
    settle();
    weir_queue_shutdown(queue, false);
    cr_assert_eq(drain(queue), 0); /* counts as dealt with */
    settle();
    cr_assert_not(joiner.is_back);
    weir_queue_shutdown(queue, true);
    weir_queue_shutdown(queue, false); /* it stays as it is */
    cr_assert_eq(finish(&joiner), 0);
    cr_assert_eq(get(queue), WEIR_EQUEUESHUTDOWN);
    cr_assert_eq(drain(queue), 1);
    cr_assert_eq(drain(queue), 2);
    weir_queue_free(queue);
    return 0;
}

UNIT(queue_end, shut_down_twice_may_become_immediate)
{
    cr_assert_eq(rig_run(shut_down_twice, NULL), 0);
}

static int drain_joined(weir_loop *on, void *arg)
{
    struct worker joiner;
    (void)arg;
    make(on, 1, WEIR_QUEUE_FIFO);
    cr_assert_eq(put(0), 0);
    start(&joiner, "j", join, queue);
    settle();
    weir_queue_shutdown(queue, false);
    cr_assert_eq(drain(queue), 0);
    cr_assert_eq(finish(&joiner), 0);
    weir_queue_free(queue);
    return 0;
}

UNIT(queue_end, drained_counts_as_dealt_with)
{
    cr_assert_eq(rig_run(drain_joined, NULL), 0);
}

/* ---- freeing ---- */

static int free_waited_for(weir_loop *on, void *arg)
{
    struct worker getter;
    struct worker given;
    struct worker putter;
    struct worker joiner;
    (void)arg;
    make(on, 1, WEIR_QUEUE_FIFO);
    start(&given, "a", get, queue);
    start(&getter, "b", get, queue);
    settle();
    cr_assert_eq(put(6), 0);
    weir_queue_free(queue);
    cr_assert_eq(finish(&given), 6, "it had its item");
    cr_assert_eq(finish(&getter), -ECANCELED);
    cr_assert_eq(getter.next, 0, "the task was not cancelled");

    make(on, 1, WEIR_QUEUE_FIFO);
    cr_assert_eq(put(0), 0);
    start(&putter, "a", put_item, &items[1]);
    start(&joiner, "b", join, queue);
    settle();
    weir_queue_free(queue);
    cr_assert_eq(finish(&putter), -ECANCELED);
    cr_assert_eq(finish(&joiner), -ECANCELED);
    weir_queue_free(NULL);
    return 0;
}

UNIT(queue_end, freed_wakes_who_waits)
{
    cr_assert_eq(rig_run(free_waited_for, NULL), 0);
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
            cr_assert_eq(weir_queue_task_done(object), 0);
            err = weir_queue_join(object);
        }
    }
    return err;
}

static int free_busy(weir_loop *on, void *arg)
{
    struct worker worker;
    (void)arg;
    for (int i = 0; i < 4; i++) {
        make(on, 1, WEIR_QUEUE_FIFO);
        start(&worker, "a", pass_until_it_fails, queue);
        for (int turn = 0; turn <= i; turn++) {
            cr_assert_eq(weir_yield(on), 0);
        }
        cr_assert_not(worker.is_back);
        weir_queue_free(queue);
        cr_assert_eq(finish(&worker), -ECANCELED);
    }
    return 0;
}

UNIT(queue_end, freed_inside_a_call_that_lets_others_run_is_not_touched_again)
{
    cr_assert_eq(rig_run(free_busy, NULL), 0);
}

/* ---- the wrong places ---- */

static int done(void *object)
{
    return weir_queue_task_done(object);
}

static int shut_down(void *object)
{
    weir_queue_shutdown(object, true);
    return 0;
}

static int free_queue(void *object)
{
    weir_queue_free(object);
    return 0;
}

static int new_queue(void *object)
{
    weir_queue *result;
    return weir_queue_new(object, 1, WEIR_QUEUE_FIFO, &result);
}

static int use_elsewhere(weir_loop *on, void *arg)
{
    (void)arg;
    make(on, 2, WEIR_QUEUE_FIFO);
    cr_assert_eq(put(0), 0);
    cr_assert_eq(elsewhere(new_queue, on), -EPERM);
    cr_assert_eq(elsewhere(put_item, &items[1]), -EPERM);
    cr_assert_eq(elsewhere(put_item_nowait, &items[1]), -EPERM);
    cr_assert_eq(elsewhere(get, queue), -EPERM);
    cr_assert_eq(elsewhere(get_nowait, queue), -EPERM);
    cr_assert_eq(elsewhere(join, queue), -EPERM);
    cr_assert_eq(elsewhere(done, queue), -EPERM);
    cr_assert_eq(elsewhere(shut_down, queue), 0);
    cr_assert_eq(elsewhere(free_queue, queue), 0);
    cr_assert_eq(put(1), 0, "it is not shut");
    weir_queue_shutdown(queue, true);
    cr_assert_eq(elsewhere(drain, queue), -ENOENT);
    cr_assert_eq(weir_queue_size(queue), 2);
    weir_queue_free(queue);
    return 0;
}

UNIT(queue_end, on_another_thread_is_an_error)
{
    cr_assert_eq(rig_run(use_elsewhere, NULL), 0);
}

static int use_in_callback(weir_loop *on, void *arg)
{
    struct worker getter;
    (void)arg;
    make(on, 1, WEIR_QUEUE_FIFO);
    cr_assert_eq(in_callback(put_item, &items[0]), WEIR_ENOTTASK);
    cr_assert_eq(in_callback(get, queue), WEIR_ENOTTASK);
    cr_assert_eq(in_callback(join, queue), WEIR_ENOTTASK);
    start(&getter, "a", get, queue);
    settle();
    cr_assert_eq(in_callback(put_item_nowait, &items[1]), 0);
    cr_assert_eq(finish(&getter), 1);
    cr_assert_eq(in_callback(put_item_nowait, &items[2]), 0);
    cr_assert_eq(in_callback(put_item_nowait, &items[3]), -EAGAIN);
    cr_assert_eq(in_callback(get_nowait, queue), 2);
    weir_queue_free(queue);
    return 0;
}

UNIT(queue_end, is_used_without_waiting_in_callbacks)
{
    cr_assert_eq(rig_run(use_in_callback, NULL), 0);
}

static int make_wrongly(weir_loop *on, void *arg)
{
    weir_queue *none;
    (void)arg;
    cr_assert_eq(weir_queue_new(on, 0, WEIR_QUEUE_FIFO, &none), -EINVAL);
    cr_assert_eq(weir_queue_new(on, 1, (enum weir_queue_order)2, &none),
                 -EINVAL);
    cr_assert_eq(weir_queue_new(on, 1, WEIR_QUEUE_FIFO, NULL), -EINVAL);
    cr_assert_eq(weir_queue_new(on, SIZE_MAX, WEIR_QUEUE_FIFO, &none), -ENOMEM);
    cr_assert_eq(weir_queue_new(on, SIZE_MAX / 8, WEIR_QUEUE_FIFO, &none),
                 -ENOMEM);
    make(on, 1, WEIR_QUEUE_FIFO);
    cr_assert_eq(weir_queue_get(queue, NULL), -EINVAL);
    cr_assert_eq(weir_queue_get_nowait(queue, NULL), -EINVAL);
    weir_queue_free(queue);
    return 0;
}

UNIT(queue_end, without_room_or_order_is_not_made)
{
    cr_assert_eq(rig_run(make_wrongly, NULL), 0);
}

static struct worker left[3];

static int leave_waiting(weir_loop *on, void *arg)
{
    (void)arg;
    make(on, 1, WEIR_QUEUE_FIFO);
    cr_assert_eq(put(0), 0);
    start(&left[0], "p", put_item, &items[1]);
    start(&left[1], "j", join, queue);
    settle();
    weir_task_detach(left[0].task);
    weir_task_detach(left[1].task);
    return 0;
}

UNIT(queue_end, may_be_drained_and_freed_after_its_loop_which_ended_the_waits)
{
    rig_start();
    cr_assert_eq(rig_main(leave_waiting, NULL), 0);
    cr_assert_eq(weir_loop_free(loop), 0);
    cr_assert_eq(left[0].result, -ECANCELED);
    cr_assert_eq(left[1].result, -ECANCELED);
    cr_assert_eq(get(queue), WEIR_ENOTTASK);
    weir_queue_shutdown(queue, true);
    cr_assert_eq(drain(queue), 0);
    cr_assert_eq(drain(queue), -ENOENT);
    weir_queue_free(queue);
    fake_stop();
}

UNIT(queue_end, without_memory_is_not_made)
{
    cr_assert_eq(without_memory(new_queue), -ENOMEM);
}
