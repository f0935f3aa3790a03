/*
 * Notices of a loop about itself, which its exception hook gets once.
 *
 * A cause is detected before the loop has a hook, or in the middle of an
 * operation. So a notice is kept until there is a hook, and is reported from
 * the ready queue, where the hook may call any function. The use of epoll is
 * reported once in a process: its cause is usually the same for all loops.
 */
#include "loop_impl.h"

#include <stdatomic.h>

static void notice_set_state(struct wr_notices *notices, enum wr_notice which,
                             enum wr_notice_state state)
{
    static const bool allowed[WR_NOTICE_STATES][WR_NOTICE_STATES] = {
        [WR_NOTICE_NONE] = {[WR_NOTICE_DUE] = true},
        [WR_NOTICE_DUE] = {[WR_NOTICE_TOLD] = true},
        [WR_NOTICE_TOLD] = {false},
    };
    wr_assert(which < WR_NOTICES);
    wr_assert(allowed[notices->states[which]][state]);
    notices->states[which] = state;
}

static void notice_tell_engine(weir_loop *loop)
{
    const struct weir_exception exception = {
        .message = "epoll instead of io_uring",
        .err = loop->uring.features.refusal,
        .notice = WEIR_NOTICE_ENGINE,
    };

    wr_assert(exception.err < 0);
    /* Relaxed: orders nothing. */
    static atomic_flag was_told = ATOMIC_FLAG_INIT;
    if (!atomic_flag_test_and_set_explicit(&was_told, memory_order_relaxed)) {
        wr_loop_report(loop, &exception);
    }
}

static void notice_tell_threads(weir_loop *loop)
{
    static const struct weir_exception exception = {
        .message = "no thread could be made to wait for files (a limit of "
                   "processes): the loop waits for them",
        .err = -EAGAIN,
        .notice = WEIR_NOTICE_THREADS,
    };

    wr_loop_report(loop, &exception);
}

/* The hook may remove itself. */
static void notice_tell(struct wr_ready *ready)
{
    static void (*const tell[WR_NOTICES])(weir_loop * loop) = {
        [WR_NOTICE_OF_ENGINE] = notice_tell_engine,
        [WR_NOTICE_OF_THREADS] = notice_tell_threads,
    };
    struct wr_notices *notices =
        wr_container_of(ready, struct wr_notices, ready);
    weir_loop *loop = wr_container_of(notices, weir_loop, notices);

    for (int i = 0; i < WR_NOTICES && loop->exception_hook; i++) {
        if (notices->states[i] == WR_NOTICE_DUE) {
            notice_set_state(notices, (enum wr_notice)i, WR_NOTICE_TOLD);
            tell[i](loop);
        }
    }
}

void wr_notices_init(weir_loop *loop)
{
    wr_ready_init(&loop->notices.ready, notice_tell);
    wr_assert(loop->notices.states[WR_NOTICE_OF_ENGINE] == WR_NOTICE_NONE);
}

void wr_notices_add(weir_loop *loop, enum wr_notice which)
{
    wr_assert(which < WR_NOTICES);
    if (loop->notices.states[which] == WR_NOTICE_NONE) {
        notice_set_state(&loop->notices, which, WR_NOTICE_DUE);
        wr_notices_go_on(loop);
    }
}
