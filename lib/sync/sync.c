/*
 * Allocating and freeing the objects that tasks wait on (sync.h). The last
 * reference frees an object's memory and unpins its loop. The file of each kind
 * of object decides when a wait ends.
 */
#include "sync.h"

#include <string.h>

void wr_sync_check_invariants(const struct wr_sync *sync)
{
    wr_assert(sync->refs > 0);
    wr_assert(sync->size > sizeof(struct wr_sync));
    wr_debug_assert(sync->loop->pin_count > 0);
}

int wr_sync_new(weir_loop *loop, size_t size, struct wr_sync **ret)
{
    int err = wr_loop_check(loop);
    wr_require(err >= 0, err);
    wr_assert(size >= sizeof(struct wr_sync));
    struct wr_sync *sync = wr_alloc(&loop->counting, size);
    wr_require(sync, -ENOMEM);

    memset(sync, 0, size);
    sync->loop = loop;
    sync->size = size;
    sync->refs = 1;
    wr_loop_pin(loop);
    *ret = sync;
    return 0;
}

void wr_sync_ref(struct wr_sync *sync)
{
    wr_assert(sync->refs > 0);
    sync->refs++;
}

void wr_sync_unref(struct wr_sync *sync)
{
    weir_loop *loop = sync->loop;

    wr_assert(sync->refs > 0);
    sync->refs--;
    if (sync->refs > 0) {
        return;
    }
    wr_assert(sync->is_freed);
    wr_free(&loop->counting, sync, sync->size);
    wr_loop_unpin(loop);
}

void wr_sync_free(struct wr_sync *sync)
{
    wr_sync_check_invariants(sync);
    wr_assert(!sync->is_freed);
    sync->is_freed = true;
    wr_sync_unref(sync);
}

int wr_sync_enter(struct wr_sync *sync)
{
    /* Writes nothing before this check: the caller may be another thread. */
    int err = wr_loop_check(sync->loop);
    wr_require(err >= 0, err);
    wr_sync_check_invariants(sync);
    if (wr_task_try_enter(sync->loop)) {
        wr_sync_ref(sync);
        return 0;
    }
    /* wr_task_enter_slowly() may park an interrupted task and then never
     * returns, so the call takes no reference. */
    if (sync->loop->current && wr_task_is_interrupted(sync->loop->current)) {
        return wr_task_enter_slowly(sync->loop);
    }
    wr_sync_ref(sync);
    err = wr_task_enter_slowly(sync->loop);
    if (err == 0 && sync->is_freed) {
        err = -ECANCELED;
    }
    if (err < 0) {
        wr_sync_unref(sync);
    }
    return err;
}

static const struct wr_sync_call *sync_call_of(const struct wr_waitable *what)
{
    wr_assert(what->ops->attempt == wr_sync_attempt);
    return wr_container_of(what->ops, const struct wr_sync_call, ops);
}

bool wr_sync_attempt(struct wr_waitable *what)
{
    const struct wr_sync *sync = what->object;

    wr_assert(sync->refs > 0); /* of the caller */
    /* Freed by another task during the wait. */
    if (sync->is_freed) {
        what->result = -ECANCELED;
        return true;
    }
    return sync_call_of(what)->attempt(what);
}

void wr_sync_stand(struct wr_waitable *what)
{
    struct wr_sync *sync = what->object;

    wr_assert(!sync->is_freed);
    wr_assert(!wr_list_is_linked(&what->waiter.link));
    wr_list_push_back(wr_sync_line(sync_call_of(what), sync),
                      &what->waiter.link);
}

void wr_sync_ref_object(void *object)
{
    wr_assert(object != NULL);
    wr_sync_ref(object);
}

void wr_sync_unref_object(void *object)
{
    wr_assert(object != NULL);
    wr_sync_unref(object);
}
