/*
 * Queues: what weir/sync.h promises about putting, getting and joining.
 *
 * Order, fairness on both sides, and that an item is in one place whoever is
 * cancelled. How queues end is in queue_end.c.
 */
#define TASK_RUN free_after
#include "queue_rig.h"

/* ---- order ---- */

TASK(queue, gives_the_first_first)
{
    queue_make(loop, 3, WEIR_QUEUE_FIFO);
    for (int round = 0; round < 5; round++) {
        expect_eq(put(0), 0);
        expect_eq(put(1), 0);
        expect_eq(get(queue), 0);
        expect_eq(put(2), 0);
        expect_eq(put(3), 0);
        expect_eq(weir_queue_get_size(queue), 3);
        expect_eq(get_nowait(queue), 1);
        expect_eq(get(queue), 2);
        expect_eq(get(queue), 3);
        expect_eq(get_nowait(queue), -EAGAIN);
    }
}

TASK(queue, gives_the_last_first_if_told_so)
{
    queue_make(loop, 2, WEIR_QUEUE_LIFO);
    expect_eq(put(0), 0);
    expect_eq(put(1), 0);
    start_first(put_item, &items[2]);
    expect_eq(get(queue), 1);
    expect_eq(get(queue), 2, "the item of the waiting putter comes last");
    expect_eq(get(queue), 0);
    expect_eq(finish(&first), 0);
}

TASK(queue, takes_a_null_pointer_like_any_other)
{
    void *item = &items[0];
    queue_make(loop, 1, WEIR_QUEUE_FIFO);
    expect_eq(weir_queue_put(queue, NULL), 0);
    expect_eq(weir_queue_get(queue, &item), 0);
    cr_assert_null(item);
}

/* ---- waiting ---- */

TASK(queue, serves_getters_first_come_first_served)
{
    struct worker getters[3];
    queue_make(loop, 2, WEIR_QUEUE_FIFO);
    start_each(getters, 3, get, queue);
    expect_str_eq(notes, "");

    expect_eq(put(0), 0);
    expect_eq(weir_queue_get_size(queue), 0,
              "the item is given to the first getter");
    expect_eq(get_nowait(queue), -EAGAIN, "a later call is not served before");
    expect_eq(put(1), 0);
    expect_eq(put(2), 0);
    expect_eq(put(3), 0);
    expect_eq(weir_queue_get_size(queue), 1);

    for (int i = 0; i < 3; i++) {
        expect_eq(finish(&getters[i]), i);
    }
    expect_str_eq(notes, "abc");
    expect_eq(get(queue), 3);
}

TASK(queue, serves_putters_first_come_first_served)
{
    struct worker putters[2];
    queue_make(loop, 2, WEIR_QUEUE_FIFO);
    expect_eq(put(0), 0);
    expect_eq(put(1), 0);
    expect_eq(put(2), -EAGAIN);
    start(&putters[0], "a", put_item, &items[2]);
    start(&putters[1], "b", put_item, &items[3]);
    expect_settled("");

    expect_eq(get(queue), 0);
    expect_eq(weir_queue_get_size(queue), 2, "the first putter's item is in");
    expect_eq(put(4), -EAGAIN, "a later call is not served before");
    expect_settled("a");
    for (int i = 1; i < 4; i++) {
        expect_eq(get_nowait(queue), i);
    }

    expect_eq(finish(&putters[0]), 0);
    expect_eq(finish(&putters[1]), 0);
    expect_str_eq(notes, "ab");
}

/* ---- cancelling ---- */

TASK(queue, cancelled_get_takes_nothing)
{
    queue_make(loop, 2, WEIR_QUEUE_FIFO);
    start_both(get, queue);

    cr_assert(weir_task_cancel(first.task));
    expect_eq(put(0), 0);

    expect_end(&first, -ECANCELED, 0);
    expect_eq(finish(&second), 0);
}

TASK(queue, cancelled_after_it_was_given_something_keeps_it)
{
    queue_make(loop, 2, WEIR_QUEUE_FIFO);
    start_first(get, queue);

    expect_eq(put(5), 0);
    cr_assert(weir_task_cancel(first.task));

    expect_end(&first, 5, -ECANCELED);
}

