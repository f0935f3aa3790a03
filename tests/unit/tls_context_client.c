/*
 * Sessions of clients that have sent certificates: the client's identity is in
 * its ticket, and is verified again.
 *
 * The contexts are real. A test advances weir's clock; the library has its own.
 */
#include "lib/tls/context/context_impl.h"
#include "lib/tls/context/ticket.h"
#include "tests/tls/rig.h"

#include <errno.h>
#include <time.h>

static struct tls_pair pair;
static time_t client_later; /* seconds by which weir's clock is ahead */

time_t __real_time(time_t *ret);
time_t __wrap_time(time_t *ret);

time_t __wrap_time(time_t *ret)
{
    const time_t now = __real_time(NULL) + client_later;
    if (ret) {
        *ret = now;
    }
    return now;
}

static weir_tls_context *client_make(enum weir_tls_version version,
                                     const char *name)
{
    struct weir_tls_options options = tls_options(false);
    options.min_version = options.max_version = version;
    if (name) {
        options.certificate.file = tls_file("%s.pem", name);
        options.key.file = tls_file("%s.key", name);
    }
    return tls_context(&options);
}

static struct weir_tls_options client_server(enum weir_tls_client_auth auth)
{
    static const uint8_t keys[48] = "the same keys for all of them";
    struct weir_tls_options options = tls_options(true);
    options.client_auth = auth;
    options.authorities.file = tls_file("ca.pem");
    options.ticket_keys = keys;
    options.ticket_keys_size = sizeof(keys);
    return options;
}

/* Connects, resuming *session if there is one; a new session replaces it. The
 * pair stays connected. */
static void client_join(weir_tls_context *client, weir_tls_context *server,
                        struct wr_tls_known **session)
{
    const struct wr_tls_peer_options how = {.server_hostname = "localhost",
                                            .session = *session};
    tls_pair_connect(&pair, client, server, &how);
    struct wr_tls_known *next = NULL;
    if (wr_tls_engine_get_session(&pair.client.engine, &next) == 0) {
        wr_tls_backend_get()->session_free(*session);
        *session = next;
    }
}

/* Like client_join(), must succeed. Returns whether the session was resumed.
 * @certificate is what the server knows of its client, "" for none; if it is
 * empty, it is filled in. */
static bool client_connect(weir_tls_context *client, weir_tls_context *server,
                           struct wr_tls_known **session,
                           struct wr_bytes *certificate)
{
    static uint8_t known[4096];
    size_t size = 0;

    client_join(client, server, session);
    tls_pair_expect(&pair, 0, 0);
    cr_assert_not_null(*session);
    const uint8_t *der =
        wr_tls_engine_get_peer_certificate(&pair.server.engine, 0, &size);
    if (!certificate->data) {
        cr_assert_leq(size, sizeof(known));
        memcpy(known, der ? der : known, size);
        *certificate = (struct wr_bytes){.data = known, .size = size};
    }
    expect_eq(size, certificate->size);
    cr_assert(size == 0 || memcmp(der, certificate->data, size) == 0);
    const bool was_resumed = wr_tls_engine_was_resumed(&pair.server.engine);
    expect_eq(wr_tls_engine_was_resumed(&pair.client.engine), was_resumed);
    tls_pair_disconnect(&pair);
    return was_resumed;
}

static void client_end(struct wr_tls_known *session, weir_tls_context *a,
                       weir_tls_context *b)
{
    wr_tls_backend_get()->session_free(session);
    tls_contexts_unref(a, b);
}

static void client_resume(enum weir_tls_version version,
                          enum weir_tls_client_auth auth, const char *name)
{
    const struct weir_tls_options options = client_server(auth);
    weir_tls_context *server = tls_context(&options);
    weir_tls_context *client = client_make(version, name);
    struct wr_tls_known *session = NULL;
    struct wr_bytes certificate = {.data = NULL};

    cr_assert(!client_connect(client, server, &session, &certificate));
    expect_eq(certificate.size > 0, name != NULL);
    for (int i = 0; i < 3; i++) {
        cr_assert(client_connect(client, server, &session, &certificate));
    }
    client_end(session, client, server);
}

