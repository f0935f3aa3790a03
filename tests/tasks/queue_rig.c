/*
 * Calls on one queue whose items are numbers; see queue_rig.h.
 *
 * A call that fails must leave its result alone: it is preset to the last item,
 * which no test puts.
 */
#include "tests/tasks/queue_rig.h"

weir_queue *queue;
int items[8];

void queue_make(weir_loop *on, size_t maxsize, enum weir_queue_order order)
{
    cr_assert_eq(weir_queue_new(on, maxsize, order, &queue), 0);
    cr_assert_eq(weir_queue_get_size(queue), 0);
}

void free_after(void (*body)(void))
{
    body();
    weir_queue_free(queue);
}

/* Results of these calls are item numbers. */
static int number_of(const void *item)
{
    return (int)((const int *)item - items);
}

int get(void *object)
{
    void *item = &items[7];
    int err = weir_queue_get(object, &item);
    cr_assert(err == 0 || item == &items[7], "written only on success");
    return err < 0 ? err : number_of(item);
}

int get_nowait(void *object)
{
    void *item = &items[7];
    int err = weir_queue_get_nowait(object, &item);
    cr_assert(err == 0 || item == &items[7], "written only on success");
    return err < 0 ? err : number_of(item);
}

int drain(void *object)
{
    void *item = &items[7];
    bool is_there = weir_queue_take_left(object, &item);
    cr_assert(is_there || item == &items[7], "written only on success");
    return is_there ? number_of(item) : -ENOENT;
}

int put(int number)
{
    return weir_queue_put_nowait(queue, &items[number]);
}

int put_item(void *object)
{
    return weir_queue_put(queue, object);
}

int put_item_nowait(void *object)
{
    return weir_queue_put_nowait(queue, object);
}

int join(void *object)
{
    return weir_queue_join(object);
}
