/*
 * Two TLS engines in memory, and the wire between them.
 *
 * Each side has what it sealed in `wire` until the test moves it, byte by byte
 * or at once, and what it opened in `plain`. The context is a double: it sets
 * wolfSSL up as a test asks, so that the engine is tested without the files of
 * lib/tls/context/. All memory is the pair's allocator's (allocator.h), which
 * counts it and fails where it is told to.
 */
#ifndef WEIR_TESTS_UNIT_TLS_RIG_H
#define WEIR_TESTS_UNIT_TLS_RIG_H

#include "lib/tls/engine/engine.h"
#include "tests/walk.h"

#include <wolfssl/options.h>

#include <wolfssl/ssl.h>

enum tls_rig_bytes { TLS_RIG_BYTES = 1 << 20 };

struct tls_rig_options {
    int version; /* 12 or 13 */
    bool rsa;    /* the server's key; else ECDSA */
    bool can_export;
    bool client_is_old; /* it lacks the extended master secret */
    bool no_trust;      /* the client knows no authority */
    bool client_certificate;
    bool wants_certificate; /* the server does */
    bool asks;              /* the server's program chooses in handshakes */
    int client_version;     /* another one than the server's */
    const char *server_alpn;
    const char *client_alpn;
    const char *ciphers; /* the client's; NULL: wolfSSL's own list */
    WOLFSSL_SESSION *session;
};

struct tls_rig_side {
    struct wr_tls_engine engine;
    weir_tls_context *context;
    ssize_t result; /* of the last step */
    size_t plain_len;
    size_t wire_len;
    uint8_t *plain; /* TLS_RIG_BYTES */
    uint8_t *wire;  /* TLS_RIG_BYTES */
};

struct tls_rig {
    struct test_allocator allocator;
    struct wr_blocks blocks;
    struct wr_tls_memory memory;
    struct tls_rig_side client;
    struct tls_rig_side server;
};

/* Contexts only; then the engines, with the error where one cannot be made. The
 * options live as long as the rig. */
void tls_rig_init(struct tls_rig *rig, const struct tls_rig_options *options);
int tls_rig_open(struct tls_rig *rig, const struct tls_rig_options *options);
void tls_rig_close(struct tls_rig *rig); /* the engines */
void tls_rig_fini(struct tls_rig *rig);  /* and all the rest, checked */

/* Steps a side until it wants input or has ended; its output goes to its wire.
 */
void tls_rig_step(struct tls_rig_side *side);

/* Feeds @len bytes, in pieces of @piece, with steps between. */
void tls_rig_feed(struct tls_rig_side *side, const void *data, size_t len,
                  size_t piece);

/* Takes what is in the output to the wire. */
void tls_rig_collect(struct tls_rig_side *side);

/* Moves the wire of @from to @to in pieces. */
void tls_rig_move(struct tls_rig_side *from, struct tls_rig_side *to,
                  size_t piece);

/* Moves both wires until both are empty. */
void tls_rig_exchange(struct tls_rig *rig, size_t piece);

/* Opens a pair and does the handshake, which must succeed. */
void tls_rig_connect(struct tls_rig *rig,
                     const struct tls_rig_options *options);

/* @side seals @len bytes at @data, in records; they are on its wire then. */
void tls_rig_write(struct tls_rig_side *side, const void *data, size_t len);

/* What the other side opened is exactly this; forgets it. */
void tls_rig_expect(struct tls_rig_side *side, const void *data, size_t len);

/* tls_rig_connect() by TLS 1.3 with AES-128-GCM, with the client's secret noted
 * for tls_rig_seal(); @options is filled. */
void tls_rig_connect_sealing(struct tls_rig *rig,
                             struct tls_rig_options *options);

enum { TLS_RIG_ALERT = 21, TLS_RIG_HANDSHAKE = 22, TLS_RIG_DATA = 23 };

/* Puts a record as the client would seal it, of any type and content, on the
 * client's wire. The client's engine must not write then. */
void tls_rig_seal(struct tls_rig *rig, uint8_t type, const void *data,
                  size_t len);

/* A key update, and the new keys for what follows. */
void tls_rig_seal_key_update(struct tls_rig *rig, bool asks);

/* Bytes that look like nothing, by number. */
void tls_rig_fill(uint8_t *data, size_t len, unsigned seed);

/* Runs a body with a connected pair, of TLS 1.2 and of 1.3. */
void tls_rig_pairs(void (*body)(struct tls_rig *rig, int version));

#endif