UNIT(tls_context_client, a_resumed_session_has_the_clients_certificate)
{
    for (int i = WEIR_TLS_1_2; i <= WEIR_TLS_1_3; i++) {
        const enum weir_tls_version version = (enum weir_tls_version)i;
        client_resume(version, WEIR_TLS_CLIENT_AUTH_REQUIRED, "ecdsa");
        client_resume(version, WEIR_TLS_CLIENT_AUTH_REQUIRED, "rsa");
        client_resume(version, WEIR_TLS_CLIENT_AUTH_OPTIONAL, "ecdsa");
    }
}

UNIT(tls_context_client, a_client_without_a_certificate_returns_without_one)
{
    client_resume(WEIR_TLS_1_2, WEIR_TLS_CLIENT_AUTH_OPTIONAL, NULL);
    client_resume(WEIR_TLS_1_3, WEIR_TLS_CLIENT_AUTH_OPTIONAL, NULL);
}

/* Expects that a session from @from makes a full handshake at @to, and that the
 * client is known. */
static void client_expect_full(const struct weir_tls_options *from,
                               const struct weir_tls_options *to,
                               const char *name)
{
    weir_tls_context *first = tls_context(from);
    weir_tls_context *second = tls_context(to);
    weir_tls_context *client = client_make(WEIR_TLS_1_3, name);
    struct wr_tls_known *session = NULL;
    struct wr_bytes certificate = {.data = NULL};

    cr_assert(!client_connect(client, first, &session, &certificate));
    certificate.data = NULL;
    cr_assert(!client_connect(client, second, &session, &certificate));
    expect_eq(certificate.size > 0, name != NULL);
    client_end(session, client, first);
    weir_tls_context_unref(second);
}

UNIT(tls_context_client, another_context_with_the_same_keys_asks_the_client)
{
    const struct weir_tls_options options =
        client_server(WEIR_TLS_CLIENT_AUTH_REQUIRED);
    client_expect_full(&options, &options, "ecdsa");
}

UNIT(tls_context_client, a_ticket_of_a_server_that_asks_no_client_is_not_taken)
{
    struct weir_tls_options without = client_server(WEIR_TLS_CLIENT_AUTH_NONE);
    struct weir_tls_options with = without;
    without.authorities.file = NULL;
    with.client_auth = WEIR_TLS_CLIENT_AUTH_OPTIONAL;
    client_expect_full(&without, &with, "ecdsa");
    with.client_auth = WEIR_TLS_CLIENT_AUTH_REQUIRED;
    client_expect_full(&without, &with, "ecdsa");
}

/* The session of a client without a certificate is for servers that require
 * none. */
UNIT(tls_context_client, a_session_without_a_certificate_does_not_stand_for_one)
{
    const struct weir_tls_options optional =
        client_server(WEIR_TLS_CLIENT_AUTH_OPTIONAL);
    const struct weir_tls_options required =
        client_server(WEIR_TLS_CLIENT_AUTH_REQUIRED);
    weir_tls_context *first = tls_context(&optional);
    weir_tls_context *second = tls_context(&required);
    weir_tls_context *client = client_make(WEIR_TLS_1_3, NULL);
    struct wr_tls_known *session = NULL;
    struct wr_bytes certificate = {.data = NULL};

    cr_assert(!client_connect(client, first, &session, &certificate));
    client_join(client, second, &session);
    cr_assert(!wr_tls_engine_was_resumed(&pair.server.engine));
    expect_eq(pair.server.engine.err, WEIR_ETLSNOCERT);
    tls_pair_disconnect(&pair);
    client_end(session, client, first);
    weir_tls_context_unref(second);
}

UNIT(tls_context_client, a_client_that_was_forgotten_is_asked_again)
{
    const struct weir_tls_options options =
        client_server(WEIR_TLS_CLIENT_AUTH_REQUIRED);
    weir_tls_context *server = tls_context(&options);
    weir_tls_context *client = client_make(WEIR_TLS_1_3, "ecdsa");
    struct wr_tls_known *session = NULL;
    struct wr_bytes certificate = {.data = NULL};

    cr_assert(!client_connect(client, server, &session, &certificate));
    wr_tls_clients_fini(&server->clients);
    cr_assert(!client_connect(client, server, &session, &certificate));
    cr_assert(client_connect(client, server, &session, &certificate));
    client_end(session, client, server);
}

