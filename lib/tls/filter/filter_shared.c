/*
 * The common part of the filters of a loop.
 *
 * It has the account of the backend's memory, a block for plaintext on its way
 * to a protocol or into a record, and the queue of handshakes. A step of a
 * handshake takes up to a millisecond, so a loop iteration runs only a few
 * steps; the other handshakes wait in the order of arrival.
 */
#include "filter_impl.h"

#include <string.h>

#define STEPS_MAX     4u
#define SCRATCH_BYTES ((64u << 10) - sizeof(struct wr_block))

static void filter_shared_give_scratch(struct wr_filter_shared *shared)
{
    wr_assert(shared->loop);
    if (shared->scratch) {
        wr_block_give(&shared->loop->blocks, shared->scratch);
        shared->scratch = NULL;
    }
}

static uint64_t filter_shared_trim(struct wr_module *module)
{
    filter_shared_give_scratch(
        wr_container_of(module, struct wr_filter_shared, module));
    return 0;
}

_Static_assert(sizeof(struct wr_filter_shared) %
                       _Alignof(struct wr_tls_account) ==
                   0,
               "an account can lie behind it");

static size_t filter_shared_size(void)
{
    return sizeof(struct wr_filter_shared) + wr_tls_backend_get()->account_size;
}

static void filter_shared_close(struct wr_module *module)
{
    struct wr_filter_shared *shared =
        wr_container_of(module, struct wr_filter_shared, module);
    weir_loop *loop = shared->loop;

    wr_assert(wr_list_is_empty(&shared->waiting));
    wr_ready_cancel(&shared->ready);
    filter_shared_give_scratch(shared);
    wr_tls_backend_get()->account_fini(shared->account);
    wr_free(&loop->counting, shared, filter_shared_size());
}

static void filter_shared_check(const struct wr_module *module)
{
    const struct wr_filter_shared *shared =
        wr_container_of(module, struct wr_filter_shared, module);

    wr_assert(wr_list_is_empty(&shared->waiting) ||
              wr_ready_is_pending(&shared->ready));
    wr_tls_backend_get()->account_check(shared->account);
}

static const struct wr_module_ops filter_shared_ops = {
    .trim = filter_shared_trim,
    .close = filter_shared_close,
    .check = filter_shared_check};

static void filter_shared_look_at_turn(struct wr_filter_shared *shared)
{
    if (shared->turn != shared->loop->counts.turns) {
        shared->turn = shared->loop->counts.turns;
        shared->steps = 0;
    }
}

/* Lets the filters that have waited longest continue, and counts their steps
 * for this iteration. */
static void filter_shared_ready(struct wr_ready *ready)
{
    struct wr_filter_shared *shared =
        wr_container_of(ready, struct wr_filter_shared, ready);
    struct wr_list *link;

    filter_shared_look_at_turn(shared);
    while (shared->steps < STEPS_MAX &&
           (link = wr_list_pop_front(&shared->waiting))) {
        struct wr_filter *f =
            wr_container_of(link, struct wr_filter, wait_link);
        shared->steps++;
        f->may_handshake = true;
        wr_connection_push(&f->c);
    }
    if (!wr_list_is_empty(&shared->waiting)) {
        wr_ready_push(&shared->loop->ready, &shared->ready);
    }
}

struct wr_filter_shared *wr_filter_share(weir_loop *loop)
{
    struct wr_module *module = wr_loop_find_module(loop, &filter_shared_ops);

    if (module) {
        return wr_container_of(module, struct wr_filter_shared, module);
    }
    struct wr_filter_shared *shared =
        wr_alloc(&loop->counting, filter_shared_size());
    if (!shared) {
        return NULL;
    }
    memset(shared, 0, filter_shared_size());
    shared->loop = loop;
    shared->account = (void *)(shared + 1);
    wr_tls_backend_get()->account_init(shared->account, &loop->blocks);
    wr_list_init(&shared->waiting);
    wr_ready_init(&shared->ready, filter_shared_ready);
    wr_loop_add_module(loop, &shared->module, &filter_shared_ops);
    return shared;
}

struct wr_block *wr_filter_scratch(struct wr_filter *f)
{
    struct wr_filter_shared *shared = f->shared;

    wr_assert(f->c.t.is_made);
    if (!shared->scratch) {
        shared->scratch = wr_block_take(&shared->loop->blocks, SCRATCH_BYTES);
    }
    return shared->scratch;
}

struct wr_block *wr_filter_take_scratch(struct wr_filter *f)
{
    struct wr_block *block = f->shared->scratch;

    wr_assert(block);
    f->shared->scratch = NULL;
    return block;
}

bool wr_filter_may_handshake(struct wr_filter *f)
{
    struct wr_filter_shared *shared = f->shared;

    wr_assert(wr_filter_is_shaking(f));
    if (f->may_handshake) {
        f->may_handshake = false;
        return true;
    }
    if (wr_list_is_linked(&f->wait_link)) {
        return false;
    }
    filter_shared_look_at_turn(shared);
    if (shared->steps < STEPS_MAX && wr_list_is_empty(&shared->waiting)) {
        shared->steps++;
        return true;
    }
    wr_list_push_back(&shared->waiting, &f->wait_link);
    wr_ready_push(&shared->loop->ready, &shared->ready);
    return false;
}
