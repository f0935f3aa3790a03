/*
 * The rig of the tests of how TLS connections end.
 *
 * The *subject* is a transport with TLS on a loop. Its peer is a socket with a
 * TLS engine but no loop and no transport, so that it can do anything: truncate
 * a record, end without a close_notify, reset, or send bytes that are not TLS.
 * A test has one body for both versions of TLS and both sides:
 *
 *     TLS_ENDS(tls_ends, reset, end, 0)
 *     {
 *         tls_peer_reset(end);
 *         tls_end_wait_lost(end);
 *         expect_eq(end->lost_err, -ECONNRESET);
 *     }
 *
 * With all_ways it also runs for a subject that got TLS from start_tls, on
 * plain text and inside another TLS, for which the peer then has a second
 * engine.
 *
 * The peer runs between iterations of the loop, in the same thread.
 */
#ifndef WEIR_TESTS_CONTRACT_TLS_END_RIG_H
#define WEIR_TESTS_CONTRACT_TLS_END_RIG_H

#include "tests/contract/harness.h"
#include "tests/tls/rig.h"

#include <weir/tls_connection.h>

#undef EXPECT_CONTEXT
#define EXPECT_CONTEXT tls_end_name(), ": "

enum tls_end_way {
    TLS_END_MADE,
    TLS_END_STARTED,
    TLS_END_NESTED, /* by start_tls, inside the TLS that it was made with */
    TLS_END_WAYS,
};

struct tls_peer {
    int fd;
    bool is_deaf;
    int end; /* end of the subject's stream: 0 or -errno; 1 if not seen yet */
    uint64_t plain;
    struct tls_account account;
    struct tls_side side;
    struct tls_side outer;
};

struct tls_end {
    /* Set by the test, kept from round to round. */
    bool stays_open;
    bool small_buffers;
    bool no_handshake;
    bool ignores_eof; /* the subject ignores an end without close_notify
                         (ignore_unexpected_eof); an outer TLS does not */
    bool all_ways;    /* else the connection is made with TLS */
    uint64_t handshake_timeout_ns;
    uint64_t shutdown_timeout_ns;
    uint64_t read_limit_bytes;
    void (*in_made)(struct tls_end *end);
    void (*in_data)(struct tls_end *end);
    const struct weir_allocator *allocator;
    int round;

    /* State of the round; zero at its start. */
    weir_loop *loop;
    weir_transport *t; /* the subject, a reference; NULL if not made */
    weir_pending *attempt;
    struct tls_peer peer;
    int version; /* 12 or 13 */
    bool is_client;
    enum tls_end_way way;
    bool is_starting;
    char events[64]; /* such as "made data eof lost" */
    uint64_t received;
    uint64_t written;
    uint64_t sent;
    int lost_err;
    int done_count;
    int done_err;
    int report_count;
    int report_err;
    int count;
};

const char *tls_end_name(void);

bool tls_end_next(struct tls_end *end);

void tls_end_rounds(const struct tls_end *end,
                    void (*round)(struct tls_end *end));

#define TLS_ENDS(suite, name, end, ...)                                        \
    static void suite##__##name##_round(struct tls_end *end);                  \
    UNIT_IN(suite, name, unit_alone, void)                                     \
    {                                                                          \
        tls_end_rounds(&(struct tls_end){__VA_ARGS__},                         \
                       suite##__##name##_round);                               \
    }                                                                          \
    static void suite##__##name##_round(struct tls_end *end)

#define expect_end_events(end, text)                                           \
    cr_assert(strcmp((end)->events, text) == 0, "%s: events are '%s'",         \
              tls_end_name(), (end)->events)

/* ---- time ---- */

/* Runs an iteration that does not wait, and a step of the peer. */
void tls_end_turn(struct tls_end *end);
void tls_end_turns(struct tls_end *end, int count);
void tls_end_turn_for(struct tls_end *end, uint64_t time_ns);
void tls_end_step(struct tls_end *end);
#define TLS_END_UNTIL(end, condition) TURN_UNTIL(tls_end_step(end), condition)
void tls_end_wait_lost(struct tls_end *end);
void tls_end_wait_done(struct tls_end *end);
void tls_end_wait_received(struct tls_end *end, uint64_t bytes);
void tls_end_wait_peer_end(struct tls_end *end);

/* ---- the subject ---- */

void tls_end_write(struct tls_end *end, size_t len);
/* Makes the peer deaf and writes more than the kernel accepts, so that
 * plaintext waits unencrypted. Requires small_buffers. */
void tls_end_clog(struct tls_end *end);

/* ---- the peer: tls_end_peer.c ---- */

/* Takes ownership of @fd, which is non-blocking. */
void tls_peer_open(struct tls_end *end, int fd);
void tls_peer_fini(struct tls_end *end);

void tls_peer_begin(struct tls_end *end);
void tls_peer_begin_outer(struct tls_end *end);
void tls_peer_step(struct tls_end *end);
/* Sends bytes unchanged, except for the outer TLS; the loop turns while they do
 * not fit. */
void tls_peer_send(struct tls_end *end, const void *data, size_t len);
void tls_peer_flush(struct tls_end *end);
/* Encrypts the next @len bytes of the pattern, at most a record, to @ret.
 * Returns their encrypted size. */
size_t tls_peer_seal(struct tls_end *end, size_t len, uint8_t *ret,
                     size_t size);
void tls_peer_write(struct tls_end *end, size_t len);
void tls_peer_close_notify(struct tls_end *end);
/* Sends a fatal alert, bad_record_mac, from the peer's engine. */
void tls_peer_alert(struct tls_end *end);
/* Sends the outer TLS's close_notify, and then a FIN. */
void tls_peer_shutdown(struct tls_end *end);
/* Sends only a FIN. */
void tls_peer_cut(struct tls_end *end);
void tls_peer_reset(struct tls_end *end);
void tls_peer_close(struct tls_end *end);

#endif
