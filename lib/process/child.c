/*
 * Waits for a child with a poll of its pidfd. The kernel could wait for the
 * child in an operation (WAITID, Linux 6.7). A poll and one system call work on
 * every supported kernel, and a cancelled operation cannot have reaped the
 * child.
 */
#include "subprocess.h"

#include "weir/error.h"

#include <poll.h>
#include <signal.h>

/* time between two tries to reap a child that a tracer still holds */
#define CHILD_REST_NS UINT64_C(20000000)
/* Only a child that hangs in the kernel takes longer to die. */
#define CHILD_DEATH_MS 1000

static void child_set_state(struct wr_child *child, enum wr_child_state state)
{
    static const uint8_t allowed[WR_CHILD_STATES] = {
        [WR_CHILD_NONE] = 1u << WR_CHILD_SPAWNED,
        [WR_CHILD_SPAWNED] = 1u << WR_CHILD_WATCHED,
        [WR_CHILD_WATCHED] = 1u << WR_CHILD_LEAVING | 1u << WR_CHILD_EXITED |
                             1u << WR_CHILD_UNKNOWN,
        [WR_CHILD_LEAVING] = 1u << WR_CHILD_EXITED | 1u << WR_CHILD_UNKNOWN,
    };
    wr_assert(state < WR_CHILD_STATES);
    wr_assert(allowed[child->state] >> state & 1u);
    child->state = state;
}

void wr_child_check_invariants(const struct wr_child *child)
{
    const bool lives =
        child->state != WR_CHILD_NONE && !wr_child_has_ended(child);

    wr_assert(!lives || child->pidfd >= 0);
    wr_assert(lives || child->pidfd < 0 || child->leads);
    wr_assert((child->pid > 0) == (child->state != WR_CHILD_NONE));
    wr_assert(!child->op.in_flight || child->state == WR_CHILD_WATCHED ||
              child->state == WR_CHILD_LEAVING);
    wr_assert(!wr_timer_is_armed(&child->rest) ||
              (child->state == WR_CHILD_WATCHED && !child->op.in_flight));
}

/* Returns false if the child has not ended, or a tracer has not reaped it. */
static bool child_reap(struct wr_child *child)
{
    wr_assert(child->pidfd >= 0);
    int ret = wr_spawn_reap(child->pidfd, &child->returncode);
    if (ret == 0) {
        return false;
    }
    if (ret < 0 &&
        wr_has(&child->loop->uring.features, WR_FEATURE_PIDFD_INFO)) {
        ret = wr_spawn_query(child->pidfd, &child->returncode) < 0 ? -1 : 1;
    }
    child_set_state(child, ret > 0 ? WR_CHILD_EXITED : WR_CHILD_UNKNOWN);
    return true;
}

/* Blocks for a limited time, because the loop no longer runs. */
static void child_end_now(struct wr_child *child)
{
    wr_assert(!child->loop->uring.ring);
    wr_assert(!wr_child_has_ended(child));
    if (wr_spawn_signal(child->pidfd, SIGKILL) == 0) {
        wr_spawn_await(child->pidfd, CHILD_DEATH_MS);
    }
    if (!child_reap(child)) {
        child_set_state(child, WR_CHILD_UNKNOWN);
    }
}

static void child_close(struct wr_child *child)
{
    wr_assert(!child->op.in_flight);
    if (child->pidfd >= 0) {
        wr_uring_forget(&child->loop->uring, child->pidfd);
        wr_ignore(wr_sys_close(child->pidfd));
        child->pidfd = -1;
    }
}

static void child_finish(struct wr_child *child)
{
    wr_assert(wr_child_has_ended(child));
    if (!child->leads) {
        child_close(child);
    }
    wr_child_check_invariants(child);
    child->ended(child);
}

static void child_poll(struct wr_child *child)
{
    wr_assert(child->pidfd >= 0);
    wr_prep_poll(&child->loop->uring, &child->op, child->pidfd, POLLIN, false);
}

static void child_rested(struct wr_timer *timer)
{
    struct wr_child *child = wr_container_of(timer, struct wr_child, rest);

    wr_assert(child->state == WR_CHILD_WATCHED);
    child_poll(child);
    wr_child_check_invariants(child);
}

