/*
 * Signal handlers: one signalfd for all of them, read through the ring.
 *
 * A handled signal is blocked in the loop's thread, so that it stays pending
 * until the signalfd takes it. Handlers are looked up when a signal is
 * delivered: one that was removed meanwhile is not called. The read is armed
 * once the loop runs and stays armed; changing the mask of the descriptor
 * needs no new read. The end of the loop restores the mask of the thread.
 *
 * The read must be made by the loop's own thread, as what raise() and
 * pthread_kill() send is pending for that thread alone: see wr_sys_signalfd().
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
    struct wr_module module;
    weir_loop *loop;
    struct wr_op op;
    struct wr_ready ready;
    int fd;
    bool is_stopping; /* set when the loop ends */
    uint64_t mask;    /* handled signals, bit n-1 for signal n */
    struct handler handlers[SIGNAL_MAX + 1];
    struct signalfd_siginfo infos[INFOS_COUNT]; /* the kernel writes here */
};

static uint64_t signal_bit_of(int signum)
{
    return UINT64_C(1) << (signum - 1);
}

static void signal_arm(struct wr_ready *ready)
{
    struct wr_signals *signals =
        wr_container_of(ready, struct wr_signals, ready);

    wr_assert(signals->fd >= 0);
    if (!signals->is_stopping && !signals->op.in_flight) {
        wr_prep_read(&signals->loop->uring, &signals->op, signals->fd,
                     signals->infos, sizeof(signals->infos));
    }
}

static bool signal_deliver(struct wr_signals *signals, uint32_t signum)
{
    wr_check(signum >= 1);
    wr_check(signum <= SIGNAL_MAX);
    const struct handler handler = signals->handlers[signum];
    if (handler.cb) {
        handler.cb(handler.arg, (int)signum);
        wr_loop_end_if_forked(signals->loop);
    }
    return handler.cb != NULL;
}

