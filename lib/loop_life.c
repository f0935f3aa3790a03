/*
 * The life of a loop: what it is made of, and its end.
 *
 * The end is where everything has to be given back: connections, servers and
 * tasks are told to end, and turns are made until they have; then the ring
 * goes, and what is still ready runs once more. What the program keeps a handle
 * of pins the loop's memory beyond that.
 */
#include "loop_impl.h"
#include "options.h"
#include "stack.h"

#include <string.h>

#define SQ_ENTRIES_DEFAULT   512u
#define CQ_ENTRIES_DEFAULT   4096u
#define ENTRIES_MAX          32768u
#define HELD_LIMIT_DEFAULT   (64u << 20)
#define HELD_LIMIT_MIN       (1u << 20)
#define QUEUED_LIMIT_DEFAULT (64u << 20)
#define QUEUED_LIMIT_MIN     (1u << 20)
#define POST_LIMIT_DEFAULT   65536u

int wr_loop_check_slowly(const weir_loop *loop)
{
    if (wr_loop_is_forked(loop)) {
        return -ECHILD;
    }
    return *loop->owner == WR_UNBOUND || wr_loop_is_ours(loop) ? 0 : -EPERM;
}

static void *counting_alloc(void *arg, size_t size)
{
    weir_loop *loop = arg;
    void *ptr = loop->allocator->alloc(loop->allocator->arg, size);
    if (ptr) {
        loop->memory_bytes += size;
    }
    return ptr;
}

static void counting_free(void *arg, void *ptr, size_t size)
{
    weir_loop *loop = arg;
    wr_assert(loop->memory_bytes >= size);
    loop->memory_bytes -= size;
    loop->allocator->free(loop->allocator->arg, ptr, size);
}

static uint32_t round_up_pow2(uint32_t value)
{
    uint32_t result = 1;
    while (result < value) {
        result *= 2;
    }
    return result;
}

/* Leases that belong to no connection: the last one ends the loop's memory. */
static void own_released(struct wr_account *account)
{
    wr_loop_release(wr_container_of(account, weir_loop, pool.own));
}

static void init_members(weir_loop *loop, const struct weir_allocator *from)
{
    memset(loop, 0, sizeof(*loop));
    loop->allocator = from;
    loop->counting = (struct weir_allocator){
        .alloc = counting_alloc, .free = counting_free, .arg = loop};
    wr_list_init(&loop->ready);
    wr_list_init(&loop->dirty);
    wr_list_init(&loop->transports);
    wr_list_init(&loop->servers);
    wr_list_init(&loop->connects);
    wr_list_init(&loop->tasks);
    wr_list_init(&loop->parts);
    wr_list_init(&loop->gathers);
    wr_list_init(&loop->cancels);
    wr_op_init(&loop->wake_op, wr_loop_wake_completed);
    wr_ready_init(&loop->posted_ready, wr_loop_run_posted);
    wr_blocks_init(&loop->blocks, &loop->counting);
    wr_slab_init(&loop->chunks, &loop->counting, sizeof(struct wr_chunk));
    loop->send_memory = (struct wr_sendq_memory){.blocks = &loop->blocks,
                                                 .chunks = &loop->chunks};
    loop->now_ns = wr_sys_now();
    wr_wheel_init(&loop->wheel, loop->now_ns);
    wr_loop_init_trim(loop);
}

static int open_engine(weir_loop *loop, const struct weir_loop_options *options)
{
    const uint32_t sq_entries = round_up_pow2(
        options->sq_entries ? options->sq_entries : SQ_ENTRIES_DEFAULT);
    const uint32_t cq_entries = round_up_pow2(
        options->cq_entries ? options->cq_entries : CQ_ENTRIES_DEFAULT);
    const struct wr_ring_options ring_options = {
        .allocator = &loop->counting,
        .sq_entries = sq_entries,
        .cq_entries = cq_entries < 2 * sq_entries ? 2 * sq_entries : cq_entries,
    };
    int err = wr_uring_open(&loop->uring, &ring_options);
    if (err < 0) {
        return err;
    }
    const struct wr_pool_options pool_options = {
        .limit_bytes = options->held_limit_bytes ? options->held_limit_bytes
                                                 : HELD_LIMIT_DEFAULT,
        .queued_limit_bytes = options->queued_limit_bytes
                                  ? options->queued_limit_bytes
                                  : QUEUED_LIMIT_DEFAULT,
        .blocks = &loop->blocks,
    };
    err = wr_pool_init(&loop->pool, &loop->uring, &pool_options);
    if (err < 0) {
        wr_uring_close(&loop->uring);
    }
    loop->pool.own.released = own_released;
    return err;
}