static void child_poll_completed(struct wr_op *op, int32_t res, uint32_t flags)
{
    struct wr_child *child = wr_container_of(op, struct wr_child, op);

    wr_check(!(flags & WR_CQE_MORE));
    wr_child_check_invariants(child);
    if (child_reap(child)) {
        child_finish(child);
    } else if (child->state == WR_CHILD_LEAVING) {
        child_set_state(child, WR_CHILD_UNKNOWN);
        child_finish(child);
    } else if (res < 0 && child->loop->uring.ring) {
        /* The poll failed: kills the child. A second poll waits for its end, or
         * fails too. */
        wr_ignore(wr_spawn_signal(child->pidfd, SIGKILL) < 0);
        child_set_state(child, WR_CHILD_LEAVING);
        wr_prep_poll(&child->loop->uring, &child->op, child->pidfd, POLLIN,
                     false);
        wr_child_check_invariants(child);
    } else if (res < 0) {
        child_end_now(child);
        child_finish(child);
    } else {
        /* The tracer has not reaped the child. A poll would complete at once
         * each time, and the kernel does not report the tracer's wait. */
        weir_loop *loop = child->loop;

        wr_assert(child->state == WR_CHILD_WATCHED);
        wr_timer_arm(&loop->wheel, &child->rest,
                     wr_add_sat(loop->now_ns, CHILD_REST_NS));
        wr_child_check_invariants(child);
    }
}

void wr_child_init(struct wr_child *child, weir_loop *loop,
                   void (*ended)(struct wr_child *child))
{
    wr_assert(ended != NULL);
    *child = (struct wr_child){
        .loop = loop, .ended = ended, .state = WR_CHILD_NONE, .pidfd = -1};
    wr_op_init(&child->op, child_poll_completed);
    wr_timer_init(&child->rest, child_rested);
}

int wr_child_spawn(struct wr_child *child, const struct wr_spawn *spawn,
                   const char **ret_step)
{
    int err = wr_spawn(spawn, &child->pid, &child->pidfd, ret_step);
    if (err < 0) {
        wr_assert(child->pidfd < 0);
        return err;
    }
    wr_check(child->pid > 0);
    wr_check(child->pidfd >= 0);
    child->leads =
        wr_has(&child->loop->uring.features, WR_FEATURE_PIDFD_GROUP) &&
        (spawn->new_session || (spawn->set_group && spawn->group == 0));
    child_set_state(child, WR_CHILD_SPAWNED);
    wr_child_check_invariants(child);
    return 0;
}

void wr_child_watch(struct wr_child *child)
{
    child_set_state(child, WR_CHILD_WATCHED);
    child_poll(child);
    wr_child_check_invariants(child);
}

void wr_child_leave(struct wr_child *child)
{
    wr_child_check_invariants(child);
    if (child->state == WR_CHILD_WATCHED) {
        child_set_state(child, WR_CHILD_LEAVING);
        if (wr_timer_is_armed(&child->rest)) {
            wr_timer_cancel(&child->loop->wheel, &child->rest);
            child_poll(child);
        }
    }
    if (child->state == WR_CHILD_LEAVING) {
        wr_op_cancel(&child->loop->uring, &child->op);
    }
}

void wr_child_abandon(struct wr_child *child)
{
    wr_child_check_invariants(child);
    if (child->state == WR_CHILD_SPAWNED) {
        child_set_state(child, WR_CHILD_WATCHED);
        child_end_now(child);
        child_finish(child);
    } else if (wr_timer_is_armed(&child->rest)) {
        wr_timer_cancel(&child->loop->wheel, &child->rest);
        child_end_now(child);
        child_finish(child);
    } else {
        wr_op_abandon(&child->loop->uring, &child->op);
    }
}

void wr_child_fini(struct wr_child *child)
{
    wr_assert(child->state == WR_CHILD_NONE || wr_child_has_ended(child));
    child_close(child);
    wr_child_check_invariants(child);
}

int wr_child_signal(const struct wr_child *child, int signum)
{
    wr_child_check_invariants(child);
    if (child->pidfd < 0 || wr_child_has_ended(child)) {
        return -ESRCH;
    }
    return wr_spawn_signal(child->pidfd, signum);
}

int wr_child_signal_group(const struct wr_child *child, int signum)
{
    wr_child_check_invariants(child);
    wr_require(wr_has(&child->loop->uring.features, WR_FEATURE_PIDFD_GROUP),
               -EOPNOTSUPP);
    return child->pidfd < 0 ? -ESRCH
                            : wr_spawn_signal_group(child->pidfd, signum);
}

int wr_child_returncode(const struct wr_child *child, int *ret)
{
    wr_child_check_invariants(child);
    if (!wr_child_has_ended(child)) {
        return -EAGAIN;
    }
    if (child->state == WR_CHILD_UNKNOWN) {
        return WEIR_ENOSTATUS;
    }
    *ret = child->returncode;
    return 0;
}
