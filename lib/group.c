/*
 * Task groups: tasks that have all ended when the group has.
 *
 *     open --> ending --> ended
 *
 * A group lives on the stack of the task that began it. Each member has an
 * entry that observes the end of its task; the last one wakes the owner, which
 * waits in weir_task_group_end() whatever interrupts it. The first failure
 * makes the group ending, and from the ready queue cancels the siblings and
 * interrupts the owner, once. That interruption is the group's own: it is
 * counted among the owner's cancellations while the group lives, and taken back
 * at its end, delivered or not.
 */
#include "task.h"

/* The inside of struct weir_task_group. */
struct wr_group {
    weir_task *owner; /* NULL: it did not begin, or has ended */
    struct wr_list members;
    struct wr_list cause;     /* in the owner's causes until it is delivered */
    struct wr_ready abort;    /* after the first failure */
    struct wr_waiter *waiter; /* while the owner waits for the members */
    int error;                /* the first of a member, or 0 */
    uint32_t requests;        /* cancellations of the owner at the begin */
    bool is_ending;           /* takes no members any more */
    bool is_cancelled;        /* its members were */
    bool is_counted;          /* in the owner's cancellations */
};

struct member {
    struct wr_list link; /* in wr_group.members */
    struct wr_observer observer;
    struct wr_group *group;
    weir_task *task; /* referenced */
};

_Static_assert(sizeof(struct wr_group) <= sizeof(struct weir_task_group),
               "the public storage is large enough");
_Static_assert(_Alignof(struct wr_group) <= _Alignof(struct weir_task_group),
               "and aligned");

static struct wr_group *inside(struct weir_task_group *group)
{
    return (struct wr_group *)(void *)group;
}

/* No member ends inside: tasks run from the ready queue. */
static void cancel_members(struct wr_group *group)
{
    group->is_ending = true;
    group->is_cancelled = true;
    for (struct wr_list *link = group->members.next; link != &group->members;
         link = link->next) {
        struct member *member = wr_container_of(link, struct member, link);
        wr_ignore(weir_future_cancel(&member->task->future));
    }
}

/* A member has failed. */
static void run_abort(struct wr_ready *ready)
{
    struct wr_group *group = wr_container_of(ready, struct wr_group, abort);

    if (!group->is_cancelled) {
        cancel_members(group);
    }
    if (!group->waiter) {
        group->is_counted = true;
        wr_task_request(group->owner, &group->cause);
    }
}

static void wake_owner(struct wr_group *group)
{
    group->is_ending = true;
    wr_ready_cancel(&group->abort);
    wr_waiter_wake(group->waiter, 0); /* the end of the group tells */
}

static void member_ended(struct wr_observer *observer, weir_future *future)
{
    struct member *member = wr_container_of(observer, struct member, observer);
    struct wr_group *group = member->group;
    weir_loop *loop = future->loop;
    const int result = future->result;

    wr_list_remove(&member->link);
    weir_task_detach(member->task); /* the loop still holds it */
    wr_free(&loop->counting, member, sizeof(*member));
    if (result < 0 && result != -ECANCELED && group->error == 0) {
        group->error = result;
        group->is_ending = true;
        wr_ready_push(&loop->ready, &group->abort);
    }
    if (group->waiter && wr_list_is_empty(&group->members)) {
        wake_owner(group);
    }
}

int weir_task_group_begin(weir_loop *loop, struct weir_task_group *group)
{
    struct wr_group *inner = inside(group);

    *inner = (struct wr_group){.is_ending = true};
    int err = wr_loop_check(loop);
    if (err < 0) {
        return err;
    }
    wr_require(loop->current, WEIR_ENOTTASK);
    inner->owner = loop->current;
    inner->requests = inner->owner->requests;
    inner->is_ending = false;
    inner->owner->group_count++;
    wr_list_init(&inner->members);
    wr_list_init(&inner->cause);
    wr_ready_init(&inner->abort, run_abort);
    return 0;
}

