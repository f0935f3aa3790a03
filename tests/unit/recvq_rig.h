/*
 * A queue of received bytes, the memory that it lives on, and a model of it.
 *
 * The model is two numbers: how many bytes came and how many were consumed.
 * Byte i of the stream is a function of i, so the queue is right when what it
 * holds are the bytes from the one number to the other. Leases that a test took
 * out are kept beside, with the position that their bytes must still have.
 */
#ifndef WEIR_TESTS_UNIT_RECVQ_RIG_H
#define WEIR_TESTS_UNIT_RECVQ_RIG_H

#include "lib/base/recvq.h"

#include "tests/walk.h"

#define TAKEN_MAX 64

/* Bytes that the test has taken, with their place. */
struct taken {
    struct weir_buf buf;
    uint64_t position;
};

extern struct test_allocator allocator;
extern struct wr_blocks blocks;
extern struct wr_pool pool; /* only what leases of copies need */
extern struct wr_account account;
extern struct wr_recvq queue;
extern uint64_t copied;
extern uint64_t arrived;
extern struct weir_buf view; /* what is shown */
extern struct taken taken[TAKEN_MAX];
extern int taken_count;

void setup(void);
void give_back(int index);

/* Everything is given back, whatever the test left. */
void teardown(void);
/* Runs a body between the two. */
void with_queue(void (*body)(void));

/* Checks that hold at any time; every byte is compared. */
void check(void);

/* ---- calls, each with its model ---- */

/* A receive of @len bytes, of which the reader is shown all. */
int push(size_t len);
int push_copy(size_t len);
void drop(void);
void read_out(size_t len);
void consume(size_t len);

/* Joins and shows @len bytes, which are there. */
int show(size_t len);

/* Takes up to @max bytes of the first piece. */
int take(size_t max);

#endif
