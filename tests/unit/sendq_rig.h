/*
 * A send queue, its memory, and a model of it.
 *
 * The model has two numbers: how many bytes were written and how many the
 * kernel has accepted. Byte i of the stream is a function of i, so the queue is
 * right if it contains the bytes from the second number to the first.
 */
#ifndef WEIR_TESTS_UNIT_SENDQ_RIG_H
#define WEIR_TESTS_UNIT_SENDQ_RIG_H

#include "lib/base/sendq.h"

#include "tests/unit.h"
#include "tests/walk.h"
#include "uring/lease.h"

#include <errno.h>

#define VECTOR_MAX 4096u
/* Space in the smallest and in the largest block of copies. */
#define OVERHEAD   (sizeof(struct wr_block) + sizeof(struct wr_chunk))
#define FIRST_ROOM (4096u - OVERHEAD)
#define LARGE_ROOM (65536u - OVERHEAD)

extern struct test_allocator allocator;
extern struct wr_slab chunks;
extern struct wr_blocks blocks;
extern struct wr_sendq_memory memory;
extern struct wr_sendq queue;
extern struct wr_account account;
extern uint64_t written;
extern uint64_t taken;
extern uint64_t refs_out; /* pieces by reference that are not released yet */
extern uint64_t released_sum; /* bytes of released pieces */

void setup(void);

/* Releases everything, whatever the test has left in the queue. */
void teardown(void);

/* ---- the ways to write ---- */

/* Writes @len bytes in pieces of all sizes, including empty ones. */
int copy(size_t len);

/* Writes a copy of one piece, like most writes. */
int append_one(size_t len);
int ref(size_t len);

/* Writes a lease, of which only the middle is sent. */
int lease(size_t len);
void consume(uint64_t bytes);

/* ---- checks that hold at any time ---- */

/* Gathers with two limits, and checks that the pieces are the next bytes. */
uint64_t check_gather(uint32_t max_count, uint64_t max_bytes);
void check(void);

/* ---- calls by number ---- */

enum step {
    COPY_1,
    COPY_FIRST_ROOM,
    COPY_FIRST_ROOM_AND_1,
    COPY_LARGE,
    APPEND_1,
    APPEND_FIRST_ROOM,
    APPEND_FIRST_ROOM_AND_1,
    REF_5,
    REF_70000,
    LEASE_7,
    TAKE_1,
    TAKE_FIRST_ROOM,
    TAKE_HALF,
    TAKE_ALL_BUT_1,
    TAKE_ALL,
    STEPS
};

void take(uint64_t bytes);
int do_step(enum step step);

#endif