static int open_parts(weir_loop *loop, const struct weir_loop_options *options)
{
    const uint32_t post_limit =
        options->post_limit ? options->post_limit : POST_LIMIT_DEFAULT;
    int err = wr_wake_open(loop->allocator, post_limit, &loop->wake);
    if (err < 0) {
        return err;
    }
    loop->owner = wr_wake_owner(loop->wake);
    wr_wake_set_thread(loop->wake, wr_this_thread());
    err = wr_callbacks_open(loop);
    if (err < 0) {
        goto fail_callbacks;
    }
    err = open_engine(loop, options);
    if (err < 0) {
        goto fail_engine;
    }
    return 0;

fail_engine:
    wr_callbacks_close(loop);
fail_callbacks:
    wr_wake_close(loop->wake); /* nobody posted yet */
    wr_wake_unref(loop->wake);
    return err;
}

int weir_loop_new(const struct weir_loop_options *options, weir_loop **ret)
{
    struct weir_loop_options known;

    wr_require(ret, -EINVAL);
    int err = wr_options_read(&known, sizeof(known), options);
    wr_require(err >= 0, err);
    wr_require(known.sq_entries <= ENTRIES_MAX, -EINVAL);
    wr_require(known.cq_entries <= 2 * ENTRIES_MAX, -EINVAL);
    wr_require(known.held_limit_bytes == 0 ||
                   known.held_limit_bytes >= HELD_LIMIT_MIN,
               -EINVAL);
    wr_require(known.queued_limit_bytes == 0 ||
                   known.queued_limit_bytes >= QUEUED_LIMIT_MIN,
               -EINVAL);
    wr_require(known.stack_size_bytes == 0 ||
                   (known.stack_size_bytes >= WR_STACK_MIN &&
                    known.stack_size_bytes <= WR_STACK_MAX),
               -EINVAL);
    const struct weir_allocator *allocator =
        known.allocator ? known.allocator : wr_default_allocator();
    wr_require(allocator->alloc && allocator->free, -EINVAL);

    weir_loop *loop = wr_alloc(allocator, sizeof(*loop));
    if (!loop) {
        return -ENOMEM;
    }
    init_members(loop, allocator);
    loop->slow_callback_ns = known.slow_callback_ns;
    loop->stack_size_bytes =
        known.stack_size_bytes ? known.stack_size_bytes : WR_STACK_DEFAULT;
    err = open_parts(loop, &known);
    if (err < 0) {
        wr_free(allocator, loop, sizeof(*loop));
        return err;
    }
    *ret = loop;
    return 0;
}

/* Tells everything in a list to end; the losses and results come from the
 * turns that follow. Returns how many there were. */
static int shut_list(struct wr_list *list)
{
    int count = 0;
    struct wr_list *link = list->next;

    while (link != list) {
        struct wr_alive *alive = wr_container_of(link, struct wr_alive, link);
        link = link->next;
        alive->ops->shutdown(alive);
        count++;
    }
    return count;
}

static bool is_anything_alive(const weir_loop *loop)
{
    return !wr_list_is_empty(&loop->servers) ||
           !wr_list_is_empty(&loop->connects) ||
           !wr_list_is_empty(&loop->tasks) ||
           !wr_list_is_empty(&loop->gathers) ||
           !wr_list_is_empty(&loop->transports);
}

void wr_loop_add_part(weir_loop *loop, struct wr_part *part,
                      const struct wr_part_ops *ops)
{
    part->ops = ops;
    wr_list_init(&part->link);
    wr_list_push_back(&loop->parts, &part->link);
}

static void stop_parts(weir_loop *loop)
{
    struct wr_list *link = loop->parts.next;

    while (link != &loop->parts) {
        struct wr_part *part = wr_container_of(link, struct wr_part, link);
        link = link->next;
        if (part->ops->stop) {
            part->ops->stop(part); /* it may leave */
        }
    }
}

static void close_parts(weir_loop *loop)
{
    struct wr_list *link;

    while ((link = wr_list_pop_front(&loop->parts))) {
        struct wr_part *part = wr_container_of(link, struct wr_part, link);
        if (part->ops->close) {
            part->ops->close(part);
        }
    }
}

static void give_up(weir_loop *loop)
{
    for (struct wr_list *link = loop->parts.next; link != &loop->parts;
         link = link->next) {
        struct wr_part *part = wr_container_of(link, struct wr_part, link);
        if (part->ops->give_up && part->ops->give_up(part)) {
            return;
        }
    }
}

/* Tasks that wait for each other in a circle, each for the other to end, would
 * keep the loop for ever. What else could wake one is in the ready queue by
 * now, or belongs to something in these lists. */
static void end_circles(weir_loop *loop)
{
    if (!wr_list_is_empty(&loop->tasks) && wr_list_is_empty(&loop->ready) &&
        wr_list_is_empty(&loop->servers) && wr_list_is_empty(&loop->connects) &&
        wr_list_is_empty(&loop->transports)) {
        give_up(loop);
    }
}

static void abandon_list(struct wr_list *list)
{
    struct wr_list *link = list->next;

    while (link != list) {
        struct wr_alive *alive = wr_container_of(link, struct wr_alive, link);
        link = link->next;
        alive->ops->abandon(alive);
    }
}

