/*
 * Every public call inside every callback: what the files of these tests share.
 *
 * A *scene* is one connection from its start to its end. It has a kind and a
 * moment, at which calls are made on it: inside a callback, or between two
 * iterations in some state of the connection. public_calls.py generates the
 * calls from the headers. A scene makes one call after another until one has an
 * effect, because a call that fails changes nothing; the next scene continues
 * after that call.
 *
 * There are two loops in one thread, run alternately, so that connections can
 * move. Both ends of a connection belong to weir if the kind allows it.
 */
#ifndef WEIR_TESTS_CONTRACT_PUBLIC_H
#define WEIR_TESTS_CONTRACT_PUBLIC_H

#include "tests/bind.h"
#include "tests/statistics.h"
#include "tests/unit.h"
#include "tests/until.h"
#include "uring/check.h"

#include <errno.h>
#include <signal.h>
#include <weir/connect_options.h>
#include <weir/error.h>
#include <weir/move.h>
#include <weir/relay.h>
#include <weir/sendfile.h>
#include <weir/start_tls.h>
#include <weir/tls_connection.h>

#undef EXPECT_CONTEXT
#define EXPECT_CONTEXT public_text(), ": "
const char *public_text(void);

/* ---- the calls ---- */

struct public_call {
    const char *text;
    int64_t (*run)(weir_transport *t);
    const int *errors; /* listed in its header; 0 ends the list */
    int64_t most;      /* upper limit of a result that is not an error */
    bool is_const;
    bool is_number;
    bool any_error; /* the result is an error that the call queries */
    bool has_size;
    bool suspends;
};

enum public_operation {
    PUBLIC_MAKER,
    PUBLIC_MOVE,
    PUBLIC_START_TLS,
    PUBLIC_SENDFILE,
    PUBLIC_RELAY,
    PUBLIC_WAIT,
    PUBLIC_OPERATIONS,
};

void public_begin(enum public_operation operation);
/* Records that the call has returned @result, with a done callback if @has_done
 * is true. */
void public_begun(enum public_operation operation, int64_t result,
                  bool has_done);

/* ---- scenes ---- */

#define PUBLIC_KINDS(X)                                                        \
    X(TCP, "a TCP connection")                                                 \
    X(UNIX, "a Unix connection")                                               \
    X(MEMORY, "an end of a pair")                                              \
    X(READ_PIPE, "a read pipe")                                                \
    X(WRITE_PIPE, "a write pipe")                                              \
    X(DATAGRAM, "a UDP endpoint")                                              \
    X(UNIX_DATAGRAM, "a Unix datagram endpoint")                               \
    X(TLS, "a TLS connection")                                                 \
    X(UNIX_TLS, "a TLS connection over a Unix socket")                         \
    X(OLD_TLS, "a connection of TLS 1.2")                                      \
    X(INNER_TLS, "a TLS connection over TLS")                                  \
    X(BELOW_TLS, "a transport below TLS")                                      \
    X(RELAYED, "a side of a relay")                                            \
    X(STREAM, "a stream's connection")                                         \
    X(CHILD, "a child process")                                                \
    X(CHILD_PIPE, "a pipe of a child process")

#define PUBLIC_MOMENTS(X)                                                      \
    X(FACTORY, "the factory")                                                  \
    X(MADE, "connection_made")                                                 \
    X(OPENED, "the maker's done")                                              \
    X(DATA, "data_received")                                                   \
    X(GET_BUFFER, "get_buffer")                                                \
    X(UPDATED, "buffer_updated")                                               \
    X(LEND, "get_buffer of memory that is lent")                               \
    X(RELEASED, "release_buffer")                                              \
    X(FDS, "fds_received")                                                     \
    X(DATAGRAM, "datagram_received")                                           \
    X(ERROR, "error_received")                                                 \
    X(EOF, "eof_received")                                                     \
    X(PAUSE, "pause_writing")                                                  \
    X(RESUME, "resume_writing")                                                \
    X(SENT, "the release of memory that was sent")                             \
    X(DROPPED, "the release of memory that was dropped")                       \
    X(FILE_SENT, "the done of sendfile")                                       \
    X(HANDSHAKING, "the handshake of start_tls")                               \
    X(TLS_DONE, "the done of start_tls")                                       \
    X(MOVING, "a move")                                                        \
    X(MOVE_FACTORY, "the factory of a move")                                   \
    X(MOVE_MADE, "connection_made after a move")                               \
    X(MOVED, "connection_moved")                                               \
    X(MOVE_DONE, "the done of a move")                                         \
    X(TAP, "the tap of a relay")                                               \
    X(RELAY_DONE, "the done of a relay")                                       \
    X(PIPE_DATA, "pipe_data_received")                                         \
    X(PIPE_LOST, "pipe_connection_lost")                                       \
    X(EXITED, "process_exited")                                                \
    X(HOOK, "the exception hook")                                              \
    X(SOON, "a callback of call_soon")                                         \
    X(TIMER, "a timer")                                                        \
    X(TASK, "a task")                                                          \
    X(WAITING, "a task that may wait")                                         \
    X(PAUSED, "a pause of reading with bytes held")                            \
    X(HALF_CLOSED, "a half-closed connection")                                 \
    X(CLOSING, "a close with bytes to be sent")                                \
    X(BROKEN, "a broken connection with bytes held")                           \
    X(LOST, "connection_lost after an abort")                                  \
    X(PEER_LOST, "connection_lost after the peer's end")                       \
    X(AFTER, "the time after connection_lost")

