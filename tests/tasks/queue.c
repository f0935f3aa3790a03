/*
 * Queues: what weir/sync.h promises about putting, getting and joining.
 *
 * Order, fairness on both sides, and that an item is in one place whoever is
 * cancelled. How queues end is in queue_end.c.
 */
#include "queue.h"

/* ---- order ---- */

static int first_out(weir_loop *on, void *arg)
{
    (void)arg;
    make(on, 3, WEIR_QUEUE_FIFO);
    for (int round = 0; round < 5; round++) {
        cr_assert_eq(put(0), 0);
        cr_assert_eq(put(1), 0);
        cr_assert_eq(get(queue), 0);
        cr_assert_eq(put(2), 0);
        cr_assert_eq(put(3), 0);
        cr_assert_eq(weir_queue_size(queue), 3);
        cr_assert_eq(get_nowait(queue), 1);
        cr_assert_eq(get(queue), 2);
        cr_assert_eq(get(queue), 3);
        cr_assert_eq(get_nowait(queue), -EAGAIN);
    }
    weir_queue_free(queue);
    return 0;
}

UNIT(queue, gives_the_first_first)
{
    cr_assert_eq(rig_run(first_out, NULL), 0);
}

static int last_out(weir_loop *on, void *arg)
{
    struct worker putter;
    (void)arg;
    make(on, 2, WEIR_QUEUE_LIFO);
    cr_assert_eq(put(0), 0);
    cr_assert_eq(put(1), 0);
    start(&putter, "a", put_item, &items[2]);
    settle();
    cr_assert_eq(get(queue), 1);
    cr_assert_eq(get(queue), 2, "what waited came last");
    cr_assert_eq(get(queue), 0);
    cr_assert_eq(finish(&putter), 0);
    weir_queue_free(queue);
    return 0;
}

UNIT(queue, gives_the_last_first_if_told_so)
{
    cr_assert_eq(rig_run(last_out, NULL), 0);
}

static int put_nothing(weir_loop *on, void *arg)
{
    void *item = &items[0];
    (void)arg;
    make(on, 1, WEIR_QUEUE_FIFO);
    cr_assert_eq(weir_queue_put(queue, NULL), 0);
    cr_assert_eq(weir_queue_get(queue, &item), 0);
    cr_assert_null(item);
    weir_queue_free(queue);
    return 0;
}

UNIT(queue, takes_a_null_pointer_like_any_other)
{
    cr_assert_eq(rig_run(put_nothing, NULL), 0);
}

/* ---- waiting ---- */

static int serve_getters(weir_loop *on, void *arg)
{
    struct worker getters[3];
    (void)arg;
    make(on, 2, WEIR_QUEUE_FIFO);
    start(&getters[0], "a", get, queue);
    start(&getters[1], "b", get, queue);
    start(&getters[2], "c", get, queue);
    settle();
    cr_assert_str_eq(notes, "");

    cr_assert_eq(put(0), 0);
    cr_assert_eq(weir_queue_size(queue), 0, "it was given to the first");
    cr_assert_eq(get_nowait(queue), -EAGAIN, "nobody slips in");
    cr_assert_eq(put(1), 0);
    cr_assert_eq(put(2), 0);
    cr_assert_eq(put(3), 0);
    cr_assert_eq(weir_queue_size(queue), 1);

    for (int i = 0; i < 3; i++) {
        cr_assert_eq(finish(&getters[i]), i);
    }
    cr_assert_str_eq(notes, "abc");
    cr_assert_eq(get(queue), 3);
    weir_queue_free(queue);
    return 0;
}

UNIT(queue, serves_getters_first_come_first_served)
{
    cr_assert_eq(rig_run(serve_getters, NULL), 0);
}

