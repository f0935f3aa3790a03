/*
 * Session tickets in OpenSSL's own format, with weir's keys.
 *
 * OpenSSL encrypts a session with AES-256-CBC and authenticates it with
 * HMAC-SHA-256. Both keys are derived, once, from the secret of a ticket key of
 * weir. A ticket is valid only for the name that the client requested. OpenSSL
 * does not check the name with TLS 1.3, so a digest of the name is stored in
 * the session; if it differs, a full handshake follows.
 */
#include "openssl.h"

#include "uring/check.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>

#include <string.h>

enum { TICKET_IV = 16 };

static bool ticket_set_mac(EVP_MAC_CTX *mac, struct wr_tls_ticket_pair *pair)
{
    static const char hash[] = "SHA2-256";
    const OSSL_PARAM params[] = {
        OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, pair->mac,
                                          sizeof(pair->mac)),
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST,
                                         (char *)(uintptr_t)hash, 0),
        OSSL_PARAM_construct_end(),
    };

    wr_assert(mac != NULL);
    return EVP_MAC_CTX_set_params(mac, params) == 1;
}

enum { TICKET_FAILS = -1, TICKET_FOREIGN = 0, TICKET_IS_OPEN = 1 };

/* NOLINTNEXTLINE(readability-function-size): OpenSSL sets the parameters */
static int ticket_prepare(SSL *ssl, unsigned char *name, unsigned char *iv,
                          EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac, int seals)
{
    struct wr_tls_conn *conn = wr_openssl_conn_of(ssl);
    struct wr_tls_ticket_pair pair;
    int ret = TICKET_FOREIGN;

    wr_assert(conn->ssl == ssl);
    wr_assert(conn->is_server);
    if (seals) {
        ret = conn->events->ticket_key(conn, name, &pair) == 0 &&
                      RAND_bytes(iv, TICKET_IV) == 1
                  ? TICKET_IS_OPEN
                  : TICKET_FAILS;
    } else if (conn->events->ticket_find(conn, name, &pair)) {
        ret = TICKET_IS_OPEN;
    }
    if (ret == TICKET_IS_OPEN &&
        !(ticket_set_mac(mac, &pair) &&
          EVP_CipherInit_ex2(cipher, wr_openssl_cbc(), pair.cipher, iv, seals,
                             NULL) == 1)) {
        ret = TICKET_FAILS;
    }
    explicit_bzero(&pair, sizeof(pair));
    return ret;
}

/* Stored in a session: the digest of the requested name and, if the server
 * verifies clients, the client's identifier. */
enum { TICKET_NOTE = WR_TLS_TICKET_DIGEST + WR_TLS_TICKET_CLIENT };

static size_t ticket_note_size(const struct wr_tls_conn *conn)
{
    wr_assert(conn->is_server);
    return wr_openssl_own_of(conn)->verifies ? TICKET_NOTE
                                             : WR_TLS_TICKET_DIGEST;
}

/* Called before a session is sealed. A ticket without these bytes cannot be
 * resumed. */
static int ticket_note_name(SSL *ssl, void *arg)
{
    struct wr_tls_conn *conn = wr_openssl_conn_of(ssl);
    const size_t size = ticket_note_size(conn);
    uint8_t note[TICKET_NOTE];

    (void)arg;
    wr_assert(conn->ssl == ssl);
    const bool is_noted =
        conn->events->ticket_host(conn, true, note) == 0 &&
        (size == WR_TLS_TICKET_DIGEST ||
         conn->events->ticket_client(conn, note + WR_TLS_TICKET_DIGEST) == 0);
    return SSL_SESSION_set1_ticket_appdata(SSL_get_session(ssl), note,
                                           is_noted ? size : 0);
}

static bool ticket_is_for(struct wr_tls_conn *conn, SSL_SESSION *session)
{
    uint8_t digest[WR_TLS_TICKET_DIGEST];
    void *known = NULL;
    size_t size = 0;

    wr_assert(session != NULL);
    return SSL_SESSION_get0_ticket_appdata(session, &known, &size) == 1 &&
           size == ticket_note_size(conn) &&
           conn->events->ticket_host(conn, false, digest) == 0 &&
           memcmp(known, digest, sizeof(digest)) == 0 &&
           (size == sizeof(digest) ||
            conn->events->ticket_known(conn,
                                       (uint8_t *)known + sizeof(digest)));
}

/* With TLS 1.3 each connection gets a new ticket, so that a client need not use
 * a ticket twice (RFC 8446, C.4). */
/* NOLINTNEXTLINE(readability-function-size): OpenSSL sets the parameters */
static SSL_TICKET_RETURN ticket_decide(SSL *ssl, SSL_SESSION *session,
                                       const unsigned char *name,
                                       size_t name_size,
                                       SSL_TICKET_STATUS status, void *arg)
{
    (void)name;
    (void)name_size;
    (void)arg;
    if ((status != SSL_TICKET_SUCCESS && status != SSL_TICKET_SUCCESS_RENEW) ||
        !ticket_is_for(wr_openssl_conn_of(ssl), session)) {
        return SSL_TICKET_RETURN_IGNORE_RENEW;
    }
    return SSL_version(ssl) == TLS1_3_VERSION ? SSL_TICKET_RETURN_USE_RENEW
                                              : SSL_TICKET_RETURN_USE;
}

bool wr_openssl_use_tickets(SSL_CTX *ctx)
{
    wr_assert(ctx != NULL);
    /* Without a context id OpenSSL refuses to resume the session of a client
     * that has a certificate. */
    static const uint8_t name[] = "weir";
    return SSL_CTX_set_session_id_context(ctx, name, sizeof(name) - 1) == 1 &&
           SSL_CTX_set_tlsext_ticket_key_evp_cb(ctx, ticket_prepare) == 1 &&
           SSL_CTX_set_session_ticket_cb(ctx, ticket_note_name, ticket_decide,
                                         NULL) == 1;
}
