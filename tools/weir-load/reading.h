/*
 * How long answers wait in their sockets until this program reads them.
 *
 * An answer that arrives while a thread sleeps wakes it. From then on the
 * thread may wait for a CPU, which the kernel counts for each thread
 * (schedstat), and then reads one answer after the other in an iteration of its
 * loop. Both are in every latency, although the server has answered.
 *
 * They are measured in samples, so that a request costs next to nothing: all
 * answers of one iteration, about every millisecond. An answer that arrives
 * while the thread works on others waits longer than this shows.
 */
#ifndef WEIR_LOAD_READING_H
#define WEIR_LOAD_READING_H

#include <stdint.h>

struct conn;
struct traffic;

/* The samples of one thread. */
struct reading {
    /* The thread's schedstat; -1 if there is none. */
    int fd;
    /* Answers until a sample is armed, which is at 0; and how many there are
     * between two samples. */
    unsigned left;
    unsigned pause;
    /* When the iteration began in which it was armed, the one whose answers are
     * the sample, or 0, and the one of the sample before. */
    uint64_t armed_ns;
    uint64_t turn_ns;
    uint64_t last_ns;
    /* All waits for a CPU when it was armed, or the last sample began; and the
     * one before the sample. */
    uint64_t waits_ns;
    uint64_t wait_ns;
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
