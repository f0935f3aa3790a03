/*
 * Queues that return the least item first: what weir/sync.h promises about
 * them.
 *
 * The values of items are their priorities. Promises for all queues are tested
 * again, because the heap is involved.
 */
#include "scenes.h"
#include "tests/unit/random.h"

#include <weir/sync.h>

SCENE(queue_priority, gives_the_least_first,
      "values 3512064; priority:7; put_nowait:0; put_nowait:1; put_nowait:2; "
      "put_nowait:3; put_nowait:4; put_nowait:5; put_nowait:6; "
      "put_nowait:0 EAGAIN; get 4; get 2; get 3; get 0; get 6; get 1; get 5; "
      "get_nowait EAGAIN")
SCENE(queue_priority, gives_equal_items_in_the_order_of_putting,
      "values 1010111; priority:7; put_nowait:0; put_nowait:1; put_nowait:2; "
      "put_nowait:3; put_nowait:4; put_nowait:5; put_nowait:6; get 1; get 3; "
      "get 0; get 2; put_nowait:2; get 4; get 5; get 6; get 2")
/* A putter that waits is in no order yet. */
SCENE(queue_priority, serves_getters_and_putters_first_come_first_served,
      "values 2103; priority:1; start ab get; put_nowait:0; put_nowait:1; a 0; "
      "b 1; put_nowait:0; begin c put:3; start d put:2; get 0; get 3; get 2; "
      "c; d; notes abcd")
SCENE(queue_priority, a_cancelled_or_timed_out_call_loses_nothing,
      "values 210; priority:2; late get; put_nowait:0; put_nowait:1; "
      "start a put:2; cancel a; a ECANCELED; get 1; get 0; get_nowait EAGAIN")
SCENE(queue_priority, is_joined_shut_down_and_drained_as_any_other,
      "values 201; priority:3; put_nowait:0; put_nowait:1; put_nowait:2; "
      "begin j join; get 1; task_done; settle; waits j; shutdown_now; j; "
      "get WEIR_EQUEUESHUTDOWN; take 2; take 0; take ENOENT")
SCENE(queue_priority, may_be_drained_and_freed_after_its_loop,
      "values 21; priority:3; put_nowait:0; leave; put_nowait:1; shutdown; "
      "take 1; take 0")
SCENE(queue_priority, that_makes_no_sense_is_not_made,
      "priority:0 EINVAL; unordered_priority:1 EINVAL; "
      "priority:1152921504606846975 ENOMEM; thread priority:1 EPERM")

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

static void put_any(weir_queue *queue, struct entry *entry,
                    struct unit_random *random, int number)
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
    weir_queue *queue;
    struct unit_random random = unit_random_new();
    memset(entries, 0, sizeof(entries));
    expect_ok(weir_priority_queue_new(loop, MODEL_SIZE, order_of_entries, NULL,
                                      &queue));
    for (int step = 0; step < MODEL_STEPS; step++) {
        void *item = NULL;
        struct entry *least = least_of(entries);
        if (unit_random_below(&random, 20) < 10) {
            put_any(queue, &entries[unit_random_below(&random, MODEL_SIZE)],
                    &random, step);
        } else if (least) {
            expect_eq(weir_queue_get(queue, &item), 0);
            expect_eq(item, least);
            least->is_in = false;
        }
    }
    weir_queue_free(queue);
}
