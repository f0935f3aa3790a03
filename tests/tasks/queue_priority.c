/*
 * Queues that give the least item first: what weir/sync.h promises about them.
 *
 * The values of the rig's items are their priorities. What they share with
 * other queues is tried once more, as the heap has a part in it.
 */
#define TASK_RUN free_after
#include "queue_rig.h"
#include "tests/unit/random.h"

static int order_of_numbers(void *arg, const void *a, const void *b)
{
    const int *left = a;
    const int *right = b;
    expect_eq(arg, items);
    cr_assert_null(weir_task_get_current(loop), "it may not suspend");
    return (*left > *right) - (*left < *right);
}

/* With items of the values that a text of digits has. */
static void open(size_t maxsize, const char *values)
{
    for (int i = 0; values[i]; i++) {
        items[i] = values[i] - '0';
    }
    expect_ok(weir_priority_queue_new(loop, maxsize, order_of_numbers, items,
                                      &queue));
}

TASK(queue_priority, gives_the_least_first)
{
    open(7, "3512064");
    for (int i = 0; i < 7; i++) {
        expect_eq(put(i), 0);
    }
    expect_eq(put(0), -EAGAIN);
    for (int value = 0; value < 7; value++) {
        expect_eq(items[get(queue)], value);
    }
    expect_eq(get_nowait(queue), -EAGAIN);
}

TASK(queue_priority, gives_equal_items_in_the_order_of_putting)
{
    open(7, "1010111");
    for (int i = 0; i < 7; i++) {
        expect_eq(put(i), 0);
    }
    const int order[] = {1, 3, 0, 2, 4, 5, 6};
    for (int i = 0; i < 4; i++) {
        expect_eq(get(queue), order[i]);
    }
    expect_eq(put(2), 0); /* behind those that are in */
    for (int i = 4; i < 7; i++) {
        expect_eq(get(queue), order[i]);
    }
    expect_eq(get(queue), 2);
}

enum { MODEL_SIZE = 40, MODEL_STEPS = 20000 };

struct entry {
    int value;
    int number;
    bool is_in;
};

static int order_of_entries(void *arg, const void *a, const void *b)
{
    const struct entry *left = a;
    const struct entry *right = b;
    return (left->value > right->value) - (left->value < right->value);
}

/* The one that must come out next. */
static struct entry *least_of(struct entry *entries)
{
    struct entry *least = NULL;
    for (int i = 0; i < MODEL_SIZE; i++) {
        struct entry *entry = &entries[i];
        if (entry->is_in &&
            (!least || entry->value < least->value ||
             (entry->value == least->value && entry->number < least->number))) {
            least = entry;
        }
    }
    return least;
}

static void put_any(struct entry *entry, struct unit_random *random, int number)
{
    if (!entry->is_in) {
        *entry = (struct entry){.value = (int)unit_random_below(random, 8),
                                .number = number,
                                .is_in = true};
        expect_eq(weir_queue_put(queue, entry), 0);
    }
}

TASK(queue_priority, any_program_of_puts_and_gets_keeps_the_order)
{
    static struct entry entries[MODEL_SIZE];
    struct unit_random random = unit_random_new();
    memset(entries, 0, sizeof(entries));
    expect_ok(weir_priority_queue_new(loop, MODEL_SIZE, order_of_entries, NULL,
                                      &queue));
    for (int step = 0; step < MODEL_STEPS; step++) {
        void *item = NULL;
        struct entry *least = least_of(entries);
        if (unit_random_below(&random, 20) < 10) {
            put_any(&entries[unit_random_below(&random, MODEL_SIZE)], &random,
                    step);
        } else if (least) {
            expect_eq(weir_queue_get(queue, &item), 0);
            expect_eq(item, least);
            least->is_in = false;
        }
    }
}

TASK(queue_priority, serves_getters_and_putters_first_come_first_served)
{
    struct worker getters[2];
    struct worker putters[2];
    open(1, "2103");
    start_each(getters, 2, get, queue);
    expect_eq(put(0), 0); /* straight to the first getter */
    expect_eq(put(1), 0);
    expect_eq(finish(&getters[0]), 0);
    expect_eq(finish(&getters[1]), 1);

    expect_eq(put(0), 0);
    start(&putters[0], "c", put_item, &items[3]);
    start(&putters[1], "d", put_item, &items[2]);
    settle();
    expect_eq(get(queue), 0);
    expect_eq(get(queue), 3, "one that waits is in no order yet");
    expect_eq(get(queue), 2);
    expect_eq(finish(&putters[0]), 0);
    expect_eq(finish(&putters[1]), 0);
    expect_str_eq(notes, "abcd");
}

TASK(queue_priority, a_cancelled_or_timed_out_call_loses_nothing)
{
    open(2, "210");
    must_time_out(get, queue);
    expect_eq(put(0), 0);
    expect_eq(put(1), 0);
    start_first(put_item, &items[2]);
    expect_eq(cancel(&first), -ECANCELED);
    expect_eq(get(queue), 1);
    expect_eq(get(queue), 0);
    expect_eq(get_nowait(queue), -EAGAIN, "nothing was put");
}

TASK(queue_priority, is_joined_shut_down_and_drained_as_any_other)
{
    open(3, "201");
    for (int i = 0; i < 3; i++) {
        expect_eq(put(i), 0);
    }
    start(&first, "j", join, queue);
    expect_eq(get(queue), 1);
    expect_eq(weir_queue_task_done(queue), 0);
    settle();
    cr_assert_not(first.is_back);
    weir_queue_shutdown_immediate(queue);
    expect_eq(finish(&first), 0);
    expect_eq(get(queue), WEIR_EQUEUESHUTDOWN);
    expect_eq(drain(queue), 2);
    expect_eq(drain(queue), 0);
    expect_eq(drain(queue), -ENOENT);
}

UNIT(queue_priority, may_be_drained_and_freed_after_its_loop)
{
    rig_start();
    open(3, "21");
    expect_eq(put(0), 0);
    expect_eq(weir_loop_free(loop), 0);
    expect_eq(put(1), 0);
    weir_queue_shutdown(queue);
    expect_eq(drain(queue), 1);
    expect_eq(drain(queue), 0);
    weir_queue_free(queue);
    fake_stop();
}

static int new_priority_queue(void *object)
{
    weir_queue *result;
    return weir_priority_queue_new(object, 1, order_of_numbers, NULL, &result);
}

UNIT_IN(queue_priority, that_makes_no_sense_is_not_made, rig_run_body, void)
{
    weir_queue *none = NULL;
    expect_eq(weir_priority_queue_new(loop, 0, order_of_numbers, NULL, &none),
              -EINVAL);
    expect_eq(weir_priority_queue_new(loop, 1, NULL, NULL, &none), -EINVAL);
    expect_eq(weir_priority_queue_new(loop, 1, order_of_numbers, NULL, NULL),
              -EINVAL);
    expect_eq(weir_priority_queue_new(loop, SIZE_MAX / 16, order_of_numbers,
                                      NULL, &none),
              -ENOMEM);
    cr_assert_null(none);
    expect_eq(elsewhere(new_priority_queue, loop), -EPERM);
}

UNIT(queue_priority, without_memory_is_not_made)
{
    expect_eq(without_memory(new_priority_queue), -ENOMEM);
}
