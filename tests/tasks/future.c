/*
 * Futures: what weir/future.h promises about results and callbacks, and about
 * long chains of them. Waiting for one is in future_wait.c, for several in
 * future_several.c, and what the end of the loop does to them in future_end.c.
 */
#include "future_rig.h"
#include "scenes.h"

SCENE(future, is_given_one_result_and_that_for_good,
      "future:0; done:0 0; result:0 EAGAIN; give:0:41; done:0 1; "
      "give:0:42 ESTALE; result_null:0; result:0 41; cancel_future:0 0; "
      "result:0 41")

TASK(future, of_a_task_or_a_group_takes_no_result_of_the_program)
{
    weir_future *group;
    weir_future *own = weir_task_get_future(weir_task_get_current(loop));

    expect_eq(weir_gather(loop, WEIR_GATHER_ALL, &own, 1, &group), 0);
    expect_eq(weir_future_set_result(own, 1), -EINVAL);
    expect_eq(weir_future_set_result(group, 1), -EINVAL);
    expect_eq(weir_future_add_done_callback(own, NULL, NULL), -EINVAL);
    expect_eq(weir_future_await(own, NULL), -EDEADLK);
    expect_eq(weir_future_shield(own, NULL), -EDEADLK);
    expect_eq(weir_wait_for(own, MS, NULL), -EDEADLK);
    weir_future_unref(group);
    expect_eq(weir_yield(loop), -ECANCELED, "the group cancelled its task");
}

SCENE(future, is_cancelled_by_what_it_stands_for,
      "future:0; cancel_future:0 1; result:0 ECANCELED; give:0:1 ESTALE; "
      "cancel_future:0 0; slow:1; cancel_future:1 1; done:1 0; "
      "cancel_future:1 1; cancels:1 2; give:1:3; result:1 3; slow:2:17; "
      "cancel_future:2 1; result:2 17; yield")

SCENE(future, without_references_is_cancelled,
      "future:0; add:0:a; reref:0; done:0 0; unref:0; slow:1; add:1:b; "
      "unref:1; cancels:1 1; notes -; yield; notes a!b!")

static void keep_on_cancel(void *arg, weir_future *future)
{
    *(weir_future **)arg = weir_future_ref(future);
}

TASK(future, can_be_kept_by_its_cancel_function)
{
    weir_future *kept = NULL;
    weir_future *future;

    expect_eq(weir_future_new(loop, keep_on_cancel, &kept, &future), 0);
    weir_future_unref(future);
    expect_eq(kept, future);
    cr_assert_not(weir_future_is_done(kept));
    expect_eq(weir_future_set_result(kept, 4), 0);
    weir_future_unref(kept);
}

SCENE(future, whose_last_reference_goes_lets_its_waiters_go,
      "future:0; start w shield:0=0,got; unref:0; w ECANCELED")

SCENE(future, tells_tasks_and_callbacks_in_the_order_in_which_they_came,
      "future:0; add:0:a; start 1 await:0=0,got; add:0:b; "
      "start 2 shield:0=0,got; add:0:c; give:0:6; add:0:d; notes -; yield; "
      "notes a1b2cd; 1 6; 2 6")

SCENE(future, gives_callbacks_back_until_they_run,
      "future:0; remove:0:a 0; add:0:a; add:0:b; add:0:a; remove:0:a 2; "
      "add:0:a; give:0; add:0:b; remove:0:b 2; yield; notes a; remove:0:a 0")

SCENE(future, gives_back_the_callbacks_of_one_function_and_argument,
      "future:0; start w await:0; add:0:a; add:0:b; add_other:0:a; "
      "remove:0:a 1; remove:0:a 0; give:0; w; notes wbo")

static void unref_and_note(void *arg, weir_future *future, int result)
{
    note(arg);
    weir_future_unref(future); /* the program's only reference */
    note(weir_future_is_done(future) ? "+" : "-");
}

TASK(future, lives_until_its_callbacks_have_run)
{
    weir_future *future = pending();

    expect_ok(
        weir_future_add_done_callback(future, unref_and_note, as_arg("u")));
    add(future, "x");
    expect_eq(weir_future_set_result(future, 1), 0);
    expect_eq(weir_yield(loop), 0);
    expect_str_eq(notes, "u+x");
}

static void remove_other(void *arg, weir_future *future, int result)
{
    note("r");
    expect_eq(weir_future_remove_done_callback(future, note_done, arg), 1);
    add(future, "z");
}

