/*
 * The rig of the contract suites: a loop, a transport, and its peer.
 *
 * What a stream transport promises is tested over every kind of connection
 * alike. A maker brings a connected pair about: one end is the transport under
 * test, the *subject*, the other the *peer*, a plain descriptor that the test
 * drives. A test is one body for all makers:
 *
 *     PAIRS_WITH(errors, abort, .hooks = {.data_received = refuse})
 *     {
 *         rig_peer_send(rig, 5);
 *         rig_wait_lost(rig);
 *         expect_eq(rig->lost_err, -EPROTO);
 *     }
 *
 * Bytes in both directions are a pattern that names its own place, so that a
 * byte lost, doubled or moved is seen at once. rig_next() ends the last round
 * and looks at what it left behind.
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

/* Assertions that say which maker it was. */
#define expect(cond) cr_assert(cond, "%s: %s", rig_name(), #cond)

#undef EXPECT_CONTEXT
#define EXPECT_CONTEXT rig_name(), ": "

#define expect_events(rig, text)                                               \
    cr_assert(strcmp((rig)->events, text) == 0, "%s: events are '%s'",         \
              rig_name(), (rig)->events)

#define RIG_MS UINT64_C(1000000)
#define RIG_S  UINT64_C(1000000000)

/* How long a test waits for what must come. */
#define RIG_WAIT_NS (60 * RIG_S)

enum { RIG_TURNS_MIN = 10 };

struct rig;

/* Traits of a kind of connection, as bits. */
enum {
    RIG_CAN_RESET = 1,     /* the peer can break the connection at will */
    RIG_HAS_ADDRESSES = 2, /* peername and sockname are a host and a port */
    RIG_IS_NAMELESS = 4,   /* they are no more than a family */
    RIG_RECEIVES = 8,      /* the subject receives what the peer sends */
    RIG_SENDS = 16,        /* the peer receives what the subject sends */
    RIG_IS_PIPE = 32,      /* it does only one of them */
    RIG_IS_UNIX = 64,      /* there are credentials, and descriptors pass */
    RIG_IS_TLS = 128,      /* a relay is between the subject and the peer */
    RIG_IS_PLAIN = 256,    /* none is */
    RIG_IS_MEMORY = 512, /* one is, in the rig's loop, and there is no socket */
    RIG_HAS_KERNEL = 1024, /* which keeps what was sent before a reset */
    RIG_IS_NESTED = 2048,  /* TLS stands on TLS */
    RIG_BOTH_WAYS = RIG_RECEIVES | RIG_SENDS,
    RIG_CAN_BREAK = RIG_CAN_RESET | RIG_HAS_KERNEL, /* with bytes unread */
};

/* How a pair comes about, and its traits. */
struct pair_maker {
    const char *name;
    unsigned int traits;
    /* Starts making: sets rig->peer; connection_made will follow. */
    void (*open)(struct rig *rig);
};

/* Functions that a test adds to the recorder; NULL adds nothing. */
struct rig_hooks {
    void (*connection_made)(struct rig *rig);
    void (*connection_lost)(struct rig *rig);
    void (*pause_writing)(struct rig *rig);
    void (*resume_writing)(struct rig *rig);
    int (*data_received)(struct rig *rig, const struct weir_buf *buf);
    int (*eof_received)(struct rig *rig);
};

/* How an end of a connection gets TLS after it was made. */
struct rig_upgrade {
    struct weir_factory factory;  /* of the protocol that it has then */
    struct weir_tls_settings tls; /* of start_tls */
    bool awaits_line;             /* which asks for TLS; false: it is at once */
    weir_connect_done_fn *failed; /* told factory.arg; NULL: it must not */
};

/* The line that asks for TLS, in plain text. */
#define RIG_UPGRADE_LINE "STARTTLS\n"

struct rig {
    /* Chosen by the test, kept from round to round. */
    unsigned int needs; /* traits of its makers; 0: both directions */
    unsigned int lacks; /* traits that none of them has */
    struct rig_hooks hooks;
    const struct weir_protocol *protocol; /* NULL: the recorder */
    int eof_result;                       /* of eof_received; 0 closes */
    bool small_buffers; /* few bytes fit into the kernel on both sides */
    uint64_t held_limit_bytes;
    struct weir_connection_options connection;
    size_t round;
    int rounds_run;

