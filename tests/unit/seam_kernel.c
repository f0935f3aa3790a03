/*
 * The two engines of the running kernel, for the tests of the ring interface.
 *
 * io_uring is skipped if it is refused: then the tests compare epoll with the
 * simulated machine.
 */
#include "tests/unit.h"
#include "tests/unit/seam_machine.h"
#include "uring/alloc.h"
#include "weir/error.h"

const bool seam_is_kernel = true;

static bool is_refused(int err)
{
    return err == WEIR_ERINGSYSCTL || err == WEIR_ERINGSECCOMP ||
           err == WEIR_ERINGABSENT || err == WEIR_ERINGOLD;
}

static void run_on(enum wr_engine_kind engine,
                   void (*body)(struct wr_uring *uring))
{
    const struct wr_ring_options options = {.allocator = wr_default_allocator(),
                                            .sq_entries = 8,
                                            .cq_entries = 64,
                                            .buf_entries = SEAM_BUFS,
                                            .engine = engine};
    struct wr_uring uring;
    const int err = wr_uring_open(&uring, &options);

    if (engine == WR_ENGINE_URING && is_refused(err)) {
        return;
    }
    expect_eq(err, 0);
    expect_eq(uring.features.engine, engine);
    expect_eq(wr_ring_enable(uring.ring), 0);
    body(&uring);
    wr_uring_close(&uring);
}

void seam_on_each_machine(void (*body)(struct wr_uring *uring))
{
    run_on(WR_ENGINE_URING, body);
    run_on(WR_ENGINE_POLL, body);
}
