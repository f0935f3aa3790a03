/*
 * TLS on the fake ring.
 *
 * The *subject* is a transport with TLS, a server or a client, on a loop whose
 * clock the test moves. Its peer is an engine at the far end of a fake socket:
 * it reads only when it is told to, and may send anything at any moment. All
 * memory of the peers is the test's own and is counted.
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
    bool is_echo;              /* it reads only while it may write */
    bool stays;                /* it stays open when its peer has ended */
    int version;               /* 12 or 13; 0: any */
    const char *expected_name; /* by a peer that is a client; NULL: the right */
    uint64_t shutdown_timeout_ns;
    struct weir_timeouts timeouts;
};

struct wire {
    weir_loop *loop;
    weir_transport *t; /* a reference; NULL: the protocol was not made */
    bool is_echo;
    bool stays;
    bool pauses;       /* pauses reading in data_received */
    uint64_t received; /* bytes */
    int eof_count;
    int done_count; /* of the maker's callback */
    int done_err;
    int lost_count;
    int lost_err;
    uint64_t lost_ns;

    struct fake_peer *peer;
    struct tls_side side; /* the peer's */
    uint64_t opened;      /* bytes that it has opened */
};

/* A machine, a loop on it, and the memory of the peers. */
weir_loop *wire_start(const struct fake_options *options);
/* The loop ends with this many connections that are not lost. */
void wire_stop(weir_loop *loop, int alive);

/* A subject, before the loop has turned, and its peer, which has sent nothing.
 */
void wire_open(struct wire *wire, weir_loop *loop,
               const struct wire_options *options);
/* Both shake hands. */
void wire_shake(struct wire *wire);
/* Frees what the test has of them; the peer's socket closes. */
void wire_close(struct wire *wire);

/* The peer reads at most @limit bytes, and its engine goes on. */
void wire_read(struct wire *wire, size_t limit);
/* A fatal alert, as its engine sends one that was fed a bad record. */
void wire_alert(struct wire *wire);

#endif
