/*
 * A lock with a condition, and calls of tasks that wait for it.
 *
 * A wait that returns has the lock, which the call then releases; but not where
 * the test wants the lock to be lost.
 */
#ifndef WEIR_TESTS_TASKS_CONDITION_RIG_H
#define WEIR_TESTS_TASKS_CONDITION_RIG_H

#include "sync.h"

#include <weir/sync.h>

extern weir_lock *lock;
extern weir_condition *condition;

void condition_make(weir_loop *on);
void end(void);

/* Waits once with the lock, which it must have afterwards. */
int wait_once(void *object);
int wait_and_lose(void *object);

#endif