static int serve_putters(weir_loop *on, void *arg)
{
    struct worker putters[2];
    (void)arg;
    make(on, 2, WEIR_QUEUE_FIFO);
    cr_assert_eq(put(0), 0);
    cr_assert_eq(put(1), 0);
    cr_assert_eq(put(2), -EAGAIN);
    start(&putters[0], "a", put_item, &items[2]);
    start(&putters[1], "b", put_item, &items[3]);
    settle();
    cr_assert_str_eq(notes, "");

    cr_assert_eq(get(queue), 0);
    cr_assert_eq(weir_queue_size(queue), 2, "the first is in already");
    cr_assert_eq(put(4), -EAGAIN, "nobody slips in");
    settle();
    cr_assert_str_eq(notes, "a");
    for (int i = 1; i < 4; i++) {
        cr_assert_eq(get_nowait(queue), i);
    }

    cr_assert_eq(finish(&putters[0]), 0);
    cr_assert_eq(finish(&putters[1]), 0);
    cr_assert_str_eq(notes, "ab");
    weir_queue_free(queue);
    return 0;
}

UNIT(queue, serves_putters_first_come_first_served)
{
    cr_assert_eq(rig_run(serve_putters, NULL), 0);
}

/* ---- cancelling ---- */

static int cancel_getter(weir_loop *on, void *arg)
{
    struct worker first;
    struct worker second;
    (void)arg;
    make(on, 2, WEIR_QUEUE_FIFO);
    start(&first, "a", get, queue);
    start(&second, "b", get, queue);
    settle();

    cr_assert(weir_task_cancel(first.task));
    cr_assert_eq(put(0), 0);

    cr_assert_eq(finish(&first), -ECANCELED);
    cr_assert_eq(first.next, 0);
    cr_assert_eq(finish(&second), 0);
    weir_queue_free(queue);
    return 0;
}

UNIT(queue, cancelled_get_takes_nothing)
{
    cr_assert_eq(rig_run(cancel_getter, NULL), 0);
}

static int cancel_served_getter(weir_loop *on, void *arg)
{
    struct worker getter;
    (void)arg;
    make(on, 2, WEIR_QUEUE_FIFO);
    start(&getter, "a", get, queue);
    settle();

    cr_assert_eq(put(5), 0);
    cr_assert(weir_task_cancel(getter.task));

    cr_assert_eq(finish(&getter), 5);
    cr_assert_eq(getter.next, -ECANCELED);
    weir_queue_free(queue);
    return 0;
}

UNIT(queue, cancelled_after_it_was_given_something_keeps_it)
{
    cr_assert_eq(rig_run(cancel_served_getter, NULL), 0);
}

static int cancel_putter(weir_loop *on, void *arg)
{
    struct worker first;
    struct worker second;
    (void)arg;
    make(on, 1, WEIR_QUEUE_FIFO);
    cr_assert_eq(put(0), 0);
    start(&first, "a", put_item, &items[1]);
    start(&second, "b", put_item, &items[2]);
    settle();

    cr_assert(weir_task_cancel(first.task));
    cr_assert_eq(get(queue), 0);

    cr_assert_eq(finish(&first), -ECANCELED);
    cr_assert_eq(first.next, 0);
    cr_assert_eq(finish(&second), 0);
    cr_assert_eq(get(queue), 2);
    cr_assert_eq(get_nowait(queue), -EAGAIN, "nothing was put");
    weir_queue_free(queue);
    return 0;
}

UNIT(queue, cancelled_put_puts_nothing)
{
    cr_assert_eq(rig_run(cancel_putter, NULL), 0);
}

static int cancel_served_putter(weir_loop *on, void *arg)
{
    struct worker putter;
    (void)arg;
    make(on, 1, WEIR_QUEUE_FIFO);
    cr_assert_eq(put(0), 0);
    start(&putter, "a", put_item, &items[1]);
    settle();

    cr_assert_eq(get(queue), 0);
    cr_assert(weir_task_cancel(putter.task));

    cr_assert_eq(finish(&putter), 0);
    cr_assert_eq(putter.next, -ECANCELED);
    cr_assert_eq(get(queue), 1);
    weir_queue_free(queue);
    return 0;
}

UNIT(queue, cancelled_after_it_has_put_something_has_put_it)
{
    cr_assert_eq(rig_run(cancel_served_putter, NULL), 0);
}

