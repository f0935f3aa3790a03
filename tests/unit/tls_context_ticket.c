/*
 * Session tickets of real contexts: which servers resume a session.
 *
 * The certificates are those of tls_certificates.sh. The session of a
 * connection is offered in the next one, to the same server or to another.
 */
#include "tests/tls/rig.h"
#include "tests/unit/tls_inner.h"

#include <errno.h>

#define TICKET_SECOND UINT64_C(1000000000)

static struct tls_pair pair;
static weir_tls_context *ticket_client(enum weir_tls_version version)
{
    return tls_context(&(struct weir_tls_options){
        .size = sizeof(struct weir_tls_options),
        .min_version = version,
        .max_version = version,
        .authorities = {.file = tls_file("ca.pem")},
        .certificate = {.file = tls_file("ecdsa.pem")},
        .key = {.file = tls_file("ecdsa.key")},
    });
}

/* Connects with a server name, resuming *session if there is one. Returns true
 * if it was resumed. *session becomes the new one, or NULL if the server gave
 * none. */
static bool ticket_connect_to(const char *name, weir_tls_context *client,
                              weir_tls_context *server,
                              struct wr_tls_known **session)
{
    const struct wr_tls_peer_options how = {
        .server_hostname = name,
        .no_hostname_check = true,
        .session = *session,
    };
    tls_pair_connect(&pair, client, server, &how);
    tls_pair_expect(&pair, 0, 0);
    const bool was_resumed = wr_tls_engine_was_resumed(&pair.client.engine);
    expect_eq(wr_tls_engine_was_resumed(&pair.server.engine), was_resumed);
    wr_tls_backend_get()->session_free(*session);
    *session = NULL;
    wr_ignore(wr_tls_engine_get_session(&pair.client.engine, session) < 0);
    tls_pair_disconnect(&pair);
    return was_resumed;
}

static bool ticket_connect(weir_tls_context *client, weir_tls_context *server,
                           struct wr_tls_known **session)
{
    return ticket_connect_to("localhost", client, server, session);
}

/* Expects whether a session of @from is resumed by @to, in TLS 1.3 only: if a
 * TLS 1.2 server does not accept a ticket, wolfSSL's client gives up. */
static void ticket_expect(const struct weir_tls_options *from,
                          const struct weir_tls_options *to, bool passes)
{
    weir_tls_context *client = ticket_client(WEIR_TLS_1_3);
    weir_tls_context *first = tls_context(from);
    weir_tls_context *second = tls_context(to);
    struct wr_tls_known *session = NULL;

    cr_assert(!ticket_connect(client, first, &session));
    cr_assert_not_null(session);
    expect_eq(ticket_connect(client, second, &session), passes);

    wr_tls_backend_get()->session_free(session);
    tls_contexts_unref(client, first);
    weir_tls_context_unref(second);
}

UNIT(tls_context_ticket, a_server_without_the_key_makes_a_whole_handshake)
{
    const struct weir_tls_options options = tls_options(true);
    ticket_expect(&options, &options, false);
}

UNIT(tls_context_ticket, servers_with_the_same_keys_resume_each_others_sessions)
{
    uint8_t keys[2 * 48];
    struct weir_tls_options from = tls_options(true);
    struct weir_tls_options to = tls_options(true);
    memset(keys, 'a', 48);
    memset(keys + 48, 'b', 48);
    from.ticket_keys = keys + 48;
    from.ticket_keys_size = 48;
    to.ticket_keys = keys;
    to.ticket_keys_size = 96;

    ticket_expect(&from, &to, true); /* the second key decrypts, too */
    ticket_expect(&to, &from, false);
}

/* Expects that a session of @from, which exports its keys, is resumed by @to.
 */
static void ticket_expect_handed_over(const struct weir_tls_options *from,
                                      const struct weir_tls_options *to)
{
    weir_tls_context *client = ticket_client(WEIR_TLS_1_3);
    weir_tls_context *first = tls_context(from);
    weir_tls_context *second = tls_context(to);
    struct weir_tls_ticket_keys keys = {.size = sizeof(keys)};
    struct wr_tls_known *session = NULL;

    cr_assert(!ticket_connect(client, first, &session));
    expect_eq(weir_tls_context_get_ticket_keys(first, &keys), 0);
    expect_eq(weir_tls_context_set_ticket_keys(second, &keys), 0);
    cr_assert(ticket_connect(client, second, &session));
    cr_assert(ticket_connect(client, first, &session), "and the other way");

    wr_tls_backend_get()->session_free(session);
    tls_contexts_unref(client, first);
    weir_tls_context_unref(second);
}