/* Its certificate would be refused today, so it must send it, and is refused.
 */
UNIT(tls_context_client, a_client_that_is_not_trusted_any_more_is_refused)
{
    const struct weir_tls_options options =
        client_server(WEIR_TLS_CLIENT_AUTH_REQUIRED);
    weir_tls_context *server = tls_context(&options);
    weir_tls_context *client = client_make(WEIR_TLS_1_3, "ecdsa");
    struct wr_tls_known *session = NULL;
    struct wr_bytes certificate = {.data = NULL};

    cr_assert(!client_connect(client, server, &session, &certificate));
    wr_x509_trust_fini(&server->trust);
    server->trust = (struct wr_x509_trust){.count = 0};
    client_join(client, server, &session);

    cr_assert(!wr_tls_engine_was_resumed(&pair.server.engine));
    expect_eq(pair.server.engine.err, WEIR_ETLSISSUER);
    tls_pair_disconnect(&pair);
    client_end(session, client, server);
}

/* Uses the revocation lists of a file from now on. */
static void client_revoke(weir_tls_context *server, const char *file)
{
    static uint8_t text[16 << 10];
    const char *why = NULL;
    const struct wr_bytes list = {
        .data = text, .size = tls_file_read(file, text, sizeof(text))};

    cr_assert_eq(server->revocation.count, 0);
    cr_assert_eq(wr_tls_revocation_add(&server->revocation, list,
                                       &server->trust, (int64_t)time(NULL),
                                       &why),
                 0, "%s", why);
}

/* Moves weir's clock to a day before the end of a certificate. */
static void client_wait(const char *name)
{
    static const int64_t day = 24 * 60 * 60;
    struct weir_tls_options options =
        client_server(WEIR_TLS_CLIENT_AUTH_REQUIRED);
    weir_tls_context *server = tls_context(&options);
    weir_tls_context *client = client_make(WEIR_TLS_1_3, name);
    struct wr_tls_known *session = NULL;
    struct wr_bytes certificate = {.data = NULL};
    struct wr_x509 leaf;

    cr_assert(!client_connect(client, server, &session, &certificate));
    cr_assert_eq(wr_x509_read(&leaf, certificate.data, certificate.size), 0);
    client_later = (time_t)(leaf.not_after - day) - __real_time(NULL);
    cr_assert_gt(client_later, 0);
    client_end(session, client, server);
}

/* A client returns whose certificate is no longer valid: it must send it, and
 * is refused. In TLS 1.2 wolfSSL's client gives up if its ticket is not
 * accepted. */
static void client_expect_refused(const struct weir_tls_options *options,
                                  enum weir_tls_version version,
                                  const char *name, const char *lists)
{
    weir_tls_context *server = tls_context(options);
    weir_tls_context *client = client_make(version, name);
    struct wr_tls_known *session = NULL;
    struct wr_bytes certificate = {.data = NULL};

    cr_assert(!client_connect(client, server, &session, &certificate));
    cr_assert(client_connect(client, server, &session, &certificate));
    if (lists) {
        client_revoke(server, lists);
    } else {
        client_later += 2 * 24 * 60 * 60;
    }
    const bool gives_up = version == WEIR_TLS_1_2 &&
                          strcmp(wr_tls_backend_get()->name, "wolfSSL") == 0;
    client_join(client, server, &session);
    cr_assert(!wr_tls_engine_was_resumed(&pair.server.engine));
    expect_eq(pair.server.engine.err, gives_up ? WEIR_ETLSALERT
                                      : lists  ? WEIR_ETLSREVOKED
                                               : WEIR_ETLSEXPIRED);
    tls_pair_disconnect(&pair);
    client_end(session, client, server);
}

UNIT(tls_context_client, a_client_whose_certificate_has_expired_is_refused)
{
    struct weir_tls_options options =
        client_server(WEIR_TLS_CLIENT_AUTH_REQUIRED);
    options.ticket_lifetime_ns = 7 * 24 * 60 * 60 * UINT64_C(1000000000);

    for (int i = WEIR_TLS_1_2; i <= WEIR_TLS_1_3; i++) {
        client_wait("brief");
        client_expect_refused(&options, (enum weir_tls_version)i, "brief",
                              NULL);
        client_later = 0;
    }
}

