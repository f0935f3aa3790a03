/*
 * A run of weir-load as a child process of this program: what ab, search and
 * sweep are made of. Each run begins with fresh connections and fresh memory,
 * and nothing of the one before is in it.
 */
#ifndef WEIR_LOAD_CHILD_H
#define WEIR_LOAD_CHILD_H

#include "command.h"
#include "saved.h"

#include "weir/loop.h"

/*
 * `weir-load run` with these words, and its result. The run's own lines are not
 * shown. Suspends the task.
 *
 * Returns 0; -ECANCELED when the task was interrupted, the child then has been
 * ended; or another error with one line in why (SAVED_WHY_SIZE bytes): what the
 * child has said, if it ended without a result.
 */
int child_measure(weir_loop *loop, const struct words *words, struct saved *ret,
                  char *why);

/* A line on standard error that the next one takes the place of, where that is
 * a terminal; else nothing. Without a text it is wiped out. */
void child_show_progress(const char *format, ...)
    __attribute__((format(printf, 1, 2)));

#endif
