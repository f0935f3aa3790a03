/*
 * The fake machine for the tests of the seam.
 *
 * They run with all features, without the features that old kernels lack, and
 * with the engine on epoll.
 */
#include "tests/fake/fake.h"
#include "tests/unit.h"
#include "tests/unit/seam_machine.h"
#include "uring/alloc.h"

const bool seam_is_kernel = false;

void seam_on_each_machine(void (*body)(struct wr_uring *uring))
{
    const uint32_t plain = 1u << WR_FEATURE_BUF_INC;
    const struct {
        uint32_t missing;
        enum wr_engine_kind engine;
    } machines[] = {
        {0, WR_ENGINE_URING},
        {plain | 1u << WR_FEATURE_RECV_CREDIT, WR_ENGINE_URING},
        {0, WR_ENGINE_POLL},
    };

    for (size_t i = 0; i < sizeof(machines) / sizeof(machines[0]); i++) {
        const struct wr_ring_options options = {.allocator =
                                                    wr_default_allocator(),
                                                .sq_entries = 8,
                                                .cq_entries = 64,
                                                .buf_entries = SEAM_BUFS,
                                                .engine = machines[i].engine};
        struct wr_uring uring;
        fake_start(
            &(struct fake_options){.seed = 1, .missing = machines[i].missing});
        expect_eq(wr_uring_open(&uring, &options), 0);
        expect_eq(uring.features.engine, machines[i].engine);
        expect_eq(wr_ring_enable(uring.ring), 0);
        body(&uring);
        wr_uring_close(&uring);
        fake_stop();
    }
}
