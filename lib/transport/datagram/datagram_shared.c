/*
 * Vectors and memory that a loop's datagram transports use in turn.
 *
 * The vectors for system calls are written once; each call changes only what it
 * needs. The overflow memory for long datagrams exists while there are
 * transports.
 */
#include "datagram_impl.h"

#include <string.h>

#define OVERFLOW_BYTES (WR_SLOTS_MAX * WR_OVERFLOW_AREA)

static void datagram_shared_close(struct wr_module *module)
{
    struct wr_datagram_shared *shared =
        wr_container_of(module, struct wr_datagram_shared, module);

    wr_assert(shared->transport_count == 0);
    wr_assert(!shared->overflow);
    wr_guard_free(&shared->loop->counting, shared, sizeof(*shared));
}

static const struct wr_module_ops datagram_shared_ops = {
    .close = datagram_shared_close};

static void datagram_shared_init(struct wr_datagram_shared *shared,
                                 weir_loop *loop)
{
    wr_assert(!wr_loop_is_closed(loop));
    memset(shared, 0, sizeof(*shared));
    shared->loop = loop;
    for (uint32_t i = 0; i < WR_SLOTS_MAX; i++) {
        shared->in[i].msg_hdr.msg_iov = shared->in_iov[i];
    }
    wr_loop_add_module(loop, &shared->module, &datagram_shared_ops);
}

static struct wr_datagram_shared *datagram_shared_find(weir_loop *loop)
{
    struct wr_module *module = wr_loop_find_module(loop, &datagram_shared_ops);
    struct wr_datagram_shared *shared;

    if (module) {
        return wr_container_of(module, struct wr_datagram_shared, module);
    }
    shared = wr_guard_alloc(&loop->counting, sizeof(*shared));
    if (shared) {
        datagram_shared_init(shared, loop);
    }
    return shared;
}

struct wr_datagram_shared *wr_datagram_share(weir_loop *loop)
{
    struct wr_datagram_shared *shared = datagram_shared_find(loop);
    if (!shared) {
        return NULL;
    }
    if (!shared->overflow) {
        wr_assert(shared->transport_count == 0);
        shared->overflow = wr_guard_alloc(&loop->counting, OVERFLOW_BYTES);
    }
    if (!shared->overflow) {
        return NULL;
    }
    shared->transport_count++;
    return shared;
}

void wr_datagram_unshare(struct wr_datagram_shared *shared)
{
    wr_assert(shared->transport_count > 0);
    if (--shared->transport_count == 0) {
        wr_guard_free(&shared->loop->counting, shared->overflow,
                      OVERFLOW_BYTES);
        shared->overflow = NULL;
    }
}
