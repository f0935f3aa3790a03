/*
 * Queues: pointers from tasks to tasks, a bounded number at a time.
 *
 * Items go from hand to hand: a put gives its item to the first getter that
 * waits, and a get that makes room puts the item of the first putter in. So
 * getters wait only while the queue is empty and putters only while it is full,
 * and who was woken has what it came for. An item is in one place at any time:
 * with a putter that waits, in the queue, or with a getter that has it.
 */
#include "../include/weir/error.h"
#include "../include/weir/sync.h"

#include "sync.h"

enum state {
    QUEUE_OPEN,
    QUEUE_SHUT,    /* takes nothing in */
    QUEUE_STOPPED, /* and gives nothing out */
};

struct weir_queue {
    struct wr_sync sync;
    struct wr_list getters; /* struct party */
    struct wr_list putters; /* struct party */
    struct wr_list joiners; /* struct wr_waiter */
    uint64_t unfinished_count;
    size_t maxsize;
    size_t size;
    size_t first; /* index of what comes out next; 0 when last in, first out */
    enum weir_queue_order order;
    enum state state;
    void *items[];
};

struct party {
    struct wr_waiter waiter;
    void *item; /* to be put, or given */
};

static struct party *first_of(struct wr_list *waiters)
{
    if (wr_list_is_empty(waiters)) {
        return NULL;
    }
    struct wr_waiter *waiter =
        wr_container_of(waiters->next, struct wr_waiter, link);
    return wr_container_of(waiter, struct party, waiter);
}

static void push(weir_queue *queue, void *item)
{
    size_t idx = queue->first + queue->size;

    wr_assert(queue->size < queue->maxsize);
    if (idx >= queue->maxsize) {
        idx -= queue->maxsize;
    }
    queue->items[idx] = item;
    queue->size++;
}

static void *pop(weir_queue *queue)
{
    wr_assert(queue->size > 0);
    queue->size--;
    if (queue->order == WEIR_QUEUE_LIFO) {
        return queue->items[queue->size];
    }
    void *item = queue->items[queue->first];
    queue->first++;
    if (queue->first == queue->maxsize) {
        queue->first = 0;
    }
    return item;
}

/* There is a getter or room. */
static void put_now(weir_queue *queue, void *item)
{
    struct party *getter = first_of(&queue->getters);

    queue->unfinished_count++;
    if (getter) {
        wr_assert(queue->size == 0);
        getter->item = item;
        wr_waiter_wake(&getter->waiter, 0);
    } else {
        push(queue, item);
    }
}

static int try_put(weir_queue *queue, void *item)
{
    wr_require(queue->state == QUEUE_OPEN, WEIR_EQUEUESHUTDOWN);
    if (queue->size == queue->maxsize) {
        return -EAGAIN;
    }
    wr_assert(wr_list_is_empty(&queue->putters));
    put_now(queue, item);
    return 0;
}

static int try_get(weir_queue *queue, void **ret)
{
    wr_require(queue->state != QUEUE_STOPPED, WEIR_EQUEUESHUTDOWN);
    if (queue->size == 0) {
        return queue->state == QUEUE_OPEN ? -EAGAIN : WEIR_EQUEUESHUTDOWN;
    }
    wr_assert(wr_list_is_empty(&queue->getters));
    *ret = pop(queue);
    struct party *putter = first_of(&queue->putters);
    if (putter) {
        put_now(queue, putter->item);
        wr_waiter_wake(&putter->waiter, 0);
    }
    return 0;
}

/* @count of the items need no weir_queue_task_done() any more. */
static void finish(weir_queue *queue, uint64_t count)
{
    queue->unfinished_count -= wr_min_u64(count, queue->unfinished_count);
    if (queue->unfinished_count == 0) {
        wr_waiters_wake_all(&queue->joiners, 0);
    }
}

