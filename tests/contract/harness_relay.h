/*
 * A relay between two transports, of which one is the peer of a subject.
 *
 * Each side is the user of the protocol of its transport. The relay of a TLS
 * connection runs in a thread, that of a pair in memory in the rig's own loop.
 */
#ifndef WEIR_TESTS_CONTRACT_HARNESS_RELAY_H
#define WEIR_TESTS_CONTRACT_HARNESS_RELAY_H

#include "tests/contract/harness.h"

struct relay_side {
    weir_transport *t; /* NULL: not made yet, or lost */
    bool was_lost;
    bool has_ended;          /* received the end of its stream */
    bool small_buffers;      /* few bytes fit into the kernel */
    bool is_kernel;          /* an end that came before a reset is passed on */
    void (*over)(void *arg); /* both sides are lost */
    void *arg;
    struct relay_side *other;
};

void relay_sides_init(struct relay_side *a, struct relay_side *b,
                      void (*over)(void *arg), void *arg);

/* The factory of a side. */
int relay_side_create(void *side, weir_transport *t,
                      struct weir_protocol_binding *ret);

#endif