TASK(future, may_change_its_callbacks_in_a_callback)
{
    static char x[] = "x";
    weir_future *future = pending();

    expect_eq(weir_future_add_done_callback(future, remove_other, x), 0);
    add(future, x);
    add(future, "y");
    expect_eq(weir_future_set_result(future, 1), 0);
    weir_future_unref(future);
    expect_eq(weir_yield(loop), 0);
    expect_str_eq(notes, "ry", "what is added then runs in the next turn");
    expect_eq(weir_yield(loop), 0);
    expect_str_eq(notes, "ryz");
}

static void wait_in_callback(void *arg, weir_future *future, int result)
{
    expect_eq(weir_future_await(future, NULL), WEIR_ENOTTASK);
    expect_eq(weir_future_shield(future, NULL), WEIR_ENOTTASK);
    expect_eq(weir_wait_for(future, 1, NULL), WEIR_ENOTTASK);
    expect_eq(weir_wait(loop, &future, 1, 0, WEIR_ALL_COMPLETED),
              WEIR_ENOTTASK);
    note("w");
}

TASK(future, cannot_be_waited_for_in_a_callback)
{
    weir_future *future = done_with(2);

    expect_eq(weir_future_add_done_callback(future, wait_in_callback, NULL), 0);
    weir_future_unref(future);
    expect_str_eq(notes, "");
    expect_eq(weir_yield(loop), 0);
    expect_str_eq(notes, "w");
}

#define CHAIN 20000

struct link {
    weir_task *task;
    weir_future *future; /* of the one before it */
    int err;
};

static struct link chain[CHAIN];

static int wait_in_chain(weir_loop *on, void *arg)
{
    struct link *link = arg;
    link->err = weir_future_await(link->future, NULL);
    return link->err;
}

TASK(future, a_long_chain_of_tasks_is_cancelled_on_a_small_stack)
{
    weir_future *innermost = pending();

    for (int i = 0; i < CHAIN; i++) {
        chain[i].future =
            i ? weir_task_get_future(chain[i - 1].task) : innermost;
        chain[i].task = rig_spawn(wait_in_chain, &chain[i]);
    }
    settle();
    cr_assert(weir_task_cancel(chain[CHAIN - 1].task));
    expect_eq(result_of(innermost), -ECANCELED,
              "the cancellation reaches the innermost task");
    for (int i = CHAIN - 1; i >= 0; i--) {
        expect_ok(weir_future_await(weir_task_get_future(chain[i].task), NULL));
        expect_eq(chain[i].err, -ECANCELED);
    }
    for (int i = 0; i < CHAIN; i++) {
        weir_task_unref(chain[i].task);
    }
    weir_future_unref(innermost);
    expect_eq(weir_yield(loop), 0);
}

/* So many tasks, each of which waits for the next one, and the last one for the
 * first. */
static void start_circle(int count)
{
    for (int i = 0; i < count; i++) {
        chain[i].task = rig_spawn(wait_in_chain, &chain[i]);
    }
    for (int i = 0; i < count; i++) {
        chain[i].future = weir_task_get_future(chain[(i + 1) % count].task);
    }
}

TASK(future, a_circle_of_tasks_that_wait_for_each_other_is_refused)
{
    static const int counts[] = {2, 3, 64};

    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
        const int last = counts[i] - 1;
        start_circle(counts[i]);
        for (int j = 0; j < last; j++) {
            expect_eq(rig_join(chain[j].task), 0);
        }
        expect_eq(rig_join(chain[last].task), -EDEADLK,
                  "the last one closes the circle of %d", counts[i]);
    }
}

TASK(future, that_several_wait_for_is_cancelled_once_with_all_of_them)
{
    struct slow slow = {.gives = 0};
    struct waiter waiters[3] = {{.name = "a"}, {.name = "b"}, {.name = "c"}};
    weir_future *futures[3];
    weir_future *group;

    slow_future(&slow);
    for (int i = 0; i < 3; i++) {
        waiter_start(&waiters[i], slow.future);
        futures[i] = weir_task_get_future(waiters[i].task);
    }
    expect_eq(weir_gather(loop, WEIR_GATHER_ALL, futures, 3, &group), 0);
    settle();
    cr_assert(weir_future_cancel(group));
    expect_eq(slow.asked, 1, "one cancellation reaches it once");
    expect_eq(weir_future_set_result(slow.future, -ECANCELED), 0);
    for (int i = 0; i < 3; i++) {
        waiter_finish(&waiters[i]);
        expect_eq(waiters[i].err, -ECANCELED);
    }
    expect_eq(weir_yield(loop), 0);
    expect_eq(result_of(group), -ECANCELED);
    weir_future_unref(group);
    weir_future_unref(slow.future);
}
