/*
 * Giving memory back that lies idle.
 *
 * A loop keeps what it has used: receive buffers, blocks, objects and stacks
 * that are free. Some seconds after a connection was lost it looks what of that
 * nobody uses and gives it back to the system, and weir_loop_trim() does so at
 * once. What is needed again is taken again, page by page.
 *
 * A timer is armed only by a loss, so a loop where nothing happens is not woken
 * for this a second time.
 */
#include "loop.h"

#include <malloc.h>

#define TRIM_AFTER_NS UINT64_C(4000000000)
/* From so many bytes that were freed on malloc is asked to give back as well:
 * it looks through all of the process's free memory for that. */
#define MALLOC_TRIM_BYTES (UINT64_C(1) << 20)

static uint64_t trim_parts(weir_loop *loop)
{
    uint64_t bytes = 0;

    for (struct wr_list *link = loop->parts.next; link != &loop->parts;
         link = link->next) {
        struct wr_part *part = wr_container_of(link, struct wr_part, link);
        if (part->ops->trim) {
            bytes += part->ops->trim(part);
        }
    }
    return bytes;
}

static void trim_memory(weir_loop *loop)
{
    uint64_t bytes = wr_pool_trim(&loop->pool);

    bytes += wr_slab_trim(&loop->socks);
    bytes += wr_slab_trim(&loop->chunks);
    bytes += wr_blocks_trim(&loop->blocks);
    bytes += trim_parts(loop);
#ifdef __GLIBC__
    if (bytes >= MALLOC_TRIM_BYTES &&
        loop->allocator == wr_default_allocator()) {
        wr_ignore(malloc_trim(0) == 0); /* there was nothing to give back */
    }
#endif
}

static void trim_expired(struct wr_timer *timer)
{
    trim_memory(wr_container_of(timer, weir_loop, trim_timer));
}

void wr_loop_init_trim(weir_loop *loop)
{
    wr_timer_init(&loop->trim_timer, trim_expired);
}

void wr_loop_trim_later(weir_loop *loop)
{
    if (!wr_timer_is_armed(&loop->trim_timer)) {
        wr_timer_arm(&loop->wheel, &loop->trim_timer,
                     wr_add_sat(loop->now_ns, TRIM_AFTER_NS));
    }
}

int weir_loop_trim(weir_loop *loop)
{
    int err = wr_loop_check(loop);
    if (err < 0) {
        return err;
    }
    wr_timer_cancel(&loop->wheel, &loop->trim_timer);
    trim_memory(loop);
    return 0;
}
