/*
 * Two TLS engines of real contexts, joined in memory.
 *
 * Everything that one side seals is fed to the other at once, until neither has
 * anything to say. The memory of both is one counted account.
 */
#ifndef WEIR_TESTS_UNIT_TLS_PAIR_H
#define WEIR_TESTS_UNIT_TLS_PAIR_H

#include "lib/tls/engine/engine.h"
#include "tests/walk.h"

#include <weir/tls.h>

struct tls_pair {
    struct test_allocator allocator;
    struct wr_blocks blocks;
    struct wr_tls_memory memory;
    struct wr_tls_engine client;
    struct wr_tls_engine server;
    size_t piece; /* bytes that are delivered at once; 0: a block */
};

/* A context, which these options allow. */
weir_tls_context *tls_pair_context(const struct weir_tls_options *options);

/* The two engines, before the handshake. */
void tls_pair_open(struct tls_pair *pair, weir_tls_context *client,
                   weir_tls_context *server,
                   const struct wr_tls_peer_options *how);

/* A handshake as far as it goes, and what follows it. @how: of the client; the
 * server's is all zero. */
void tls_pair_connect(struct tls_pair *pair, weir_tls_context *client,
                      weir_tls_context *server,
                      const struct wr_tls_peer_options *how);

/* tls_pair_connect() of contexts that these options allow, which the engines
 * alone keep. @how: NULL connects to "localhost". */
void tls_pair_join(struct tls_pair *pair, const struct weir_tls_options *client,
                   const struct weir_tls_options *server,
                   const struct wr_tls_peer_options *how);
void tls_pair_disconnect(struct tls_pair *pair);

/* Delivers everything, both ways. */
void tls_pair_exchange(struct tls_pair *pair);

/* Expects the errors of the two sides, 0 for a connection that is open. */
void tls_pair_expect(const struct tls_pair *pair, int client, int server);

#endif
