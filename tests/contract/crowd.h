/*
 * Many connections on one loop, each with a peer and a behaviour.
 *
 * Peers send as much as the sockets accept; the behaviour (conduct) determines
 * what the protocols do with the bytes. Only one program at a time includes it.
 */
#ifndef WEIR_TESTS_CONTRACT_CROWD_H
#define WEIR_TESTS_CONTRACT_CROWD_H

#include "tests/contract/harness.h"

#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>

enum { CROWD_MAX = 1001, LEASES_MAX = 20000, SMALL_BUFFER = 16384 };

/* Buffers beyond the limit: posted to the kernel, and not held. */
#define POSTED_BYTES (UINT64_C(10) << 18)

enum conduct {
    CONDUCT_READS,
    CONDUCT_PAUSES,
    CONDUCT_KEEPS,
    CONDUCT_ECHOES,
    CONDUCT_COPIES,    /* like the previous one, with weir_transport_write() */
    CONDUCT_KEEPS_ONE, /* holds the first byte of every piece */
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

void crowd_keep(const struct weir_buf *buf, size_t len);

void crowd_turn(void);
struct weir_loop_statistics crowd_statistics(void);
void crowd_begin_with(const struct weir_loop_options *options);
void crowd_begin(uint64_t held_limit_bytes);
struct crowd_member *crowd_add(bool is_tcp, enum conduct conduct);
void crowd_wait_made(void);

bool crowd_push(struct crowd_member *member, uint64_t most);

void crowd_expect_served(struct crowd_member *member);

/* All members send until no socket accepts more or, if one of them reads, for
 * long enough. @served is served during this time. */
void crowd_flood(int from, int count, struct crowd_member *served);
uint64_t crowd_sum(uint64_t (*of)(const struct crowd_member *member));
uint64_t sent_by(const struct crowd_member *member);
uint64_t received_by(const struct crowd_member *member);
void crowd_give_leases_back(void);
/* Releases all leases. Returns true if the protocols have received everything
 * that was sent. */
bool crowd_all_delivered(void);
void crowd_end(void);

#endif