    /* Of this round; all zero when it begins. */
    weir_loop *loop;
    weir_transport *t; /* the subject; the rig keeps a reference */
    const struct pair_maker *maker;
    weir_server *server;
    struct relay *relay;   /* of a TLS connection, or NULL */
    struct bridge *bridge; /* of a pair in memory, or NULL */
    struct rig_upgrade upgrade;
    int peer;            /* -1 when closed */
    char events[512];    /* "made data eof lost" */
    int depth;           /* of callbacks that run now */
    int made_count;      /* calls of connection_made */
    int lost_count;      /* calls of connection_lost */
    int lost_err;        /* what the last one was told */
    int exception_count; /* calls of the exception hook */
    int exception_err;
    const char *exception_callback;
    uint64_t received;      /* bytes that data_received was shown */
    uint64_t written;       /* bytes that writes accepted */
    uint64_t peer_sent;     /* bytes that the peer sent */
    uint64_t peer_received; /* bytes that the peer got */
    int file;               /* of the test, closed at the end; 0: none */
    int step;               /* for the test */
    int count;              /* for the test */
    uint64_t bytes;         /* for the test */
};

/* Makes the protocol of a subject; for makers. */
int rig_create(void *arg, weir_transport *t, struct weir_protocol_binding *ret);

/* weir connects to a plain Unix socket, and such a one to weir. */
void rig_open_unix_connected(struct rig *rig);
void rig_open_unix_accepted(struct rig *rig);

/* weir has one end of a pipe: the one that it reads, or the one it writes. */
void rig_open_pipe(struct rig *rig);
void rig_open_fifo(struct rig *rig);
void rig_open_socket_pipe(struct rig *rig);

/* The done of a server that a maker has begun, and the wait for it. */
void rig_server_done(void *arg, int err, weir_server *server);
void rig_wait_server(struct rig *rig);

/* weir has TLS: over TCP, as the client or the server, and over a Unix socket.
 */
void rig_open_tls_connected(struct rig *rig);
void rig_open_tls12_connected(struct rig *rig);
void rig_open_tls_accepted(struct rig *rig);
void rig_open_tls_unix(struct rig *rig);
/* Plain text goes on with TLS 1.2, as the server; TLS goes on with TLS, as the
 * client. */
void rig_open_start_tls(struct rig *rig);
void rig_open_tls_in_tls(struct rig *rig);
/* The callback of makers, with the rig. A connection that a limit in time has
 * ended before it was made, on a slow machine, counts as made and lost. */
void rig_opened(void *arg, int err, weir_transport *t);

/* The protocol of an end that has to be upgraded first; @upgrade is borrowed
 * until then. */
struct weir_factory rig_upgrade_factory(struct rig_upgrade *upgrade);
/* Waits for the end of the relay, once both ends of a round are closed. */
#if WR_TESTS_TLS
void rig_close_tls(struct rig *rig);
#else
static inline void rig_close_tls(struct rig *rig)
{
}
#endif

/* weir has one end of a pair in memory; a relay in the same loop has the other.
 */
void rig_open_pair(struct rig *rig);
/* The relay of a round has ended, once its peer is closed. */
void rig_close_pair(struct rig *rig);

/* Two connected sockets, TCP ones where the subject's peer can reset. */
void rig_open_peer(struct rig *rig, int ret[2]);
/* Few bytes fit into the kernel's queue of a transport with a socket. */
void rig_narrow(weir_transport *t);

/* The maker's name, for messages; or what a test has set for its round. */
const char *rig_name(void);
void rig_set_name(const char *name);

/* Ends the last round, begins the next; false when all makers of connections
 * with both directions had theirs. */
bool rig_next(struct rig *rig);
/* The makers by their numbers: how many, and whether one has all of @traits and
 * what it needs is there. */
size_t rig_maker_count(void);
bool rig_has_traits(size_t number, unsigned int traits);
/* Begins a round of @rig in the loop of @first, with the maker of this number.
 * Ended by rig_end_beside(), before the round of @first ends. */
void rig_begin_beside(struct rig *rig, const struct rig *first, size_t number);
void rig_end_beside(struct rig *rig);
/* As rig_next(), for the makers with all of @traits and none that the rig
 * lacks. Fails without one; TLS without certificates is skipped. */
bool rig_next_that(struct rig *rig, unsigned int traits);
bool rig_can(const struct rig *rig, unsigned int traits);

/* Calls @round once for each maker that has the traits @rig needs, or @needs
 * where it names none, with a rig that has the fields which the test has
 * chosen.
 */
void rig_rounds(const struct rig *rig, unsigned int needs,
                void (*round)(struct rig *rig));

