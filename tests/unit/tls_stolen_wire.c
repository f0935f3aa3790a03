/*
 * A client that offers another client's ticket after its own, as seen on the
 * wire: the server knows it by its own certificate, whichever ticket the
 * library resumes, or none.
 *
 * The client uses OpenSSL; a key from a callback is the second ticket. It knows
 * neither that ticket's secret nor its age.
 */
#include "lib/tls/context/context_impl.h"
#include "tests/tls/rig.h"

#include <openssl/ssl.h>

#include <string.h>

struct wire_ticket {
    size_t size; /* 0 is none */
    uint8_t data[1024];
};

static const struct wire_ticket *wire_more; /* offered after the client's own */
static int wire_hellos;                     /* number of hellos made */

static int wire_offer(SSL *ssl, const EVP_MD *hash, const unsigned char **ret,
                      size_t *ret_size, SSL_SESSION **ret_session)
{
    static const uint8_t secret[48] = "nobody knows it";
    const SSL_CIPHER *suite = SSL_SESSION_get0_cipher(SSL_get0_session(ssl));

    *ret_session = NULL;
    if (!wire_more || wire_hellos++ > 0) {
        return 1; /* a second hello may have no more tickets */
    }
    if (hash) { /* for the suite that the server has chosen */
        const bool is_long = EVP_MD_get_size(hash) == sizeof(secret);
        const uint8_t number[] = {0x13, is_long ? 2 : 1};
        suite = SSL_CIPHER_find(ssl, number);
    }
    SSL_SESSION *made = SSL_SESSION_new();
    cr_assert_not_null(made);
    cr_assert_eq(SSL_SESSION_set1_master_key(made, secret, sizeof(secret)), 1);
    cr_assert_eq(SSL_SESSION_set_protocol_version(made, TLS1_3_VERSION), 1);
    cr_assert_eq(SSL_SESSION_set_cipher(made, suite), 1);
    *ret_session = made;
    *ret = wire_more->data;
    *ret_size = wire_more->size;
    return 1;
}

/* The certificate by which the server knows a client; size 0 is none. */
struct wire_client {
    size_t size;
    uint8_t der[4096];
};

static SSL_CTX *wire_make(const char *name, const char *suites)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());

    cr_assert_not_null(ctx);
    cr_assert_eq(SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION), 1);
    cr_assert_eq(SSL_CTX_set_ciphersuites(ctx, suites), 1);
    cr_assert_eq(SSL_CTX_set1_groups_list(ctx, "X25519:P-384"), 1);
    SSL_CTX_set_psk_use_session_callback(ctx, wire_offer);
    if (name) {
        cr_assert_eq(SSL_CTX_use_certificate_file(ctx, tls_file("%s.pem", name),
                                                  SSL_FILETYPE_PEM),
                     1);
        cr_assert_eq(SSL_CTX_use_PrivateKey_file(ctx, tls_file("%s.key", name),
                                                 SSL_FILETYPE_PEM),
                     1);
    }
    return ctx;
}

