/*
 * Every suspending call, interrupted at every moment.
 *
 * A row is a call and what it needs. The driver runs it for each cause of an
 * interruption (a cancellation, a timeout around the call, a group of the task
 * whose member fails) and for each moment: before the call, while it waits,
 * just before and just after its result, and after the call. The interruption
 * must be reported exactly once: by the call or by the next one, and by the
 * call itself if the interruption came before it.
 */
#ifndef WEIR_TESTS_TASKS_MOMENTS_RIG_H
#define WEIR_TESTS_TASKS_MOMENTS_RIG_H

#include "rig.h"

#include <weir/sync.h>

struct row {
    const char *name;
    void (*make)(void);         /* what the call needs; may be NULL */
    int (*call)(weir_loop *on); /* negative: its error */
    void (*give)(void);         /* what it waits for, once; NULL: time */
    void (*unmake)(void);       /* may be NULL */
};

enum cause {
    BY_CANCEL,
    BY_TIME_OUT,
    BY_GROUP,
    CAUSE_COUNT,
};

enum moment {
    BEFORE,
    WHILE_WAITING,
    THEN_GIVEN, /* interrupted while it waits, and given in the same turn */
    GIVEN,      /* given, and interrupted before the task runs */
    AFTER,
    MOMENT_COUNT,
};

extern const char *const cause_names[];
extern const char *const moment_names[];

struct victim {
    const struct row *row;
    enum cause cause;
    enum moment moment;
    int turns; /* that the call has had before it is interrupted */
    weir_task *task;
    struct weir_timeout limit;
    weir_event *go;    /* the call may begin */
    weir_event *after; /* the call has returned; go on */
    weir_event *fails; /* the member of the group may fail */
    int first;         /* what the call returned */
    int second;        /* and the calls after it */
    int third;
    bool is_hit; /* the interruption was made, or is about to be */
    bool is_back;
};

extern struct victim victim;

#define SAY(cond)                                                              \
    cr_assert(cond, "%s, %s %s, %d turns: " #cond ", %d %d %d",                \
              victim.row->name, cause_names[victim.cause],                     \
              moment_names[victim.moment], victim.turns, victim.first,         \
              victim.second, victim.third)

void play_rows(const struct row *rows, size_t count);

/* ---- the budget ---- */

/* Calls that are all interrupted let others run all the same. */
void spend_budget(const struct row *row);

#endif
