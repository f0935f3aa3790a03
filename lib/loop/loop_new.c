/*
 * Makes a loop: its options, its memory, its engine and its first modules.
 *
 * A loop's allocations, except the loop itself, its mailbox and posts, are
 * counted here and passed to the program's allocator.
 */
#include "lib/base/options.h"
#include "loop_impl.h"

#include <string.h>

#define SQ_ENTRIES_DEFAULT   512u
#define CQ_ENTRIES_DEFAULT   4096u
#define ENTRIES_MAX          32768u
#define HELD_LIMIT_DEFAULT   (64u << 20)
#define HELD_LIMIT_MIN       (1u << 20)
#define QUEUED_LIMIT_DEFAULT (64u << 20)
#define QUEUED_LIMIT_MIN     (1u << 20)
#define POST_LIMIT_DEFAULT   65536u

_Static_assert((int)WR_ENGINE_AUTO == (int)WEIR_ENGINE_AUTO, "the same values");
_Static_assert((int)WR_ENGINE_URING == (int)WEIR_ENGINE_URING, "the same");
_Static_assert((int)WR_ENGINE_POLL == (int)WEIR_ENGINE_POLL, "the same");

static void *loop_new_counting_alloc(void *arg, size_t size)
{
    weir_loop *loop = arg;
    void *ptr = loop->allocator->alloc(loop->allocator->arg, size);
    if (ptr) {
        loop->memory_bytes += size;
    }
    return ptr;
}

static void loop_new_counting_free(void *arg, void *ptr, size_t size)
{
    weir_loop *loop = arg;
    wr_assert(loop->memory_bytes >= size);
    loop->memory_bytes -= size;
    loop->allocator->free(loop->allocator->arg, ptr, size);
}

static uint32_t loop_new_round_up_pow2(uint32_t value)
{
    uint32_t result = 1;

    wr_assert(value <= 2 * ENTRIES_MAX);
    while (result < value) {
        result *= 2;
    }
    return result;
}

/* The last lease without a connection may have pinned the loop's memory. */
static void loop_new_own_released(struct wr_account *account)
{
    wr_loop_release(wr_container_of(account, weir_loop, pool.own));
}

static const struct wr_account_ops loop_new_own_ops = {
    .released = loop_new_own_released};

/* For feed_again and stop_told, which matter only while they are queued. */
static void loop_new_do_nothing(struct wr_ready *ready)
{
    wr_assert(!wr_ready_is_pending(ready));
}

/* Called before the operation has completed. The exception hook, which may free
 * the operation's owner, is called later in the iteration. */
static void loop_new_lacks_worker(struct wr_uring *uring)
{
    wr_notices_add(wr_container_of(uring, weir_loop, uring),
                   WR_NOTICE_OF_THREADS);
}

static void loop_new_init_members(weir_loop *loop,
                                  const struct weir_allocator *from)
{
    memset(loop, 0, sizeof(*loop));
    loop->allocator = from;
    loop->counting = (struct weir_allocator){.alloc = loop_new_counting_alloc,
                                             .free = loop_new_counting_free,
                                             .arg = loop};
    wr_list_init(&loop->ready);
    wr_notices_init(loop);
    wr_ready_init(&loop->feed_again, loop_new_do_nothing);
    wr_ready_init(&loop->stop_told, loop_new_do_nothing);
    wr_list_init(&loop->turn_ends);
    wr_list_init(&loop->before_ends);
    wr_moves_init(&loop->moves);
    for (uint32_t stage = 0; stage < WR_STAGES; stage++) {
        wr_list_init(&loop->members[stage]);
    }
    wr_list_init(&loop->modules);
    wr_list_init(&loop->cancels);
    wr_list_init(&loop->stop_waiters);
    wr_blocks_init(&loop->blocks, &loop->counting);
    wr_slab_init(&loop->chunks, &loop->counting, sizeof(struct wr_chunk));
    loop->send_memory = (struct wr_sendq_memory){.blocks = &loop->blocks,
                                                 .chunks = &loop->chunks};
    loop->now_ns = wr_sys_now();
    wr_wheel_init(&loop->wheel, loop->now_ns);
    wr_loop_set_calls(loop, false);
    wr_loop_init_trim(loop);
    wr_alarm_init(loop);
    wr_host_open(loop);
}

