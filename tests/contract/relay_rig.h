/*
 * The rig of the relays' tests: two subjects of the harness, and a relay.
 *
 * Each side has a peer of its own, which the test drives. The two subjects are
 * of any two makers, in one loop. When the relay has begun the recorder is no
 * longer the protocol, so a test asks the peers and the record.
 */
#ifndef WEIR_TESTS_CONTRACT_RELAY_RIG_H
#define WEIR_TESTS_CONTRACT_RELAY_RIG_H

#include "tests/contract/harness.h"

#include <weir/pending.h>
#include <weir/relay.h>

struct relayed {
    struct rig *a;
    struct rig b;
    weir_pending *pending;
    struct weir_relay_record record;
    int done_count;
    int done_err;
};

/* Calls @body for each pairing of two makers of which the first has the traits
 * @a and the second @b, and once more with relays that splice if the second is
 * a plain socket. The body begins a relay and waits for its end. */
void relay_rig_pairings(unsigned int a, unsigned int b, bool small_buffers,
                        void (*body)(struct relayed *r));
/* The same for plain sockets, with relays that splice alone. */
void relay_rig_splicing(unsigned int a, unsigned int b,
                        void (*body)(struct relayed *r));
/* Calls @body for two TCP sockets. */
void relay_rig_run(void (*body)(struct relayed *r));

/* Begins the relay of both; fails if it does not. */
void relay_rig_begin(struct relayed *r,
                     const struct weir_relay_options *options);
/* weir_relay() with the rig's done and handle. */
int relay_rig_try(struct relayed *r, const struct weir_relay_options *options);
/* Waits for the end of the relay, and returns what done was told. */
int relay_rig_end(struct relayed *r);
/* One side's peer sends @len bytes in pieces, and the other one reads them. */
void relay_rig_move(struct rig *from, struct rig *to, uint64_t len,
                    size_t piece);
/* What a peer sees at the end after any bytes: 0 or -errno. */
int relay_rig_end_of(struct rig *side);

#endif
