/*
 * A stream with limits of its own, and a task that is its peer.
 *
 * The peer sends the pattern of pair.h in pieces, as fast as the machine takes
 * them; what arrives is compared by its place.
 */
#ifndef WEIR_TESTS_STREAMS_READER_PAIR_H
#define WEIR_TESTS_STREAMS_READER_PAIR_H

#include "tests/streams/pair.h"

extern struct pair p;

/* Runs a body that opens `p`, and closes `p`. */
void close_after(void (*body)(void));
void open_limited(struct pair *pair, uint64_t limit, uint64_t budget);

/* The peer writes bytes of the pattern in pieces, without a pause. */
struct sender {
    struct pair *pair;
    size_t total;
    size_t piece;
    size_t sent;
};

int send_all(weir_loop *on, void *arg);
weir_task *start_sender(struct sender *sender, struct pair *pair, size_t total,
                        size_t piece);
void check_pattern(const uint8_t *data, size_t len, uint64_t from);
void peer_writes(struct pair *pair, size_t len);

#endif
