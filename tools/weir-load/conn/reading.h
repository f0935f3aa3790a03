/*
 * Measures how long answers wait in their sockets until this program reads
 * them.
 *
 * An answer that arrives while a thread sleeps wakes it. Then the thread may
 * wait for a CPU (the kernel counts this per thread in schedstat), leaves the
 * kernel, and reads one answer after the other in a loop iteration. All of this
 * is in every latency, although the server has answered.
 *
 * Samples are taken, so that the cost per request is close to zero: all answers
 * of one iteration, a few thousand times a second at most. An answer that
 * arrived while the thread waited counts as there from the start of the wait;
 * one that arrived while it worked counts from the middle.
 */
#ifndef WEIR_LOAD_READING_H
#define WEIR_LOAD_READING_H

#include <stdint.h>

struct conn;
struct traffic;

struct reading_times {
    uint64_t turn_ns;   /* start of the iteration */
    uint64_t ran_ns;    /* time on a CPU, without the current run */
    uint64_t waited_ns; /* time waiting for a CPU */
    uint64_t run_count; /* how often it has been given a CPU */
};

struct reading {
    /* The thread's schedstat file, or -1 if there is none. */
    int fd;
    /* Number of answers still to skip, and number to skip between samples. */
    unsigned left;
    unsigned pause;
    /* Number of iterations observed since the pause, and times of the last
     * one. */
    unsigned seen;
    struct reading_times last;
    /* Wait for a CPU before the last iteration, and how long its answers had
     * been in their sockets when it began. */
    uint64_t wait_ns;
    uint64_t late_ns;
    /* Time from the scheduled time of a request to its answer, which is being
     * read; 0 if it is not measured. */
    uint64_t taken_ns;
    /* Number of samples since the pause was adapted, and the time of that. */
    unsigned group;
    uint64_t group_ns;
    /* Original traffic.ready, which note_answer() replaces. */
    void (*ready)(struct conn *conn, uint64_t now_ns);
};

/* Must be called on the thread of the traffic's loop. */
void reading_start(struct traffic *traffic);

/* Notes that something other than an answer woke the thread. */
void reading_note_wake(struct traffic *traffic);

/* Must be called on the same thread. Does nothing if reading_start() was not
 * called. */
void reading_stop(struct traffic *traffic);

#endif
