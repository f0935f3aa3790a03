/*
 * The first worker decides by the number of its own connections, and trims for
 * the whole process. It waits until the loops of all workers have freed their
 * memory, because the C library can return only freed memory.
 */
#include "trimming.h"

#ifdef __GLIBC__
#include <malloc.h>
#endif

/* Trims if the peak was at least CROWD and at most 1 / LEFT_DIVISOR is left. */
#define CROWD        256u
#define LEFT_DIVISOR 4u
/* Time in which loops free the memory of ended connections. */
#define AFTER_NS UINT64_C(10000000000)
#define APART_NS UINT64_C(60000000000)

static bool has_gone(const struct trimming *trimming)
{
    return trimming->peak >= CROWD &&
           trimming->count <= trimming->peak / LEFT_DIVISOR;
}

static void trim(void *arg)
{
    struct worker *worker = arg;
    struct trimming *trimming = &worker->trimming;

    trimming->is_due = false;
    if (!has_gone(trimming)) {
        return; /* new connections have started meanwhile */
    }
    trimming->last_ns = weir_loop_get_time(worker->loop);
    trimming->peak = trimming->count;
#ifdef __GLIBC__
    (void)malloc_trim(0); /* 0 means that there was nothing to return */
#endif
}

void trimming_enter(struct worker *worker)
{
    struct trimming *trimming = &worker->trimming;

    trimming->count++;
    if (trimming->count > trimming->peak) {
        trimming->peak = trimming->count;
    }
}

void trimming_leave(struct worker *worker)
{
    struct trimming *trimming = &worker->trimming;

    trimming->count--;
    if (trimming->is_due || !has_gone(trimming) ||
        worker != worker->proxy->workers) {
        return;
    }
    const uint64_t now_ns = weir_loop_get_time(worker->loop);
    const uint64_t next_ns =
        trimming->last_ns > 0 ? trimming->last_ns + APART_NS : 0;
    const uint64_t after_ns =
        next_ns > now_ns + AFTER_NS ? next_ns - now_ns : AFTER_NS;

    /* If out of memory, the next connection that ends tries again. */
    trimming->is_due =
        weir_loop_call_later(worker->loop, after_ns, trim, worker, NULL) == 0;
}
