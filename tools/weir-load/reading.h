/*
 * How long answers wait in their sockets until this program reads them.
 *
 * An answer that arrives while a thread sleeps wakes it. From then on the
 * thread may wait for a CPU, which the kernel counts for each thread
 * (schedstat), and then reads one answer after the other in an iteration of its
 * loop. Both are in every latency, although the server has answered.
 *
 * They are measured in samples, so that a request costs nothing more: every two
 * milliseconds at most, for all answers of one iteration. An answer that
 * arrives while the thread works on others waits longer than this shows.
 */
#ifndef WEIR_LOAD_READING_H
#define WEIR_LOAD_READING_H

#include "weir/loop.h"

#include <stdbool.h>
#include <stdint.h>

struct conn;
struct traffic;

/* The samples of one thread. */
struct reading {
    /* The thread's schedstat; -1 if there is none. */
    int fd;
    /* The next answers are a sample. */
    bool is_armed;
    /* When the iteration began in which it was armed, and the one whose answers
     * are the sample; 0 if there was none. */
    uint64_t armed_ns;
    uint64_t turn_ns;
    /* The waits for a CPU when it was armed; then the one before the sample. */
    uint64_t wait_ns;
    /* What traffic.ready is without a sample. */
    void (*ready)(struct conn *conn, uint64_t now_ns);
    struct weir_handle timer;
};

/* Begin, on the thread that runs the loop of the traffic. */
void reading_start(struct traffic *traffic);

/* The thread was woken by something else than an answer. */
void reading_note_wake(struct traffic *traffic);

/* End, on the same thread, or after a start that failed. */
void reading_stop(struct traffic *traffic);

#endif