static int time_out(weir_loop *on, void *arg)
{
    (void)arg;
    make(on, 1, WEIR_QUEUE_FIFO);
    must_time_out(get, queue);
    cr_assert_eq(put(0), 0);
    cr_assert_eq(weir_queue_size(queue), 1, "no getter is left");
    must_time_out(put_item, &items[1]);
    must_time_out(join, queue);
    cr_assert_eq(get(queue), 0);
    cr_assert_eq(weir_queue_size(queue), 0, "no putter is left");
    weir_queue_free(queue);
    return 0;
}

UNIT(queue, waited_for_too_long_times_out)
{
    cr_assert_eq(rig_run(time_out, NULL), 0);
}

/* ---- join ---- */

static int join_it(weir_loop *on, void *arg)
{
    struct worker joiners[2];
    (void)arg;
    make(on, 4, WEIR_QUEUE_FIFO);
    cr_assert_eq(weir_queue_join(queue), 0, "nothing was put yet");
    cr_assert_eq(weir_queue_task_done(queue), -ERANGE);
    cr_assert_eq(put(0), 0);
    cr_assert_eq(put(1), 0);
    start(&joiners[0], "a", join, queue);
    start(&joiners[1], "b", join, queue);
    cr_assert_eq(get(queue), 0);
    cr_assert_eq(get(queue), 1);
    settle();
    cr_assert_eq(weir_queue_task_done(queue), 0);
    settle();
    cr_assert_str_eq(notes, "", "one is not dealt with");

    cr_assert_eq(weir_queue_task_done(queue), 0);
    cr_assert_eq(put(2), 0); /* changes nothing for who was woken */
    cr_assert_eq(finish(&joiners[0]), 0);
    cr_assert_eq(finish(&joiners[1]), 0);
    cr_assert_str_eq(notes, "ab");
    cr_assert_eq(get(queue), 2);
    cr_assert_eq(weir_queue_task_done(queue), 0);
    cr_assert_eq(weir_queue_task_done(queue), -ERANGE);
    weir_queue_free(queue);
    return 0;
}

UNIT(queue, join_waits_until_all_that_was_put_is_dealt_with)
{
    cr_assert_eq(rig_run(join_it, NULL), 0);
}

static int join_handed_over(weir_loop *on, void *arg)
{
    struct worker getter;
    struct worker putter;
    struct worker joiner;
    (void)arg;
    make(on, 1, WEIR_QUEUE_FIFO);
    start(&getter, "g", get, queue);
    settle();
    cr_assert_eq(put(0), 0); /* straight to the getter */
    cr_assert_eq(put(1), 0);
    start(&putter, "p", put_item, &items[2]);
    settle();
    start(&joiner, "j", join, queue);
    cr_assert_eq(get(queue), 1); /* and the putter's item goes in */
    cr_assert_eq(get(queue), 2);
    for (int i = 0; i < 3; i++) {
        settle();
        cr_assert_not(joiner.is_back);
        cr_assert_eq(weir_queue_task_done(queue), 0);
    }
    cr_assert_eq(finish(&getter), 0);
    cr_assert_eq(finish(&putter), 0);
    cr_assert_eq(finish(&joiner), 0);
    weir_queue_free(queue);
    return 0;
}

UNIT(queue, join_counts_what_went_from_hand_to_hand)
{
    cr_assert_eq(rig_run(join_handed_over, NULL), 0);
}

static int cancel_joiner(weir_loop *on, void *arg)
{
    struct worker first;
    struct worker second;
    (void)arg;
    make(on, 1, WEIR_QUEUE_FIFO);
    cr_assert_eq(put(0), 0);
    start(&first, "a", join, queue);
    start(&second, "b", join, queue);
    settle();
    cr_assert_eq(cancel(&first), -ECANCELED);
    cr_assert_eq(weir_queue_task_done(queue), 0);
    cr_assert(weir_task_cancel(second.task));
    cr_assert_eq(finish(&second), 0);
    cr_assert_eq(second.next, -ECANCELED);
    weir_queue_free(queue);
    return 0;
}

UNIT(queue, cancelled_join_leaves_the_others)
{
    cr_assert_eq(rig_run(cancel_joiner, NULL), 0);
}
