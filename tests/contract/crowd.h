/*
 * A crowd of connections on one loop, each with its peer and its conduct.
 *
 * Peers send as much as is taken from them; what the protocols do with it is
 * the conduct. Included by one program at a time.
 */
#ifndef WEIR_TESTS_CONTRACT_CROWD_H
#define WEIR_TESTS_CONTRACT_CROWD_H

#include "tests/contract/harness.h"

#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>

enum { CROWD_MAX = 1001, LEASES_MAX = 20000, SMALL_BUFFER = 16384 };

/* Buffers beyond the limit: those that are posted and not held. */
#define POSTED_BYTES (UINT64_C(10) << 18)

enum conduct {
    CONDUCT_READS,  /* and drops */
    CONDUCT_PAUSES, /* after the first byte, for good */
    CONDUCT_KEEPS,  /* every lease */
    CONDUCT_ECHOES,
    CONDUCT_COPIES,    /* the same by weir_transport_write() */
    CONDUCT_KEEPS_ONE, /* the first byte of every piece */
};

struct crowd_member {
    struct crowd *crowd;
    weir_transport *t;
    enum conduct conduct;
    int peer;
    uint64_t peer_sent;
    uint64_t received;
    bool lost;
};

struct crowd {
    weir_loop *loop;
    struct crowd_member members[CROWD_MAX];
    int count;
    int made_count;
    weir_lease *leases[LEASES_MAX];
    int lease_count;
};

extern struct crowd crowd; /* too large for the stack */

/* ---- the protocol ---- */

void crowd_keep(const struct weir_buf *buf, size_t len);

/* ---- the crowd ---- */

void crowd_turn(void);
struct weir_loop_statistics crowd_statistics(void);
void crowd_begin_with(const struct weir_loop_options *options);
void crowd_begin(uint64_t held_limit_bytes);
struct crowd_member *crowd_add(bool is_tcp, enum conduct conduct);
void crowd_wait_made(void);

/* As much as the socket takes now; true when that was something. */
bool crowd_push(struct crowd_member *member, uint64_t most);

/* One small message there and back. */
void crowd_expect_served(struct crowd_member *member);

/* All members send until no socket takes more, or, where one reads, for long
 * enough; @served is served all the time. */
void crowd_flood(int from, int count, struct crowd_member *served);
uint64_t crowd_sum(uint64_t (*of)(const struct crowd_member *member));
uint64_t sent_by(const struct crowd_member *member);
uint64_t received_by(const struct crowd_member *member);
void crowd_give_leases_back(void);
/* Gives all leases back; true when the protocols have what was sent. */
bool crowd_all_delivered(void);
void crowd_end(void);

#endif
