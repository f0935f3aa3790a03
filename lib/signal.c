/*
 * Signal handlers: one signalfd for all of them, read through the ring.
 *
 * A handled signal is blocked in the loop's thread, so that it stays pending
 * until the signalfd takes it. Handlers are looked up when a signal is
 * delivered: one that was removed meanwhile is not called. The read is armed
 * once the loop runs and stays armed; changing the mask of the descriptor
 * needs no new read. With the loop, the mask of the thread is put back.
 */
#include "loop.h"

#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>

#define SIGNAL_MAX  64 /* as many as fit into the kernel's mask */
#define INFOS_COUNT 8u /* signals taken with one read */

struct handler {
    weir_signal_fn *cb; /* NULL: not handled */
    void *arg;
    bool was_blocked; /* before it was handled */
};

struct wr_signals {
    weir_loop *loop;
    struct wr_op op;
    struct wr_ready ready;
    int fd;
    bool stopping; /* set when the loop ends */
    uint64_t mask; /* handled signals, bit n-1 for signal n */
    struct handler handlers[SIGNAL_MAX + 1];
    struct signalfd_siginfo infos[INFOS_COUNT]; /* the kernel writes here */
};

static uint64_t bit_of(int signum)
{
    return UINT64_C(1) << (signum - 1);
}

static void arm(struct wr_ready *ready)
{
    struct wr_signals *signals =
        wr_container_of(ready, struct wr_signals, ready);

    if (!signals->stopping && !signals->op.in_flight) {
        wr_prep_read(&signals->loop->uring, &signals->op, signals->fd,
                     signals->infos, sizeof(signals->infos));
    }
}

static bool deliver(struct wr_signals *signals, uint32_t signum)
{
    wr_check(signum >= 1);
    wr_check(signum <= SIGNAL_MAX);
    const struct handler handler = signals->handlers[signum];
    if (handler.cb) {
        handler.cb(handler.arg, (int)signum);
        wr_loop_leave_if_forked(signals->loop);
    }
    return handler.cb != NULL;
}

static void read_completed(struct wr_op *op, int32_t res, uint32_t flags)
{
    struct wr_signals *signals = wr_container_of(op, struct wr_signals, op);
    (void)flags; /* there is never more */

    if (signals->stopping) {
        return;
    }
    if (res < 0 && res != -EINTR && res != -EAGAIN) {
        const struct weir_exception exception = {
            .message = "signals cannot be read any more",
            .err = res,
        };
        wr_loop_report(signals->loop, &exception);
        return;
    }
    const size_t count = res > 0 ? (size_t)res / sizeof(signals->infos[0]) : 0;
    for (size_t i = 0; i < count && !signals->stopping; i++) {
        wr_ignore(deliver(signals, signals->infos[i].ssi_signo)); /* removed */
    }
    arm(&signals->ready);
}

/* A failed call leaves no trace: nothing is in flight before the first signal
 * was added. */
static int open_signals(weir_loop *loop, struct wr_signals **ret)
{
    struct wr_signals *signals =
        wr_guard_alloc(&loop->counting, sizeof(*signals));
    wr_require(signals, -ENOMEM);
    memset(signals, 0, sizeof(*signals));
    signals->loop = loop;
    wr_op_init(&signals->op, read_completed);
    wr_ready_init(&signals->ready, arm);
    signals->fd = wr_sys_signalfd(-1, 0);
    if (signals->fd < 0) {
        const int err = signals->fd;
        wr_guard_free(&loop->counting, signals, sizeof(*signals));
        return err;
    }
    *ret = signals;
    return 0;
}

static void unblock(const struct handler *handler, int signum)
{
    if (!handler->was_blocked) {
        /* It could be blocked, so it can be unblocked. */
        wr_ignore(wr_sys_block_signal(signum, false));
    }
}

/* Blocks a signal and has the descriptor take it. */
static int handle(struct wr_signals *signals, int signum)
{
    struct handler *handler = &signals->handlers[signum];
    int blocked = wr_sys_block_signal(signum, true);
    wr_require(blocked >= 0, blocked);
    handler->was_blocked = blocked > 0;

    int fd = wr_sys_signalfd(signals->fd, signals->mask | bit_of(signum));
    if (fd < 0) {
        unblock(handler, signum);
        return fd;
    }
    signals->mask |= bit_of(signum);
    return 0;
}

void wr_signals_stop(weir_loop *loop)
{
    struct wr_signals *signals = loop->signals;

    if (signals) {
        signals->stopping = true;
        wr_ready_cancel(&signals->ready);
        wr_op_cancel(&loop->uring, &signals->op);
    }
}

void wr_signals_abandon(weir_loop *loop)
{
    if (loop->signals) {
        wr_op_abandon(&loop->uring, &loop->signals->op);
    }
}

void wr_signals_close(weir_loop *loop)
{
    struct wr_signals *signals = loop->signals;

    if (!signals) {
        return;
    }
    wr_assert(!signals->op.in_flight);
    wr_ignore(wr_sys_close(signals->fd)); /* nothing can be lost */
    for (int signum = 1; signum <= SIGNAL_MAX; signum++) {
        if (signals->handlers[signum].cb) {
            unblock(&signals->handlers[signum], signum);
        }
    }
    wr_ready_cancel(&signals->ready);
    wr_guard_free(&loop->counting, signals, sizeof(*signals));
    loop->signals = NULL;
}

bool wr_signals_deliver(weir_loop *loop, int signum)
{
    return loop->signals && deliver(loop->signals, (uint32_t)signum);
}

int weir_loop_add_signal_handler(weir_loop *loop, int signum,
                                 weir_signal_fn *cb, void *arg)
{
    int err = wr_loop_check(loop);
    wr_require(err >= 0, err);
    wr_require(cb, -EINVAL);
    wr_require(signum >= 1 && signum <= SIGNAL_MAX, -EINVAL);
    wr_require(signum != SIGKILL && signum != SIGSTOP, -EINVAL);
    wr_require(!loop->closing, -ESHUTDOWN);
    if (!loop->signals) {
        err = open_signals(loop, &loop->signals);
        wr_require(err >= 0, err);
    }
    struct wr_signals *signals = loop->signals;
    if (!(signals->mask & bit_of(signum))) {
        err = handle(signals, signum);
        wr_require(err >= 0, err);
    }
    signals->handlers[signum].cb = cb;
    signals->handlers[signum].arg = arg;
    if (!signals->op.in_flight) {
        wr_ready_push(&loop->ready, &signals->ready);
    }
    return 0;
}

bool weir_loop_remove_signal_handler(weir_loop *loop, int signum)
{
    if (wr_loop_check(loop) < 0 || !loop->signals || signum < 1 ||
        signum > SIGNAL_MAX) {
        return false;
    }
    struct wr_signals *signals = loop->signals;
    if (!(signals->mask & bit_of(signum))) {
        return false;
    }
    struct handler *handler = &signals->handlers[signum];
    signals->mask &= ~bit_of(signum);
    handler->cb = NULL;
    /* Taking one away from the mask of an open signalfd cannot fail. */
    wr_ignore(wr_sys_signalfd(signals->fd, signals->mask));
    unblock(handler, signum);
    return true;
}
