/*
 * A relay between two transports, of which one is the peer of a subject.
 *
 * Each side is the user pointer of its transport's protocol. The relay of a TLS
 * connection runs in a thread, the relay of an in-memory pair on the rig's
 * loop.
 */
#ifndef WEIR_TESTS_CONTRACT_HARNESS_RELAY_H
#define WEIR_TESTS_CONTRACT_HARNESS_RELAY_H

#include "tests/contract/harness.h"

struct relay_side {
    weir_transport *t; /* NULL before it is made and after its loss */
    bool was_lost;
    bool has_ended;
    bool small_buffers;
    bool is_kernel; /* passes on an end that came before a reset */
    void (*over)(void *arg);
    void *arg;
    struct relay_side *other;
};

void relay_sides_init(struct relay_side *a, struct relay_side *b,
                      void (*over)(void *arg), void *arg);

int relay_side_create(void *side, weir_transport *t,
                      struct weir_protocol_binding *ret);

#endif
