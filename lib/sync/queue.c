/*
 * Queues: tasks pass pointers to each other, a bounded number at a time.
 *
 *     open --> shut --> stopped
 *
 * A put passes its item directly to the first waiting getter. A get inserts the
 * item of the first waiting putter. So getters wait only while the queue is
 * empty, putters only while it is full, and a woken task has got or put its
 * item.
 *
 * The items are in a ring (LIFO uses one end) or, in a priority queue, in a
 * binary heap. Items of a heap are numbered in the order of the puts: if items
 * compare as equal, the lower number is returned first.
 */
#include "weir/error.h"
#include "weir/sync.h"

#include "sync.h"

enum queue_state {
    QUEUE_OPEN,
    QUEUE_SHUT,    /* refuses puts */
    QUEUE_STOPPED, /* also refuses gets */
    QUEUE_STATES,
};

/* For each state, a mask of the states that may precede it. */
static const uint8_t queue_edges[QUEUE_STATES] = {
    [QUEUE_SHUT] = 1u << QUEUE_OPEN,
    [QUEUE_STOPPED] = 1u << QUEUE_SHUT,
};

struct weir_queue {
    struct wr_sync sync;
    struct wr_list getters;
    struct wr_list putters; /* both lists: struct wr_waitable */
    struct wr_list joiners; /* struct wr_waiter */
    uint64_t unfinished_count;
    size_t maxsize;
    size_t size;
    size_t first; /* FIFO: index of the next item to get; otherwise 0 */
    enum weir_queue_order order;
    enum queue_state state;
    weir_queue_compare_fn *compare; /* NULL if this is not a priority queue */
    void *compare_arg;
    uint64_t put_count; /* number of the next item that is put into a heap */
    /* Numbers of a heap's items, in the order of the items; stored after
     * them. */
    uint64_t *numbers;
    void *items[];
};

_Static_assert(sizeof(void *) % _Alignof(uint64_t) == 0,
               "numbers can stand behind items");

static void queue_set_state(weir_queue *queue, enum queue_state state)
{
    wr_assert(queue_edges[state] & 1u << queue->state);
    queue->state = state;
}

static void queue_check_invariants(const weir_queue *queue)
{
    wr_sync_check_invariants(&queue->sync);
    wr_assert(queue->state < QUEUE_STATES);
    wr_assert(queue->size <= queue->maxsize);
    wr_assert(queue->first < queue->maxsize);
    wr_assert(queue->first == 0 || !queue->compare);
    wr_assert(!queue->compare == !queue->numbers);
    wr_assert(queue->size == 0 || wr_list_is_empty(&queue->getters));
    wr_assert(queue->size == queue->maxsize ||
              wr_list_is_empty(&queue->putters));
    wr_assert(queue->unfinished_count > 0 || wr_list_is_empty(&queue->joiners));
    wr_assert(queue->state == QUEUE_OPEN || wr_list_is_empty(&queue->putters));
}

static struct wr_waitable *queue_first_of(struct wr_list *waiters)
{
    return wr_list_is_empty(waiters)
               ? NULL
               : wr_container_of(waiters->next, struct wr_waitable,
                                 waiter.link);
}

static bool queue_is_before(const weir_queue *queue, size_t a, size_t b)
{
    wr_assert(queue->numbers[a] != queue->numbers[b]);
    const int order =
        queue->compare(queue->compare_arg, queue->items[a], queue->items[b]);
    return order < 0 || (order == 0 && queue->numbers[a] < queue->numbers[b]);
}

static void queue_swap(weir_queue *queue, size_t a, size_t b)
{
    void *item = queue->items[a];
    const uint64_t number = queue->numbers[a];

    wr_assert(a != b);
    queue->items[a] = queue->items[b];
    queue->numbers[a] = queue->numbers[b];
    queue->items[b] = item;
    queue->numbers[b] = number;
}

