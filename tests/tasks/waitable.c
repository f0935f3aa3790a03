/*
 * Waiting for the first of several calls: what weir/waitable.h promises.
 *
 * A worker waits for an event, a future, a semaphore, an item, space and a
 * lock, in this order. The main task makes one or several of them possible, and
 * checks what the worker has taken and what is unchanged.
 */
#define TASK_RUN with_all
#include "sync.h"

#include <limits.h>
#include <weir/waitable.h>

/* The main task has the lock, and waits for the others alone. */
enum { EVENT, FUTURE, SEMAPHORE, ITEM, ROOM, LOCK, COUNT };

static struct {
    weir_event *event;
    weir_future *future;
    weir_lock *lock;
    weir_semaphore *semaphore;
    weir_queue *empty;
    weir_queue *full;
    void *got; /* of the worker */
    struct weir_waitable what[COUNT];
} all;

static int items[4];

/* A worker's call; its object is `all`. */
static int wait_all(void *object)
{
    return weir_wait_any(loop, all.what, COUNT);
}

/* The main task's. */
static int wait_unlocked(void)
{
    return weir_wait_any(loop, all.what, LOCK);
}

static void with_all(void (*body)(void))
{
    void *item;
    expect_eq(weir_event_new(loop, &all.event), 0);
    expect_eq(weir_future_new(loop, NULL, NULL, &all.future), 0);
    expect_eq(weir_lock_new(loop, &all.lock), 0);
    expect_eq(weir_lock_acquire(all.lock), 0);
    expect_eq(weir_semaphore_new(loop, 0, &all.semaphore), 0);
    expect_eq(weir_queue_new(loop, 2, WEIR_QUEUE_FIFO, &all.empty), 0);
    expect_eq(weir_queue_new(loop, 1, WEIR_QUEUE_FIFO, &all.full), 0);
    expect_eq(weir_queue_put_nowait(all.full, &items[0]), 0);
    all.got = NULL;
    all.what[EVENT] = weir_waitable_event(all.event);
    all.what[FUTURE] = weir_waitable_future(all.future);
    all.what[LOCK] = weir_waitable_lock(all.lock);
    all.what[SEMAPHORE] = weir_waitable_semaphore(all.semaphore);
    all.what[ITEM] = weir_waitable_queue_get(all.empty, &all.got);
    all.what[ROOM] = weir_waitable_queue_put(all.full, &items[1]);
    body();
    while (weir_queue_get_nowait(all.full, &item) == 0) {
    }
    weir_queue_free(all.full);
    weir_queue_free(all.empty);
    weir_semaphore_free(all.semaphore);
    weir_lock_free(all.lock);
    weir_future_unref(all.future);
    weir_event_free(all.event);
}

/* What the main task does so that the call with this index is made. */
static void let_come(int index)
{
    void *item;
    switch (index) {
    case EVENT:
        weir_event_set(all.event);
        break;
    case FUTURE:
        expect_eq(weir_future_set_result(all.future, 7), 0);
        break;
    case LOCK:
        expect_eq(weir_lock_release(all.lock), 0);
        break;
    case SEMAPHORE:
        expect_eq(weir_semaphore_release(all.semaphore), 0);
        break;
    case ITEM:
        expect_eq(weir_queue_put_nowait(all.empty, &items[2]), 0);
        break;
    default:
        expect_eq(weir_queue_get_nowait(all.full, &item), 0);
        cr_assert_eq(item, &items[0]);
    }
}

/* What has come with this index is where it was, for the next to take. */
static void expect_left(int index)
{
    void *item;
    switch (index) {
    case EVENT:
        cr_assert(weir_event_is_set(all.event));
        break;
    case FUTURE:
        cr_assert(weir_future_is_done(all.future));
        break;
    case LOCK:
        expect_eq(weir_lock_acquire_nowait(all.lock), 0);
        break;
    case SEMAPHORE:
        expect_eq(weir_semaphore_acquire_nowait(all.semaphore), 0);
        break;
    case ITEM:
        expect_eq(weir_queue_get_nowait(all.empty, &item), 0);
        cr_assert_eq(item, &items[2]);
        break;
    default:
        expect_eq(weir_queue_get_size(all.full), 0);
    }
}

