/*
 * A queue of received bytes, its memory, and a model of it.
 *
 * The model has two numbers: how many bytes were received and how many
 * consumed. Byte i of the stream is a function of i, so the queue is right if
 * it holds the bytes from the second number to the first. Leases that a test
 * has taken are kept with the position that their bytes must have.
 */
#ifndef WEIR_TESTS_UNIT_RECVQ_RIG_H
#define WEIR_TESTS_UNIT_RECVQ_RIG_H

#include "lib/base/recvq.h"

#include "tests/walk.h"

#define TAKEN_MAX 64

/* Bytes that the test has taken, with their position. */
struct taken {
    struct weir_buf buf;
    uint64_t position;
};

extern struct test_allocator allocator;
extern struct wr_blocks blocks;
extern struct wr_pool pool; /* only for leases of copies */
extern struct wr_account account;
extern struct wr_recvq queue;
extern uint64_t copied;
extern uint64_t arrived;
extern struct weir_buf view; /* the bytes shown */
extern struct taken taken[TAKEN_MAX];
extern int taken_count;

void setup(void);
void give_back(int index);

/* Releases everything, whatever the test has left. */
void teardown(void);
/* Runs a body between setup() and teardown(). */
void with_queue(void (*body)(void));

/* Checks that hold at any time; compares every byte. */
void check(void);

/* ---- calls, each with its model ---- */

/* Receives @len bytes; the reader is shown all of them. */
int push(size_t len);
int push_copy(size_t len);
void drop(void);
void read_out(size_t len);
void consume(size_t len);

/* Joins and shows @len bytes, which must have been received. */
int show(size_t len);

/* Takes up to @max bytes of the first piece. */
int take(size_t max);

#endif
