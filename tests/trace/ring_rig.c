/*
 * A ring on the fake machine; see ring_rig.h.
 *
 * The completion of each operation records its result; the records are cleared
 * when an iteration begins. The tests use nothing of the library above the
 * ring.
 */
#include "tests/trace/ring_rig.h"

struct ring_rig rig;
struct result results[RESULT_MAX];
uint32_t result_count;

void note(struct wr_op *op, int32_t res, uint32_t flags)
{
    cr_assert_lt(result_count, RESULT_MAX);
    results[result_count++] = (struct result){op, res, flags};
}

void rig_start(const struct fake_options *options)
{
    struct wr_ring_options ring = {.allocator = wr_default_allocator(),
                                   .sq_entries = 8,
                                   .cq_entries = 32,
                                   .buf_entries = 8};
    result_count = 0;
    rig.fd = -1;
    rig.peer = NULL;
    fake_start(options);
    cr_assert_eq(wr_uring_open(&rig.uring, &ring), 0);
    cr_assert_eq(wr_ring_enable(rig.uring.ring), 0);
}

void rig_provide(uint32_t count)
{
    for (uint16_t i = 0; i < count; i++) {
        wr_ring_provide_buffer(rig.uring.ring, rig.bufs[i], BUF_SIZE, i);
    }
    wr_ring_commit_buffers(rig.uring.ring);
}

uint32_t rig_turn(uint32_t want, uint64_t timeout_ns)
{
    result_count = 0;
    cr_assert_eq(wr_uring_enter(&rig.uring, want, timeout_ns), 0);
    wr_uring_dispatch(&rig.uring, UINT32_MAX);
    return result_count;
}

void rig_stop(void)
{
    wr_uring_close(&rig.uring);
    fake_stop();
}

int rig_connect(struct fake_peer **ret_peer)
{
    int fd = fake_connected_fd(ret_peer);
    cr_assert_geq(fd, FAKE_FIRST_FD);
    return fd;
}

void write_all(struct fake_peer *peer, size_t len)
{
    static uint8_t zeros[1u << 16];
    cr_assert_eq(fake_peer_write(peer, zeros, len), (ssize_t)len);
}

void rig_begin(const struct fake_options *options, uint32_t buf_count)
{
    rig_start(options);
    rig_provide(buf_count);
    rig.fd = rig_connect(&rig.peer);
    wr_op_init(&rig.op, note);
}

void rig_prep_recv(uint32_t credit)
{
    wr_prep_recv(
        &rig.uring, &rig.op, rig.fd,
        &(struct wr_recv_limits){.credit = credit, .buf_size = BUF_SIZE});
}

void rig_prep_send(const void *data, size_t len)
{
    wr_prep_send(&rig.uring, &rig.op, rig.fd, data, len);
}

void rig_test(void (*body)(void))
{
    body();
    if (rig.fd >= 0) {
        wr_sys_close(rig.fd);
    }
    if (rig.peer) {
        fake_peer_close(rig.peer);
    }
    rig_stop();
}
