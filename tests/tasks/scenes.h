/*
 * Scenes: what tasks do with a lock, an event and the like, as lines of text.
 *
 *     SCENE(lock, cancelled_before_it_is_had_goes_to_the_next,
 *           "lock; acquire; start ab acquire,yield,release; cancel a; release;
 * " "a ECANCELED 0; b 0; locked 0")
 *
 * The main task plays the steps in order. A step is a call of scenes.c and what
 * it must return, 0 if nothing stands there, or one of these:
 *
 *     start ab CALLS      workers make the calls, and come to where they wait
 *     begin ab CALLS      the same, but they have not run yet
 *     limited a CALLS     the same with a time-out of 5 ms
 *     member a CALLS      the same as a member of the group that "group" began
 *     plan a CALLS        the member that "enter" starts
 *     a RESULT NEXT       a worker ends with this, and its next wait with that
 *     cancel a, waits a   cancels it; it has not returned yet
 *     notes abc           the workers that have returned, in order; - for none
 *     settle              the workers come to where they wait
 *     callback CALLS R, thread CALLS R   in a callback, on another thread
 *     late CALLS          they time out after 5 ms and not later
 *     timed CALLS R       the main task makes them with a time-out of 1 ms
 *     at_once CALLS R     they return without suspending the task
 *     values 210          the values of the items 0 to 2 of a priority queue
 *     leave               the main task ends, the loop is freed; what follows
 * is played after it; leave broken: the ring breaks before
 *
 * CALLS is one or several with commas between them: NAME or NAME:N:M, or with
 * =RESULT behind it; a number may be the name of an error or a letter, too.
 * Their result is that of the last one without =; after an error only those
 * with = are made. All objects that are left are freed.
 */
#ifndef WEIR_TESTS_TASKS_SCENES_H
#define WEIR_TESTS_TASKS_SCENES_H

#include "sync.h"

void scene_run(const char *said);

#define SCENE(suite, name, said)                                               \
    UNIT_IN(suite, name, unit_alone, void)                                     \
    {                                                                          \
        scene_run(said);                                                       \
    }

#endif
