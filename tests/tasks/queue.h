/*
 * One queue of numbered items, for its tests: calls return numbers.
 *
 * An item is an element of an array, its number its index; a call that gets one
 * returns that, or its error. A putting worker's object is the item.
 */
#ifndef WEIR_TESTS_TASKS_QUEUE_H
#define WEIR_TESTS_TASKS_QUEUE_H

#include "sync.h"

static weir_queue *queue;
static int items[8];

static inline void make(weir_loop *on, size_t maxsize,
                        enum weir_queue_order order)
{
    cr_assert_eq(weir_queue_new(on, maxsize, order, &queue), 0);
    cr_assert_eq(weir_queue_size(queue), 0);
}

/* Results of these calls are item numbers. */
static inline int number_of(const void *item)
{
    return (int)((const int *)item - items);
}

static inline int get(void *object)
{
    void *item = &items[7];
    int err = weir_queue_get(object, &item);
    cr_assert(err == 0 || item == &items[7], "written only on success");
    return err < 0 ? err : number_of(item);
}

static inline int get_nowait(void *object)
{
    void *item = &items[7];
    int err = weir_queue_get_nowait(object, &item);
    cr_assert(err == 0 || item == &items[7], "written only on success");
    return err < 0 ? err : number_of(item);
}

static inline int drain(void *object)
{
    void *item = &items[7];
    bool is_there = weir_queue_drain(object, &item);
    cr_assert(is_there || item == &items[7], "written only on success");
    return is_there ? number_of(item) : -ENOENT;
}

static inline int put(int number)
{
    return weir_queue_put_nowait(queue, &items[number]);
}

/* A worker's object is the item. */
static inline int put_item(void *object)
{
    return weir_queue_put(queue, object);
}

static inline int put_item_nowait(void *object)
{
    return weir_queue_put_nowait(queue, object);
}

static inline int join(void *object)
{
    return weir_queue_join(object);
}

#endif
