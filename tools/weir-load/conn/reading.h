/*
 * How long answers wait in their sockets until this program reads them.
 *
 * An answer that arrives while a thread sleeps wakes it. From then on the
 * thread may wait for a CPU, which the kernel counts for each thread
 * (schedstat), leaves the kernel, and then reads one answer after the other in
 * an iteration of its loop. All are in every latency, although the server has
 * answered.
 *
 * They are measured in samples, so that a request costs next to nothing: all
 * answers of one iteration, some thousand a second at most. An answer that
 * arrived while the thread waited is taken to have been there from the begin,
 * one that arrived while it worked from the middle.
 */
#ifndef WEIR_LOAD_READING_H
#define WEIR_LOAD_READING_H

#include <stdint.h>

struct conn;
struct traffic;

/* What a thread has done up to the first answer of an iteration. */
struct reading_times {
    uint64_t turn_ns;   /* when the iteration began */
    uint64_t ran_ns;    /* on a CPU, up to when it was taken off one */
    uint64_t waited_ns; /* for a CPU */
    uint64_t run_count; /* how often it was put on one */
};

/* The samples of one thread. */
struct reading {
    /* The thread's schedstat; -1 if there is none. */
    int fd;
    /* Answers that are left out, now and between two samples. */
    unsigned left;
    unsigned pause;
    /* Iterations that were observed since, and the last one. */
    unsigned seen;
    struct reading_times last;
    /* The wait for a CPU before that iteration, and how long its answers have
     * been in their sockets when it began. */
    uint64_t wait_ns;
    uint64_t late_ns;
    /* When the iteration of the last sample began. */
    uint64_t sample_ns;
    /* The traffic.ready that note_answer() replaces. */
    void (*ready)(struct conn *conn, uint64_t now_ns);
};

/* Begin, on the thread that runs the loop of the traffic. */
void reading_start(struct traffic *traffic);

/* The thread was woken by something else than an answer. */
void reading_note_wake(struct traffic *traffic);

/* End, on the same thread, or after a start that failed. */
void reading_stop(struct traffic *traffic);

#endif
