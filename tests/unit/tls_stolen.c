/*
 * Tickets of other clients, which are visible on the wire, next to a client's
 * own: the client never gets another one's identity.
 *
 * A ticket is accepted, and then the library resumes the session of another
 * one, or none. Here a library's calls come in any order.
 */
#include "lib/tls/context/context_impl.h"
#include "tests/tls/rig.h"

static struct tls_pair pair;

static weir_tls_context *stolen_by(const char *name)
{
    struct weir_tls_options options = tls_options(false);
    if (name) {
        options.certificate.file = tls_file("%s.pem", name);
        options.key.file = tls_file("%s.key", name);
    }
    return tls_context(&options);
}

static weir_tls_context *stolen_server(void)
{
    struct weir_tls_options options = tls_options(true);
    options.client_auth = WEIR_TLS_CLIENT_AUTH_OPTIONAL;
    options.authorities.file = tls_file("ca.pem");
    return tls_context(&options);
}

/* Engines of a server, with records of clients in its tickets. */
struct stolen_notes {
    weir_tls_context *server;
    uint8_t rsa[WR_TLS_TICKET_CLIENT];
    uint8_t ecdsa[WR_TLS_TICKET_CLIENT];
    uint8_t none[WR_TLS_TICKET_CLIENT];
};

/* Opens a ticket of this client. Returns true if it is accepted. */
static bool stolen_known(struct wr_tls_conn *conn,
                         const uint8_t client[WR_TLS_TICKET_CLIENT])
{
    cr_assert(conn->is_server);
    return conn->events->ticket_known(conn, client);
}

static void stolen_fill(struct stolen_notes *notes, const char *name,
                        uint8_t ret[WR_TLS_TICKET_CLIENT])
{
    const struct wr_tls_peer_options how = {.server_hostname = "localhost"};
    weir_tls_context *client = stolen_by(name);

    tls_pair_connect(&pair, client, notes->server, &how);
    tls_pair_expect(&pair, 0, 0);
    struct wr_tls_conn *conn = &pair.server.engine.conn;
    expect_eq(conn->events->ticket_client(conn, ret), 0);
    tls_pair_disconnect(&pair);
    weir_tls_context_unref(client);
}

static void stolen_begin(struct stolen_notes *notes)
{
    notes->server = stolen_server();
    stolen_fill(notes, "rsa", notes->rsa);
    stolen_fill(notes, "ecdsa", notes->ecdsa);
    stolen_fill(notes, NULL, notes->none);
}

/* A hello is being read: nothing is known of the client. */
static struct wr_tls_conn *stolen_hello(const struct stolen_notes *notes)
{
    const struct wr_tls_peer_options how = {.server_hostname = "localhost"};
    weir_tls_context *client = stolen_by("rsa");

    tls_pair_open(&pair, client, notes->server, &how);
    weir_tls_context_unref(client);
    return &pair.server.engine.conn;
}

UNIT(tls_stolen, all_tickets_that_are_taken_are_of_the_first_client)
{
    struct stolen_notes notes;
    stolen_begin(&notes);
    const uint8_t *clients[] = {notes.rsa, notes.ecdsa, notes.none};

    for (int i = 0; i < 3; i++) {
        struct wr_tls_conn *conn = stolen_hello(&notes);
        cr_assert(stolen_known(conn, clients[i]));
        for (int j = 0; j < 12; j++) { /* far more than are tried */
            expect_eq(stolen_known(conn, clients[j % 3]), j % 3 == i);
        }
        tls_pair_disconnect(&pair);
    }
    weir_tls_context_unref(notes.server);
}

UNIT(tls_stolen, four_tickets_of_a_handshake_are_judged)
{
    for (int bad = 0; bad <= 5; bad++) {
        struct stolen_notes notes;
        stolen_begin(&notes);
        uint8_t unknown[WR_TLS_TICKET_CLIENT];
        struct wr_tls_conn *conn = stolen_hello(&notes);

        memcpy(unknown, notes.rsa, sizeof(unknown));
        unknown[WR_TLS_TICKET_CLIENT - 1] ^= 1;
        for (int i = 0; i < bad; i++) {
            cr_assert_not(stolen_known(conn, unknown));
        }
        expect_eq(stolen_known(conn, notes.ecdsa), bad < 4);
        tls_pair_disconnect(&pair);
        weir_tls_context_unref(notes.server);
    }
}

/* A ticket was accepted, and a full handshake follows: the client is known by
 * the certificate that it sends now. */
static void stolen_show(const char *name)
{
    struct stolen_notes notes;
    uint8_t fresh[WR_TLS_TICKET_CLIENT];
    stolen_begin(&notes);
    weir_tls_context *client = stolen_by(name);
    const struct wr_tls_peer_options how = {.server_hostname = "localhost"};
    const uint8_t *digest = name ? notes.ecdsa : notes.none;
    size_t size = 0;

    tls_pair_open(&pair, client, notes.server, &how);
    struct wr_tls_conn *conn = &pair.server.engine.conn;
    cr_assert(stolen_known(conn, notes.rsa));
    tls_side_step(&pair.client);
    tls_pair_exchange(&pair, 0);
    tls_pair_expect(&pair, 0, 0);
    const uint8_t *der =
        wr_tls_engine_get_peer_certificate(&pair.server.engine, 0, &size);
    expect_eq(der != NULL, name != NULL);
    cr_assert_not(wr_tls_engine_was_resumed(&pair.server.engine));
    expect_eq(conn->events->ticket_client(conn, fresh), 0);
    cr_assert_eq(memcmp(fresh + sizeof(uint32_t), digest + sizeof(uint32_t),
                        WR_TLS_CLIENT_DIGEST),
                 0);
    cr_assert_not(stolen_known(conn, notes.rsa)); /* it has answered */
    tls_pair_disconnect(&pair);
    tls_contexts_unref(client, notes.server);
}

UNIT(tls_stolen, a_client_that_is_asked_is_known_by_its_answer_alone)
{
    stolen_show("ecdsa");
    stolen_show(NULL);
}

/* The records belong to a connection. */
UNIT(tls_stolen, connections_of_a_context_do_not_share_a_client)
{
    static struct tls_pair other;
    struct stolen_notes notes;
    const struct wr_tls_peer_options how = {.server_hostname = "localhost"};
    stolen_begin(&notes);
    weir_tls_context *client = stolen_by(NULL);
    struct wr_tls_conn *conn = stolen_hello(&notes);

    tls_pair_open(&other, client, notes.server, &how);
    cr_assert(stolen_known(conn, notes.rsa));
    cr_assert(stolen_known(&other.server.engine.conn, notes.ecdsa));
    cr_assert_not(stolen_known(conn, notes.ecdsa));
    cr_assert_not(stolen_known(&other.server.engine.conn, notes.rsa));
    tls_pair_disconnect(&other);
    tls_pair_disconnect(&pair);
    tls_contexts_unref(client, notes.server);
}
