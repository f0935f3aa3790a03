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

struct watcher {
    int fd;
    int calls;
    uint64_t turn;
    bool takes;
    bool stops;
    int remove_fd; /* removes this descriptor's reader; 0 is none */
    bool removed;
};

void watched(void *arg);
struct watcher read_with(int fd, bool takes);
void add_reader(struct watcher *watcher);
void add_writer(struct watcher *watcher);
void make_turns(int count);

extern int exception_count;
extern int exception_err;

void open_watching(void);
void close_watching(void);
void with_watching(void (*body)(void));

void send_byte(int fd);
void fill(int fd);
void empty(int fd);

#endif