WEIR_MUST_USE static int
loop_new_open_engine(weir_loop *loop, const struct weir_loop_options *options)
{
    const uint32_t sq_entries = loop_new_round_up_pow2(
        options->sq_entries ? options->sq_entries : SQ_ENTRIES_DEFAULT);
    const uint32_t cq_entries = loop_new_round_up_pow2(
        options->cq_entries ? options->cq_entries : CQ_ENTRIES_DEFAULT);
    const struct wr_ring_options ring_options = {
        .allocator = &loop->counting,
        .sq_entries = sq_entries,
        .cq_entries = cq_entries < 2 * sq_entries ? 2 * sq_entries : cq_entries,
        .buf_entries = WR_POOL_RING_ENTRIES,
        .engine = (enum wr_engine_kind)options->engine,
    };
    int err = wr_uring_open(&loop->uring, &ring_options);
    if (err < 0) {
        return err;
    }
    loop->uring.lacks_worker = loop_new_lacks_worker;
    if (loop->uring.features.refusal < 0) {
        wr_notices_add(loop, WR_NOTICE_OF_ENGINE);
    }
    const uint64_t held_limit_bytes = options->held_limit_bytes
                                          ? options->held_limit_bytes
                                          : HELD_LIMIT_DEFAULT;
    const uint64_t queued_limit_bytes = options->queued_limit_bytes
                                            ? options->queued_limit_bytes
                                            : QUEUED_LIMIT_DEFAULT;
    wr_budget_init(&loop->budget, &loop->pool, held_limit_bytes,
                   queued_limit_bytes);
    err = wr_pool_init(&loop->pool, &loop->uring, held_limit_bytes,
                       &loop->blocks);
    if (err < 0) {
        wr_uring_close(&loop->uring);
    }
    loop->pool.own.ops = &loop_new_own_ops;
    return err;
}

WEIR_MUST_USE static int loop_new_open(weir_loop *loop,
                                       const struct weir_loop_options *options)
{
    int err = wr_posts_open(loop, options->post_limit ? options->post_limit
                                                      : POST_LIMIT_DEFAULT);
    if (err < 0) {
        return err;
    }
    err = wr_callbacks_open(loop);
    if (err == 0) {
        err = loop_new_open_engine(loop, options);
    }
    if (err < 0) {
        wr_loop_close_modules(loop);
        wr_wake_close(loop->wake); /* nothing was posted yet */
        wr_wake_unref(loop->wake);
    }
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
    wr_require((unsigned int)known.engine <= WEIR_ENGINE_POLL, -EINVAL);
    wr_require(wr_options_is_stack_size(known.stack_size_bytes), -EINVAL);
    const struct weir_allocator *allocator =
        known.allocator ? known.allocator : wr_default_allocator();
    wr_require(allocator->alloc && allocator->free, -EINVAL);

    weir_loop *loop = wr_alloc(allocator, sizeof(*loop));
    if (!loop) {
        return -ENOMEM;
    }
    loop_new_init_members(loop, allocator);
    loop->slow_callback_ns = known.slow_callback_ns;
    loop->stack_size_bytes =
        known.stack_size_bytes ? known.stack_size_bytes : WR_STACK_DEFAULT;
    err = loop_new_open(loop, &known);
    if (err < 0) {
        wr_free(allocator, loop, sizeof(*loop));
        return err;
    }
    *ret = loop;
    return 0;
}

enum weir_engine weir_loop_get_engine(const weir_loop *loop, int *ret_reason)
{
    const struct wr_features *features = &loop->uring.features;

    wr_assert(features->engine != WR_ENGINE_AUTO);
    wr_assert(features->refusal <= 0);
    if (ret_reason) {
        *ret_reason = features->refusal;
    }
    return (enum weir_engine)features->engine;
}
