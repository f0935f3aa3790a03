/*
 * The fake machine, for the tests of the seam.
 *
 * Once with all features, and once without those that the engine on epoll and
 * old kernels lack.
 */
#include "tests/fake/fake.h"
#include "tests/unit.h"
#include "tests/unit/seam_machine.h"
#include "uring/alloc.h"

void seam_on_each_machine(void (*body)(struct wr_uring *uring))
{
    const struct wr_ring_options options = {
        .allocator = wr_default_allocator(), .sq_entries = 8, .cq_entries = 64};
    const uint32_t plain = 1u << WR_FEATURE_BUF_INC;
    const uint32_t lacks[] = {0, plain | 1u << WR_FEATURE_RECV_CREDIT};

    for (size_t i = 0; i < sizeof(lacks) / sizeof(lacks[0]); i++) {
        struct wr_uring uring;
        fake_start(&(struct fake_options){.seed = 1, .missing = lacks[i]});
        expect_eq(wr_uring_open(&uring, &options), 0);
        expect_eq(wr_ring_enable(uring.ring), 0);
        body(&uring);
        wr_uring_close(&uring);
        fake_stop();
    }
}
