/*
 * The pattern of the posting comparison: one thread posts numbered messages to
 * the loop of another as fast as it may, with a bounded number on the way.
 *
 * A program gives the function that posts; its loop calls post_received for
 * each message and stops when that returns false. The window
 * on the way is what "under load" means: the loop always has work, and the
 * poster waits when it is too far ahead.
 */
#ifndef BENCH_POST_H
#define BENCH_POST_H

#include <stdbool.h>
#include <stdint.h>

#define POST_COUNT  4000000
#define POST_WINDOW 1024 /* messages on the way at most */
/* A poster that is too far ahead sleeps: spinning would be counted as the cost
 * of posting. */
#define POST_PAUSE_NS 20000

struct post_message {
    uint64_t number;
    void *link; /* for the side's own queue */
};

/* Start the posting thread; post must hand the message to the loop. */
void post_start(void (*post)(struct post_message *message));

/* Without that thread: start the account; post until the window is full, which
 * is true, or until all are posted. */
void post_begin(void);
bool post_some(void (*post)(struct post_message *message));

/* In the loop's thread, for each message; false after the last one. */
bool post_received(const struct post_message *message);

/* Wait for the thread and print the result as one JSON object. */
void post_report(const char *name);

#endif
