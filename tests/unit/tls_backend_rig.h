/*
 * Two connections of backends (lib/tls/backend/backend.h) that face each other
 * in memory, without weir's contexts and engine.
 *
 * The rig stands for weir: its wire gives bytes in pieces as a test asks, and
 * asserts that a backend asks for a header, then for its body, and for nothing
 * of the next record. Certificates are judged as the test says, and nothing of
 * them is verified.
 */
#ifndef WEIR_TESTS_UNIT_TLS_BACKEND_RIG_H
#define WEIR_TESTS_UNIT_TLS_BACKEND_RIG_H

#include "lib/tls/backend/backend.h"
#include "tests/unit.h"
#include "tests/walk.h"

enum { BACKEND_BYTES = 1 << 19, BACKEND_SECRETS = 8, BACKEND_RECORD = 16256 };

struct backend_options {
    const struct wr_tls_backend *backend; /* NULL: OpenSSL */
    int version;                          /* 12, 13 or 0 for both */
    const char *certificate; /* the name of its files; NULL: none */
    const char *suites;      /* NULL: all */
    uint16_t group;          /* the only one; 0: all */
    bool verifies;
    bool demands;
    bool has_tickets;
    bool is_outside;       /* the key is a signer's */
    const char *name;      /* client: asked for */
    const char *protocols; /* offered by a client, chosen by a server */
    const struct wr_tls_known *session;
    bool logs;
};

/* Signs by the key of a certificate. */
struct backend_signer {
    struct wr_tls_signer signer; /* first */
    const char *certificate;
    bool fails;
    int count;                          /* of calls */
    struct wr_x509_signature_kind kind; /* of the last one */
};

struct backend_side {
    struct wr_tls_conn conn; /* first */
    /* Room for the account of any backend. */
    union {
        struct wr_tls_account account;
        unsigned char room[256];
    };
    struct wr_tls_shared *shared;
    struct wr_tls_credential *credential;
    struct backend_signer signer;
    struct backend_options options;
    int result; /* of the last step */
    bool is_open;
    /* The bytes that come, and where the wire stands in a record. */
    uint8_t *in;
    size_t in_len;
    size_t in_at;
    size_t header; /* bytes of the present header */
    size_t body;   /* bytes that the present record lacks */
    uint8_t heads[5];
    size_t piece;     /* the most bytes of one take(); 0: all */
    bool is_refusing; /* take() gives none any more */
    size_t records;
    /* What was put. */
    uint8_t *out;
    size_t out_len;
    bool is_full; /* put() fails */
    uint8_t *plain;
    size_t plain_len;
    /* The verdict, and what was judged. */
    bool rejects;
    uint8_t alert;
    /* NULL: as @rejects says; else the verdict on a chain, 0 or a code. */
    int (*judge)(const struct wr_bytes *certs, size_t count);
    int verdict; /* its last one */
    int judged;  /* calls of chain() */
    size_t chain_count;
    size_t leaf_size;
    /* Tickets. */
    size_t tickets;
    uint8_t key_name[WR_TLS_TICKET_NAME];
    uint8_t host[32];
    bool forgets; /* the key of a ticket is not found */
    uint8_t secrets[BACKEND_SECRETS][64];
    size_t secret_sizes[BACKEND_SECRETS];
};

struct backend_pair {
    struct test_allocator allocator;
    struct wr_blocks blocks;
    struct backend_side client;
    struct backend_side server;
};

/* Another backend than OpenSSL that this build has; NULL: none. */
const struct wr_tls_backend *backend_other(void);

/* False: a signer cannot have the key of this certificate, as one of RSA with a
 * wolfSSL without libcrypto (-Drsa=wolfssl). */
bool backend_can_sign(const struct wr_tls_backend *backend, const char *name);

/* The path of a file of certificates. */
void backend_file(const char *name, const char *end, char *ret, size_t size);

void backend_side_open(struct backend_side *side, bool is_server,
                       const struct backend_options *options,
                       struct wr_blocks *blocks);
void backend_side_close(struct backend_side *side);

void backend_pair_open(struct backend_pair *pair,
                       const struct backend_options *client,
                       const struct backend_options *server);
void backend_pair_close(struct backend_pair *pair);
/* The same where the sides are closed. */
void backend_pair_end(struct backend_pair *pair);

/* One step: of the handshake, or reading what is there. */
void backend_step(struct backend_side *side);

/* Moves bytes and steps both sides until nothing comes any more. */
void backend_exchange(struct backend_pair *pair);

/* Both sides must be open then. */
void backend_connect(struct backend_pair *pair);

/* Sends this and expects it on the other side. */
void backend_pass(struct backend_pair *pair, bool by_server, const void *data,
                  size_t len);

#endif