UNIT(tls_context_client, a_client_whose_certificate_is_revoked_is_refused)
{
    struct weir_tls_options options =
        client_server(WEIR_TLS_CLIENT_AUTH_REQUIRED);
    options.authorities.file = tls_file("tls-matrix/trusted.pem");

    for (int i = WEIR_TLS_1_2; i <= WEIR_TLS_1_3; i++) {
        client_expect_refused(&options, (enum weir_tls_version)i,
                              "tls-matrix/revoked",
                              tls_file("tls-matrix/authority.crl"));
    }
}

/* Each resumption gives a new ticket; the last full handshake counts. */
UNIT(tls_context_client, a_client_shows_its_certificate_once_in_a_lifetime)
{
    struct weir_tls_options options =
        client_server(WEIR_TLS_CLIENT_AUTH_REQUIRED);
    struct wr_tls_known *session = NULL;
    struct wr_bytes certificate = {.data = NULL};
    options.ticket_lifetime_ns = 100 * UINT64_C(1000000000);
    weir_tls_context *server = tls_context(&options);
    weir_tls_context *client = client_make(WEIR_TLS_1_3, "ecdsa");

    cr_assert(!client_connect(client, server, &session, &certificate));
    client_later += 60;
    cr_assert(client_connect(client, server, &session, &certificate));
    client_later += 60;
    cr_assert(!client_connect(client, server, &session, &certificate));
    cr_assert(client_connect(client, server, &session, &certificate));
    client_end(session, client, server);
    client_later = 0;
}

static int client_add(struct wr_tls_clients *clients, uint8_t number,
                      size_t size)
{
    static uint8_t der[WR_TLS_CLIENTS_BYTES_MAX + 1];
    uint8_t digest[WR_TLS_CLIENT_DIGEST] = {0};
    const struct wr_bytes one = {.data = der, .size = size};

    digest[WR_TLS_CLIENT_DIGEST - 1] = number;
    der[0] = number;
    return wr_tls_clients_add(clients, digest, &one, 1);
}

static int client_find(struct wr_tls_clients *clients, uint8_t number,
                       size_t *ret_size)
{
    uint8_t digest[WR_TLS_CLIENT_DIGEST] = {0};
    struct wr_bytes one;

    digest[WR_TLS_CLIENT_DIGEST - 1] = number;
    struct wr_bytes chain = wr_tls_clients_find(clients, digest);
    if (!chain.data) {
        return -ENOENT;
    }
    cr_assert(wr_tls_clients_take(&chain, &one));
    cr_assert(!wr_tls_clients_take(&chain, &one));
    expect_eq(one.data[0], number);
    *ret_size = one.size;
    return 0;
}

UNIT(tls_context_client, a_new_client_takes_the_place_of_the_oldest)
{
    struct wr_tls_clients clients = {.places = NULL};
    size_t size = 0;

    expect_eq(client_find(&clients, 1, &size), -ENOENT);
    for (uint8_t i = 1; i <= 5; i++) { /* in one group of four slots */
        expect_eq(client_add(&clients, i, 100u + i), 0);
        expect_eq(client_add(&clients, i, 100u + i), 0); /* it exists */
    }
    expect_eq(client_find(&clients, 1, &size), -ENOENT);
    for (uint8_t i = 2; i <= 5; i++) {
        expect_eq(client_find(&clients, i, &size), 0);
        expect_eq(size, 100u + i);
    }
    wr_tls_clients_fini(&clients);
    expect_eq(client_find(&clients, 5, &size), -ENOENT);
}

UNIT(tls_context_client, a_client_with_many_bytes_is_not_remembered)
{
    struct wr_tls_clients clients = {.places = NULL};
    size_t size = 0;

    expect_eq(client_add(&clients, 1, WR_TLS_CLIENTS_BYTES_MAX - 3), -E2BIG);
    expect_eq(client_find(&clients, 1, &size), -ENOENT);
    expect_eq(client_add(&clients, 1, WR_TLS_CLIENTS_BYTES_MAX - 4), 0);
    expect_eq(client_find(&clients, 1, &size), 0);
    expect_eq(size, WR_TLS_CLIENTS_BYTES_MAX - 4);
    wr_tls_clients_fini(&clients);
}
