/*
 * Futures: what weir/future.h promises about results and callbacks, and about
 * long chains of them. Waiting for one is in future_wait.c, for several in
 * future_several.c, and what the end of the loop does to them in future_end.c.
 */
#include "future.h"

static int give_results(weir_loop *on, void *arg)
{
    (void)on;
    (void)arg;
    weir_future *future = pending();
    int result = 5;

    cr_assert_not(weir_future_is_done(future));
    cr_assert_eq(weir_future_result(future, &result), -EAGAIN);
    cr_assert_eq(result, 5, "written only on success");
    cr_assert_eq(weir_future_set_result(future, 41), 0);
    cr_assert(weir_future_is_done(future));
    cr_assert_eq(weir_future_set_result(future, 42), -ESTALE);
    cr_assert_eq(weir_future_result(future, NULL), 0);
    cr_assert_eq(result_of(future), 41);
    cr_assert_not(weir_future_cancel(future));
    cr_assert_eq(result_of(future), 41);
    weir_future_unref(future);
    return 0;
}

UNIT(future, is_given_one_result_and_that_for_good)
{
    cr_assert_eq(rig_run(give_results, NULL), 0);
}

static int set_of_a_task(weir_loop *on, void *arg)
{
    (void)arg;
    weir_future *group;
    weir_future *own = weir_task_get_future(weir_task_current(on));

    cr_assert_eq(weir_gather(on, WEIR_GATHER_ALL, &own, 1, &group), 0);
    cr_assert_eq(weir_future_set_result(own, 1), -EINVAL);
    cr_assert_eq(weir_future_set_result(group, 1), -EINVAL);
    cr_assert_eq(weir_future_add_done_callback(own, NULL, NULL), -EINVAL);
    cr_assert_eq(weir_future_await(own, NULL), -EDEADLK);
    cr_assert_eq(weir_future_shield(own, NULL), -EDEADLK);
    cr_assert_eq(weir_wait_for(own, MS, NULL), -EDEADLK);
    weir_future_unref(group);
    cr_assert_eq(weir_yield(on), -ECANCELED, "the group cancelled its task");
    return 9;
}

UNIT(future, of_a_task_or_a_group_takes_no_result_of_the_program)
{
    cr_assert_eq(rig_run(set_of_a_task, NULL), 9);
}

static int cancel_some(weir_loop *on, void *arg)
{
    (void)arg;
    weir_future *plain = pending();
    struct slow later = {.gives = 0};
    struct slow other = {.gives = 17};

    cr_assert(weir_future_cancel(plain));
    cr_assert_eq(result_of(plain), -ECANCELED);
    cr_assert_eq(weir_future_set_result(plain, 1), -ESTALE);
    cr_assert_not(weir_future_cancel(plain));

    cr_assert(weir_future_cancel(slow_future(&later)));
    cr_assert_not(weir_future_is_done(later.future));
    cr_assert(weir_future_cancel(later.future));
    cr_assert_eq(later.asked, 2);
    cr_assert_eq(weir_future_set_result(later.future, 3), 0);
    cr_assert_eq(result_of(later.future), 3);

    cr_assert(weir_future_cancel(slow_future(&other)));
    cr_assert_eq(result_of(other.future), 17);
    weir_future_unref(plain);
    weir_future_unref(later.future);
    weir_future_unref(other.future);
    return weir_yield(on);
}

UNIT(future, is_cancelled_by_what_it_stands_for)
{
    cr_assert_eq(rig_run(cancel_some, NULL), 0);
}

static int drop_last(weir_loop *on, void *arg)
{
    (void)arg;
    weir_future *plain = pending();
    struct slow slow = {.gives = 0};

    add(plain, "a");
    weir_future_unref(weir_future_ref(plain));
    cr_assert_not(weir_future_is_done(plain));
    weir_future_unref(plain);
    add(slow_future(&slow), "b");
    weir_future_unref(slow.future);
    cr_assert_eq(slow.asked, 1);
    cr_assert_str_eq(events, "", "not inside the call");
    cr_assert_eq(weir_yield(on), 0);
    cr_assert_str_eq(events, "a!b!");
    weir_future_unref(NULL);
    return 0;
}

UNIT(future, that_nobody_has_any_more_is_cancelled)
{
    cr_assert_eq(rig_run(drop_last, NULL), 0);
}

static void keep_on_cancel(void *arg, weir_future *future)
{
    *(weir_future **)arg = weir_future_ref(future);
}

static int keep_by_cancel(weir_loop *on, void *arg)
{
    (void)on;
    (void)arg;
    weir_future *kept = NULL;
    weir_future *future;

    cr_assert_eq(weir_future_new(loop, keep_on_cancel, &kept, &future), 0);
    weir_future_unref(future);
    cr_assert_eq(kept, future);
    cr_assert_not(weir_future_is_done(kept));
    cr_assert_eq(weir_future_set_result(kept, 4), 0);
    weir_future_unref(kept);
    return 0;
}

