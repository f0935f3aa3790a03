/*
 * The rig of moves: two loops in one thread, a connection that goes from one to
 * the other, and its peer, a plain socket. A test turns the loops by itself, so
 * that it chooses which of the two has not run yet. A move is tested over TCP
 * and over a Unix socket; bytes in both directions are the pattern of
 * harness.h, which goes on across the move.
 */
#ifndef WEIR_TESTS_CONTRACT_MOVE_RIG_H
#define WEIR_TESTS_CONTRACT_MOVE_RIG_H

#include "tests/contract/harness.h"
#include "tests/walk.h"

#include <weir/embed.h>
#include <weir/move.h>

enum { HERE, THERE, SIDES, MOVER_TEXT = 256 };

struct mover;

/* A protocol of the connection, in one of the loops. */
struct mover_side {
    struct mover *mover;
    weir_loop *loop; /* NULL: freed */
    weir_mailbox *mailbox;
    weir_transport *t; /* the last one, with a reference; or NULL */
    bool stands;       /* the loop does not run */
    int lost_err;
    char events[MOVER_TEXT];
};

struct mover {
    /* Chosen by the test. */
    const struct weir_protocol *protocol; /* NULL: the rig's */
    int factory_err;
    int eof_result;
    void (*in_factory)(struct mover *m, weir_transport *t);
    void (*in_data)(struct mover *m);

    bool is_unix;
    struct mover_side sides[SIDES];
    int at; /* the side with the connection */
    int peer;
    uint64_t received; /* by the protocols */
    uint64_t written;
    uint64_t peer_sent;
    uint64_t peer_received;
    int done_count;
    int done_err;
    weir_pending *pending;
    void *arg; /* the test's */
};

/* Tests with the body's @m, over TCP and then over a Unix socket. */
void mover_test(void (*body)(struct mover *m));

extern const struct weir_protocol mover_protocol;

/* Of both loops. */
extern struct test_allocator mover_memory;

/* Another connection in place of the first one, which has not moved. */
void mover_connect_anew(struct mover *m,
                        const struct weir_connect_options *options);

/* The transport that is the connection now, and what its protocol has seen. */
weir_transport *mover_t(const struct mover *m);
void mover_expect(const struct mover *m, int side, const char *events);

/* Begins to move the connection to the other side. */
int mover_begin(struct mover *m);
/* Moves it, which must succeed with @err or fail with it. */
void mover_move(struct mover *m);
void mover_fail(struct mover *m, int err);

/* A turn of the loops that do not stand, and until a condition holds. */
void mover_step(struct mover *m);
#define MOVER_UNTIL(m, condition) TURN_UNTIL(mover_step(m), condition)
void mover_turn(struct mover *m, int count);
bool mover_is_done(const struct mover *m);
bool mover_is_lost(const struct mover *m);
void mover_free_loop(struct mover *m, int side);

void mover_write(struct mover *m, size_t len);
/* Writes until the kernel takes no more. */
void mover_clog(struct mover *m);
/* The protocol gets @len bytes of the peer, and the peer the protocol's. */
void mover_send(struct mover *m, size_t len);
void mover_receive(struct mover *m, uint64_t len);
void mover_read(struct mover *m, uint64_t len);
/* Reads once: 0 at the end, or -errno; -EAGAIN after a turn of the loops. */
ssize_t mover_read_some(struct mover *m);
/* Bytes pass both ways. */
void mover_talk(struct mover *m);
/* Reads as the peer until the end, 0 or -errno. */
int mover_read_end(struct mover *m);

#endif
