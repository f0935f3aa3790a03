/*
 * Two backend connections (lib/tls/backend/backend.h) that face each other in
 * memory, without weir's contexts and engine.
 *
 * The rig replaces weir: its wire passes bytes in pieces of a size that the
 * test chooses, and asserts that a backend requests a header, then its body,
 * and nothing of the next record. The test decides about certificates; they are
 * not verified.
 */
#ifndef WEIR_TESTS_UNIT_TLS_BACKEND_RIG_H
#define WEIR_TESTS_UNIT_TLS_BACKEND_RIG_H

#include "lib/tls/backend/backend.h"
#include "tests/unit.h"
#include "tests/walk.h"

enum { BACKEND_BYTES = 1 << 17, BACKEND_SECRETS = 8, BACKEND_RECORD = 16256 };

struct backend_options {
    const struct wr_tls_backend *backend; /* NULL means OpenSSL */
    int version;                          /* 12, 13, or 0 for both */
    const char *certificate;              /* name of its files; NULL is none */
    const char *suites;                   /* NULL means all */
    uint16_t group;                       /* the only group; 0 means all */
    bool verifies;
    bool demands;
    bool has_tickets;
    bool is_outside;       /* a signer has the key */
    const char *name;      /* name requested by a client */
    const char *protocols; /* offered by a client, chosen by a server */
    const struct wr_tls_known *session;
    bool logs;
};

/* Signs with the key of a certificate. */
struct backend_signer {
    struct wr_tls_signer signer; /* must be first */
    const char *certificate;
    bool fails;
    int count;                          /* number of calls */
    struct wr_x509_signature_kind kind; /* kind of the last call */
};

struct backend_side {
    struct wr_tls_conn conn; /* must be first */
    /* Space for the account of any backend. */
    union {
        struct wr_tls_account account;
        unsigned char room[256];
    };
    struct wr_tls_shared *shared;
    struct wr_tls_credential *credential;
    struct backend_signer signer;
    struct backend_options options;
    int result; /* result of the last step */
    bool is_open;
    /* The received bytes, and the wire's position in a record. */
    uint8_t *in;
    size_t in_len;
    size_t in_at;
    size_t header; /* bytes of the current header */
    size_t body;   /* missing bytes of the current record */
    uint8_t heads[5];
    size_t piece;     /* largest size of one take(); 0 means all */
    bool is_refusing; /* take() returns nothing any more */
    size_t records;
    /* The bytes passed to put(). */
    uint8_t *out;
    size_t out_len;
    bool is_full; /* put() fails */
    uint8_t *plain;
    size_t plain_len;
    /* The verdict, and what it was about. */
    bool rejects;
    uint8_t alert;
    /* Verdict on a chain, 0 or a code. NULL: as @rejects says. */
    int (*judge)(const struct wr_bytes *certs, size_t count);
    int verdict; /* last verdict */
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

/* Returns another backend than OpenSSL that this build has, or NULL. */
const struct wr_tls_backend *backend_other(void);

/* Returns false if a signer cannot have the key of this certificate, such as an
 * RSA key with a wolfSSL without libcrypto (-Drsa=wolfssl). */
bool backend_can_sign(const struct wr_tls_backend *backend, const char *name);

/* Writes the path of a certificate file. */
void backend_file(const char *name, const char *end, char *ret, size_t size);

void backend_side_open(struct backend_side *side, bool is_server,
                       const struct backend_options *options,
                       struct wr_blocks *blocks);
void backend_side_close(struct backend_side *side);

void backend_pair_open(struct backend_pair *pair,
                       const struct backend_options *client,
                       const struct backend_options *server);
void backend_pair_close(struct backend_pair *pair);
/* Like backend_pair_close(), after the sides were closed. */
void backend_pair_end(struct backend_pair *pair);

/* Runs one step: of the handshake, or reading what has arrived. */
void backend_step(struct backend_side *side);

/* Moves bytes and steps both sides until no more bytes are sent. */
void backend_exchange(struct backend_pair *pair);

/* Connects the pair; expects that both sides are open. */
void backend_connect(struct backend_pair *pair);

/* Sends bytes and expects them on the other side. */
void backend_pass(struct backend_pair *pair, bool by_server, const void *data,
                  size_t len);

#endif