/* The worker has made the call with this index. */
static void expect_made(int index)
{
    void *item;
    expect_eq(all.what[index].result, index == FUTURE ? 7 : 0);
    switch (index) {
    case LOCK:
        expect_eq(weir_lock_acquire_nowait(all.lock), -EBUSY);
        break;
    case SEMAPHORE:
        expect_eq(weir_semaphore_get_value(all.semaphore), 0);
        break;
    case ITEM:
        cr_assert_eq(all.got, &items[2]);
        expect_eq(weir_queue_get_size(all.empty), 0);
        break;
    case ROOM:
        expect_eq(weir_queue_get_nowait(all.full, &item), 0);
        cr_assert_eq(item, &items[1]);
        break;
    default:
        break;
    }
    cr_assert_eq(all.got, index == ITEM ? &items[2] : NULL);
}

/* The call with this index was made, and none behind it. */
static void expect_made_alone(int index)
{
    expect_eq(all.what[index].result, index == FUTURE ? 7 : 0);
    expect_eq(weir_semaphore_get_value(all.semaphore), index < SEMAPHORE);
    expect_eq(weir_queue_get_size(all.empty), index < ITEM);
    expect_eq(weir_queue_get_size(all.full), index >= ROOM);
    cr_assert_eq(weir_lock_is_locked(all.lock), index == LOCK);
}

static int came_first; /* of the tests that run for each index */

static void make_one_that_comes(void)
{
    start_first(wait_all, &all);
    cr_assert_not(first.is_back);
    let_come(came_first);
    cr_assert_not(first.is_back, "no task runs inside the call");
    expect_eq(finish(&first), came_first);
    expect_made(came_first);
}

UNIT_IN(waitable, each_kind_can_come_first, rig_run_body, void)
{
    for (came_first = 0; came_first < COUNT; came_first++) {
        with_all(make_one_that_comes);
    }
}

static void make_one_that_is_there(void)
{
    const uint64_t switches = rig_statistics().task_switches;
    let_come(came_first);
    expect_eq(came_first == LOCK ? wait_all(NULL) : wait_unlocked(),
              came_first);
    expect_eq(rig_statistics().task_switches, switches, "without suspending");
    expect_made(came_first);
}

UNIT_IN(waitable, each_kind_can_be_there_already, rig_run_body, void)
{
    for (came_first = 0; came_first < COUNT; came_first++) {
        with_all(make_one_that_is_there);
    }
}

static int came_next;

static void take_the_first_alone(void)
{
    start_first(wait_all, &all);
    let_come(came_first);
    let_come(came_next); /* before the worker runs */
    expect_eq(finish(&first), came_first);
    expect_made(came_first);
    expect_left(came_next);
}

UNIT_IN(waitable, of_two_that_come_the_second_stays_where_it_was, rig_run_body,
        void)
{
    for (came_first = 0; came_first < COUNT; came_first++) {
        for (came_next = 0; came_next < COUNT; came_next++) {
            if (came_next != came_first) {
                with_all(take_the_first_alone);
            }
        }
    }
}

TASK(waitable, of_all_that_are_there_the_lowest_index_is_made)
{
    for (int i = 0; i < COUNT; i++) {
        let_come(i);
    }
    for (int i = 0; i < COUNT; i++) {
        expect_eq(weir_wait_any(loop, &all.what[i], (size_t)(COUNT - i)), 0);
        expect_made_alone(i);
    }
}

static int get_one(void *object)
{
    void *item = NULL;
    int err = weir_queue_get(object, &item);
    return err < 0 ? err : (int)((int *)item - items);
}