static void queue_rise(weir_queue *queue)
{
    size_t idx = queue->size - 1;

    wr_assert(queue->size > 0);
    queue->numbers[idx] = queue->put_count++;
    while (idx > 0 && queue_is_before(queue, idx, (idx - 1) / 2)) {
        queue_swap(queue, idx, (idx - 1) / 2);
        idx = (idx - 1) / 2;
    }
}

static void queue_sink_first(weir_queue *queue)
{
    const size_t last = queue->size - 1;
    size_t idx = 0;

    wr_assert(queue->size > 0);
    if (last == 0) {
        return;
    }
    queue_swap(queue, 0, last);
    for (size_t next = 1; next < last; next = 2 * idx + 1) {
        if (next + 1 < last && queue_is_before(queue, next + 1, next)) {
            next++;
        }
        if (!queue_is_before(queue, next, idx)) {
            return;
        }
        queue_swap(queue, next, idx);
        idx = next;
    }
}

/* @sort calls the program's comparison, which must not suspend. */
static void queue_order(weir_queue *queue, void (*sort)(weir_queue *queue))
{
    weir_loop *loop = queue->sync.loop;

    wr_assert(queue->compare);
    weir_task *task = wr_loop_begin_callback(loop);
    sort(queue);
    wr_loop_end_callback(loop, task);
}

static void queue_push(weir_queue *queue, void *item)
{
    size_t idx = queue->first + queue->size;

    wr_assert(queue->size < queue->maxsize);
    if (idx >= queue->maxsize) {
        idx -= queue->maxsize;
    }
    queue->items[idx] = item;
    queue->size++;
    if (queue->compare) {
        queue_order(queue, queue_rise);
    }
}

static void *queue_pop(weir_queue *queue)
{
    wr_assert(queue->size > 0);
    if (queue->compare) {
        queue_order(queue, queue_sink_first);
    }
    queue->size--;
    if (queue->order == WEIR_QUEUE_LIFO || queue->compare) {
        return queue->items[queue->size];
    }
    void *item = queue->items[queue->first];
    queue->first++;
    if (queue->first == queue->maxsize) {
        queue->first = 0;
    }
    return item;
}

static void queue_put_now(weir_queue *queue, void *item)
{
    struct wr_waitable *getter = queue_first_of(&queue->getters);

    wr_assert(queue->state == QUEUE_OPEN);
    queue->unfinished_count++;
    if (getter) {
        wr_assert(queue->size == 0);
        wr_debug_assert(getter->object == queue);
        getter->item = item;
        wr_waiter_wake(&getter->waiter, 0);
    } else {
        queue_push(queue, item);
    }
}

WEIR_MUST_USE static int queue_try_put(weir_queue *queue, void *item)
{
    queue_check_invariants(queue);
    wr_require(queue->state == QUEUE_OPEN, WEIR_EQUEUESHUTDOWN);
    wr_require(queue->size < queue->maxsize, -EAGAIN);
    queue_put_now(queue, item);
    return 0;
}

WEIR_MUST_USE static int queue_try_get(weir_queue *queue, void **ret)
{
    queue_check_invariants(queue);
    wr_require(queue->state != QUEUE_STOPPED, WEIR_EQUEUESHUTDOWN);
    if (queue->size == 0) {
        return queue->state == QUEUE_OPEN ? -EAGAIN : WEIR_EQUEUESHUTDOWN;
    }
    *ret = queue_pop(queue);
    struct wr_waitable *putter = queue_first_of(&queue->putters);
    if (putter) {
        wr_assert(queue->state == QUEUE_OPEN);
        wr_debug_assert(putter->object == queue);
        queue_put_now(queue, putter->item);
        wr_waiter_wake(&putter->waiter, 0);
    }
    queue_check_invariants(queue);
    return 0;
}