static void signal_read_completed(struct wr_op *op, int32_t res, uint32_t flags)
{
    struct wr_signals *signals = wr_container_of(op, struct wr_signals, op);
    (void)flags; /* there is never more */

    wr_check(res <= (int32_t)sizeof(signals->infos));
    if (signals->is_stopping) {
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
    wr_check(res < 0 || (size_t)res % sizeof(signals->infos[0]) == 0);
    const size_t count = res > 0 ? (size_t)res / sizeof(signals->infos[0]) : 0;
    for (size_t i = 0; i < count && !signals->is_stopping; i++) {
        signal_deliver(signals, signals->infos[i].ssi_signo);
    }
    signal_arm(&signals->ready);
}

static void signal_unblock(const struct handler *handler, int signum)
{
    wr_assert(signum >= 1);
    wr_assert(signum <= SIGNAL_MAX);
    if (!handler->was_blocked) {
        /* It could be blocked, so it can be unblocked. */
        wr_ignore(wr_sys_block_signal(signum, false));
    }
}

/* A signal that arrived for a handler never takes its default action, which may
 * end the process. Where the program blocks the signal itself, it stays
 * pending. */
static void signal_forget(const struct handler *handler, int signum)
{
    wr_assert(signum >= 1);
    wr_assert(signum <= SIGNAL_MAX);
    if (!handler->was_blocked) {
        wr_sys_drop_signal(signum);
    }
    signal_unblock(handler, signum);
}

/* Blocks a signal and has the descriptor take it. */
WEIR_MUST_USE static int signal_handle(struct wr_signals *signals, int signum)
{
    struct handler *handler = &signals->handlers[signum];

    wr_assert(!handler->cb);
    wr_assert(!(signals->mask & signal_bit_of(signum)));
    int blocked = wr_sys_block_signal(signum, true);
    wr_require(blocked >= 0, blocked);
    handler->was_blocked = blocked > 0;

    int fd =
        wr_sys_signalfd(signals->fd, signals->mask | signal_bit_of(signum));
    if (fd < 0) {
        signal_unblock(handler, signum);
        return fd;
    }
    signals->mask |= signal_bit_of(signum);
    return 0;
}

static struct wr_signals *signal_of_module(struct wr_module *module)
{
    return wr_container_of(module, struct wr_signals, module);
}

static void signal_cancel(struct wr_module *module)
{
    struct wr_signals *signals = signal_of_module(module);

    wr_assert(!signals->is_stopping);
    signals->is_stopping = true;
    wr_ready_cancel(&signals->ready);
    wr_op_cancel(&signals->loop->uring, &signals->op);
}

static void signal_abandon(struct wr_module *module)
{
    struct wr_signals *signals = signal_of_module(module);

    wr_assert(signals->is_stopping);
    wr_op_abandon(&signals->loop->uring, &signals->op);
}

/* The thread gets the mask back that it had; the module leaves. */
static void signal_restore(struct wr_module *module)
{
    struct wr_signals *signals = signal_of_module(module);

    wr_assert(signals->is_stopping);
    wr_assert(!signals->op.in_flight);
    wr_assert(!wr_ready_is_pending(&signals->ready));
    wr_ignore(wr_sys_close(signals->fd)); /* nothing can be lost */
    for (int signum = 1; signum <= SIGNAL_MAX; signum++) {
        if (signals->handlers[signum].cb) {
            signal_forget(&signals->handlers[signum], signum);
        }
    }
    wr_list_remove(&module->link);
    wr_guard_free(&signals->loop->counting, signals, sizeof(*signals));
}

static void signal_check(const struct wr_module *module)
{
    const struct wr_signals *signals =
        wr_container_of(module, const struct wr_signals, module);

    wr_assert(signals->fd >= 0);
    wr_assert(!signals->handlers[0].cb);
    for (int signum = 1; signum <= SIGNAL_MAX; signum++) {
        wr_assert(!(signals->mask & signal_bit_of(signum)) ==
                  !signals->handlers[signum].cb);
    }
}

static const struct wr_module_ops signal_module_ops = {
    .end = {[WR_END_CANCEL] = signal_cancel,
            [WR_END_ABANDON] = signal_abandon,
            [WR_END_RESTORE] = signal_restore},
    .check = signal_check};

static struct wr_signals *signal_find(const weir_loop *loop)
{
    struct wr_module *module = wr_loop_find_module(loop, &signal_module_ops);

    return module ? signal_of_module(module) : NULL;
}

/* A failed call leaves no trace: nothing is in flight before the first signal
 * is added. */
WEIR_MUST_USE static int signal_open_signals(weir_loop *loop,
                                             struct wr_signals **ret)
{
    struct wr_signals *signals =
        wr_guard_alloc(&loop->counting, sizeof(*signals));
    wr_require(signals, -ENOMEM);
    memset(signals, 0, sizeof(*signals));
    signals->loop = loop;
    wr_op_init(&signals->op, signal_read_completed);
    wr_ready_init(&signals->ready, signal_arm);
    signals->fd = wr_sys_signalfd(-1, 0);
    if (signals->fd < 0) {
        const int err = signals->fd;
        wr_guard_free(&loop->counting, signals, sizeof(*signals));
        return err;
    }
    wr_loop_add_module(loop, &signals->module, &signal_module_ops);
    *ret = signals;
    return 0;
}

bool wr_signals_deliver(weir_loop *loop, int signum)
{
    struct wr_signals *signals = signal_find(loop);

    return signals && signal_deliver(signals, (uint32_t)signum);
}

int weir_loop_add_signal_handler(weir_loop *loop, int signum,
                                 weir_signal_fn *cb, void *arg)
{
    int err;

    wr_require_loop(loop);
    wr_require(cb, -EINVAL);
    wr_require(signum >= 1 && signum <= SIGNAL_MAX, -EINVAL);
    wr_require(signum != SIGKILL && signum != SIGSTOP, -EINVAL);
    wr_require(!wr_loop_is_closing(loop), -ESHUTDOWN);
    struct wr_signals *signals = signal_find(loop);
    if (!signals) {
        err = signal_open_signals(loop, &signals);
        wr_require(err >= 0, err);
    }
    if (!(signals->mask & signal_bit_of(signum))) {
        err = signal_handle(signals, signum);
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
    if (wr_loop_check(loop) < 0 || signum < 1 || signum > SIGNAL_MAX) {
        return false;
    }
    struct wr_signals *signals = signal_find(loop);
    if (!signals || !(signals->mask & signal_bit_of(signum))) {
        return false;
    }
    struct handler *handler = &signals->handlers[signum];
    signals->mask &= ~signal_bit_of(signum);
    handler->cb = NULL;
    /* Taking one away from the mask of an open signalfd cannot fail. */
    wr_ignore(wr_sys_signalfd(signals->fd, signals->mask));
    signal_forget(handler, signum);
    return true;
}