int weir_task_group_spawn(struct weir_task_group *group, weir_task_fn *fn,
                          void *arg, const struct weir_task_options *options,
                          weir_task **ret)
{
    struct wr_group *inner = inside(group);
    wr_require(inner->owner, -ESTALE);
    weir_loop *loop = inner->owner->future.loop;
    int err = wr_loop_check(loop);
    if (err < 0) {
        return err;
    }
    wr_require(!inner->is_ending, -ESTALE);
    struct member *member = wr_alloc(&loop->counting, sizeof(*member));
    if (!member) {
        return -ENOMEM;
    }
    err = weir_task_spawn(loop, fn, arg, options, &member->task);
    if (err < 0) {
        wr_free(&loop->counting, member, sizeof(*member));
        return err;
    }
    member->group = inner;
    wr_list_init(&member->link);
    wr_list_push_back(&inner->members, &member->link);
    wr_future_observe(&member->task->future, &member->observer, member_ended);
    if (ret) {
        *ret = weir_task_ref(member->task);
    }
    return 0;
}

void weir_task_group_cancel(struct weir_task_group *group)
{
    struct wr_group *inner = inside(group);

    if (inner->owner && wr_loop_check(inner->owner->future.loop) == 0) {
        cancel_members(inner);
    }
}

/* A waiter's interrupt: the owner waits in weir_task_group_end(). */
struct end_wait {
    struct wr_waiter waiter;
    struct wr_group *group;
};

static void interrupt_end(struct wr_waiter *waiter)
{
    struct wr_group *group =
        wr_container_of(waiter, struct end_wait, waiter)->group;

    cancel_members(group);
}

/* What the group itself did to its owner is undone. */
static void take_interruption_back(struct wr_group *group)
{
    wr_ready_cancel(&group->abort);
    wr_list_remove(&group->cause);
    if (group->is_counted) {
        wr_task_withdraw(group->owner);
    }
    group->is_counted = false;
}

/* Was the owner interrupted meanwhile? */
static bool wait_members(weir_loop *loop, struct wr_group *group)
{
    struct end_wait wait = {.waiter.interrupt = interrupt_end, .group = group};

    if (wr_list_is_empty(&group->members)) {
        return false;
    }
    group->waiter = &wait.waiter;
    wr_ignore(wr_task_wait(loop, &wait.waiter, NULL)); /* the group knows */
    group->waiter = NULL;
    wr_assert(wr_list_is_empty(&group->members));
    return wait.waiter.was_interrupted;
}

/* The group is over. */
static void close_group(struct wr_group *group)
{
    take_interruption_back(group);
    wr_assert(group->owner->group_count > 0);
    group->owner->group_count--;
    group->is_ending = true;
    group->owner = NULL;
}

int weir_task_group_end(struct weir_task_group *group, int result)
{
    struct wr_group *inner = inside(group);
    weir_task *owner = inner->owner;
    wr_require(owner, result);
    weir_loop *loop = owner->future.loop;
    int err = wr_loop_check(loop);
    if (err < 0) {
        return err;
    }
    wr_require(loop->current, WEIR_ENOTTASK);
    wr_require(loop->current == owner, -EINVAL);

    err = wr_task_begin(loop);
    wr_assert(err == 0); /* it was checked above */
    take_interruption_back(inner);
    bool was_interrupted = wr_task_is_interrupted(owner);
    /* The wait passes an interruption on. */
    if (!was_interrupted && !inner->is_cancelled &&
        (result < 0 || inner->error < 0)) {
        cancel_members(inner);
    }
    was_interrupted |= wait_members(loop, inner);
    close_group(inner);
    /* Errors come first: nobody else would tell of them. */
    if (inner->error < 0 || (result < 0 && result != -ECANCELED)) {
        /* Also where the code inside was told before. */
        wr_task_request_again(owner, inner->requests);
        return inner->error < 0 ? inner->error : result;
    }
    return was_interrupted ? wr_task_tell(loop) : result;
}
