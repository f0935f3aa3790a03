/*
 * Semaphores: a count of permits that tasks acquire.
 *
 * A permit that is released while tasks wait goes directly to the first waiter,
 * so `value` is above 0 only while no task waits. A task that takes a permit
 * while woken tasks have not run yields to them, so that tasks continue in the
 * order of their requests.
 */
#include "weir/sync.h"

#include "sync.h"

struct weir_semaphore {
    struct wr_sync sync;
    uint64_t value;
    uint64_t limit; /* maximum of value; UINT64_MAX if not bounded */
    struct wr_list waiters;
    uint64_t granted_count; /* tasks that got a permit and have not run since */
};

static void semaphore_check_invariants(const weir_semaphore *semaphore)
{
    wr_sync_check_invariants(&semaphore->sync);
    wr_assert(semaphore->value <= semaphore->limit);
    wr_assert(semaphore->value == 0 || wr_list_is_empty(&semaphore->waiters));
}

static int semaphore_new(weir_loop *loop, uint64_t value, uint64_t limit,
                         weir_semaphore **ret)
{
    struct wr_sync *sync;
    wr_require(ret, -EINVAL);
    int err = wr_sync_new(loop, sizeof(weir_semaphore), &sync);
    if (err < 0) {
        return err;
    }
    weir_semaphore *semaphore = wr_container_of(sync, weir_semaphore, sync);
    wr_list_init(&semaphore->waiters);
    semaphore->value = value;
    semaphore->limit = limit;
    *ret = semaphore;
    return 0;
}

int weir_semaphore_new(weir_loop *loop, uint64_t value, weir_semaphore **ret)
{
    return semaphore_new(loop, value, UINT64_MAX, ret);
}

int weir_bounded_semaphore_new(weir_loop *loop, uint64_t value,
                               weir_semaphore **ret)
{
    return semaphore_new(loop, value, value, ret);
}

static bool semaphore_take_one(weir_semaphore *semaphore)
{
    if (semaphore->value == 0) {
        return false;
    }
    wr_assert(semaphore->value <= semaphore->limit);
    semaphore->value--;
    return true;
}

static bool semaphore_attempt(struct wr_waitable *what)
{
    weir_semaphore *semaphore = what->object;

    semaphore_check_invariants(semaphore);
    if (!semaphore_take_one(semaphore)) {
        return false;
    }
    if (semaphore->granted_count > 0) {
        semaphore->granted_count++;
        wr_task_yield(semaphore->sync.loop);
        wr_assert(semaphore->granted_count > 0);
        semaphore->granted_count--;
    }
    what->result = 0;
    return true;
}

static int semaphore_woken(struct wr_waitable *what, int result)
{
    weir_semaphore *semaphore = what->object;

    wr_assert(result < 0 || semaphore->granted_count > 0);
    semaphore->granted_count -= result == 0;
    return result;
}

static const struct wr_sync_call semaphore_acquire = {
    .ops = {WR_SYNC_OPS, .kind = {.name = "semaphore"},
            .woken = semaphore_woken},
    .attempt = semaphore_attempt,
    .line = offsetof(weir_semaphore, waiters)};

WR_SYNC_WHOLE int weir_semaphore_acquire(weir_semaphore *semaphore)
{
    return wr_sync_wait(&semaphore_acquire, &semaphore->sync, NULL, NULL);
}

struct weir_waitable weir_waitable_semaphore(weir_semaphore *semaphore)
{
    struct wr_waitable what = wr_sync_waitable(
        &semaphore_acquire, semaphore ? &semaphore->sync : NULL);
    return wr_waitable_give(&what);
}

int weir_semaphore_acquire_nowait(weir_semaphore *semaphore)
{
    int err = wr_loop_check(semaphore->sync.loop);
    wr_require(err >= 0, err);
    semaphore_check_invariants(semaphore);
    return semaphore_take_one(semaphore) ? 0 : -EBUSY;
}

int weir_semaphore_release(weir_semaphore *semaphore)
{
    int err = wr_loop_check(semaphore->sync.loop);
    wr_require(err >= 0, err);
    semaphore_check_invariants(semaphore);
    wr_require(semaphore->value < semaphore->limit, -ERANGE);
    if (wr_waiters_wake_first(&semaphore->waiters, 0)) {
        wr_assert(semaphore->value == 0);
        semaphore->granted_count++;
    } else {
        semaphore->value++;
    }
    semaphore_check_invariants(semaphore);
    return 0;
}

uint64_t weir_semaphore_get_value(const weir_semaphore *semaphore)
{
    return semaphore->value;
}

void weir_semaphore_free(weir_semaphore *semaphore)
{
    if (!semaphore || !wr_loop_admits(semaphore->sync.loop)) {
        return;
    }
    semaphore_check_invariants(semaphore);
    wr_waiters_wake_all(&semaphore->waiters, -ECANCELED);
    wr_sync_free(&semaphore->sync);
}