UNIT(tls_context_ticket, a_context_that_is_handed_the_keys_resumes_sessions)
{
    const uint8_t keys[3 * 48] = "keys of the user's";
    const struct weir_tls_options options = tls_options(true);
    struct weir_tls_options with_keys = options;
    with_keys.ticket_keys = keys;
    with_keys.ticket_keys_size = sizeof(keys);

    ticket_expect_handed_over(&options, &options);
    ticket_expect_handed_over(&options, &with_keys);
    ticket_expect_handed_over(&with_keys, &options);
}

UNIT(tls_context_ticket,
     keys_are_handed_over_between_servers_with_tickets_alone)
{
    struct weir_tls_ticket_keys keys = {.size = sizeof(keys)};
    struct weir_tls_ticket_keys none = {.size = sizeof(none)};
    struct weir_tls_options options = tls_options(true);
    weir_tls_context *server = tls_context(&options);
    weir_tls_context *client = ticket_client(WEIR_TLS_1_3);
    options.no_tickets = true;
    weir_tls_context *without = tls_context(&options);

    expect_eq(weir_tls_context_get_ticket_keys(server, &keys), 0);
    expect_eq(weir_tls_context_get_ticket_keys(client, &keys), -ENOENT);
    expect_eq(weir_tls_context_get_ticket_keys(without, &keys), -ENOENT);
    expect_eq(weir_tls_context_set_ticket_keys(client, &keys), -ENOENT);
    expect_eq(weir_tls_context_set_ticket_keys(without, &keys), -ENOENT);
    expect_eq(weir_tls_context_set_ticket_keys(server, &none), -EINVAL);
    memset(none.data, 0xff, sizeof(none.data));
    expect_eq(weir_tls_context_set_ticket_keys(server, &none), -EINVAL);
    expect_eq(weir_tls_context_get_ticket_keys(server, NULL), -EINVAL);
    expect_eq(weir_tls_context_set_ticket_keys(server, NULL), -EINVAL);
    keys.size = 0;
    expect_eq(weir_tls_context_get_ticket_keys(server, &keys),
              WEIR_EOPTIONSIZE);
    expect_eq(weir_tls_context_set_ticket_keys(server, &keys),
              WEIR_EOPTIONSIZE);
    tls_contexts_unref(client, server);
    weir_tls_context_unref(without);
}

/* The memory of its connections is counted: the context may keep none of it. */
UNIT(tls_context_ticket, a_server_without_tickets_leaves_what_it_is_offered)
{
    const struct weir_tls_options from = tls_options(true);
    struct weir_tls_options to = from;
    to.no_tickets = true;

    ticket_expect(&from, &to, false);
}

/* Returns true if a session for the name @first is resumed for @second. In TLS
 * 1.2 the server's side is checked: wolfSSL's client gives up if the ticket is
 * not accepted. */
static bool ticket_passes(enum weir_tls_version version, const char *first,
                          const char *second)
{
    weir_tls_context *client = ticket_client(version);
    weir_tls_context *server = tls_context_of(true, 0);
    struct wr_tls_known *session = NULL;

    cr_assert(!ticket_connect_to(first, client, server, &session));
    cr_assert_not_null(session);
    const struct wr_tls_peer_options how = {.server_hostname = second,
                                            .no_hostname_check = true,
                                            .session = session};
    tls_pair_connect(&pair, client, server, &how);
    const bool passes = wr_tls_engine_was_resumed(&pair.server.engine);
    if (passes || version == WEIR_TLS_1_3 ||
        strcmp(wr_tls_backend_get()->name, "wolfSSL") != 0) {
        tls_pair_expect(&pair, 0, 0);
    } else {
        tls_pair_expect(&pair, WEIR_ETLSPROTOCOL, WEIR_ETLSALERT);
    }
    tls_pair_disconnect(&pair);

    wr_tls_backend_get()->session_free(session);
    tls_contexts_unref(client, server);
    return passes;
}

