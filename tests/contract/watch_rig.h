/*
 * Callbacks that watch descriptors, and note how often they were called.
 *
 * A struct watcher is the argument of watched(), which fails the test when it
 * is called twice in one turn. The loop is that of loop_rig.h, and `watch_ends`
 * a socket pair that does not block.
 */
#ifndef WEIR_TESTS_CONTRACT_WATCH_RIG_H
#define WEIR_TESTS_CONTRACT_WATCH_RIG_H

#include "tests/contract/loop_rig.h"

extern int watch_ends[2];

/* What one callback has seen, and does. */
struct watcher {
    int fd;
    int calls;
    uint64_t turn; /* of the last call */
    bool takes;    /* reads what is there */
    bool stops;    /* the loop, when it is called */
    int remove_fd; /* its reader is removed; 0: none */
    bool removed;  /* the result of that */
};

void watched(void *arg);
struct watcher read_with(int fd, bool takes);
void add_reader(struct watcher *watcher);
void add_writer(struct watcher *watcher);
void make_turns(int count);

/* Told to the exception hook. */
extern int exception_count;
extern int exception_err;

void open_watching(void);
void close_watching(void);
/* A test between the two. */
void with_watching(void (*body)(void));

void send_byte(int fd);
/* As much as there is room for, or bytes. */
void fill(int fd);
void empty(int fd);

#endif
