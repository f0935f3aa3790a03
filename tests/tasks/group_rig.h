/*
 * The rig for tests of task groups: members that sleep and record results, and
 * a task that owns a group with one of them. A member is described by a struct
 * on the test's stack, which the group must not outlive.
 */
#ifndef WEIR_TESTS_TASKS_GROUP_RIG_H
#define WEIR_TESTS_TASKS_GROUP_RIG_H

#include "rig.h"

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

int run_member(weir_loop *on, void *arg);
void begin(struct weir_task_group *group);
void spawn(struct weir_task_group *group, struct member *member);

struct owner {
    struct member *member;
    weir_task *task;
    bool has_ended;
    int next; /* a suspending call after weir_task_group_end() */
};

int own_group(weir_loop *on, void *arg);

#endif
