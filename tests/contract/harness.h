/*
 * The rig of the contract suites: a loop, a transport, and its peer.
 *
 * Promises of stream transports are tested over every kind of connection. A
 * *maker* makes a connected pair: one end is the transport under test, the
 * *subject*; the other is the *peer*, a plain descriptor that the test uses. A
 * test has one body for all makers:
 *
 *     PAIRS(errors, abort, rig, .hooks = {.data_received = refuse})
 *     {
 *         rig_peer_send(rig, 5);
 *         rig_wait_lost(rig);
 *         expect_eq(rig->lost_err, -EPROTO);
 *     }
 *
 * Bytes in both directions are a pattern that depends on the position, so that
 * a lost, duplicated or moved byte is noticed. rig_next() ends the last round
 * and checks that it left nothing.
 */
#ifndef WEIR_TESTS_CONTRACT_HARNESS_H
#define WEIR_TESTS_CONTRACT_HARNESS_H

#include "tests/bind.h"
#include "tests/ends.h"
#include "tests/statistics.h"
#include "tests/unit.h"
#include "tests/until.h"

#include <errno.h>
#include <stdint.h>
#include <tests/have.h>
#include <weir/buffer.h>
#include <weir/error.h>
#include <weir/inspect.h>
#include <weir/loop.h>
#include <weir/server.h>
#include <weir/tls_connection.h>
#include <weir/transport.h>
#include <weir/unix.h>

#define expect(cond) cr_assert(cond, "%s: %s", rig_name(), #cond)

#undef EXPECT_CONTEXT
#define EXPECT_CONTEXT rig_name(), ": "

#define expect_events(rig, text)                                               \
    cr_assert(strcmp((rig)->events, text) == 0, "%s: events are '%s'",         \
              rig_name(), (rig)->events)

#define RIG_MS UINT64_C(1000000)
#define RIG_S  UINT64_C(1000000000)

#define RIG_WAIT_NS (60 * RIG_S)

enum { RIG_TURNS_MIN = 10 };

struct rig;

enum {
    RIG_CAN_RESET = 1,     /* the peer can break the connection at any time */
    RIG_HAS_ADDRESSES = 2, /* peername and sockname are a host and a port */
    RIG_IS_NAMELESS = 4,   /* peername and sockname have only a family */
    RIG_RECEIVES = 8,
    RIG_SENDS = 16,
    RIG_IS_PIPE = 32,    /* one direction only */
    RIG_IS_UNIX = 64,    /* has credentials, and can pass descriptors */
    RIG_IS_TLS = 128,    /* a relay in a thread is between subject and peer */
    RIG_IS_PLAIN = 256,  /* no relay is between them */
    RIG_IS_MEMORY = 512, /* a relay in the rig's loop is between them, and there
                            is no socket */
    RIG_HAS_KERNEL = 1024, /* the kernel keeps bytes sent before a reset */
    RIG_IS_NESTED = 2048,
    RIG_BOTH_WAYS = RIG_RECEIVES | RIG_SENDS,
    RIG_CAN_BREAK = RIG_CAN_RESET | RIG_HAS_KERNEL, /* even with unread bytes */
};

struct pair_maker {
    const char *name;
    unsigned int traits;
    /* Starts to make the pair: sets rig->peer; connection_made will follow. */
    void (*open)(struct rig *rig);
};

/* Functions that a test adds to the recorder. Each may be NULL. */
struct rig_hooks {
    void (*connection_made)(struct rig *rig);
    void (*connection_lost)(struct rig *rig);
    void (*pause_writing)(struct rig *rig);
    void (*resume_writing)(struct rig *rig);
    int (*data_received)(struct rig *rig, const struct weir_buf *buf);
    int (*eof_received)(struct rig *rig);
};

struct rig_upgrade {
    struct weir_factory factory;
    struct weir_tls_settings tls;
    bool awaits_line; /* waits for a line that requests TLS; false: switches at
                         once */
    weir_connect_done_fn
        *failed; /* called with factory.arg; NULL if it must not fail */
};

#define RIG_UPGRADE_LINE "STARTTLS\n"

