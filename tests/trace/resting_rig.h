/*
 * A Unix connection on the fake ring that does not receive, because closes of
 * descriptors from its peer wait until the test ends them.
 *
 * Each test has one connection, whose protocol records its callbacks.
 */
#ifndef WEIR_TESTS_TRACE_RESTING_RIG_H
#define WEIR_TESTS_TRACE_RESTING_RIG_H

#include "clock.h"
#include "tests/fake/fake.h"
#include "tests/unit.h"

#include <weir/error.h>
#include <weir/protocol.h>

#define MS UINT64_C(1000000)
#define S  UINT64_C(1000000000)

enum {
    ROOM = 4096,          /* in either queue of the connection */
    TOKENS = 3,           /* descriptors of a message, */
    WAITING = TOKENS - 1, /* of which the connection takes one */
    TEXT_MAX = 64,
};

/* The connection, and the calls of its protocol. */
struct resting_rig {
    uint64_t seed;
    weir_loop *loop;
    weir_transport *t;
    struct fake_peer *peer;
    char received[TEXT_MAX];
    int fds_count; /* calls */
    int eof_count;
    int lost_count;
    int lost_err;
    uint64_t lost_ns;
    bool pauses;          /* pauses reading when bytes arrive */
    struct weir_buf kept; /* where to keep the first bytes */
    bool keeps;
    struct weir_allocator *allocator; /* of the loop; NULL is the default */
};

extern struct resting_rig rig;
/* Appends received bytes to a text, its user argument. */
extern const struct weir_protocol resting_protocol;

/* Open a connection; and one that has received a message, and rests. */
void rig_open(void);
void rig_start(void);
/* Frees the loop, with @alive connections, and the machine. */
void rig_stop(int alive);
void rig_run(uint64_t time_ns);

/* The peer sends bytes; or a byte with descriptors. */
void peer_sends(const char *text);
void peer_passes(void);
/* Expects that the peer reads these bytes, or "" for the end of the stream. */
void expect_peer_reads(const char *text);

/* Returns how many descriptors wait to be closed. */
uint32_t rig_waiting(void);
/* Closes those descriptors; later ones wait. */
void rig_end_closes(void);

void expect_lost(int err);
bool is_dumped(const char *words);

#endif