TASK(queue, cancelled_put_puts_nothing)
{
    queue_make(loop, 1, WEIR_QUEUE_FIFO);
    expect_eq(put(0), 0);
    start(&first, "a", put_item, &items[1]);
    start(&second, "b", put_item, &items[2]);
    settle();

    cr_assert(weir_task_cancel(first.task));
    expect_eq(get(queue), 0);

    expect_end(&first, -ECANCELED, 0);
    expect_eq(finish(&second), 0);
    expect_eq(get(queue), 2);
    expect_eq(get_nowait(queue), -EAGAIN, "nothing was put");
}

TASK(queue, cancelled_after_it_has_put_something_has_put_it)
{
    queue_make(loop, 1, WEIR_QUEUE_FIFO);
    expect_eq(put(0), 0);
    start_first(put_item, &items[1]);

    expect_eq(get(queue), 0);
    cr_assert(weir_task_cancel(first.task));

    expect_end(&first, 0, -ECANCELED);
    expect_eq(get(queue), 1);
}

TASK(queue, waited_for_too_long_times_out)
{
    queue_make(loop, 1, WEIR_QUEUE_FIFO);
    must_time_out(get, queue);
    expect_eq(put(0), 0);
    expect_eq(weir_queue_get_size(queue), 1, "no getter is left");
    must_time_out(put_item, &items[1]);
    must_time_out(join, queue);
    expect_eq(get(queue), 0);
    expect_eq(weir_queue_get_size(queue), 0, "no putter is left");
}

/* ---- join ---- */

TASK(queue, join_waits_until_all_that_was_put_is_dealt_with)
{
    struct worker joiners[2];
    queue_make(loop, 4, WEIR_QUEUE_FIFO);
    expect_eq(weir_queue_join(queue), 0, "nothing was put yet");
    expect_eq(weir_queue_task_done(queue), -ERANGE);
    expect_eq(put(0), 0);
    expect_eq(put(1), 0);
    start(&joiners[0], "a", join, queue);
    start(&joiners[1], "b", join, queue);
    expect_eq(get(queue), 0);
    expect_eq(get(queue), 1);
    settle();
    expect_eq(weir_queue_task_done(queue), 0);
    settle();
    expect_str_eq(notes, "", "one is not dealt with");

    expect_eq(weir_queue_task_done(queue), 0);
    expect_eq(put(2), 0); /* changes nothing for who was woken */
    expect_eq(finish(&joiners[0]), 0);
    expect_eq(finish(&joiners[1]), 0);
    expect_str_eq(notes, "ab");
    expect_eq(get(queue), 2);
    expect_eq(weir_queue_task_done(queue), 0);
    expect_eq(weir_queue_task_done(queue), -ERANGE);
}

TASK(queue, join_counts_what_went_from_hand_to_hand)
{
    struct worker getter;
    struct worker putter;
    struct worker joiner;
    queue_make(loop, 1, WEIR_QUEUE_FIFO);
    start(&getter, "g", get, queue);
    settle();
    expect_eq(put(0), 0); /* straight to the getter */
    expect_eq(put(1), 0);
    start(&putter, "p", put_item, &items[2]);
    settle();
    start(&joiner, "j", join, queue);
    expect_eq(get(queue), 1); /* and the putter's item goes in */
    expect_eq(get(queue), 2);
    for (int i = 0; i < 3; i++) {
        settle();
        cr_assert_not(joiner.is_back);
        expect_eq(weir_queue_task_done(queue), 0);
    }
    expect_eq(finish(&getter), 0);
    expect_eq(finish(&putter), 0);
    expect_eq(finish(&joiner), 0);
}

TASK(queue, cancelled_join_leaves_the_others)
{
    queue_make(loop, 1, WEIR_QUEUE_FIFO);
    expect_eq(put(0), 0);
    start_both(join, queue);
    expect_eq(cancel(&first), -ECANCELED);
    expect_eq(weir_queue_task_done(queue), 0);
    expect_eq(cancel(&second), 0);
    expect_eq(second.next, -ECANCELED);
}
