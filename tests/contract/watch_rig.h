/*
 * Callbacks that watch descriptors and count their calls.
 *
 * A struct watcher is the argument of watched(), which fails the test if it is
 * called twice in one iteration. The loop is from loop_rig.h; `watch_ends` is a
 * non-blocking socket pair.
 */
#ifndef WEIR_TESTS_CONTRACT_WATCH_RIG_H
#define WEIR_TESTS_CONTRACT_WATCH_RIG_H

#include "tests/contract/loop_rig.h"

extern int watch_ends[2];

/* What one callback has seen, and what it does. */
struct watcher {
    int fd;
    int calls;
    uint64_t turn; /* iteration of the last call */
    bool takes;    /* reads available bytes */
    bool stops;    /* stops the loop when called */
    int remove_fd; /* removes this descriptor's reader; 0 is none */
    bool removed;  /* result of that removal */
};

void watched(void *arg);
struct watcher read_with(int fd, bool takes);
void add_reader(struct watcher *watcher);
void add_writer(struct watcher *watcher);
void make_turns(int count);

/* Calls of the exception hook. */
extern int exception_count;
extern int exception_err;

void open_watching(void);
void close_watching(void);
/* Runs a test's body between opening and closing. */
void with_watching(void (*body)(void));

void send_byte(int fd);
/* Write as many bytes as fit, and read all available bytes. */
void fill(int fd);
void empty(int fd);

#endif
