/*
 * A bare ring on the fake machine, for tests that speak to it directly.
 *
 * The operations are made with uring/op.h as weir makes them; what they gave
 * is noted in order. A turn is one enter and everything that came of it.
 */
#ifndef WEIR_TESTS_TRACE_RIG_H
#define WEIR_TESTS_TRACE_RIG_H

#include "tests/fake/fake.h"
#include "tests/unit.h"
#include "uring/guard.h"
#include "uring/op.h"
#include "uring/sys.h"

#define BUF_SIZE   4096u
#define BUF_COUNT  4u
#define RESULT_MAX 128

/* A ring on the machine, and what its operations gave. */
struct rig {
    struct wr_uring uring;
    uint8_t bufs[BUF_COUNT][BUF_SIZE];
};

struct result {
    struct wr_op *op;
    int32_t res;
    uint32_t flags;
};

static struct rig rig;
static struct result results[RESULT_MAX];
static uint32_t result_count;

static inline void note(struct wr_op *op, int32_t res, uint32_t flags)
{
    cr_assert_lt(result_count, RESULT_MAX);
    results[result_count++] = (struct result){op, res, flags};
}

static inline void rig_start(const struct fake_options *options)
{
    struct wr_ring_options ring = {
        .allocator = wr_default_allocator(), .sq_entries = 8, .cq_entries = 32};
    result_count = 0;
    fake_start(options);
    cr_assert_eq(wr_uring_open(&rig.uring, &ring), 0);
    cr_assert_eq(wr_ring_enable(rig.uring.ring), 0);
    cr_assert_eq(
        wr_ring_setup_buffers(rig.uring.ring, 8,
                              wr_has(&rig.uring.features, WR_FEATURE_BUF_INC)),
        0);
}

static inline void rig_provide(uint32_t count)
{
    for (uint16_t i = 0; i < count; i++) {
        wr_ring_provide_buffer(rig.uring.ring, rig.bufs[i], BUF_SIZE, i);
    }
    wr_ring_commit_buffers(rig.uring.ring);
}

/* One enter, waiting for up to @want completions, and all that came. */
static inline void rig_turn(uint32_t want, uint64_t timeout_ns)
{
    result_count = 0;
    cr_assert_eq(wr_uring_enter(&rig.uring, want, timeout_ns), 0);
    wr_uring_drain(&rig.uring, UINT32_MAX);
}

static inline void rig_stop(void)
{
    wr_uring_close(&rig.uring);
    fake_stop();
}

static inline int rig_connect(struct fake_peer **ret_peer)
{
    int fd = fake_connected_fd(ret_peer);
    cr_assert_geq(fd, FAKE_FIRST_FD);
    return fd;
}

static inline void write_all(struct fake_peer *peer, size_t len)
{
    static uint8_t zeros[1u << 16];
    cr_assert_eq(fake_peer_write(peer, zeros, len), (ssize_t)len);
}

#endif
