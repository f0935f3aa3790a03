/*
 * The first worker decides by its own connections, which are a share of all,
 * and asks for the whole process. It waits until the loops of all workers have
 * freed what connections needed, as the C library can give nothing else back.
 */
#include "trimming.h"

#ifdef __GLIBC__
#include <malloc.h>
#endif

/* A crowd; and when no more than a part of it is left. */
#define CROWD        256u
#define LEFT_DIVISOR 4u
/* Loops have given their memory back by then. */
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
        return; /* others have come meanwhile */
    }
    trimming->last_ns = weir_loop_get_time(worker->loop);
    trimming->peak = trimming->count;
#ifdef __GLIBC__
    (void)malloc_trim(0); /* 0: there was nothing to give back */
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

    /* Without memory the next end asks again. */
    trimming->is_due =
        weir_loop_call_later(worker->loop, after_ns, trim, worker, NULL) == 0;
}
