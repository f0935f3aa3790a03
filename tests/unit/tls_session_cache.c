/*
 * wolfSSL's session cache for the whole process.
 *
 * weir's contexts do not use it, but wolfSSL searches it for a ticket of 32
 * bytes on each server with TLS 1.3. Another server of the program is
 * simulated: wolfSSL's own function puts its connection's session into the
 * cache, as if that server used the cache. OpenSSL's caches belong to contexts,
 * so the program does not run with it.
 */
#include "tests/tls/rig.h"

#include <wolfssl/options.h>

#include <wolfssl/ssl.h>

static struct tls_pair pair;
static const uint8_t cache_id[32] = "an identifier of a session";

/* wolfSSL's headers for programs do not declare it. */
/* NOLINTNEXTLINE(readability-function-size): wolfSSL's */
int AddSessionToCache(WOLFSSL_CTX *ctx, WOLFSSL_SESSION *session,
                      const unsigned char *id, unsigned char id_size,
                      int *ret_index, int side, unsigned short has_ticket,
                      void **ret_entry);

static weir_tls_context *cache_server(enum weir_tls_client_auth auth)
{
    struct weir_tls_options options = tls_options(true);
    options.client_auth = auth;
    options.authorities.file =
        auth == WEIR_TLS_CLIENT_AUTH_NONE ? NULL : tls_file("ca.pem");
    options.min_version = WEIR_TLS_1_3;
    return tls_context(&options);
}

/* Makes a client of the other server, whose session gets into the cache. */
static struct wr_tls_known *cache_fill(weir_tls_context *client)
{
    const struct wr_tls_peer_options how = {.server_hostname = "localhost"};
    weir_tls_context *other = cache_server(WEIR_TLS_CLIENT_AUTH_NONE);
    struct wr_tls_known *session = NULL;

    tls_pair_connect(&pair, client, other, &how);
    tls_pair_expect(&pair, 0, 0);
    WOLFSSL *ssl = pair.server.engine.conn.ssl;
    expect_eq(AddSessionToCache(
                  wolfSSL_get_SSL_CTX(ssl), wolfSSL_get_session(ssl), cache_id,
                  sizeof(cache_id), NULL, WOLFSSL_SERVER_END, 0, NULL),
              0);
    expect_eq(wr_tls_engine_get_session(&pair.client.engine, &session), 0);
    tls_pair_disconnect(&pair);
    weir_tls_context_unref(other);
    return session;
}

/* Offers the identifier instead of that session's ticket. */
static void cache_return(weir_tls_context *client, weir_tls_context *server,
                         const struct wr_tls_known *session)
{
    const struct wr_tls_peer_options how = {.server_hostname = "localhost",
                                            .session = session};

    tls_pair_open(&pair, client, server, &how);
    expect_eq(wolfSSL_set_SessionTicket(pair.client.engine.conn.ssl, cache_id,
                                        sizeof(cache_id)),
              WOLFSSL_SUCCESS);
    tls_side_step(&pair.client);
    tls_pair_exchange(&pair, 0);
}

UNIT(tls_session_cache, a_client_is_not_known_by_a_session_of_another_server)
{
    static const enum weir_tls_client_auth rules[] = {
        WEIR_TLS_CLIENT_AUTH_NONE, WEIR_TLS_CLIENT_AUTH_OPTIONAL,
        WEIR_TLS_CLIENT_AUTH_REQUIRED};

    for (int i = 0; i < 3; i++) {
        const bool asks = rules[i] != WEIR_TLS_CLIENT_AUTH_NONE;
        weir_tls_context *client = tls_context_of(false, 13);
        weir_tls_context *server = cache_server(rules[i]);
        struct wr_tls_known *session = cache_fill(client);

        cache_return(client, server, session);
        cr_assert(asks || wr_tls_engine_was_resumed(&pair.server.engine));
        expect_eq(pair.server.engine.err, asks ? WEIR_ETLSBADCERT : 0);
        tls_pair_disconnect(&pair);
        wr_tls_backend_get()->session_free(session);
        tls_contexts_unref(client, server);
    }
}
