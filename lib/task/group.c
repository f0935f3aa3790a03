/*
 * Task groups: the end of a group waits for all its tasks.
 *
 * A group is on the stack of its owner, the task that began it. The end of the
 * last member wakes the owner in weir_task_group_end(); interruptions do not
 * end this wait. The first failure cancels the other members and interrupts the
 * owner once, from the ready queue. This interruption counts among the owner's
 * cancellations until the group ends, even if a call has already returned
 * -ECANCELED for it.
 */
#include "task.h"

enum group_state {
    GROUP_ENDED, /* all members have ended, or the group has not begun */
    GROUP_OPEN,
    GROUP_FAILED, /* a member has failed; `abort` is in the ready queue */
    GROUP_CANCELLED,
    GROUP_STATES,
};

/* For each state, a mask of the states that may precede it. */
static const uint8_t group_edges[GROUP_STATES] = {
    [GROUP_OPEN] = 1u << GROUP_ENDED,
    [GROUP_FAILED] = 1u << GROUP_OPEN,
    [GROUP_CANCELLED] = 1u << GROUP_OPEN | 1u << GROUP_FAILED,
    [GROUP_ENDED] =
        1u << GROUP_OPEN | 1u << GROUP_FAILED | 1u << GROUP_CANCELLED,
};

struct wr_group {
    weir_task *owner; /* NULL before the start and after the end */
    struct wr_list members;
    /* in the owner's causes until a call reports it */
    struct wr_list cause;
    struct wr_ready abort;    /* runs after the first failure */
    struct wr_waiter *waiter; /* set while the owner waits for the members */
    int error;                /* the first error of a member, or 0 */
    uint32_t requests;        /* owner->requests when the group began */
    enum group_state state;
    bool is_counted; /* one of the owner's requests is the group's */
};

_Static_assert(sizeof(struct wr_group) <= sizeof(struct weir_task_group),
               "the public storage is large enough");
_Static_assert(_Alignof(struct wr_group) <= _Alignof(struct weir_task_group),
               "and aligned");

static struct wr_group *group_inside(struct weir_task_group *group)
{
    return (struct wr_group *)(void *)group;
}

static void group_set_state(struct wr_group *group, enum group_state state)
{
    wr_assert(group_edges[state] & 1u << group->state);
    group->state = state;
}

static void group_check_invariants(const struct wr_group *group)
{
    wr_assert(group->state < GROUP_STATES);
    wr_assert(group->owner || group->state == GROUP_ENDED);
    wr_assert(group->state != GROUP_FAILED || group->error < 0);
    wr_assert(!group->is_counted || group->error < 0);
    wr_debug_assert(!wr_ready_is_pending(&group->abort) || group->error < 0);
    wr_debug_assert(group->state != GROUP_ENDED ||
                    wr_list_is_empty(&group->members));
    wr_debug_assert(!group->owner || group->owner->group_count > 0);
}

/* No member ends inside this call: tasks run from the ready queue. */
static void group_cancel_members(struct wr_group *group)
{
    if (group->state != GROUP_CANCELLED) {
        group_set_state(group, GROUP_CANCELLED);
    }
    for (struct wr_list *link = group->members.next; link != &group->members;
         link = link->next) {
        weir_task *task = wr_container_of(link, weir_task, group_member.link);
        weir_future_cancel(&task->future);
    }
}

static void group_run_abort(struct wr_ready *ready)
{
    struct wr_group *group = wr_container_of(ready, struct wr_group, abort);

    group_check_invariants(group);
    wr_assert(group->owner);
    wr_assert(group->error < 0);
    wr_assert(!group->is_counted);
    if (group->state == GROUP_FAILED) {
        group_cancel_members(group);
    }
    if (!group->waiter && !wr_task_has_ended(group->owner)) { /* not parked */
        group->is_counted = true;
        wr_task_request(group->owner, &group->cause);
    }
}

static void group_member_ended(struct wr_observer *observer,
                               weir_future *future)
{
    struct wr_group_member *member =
        wr_container_of(observer, struct wr_group_member, observer);
    struct wr_group *group = member->group;
    weir_loop *loop = future->loop;
    const int result = future->result;

    group_check_invariants(group);
    wr_assert(group->state != GROUP_ENDED);
    wr_list_remove(&member->link);
    if (result < 0 && result != -ECANCELED && group->error == 0) {
        group->error = result;
        if (group->state == GROUP_OPEN) {
            group_set_state(group, GROUP_FAILED);
        }
        wr_ready_push(&loop->ready, &group->abort);
    }
    if (group->waiter && wr_list_is_empty(&group->members)) {
        group_set_state(group, GROUP_ENDED);
        wr_ready_cancel(&group->abort);
        wr_waiter_wake(group->waiter, 0); /* resumes weir_task_group_end() */
    }
}