UNIT(future, can_be_kept_by_its_cancel_function)
{
    cr_assert_eq(rig_run(keep_by_cancel, NULL), 0);
}

static int lose_while_waited_for(weir_loop *on, void *arg)
{
    (void)arg;
    struct waiter waiter = {.shields = true};

    start(&waiter, pending());
    cr_assert_eq(weir_yield(on), 0);
    weir_future_unref(waiter.future);
    finish(&waiter);
    cr_assert_eq(waiter.err, 0, "the task was not cancelled");
    cr_assert_eq(waiter.result, -ECANCELED, "but the future was");
    return 0;
}

UNIT(future, whose_last_reference_goes_lets_its_waiters_go)
{
    cr_assert_eq(rig_run(lose_while_waited_for, NULL), 0);
}

/* ---- callbacks ---- */

static int tell_in_order(weir_loop *on, void *arg)
{
    (void)arg;
    weir_future *future = pending();
    struct waiter first = {.name = "1"};
    struct waiter second = {.name = "2", .shields = true};

    add(future, "a");
    start(&first, future);
    cr_assert_eq(weir_yield(on), 0);
    add(future, "b");
    start(&second, future);
    cr_assert_eq(weir_yield(on), 0);
    add(future, "c");
    cr_assert_eq(weir_future_set_result(future, 6), 0);
    add(future, "d");
    cr_assert_str_eq(events, "", "nobody runs inside the call");
    cr_assert_eq(weir_yield(on), 0);
    cr_assert_str_eq(events, "a1b2cd");
    finish(&first);
    finish(&second);
    cr_assert_eq(first.result, 6);
    cr_assert_eq(second.result, 6);
    weir_future_unref(future);
    return 0;
}

UNIT(future, tells_tasks_and_callbacks_in_the_order_in_which_they_came)
{
    cr_assert_eq(rig_run(tell_in_order, NULL), 0);
}

static int take_back(weir_loop *on, void *arg)
{
    (void)arg;
    static char a[] = "a";
    static char b[] = "b";
    weir_future *future = pending();

    cr_assert_eq(weir_future_remove_done_callback(future, note_done, a), 0);
    add(future, a);
    add(future, b);
    add(future, a);
    cr_assert_eq(weir_future_remove_done_callback(future, note_done, a), 2);
    add(future, a);
    cr_assert_eq(weir_future_set_result(future, 0), 0);
    add(future, b);
    cr_assert_eq(weir_future_remove_done_callback(future, note_done, b), 2,
                 "also between done and run");
    cr_assert_eq(weir_yield(on), 0);
    cr_assert_str_eq(events, "a");
    cr_assert_eq(weir_future_remove_done_callback(future, note_done, a), 0);
    weir_future_unref(future);
    return 0;
}

UNIT(future, gives_callbacks_back_until_they_run)
{
    cr_assert_eq(rig_run(take_back, NULL), 0);
}

static void unref_and_note(void *arg, weir_future *future, int result)
{
    (void)result;
    note(arg);
    weir_future_unref(future); /* the program's only reference */
    note(weir_future_is_done(future) ? "+" : "-");
}

static int freed_by_callback(weir_loop *on, void *arg)
{
    (void)arg;
    weir_future *future = pending();

    cr_assert_eq(
        weir_future_add_done_callback(future, unref_and_note, as_arg("u")), 0);
    add(future, "x");
    cr_assert_eq(weir_future_set_result(future, 1), 0);
    cr_assert_eq(weir_yield(on), 0);
    cr_assert_str_eq(events, "u+x");
    return 0;
}

UNIT(future, lives_until_its_callbacks_have_run)
{
    cr_assert_eq(rig_run(freed_by_callback, NULL), 0);
}

static void remove_other(void *arg, weir_future *future, int result)
{
    (void)result;
    note("r");
    cr_assert_eq(weir_future_remove_done_callback(future, note_done, arg), 1);
    add(future, "z");
}

static int change_in_callback(weir_loop *on, void *arg)
{
    (void)arg;
    static char x[] = "x";
    weir_future *future = pending();

    cr_assert_eq(weir_future_add_done_callback(future, remove_other, x), 0);
    add(future, x);
    add(future, "y");
    cr_assert_eq(weir_future_set_result(future, 1), 0);
    weir_future_unref(future);
    cr_assert_eq(weir_yield(on), 0);
    cr_assert_str_eq(events, "ry", "what is added then runs in the next turn");
    cr_assert_eq(weir_yield(on), 0);
    cr_assert_str_eq(events, "ryz");
    return 0;
}