TASK(waitable, a_task_stands_in_a_line_in_its_order)
{
    struct worker last;
    start(&first, "a", get_one, all.empty);
    settle();
    start(&second, "b", wait_all, &all);
    settle();
    start(&last, "c", get_one, all.empty);
    settle();
    expect_eq(weir_queue_put_nowait(all.empty, &items[1]), 0);
    expect_eq(weir_queue_put_nowait(all.empty, &items[2]), 0);
    expect_eq(weir_queue_put_nowait(all.empty, &items[3]), 0);
    expect_eq(finish(&first), 1);
    expect_eq(finish(&second), ITEM);
    cr_assert_eq(all.got, &items[2]);
    expect_eq(finish(&last), 3);
    expect_str_eq(notes, "abc");
}

TASK(waitable, a_task_that_left_a_line_is_passed_over)
{
    start_first(wait_all, &all);
    start(&second, "b", get_one, all.empty);
    settle();
    let_come(EVENT);
    let_come(ITEM);
    expect_eq(finish(&second), 2);
    expect_eq(finish(&first), EVENT);
    cr_assert_null(all.got);
}

TASK(waitable, cancelled_takes_nothing)
{
    start_first(wait_all, &all);
    cr_assert(weir_task_cancel(first.task));
    for (int i = 0; i < COUNT; i++) {
        let_come(i);
    }
    expect_eq(finish(&first), -ECANCELED);
    expect_eq(first.next, 0, "it is delivered once");
    cr_assert_null(all.got);
    for (int i = 0; i < COUNT; i++) {
        expect_left(i);
    }
}

TASK(waitable, cancelled_after_one_has_come_keeps_it)
{
    start_first(wait_all, &all);
    let_come(ITEM);
    cr_assert(weir_task_cancel(first.task));
    expect_end(&first, ITEM, -ECANCELED);
    cr_assert_eq(all.got, &items[2]);
}

TASK(waitable, cancelled_before_it_looks_at_nothing)
{
    let_come(ITEM);
    start(&first, "a", wait_all, &all);
    expect_eq(cancel(&first), -ECANCELED);
    expect_left(ITEM);
}

TASK(waitable, has_the_time_limit_of_the_scope_around_it)
{
    must_time_out(wait_all, &all);
    cr_assert_not(weir_future_is_done(all.future), "it is not cancelled");
}

TASK(waitable, a_call_that_fails_at_once_has_come_first)
{
    weir_queue_shutdown(all.empty);
    expect_eq(wait_unlocked(), ITEM);
    expect_eq(all.what[ITEM].result, WEIR_EQUEUESHUTDOWN);
    weir_queue_shutdown(all.full);
    expect_eq(weir_wait_any(loop, &all.what[ROOM], 1), 0);
    expect_eq(all.what[ROOM].result, WEIR_EQUEUESHUTDOWN);
    expect_eq(weir_wait_any(loop, &all.what[LOCK], 1), 0);
    expect_eq(all.what[LOCK].result, -EDEADLK, "the main task has it");
}

TASK(waitable, a_queue_that_is_shut_down_meanwhile_comes_first)
{
    start_first(wait_all, &all);
    weir_queue_shutdown(all.full);
    weir_queue_shutdown(all.empty);
    expect_eq(finish(&first), ROOM);
    expect_eq(all.what[ROOM].result, WEIR_EQUEUESHUTDOWN);
    cr_assert_null(all.got);
}

/* Frees one of the objects; the body's end gets another. */
static void free_one(int index)
{
    switch (index) {
    case EVENT:
        weir_event_free(all.event);
        all.event = NULL;
        break;
    case FUTURE: /* its last reference */
        weir_future_unref(all.future);
        all.future = NULL;
        break;
    case LOCK:
        weir_lock_free(all.lock);
        all.lock = NULL;
        break;
    case SEMAPHORE:
        weir_semaphore_free(all.semaphore);
        all.semaphore = NULL;
        break;
    case ITEM:
        weir_queue_free(all.empty);
        all.empty = NULL;
        break;
    default:
        weir_queue_free(all.full);
        expect_eq(weir_queue_new(loop, 1, WEIR_QUEUE_FIFO, &all.full), 0);
    }
}