/* What the tests of a file need that say nothing else; it says so before its
 * includes. */
#ifndef PAIRS_NEED
#define PAIRS_NEED RIG_BOTH_WAYS
#endif

/* A test whose body, with its @rig, is a round of each maker; the rest are
 * fields of the rig. */
#define PAIRS(suite, name, rig, ...)                                           \
    static void suite##__##name##_round(struct rig *rig);                      \
    UNIT_IN(suite, name, unit_alone, void)                                     \
    {                                                                          \
        rig_rounds(&(struct rig){.round = 0, __VA_ARGS__}, PAIRS_NEED,         \
                   suite##__##name##_round);                                   \
    }                                                                          \
    static void suite##__##name##_round(struct rig *rig)

/* The recorder, for tests that bring a table of their own. */
extern const struct weir_protocol rig_protocol;
void rig_record(struct rig *rig, const char *event);

/* ---- the loop ---- */

void rig_wait_lost(struct rig *rig);
/* The same, and it is lost with this error, or 0. */
void rig_expect_lost(struct rig *rig, int err);
void rig_wait_event(struct rig *rig, const char *event);
void rig_wait_received(struct rig *rig, uint64_t bytes);
/* One turn without waiting, and several. */
void rig_turn(struct rig *rig);
void rig_turns(struct rig *rig, int count);
uint64_t rig_now_ns(void);
/* Turns for a while, and at least RIG_TURNS_MIN times: for what must not
 * happen. On a busy machine the time may pass within one. */
void rig_turn_for(struct rig *rig, uint64_t time_ns);
struct weir_loop_statistics rig_statistics(const struct rig *rig);

/* ---- the subject ---- */

void rig_pattern(void *buf, uint64_t offset, size_t len);
bool rig_is_pattern(const void *buf, uint64_t offset, size_t len);
/* Writes the next @len bytes of the pattern. */
int rig_write(struct rig *rig, size_t len);
/* Writes more than the kernel takes while the peer does not read: afterwards
 * bytes wait and a send is in flight. A little more may be taken later, by and
 * by. Wants small_buffers. */
void rig_clog(struct rig *rig);
size_t rig_pending(const struct rig *rig);
/* Connections in the loop while the subject is there: a relay has two. */
uint64_t rig_alive(const struct rig *rig);
/* Waits until the kernel has taken all that was written. How many turns that
 * takes is not known: a thread of the kernel may write to a pipe. */
void rig_wait_sent(struct rig *rig);

/* ---- the peer; loop turns run while it has to wait ---- */

void rig_peer_send(struct rig *rig, size_t len);
/* The same, and the subject receives all that was sent. */
void rig_receive(struct rig *rig, size_t len);
/* Waits until @bytes are there for the peer to read. */
void rig_peer_await(struct rig *rig, int bytes);
/* Waits until the kernel has brought all that the peer has sent to a plain
 * subject that reads nothing. */
void rig_wait_arrived(struct rig *rig);
/* Reads exactly @len bytes, which must be the pattern. */
void rig_peer_read(struct rig *rig, uint64_t len);
/* Reads @len bytes, or what is left of those that were written. */
void rig_peer_read_most(struct rig *rig, uint64_t len);
/* Reads whatever comes, the pattern, until the end: 0 or -errno. */
int rig_peer_read_end(struct rig *rig);
/* The peer has sent its last byte; that of a pipe is closed. */
void rig_peer_shutdown(struct rig *rig);
void rig_peer_close(struct rig *rig);
/* Breaks the connection; the maker is one with RIG_CAN_RESET. */
void rig_peer_reset(struct rig *rig);

/* ---- for tests without a pair ---- */

/* A listening TCP socket on a free port of 127.0.0.1. */
int listen_tcp(uint16_t *ret_port, int receive_buffer);
/* Two connected TCP sockets: the first has connected, the second was accepted.
 * The sizes are those of their receive buffers; 0 for the kernel's. */
void tcp_pair(int ret[2], int connected_buffer, int accepted_buffer);
void set_socket_option(int fd, int level, int name, int value);
void set_nonblocking(int fd);
/* True while segments that a TCP socket has sent are not with its peer. The
 * softirq brings them, and may be late. Others send to the peer at once. */
bool rig_is_under_way(int fd);
/* Waits until none is, before a reset that drops what was not sent; a second at
 * most, because a peer without room takes none. */
void rig_wait_way(int fd);

#endif