UNIT(tls_context_ticket, a_session_is_resumed_under_its_name_alone)
{
    for (int i = WEIR_TLS_1_2; i <= WEIR_TLS_1_3; i++) {
        const enum weir_tls_version version = (enum weir_tls_version)i;
        cr_assert(ticket_passes(version, "localhost", "localhost"));
        cr_assert(ticket_passes(version, "localhost", "LocalHost"));
        cr_assert(ticket_passes(version, NULL, NULL));
        cr_assert(!ticket_passes(version, "localhost", "example.org"));
        cr_assert(!ticket_passes(version, "localhost", NULL));
        cr_assert(!ticket_passes(version, NULL, "localhost"));
    }
}

/* Returns true if a server gives tickets. */
static bool ticket_arrives(int version, bool no_tickets, int auth)
{
    struct weir_tls_options client = tls_options(false);
    struct weir_tls_options server = tls_options(true);
    client.max_version = (enum weir_tls_version)version;
    client.certificate = server.certificate;
    client.key = server.key;
    server.no_tickets = no_tickets;
    server.client_auth = (enum weir_tls_client_auth)auth;
    server.authorities = auth ? client.authorities : server.authorities;

    tls_pair_join(&pair, &client, &server, NULL);
    tls_pair_expect(&pair, 0, 0);
    const bool arrives = pair.client.engine.has_session;
    tls_pair_disconnect(&pair);
    return arrives;
}

UNIT(tls_context_ticket, tickets_are_given_where_they_are_not_switched_off)
{
    for (int version = WEIR_TLS_1_2; version <= WEIR_TLS_1_3; version++) {
        for (int auth = WEIR_TLS_CLIENT_AUTH_NONE;
             auth <= WEIR_TLS_CLIENT_AUTH_REQUIRED; auth++) {
            expect_eq(ticket_arrives(version, false, auth), true, "%d", auth);
            expect_eq(ticket_arrives(version, true, auth), false, "%d", auth);
        }
    }
}

static void ticket_refuse(const struct weir_tls_options *options)
{
    weir_tls_context *context = NULL;
    expect_eq(weir_tls_context_new(options, &context, NULL, 0), -EINVAL);
}

UNIT(tls_context_ticket, options_out_of_range_are_refused)
{
    const uint8_t keys[48] = {0};
    struct weir_tls_options options = tls_options(true);
    options.ticket_lifetime_ns = TICKET_SECOND - 1;
    ticket_refuse(&options);
    options.ticket_lifetime_ns = (7 * 24 * 3600 + 1) * TICKET_SECOND;
    ticket_refuse(&options);
    options.ticket_lifetime_ns = UINT64_MAX;
    ticket_refuse(&options);
    options = tls_options(true);
    options.ticket_keys_size = 48;
    ticket_refuse(&options);
    options.ticket_keys = keys;
    options.ticket_keys_size = 47;
    ticket_refuse(&options);
    options.ticket_keys_size = 0;
    ticket_refuse(&options);
    options.ticket_keys_size = 48;
    options.no_tickets = true;
    ticket_refuse(&options);
    options = (struct weir_tls_options){.size = sizeof(options)};
    options.ticket_lifetime_ns = TICKET_SECOND;
    ticket_refuse(&options); /* a client */
}

enum {
    TICKET_RECORD_HEADER = 5,
    TICKET_HELLO_MAX = 2048,
    TICKET_STRANGE = 0xfafa, /* an unknown extension */
};

static void ticket_put(uint8_t *to, size_t value, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        to[i] = (uint8_t)(value >> 8 * (size - 1 - i));
    }
}

static size_t ticket_get(const uint8_t *from, size_t size)
{
    size_t value = 0;
    for (size_t i = 0; i < size; i++) {
        value = value << 8 | from[i];
    }
    return value;
}

/* Makes the record with which a TLS 1.2 client offers a session. */
static size_t ticket_make_hello(weir_tls_context *client,
                                weir_tls_context *server, const char *name,
                                struct wr_tls_known *session, uint8_t *ret)
{
    const struct wr_tls_peer_options how = {
        .server_hostname = name, .no_hostname_check = true, .session = session};
    tls_pair_open(&pair, client, server, &how);
    expect_eq(wr_tls_engine_handshake(&pair.client.engine), -EAGAIN);
    const struct wr_block *block = pair.client.engine.output_first;
    cr_assert(block && !block->next && block->used <= TICKET_HELLO_MAX);
    const size_t size = block->used;
    memcpy(ret, wr_tls_engine_output_of(block), size);
    tls_pair_disconnect(&pair);
    return size;
}

