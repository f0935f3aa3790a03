/*
 * What the tests of task groups share: members that sleep and say what became
 * of it, and a task that owns a group with one of them. A member is described
 * by a struct on the stack of the test, which the group must not outlive.
 */
#ifndef WEIR_TESTS_TASKS_GROUP_H
#define WEIR_TESTS_TASKS_GROUP_H

#include "tests/fake/alloc.h"

#include "rig.h"

/* What happened, in order. */
static char events[256];

static inline void note(const char *event)
{
    strncat(events, event, sizeof(events) - strlen(events) - 1);
}

struct member {
    const char *name;
    uint64_t sleep_ns;
    int result;   /* after a sleep that was not interrupted */
    int fails;    /* after one that was; 0: -ECANCELED */
    int swallows; /* interruptions after which it sleeps again */
    int slept;    /* what the last sleep returned */
    int next;     /* and a suspending call after it */
    int spawned;  /* for whoever starts it */
};

static inline int run_member(weir_loop *on, void *arg)
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

static inline void begin(struct weir_task_group *group)
{
    cr_assert_eq(weir_task_group_begin(loop, group), 0);
}

static inline void spawn(struct weir_task_group *group, struct member *member)
{
    cr_assert_eq(weir_task_group_spawn(group, run_member, member, NULL, NULL),
                 0);
}

struct owner {
    struct member *member;
    weir_task *task;
    bool has_ended;
    int next; /* a suspending call after weir_task_group_end() */
};

static inline int own_group(weir_loop *on, void *arg)
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

#endif
