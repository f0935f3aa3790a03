/*
 * Two TLS engines in memory (tests/tls/rig.h), whose contexts are made by a few
 * options of a test.
 *
 * There are records of the test's own, too, which are sealed as the client
 * would seal them. Nothing here is of a certain library.
 */
#ifndef WEIR_TESTS_UNIT_TLS_RIG_H
#define WEIR_TESTS_UNIT_TLS_RIG_H

#include "tests/tls/rig.h"

struct tls_rig_options {
    int version; /* 12 or 13 */
    bool rsa;    /* the server's key; else ECDSA */
    bool can_export;
    bool no_trust; /* the client knows no authority */
    bool client_certificate;
    bool wants_certificate; /* the server does */
    bool asks;              /* the server's program chooses in handshakes */
    bool seals;             /* the client's secret is noted for records */
    int client_version;     /* another one than the server's */
    const char *server_alpn;
    const char *client_alpn;
    const char *ciphers; /* the client's; NULL: all of them */
    struct wr_tls_known *session;
};

/* Contexts only; then the engines, with the error where one cannot be made. The
 * options live as long as the rig. */
void tls_rig_init(struct tls_pair *rig, const struct tls_rig_options *options);
int tls_rig_open(struct tls_pair *rig, const struct tls_rig_options *options);
void tls_rig_close(struct tls_pair *rig); /* the engines */

/* Opens a pair and does the handshake, which must succeed. */
void tls_rig_connect(struct tls_pair *rig,
                     const struct tls_rig_options *options);

/* @side seals @len bytes at @data, in records; they are on its wire then. */
void tls_rig_write(struct tls_side *side, const void *data, size_t len);

/* What the other side opened is exactly this; forgets it. */
void tls_rig_expect(struct tls_side *side, const void *data, size_t len);

/* tls_rig_connect() by TLS 1.3 with AES-128-GCM, with the client's secret noted
 * for tls_rig_seal(); @options is filled. */
void tls_rig_connect_sealing(struct tls_pair *rig,
                             struct tls_rig_options *options);

enum { TLS_RIG_ALERT = 21, TLS_RIG_HANDSHAKE = 22, TLS_RIG_DATA = 23 };

/* Puts a record as the client would seal it, of any type and content, on the
 * client's wire. The client's engine must not write then. */
void tls_rig_seal(struct tls_pair *rig, uint8_t type, const void *data,
                  size_t len);

/* A key update, and the new keys for what follows. */
void tls_rig_seal_key_update(struct tls_pair *rig, bool asks);

/* Bytes that look like nothing, by number. */
void tls_rig_fill(uint8_t *data, size_t len, unsigned seed);

/* Runs a body with a connected pair, of TLS 1.2 and of 1.3. */
void tls_rig_pairs(void (*body)(struct tls_pair *rig, int version));

#endif