/* The ring failed for good. Once it is closed the kernel touches nothing any
 * more, and everybody is told; all there is to do then is in the ready queue.
 */
static void abandon_everything(weir_loop *loop)
{
    wr_uring_close(&loop->uring);
    for (uint32_t i = 0; i < WR_LOOP_SUBMITS_MAX && is_anything_alive(loop);
         i++) {
        abandon_list(&loop->servers);
        abandon_list(&loop->connects);
        abandon_list(&loop->transports);
        end_circles(loop);
        wr_loop_run_ready(loop);
    }
    wr_op_abandon(&loop->uring, &loop->wake_op);
    wr_signals_abandon(loop);
    wr_assert(loop->uring.ops_in_flight == 0);
}

/* Everything in the kernel ends, and is seen to end. */
static void reap_everything(weir_loop *loop)
{
    int err = 0;
    while (is_anything_alive(loop) && err == 0) {
        end_circles(loop);
        err = wr_loop_turn(loop);
    }
    wr_op_cancel(&loop->uring, &loop->wake_op);
    wr_signals_stop(loop);
    while (loop->uring.ops_in_flight > 0 && err == 0) {
        err = wr_uring_enter(&loop->uring, 1, UINT64_MAX);
        wr_ignore(wr_uring_drain(&loop->uring, UINT32_MAX));
    }
    if (err == 0) {
        err = wr_loop_submit_all(loop); /* the last closes */
    }
    if (err < 0) {
        abandon_everything(loop);
    }
}

void wr_loop_release(weir_loop *loop)
{
    if (!loop->closed || loop->running) {
        return;
    }
    loop->running = true;
    while (!wr_list_is_empty(&loop->ready)) {
        wr_loop_run_ready(loop);
    }
    loop->running = false;
    if (loop->pinned_count > 0 || loop->pool.own.lease_count > 0) {
        return;
    }
    const struct weir_allocator *allocator = loop->allocator;
    const bool empty = wr_pool_fini(&loop->pool);
    wr_assert(empty); /* leases keep their sockets */
    close_parts(loop);
    wr_slab_fini(&loop->socks);
    wr_slab_fini(&loop->chunks);
    wr_blocks_fini(&loop->blocks);
    wr_wake_unref(
        loop->wake); /* posting to a loop that has ended is an error */
    wr_assert(loop->memory_bytes == 0);
    wr_free(allocator, loop, sizeof(*loop));
}

/* The callbacks of futures that ended last. Those that go on adding some are
 * not waited for. */
static void run_callbacks(weir_loop *loop)
{
    for (uint32_t i = 0; i < WR_LOOP_SUBMITS_MAX; i++) {
        wr_loop_run_ready(loop);
    }
}

/* No more posts; what was posted and did not run is told so. */
static void drop_posted(weir_loop *loop)
{
    struct wr_wake_item *item;

    wr_wake_close(loop->wake);
    while ((item = wr_wake_pop(loop->wake))) {
        weir_callback_fn *drop = item->drop;
        void *arg = item->arg;
        wr_wake_free_item(loop->wake, item);
        if (drop) { /* an item that is not allocated may be gone with it */
            wr_loop_call(loop, drop, arg, "dropped");
        }
    }
}

/* Returns how many connections there were. */
static int end_everything(weir_loop *loop)
{
    wr_callbacks_drop(loop);
    wr_ready_cancel(&loop->posted_ready);
    wr_ignore(shut_list(&loop->servers) < 0);
    wr_ignore(shut_list(&loop->connects) < 0);
    wr_ignore(shut_list(&loop->tasks) < 0);
    wr_ignore(shut_list(&loop->gathers) < 0);
    const int alive = shut_list(&loop->transports);
    reap_everything(loop);
    drop_posted(loop);
    stop_parts(loop); /* nothing posted refers to them any more */
    run_callbacks(loop);
    return alive;
}

int weir_loop_free(weir_loop *loop)
{
    jmp_buf in_child;

    if (!loop) {
        return 0;
    }
    int err = wr_loop_check(loop);
    if (err < 0) {
        return err;
    }
    wr_require(!loop->running && !loop->closing, -EBUSY);
    err = wr_loop_bind(loop);
    if (err < 0) {
        return err;
    }

    loop->running = true; /* callbacks run in here */
    loop->closing = true;
    loop->stopping = false;
    loop->in_child = &in_child;
    if (setjmp(in_child) != 0) {
        loop->in_child = NULL;
        return -ECHILD;
    }
    const int alive = end_everything(loop);
    loop->in_child = NULL;
    wr_signals_close(loop);
    wr_callbacks_close(loop);
    wr_uring_close(&loop->uring);
    loop->running = false;
    loop->closed = true;
    loop->pool.own.tell_released = true;
    wr_loop_release(loop);
    return alive;
}
