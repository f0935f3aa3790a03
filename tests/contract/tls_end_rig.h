/*
 * The rig of the tests of how TLS connections end.
 *
 * The *subject* is a transport with TLS on a loop. Its peer is a socket with an
 * engine, no loop and no transport, so that it can be made to do anything: cut
 * a record, end without a close_notify, reset, send what is no TLS. A test is
 * one body for both versions of TLS and both sides:
 *
 *     TLS_ENDS(tls_ends, reset, 0)
 *     {
 *         tls_end_reset(end);
 *         tls_end_wait_lost(end);
 *         expect_eq(end->lost_err, -ECONNRESET);
 *     }
 *
 * With all_ways it also runs for a subject whose TLS was begun by start_tls, on
 * plain text and within another TLS, which the peer then has an engine for too.
 *
 * The peer works between turns of the loop, in the same thread.
 */
#ifndef WEIR_TESTS_CONTRACT_TLS_END_RIG_H
#define WEIR_TESTS_CONTRACT_TLS_END_RIG_H

#include "tests/contract/harness.h"
#include "tests/tls/rig.h"

#include <weir/tls_connection.h>

#undef EXPECT_CONTEXT
#define EXPECT_CONTEXT tls_end_name(), ": "

/* How the subject came by its TLS. */
enum tls_end_way {
    TLS_END_MADE,    /* the connection was made with it */
    TLS_END_STARTED, /* by start_tls */
    TLS_END_NESTED,  /* by start_tls, within a TLS that it was made with */
    TLS_END_WAYS,
};

struct tls_peer {
    int fd;         /* -1: closed */
    bool is_deaf;   /* set by a test: it does not read */
    int end;        /* of what the subject sent: 1 none yet, 0, or -errno */
    uint64_t plain; /* bytes of the subject's pattern that it opened */
    struct tls_account account;
    struct tls_side side;  /* of the subject's TLS */
    struct tls_side outer; /* of the one that it is in, where nested */
};

struct tls_end {
    /* Chosen by the test, kept from round to round. */
    bool stays_open;    /* eof_received returns 1 */
    bool small_buffers; /* few bytes fit into the kernel on both sides */
    bool no_handshake;  /* the round begins before it */
    bool ignores_eof;   /* the subject does, by ignore_unexpected_eof; a TLS
                         * that it is in does not */
    bool all_ways;      /* else the connection is made with TLS */
    uint64_t handshake_timeout_ns;
    uint64_t shutdown_timeout_ns;
    uint64_t read_limit_bytes;
    void (*in_made)(struct tls_end *end);
    void (*in_data)(struct tls_end *end);
    const struct weir_allocator *allocator; /* of the loop */
    int round;

    /* Of this round; all zero when it begins. */
    weir_loop *loop;
    weir_transport *t; /* the subject, a reference; NULL: not made */
    weir_pending *attempt;
    struct tls_peer peer;
    int version;    /* 12 or 13 */
    bool is_client; /* the subject is */
    enum tls_end_way way;
    bool is_starting;  /* start_tls has not called done */
    char events[64];   /* "made data eof lost" */
    uint64_t received; /* bytes, which were the pattern */
    uint64_t written;  /* bytes that writes accepted */
    uint64_t sent;     /* bytes of the pattern that the peer sealed */
    int lost_err;
    int done_count; /* of the maker's callback */
    int done_err;
    int report_count; /* of the exception hook */
    int report_err;
    int count; /* for the test */
};

/* Which round it is, for messages. */
const char *tls_end_name(void);

/* Ends the last round and begins the next; false after the last one. */
bool tls_end_next(struct tls_end *end);

/* Calls @round for both versions and both sides, and all ways if the test wants
 * them, with an end that has the fields which the test has chosen. */
void tls_end_rounds(const struct tls_end *end,
                    void (*round)(struct tls_end *end));

/* A test of such a round, with its @end; the rest are fields of it, or 0. */
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

/* A turn of the loop that waits for nothing, and a step of the peer. */
void tls_end_turn(struct tls_end *end);
void tls_end_turns(struct tls_end *end, int count);
/* Turns for a while, and at least RIG_TURNS_MIN times: for what must not
 * happen. */
void tls_end_turn_for(struct tls_end *end, uint64_t time_ns);
/* A turn, and time for a busy kernel. */
void tls_end_step(struct tls_end *end);
#define TLS_END_UNTIL(end, condition) TURN_UNTIL(tls_end_step(end), condition)
void tls_end_wait_lost(struct tls_end *end);
void tls_end_wait_done(struct tls_end *end);
void tls_end_wait_received(struct tls_end *end, uint64_t bytes);
/* Until the peer has seen the end of what the subject sent. */
void tls_end_wait_peer_end(struct tls_end *end);

/* ---- the subject ---- */

void tls_end_write(struct tls_end *end, size_t len);
/* The peer is deaf, and more is written than the kernel takes: plaintext waits
 * unsealed. Wants small_buffers. */
void tls_end_clog(struct tls_end *end);

/* ---- the peer: tls_end_peer.c ---- */

/* For the rounds. Takes @fd, which does not block. */
void tls_peer_open(struct tls_end *end, int fd);
void tls_peer_fini(struct tls_end *end);

/* Begins the handshake, in a round that is without one. */
void tls_peer_begin(struct tls_end *end);
void tls_peer_begin_outer(struct tls_end *end);
/* Reads what is there, unless it is deaf, and lets its engine go on. */
void tls_peer_step(struct tls_end *end);
/* Sends bytes as they are, but for the outer TLS; the loop turns while they do
 * not fit. */
void tls_peer_send(struct tls_end *end, const void *data, size_t len);
/* Sends what its engine has to send. */
void tls_peer_flush(struct tls_end *end);
/* Seals the next @len bytes of the pattern, at most a record: how many bytes
 * they became at @ret. */
size_t tls_peer_seal(struct tls_end *end, size_t len, uint8_t *ret,
                     size_t size);
/* Seals them, and sends them. */
void tls_peer_write(struct tls_end *end, size_t len);
void tls_peer_close_notify(struct tls_end *end);
/* A fatal alert, bad_record_mac, as its engine sends it. */
void tls_peer_alert(struct tls_end *end);
/* A FIN, after the close_notify of the outer TLS. */
void tls_peer_shutdown(struct tls_end *end);
/* A FIN alone. */
void tls_peer_cut(struct tls_end *end);
void tls_peer_reset(struct tls_end *end);
void tls_peer_close(struct tls_end *end);

#endif
