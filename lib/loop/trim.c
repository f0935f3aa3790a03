/*
 * Trimming: returns idle memory to the system.
 *
 * A loop keeps free receive buffers, blocks, objects and stacks for reuse. It
 * frees them some seconds after wr_loop_trim_later() was called: a connection
 * was lost, one of many tasks ended, or a relayed connection's sends stalled.
 * Only these events arm the timer, so that an idle loop is not woken
 * repeatedly. After another event in the meantime the timer is armed once more,
 * as memory used until then becomes idle later.
 */
#include "loop_impl.h"

#include <malloc.h>

#define TRIM_AFTER_NS UINT64_C(4000000000)
/* weir_loop_trim() calls malloc_trim() too if it has freed this much. The timer
 * never does, because malloc_trim() searches all free memory of the process: 10
 * to 70 ms with 400 MB of heap. */
#define MALLOC_TRIM_BYTES (UINT64_C(1) << 20)

static uint64_t trim_modules(weir_loop *loop)
{
    uint64_t bytes = 0;

    for (struct wr_list *link = loop->modules.next; link != &loop->modules;
         link = link->next) {
        struct wr_module *module =
            wr_container_of(link, struct wr_module, link);
        if (module->ops->trim) {
            bytes += module->ops->trim(module);
        }
    }
    return bytes;
}

static uint64_t trim_memory(weir_loop *loop)
{
    const uint64_t memory_bytes = loop->memory_bytes;
    uint64_t bytes = wr_pool_trim(&loop->pool);

    bytes += wr_ring_trim(loop->uring.ring);
    bytes += wr_slab_trim(&loop->socks);
    bytes += wr_slab_trim(&loop->clocks);
    bytes += wr_slab_trim(&loop->chunks);
    bytes += wr_blocks_trim(&loop->blocks);
    bytes += trim_modules(loop);
    wr_assert(loop->memory_bytes <= memory_bytes);
    return bytes;
}

void wr_loop_trim_later(weir_loop *loop)
{
    if (wr_timer_is_armed(&loop->trim_timer)) {
        loop->trims_again = true;
    } else {
        wr_timer_arm(&loop->wheel, &loop->trim_timer,
                     wr_add_sat(loop->now_ns, TRIM_AFTER_NS));
    }
}

static void trim_expired(struct wr_timer *timer)
{
    weir_loop *loop = wr_container_of(timer, weir_loop, trim_timer);

    wr_assert(!wr_timer_is_armed(timer));
    wr_assert(loop->state == WR_LOOP_RUNNING || loop->state == WR_LOOP_CLOSING);
    wr_ignore(trim_memory(loop) == 0);
    if (loop->trims_again) {
        loop->trims_again = false;
        wr_loop_trim_later(loop);
    }
}

void wr_loop_init_trim(weir_loop *loop)
{
    wr_timer_init(&loop->trim_timer, trim_expired);
}

int weir_loop_trim(weir_loop *loop)
{
    wr_require_loop(loop);
    wr_timer_cancel(&loop->wheel, &loop->trim_timer);
    loop->trims_again = false;
    const uint64_t bytes = trim_memory(loop);
    (void)bytes;
#ifdef __GLIBC__
    if (bytes >= MALLOC_TRIM_BYTES &&
        loop->allocator == wr_default_allocator()) {
        wr_ignore(malloc_trim(0) == 0); /* 0 means that nothing was free */
    }
#endif
    return 0;
}