static void queue_finish(weir_queue *queue, uint64_t count)
{
    queue->unfinished_count -= wr_min_u64(count, queue->unfinished_count);
    if (queue->unfinished_count == 0) {
        wr_waiters_wake_all(&queue->joiners, 0);
    }
}

WEIR_MUST_USE static int queue_make(weir_loop *loop, size_t maxsize,
                                    size_t item_size, weir_queue **ret)
{
    const size_t most = (SIZE_MAX / 2 - sizeof(weir_queue)) / item_size;
    struct wr_sync *sync;

    wr_assert(item_size >= sizeof(void *));
    wr_require(maxsize > 0, -EINVAL);
    wr_require(maxsize <= most, -ENOMEM);
    int err =
        wr_sync_new(loop, sizeof(weir_queue) + maxsize * item_size, &sync);
    if (err < 0) {
        return err;
    }
    weir_queue *queue = wr_container_of(sync, weir_queue, sync);
    wr_list_init(&queue->getters);
    wr_list_init(&queue->putters);
    wr_list_init(&queue->joiners);
    queue->maxsize = maxsize;
    *ret = queue;
    return 0;
}

int weir_queue_new(weir_loop *loop, size_t maxsize, enum weir_queue_order order,
                   weir_queue **ret)
{
    weir_queue *queue;

    wr_require(ret, -EINVAL);
    wr_require(order == WEIR_QUEUE_FIFO || order == WEIR_QUEUE_LIFO, -EINVAL);
    int err = queue_make(loop, maxsize, sizeof(void *), &queue);
    if (err < 0) {
        return err;
    }
    queue->order = order;
    *ret = queue;
    return 0;
}

int weir_priority_queue_new(weir_loop *loop, size_t maxsize,
                            weir_queue_compare_fn *compare, void *arg,
                            weir_queue **ret)
{
    weir_queue *queue;

    wr_require(ret, -EINVAL);
    wr_require(compare, -EINVAL);
    int err =
        queue_make(loop, maxsize, sizeof(void *) + sizeof(uint64_t), &queue);
    if (err < 0) {
        return err;
    }
    queue->compare = compare;
    queue->compare_arg = arg;
    queue->numbers = (uint64_t *)(void *)&queue->items[maxsize];
    *ret = queue;
    return 0;
}

static bool queue_attempt_put(struct wr_waitable *putter)
{
    const weir_queue *queue = putter->object;

    putter->result = queue_try_put(putter->object, putter->item);
    wr_assert(putter->result != -EAGAIN || queue->size == queue->maxsize);
    return putter->result != -EAGAIN;
}

static const struct wr_sync_call queue_put = {
    .ops = {WR_SYNC_OPS, .kind = {.name = "queue put"}},
    .attempt = queue_attempt_put,
    .line = offsetof(weir_queue, putters)};

WR_SYNC_WHOLE int weir_queue_put(weir_queue *queue, void *item)
{
    return wr_sync_wait(&queue_put, &queue->sync, item, NULL);
}

struct weir_waitable weir_waitable_queue_put(weir_queue *queue, void *item)
{
    struct wr_waitable putter =
        wr_sync_waitable(&queue_put, queue ? &queue->sync : NULL);
    putter.item = item;
    return wr_waitable_give(&putter);
}

int weir_queue_put_nowait(weir_queue *queue, void *item)
{
    int err = wr_loop_check(queue->sync.loop);
    wr_require(err >= 0, err);
    return queue_try_put(queue, item);
}

static bool queue_attempt_get(struct wr_waitable *getter)
{
    const weir_queue *queue = getter->object;

    getter->result = queue_try_get(getter->object, getter->ret);
    wr_assert(getter->result != -EAGAIN || queue->size == 0);
    return getter->result != -EAGAIN;
}

static int queue_got(struct wr_waitable *getter, int result)
{
    wr_assert(result <= 0);
    if (result == 0) {
        *getter->ret = getter->item;
    }
    return result;
}