UNIT(future, may_change_its_callbacks_in_a_callback)
{
    cr_assert_eq(rig_run(change_in_callback, NULL), 0);
}

static void wait_in_callback(void *arg, weir_future *future, int result)
{
    (void)arg;
    (void)result;
    cr_assert_eq(weir_future_await(future, NULL), WEIR_ENOTTASK);
    cr_assert_eq(weir_future_shield(future, NULL), WEIR_ENOTTASK);
    cr_assert_eq(weir_wait_for(future, 1, NULL), WEIR_ENOTTASK);
    cr_assert_eq(weir_wait(loop, &future, 1, 0, WEIR_ALL_COMPLETED),
                 WEIR_ENOTTASK);
    note("w");
}

static int callback_of_done(weir_loop *on, void *arg)
{
    (void)arg;
    weir_future *future = done_with(2);

    cr_assert_eq(weir_future_add_done_callback(future, wait_in_callback, NULL),
                 0);
    weir_future_unref(future);
    cr_assert_str_eq(events, "");
    cr_assert_eq(weir_yield(on), 0);
    cr_assert_str_eq(events, "w");
    return 0;
}

UNIT(future, cannot_be_waited_for_in_a_callback)
{
    cr_assert_eq(rig_run(callback_of_done, NULL), 0);
}

/* ---- chains ---- */

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
    (void)on;
    link->err = weir_future_await(link->future, NULL);
    return link->err;
}

static int cancel_chain(weir_loop *on, void *arg)
{
    (void)arg;
    weir_future *first = pending();

    for (int i = 0; i < CHAIN; i++) {
        chain[i].future = i ? weir_task_get_future(chain[i - 1].task) : first;
        chain[i].task = rig_spawn(wait_in_chain, &chain[i]);
    }
    settle();
    cr_assert(weir_task_cancel(chain[CHAIN - 1].task));
    cr_assert_eq(result_of(first), -ECANCELED, "it reaches the innermost");
    for (int i = CHAIN - 1; i >= 0; i--) {
        cr_assert_eq(
            weir_future_await(weir_task_get_future(chain[i].task), NULL), 0);
        cr_assert_eq(chain[i].err, -ECANCELED);
    }
    for (int i = 0; i < CHAIN; i++) {
        weir_task_detach(chain[i].task);
    }
    weir_future_unref(first);
    return weir_yield(on);
}

UNIT(future, a_long_chain_of_tasks_is_cancelled_on_a_small_stack)
{
    cr_assert_eq(rig_run(cancel_chain, NULL), 0);
}

static int wait_in_circle(weir_loop *on, void *arg)
{
    (void)arg;
    for (int i = 0; i < 3; i++) {
        chain[i].task = rig_spawn(wait_in_chain, &chain[i]);
    }
    for (int i = 0; i < 3; i++) {
        chain[i].future = weir_task_get_future(chain[(i + 1) % 3].task);
    }
    cr_assert_eq(weir_yield(on), 0);
    cr_assert_not(weir_future_is_done(chain[0].future));
    for (int i = 0; i < 3; i++) {
        cr_assert_eq(rig_join(chain[i].task), i < 2 ? 0 : -EDEADLK);
    }
    cr_assert_eq(chain[2].err, -EDEADLK, "the last one closes the circle");
    return 0;
}

UNIT(future, a_circle_of_tasks_that_wait_for_each_other_is_refused)
{
    cr_assert_eq(rig_run(wait_in_circle, NULL), 0);
}

static int cancel_diamond(weir_loop *on, void *arg)
{
    (void)arg;
    struct slow slow = {.gives = 0};
    struct waiter waiters[3] = {{.name = "a"}, {.name = "b"}, {.name = "c"}};
    weir_future *futures[3];
    weir_future *group;

    slow_future(&slow);
    for (int i = 0; i < 3; i++) {
        start(&waiters[i], slow.future);
        futures[i] = weir_task_get_future(waiters[i].task);
    }
    cr_assert_eq(weir_gather(on, WEIR_GATHER_ALL, futures, 3, &group), 0);
    settle();
    cr_assert(weir_future_cancel(group));
    cr_assert_eq(slow.asked, 1, "one cancellation reaches it once");
    cr_assert_eq(weir_future_set_result(slow.future, -ECANCELED), 0);
    for (int i = 0; i < 3; i++) {
        finish(&waiters[i]);
        cr_assert_eq(waiters[i].err, -ECANCELED);
    }
    cr_assert_eq(weir_yield(on), 0);
    cr_assert_eq(result_of(group), -ECANCELED);
    weir_future_unref(group);
    weir_future_unref(slow.future);
    return 0;
}

UNIT(future, that_several_wait_for_is_cancelled_once_with_all_of_them)
{
    cr_assert_eq(rig_run(cancel_diamond, NULL), 0);
}
