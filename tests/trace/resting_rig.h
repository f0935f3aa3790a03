/*
 * A Unix connection on the fake ring that rests: closes of descriptors that its
 * peer has sent wait, until the test says that they end.
 *
 * One connection for each test, whose protocol notes what it is told.
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

/* The connection, and what its protocol was told. */
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
    bool pauses;          /* reading, when bytes come */
    struct weir_buf kept; /* the first bytes, where they are to be kept */
    bool keeps;
    struct weir_allocator *allocator; /* of the loop; NULL: the default */
};

extern struct resting_rig rig;
/* Adds what is received to the text that is its user's. */
extern const struct weir_protocol resting_protocol;

/* A connection; and one that has received a message, and rests. */
void rig_open(void);
void rig_start(void);
/* Frees the loop, with so many connections, and the machine. */
void rig_stop(int alive);
void rig_run(uint64_t time_ns);

/* The peer sends bytes; or a byte with descriptors. */
void peer_sends(const char *text);
void peer_passes(void);
/* Expects that the peer can read these bytes; none: the end of the stream. */
void expect_peer_reads(const char *text);

/* How many descriptors wait to be closed. */
uint32_t rig_waiting(void);
/* They are closed; those that come later wait. */
void rig_end_closes(void);

void expect_lost(int err);
bool is_dumped(const char *words);

#endif