struct rig {
    /* Set by the test, kept from round to round. */
    unsigned int needs; /* required traits; 0 means both directions */
    unsigned int lacks; /* excluded traits */
    struct rig_hooks hooks;
    const struct weir_protocol *protocol; /* NULL means the recorder */
    int eof_result;                       /* result of eof_received; 0 closes */
    bool small_buffers; /* the kernel buffers few bytes, on both sides */
    uint64_t held_limit_bytes;
    struct weir_connection_options connection;
    size_t round;
    int rounds_run;

    /* State of the round; zero at its start. */
    weir_loop *loop;
    weir_transport *t; /* the subject; the rig owns a reference */
    const struct pair_maker *maker;
    weir_server *server;
    struct relay *relay;   /* relay of a TLS connection, or NULL */
    struct bridge *bridge; /* relay of an in-memory pair, or NULL */
    struct rig_upgrade upgrade;
    int peer;
    char events[512]; /* such as "made data eof lost" */
    int depth;
    int made_count;
    int lost_count;
    int lost_err;
    int exception_count;
    int exception_err;
    const char *exception_callback;
    uint64_t received;
    uint64_t written; /* bytes accepted by writes */
    uint64_t peer_sent;
    uint64_t peer_received;
    int file; /* opened by the test, closed at the end; 0 is none */
    int step; /* step, count and bytes are for the test */
    int count;
    uint64_t bytes;
};

int rig_create(void *arg, weir_transport *t, struct weir_protocol_binding *ret);

/* Over a plain Unix socket: weir connects to it, or it connects to weir. */
void rig_open_unix_connected(struct rig *rig);
void rig_open_unix_accepted(struct rig *rig);

/* weir has one end of a pipe: for reading or for writing, by the maker's
 * traits. */
void rig_open_pipe(struct rig *rig);
void rig_open_fifo(struct rig *rig);
void rig_open_socket_pipe(struct rig *rig);

void rig_server_done(void *arg, int err, weir_server *server);
void rig_wait_server(struct rig *rig);

/* weir uses TLS: over TCP, as client or server, and over a Unix socket. */
void rig_open_tls_connected(struct rig *rig);
void rig_open_tls12_connected(struct rig *rig);
void rig_open_tls_accepted(struct rig *rig);
void rig_open_tls_unix(struct rig *rig);
/* Switch from plain text to TLS 1.2, as server; or from TLS to TLS inside TLS,
 * as client. */
void rig_open_start_tls(struct rig *rig);
void rig_open_tls_in_tls(struct rig *rig);
/* Done callback of makers; its argument is the rig. A connection that a time
 * limit has ended before it was made, on a slow machine, counts as made and
 * lost. */
void rig_opened(void *arg, int err, weir_transport *t);

/* Returns the factory for an end that must be upgraded first; @upgrade is
 * borrowed until then. */
struct weir_factory rig_upgrade_factory(struct rig_upgrade *upgrade);
/* Waits until the relay has ended; both ends of the round must be closed. */
#if WR_TESTS_TLS
void rig_close_tls(struct rig *rig);
#else
static inline void rig_close_tls(struct rig *rig)
{
}
#endif

/* weir has one end of an in-memory pair; a relay in the same loop has the
 * other. */
void rig_open_pair(struct rig *rig);
/* Waits until the round's relay has ended; its peer must be closed. */
void rig_close_pair(struct rig *rig);

/* Makes two connected sockets, TCP if the subject's peer can reset. */
void rig_open_peer(struct rig *rig, int ret[2]);
void rig_narrow(weir_transport *t);

/* Name of the kind of connection, for messages; or a name that a test has set
 * for its round. */
const char *rig_name(void);
void rig_set_name(const char *name);

/* Ends the last round and starts the next. Returns false after the last maker
 * of connections with both directions. */
bool rig_next(struct rig *rig);
/* Makers by number: how many there are, and whether one has all of @traits and
 * is available. */
size_t rig_maker_count(void);
bool rig_has_traits(size_t number, unsigned int traits);
/* Starts a round of @rig on the loop of @first, with the maker of this number.
 * It must be ended with rig_end_beside() before the round of @first ends. */
void rig_begin_beside(struct rig *rig, const struct rig *first, size_t number);
void rig_end_beside(struct rig *rig);
/* Like rig_next(), for makers with all of @traits and without the rig's
 * excluded traits. Fails if there is none; TLS without certificates is skipped.
 */
bool rig_next_that(struct rig *rig, unsigned int traits);
bool rig_can(const struct rig *rig, unsigned int traits);

