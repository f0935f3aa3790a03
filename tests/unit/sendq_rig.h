/*
 * A send queue, the memory that it lives on, and a model of it.
 *
 * The model is two numbers: how many bytes were written and how many the kernel
 * has taken. Byte i of the stream is a function of i, so the queue is right
 * when what it names are the bytes from the one number to the other.
 */
#ifndef WEIR_TESTS_UNIT_SENDQ_RIG_H
#define WEIR_TESTS_UNIT_SENDQ_RIG_H

#include "lib/base/sendq.h"

#include "tests/unit.h"
#include "tests/walk.h"
#include "uring/lease.h"

#include <errno.h>

#define VECTOR_MAX 4096u
/* Room of the smallest and of the largest block of copies. */
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
extern uint64_t refs_out;     /* pieces by reference not released yet */
extern uint64_t released_sum; /* bytes of those that were */

void setup(void);

/* Everything is given back, whatever the test left in the queue. */
void teardown(void);

/* ---- the ways to write ---- */

/* One write of @len bytes in pieces of all sizes, empty ones among them. */
int copy(size_t len);

/* A copy of one piece, as most writes are. */
int append_one(size_t len);
int ref(size_t len);

/* Only the middle of the leased bytes is sent. */
int lease(size_t len);
void consume(uint64_t bytes);

/* ---- checks that hold at any time ---- */

/* Gathers under two limits; what is named must be the next bytes. */
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
