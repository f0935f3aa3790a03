/*
 * A delivery without a connection, and protocols that act when they are called.
 *
 * The transport is a table with `doom` and a binding, and its loop is no more
 * than what a callback looks at. Bytes are given as copies of a row of numbers,
 * so that a byte that is lost, doubled or out of order is seen at once. The
 * protocols pause, end, fail or switch, as the test says before.
 */
#ifndef WEIR_TESTS_UNIT_DELIVERY_RIG_H
#define WEIR_TESTS_UNIT_DELIVERY_RIG_H

#include "lib/transport/delivery.h"

#include "tests/walk.h"

enum act {
    ACT_NONE,
    ACT_PAUSE,
    ACT_PAUSE_IN_NEED, /* and the next allocation fails */
    ACT_SHUT,          /* as close() does */
    ACT_SWITCH,        /* to the protocol of the other kind */
    ACT_FAIL,
};

extern struct test_allocator allocator;
extern struct wr_pool pool; /* only what leases of copies need */
extern struct wr_account account;
extern weir_loop loop;
extern weir_transport transport;
extern struct wr_delivery delivery;

extern uint8_t row[4096]; /* the bytes that arrive, as numbers */
extern size_t seen_len;   /* how many of them the protocols were shown */
extern size_t arrived_len;
extern size_t memory_size; /* of the buffered protocol */
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

/* Everything is given back, whatever the test left. */
void teardown(void);

/* The next @len bytes of the row. True when they are held. */
bool arrive(size_t len);

/* The protocol wants more, and the owner's step runs. */
void resume(void);

/* The protocols have seen the first @len bytes of the row, and no other. */
void expect_seen(size_t len);

#endif
