/*
 * Chooses the engine of a ring, and passes calls on to it.
 *
 * The automatic choice is io_uring if the kernel allows the ring, its provided
 * buffers and all calls that a loop makes later; else epoll.
 */
#include "ring.h"

#include "../include/weir/error.h"
#include "check.h"
#include "engine.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int ring_engine_of_environment(void)
{
    static const char *const names[] = {
        [WR_ENGINE_AUTO] = "auto",
        [WR_ENGINE_URING] = "uring",
        [WR_ENGINE_POLL] = "poll",
    };
    const char *name = secure_getenv("WEIR_ENGINE");
    if (!name || name[0] == '\0') {
        return WR_ENGINE_AUTO;
    }
    for (int i = 0; i < (int)(sizeof(names) / sizeof(names[0])); i++) {
        if (strcmp(name, names[i]) == 0) {
            return i;
        }
    }
    return -EINVAL;
}

static int ring_open_whole(const struct wr_engine *engine,
                           const struct wr_ring_options *options,
                           struct wr_ring **ret,
                           struct wr_features *ret_features)
{
    const uint32_t entries = options->buf_entries;
    struct wr_ring *ring = NULL;

    wr_assert((entries & (entries - 1)) == 0);
    int err = engine->open(options, &ring, ret_features);
    wr_require(err >= 0, err);
    wr_assert(ring->engine == engine);
    wr_features_reduce(ret_features);
    if (entries > 0) {
        err = engine->setup_buffers(ring, entries,
                                    wr_has(ret_features, WR_FEATURE_BUF_INC));
    }
    if (err < 0) {
        engine->close(ring);
        return err;
    }
    *ret = ring;
    return 0;
}

static int ring_open_poll(const struct wr_ring_options *options, int refusal,
                          struct wr_ring **ret,
                          struct wr_features *ret_features)
{
    wr_assert(refusal <= 0);
    const int err =
        ring_open_whole(&wr_engine_poll, options, ret, ret_features);
    wr_require(err >= 0, err);
    ret_features->engine = WR_ENGINE_POLL;
    ret_features->refusal = refusal;
    return 0;
}

int wr_ring_open(const struct wr_ring_options *options, struct wr_ring **ret,
                 struct wr_features *ret_features)
{
    int kind = (int)options->engine;

    if (kind == WR_ENGINE_AUTO) {
        kind = ring_engine_of_environment();
        wr_require(kind >= 0, kind);
    }
    if (kind == WR_ENGINE_POLL) {
        return ring_open_poll(options, 0, ret, ret_features);
    }
    const int err =
        ring_open_whole(&wr_engine_kernel, options, ret, ret_features);
    if (err < 0) {
        /* After a shortage the poll engine would fail too. Any other error may
         * come from a seccomp filter. */
        const bool falls_back = kind == WR_ENGINE_AUTO && err != -ENOMEM &&
                                err != -EMFILE && err != -ENFILE;
        return falls_back ? ring_open_poll(options, err, ret, ret_features)
                          : err;
    }
    ret_features->engine = WR_ENGINE_URING;
    ret_features->refusal = 0;
    return 0;
}

int wr_ring_enable(struct wr_ring *ring)
{
    return ring->engine->enable(ring);
}

void wr_ring_close(struct wr_ring *ring)
{
    ring->engine->close(ring);
}

struct io_uring_sqe *wr_ring_sqe(struct wr_ring *ring)
{
    return ring->engine->sqe(ring);
}

uint32_t wr_ring_unsubmitted(const struct wr_ring *ring)
{
    return ring->engine->unsubmitted(ring);
}

struct io_uring_sqe *wr_ring_unsubmitted_at(struct wr_ring *ring,
                                            uint32_t index)
{
    wr_assert(index < wr_ring_unsubmitted(ring));
    return ring->engine->unsubmitted_at(ring, index);
}

int wr_ring_enter(struct wr_ring *ring, uint32_t want, uint64_t timeout_ns)
{
    return ring->engine->enter(ring, want, timeout_ns);
}

uint32_t wr_ring_reap(struct wr_ring *ring, struct wr_cqe *ret, uint32_t max)
{
    const uint32_t count = ring->engine->reap(ring, ret, max);

    wr_assert(count <= max);
    return count;
}

bool wr_ring_handle_overflow(struct wr_ring *ring)
{
    return ring->engine->handle_overflow(ring);
}

void wr_ring_forget(struct wr_ring *ring, int fd)
{
    wr_assert(fd >= 0);
    ring->engine->forget(ring, fd);
}

int wr_ring_open_signal(struct wr_ring *ring)
{
    return ring->engine->open_signal(ring);
}

bool wr_ring_misses_ends(const struct wr_ring *ring)
{
    return ring->misses_ends;
}

void wr_ring_enable_signal(struct wr_ring *ring, int fd, bool enable)
{
    wr_assert(fd >= 0);
    ring->engine->enable_signal(ring, fd, enable);
}

void wr_ring_set_due(struct wr_ring *ring)
{
    ring->is_due = true;
}

bool wr_ring_has_completions(const struct wr_ring *ring)
{
    return ring->engine->has_completions(ring);
}

bool wr_ring_has_work(const struct wr_ring *ring)
{
    return wr_ring_has_completions(ring) || wr_ring_unsubmitted(ring) > 0;
}

void wr_ring_provide_buffer(struct wr_ring *ring, void *data, uint32_t len,
                            uint16_t buf_id)
{
    wr_assert(len > 0);
    ring->engine->provide_buffer(ring, data, len, buf_id);
}

void wr_ring_commit_buffers(struct wr_ring *ring)
{
    ring->engine->commit_buffers(ring);
}

uint64_t wr_ring_trim(struct wr_ring *ring)
{
    return ring->engine->trim(ring);
}

const struct wr_ring_stats *wr_ring_stats(const struct wr_ring *ring)
{
    return &ring->stats;
}
