/*
 * The rig of the relays' tests: two subjects of the harness, and a relay.
 *
 * Each side has a peer, which the test drives. The two subjects may be of any
 * two makers, on one loop. After the start of the relay the recorder is no
 * longer the protocol, so a test checks the peers and the relay's record.
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

/* Calls @body for each pair of makers of which the first has the traits @a and
 * the second the traits @b, and again with splicing relays if the second is a
 * plain socket. The body starts a relay and waits for its end. */
void relay_rig_pairings(unsigned int a, unsigned int b, bool small_buffers,
                        void (*body)(struct relayed *r));
void relay_rig_splicing(unsigned int a, unsigned int b,
                        void (*body)(struct relayed *r));
void relay_rig_run(void (*body)(struct relayed *r));

void relay_rig_begin(struct relayed *r,
                     const struct weir_relay_options *options);
int relay_rig_try(struct relayed *r, const struct weir_relay_options *options);
int relay_rig_end(struct relayed *r);
void relay_rig_move(struct rig *from, struct rig *to, uint64_t len,
                    size_t piece);
int relay_rig_end_of(struct rig *side);

#endif
