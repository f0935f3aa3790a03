/*
 * A backend of TLS without cryptography (lib/tls/backend/backend.h), for tests
 * of weir's own part of TLS: it needs no library, costs little, and does what a
 * test orders.
 *
 * Its hellos and its unsealed messages are those of TLS 1.2 and 1.3, as weir
 * reads them; so are its records, alerts and changes of keys. The bits of a
 * sealed record are turned over, and its tag is a sum of them and of a key, as
 * are signatures and proofs. A byte that is changed is found, as by a library;
 * but anybody could make the tag.
 *
 * It has one group, X25519, and no sessions of TLS 1.2. Signatures of
 * certificates are looked at by their form alone.
 */
#ifndef WEIR_TESTS_FAKE_TLS_NULL_H
#define WEIR_TESTS_FAKE_TLS_NULL_H

#include "lib/tls/backend/backend.h"

/* Its ->does may be changed before a test makes connections. At first it does
 * nothing that weir can do in its place; it does not skip early data. */
extern struct wr_tls_backend wr_tls_null;

/* Messages of its handshakes, by their types. */
enum tls_null_message {
    TLS_NULL_CHANGE = 0, /* a change_cipher_spec, which is a record */
    TLS_NULL_CLIENT_HELLO = 1,
    TLS_NULL_SERVER_HELLO = 2,
    TLS_NULL_TICKET = 4,
    TLS_NULL_EXTENSIONS = 8,
    TLS_NULL_CERTIFICATE = 11,
    TLS_NULL_SERVER_KEY = 12,
    TLS_NULL_REQUEST = 13,
    TLS_NULL_DONE = 14,
    TLS_NULL_VERIFY = 15,
    TLS_NULL_CLIENT_KEY = 16,
    TLS_NULL_FINISHED = 20,
    TLS_NULL_UPDATE = 24,
    TLS_NULL_MESSAGES,
};

/* What a side does instead of sending a message. */
enum tls_null_how {
    TLS_NULL_SENDS,
    TLS_NULL_OMITS,
    TLS_NULL_DOUBLES,
    TLS_NULL_SPOILS, /* its last byte is another one */
    TLS_NULL_CUTS,   /* it lacks its last byte, and its length says so */
    TLS_NULL_ALERTS, /* a fatal alert, handshake_failure, and fails itself */
    TLS_NULL_CLOSES, /* a close_notify, and fails itself */
    TLS_NULL_FAILS,  /* nothing, and fails itself: by its key or its memory */
};

/* Orders; all zero: none. A test sets them, and clears them. */
struct tls_null_orders {
    bool by_server; /* whose message it is */
    enum tls_null_message message;
    enum tls_null_how how;
    int code; /* with TLS_NULL_FAILS; and what the alert leaves here */
    int met;  /* messages that it was done to; written here */

    size_t early_records; /* a client sends data behind its hello */
    size_t record_bytes;  /* the most of a record; 0: as many as may be */
    bool is_unjudged;     /* chain() is not called */
};

extern struct tls_null_orders tls_null_orders;

#endif
