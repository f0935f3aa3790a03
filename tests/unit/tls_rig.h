/*
 * Two TLS engines in memory (tests/tls/rig.h), with contexts made from a few
 * options.
 *
 * Tests can also add their own records, encrypted like the client's. Nothing
 * here depends on the TLS library.
 */
#ifndef WEIR_TESTS_UNIT_TLS_RIG_H
#define WEIR_TESTS_UNIT_TLS_RIG_H

#include "tests/tls/rig.h"

struct tls_rig_options {
    int version; /* 12 or 13 */
    bool rsa;    /* the server's key is RSA; else ECDSA */
    bool can_export;
    bool no_trust; /* the client trusts no authority */
    bool client_certificate;
    bool wants_certificate; /* the server requests one */
    bool asks;              /* the server's program chooses in handshakes */
    bool seals;         /* the client's secret is recorded for tls_rig_seal() */
    int client_version; /* if different from the server's */
    const char *server_alpn;
    const char *client_alpn;
    const char *ciphers; /* of the client; NULL means all */
    struct wr_tls_known *session;
};

/* Make the contexts, and then the engines. tls_rig_open() returns the error if
 * one cannot be made. The options must live as long as the rig. */
void tls_rig_init(struct tls_pair *rig, const struct tls_rig_options *options);
int tls_rig_open(struct tls_pair *rig, const struct tls_rig_options *options);
void tls_rig_close(struct tls_pair *rig); /* the engines */

/* Opens a pair and completes the handshake, which must succeed. */
void tls_rig_connect(struct tls_pair *rig,
                     const struct tls_rig_options *options);

/* Encrypts @len bytes at @data in records, which are then on @side's wire. */
void tls_rig_write(struct tls_side *side, const void *data, size_t len);

/* Expects that the other side has decrypted exactly this, and discards it. */
void tls_rig_expect(struct tls_side *side, const void *data, size_t len);

/* Like tls_rig_connect(), with TLS 1.3 and AES-128-GCM; records the client's
 * secret for tls_rig_seal(). Fills in @options. */
void tls_rig_connect_sealing(struct tls_pair *rig,
                             struct tls_rig_options *options);

enum { TLS_RIG_ALERT = 21, TLS_RIG_HANDSHAKE = 22, TLS_RIG_DATA = 23 };

/* Puts a record on the client's wire, encrypted like the client's, of any type
 * and content. The client's engine must not write afterwards. */
void tls_rig_seal(struct tls_pair *rig, uint8_t type, const void *data,
                  size_t len);

/* Puts a key update on the wire; later records use the new keys. */
void tls_rig_seal_key_update(struct tls_pair *rig, bool asks);

/* Fills memory with pseudo-random bytes. */
void tls_rig_fill(uint8_t *data, size_t len, unsigned seed);

/* Runs a body with a connected pair, for TLS 1.2 and for 1.3. */
void tls_rig_pairs(void (*body)(struct tls_pair *rig, int version));

#endif
