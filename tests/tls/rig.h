/*
 * The rig of TLS: certificates, contexts, and both ends of a connection.
 *
 * A side is an engine without I/O. A table of functions takes its encrypted and
 * its decrypted bytes: to memory, from which the other side of a pair is fed,
 * to a socket, or to a peer on the fake ring. The test steps a side, in its own
 * thread. The memory of a side is counted.
 */
#ifndef WEIR_TESTS_TLS_RIG_H
#define WEIR_TESTS_TLS_RIG_H

#include "lib/tls/engine/engine.h"
#include "tests/walk.h"

#include <weir/error.h>
#include <weir/tls.h>

/* ---- certificates: those of tests/unit/tls_certificates.sh ---- */

/* Returns a path in the folder, such as "tls-matrix/a.pem", from a printf
 * format. It stays valid until the program ends, because options borrow it. */
const char *tls_file(const char *format, ...)
    __attribute__((format(printf, 1, 2)));

size_t tls_file_read(const char *path, void *buf, size_t size);

void tls_require(void);
void tls_require_hybrid(void);

/* ---- contexts ---- */

/* Options of a server with a P-256 key, or of a client that trusts its
 * authority. */
struct weir_tls_options tls_options(bool is_server);

weir_tls_context *tls_context(const struct weir_tls_options *options);
/* Makes a context of tls_options() with only this version: 12, 13, or 0 for
 * all. */
weir_tls_context *tls_context_of(bool is_server, int version);
void tls_contexts_unref(weir_tls_context *a, weir_tls_context *b);

/* ---- a side ---- */

struct tls_account {
    struct test_allocator allocator;
    struct wr_blocks blocks;
    struct wr_tls_account *known; /* the backend's account, from malloc() */
};

void tls_account_open(struct tls_account *account);
void tls_account_close(struct tls_account *account);

enum tls_bytes { TLS_BYTES = 1 << 20 };

struct tls_way {
    void (*send)(void *arg, const void *data, size_t len);
    void (*opened)(void *arg, const void *data, size_t len);
};

struct tls_side {
    struct wr_tls_engine engine;
    weir_tls_context *context; /* context that a pair owns, or NULL */
    const struct tls_way *way;
    void *arg;
    ssize_t result;
    size_t plain_len;
    size_t wire_len;
    uint8_t *plain; /* TLS_BYTES */
    uint8_t *wire;  /* TLS_BYTES */
};

/* The caller has set @side->way; NULL means memory. */
int tls_side_open(struct tls_side *side, weir_tls_context *context,
                  const struct wr_tls_peer_options *how,
                  struct tls_account *account);
void tls_side_close(struct tls_side *side);

void tls_side_flush(struct tls_side *side);
/* Runs the engine until it needs input or has ended. Sends nothing. */
void tls_side_advance(struct tls_side *side);
void tls_side_step(struct tls_side *side);

void tls_side_feed(struct tls_side *side, const void *data, size_t len,
                   size_t piece);
/* Feeds a bad record: the engine fails, and its output is a fatal alert. */
void tls_side_spoil(struct tls_side *side);

/* ---- a pair in memory ---- */

struct tls_pair {
    struct tls_account account;
    struct tls_side client;
    struct tls_side server;
    size_t piece; /* bytes delivered at once; 0 means all */
};

void tls_pair_open(struct tls_pair *pair, weir_tls_context *client,
                   weir_tls_context *server,
                   const struct wr_tls_peer_options *how);

/* Runs the handshake until no bytes are left, and what follows it. @how is for
 * the client. */
void tls_pair_connect(struct tls_pair *pair, weir_tls_context *client,
                      weir_tls_context *server,
                      const struct wr_tls_peer_options *how);

/* Like tls_pair_connect(), with contexts made from the options and owned by the
 * engines. NULL options mean tls_options(); with NULL for @how the client
 * connects to "localhost". */
void tls_pair_join(struct tls_pair *pair, const struct weir_tls_options *client,
                   const struct weir_tls_options *server,
                   const struct wr_tls_peer_options *how);
void tls_pair_disconnect(struct tls_pair *pair);
void tls_pair_end(struct tls_pair *pair, int client, int server);

/* 0 for @piece moves all bytes at once. */
void tls_pair_move(struct tls_side *from, struct tls_side *to, size_t piece);
void tls_pair_exchange(struct tls_pair *pair, size_t piece);

void tls_pair_expect(const struct tls_pair *pair, int client, int server);

#endif
