/*
 * The rig of the datagram suites: a loop, an endpoint, and its peer.
 *
 * Endpoints make the same promises over UDP on IPv4, UDP on IPv6 and Unix
 * sockets. The endpoint under test is the *subject*; the *peer* is a plain
 * socket with its own address. A test has one body for all kinds:
 *
 *     DATAGRAMS(datagram, an_empty_datagram_arrives, rig, 0)
 *     {
 *         dg_peer_send(rig, "", 0);
 *         dg_wait_received(rig, 1);
 *         expect_eq(rig->last.len, 0);
 *     }
 */
#ifndef WEIR_TESTS_CONTRACT_DATAGRAM_RIG_H
#define WEIR_TESTS_CONTRACT_DATAGRAM_RIG_H

#include "tests/bind.h"
#include "tests/statistics.h"
#include "tests/unit.h"
#include "tests/until.h"

#include <weir/datagram.h>
#include <weir/error.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <sys/socket.h>
#include <time.h>

#define DG_MS UINT64_C(1000000)
#define DG_S  UINT64_C(1000000000)

enum {
    DG_BYTES_MAX = 70000,
    DG_EVENTS_MAX = 512,
    DG_TURNS_MIN = 10,
    DG_WAIT_S = 60
};

struct dg;

/* Functions that a test adds to the recorder. Each may be NULL. */
struct dg_hooks {
    void (*connection_made)(struct dg *rig);
    void (*connection_lost)(struct dg *rig);
    void (*resume_writing)(struct dg *rig);
    int (*datagram_received)(struct dg *rig,
                             const struct weir_datagram *datagram);
    void (*error_received)(struct dg *rig, int err);
};

struct dg_received {
    uint8_t bytes[DG_BYTES_MAX];
    size_t len;
    size_t size_bytes;
    uint32_t flags;
    uint32_t segment_bytes;
    bool has_ancillary;
    struct weir_ancillary ancillary;
    struct weir_address peer;
};

struct dg {
    /* Set by the test, kept from round to round. */
    struct dg_hooks hooks;
    struct weir_datagram_options options;
    bool connected;
    bool small_buffers; /* the kernel buffers few datagrams */
    const struct weir_allocator *allocator;
    int round;
    int rounds_run;

    /* State of the round; zero at its start. */
    weir_loop *loop;
    weir_transport *t; /* the rig owns a reference */
    int peer;
    int family;
    struct weir_address address;
    struct weir_address peer_address;
    char events[DG_EVENTS_MAX];
    int depth;
    int done_count;
    int done_err;
    weir_transport *done_t;
    int made_count;
    int lost_count;
    int lost_err;
    int error_count;
    int error;
    struct weir_address error_peer; /* len 0 if it was not reported */
    int exception_count;
    int exception_err;
    uint64_t received;
    uint64_t received_bytes;
    uint32_t next_number;
    struct dg_received last;
    int step; /* step, count and mark are for the test */
    int count;
    void *mark;
};

extern const struct weir_protocol dg_protocol;

const char *dg_name(void);

#undef EXPECT_CONTEXT
#define EXPECT_CONTEXT dg_name(), ": "

/* Ends the last round and starts the next. Returns false after the last kind.
 */
bool dg_next(struct dg *rig);

void dg_rounds(const struct dg *rig, void (*round)(struct dg *rig));

/* A test whose body is a round with @rig for each kind. The other arguments are
 * fields of the rig, or 0. */
#define DATAGRAMS(suite, name, rig, ...)                                       \
    static void suite##__##name##_round(struct dg *rig);                       \
    UNIT_IN(suite, name, unit_alone, void)                                     \
    {                                                                          \
        dg_rounds(&(struct dg){__VA_ARGS__}, suite##__##name##_round);         \
    }                                                                          \
    static void suite##__##name##_round(struct dg *rig)

/* ---- the loop ---- */

void dg_wait_received(struct dg *rig, uint64_t count);
void dg_wait_errors(struct dg *rig, int count);
void dg_wait_lost(struct dg *rig);
void dg_turns(struct dg *rig, int count);
/* Turns the loop for a time, at least ten times, for events that must not
 * occur. */
void dg_turn_for(struct dg *rig, uint64_t time_ns);
/* Waits without iterations until a descriptor that weir owns is closed, perhaps
 * by a thread. */
void dg_wait_closed(int fd);

/* ---- the subject ---- */

int dg_make(struct dg *rig, const struct weir_datagram_options *options);
int dg_make_at(struct dg *rig, const struct weir_address *local,
               const struct weir_address *remote,
               const struct weir_datagram_options *options);
int dg_adopt(struct dg *rig, int fd,
             const struct weir_datagram_options *options);
struct weir_datagram_options dg_options(struct dg *rig);
int dg_send(struct dg *rig, const void *data, size_t len);
void dg_send_numbered(struct dg *rig, uint32_t count, size_t len);
struct weir_datagram_counts dg_counts(const struct dg *rig);

/* ---- the peer ---- */

void dg_peer_send(struct dg *rig, const void *data, size_t len);
/* Receives one datagram; the loop turns while it waits. Returns its length. */
ssize_t dg_peer_recv(struct dg *rig, void *buf, size_t size);
/* Like dg_peer_recv(), but returns -EAGAIN if there is none. */
ssize_t dg_peer_recv_now(struct dg *rig, void *buf, size_t size);
void dg_peer_close(struct dg *rig);
void dg_peer_open(struct dg *rig);

/* Returns a new address of the round's kind that nothing is bound to. */
struct weir_address dg_fresh_address(struct dg *rig);
int dg_socket(struct dg *rig, struct weir_address *address);

#endif