int weir_task_group_begin(weir_loop *loop, struct weir_task_group *group)
{
    struct wr_group *inner = group_inside(group);

    *inner = (struct wr_group){.owner = NULL};
    int err = wr_loop_check(loop);
    wr_require(err >= 0, err);
    wr_require(loop->current, WEIR_ENOTTASK);
    inner->owner = loop->current;
    inner->requests = inner->owner->requests;
    inner->owner->group_count++;
    group_set_state(inner, GROUP_OPEN);
    wr_list_init(&inner->members);
    wr_list_init(&inner->cause);
    wr_ready_init(&inner->abort, group_run_abort);
    group_check_invariants(inner);
    return 0;
}

int weir_task_group_spawn(struct weir_task_group *group, weir_task_fn *fn,
                          void *arg, const struct weir_task_options *options,
                          weir_task **ret)
{
    struct wr_group *inner = group_inside(group);
    wr_require(inner->owner, -ESTALE);
    weir_loop *loop = inner->owner->future.loop;
    int err = wr_loop_check(loop);
    wr_require(err >= 0, err);
    group_check_invariants(inner);
    wr_require(inner->state == GROUP_OPEN, -ESTALE);
    weir_task *task;
    err = wr_task_spawn(loop, fn, arg, options, &task);
    if (err < 0) {
        return err;
    }
    struct wr_group_member *member = &task->group_member;
    member->group = inner;
    wr_list_init(&member->link);
    wr_list_push_back(&inner->members, &member->link);
    wr_future_observe(&task->future, &member->observer, group_member_ended);
    if (ret) {
        *ret = weir_task_ref(task);
    }
    return 0;
}

void weir_task_group_cancel(struct weir_task_group *group)
{
    struct wr_group *inner = group_inside(group);

    if (!inner->owner || !wr_loop_admits(inner->owner->future.loop)) {
        return;
    }
    group_check_invariants(inner);
    if (inner->state != GROUP_ENDED) {
        group_cancel_members(inner);
    }
}

struct group_wait {
    struct wr_waiter waiter;
    struct wr_group *group;
};

static void group_interrupt_end(struct wr_waiter *waiter)
{
    struct wr_group *group =
        wr_container_of(waiter, struct group_wait, waiter)->group;

    group_check_invariants(group);
    wr_assert(group->waiter == waiter);
    group_cancel_members(group);
}

static void group_take_interruption_back(struct wr_group *group)
{
    wr_ready_cancel(&group->abort);
    wr_list_remove(&group->cause);
    if (group->is_counted) {
        wr_task_withdraw(group->owner);
    }
    group->is_counted = false;
}

/* Returns true if the owner was interrupted. */
static bool group_wait_members(weir_loop *loop, struct wr_group *group)
{
    static const struct wr_wait_kind kind = {.name = "task group",
                                             .interrupt = group_interrupt_end};
    struct group_wait wait = {.waiter.kind = &kind, .group = group};

    if (wr_list_is_empty(&group->members)) {
        return false;
    }
    group->waiter = &wait.waiter;
    const int err = wr_task_wait(loop, &wait.waiter, NULL);
    wr_assert(err == 0); /* an interruption goes to the members */
    group->waiter = NULL;
    wr_assert(wr_list_is_empty(&group->members));
    return wait.waiter.was_interrupted;
}

static void group_let_owner_go(struct wr_group *group)
{
    wr_assert(group->owner->group_count > 0);
    group->owner->group_count--;
    group->owner = NULL;
}

int weir_task_group_end(struct weir_task_group *group, int result)
{
    struct wr_group *inner = group_inside(group);
    weir_task *owner = inner->owner;
    wr_require(owner, result);
    weir_loop *loop = owner->future.loop;
    int err = wr_loop_check(loop);
    if (err == -ECHILD) {
        group_let_owner_go(inner); /* the members belong to the parent */
    }
    wr_require(err >= 0, err);
    wr_require(loop->current, WEIR_ENOTTASK);
    wr_require(loop->current == owner, -EINVAL);

    group_check_invariants(inner);
    err = wr_task_begin(loop);
    wr_assert(err == 0); /* the running task may suspend */
    group_take_interruption_back(inner);
    bool was_interrupted = wr_task_is_interrupted(owner);
    /* If interrupted, group_wait_members() cancels the members. */
    if (!was_interrupted && inner->state != GROUP_CANCELLED &&
        (result < 0 || inner->error < 0)) {
        group_cancel_members(inner);
    }
    was_interrupted |= group_wait_members(loop, inner);
    wr_assert(wr_list_is_empty(&inner->members));
    group_take_interruption_back(inner);
    if (inner->state != GROUP_ENDED) {
        group_set_state(inner, GROUP_ENDED);
    }
    group_let_owner_go(inner);
    /* An error takes precedence, because no later call would return it. */
    if (inner->error < 0 || (result < 0 && result != -ECANCELED)) {
        /* The next call reports the interruption, even if a call inside has
         * returned it. */
        wr_task_request_again(owner, inner->requests);
        return inner->error < 0 ? inner->error : result;
    }
    return was_interrupted ? wr_task_tell(loop) : result;
}