static void free_one_that_is_waited_for(void)
{
    start_first(wait_all, &all);
    free_one(came_first);
    expect_eq(finish(&first), came_first);
    expect_eq(all.what[came_first].result, -ECANCELED);
    expect_eq(first.next, 0, "the task was not cancelled");
}

UNIT_IN(waitable, an_object_that_is_freed_gives_that_result, rig_run_body, void)
{
    for (came_first = 0; came_first < COUNT; came_first++) {
        with_all(free_one_that_is_waited_for);
    }
}

static int wait_until_one_fails(void *object)
{
    int index;
    do {
        index = wait_all(object);
    } while (index == ROOM && all.what[ROOM].result == 0);
    return index;
}

/* Now and then a call lets others run before it looks at the objects. */
TASK(waitable, an_object_freed_inside_a_call_that_yields_is_not_touched_again)
{
    weir_queue *wide;
    void *item;
    expect_eq(weir_queue_new(loop, 4096, WEIR_QUEUE_FIFO, &wide), 0);
    all.what[ROOM] = weir_waitable_queue_put(wide, NULL);
    start(&first, "a", wait_until_one_fails, &all);
    expect_eq(weir_yield(loop), 0);
    expect_gt(weir_queue_get_size(wide), 1);
    expect_lt(weir_queue_get_size(wide), 4096, "it has not waited for room");
    cr_assert_not(first.is_back);
    weir_event_free(all.event);
    all.event = NULL;
    weir_queue_free(all.empty);
    all.empty = NULL;
    expect_eq(finish(&first), EVENT);
    expect_eq(all.what[EVENT].result, -ECANCELED);
    while (weir_queue_get_nowait(wide, &item) == 0) {
    }
    weir_queue_free(wide);
}

TASK(waitable, a_lock_that_is_freed_after_it_was_passed_is_not_had)
{
    start_first(wait_all, &all);
    let_come(LOCK);
    free_one(LOCK);
    expect_eq(finish(&first), LOCK);
    expect_eq(all.what[LOCK].result, -ECANCELED);
}

TASK(waitable, an_object_may_stand_in_it_twice)
{
    struct weir_waitable same[] = {
        weir_waitable_event(all.event), weir_waitable_future(all.future),
        weir_waitable_event(all.event), weir_waitable_future(all.future)};
    weir_future_set_result(all.future, 1);
    expect_eq(weir_wait_any(loop, same, 4), 1);
    weir_event_set(all.event);
    expect_eq(weir_wait_any(loop, &same[2], 2), 0);
}

static int wait_for_one_event_twice(void *object)
{
    struct weir_waitable same[] = {weir_waitable_event(object),
                                   weir_waitable_event(object)};
    return weir_wait_any(loop, same, 2);
}

TASK(waitable, an_event_that_it_has_twice_wakes_it_once)
{
    start_first(wait_for_one_event_twice, all.event);
    weir_event_set(all.event);
    expect_end(&first, 0, 0);
}

static int sleep_a_little(weir_loop *on, void *arg)
{
    int err = weir_sleep(on, 3 * MS);
    return err < 0 ? err : 42;
}

TASK(waitable, the_end_of_a_task_can_come_first)
{
    weir_task *child = rig_spawn(sleep_a_little, NULL);
    all.what[FUTURE] = weir_waitable_future(weir_task_get_future(child));
    expect_eq(wait_unlocked(), FUTURE);
    expect_eq(all.what[FUTURE].result, 42);
    weir_task_unref(child);
}

TASK(waitable, a_future_may_be_done_with_any_error)
{
    expect_eq(weir_future_set_result(all.future, -EAGAIN), 0);
    expect_eq(wait_unlocked(), FUTURE);
    expect_eq(all.what[FUTURE].result, -EAGAIN);
}

TASK(waitable, the_elements_serve_any_number_of_waits)
{
    for (int i = 0; i < 3; i++) {
        start_first(wait_all, &all);
        let_come(ITEM);
        expect_eq(finish(&first), ITEM);
        cr_assert_eq(all.got, &items[2]);
        all.got = NULL;
    }
}

static int wait_for_nothing(void *object)
{
    return weir_wait_any(object, all.what, 0);
}