#define PUBLIC_KIND_NAME(name, text)   PUBLIC_KIND_##name,
#define PUBLIC_MOMENT_NAME(name, text) PUBLIC_AT_##name,
enum public_kind { PUBLIC_KINDS(PUBLIC_KIND_NAME) PUBLIC_KIND_COUNT };
enum public_moment {
    PUBLIC_MOMENTS(PUBLIC_MOMENT_NAME) PUBLIC_MOMENT_COUNT,
    PUBLIC_AT_ALL = PUBLIC_MOMENT_COUNT,
};

enum { PUBLIC_KNOWN = 64, PUBLIC_SINKS = 256, PUBLIC_BYTES = 1 << 18 };

struct public_scene {
    enum public_kind kind;
    enum public_moment moment;
    uint64_t number;
    uint64_t seed;
    size_t next;
    bool is_reached;
    bool is_still;   /* no calls are made: during the start and at the end */
    bool is_stalled; /* the other loop does not run */
    int depth;
    weir_transport *t; /* for the calls; a reference */
    weir_transport *child;
    weir_writer *writer;
    struct weir_protocol_binding stream;
    weir_transport *known[PUBLIC_KNOWN]; /* to be aborted; references */
    size_t known_count;
    weir_transport *peer; /* a sink; NULL if lost or none */
    int peer_fd;          /* -1 is none */
    const struct weir_buf *buf;
    weir_loop *buf_loop;
    const struct public_call *call;
    unsigned int made, lost, moved;
    unsigned int begun[PUBLIC_OPERATIONS];
    unsigned int done[PUBLIC_OPERATIONS];
    bool is_taken; /* by a relay, whose protocol gets the callbacks */
    uint8_t memory[4096];
};

/* A loop, and objects on it that live as long as the test. */
struct public_side {
    weir_loop *loop;
    weir_mailbox *mailbox;
    weir_server *server;
    weir_reader *reader;
    weir_transport
        *spare[2]; /* a pair for a relay; NULL once a scene has used it */
};

enum { PUBLIC_HERE, PUBLIC_THERE, PUBLIC_SIDES };

struct public_world {
    struct public_side sides[PUBLIC_SIDES];
    int listener;
    struct weir_address address;
    int file;
    weir_tls_context *client, *server; /* NULL without TLS */
    weir_tls_context *old_client;
    weir_transport *sinks[PUBLIC_SINKS];
    size_t sink_count;
    weir_pending *pending;
    weir_transport *ret;
    weir_tls_session *session;
    uint64_t scenes, calls;
    bool tells;
};

extern struct public_scene scene;
extern struct public_world public;

/* Called at the moment, with @t. Makes the calls of the scene. */
void public_reach(enum public_moment moment, weir_transport *t);
int64_t public_make_call(const struct public_call *call, weir_transport *t);
/* Lets the end of the scene abort a transport. Takes a reference. */
void public_know(weir_transport *t);
void public_make_spares(void);
void public_turn(void);
void public_turns(int count);
#define PUBLIC_UNTIL(condition) TURN_UNTIL(public_turn(), condition)

/* public_world.c: runs a body with everything that scenes need, then prints the
 * complaints. */
void public_run(void (*body)(void));
void public_complain(const struct public_call *call, const char *what);

/* public_kinds.c */
/* Opens the scene's connection. Returns false if this machine cannot. */
bool public_open(void);
void public_peer_send(size_t len);
void public_peer_end(void);
void public_peer_leave(void);

/* public_moments.c */
bool public_has_moment(enum public_kind kind, enum public_moment moment);
/* Starts TLS on both ends of a connection. The subject becomes the upper
 * transport. */
void public_start_tls_on_both(void);
void public_stimulate(void);

/* public_protocols.c */
struct weir_protocol_binding public_subject(void);
weir_factory_fn public_create;
weir_exception_fn public_call_hook;
weir_connect_done_fn public_opened;
weir_relay_tap_fn public_tap;
/* Returns the protocol of ends that are aborted with their scene, unless they
 * are @spare. */
struct weir_protocol_binding public_sink(void *spare);
weir_transport **public_find_sink(const weir_transport *t);

/* ---- values: the expressions of public_calls.py ---- */

extern uint8_t public_bytes[PUBLIC_BYTES];
extern char public_room[128];
extern const struct iovec public_pieces[3]; /* their sizes overflow */
struct public_side *public_side_of(const weir_transport *t);
weir_transport *public_other(weir_transport *t);
weir_mailbox *public_mailbox(weir_transport *t);
weir_mailbox *public_own_mailbox(weir_transport *t);
weir_reader *public_reader(weir_transport *t);
weir_server *public_server(weir_transport *t);
int public_file(void);
const int *public_fds(void);
const struct weir_address *public_group(void);
const struct weir_address *public_address(weir_transport *t);
const struct weir_buf *public_buf(weir_transport *t);
const struct weir_factory *public_factory(void);
const struct weir_factory *public_refusing_factory(void);
const struct weir_protocol_binding *public_binding(weir_transport *t);
const struct weir_protocol_binding *public_buffered_binding(weir_transport *t);
const struct weir_protocol_binding *public_bindings(void);
const struct weir_tls_settings *public_tls(void);
weir_pending **public_pending(void);
weir_transport **public_ret(void);
weir_tls_session **public_session(void);
void public_give_session(void);
void *public_done_arg(void);
weir_release_fn public_release;
weir_move_done_fn public_move_done;
weir_start_tls_done_fn public_start_tls_done;
weir_sendfile_done_fn public_sendfile_done;
weir_relay_done_fn public_relay_done;

#endif