static SSL *wire_open(SSL_CTX *ctx, SSL_SESSION *session)
{
    SSL *ssl = SSL_new(ctx);

    cr_assert_not_null(ssl);
    SSL_set_bio(ssl, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    SSL_set_connect_state(ssl);
    cr_assert_eq(SSL_set_tlsext_host_name(ssl, "localhost"), 1);
    if (session) {
        cr_assert_eq(SSL_set_session(ssl, session), 1);
    }
    return ssl;
}

/* Moves bytes in both directions; the client reads the tickets after the
 * handshake. */
static void wire_exchange(SSL *ssl, struct tls_side *server)
{
    static char bytes[1 << 16];

    for (int i = 0; i < 8; i++) {
        wr_ignore(SSL_read(ssl, bytes, sizeof(bytes)) > 0);
        const int len = BIO_read(SSL_get_wbio(ssl), bytes, sizeof(bytes));
        if (len > 0) {
            tls_side_feed(server, bytes, (unsigned)len, (unsigned)len);
        }
        if (server->wire_len > 0) {
            const int count = (int)server->wire_len;
            expect_eq(BIO_write(SSL_get_rbio(ssl), server->wire, count), count);
            server->wire_len = 0;
        }
    }
}

/* Makes a connection, which must succeed. Returns true if it resumes *session,
 * which the new one replaces. @ret is the client's identity. */
static bool wire_connect(SSL_CTX *ctx, weir_tls_context *context,
                         SSL_SESSION **session, struct wire_client *ret)
{
    static struct tls_account account;
    static struct tls_side server;
    const struct wr_tls_peer_options how = {0};
    SSL *ssl = wire_open(ctx, *session);

    server = (struct tls_side){.way = NULL};
    wire_hellos = 0;
    ret->size = 0;
    tls_account_open(&account);
    expect_eq(tls_side_open(&server, context, &how, &account), 0);
    wire_exchange(ssl, &server);
    expect_eq(server.engine.err, 0, "%s",
              wr_tls_engine_get_error_text(&server.engine));
    cr_assert_eq(SSL_is_init_finished(ssl), 1);
    const uint8_t *der =
        wr_tls_engine_get_peer_certificate(&server.engine, 0, &ret->size);
    cr_assert_leq(ret->size, sizeof(ret->der));
    memcpy(ret->der, der ? der : ret->der, ret->size);
    const bool was_resumed = wr_tls_engine_was_resumed(&server.engine);
    expect_eq(SSL_session_reused(ssl), was_resumed);
    SSL_SESSION_free(*session);
    *session = SSL_get1_session(ssl);
    SSL_set_shutdown(ssl, SSL_SENT_SHUTDOWN); /* the session stays valid */
    SSL_free(ssl);
    tls_side_close(&server);
    tls_account_close(&account);
    return was_resumed;
}

static void wire_expect(const struct wire_client *client,
                        const struct wire_client *expected)
{
    expect_eq(client->size, expected->size);
    cr_assert(client->size == 0 ||
              memcmp(client->der, expected->der, client->size) == 0);
}

static const char wire_suites[] =
    "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:"
    "TLS_CHACHA20_POLY1305_SHA256";

static weir_tls_context *wire_server(bool demands, const char *groups)
{
    struct weir_tls_options options = tls_options(true);
    options.client_auth =
        demands ? WEIR_TLS_CLIENT_AUTH_REQUIRED : WEIR_TLS_CLIENT_AUTH_OPTIONAL;
    options.authorities.file = tls_file("ca.pem");
    options.min_version = WEIR_TLS_1_3;
    options.groups = groups;
    return tls_context(&options);
}

/* Takes the ticket of a client with another certificate. */
static void wire_take(weir_tls_context *server, struct wire_ticket *ret)
{
    SSL_CTX *victim = wire_make("ecdsa", wire_suites);
    SSL_SESSION *session = NULL;
    struct wire_client first;
    struct wire_client again;
    const unsigned char *ticket = NULL;

    wire_more = NULL;
    cr_assert_not(wire_connect(victim, server, &session, &first));
    expect_gt(first.size, 0);
    cr_assert(wire_connect(victim, server, &session, &again));
    wire_expect(&again, &first);
    SSL_SESSION_get0_ticket(session, &ticket, &ret->size);
    cr_assert(ret->size > 0 && ret->size <= sizeof(ret->data));
    memcpy(ret->data, ticket, ret->size);
    SSL_SESSION_free(session);
    SSL_CTX_free(victim);
}

/* The client's own session uses @suite; its next hello offers all. */
static void wire_try(const char *name, const char *suite, const char *groups)
{
    weir_tls_context *server = wire_server(name, groups);
    SSL_CTX *first = wire_make(name, suite);
    SSL_CTX *second = wire_make(name, wire_suites);
    SSL_SESSION *session = NULL;
    static struct wire_ticket ticket;
    struct wire_client self;
    struct wire_client seen;

    wire_take(server, &ticket);
    cr_assert_not(wire_connect(first, server, &session, &self));
    expect_eq(self.size > 0, name != NULL);
    wire_more = &ticket;
    wr_ignore(wire_connect(second, server, &session, &seen));
    expect_gt(wire_hellos, 0); /* the ticket was offered */
    wire_expect(&seen, &self);
    wire_more = NULL; /* and the session of that connection */
    cr_assert(wire_connect(second, server, &session, &seen));
    wire_expect(&seen, &self);
    SSL_SESSION_free(session);
    SSL_CTX_free(first);
    SSL_CTX_free(second);
    weir_tls_context_unref(server);
}

static void wire_try_all(const char *groups)
{
    static const char *const suites[] = {
        "TLS_AES_128_GCM_SHA256",
        "TLS_AES_256_GCM_SHA384",
        "TLS_CHACHA20_POLY1305_SHA256",
    };

    for (size_t i = 0; i < sizeof(suites) / sizeof(*suites); i++) {
        wire_try("rsa", suites[i], groups);
        wire_try(NULL, suites[i], groups);
    }
}

UNIT(tls_stolen_wire, a_client_does_not_become_that_of_another_ticket)
{
    wire_try_all(NULL);
}

/* Tries a ticket that a library may take for a session identifier of another
 * server: next to it the client's own is ignored. */
static void wire_try_session(bool has_certificate, const char *groups)
{
    weir_tls_context *server = wire_server(has_certificate, groups);
    SSL_CTX *client = wire_make(has_certificate ? "rsa" : NULL, wire_suites);
    static const struct wire_ticket identifier = {.size = 32};
    SSL_SESSION *session = NULL;
    struct wire_client self;
    struct wire_client seen;

    cr_assert_not(wire_connect(client, server, &session, &self));
    wire_more = &identifier;
    cr_assert_not(wire_connect(client, server, &session, &seen));
    expect_gt(wire_hellos, 0); /* it was offered */
    wire_expect(&seen, &self);
    wire_more = NULL;
    cr_assert(wire_connect(client, server, &session, &seen));
    wire_expect(&seen, &self);
    SSL_SESSION_free(session);
    SSL_CTX_free(client);
    weir_tls_context_unref(server);
}

UNIT(tls_stolen_wire, no_ticket_counts_beside_an_identifier_of_a_session)
{
    for (int i = 0; i < 2; i++) {
        wire_try_session(i > 0, NULL);
        wire_try_session(i > 0, "P-384");
    }
}

/* The server requests a key of another group (HelloRetryRequest). */
UNIT(tls_stolen_wire, nor_by_a_ticket_in_the_first_hello_of_two)
{
    wire_try_all("P-384");
}
