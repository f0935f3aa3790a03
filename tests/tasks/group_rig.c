/*
 * Members of a task group, and a task that owns one; see group_rig.h.
 *
 * A member sleeps, records its name, and ends as its struct says: with a
 * result, with an error, or when it is cancelled.
 */
#include "tests/tasks/group_rig.h"

int run_member(weir_loop *on, void *arg)
{
    struct member *member = arg;

    for (;;) {
        member->slept = weir_sleep(on, member->sleep_ns);
        if (member->slept == 0 || member->swallows == 0) {
            break;
        }
        member->swallows--;
    }
    note(member->name);
    if (member->slept == 0) {
        return member->result;
    }
    member->next = weir_yield(on);
    return member->fails ? member->fails : -ECANCELED;
}

void begin(struct weir_task_group *group)
{
    cr_assert_eq(weir_task_group_begin(loop, group), 0);
}

void spawn(struct weir_task_group *group, struct member *member)
{
    expect_ok(weir_task_group_spawn(group, run_member, member, NULL, NULL));
}

int own_group(weir_loop *on, void *arg)
{
    struct owner *owner = arg;
    struct weir_task_group group;

    begin(&group);
    spawn(&group, owner->member);
    int result = weir_task_group_end(&group, 0);
    owner->has_ended = true;
    owner->next = weir_yield(on);
    return result;
}