/* Calls @round once for each maker with the traits that @rig needs, or with
 * @needs if it names none. The round's rig has the fields that the test has
 * set. */
void rig_rounds(const struct rig *rig, unsigned int needs,
                void (*round)(struct rig *rig));

/* Traits required by tests that name none. A file may define it before its
 * includes. */
#ifndef PAIRS_NEED
#define PAIRS_NEED RIG_BOTH_WAYS
#endif

/* A test whose body is a round with @rig for each maker. The other arguments
 * are fields of the rig. */
#define PAIRS(suite, name, rig, ...)                                           \
    static void suite##__##name##_round(struct rig *rig);                      \
    UNIT_IN(suite, name, unit_alone, void)                                     \
    {                                                                          \
        rig_rounds(&(struct rig){.round = 0, __VA_ARGS__}, PAIRS_NEED,         \
                   suite##__##name##_round);                                   \
    }                                                                          \
    static void suite##__##name##_round(struct rig *rig)

/* The recorder, for tests with a protocol table of their own. */
extern const struct weir_protocol rig_protocol;
void rig_record(struct rig *rig, const char *event);

/* ---- the loop ---- */

void rig_wait_lost(struct rig *rig);
/* Waits for the loss, which must have this error, or 0. */
void rig_expect_lost(struct rig *rig, int err);
void rig_wait_event(struct rig *rig, const char *event);
void rig_wait_received(struct rig *rig, uint64_t bytes);
void rig_turn(struct rig *rig);
void rig_turns(struct rig *rig, int count);
uint64_t rig_now_ns(void);
/* Turns the loop for a time, at least RIG_TURNS_MIN times, for events that must
 * not occur. On a busy machine the time may pass within one iteration. */
void rig_turn_for(struct rig *rig, uint64_t time_ns);
struct weir_loop_statistics rig_statistics(const struct rig *rig);

/* ---- the subject ---- */

void rig_pattern(void *buf, uint64_t offset, size_t len);
bool rig_is_pattern(const void *buf, uint64_t offset, size_t len);
int rig_write(struct rig *rig, size_t len);
/* Writes more than the kernel accepts while the peer does not read. Afterwards
 * bytes are pending and a send is in flight; the kernel may still accept a
 * little more. Requires small_buffers. */
void rig_clog(struct rig *rig);
size_t rig_pending(const struct rig *rig);
/* Returns the number of connections on the loop while the subject exists: a
 * relay adds two. */
uint64_t rig_alive(const struct rig *rig);
/* Waits until the kernel has accepted all written bytes. The number of
 * iterations varies, because a kernel thread may write to a pipe. */
void rig_wait_sent(struct rig *rig);

/* ---- the peer; the loop turns while it waits ---- */

void rig_peer_send(struct rig *rig, size_t len);
/* The peer sends, and the subject receives everything sent so far. */
void rig_receive(struct rig *rig, size_t len);
void rig_peer_await(struct rig *rig, int bytes);
/* Waits until the kernel has delivered all bytes of the peer to a plain subject
 * that does not read. */
void rig_wait_arrived(struct rig *rig);
/* Reads exactly @len bytes, which must be the pattern. */
void rig_peer_read(struct rig *rig, uint64_t len);
void rig_peer_read_most(struct rig *rig, uint64_t len);
int rig_peer_read_end(struct rig *rig);
/* Ends the peer's stream; on a pipe, closes it. */
void rig_peer_shutdown(struct rig *rig);
void rig_peer_close(struct rig *rig);
/* Breaks the connection; requires RIG_CAN_RESET. */
void rig_peer_reset(struct rig *rig);

/* ---- for tests without a pair ---- */

int listen_tcp(uint16_t *ret_port, int receive_buffer);
/* Makes two connected TCP sockets: the first has connected, the second was
 * accepted. The sizes are for their receive buffers; 0 means the kernel's
 * default. */
void tcp_pair(int ret[2], int connected_buffer, int accepted_buffer);
void set_socket_option(int fd, int level, int name, int value);
void set_nonblocking(int fd);
/* Returns true while segments of a TCP socket have not reached its peer. A
 * softirq delivers them, possibly late. Other sockets deliver at once. */
bool rig_is_under_way(int fd);
/* Waits at most a second until all segments have arrived, before a reset that
 * drops unsent bytes. A peer without buffer space accepts none. */
void rig_wait_way(int fd);

#endif