int weir_queue_new(weir_loop *loop, size_t maxsize, enum weir_queue_order order,
                   weir_queue **ret)
{
    const size_t most = (SIZE_MAX / 2 - sizeof(weir_queue)) / sizeof(void *);
    struct wr_sync *sync;

    wr_require(ret, -EINVAL);
    wr_require(maxsize > 0, -EINVAL);
    wr_require(order == WEIR_QUEUE_FIFO || order == WEIR_QUEUE_LIFO, -EINVAL);
    wr_require(maxsize <= most, -ENOMEM);
    int err =
        wr_sync_new(loop, sizeof(weir_queue) + maxsize * sizeof(void *), &sync);
    if (err < 0) {
        return err;
    }
    weir_queue *queue = wr_container_of(sync, weir_queue, sync);
    wr_list_init(&queue->getters);
    wr_list_init(&queue->putters);
    wr_list_init(&queue->joiners);
    queue->maxsize = maxsize;
    queue->order = order;
    *ret = queue;
    return 0;
}

int weir_queue_put(weir_queue *queue, void *item)
{
    struct party putter = {.waiter = {.interrupt = NULL}, .item = item};
    int err = wr_sync_enter(&queue->sync);
    if (err < 0) {
        return err;
    }
    err = try_put(queue, item);
    if (err == -EAGAIN) {
        err = wr_task_wait(queue->sync.loop, &putter.waiter, &queue->putters);
    }
    wr_sync_unref(&queue->sync);
    return err;
}

int weir_queue_put_nowait(weir_queue *queue, void *item)
{
    int err = wr_loop_check(queue->sync.loop);
    if (err < 0) {
        return err;
    }
    return try_put(queue, item);
}

int weir_queue_get(weir_queue *queue, void **ret)
{
    struct party getter = {.waiter = {.interrupt = NULL}};
    wr_require(ret, -EINVAL);
    int err = wr_sync_enter(&queue->sync);
    if (err < 0) {
        return err;
    }
    err = try_get(queue, &getter.item);
    if (err == -EAGAIN) {
        err = wr_task_wait(queue->sync.loop, &getter.waiter, &queue->getters);
    }
    if (err == 0) {
        *ret = getter.item;
    }
    wr_sync_unref(&queue->sync);
    return err;
}

int weir_queue_get_nowait(weir_queue *queue, void **ret)
{
    wr_require(ret, -EINVAL);
    int err = wr_loop_check(queue->sync.loop);
    if (err < 0) {
        return err;
    }
    return try_get(queue, ret);
}

size_t weir_queue_size(const weir_queue *queue)
{
    return queue->size;
}

int weir_queue_task_done(weir_queue *queue)
{
    int err = wr_loop_check(queue->sync.loop);
    if (err < 0) {
        return err;
    }
    wr_require(queue->unfinished_count > 0, -ERANGE);
    finish(queue, 1);
    return 0;
}

int weir_queue_join(weir_queue *queue)
{
    struct wr_waiter waiter = {.interrupt = NULL};
    int err = wr_sync_enter(&queue->sync);
    if (err < 0) {
        return err;
    }
    if (queue->unfinished_count > 0) {
        err = wr_task_wait(queue->sync.loop, &waiter, &queue->joiners);
    }
    wr_sync_unref(&queue->sync);
    return err;
}

void weir_queue_shutdown(weir_queue *queue, bool immediate)
{
    if (wr_loop_check(queue->sync.loop) < 0) {
        return;
    }
    if (queue->state == QUEUE_OPEN) {
        queue->state = QUEUE_SHUT;
        wr_waiters_wake_all(&queue->putters, WEIR_EQUEUESHUTDOWN);
        wr_waiters_wake_all(&queue->getters, WEIR_EQUEUESHUTDOWN);
    }
    if (immediate && queue->state == QUEUE_SHUT) {
        queue->state = QUEUE_STOPPED;
        finish(queue, queue->size);
    }
}

bool weir_queue_drain(weir_queue *queue, void **ret)
{
    if (!ret || wr_loop_check(queue->sync.loop) < 0) {
        return false;
    }
    if (queue->state == QUEUE_OPEN || queue->size == 0) {
        return false;
    }
    *ret = pop(queue);
    if (queue->state == QUEUE_SHUT) {
        finish(queue, 1); /* otherwise the shutdown has counted it */
    }
    return true;
}

void weir_queue_free(weir_queue *queue)
{
    if (!queue || wr_loop_check(queue->sync.loop) < 0) {
        return;
    }
    wr_waiters_wake_all(&queue->putters, -ECANCELED);
    wr_waiters_wake_all(&queue->getters, -ECANCELED);
    wr_waiters_wake_all(&queue->joiners, -ECANCELED);
    wr_sync_free(&queue->sync);
}