TASK(waitable, in_the_wrong_place_is_an_error)
{
    void *item;
    struct weir_waitable none = {.result = 0};
    expect_eq(wait_for_nothing(loop), -EINVAL);
    expect_eq(weir_wait_any(loop, NULL, 1), -EINVAL);
    expect_eq(weir_wait_any(loop, &none, 1), -EINVAL);
    expect_eq(weir_wait_any(loop, all.what, (size_t)INT_MAX + 1), -EINVAL);
    expect_eq(in_callback(wait_all, NULL), WEIR_ENOTTASK);
    expect_eq(elsewhere(wait_all, NULL), -EPERM);
    const struct weir_waitable null[] = {
        weir_waitable_event(NULL),
        weir_waitable_future(NULL),
        weir_waitable_lock(NULL),
        weir_waitable_semaphore(NULL),
        weir_waitable_queue_get(NULL, &item),
        weir_waitable_queue_put(NULL, NULL),
        weir_waitable_queue_get(all.empty, NULL)};
    let_come(EVENT);
    for (size_t i = 0; i < sizeof(null) / sizeof(null[0]); i++) {
        all.what[ROOM] = null[i];
        expect_eq(wait_all(NULL), -EINVAL, "whichever it is");
    }
}

static struct worker left;

static int leave_waiting(weir_loop *on, void *arg)
{
    expect_eq(weir_event_new(on, &all.event), 0);
    all.what[0] = weir_waitable_event(all.event);
    expect_eq(weir_future_new(loop, NULL, NULL, &all.future), 0);
    all.what[1] = weir_waitable_future(all.future);
    start(&left, "a", *(sync_call **)arg, NULL);
    settle();
    weir_task_unref(left.task);
    return 0;
}

static int wait_two(void *object)
{
    return weir_wait_any(loop, all.what, 2);
}

UNIT(waitable, the_end_of_the_loop_ends_the_wait)
{
    sync_call *call = wait_two;
    rig_leave(leave_waiting, &call);
    cr_assert(left.is_back);
    expect_eq(left.result, -ECANCELED);
    weir_event_free(all.event);
    weir_future_unref(all.future);
    fake_stop();
}

static int wait_for_ever(weir_loop *on, void *arg)
{
    while (true) {
        (void)!weir_wait_any(on, all.what, 2); /* whatever it returns */
    }
    return 0;
}

static int leave_one_that_is_parked(weir_loop *on, void *arg)
{
    weir_loop_set_exception_handler(on, NULL, NULL);
    expect_eq(weir_event_new(on, &all.event), 0);
    all.what[0] = weir_waitable_event(all.event);
    all.what[1] = weir_waitable_event(all.event);
    weir_task_unref(rig_spawn(wait_for_ever, NULL));
    return weir_sleep(on, MS);
}

UNIT(waitable, a_task_that_is_parked_in_it_keeps_no_object)
{
    rig_start_counted();
    expect_eq(rig_main(leave_one_that_is_parked, NULL), 0);
    expect_geq(weir_loop_free(loop), 0);
    weir_event_free(all.event);
    allocator_check(&rig_memory);
    fake_stop();
}

static int wait_without_memory(weir_loop *on, void *arg)
{
    with_all(make_one_that_comes);
    return 0;
}

static void refuse_memory_and_wait(void)
{
    const size_t limit = rig_memory.size_limit;
    start_first(wait_all, &all);
    rig_memory.size_limit = 0;
    let_come(SEMAPHORE);
    expect_eq(finish(&first), SEMAPHORE);
    let_come(SEMAPHORE);
    expect_eq(wait_unlocked(), SEMAPHORE);
    rig_memory.size_limit = limit;
}

static int wait_with_little(weir_loop *on, void *arg)
{
    with_all(refuse_memory_and_wait);
    return 0;
}

UNIT(waitable, needs_no_memory)
{
    expect_eq(rig_run_counted(wait_without_memory, NULL), 0);
    expect_eq(rig_run_counted(wait_with_little, NULL), 0);
}
