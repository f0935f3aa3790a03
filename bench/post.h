/*
 * The pattern of the posting comparison: one thread posts numbered messages to
 * the loop of another as fast as possible, with a limited number on the way.
 *
 * A program supplies the function that posts; its loop calls post_received()
 * for each message and stops when it returns false. With a full window the loop
 * always has work, and the poster waits when it is too far ahead.
 */
#ifndef BENCH_POST_H
#define BENCH_POST_H

#include <stdbool.h>
#include <stdint.h>

#define POST_COUNT  4000000
#define POST_WINDOW 1024 /* maximum number of messages on the way */
/* A poster that is too far ahead sleeps, because spinning would count as the
 * cost of posting. */
#define POST_PAUSE_NS 20000

struct post_message {
    uint64_t number;
    void *link; /* for a queue of the program */
};

/* Starts the posting thread. post() passes the message to the loop. */
void post_start(void (*post)(struct post_message *message));

/* Without a posting thread: starts the account, and posts until the window is
 * full, which returns true, or until all messages are posted. */
void post_begin(void);
bool post_some(void (*post)(struct post_message *message));

/* Called on the loop's thread for each message. Returns false after the last.
 */
bool post_received(const struct post_message *message);

/* Waits for the thread and prints a JSON object. */
void post_report(const char *name);

#endif
