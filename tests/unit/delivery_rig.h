/*
 * A delivery without a connection, and protocols that act when they are called.
 *
 * The transport is a table with `doom` and a binding; its loop has only the
 * fields that a callback reads. Received bytes are copies of a row of numbers,
 * so that lost, duplicated and reordered bytes are noticed. The protocols
 * pause, end, fail or switch, as set by the test.
 */
#ifndef WEIR_TESTS_UNIT_DELIVERY_RIG_H
#define WEIR_TESTS_UNIT_DELIVERY_RIG_H

#include "lib/transport/connection.h"

#include "tests/walk.h"

enum act {
    ACT_NONE,
    ACT_PAUSE,
    ACT_PAUSE_IN_NEED, /* and the next allocation fails */
    ACT_SHUT,          /* like close() */
    ACT_SWITCH,        /* to a protocol of the other kind */
    ACT_FAIL,
};

extern struct test_allocator allocator;
extern struct wr_pool pool; /* only for leases of copies */
extern struct wr_account account;
extern weir_loop loop;
extern weir_transport transport;
extern struct wr_delivery delivery;

extern uint8_t row[4096]; /* the received bytes, as numbers */
extern size_t seen_len;   /* how many of them were passed to the protocols */
extern size_t arrived_len;
extern size_t memory_size; /* memory of the buffered protocol */
extern bool is_lent;
extern int given_back_count;
extern int doom_count;
extern int eof_count;
extern int eof_answer;
extern enum act on_data;       /* in data_received or buffer_updated */
extern enum act on_get_buffer; /* each for one call */
extern enum act on_eof;

extern const struct weir_protocol stream_protocol;
extern const struct weir_protocol buffered_protocol;

void setup(const struct weir_protocol *protocol);
void set_binding(const struct weir_protocol *protocol);

/* Releases everything, whatever the test has left. */
void teardown(void);

/* Receives the next @len bytes of the row. Returns true if they are held. */
bool arrive(size_t len);

/* The protocol resumes reading, and the owner's step runs. */
void resume(void);

/* Expects that the protocols have seen exactly the first @len bytes of the row.
 */
void expect_seen(size_t len);

#endif
