/*
 * The rig of moves: two loops in one thread, a connection that moves from one
 * to the other, and its peer, a plain socket.
 *
 * A test turns the loops itself, so that it decides which of them has not run
 * yet. Moves are tested over TCP and over a Unix socket. Bytes in both
 * directions are the pattern of harness.h, which continues across a move.
 */
#ifndef WEIR_TESTS_CONTRACT_MOVE_RIG_H
#define WEIR_TESTS_CONTRACT_MOVE_RIG_H

#include "tests/contract/harness.h"
#include "tests/walk.h"

#include <weir/embed.h>
#include <weir/move.h>

enum { HERE, THERE, SIDES, MOVER_TEXT = 256 };

struct mover;

struct mover_side {
    struct mover *mover;
    weir_loop *loop; /* NULL after it was freed */
    weir_mailbox *mailbox;
    weir_transport *t; /* the last transport, a reference; or NULL */
    bool stands;       /* the loop does not run */
    int lost_err;
    char events[MOVER_TEXT];
};

struct mover {
    /* Set by the test. */
    const struct weir_protocol *protocol; /* NULL means the rig's protocol */
    int factory_err;
    int eof_result;
    void (*in_factory)(struct mover *m, weir_transport *t);
    void (*in_data)(struct mover *m);

    bool is_unix;
    struct mover_side sides[SIDES];
    int at;
    int peer;
    uint64_t received;
    uint64_t written;
    uint64_t peer_sent;
    uint64_t peer_received;
    int done_count;
    int done_err;
    weir_pending *pending;
    void *arg;
};

/* Runs the body over TCP and then over a Unix socket. */
void mover_test(void (*body)(struct mover *m));

extern const struct weir_protocol mover_protocol;

extern struct test_allocator mover_memory;

/* Replaces the connection, which has not moved, by a new one. */
void mover_connect_anew(struct mover *m,
                        const struct weir_connect_options *options);

weir_transport *mover_t(const struct mover *m);
void mover_expect(const struct mover *m, int side, const char *events);

int mover_begin(struct mover *m);
/* Moves the connection; expects success, or failure with @err. */
void mover_move(struct mover *m);
void mover_fail(struct mover *m, int err);

/* Run one iteration of the loops that are not stopped, or iterations until a
 * condition holds. */
void mover_step(struct mover *m);
#define MOVER_UNTIL(m, condition) TURN_UNTIL(mover_step(m), condition)
void mover_turn(struct mover *m, int count);
bool mover_is_done(const struct mover *m);
bool mover_is_lost(const struct mover *m);
void mover_free_loop(struct mover *m, int side);

void mover_write(struct mover *m, size_t len);
void mover_clog(struct mover *m);
void mover_send(struct mover *m, size_t len);
void mover_receive(struct mover *m, uint64_t len);
void mover_read(struct mover *m, uint64_t len);
/* Reads once. Returns 0 at the end, -errno, or -EAGAIN after an iteration of
 * the loops. */
ssize_t mover_read_some(struct mover *m);
void mover_talk(struct mover *m);
int mover_read_end(struct mover *m);

#endif