static const struct wr_sync_call queue_get = {
    .ops = {WR_SYNC_OPS, .kind = {.name = "queue get"}, .woken = queue_got},
    .attempt = queue_attempt_get,
    .line = offsetof(weir_queue, getters)};

WR_SYNC_WHOLE int weir_queue_get(weir_queue *queue, void **ret)
{
    wr_require(ret, -EINVAL);
    return wr_sync_wait(&queue_get, &queue->sync, NULL, ret);
}

struct weir_waitable weir_waitable_queue_get(weir_queue *queue, void **ret)
{
    struct wr_waitable getter =
        wr_sync_waitable(&queue_get, queue && ret ? &queue->sync : NULL);
    getter.ret = ret;
    return wr_waitable_give(&getter);
}

int weir_queue_get_nowait(weir_queue *queue, void **ret)
{
    wr_require(ret, -EINVAL);
    int err = wr_loop_check(queue->sync.loop);
    wr_require(err >= 0, err);
    return queue_try_get(queue, ret);
}

size_t weir_queue_get_size(const weir_queue *queue)
{
    return queue->size;
}

int weir_queue_task_done(weir_queue *queue)
{
    int err = wr_loop_check(queue->sync.loop);
    wr_require(err >= 0, err);
    queue_check_invariants(queue);
    wr_require(queue->unfinished_count > 0, -ERANGE);
    queue_finish(queue, 1);
    return 0;
}

static bool queue_attempt_join(struct wr_waitable *joiner)
{
    const weir_queue *queue = joiner->object;

    queue_check_invariants(queue);
    joiner->result = 0;
    return queue->unfinished_count == 0;
}

static const struct wr_sync_call queue_join = {
    .ops = {WR_SYNC_OPS, .kind = {.name = "queue join"}},
    .attempt = queue_attempt_join,
    .line = offsetof(weir_queue, joiners)};

WR_SYNC_WHOLE int weir_queue_join(weir_queue *queue)
{
    return wr_sync_wait(&queue_join, &queue->sync, NULL, NULL);
}

static void queue_shutdown(weir_queue *queue, bool immediate)
{
    queue_check_invariants(queue);
    if (queue->state == QUEUE_OPEN) {
        queue_set_state(queue, QUEUE_SHUT);
        wr_waiters_wake_all(&queue->putters, WEIR_EQUEUESHUTDOWN);
        wr_waiters_wake_all(&queue->getters, WEIR_EQUEUESHUTDOWN);
    }
    if (immediate && queue->state == QUEUE_SHUT) {
        queue_set_state(queue, QUEUE_STOPPED);
        queue_finish(queue, queue->size);
    }
    queue_check_invariants(queue);
}

void weir_queue_shutdown(weir_queue *queue)
{
    if (wr_loop_admits(queue->sync.loop)) {
        queue_shutdown(queue, false);
    }
}

void weir_queue_shutdown_immediate(weir_queue *queue)
{
    if (wr_loop_admits(queue->sync.loop)) {
        queue_shutdown(queue, true);
    }
}

bool weir_queue_take_left(weir_queue *queue, void **ret)
{
    if (!ret || wr_loop_check(queue->sync.loop) < 0) {
        return false;
    }
    queue_check_invariants(queue);
    if (queue->state == QUEUE_OPEN || queue->size == 0) {
        return false;
    }
    *ret = queue_pop(queue);
    if (queue->state == QUEUE_SHUT) {
        queue_finish(queue, 1); /* a stop has already counted all items */
    }
    return true;
}

void weir_queue_free(weir_queue *queue)
{
    if (!queue || !wr_loop_admits(queue->sync.loop)) {
        return;
    }
    queue_check_invariants(queue);
    wr_waiters_wake_all(&queue->putters, -ECANCELED);
    wr_waiters_wake_all(&queue->getters, -ECANCELED);
    wr_waiters_wake_all(&queue->joiners, -ECANCELED);
    wr_sync_free(&queue->sync);
}
