/*
 * TLS on the fake ring.
 *
 * The *subject* is a transport with TLS, a server or a client, on a loop whose
 * clock the test moves. Its peer is a TLS engine at the other end of a fake
 * socket: it reads only on request, and may send anything at any time. The test
 * owns all memory of the peers and counts it.
 */
#ifndef WEIR_TESTS_TRACE_TLS_WIRE_H
#define WEIR_TESTS_TRACE_TLS_WIRE_H

#include "clock.h"
#include "tests/fake/fake.h"
#include "tests/tls/rig.h"

#include <weir/error.h>
#include <weir/transport.h>

#define WIRE_MS UINT64_C(1000000)

struct wire_options {
    bool is_client;            /* the subject is */
    bool is_echo;              /* reads only while it may write */
    bool stays;                /* stays open after its peer's end of stream */
    int version;               /* 12 or 13; 0 is any */
    const char *expected_name; /* of a client peer; NULL: the right */
    uint64_t shutdown_timeout_ns;
    struct weir_timeouts timeouts;
};

struct wire {
    weir_loop *loop;
    weir_transport *t; /* a reference; NULL without a protocol */
    bool is_echo;
    bool stays;
    bool pauses;       /* pauses reading in data_received */
    uint64_t received; /* bytes */
    int eof_count;
    int done_count; /* calls of done */
    int done_err;
    int lost_count;
    int lost_err;
    uint64_t lost_ns;

    struct fake_peer *peer;
    struct tls_side side; /* the peer's */
    uint64_t opened;      /* bytes that it has decrypted */
};

/* Starts a machine, a loop on it, and the memory of the peers. */
weir_loop *wire_start(const struct fake_options *options);
/* Ends the loop with this number of connections that are not lost. */
void wire_stop(weir_loop *loop, int alive);

/* Makes a subject, before any iteration, and its peer, which has sent nothing.
 */
void wire_open(struct wire *wire, weir_loop *loop,
               const struct wire_options *options);
/* Runs the handshake on both sides. */
void wire_shake(struct wire *wire);
/* Frees what the test owns; closes the peer's socket. */
void wire_close(struct wire *wire);

/* The peer reads at most @limit bytes, and its engine processes them. */
void wire_read(struct wire *wire, size_t limit);
/* Sends a fatal alert, as after a bad record. */
void wire_alert(struct wire *wire);

#endif