/* Puts the message of @inner into the last extension of @hello. Returns where
 * it begins. */
static size_t ticket_nest(uint8_t *hello, size_t *size, const uint8_t *inner,
                          size_t inner_size)
{
    const size_t added = inner_size - TICKET_RECORD_HEADER;
    size_t at = TICKET_RECORD_HEADER + 4 + 2 + 32;
    at += 1 + hello[at];
    at += 2 + ticket_get(hello + at, 2);
    at += 1 + hello[at];
    ticket_put(hello + 3, ticket_get(hello + 3, 2) + 4 + added, 2);
    ticket_put(hello + 6, ticket_get(hello + 6, 3) + 4 + added, 3);
    ticket_put(hello + at, ticket_get(hello + at, 2) + 4 + added, 2);
    ticket_put(hello + *size, TICKET_STRANGE, 2);
    ticket_put(hello + *size + 2, added, 2);
    memcpy(hello + *size + 4, inner + TICKET_RECORD_HEADER, added);
    const size_t begin = *size + 4;
    *size += 4 + added;
    return begin;
}

static bool ticket_shows(weir_tls_context *client, weir_tls_context *server,
                         const uint8_t *hello, size_t size, size_t cut)
{
    const struct wr_tls_peer_options how = {.server_hostname = "localhost"};
    tls_pair_open(&pair, client, server, &how);
    wr_tls_engine_feed(&pair.server.engine, hello, cut);
    expect_eq(wr_tls_engine_handshake(&pair.server.engine), -EAGAIN);
    wr_tls_engine_feed(&pair.server.engine, hello + cut, size - cut);
    expect_eq(wr_tls_engine_handshake(&pair.server.engine), -EAGAIN);
    const struct wr_tls_conn *conn = &pair.server.engine.conn;
    const bool is_resumed = conn->backend->was_resumed(conn);
    tls_pair_disconnect(&pair);
    return is_resumed;
}

/* The end of a record is not a record, whatever it looks like. */
UNIT(tls_context_ticket, a_hello_in_a_hello_does_not_say_its_name)
{
    static uint8_t outer[2 * TICKET_HELLO_MAX + 4];
    static uint8_t inner[TICKET_HELLO_MAX];
    weir_tls_context *client = ticket_client(WEIR_TLS_1_2);
    weir_tls_context *server = tls_context_of(true, 0);
    struct wr_tls_known *session = NULL;

    cr_assert(!ticket_connect_to("localhost", client, server, &session));
    cr_assert_not_null(session);
    const size_t inner_size =
        ticket_make_hello(client, server, "localhost", session, inner);
    size_t size =
        ticket_make_hello(client, server, "example.org", session, outer);
    const size_t cut = ticket_nest(outer, &size, inner, inner_size);

    cr_assert(!ticket_shows(client, server, outer, size,
                            TICKET_RECORD_HEADER)); /* a whole body */
    cr_assert(!ticket_shows(client, server, outer, size, cut));
    wr_tls_backend_get()->session_free(session);
    tls_contexts_unref(client, server);
}

/* Only the client's key share in the secret, or a session that is not resumed,
 * keeps old traffic secret when a ticket key becomes known. */
UNIT(tls_context_ticket, a_session_is_not_resumed_without_a_new_secret)
{
    weir_tls_context *client = ticket_client(WEIR_TLS_1_3);
    weir_tls_context *server = tls_context_of(true, 0);
    struct wr_tls_known *session = NULL;

    cr_assert(!ticket_connect(client, server, &session));
    cr_assert_not_null(session);
    const struct wr_tls_peer_options how = {.server_hostname = "localhost",
                                            .no_hostname_check = true,
                                            .session = session};
    tls_pair_open(&pair, client, server, &how);
    if (!tls_inner_drop_new_secret(&pair.client.engine.conn)) {
        cr_skip_test(
            "clients of this library offer no other way; runs with wolfSSL");
    }
    wr_ignore(wr_tls_engine_handshake(&pair.client.engine));
    tls_pair_exchange(&pair, 0);
    cr_assert(!wr_tls_engine_was_resumed(&pair.server.engine));
    tls_pair_disconnect(&pair);
    wr_tls_backend_get()->session_free(session);
    tls_contexts_unref(client, server);
}
