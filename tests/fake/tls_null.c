/*
 * Handshakes of the backend without cryptography, and its table; see
 * tls_null.h.
 *
 * Each message that may come next is a bit of ->wants, and has a function that
 * reads it; the last one of a flight is answered by the next flight. A proof is
 * a sum of all messages before it.
 */
#include "tests/fake/tls_null_impl.h"

#include "lib/base/hello.h"
#include "lib/x509/certificate.h"
#include "uring/alloc.h"
#include "uring/check.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <weir/error.h>

/* ---- the server's choices ---- */

/* Finds an extension of a hello behind its header. */
static bool find_extension(struct wr_bytes body, bool of_client, uint16_t type,
                           struct wr_bytes *ret)
{
    struct wr_bytes part;
    struct wr_bytes all;
    uint16_t one;

    if (!wr_bytes_take(&body, 34, &part) ||
        !wr_bytes_take_vector(&body, 1, &part) ||
        !(of_client ? wr_bytes_take_vector(&body, 2, &part) &&
                          wr_bytes_take_vector(&body, 1, &part)
                    : wr_bytes_take(&body, 3, &part)) ||
        !wr_bytes_take_vector(&body, 2, &all)) {
        return false;
    }
    while (wr_bytes_take_u16(&all, &one) &&
           wr_bytes_take_vector(&all, 2, ret)) {
        if (one == type) {
            return true;
        }
    }
    return false;
}

static bool has_number(struct wr_bytes list, uint16_t number)
{
    uint16_t one;

    while (wr_bytes_take_u16(&list, &one)) {
        if (one == number) {
            return true;
        }
    }
    return false;
}

static bool offers_newest(struct wr_bytes body)
{
    struct wr_bytes list;

    return body.data && wr_bytes_take_vector(&body, 1, &list) &&
           has_number(list, WR_TLS_VERSION_1_3);
}

static bool fits(const struct null_own *own, uint16_t suite)
{
    const bool is_13 = suite >> 8 == 0x13;

    return is_13 == (own->version == WR_TLS_VERSION_1_3) &&
           (is_13 || null_is_rsa_suite(suite) ==
                         (own->credential->kind == WR_X509_KEY_RSA));
}

static bool choose_suite(struct null_own *own, struct wr_bytes offered)
{
    for (size_t i = 0; i < NULL_SUITES && own->suites[i]; i++) {
        if (fits(own, own->suites[i]) && has_number(offered, own->suites[i])) {
            own->suite = own->suites[i];
            return true;
        }
    }
    return false;
}

/* False: the server has none that the client offers, which offers some. */
static bool choose_protocol(struct null_own *own, struct wr_bytes offered)
{
    struct wr_bytes list;
    const struct wr_bytes name = {.data = (const uint8_t *)own->protocols,
                                  .size = own->protocols_len};

    if (!own->protocols || !offered.data) {
        return true;
    }
    if (!wr_bytes_take_vector(&offered, 2, &list) ||
        !wr_bytes_list_has(list, name)) {
        return false;
    }
    own->protocol_len = name.size;
    memcpy(own->protocol, name.data, name.size);
    return true;
}

/* Opens a ticket, and looks whether the client knows its secret. */
static bool open_ticket(struct wr_tls_conn *conn, struct wr_bytes ticket,
                        struct wr_bytes binder)
{
    struct null_own *own = null_own_of(conn);
    uint8_t bytes[NULL_TICKET_FRONT + NULL_TICKET_DATA];
    uint8_t *data = bytes + NULL_TICKET_FRONT;
    uint8_t proof[NULL_PROOF];

    if (ticket.size != sizeof(bytes)) {
        return false;
    }
    memcpy(bytes, ticket.data, sizeof(bytes));
    const struct wr_tls_ticket parts = {.name = bytes,
                                        .iv = bytes + WR_TLS_TICKET_NAME,
                                        .tag = bytes + WR_TLS_TICKET_NAME +
                                               WR_TLS_TICKET_IV,
                                        .data = data,
                                        .size = NULL_TICKET_DATA};
    if (!conn->events->ticket_open(conn, &parts)) {
        return false;
    }
    null_fill(null_sum(0, data, NULL_SECRET), proof, sizeof(proof));
    return binder.size == sizeof(proof) &&
           memcmp(binder.data, proof, sizeof(proof)) == 0 &&
           own->suite == (data[NULL_SECRET] << 8 | data[NULL_SECRET + 1]) &&
           data[NULL_TICKET_CLIENT] == own->verifies &&
           (!own->verifies ||
            conn->events->ticket_known(conn, data + NULL_TICKET_CLIENT + 1));
}

static void resume(struct wr_tls_conn *conn, struct wr_bytes body)
{
    struct null_own *own = null_own_of(conn);
    struct wr_bytes extension;
    struct wr_bytes tickets;
    struct wr_bytes ticket;
    struct wr_bytes age;
    struct wr_bytes binders;
    struct wr_bytes binder;

    if (own->shared->settings.has_tickets &&
        own->version == WR_TLS_VERSION_1_3 &&
        find_extension(body, true, NULL_EXTENSION_SHARED_KEY, &extension) &&
        wr_bytes_take_vector(&extension, 2, &tickets) &&
        wr_bytes_take_vector(&extension, 2, &binders) &&
        wr_bytes_take_vector(&tickets, 2, &ticket) &&
        wr_bytes_take(&tickets, 4, &age) &&
        wr_bytes_take_vector(&binders, 1, &binder)) {
        own->is_resumed = open_ticket(conn, ticket, binder);
    }
}

/* ---- messages: 0, or a result of null_fail() ---- */

static int malformed(struct wr_tls_conn *conn)
{
    return null_fail(conn, NULL_MALFORMED, WEIR_ETLSPROTOCOL);
}

/* A step that could not send all: its code was set, or there is no memory. */
static int give_up(struct wr_tls_conn *conn)
{
    wr_assert(conn->lacks_memory || conn->code < 0);
    conn->code = conn->lacks_memory ? -ENOMEM : conn->code;
    return WR_TLS_STEP_FAILED;
}

/* A key that cannot sign leaves the alert to weir, if it may. */
static int fail_to_send(struct wr_tls_conn *conn)
{
    return conn->code == WEIR_ETLSSIGN &&
                   (conn->backend->does & WR_TLS_DOES_ALERT)
               ? null_fail(conn, NULL_INTERNAL, WEIR_ETLSSIGN)
               : give_up(conn);
}

static int take_client_hello(struct wr_tls_conn *conn, struct wr_bytes body)
{
    struct null_own *own = null_own_of(conn);
    const struct wr_tls_settings *settings = &own->shared->settings;
    struct wr_tls_hello hello;
    struct wr_bytes random;
    struct wr_bytes session;

    if (!wr_tls_hello_read(body.data - 4, body.size + 4, true, &hello)) {
        return malformed(conn);
    }
    struct wr_bytes front = body;
    if (!wr_bytes_take(&front, 2, &random) ||
        !wr_bytes_take(&front, 32, &random) ||
        !wr_bytes_take_vector(&front, 1, &session) || session.size > 32) {
        return malformed(conn);
    }
    memcpy(own->randoms[0], random.data, random.size);
    memcpy(own->session, session.data, session.size);
    own->session_size = session.size;
    memcpy(own->name, hello.name.data ? hello.name.data : (const uint8_t *)"",
           hello.name.size);
    own->version = settings->has_1_3 && offers_newest(hello.versions)
                       ? WR_TLS_VERSION_1_3
                       : WR_TLS_VERSION_1_2;
    if (own->version == WR_TLS_VERSION_1_2 && !settings->has_1_2) {
        return null_fail(conn, NULL_VERSION, WEIR_ETLSVERSION);
    }
    if (!choose_suite(own, hello.suites)) {
        return null_fail(conn, NULL_REFUSED, WEIR_ETLSCIPHER);
    }
    if (!choose_protocol(own, hello.protocols)) {
        return null_fail(conn, NULL_NO_PROTOCOL, WEIR_ETLSALPN);
    }
    resume(conn, body);
    return null_send_server_flight(conn, hello.has_extended_secret)
               ? 0
               : fail_to_send(conn);
}

static int take_protocol(struct wr_tls_conn *conn, struct wr_bytes name)
{
    struct null_own *own = null_own_of(conn);
    const char *at = own->protocols ? own->protocols : "";

    while (*at && name.size > 0) {
        const size_t len = strcspn(at, ",");
        if (len == name.size && memcmp(at, name.data, len) == 0) {
            memcpy(own->protocol, at, len);
            own->protocol_len = len;
            return 0;
        }
        at += len + (at[len] == ',');
    }
    return name.size == 0 ? 0 : null_fail(conn, NULL_ILLEGAL, WEIR_ETLSALPN);
}

static int take_server_hello_13(struct wr_tls_conn *conn, struct wr_bytes body)
{
    struct null_own *own = null_own_of(conn);
    struct wr_bytes extension;

    own->is_resumed =
        find_extension(body, false, NULL_EXTENSION_SHARED_KEY, &extension);
    own->wants = 1u << TLS_NULL_EXTENSIONS;
    return null_change_secret(conn, WR_TLS_SECRET_CLIENT_HANDSHAKE,
                              &own->out) &&
                   null_change_secret(conn, WR_TLS_SECRET_SERVER_HANDSHAKE,
                                      &own->in)
               ? 0
               : give_up(conn);
}

static int take_server_hello(struct wr_tls_conn *conn, struct wr_bytes body)
{
    struct null_own *own = null_own_of(conn);
    const struct wr_bytes whole = body;
    struct wr_bytes part;
    struct wr_bytes list;
    struct wr_bytes name = {.data = NULL};
    bool is_offered = false;

    if (!wr_bytes_take(&body, 2, &part) || !wr_bytes_take(&body, 32, &part)) {
        return malformed(conn);
    }
    memcpy(own->randoms[1], part.data, part.size);
    if (!wr_bytes_take_vector(&body, 1, &part) ||
        !wr_bytes_take_u16(&body, &own->suite)) {
        return malformed(conn);
    }
    for (size_t i = 0; i < NULL_SUITES; i++) {
        is_offered |= own->suites[i] == own->suite;
    }
    if (!is_offered) {
        return null_fail(conn, NULL_ILLEGAL, WEIR_ETLSCIPHER);
    }
    if (own->suite >> 8 == 0x13) {
        own->version = WR_TLS_VERSION_1_3;
        return take_server_hello_13(conn, whole);
    }
    own->version = WR_TLS_VERSION_1_2;
    if (!own->shared->settings.has_1_2) {
        return null_fail(conn, NULL_VERSION, WEIR_ETLSVERSION);
    }
    own->wants = 1u << TLS_NULL_CERTIFICATE;
    if (find_extension(whole, false, NULL_EXTENSION_PROTOCOLS, &part) &&
        !(wr_bytes_take_vector(&part, 2, &list) &&
          wr_bytes_take_vector(&list, 1, &name))) {
        return malformed(conn);
    }
    return take_protocol(conn, name);
}

static int take_extensions(struct wr_tls_conn *conn, struct wr_bytes body)
{
    struct null_own *own = null_own_of(conn);
    struct wr_bytes name;

    own->wants = own->is_resumed
                     ? 1u << TLS_NULL_FINISHED
                     : 1u << TLS_NULL_REQUEST | 1u << TLS_NULL_CERTIFICATE;
    return wr_bytes_take_vector(&body, 1, &name) && body.size == 0
               ? take_protocol(conn, name)
               : malformed(conn);
}

static int take_request(struct wr_tls_conn *conn, struct wr_bytes body)
{
    struct null_own *own = null_own_of(conn);

    own->is_asked = true;
    own->wants =
        1u << (own->version == WR_TLS_VERSION_1_3 ? TLS_NULL_CERTIFICATE
                                                  : TLS_NULL_DONE);
    return body.size == 4 ? 0 : malformed(conn);
}

/* Keeps the key of the peer's leaf, by which it signs. */
static int keep_leaf(struct wr_tls_conn *conn, struct wr_bytes der)
{
    struct null_own *own = null_own_of(conn);
    struct wr_x509 leaf;

    if (wr_x509_read(&leaf, der.data, der.size) < 0) {
        return null_fail(conn, NULL_BAD_CERTIFICATE, WEIR_ETLSBADCERT);
    }
    if (leaf.key.kind == WR_X509_KEY_EDWARDS) {
        const uint8_t alert =
            own->verifies ? conn->events->refused(conn, WEIR_ETLSBADCERT,
                                                  "The peer's key is of "
                                                  "another kind")
                          : NULL_BAD_CERTIFICATE;
        return null_fail(conn, alert, WEIR_ETLSBADCERT);
    }
    uint8_t *copy = malloc(leaf.key_info.size);
    if (!copy) {
        conn->lacks_memory = true;
        return null_fail(conn, NULL_INTERNAL, -ENOMEM);
    }
    memcpy(copy, leaf.key_info.data, leaf.key_info.size);
    own->leaf = (struct wr_bytes){.data = copy, .size = leaf.key_info.size};
    return 0;
}

static int judge(struct wr_tls_conn *conn, const struct wr_bytes *certs,
                 size_t count)
{
    struct null_own *own = null_own_of(conn);
    const bool is_13 = own->version == WR_TLS_VERSION_1_3;
    uint8_t alert = 0;

    if (count == 0 && (!conn->is_server || own->demands)) {
        return null_fail(conn, is_13 ? NULL_NO_CERTIFICATE : NULL_REFUSED,
                         WEIR_ETLSNOCERT);
    }
    if (own->verifies && !tls_null_orders.is_unjudged &&
        !conn->events->chain(conn, certs, count, &alert)) {
        return null_fail(conn, alert ? alert : NULL_BAD_CERTIFICATE,
                         WEIR_ETLSBADCERT);
    }
    return count > 0 ? keep_leaf(conn, certs[0]) : 0;
}

static int take_certificate(struct wr_tls_conn *conn, struct wr_bytes body)
{
    struct null_own *own = null_own_of(conn);
    const bool is_13 = own->version == WR_TLS_VERSION_1_3;
    struct wr_bytes certs[2 * NULL_CERTIFICATES];
    struct wr_bytes list;
    struct wr_bytes more;
    size_t count = 0;

    if ((is_13 && !wr_bytes_take_vector(&body, 1, &more)) ||
        !wr_bytes_take_vector(&body, 3, &list) || body.size > 0) {
        return malformed(conn);
    }
    while (list.size > 0) {
        if (count == sizeof(certs) / sizeof(*certs) ||
            !wr_bytes_take_vector(&list, 3, &certs[count++]) ||
            (is_13 && !wr_bytes_take_vector(&list, 2, &more))) {
            return malformed(conn);
        }
    }
    own->wants =
        1u << (conn->is_server ? is_13 ? TLS_NULL_FINISHED : TLS_NULL_CLIENT_KEY
               : is_13         ? TLS_NULL_VERIFY
                               : TLS_NULL_SERVER_KEY);
    if (is_13 && count > 0) {
        own->wants = 1u << TLS_NULL_VERIFY;
    }
    return judge(conn, certs, count);
}

static int take_server_key(struct wr_tls_conn *conn, struct wr_bytes body)
{
    struct null_own *own = null_own_of(conn);
    struct wr_bytes point;

    own->wants = 1u << TLS_NULL_REQUEST | 1u << TLS_NULL_DONE;
    if (!wr_bytes_take(&body, 3, &point) ||
        !wr_bytes_take_vector(&body, 1, &point)) {
        return malformed(conn);
    }
    return null_is_signature(own, body)
               ? 0
               : null_fail(conn, NULL_DECRYPT, WEIR_ETLSPROTOCOL);
}

static int take_client_key(struct wr_tls_conn *conn, struct wr_bytes body)
{
    struct null_own *own = null_own_of(conn);
    struct wr_bytes point;

    own->wants = 1u << (own->leaf.size > 0 ? TLS_NULL_VERIFY : TLS_NULL_CHANGE);
    return wr_bytes_take_vector(&body, 1, &point) && body.size == 0
               ? 0
               : malformed(conn);
}

static int take_verify(struct wr_tls_conn *conn, struct wr_bytes body)
{
    struct null_own *own = null_own_of(conn);

    own->wants = 1u << (own->version == WR_TLS_VERSION_1_3 ? TLS_NULL_FINISHED
                                                           : TLS_NULL_CHANGE);
    return null_is_signature(own, body)
               ? 0
               : null_fail(conn, NULL_DECRYPT, WEIR_ETLSPROTOCOL);
}

static int take_done(struct wr_tls_conn *conn, struct wr_bytes body)
{
    null_own_of(conn)->wants = 1u << TLS_NULL_CHANGE;
    if (body.size > 0) {
        return malformed(conn);
    }
    return null_send_last_flight(conn) ? 0 : fail_to_send(conn);
}

static int take_finished(struct wr_tls_conn *conn, struct wr_bytes body)
{
    struct null_own *own = null_own_of(conn);
    const bool is_13 = own->version == WR_TLS_VERSION_1_3;

    own->wants = is_13 ? 1u << TLS_NULL_UPDATE | (unsigned)!conn->is_server
                                                     << TLS_NULL_TICKET
                       : 0;
    if ((is_13 || conn->is_server) && !null_send_last_flight(conn)) {
        return fail_to_send(conn);
    }
    own->is_open = true;
    return 0;
}

static int take_ticket(struct wr_tls_conn *conn, struct wr_bytes body)
{
    struct null_own *own = null_own_of(conn);
    struct wr_tls_known *known = &own->known;
    struct wr_bytes ticket;

    if (!wr_bytes_take(&body, 9, &ticket) ||
        !wr_bytes_take_vector(&body, 2, &ticket) || body.size != 2 ||
        ticket.size == 0 || ticket.size > sizeof(known->ticket)) {
        return malformed(conn);
    }
    memcpy(known->ticket, ticket.data, ticket.size);
    known->size = ticket.size;
    known->suite = own->suite;
    null_derive(own, "resumption", known->secret, NULL_SECRET);
    conn->events->ticket_came(conn, ticket.size);
    return 0;
}

static int take_update(struct wr_tls_conn *conn, struct wr_bytes body)
{
    struct null_own *own = null_own_of(conn);
    const struct wr_bytes secret = {own->in.secret, own->in.secret_size};
    uint8_t next[NULL_SECRET];

    if (body.size != 1 || body.data[0] > 1 || own->plain_left > 0) {
        return malformed(conn);
    }
    wr_null_expand(WR_X509_HASH_SHA256, secret, "traffic upd", next,
                   secret.size);
    null_use(own, &own->in, next, secret.size);
    return body.data[0] == 0 || null_send_update(conn, false) ? 0
                                                              : give_up(conn);
}

typedef int take_fn(struct wr_tls_conn *conn, struct wr_bytes body);

static take_fn *const takers[TLS_NULL_MESSAGES + 1] = {
    [TLS_NULL_CLIENT_HELLO] = take_client_hello,
    [TLS_NULL_SERVER_HELLO] = take_server_hello,
    [TLS_NULL_TICKET] = take_ticket,
    [TLS_NULL_EXTENSIONS] = take_extensions,
    [TLS_NULL_CERTIFICATE] = take_certificate,
    [TLS_NULL_SERVER_KEY] = take_server_key,
    [TLS_NULL_REQUEST] = take_request,
    [TLS_NULL_DONE] = take_done,
    [TLS_NULL_VERIFY] = take_verify,
    [TLS_NULL_CLIENT_KEY] = take_client_key,
    [TLS_NULL_FINISHED] = take_finished,
    [TLS_NULL_UPDATE] = take_update,
};

static int take_message(struct wr_tls_conn *conn, uint8_t type,
                        struct wr_bytes body)
{
    struct null_own *own = null_own_of(conn);
    const struct wr_bytes none = {.data = NULL};

    if (type >= TLS_NULL_MESSAGES || !takers[type] ||
        !(own->wants >> type & 1)) {
        return null_fail(conn, NULL_UNEXPECTED, WEIR_ETLSPROTOCOL);
    }
    if (type == TLS_NULL_FINISHED &&
        !null_is_proof(own, conn->is_server ? "client" : "server", none,
                       body)) {
        return null_fail(conn, NULL_DECRYPT, WEIR_ETLSPROTOCOL);
    }
    const uint64_t signed_sum = own->transcript;
    const uint64_t sum = null_sum(signed_sum, body.data - 4, body.size + 4);
    /* A flight behind a message proves the message as well; a signature does
     * not sign itself. */
    const bool signs_itself =
        type == TLS_NULL_VERIFY || type == TLS_NULL_SERVER_KEY;
    own->transcript = signs_itself ? signed_sum : sum;
    const int ret = takers[type](conn, body);
    if (signs_itself) {
        own->transcript = sum;
    }
    return ret;
}

int null_take_messages(struct wr_tls_conn *conn)
{
    struct null_own *own = null_own_of(conn);

    while (own->plain_left > 0) {
        struct wr_bytes from = {own->body + own->plain_at, own->plain_left};
        const size_t before = from.size;
        struct wr_bytes body;
        size_t type;
        if (!wr_bytes_take_number(&from, 1, &type) ||
            !wr_bytes_take_vector(&from, 3, &body)) {
            return malformed(conn);
        }
        own->plain_at += before - from.size;
        own->plain_left = from.size;
        const int ret = take_message(conn, (uint8_t)type, body);
        if (ret < 0) {
            return ret;
        }
    }
    return 0;
}

/* A change_cipher_spec: with TLS 1.3 it says nothing. */
static int take_change(struct wr_tls_conn *conn)
{
    struct null_own *own = null_own_of(conn);
    const bool is_good = own->plain_left == 1 &&
                         own->body[own->plain_at] == 1 &&
                         (own->version == WR_TLS_VERSION_1_3 ||
                          (own->wants >> TLS_NULL_CHANGE & 1));

    own->plain_left = 0;
    if (!is_good) {
        return null_fail(conn, NULL_UNEXPECTED, WEIR_ETLSPROTOCOL);
    }
    if (own->version != WR_TLS_VERSION_1_3) {
        null_use_master(own, &own->in, !conn->is_server);
        own->wants = 1u << TLS_NULL_FINISHED;
    }
    return 0;
}

/* ---- the life of a connection ---- */

int wr_null_open(struct wr_tls_conn *conn, const struct wr_tls_peer *peer)
{
    static _Thread_local uint64_t count;
    const struct wr_tls_shared *shared = peer->shared;
    struct null_own *own = wr_alloc(conn->account->allocator, sizeof(*own));

    if (!own) {
        return -ENOMEM;
    }
    *own = (struct null_own){
        .shared = shared,
        .credential = peer->credential,
        .verifies = peer->verifies,
        .demands = peer->demands_certificate,
        .tells_secrets = peer->logs_keys,
        .version =
            shared->settings.has_1_3 ? WR_TLS_VERSION_1_3 : WR_TLS_VERSION_1_2,
        .alert_received = -1,
        .alert_sent = -1,
        .protocols = peer->protocols,
        .wants = conn->is_server ? 1u << TLS_NULL_CLIENT_HELLO : 0,
    };
    memcpy(own->suites, shared->suites, sizeof(own->suites));
    if (peer->name) {
        memcpy(own->name, peer->name,
               strnlen(peer->name, sizeof(own->name) - 1));
    }
    if (peer->session) {
        own->known = *peer->session;
    }
    count++;
    null_fill(null_sum(null_sum(0, &count, sizeof(count)), &own, sizeof(own)),
              own->randoms[conn->is_server], 32);
    conn->own = own;
    conn->ssl = own;
    return 0;
}

static void drop_body(struct wr_tls_conn *conn)
{
    struct null_own *own = null_own_of(conn);

    wr_free(conn->account->allocator, own->body, own->body ? NULL_BODY : 0);
    own->body = NULL;
}

void wr_null_close(struct wr_tls_conn *conn)
{
    struct null_own *own = null_own_of(conn);

    drop_body(conn);
    free((void *)(uintptr_t)own->leaf.data);
    wr_free(conn->account->allocator, own, sizeof(*own));
    conn->ssl = NULL;
    conn->own = NULL;
}

static void null_rest(struct wr_tls_conn *conn)
{
    const struct null_own *own = null_own_of(conn);

    wr_assert(own->header_fill == 0 || own->alert_sent >= 0 || own->lacks);
    if (own->header_fill == 0 && own->plain_left == 0) {
        drop_body(conn);
    }
}

int wr_null_handshake(struct wr_tls_conn *conn)
{
    struct null_own *own = null_own_of(conn);
    int ret = 0;

    if (own->wants == 0 && !null_send_client_hello(conn)) {
        return give_up(conn);
    }
    while (ret == 0 && !own->is_open) {
        ret = null_take_record(conn);
        if (ret == NULL_HANDSHAKE) {
            ret = null_take_messages(conn);
        } else if (ret == NULL_CHANGE) {
            ret = take_change(conn);
        } else if (ret > 0) {
            ret = null_fail(conn, NULL_UNEXPECTED, WEIR_ETLSPROTOCOL);
        }
    }
    return ret;
}

int wr_null_show(struct wr_tls_conn *conn, struct wr_tls_credential *credential,
                 const char *suites)
{
    struct null_own *own = null_own_of(conn);

    own->credential = credential;
    return !suites || null_read_suites(suites, own->suites) ? 0
                                                            : WEIR_ETLSCIPHER;
}

int wr_null_choose_protocol(struct wr_tls_conn *conn, const char *name,
                            size_t len)
{
    struct null_own *own = null_own_of(conn);

    own->protocols = name;
    own->protocols_len = len;
    return 0;
}

static void null_hear_secrets(struct wr_tls_conn *conn)
{
    null_own_of(conn)->tells_secrets = true;
}

/* ---- facts ---- */

uint16_t wr_null_get_version(const struct wr_tls_conn *conn)
{
    return null_own_of(conn)->version;
}

uint16_t wr_null_get_suite(const struct wr_tls_conn *conn)
{
    return null_own_of(conn)->suite;
}

uint16_t wr_null_get_group(const struct wr_tls_conn *conn)
{
    return null_own_of(conn)->suite != 0 ? NULL_GROUP : 0;
}

bool wr_null_was_resumed(const struct wr_tls_conn *conn)
{
    return null_own_of(conn)->is_resumed;
}

const char *wr_null_get_protocol(const struct wr_tls_conn *conn,
                                 size_t *ret_len)
{
    const struct null_own *own = null_own_of(conn);

    *ret_len = own->protocol_len;
    return own->protocol_len > 0 ? own->protocol : NULL;
}

const char *wr_null_get_name(const struct wr_tls_conn *conn)
{
    const struct null_own *own = null_own_of(conn);

    return own->name[0] ? own->name : NULL;
}

void wr_null_get_alerts(const struct wr_tls_conn *conn, int *ret_received,
                        int *ret_sent)
{
    *ret_received = null_own_of(conn)->alert_received;
    *ret_sent = null_own_of(conn)->alert_sent;
}

bool wr_null_get_client_random(const struct wr_tls_conn *conn, uint8_t ret[32])
{
    memcpy(ret, null_own_of(conn)->randoms[0], 32);
    return null_own_of(conn)->suite != 0;
}

int wr_null_export_keys(struct wr_tls_conn *conn,
                        const struct wr_tls_export *job)
{
    static const char *const reserved[] = {
        "client finished", "server finished", "master secret",
        "extended master secret", "key expansion"};
    const struct null_own *own = null_own_of(conn);
    uint8_t secret[32];

    for (size_t i = 0; i < sizeof(reserved) / sizeof(*reserved); i++) {
        if (strcmp(job->label, reserved[i]) == 0) {
            return -EINVAL;
        }
    }
    null_derive(own, job->label, secret, sizeof(secret));
    null_fill(null_sum(null_sum(0, secret, sizeof(secret)), job->context,
                       job->context_size),
              job->out, job->size);
    return 0;
}

const char *wr_null_text_of(int number)
{
    return number > 0 ? "The test's library refuses it" : "It has failed";
}

/* ---- the table ---- */

static int null_start(void)
{
    return 0;
}

static const char *null_version(void)
{
    return "0";
}

static void null_account_init(struct wr_tls_account *account,
                              struct wr_blocks *blocks)
{
    *(struct null_account *)(void *)account = (struct null_account){
        .account = {.allocator = blocks->allocator, .blocks = blocks}};
}

static void null_account_check(const struct wr_tls_account *account)
{
    const struct null_account *own = (const void *)account;

    wr_assert(account->blocks && !own->sealing && !own->claimed);
}

static void null_account_fini(struct wr_tls_account *account)
{
    null_account_check(account);
    account->blocks = NULL;
}

static bool null_claim(struct wr_tls_account *account, const void *data)
{
    struct null_account *own = (void *)account;

    if (!own->sealing || own->sealing->data + WR_TLS_OUTPUT_OFFSET != data) {
        return false;
    }
    own->claimed = own->sealing;
    return true;
}

static struct wr_block *null_take_claimed(struct wr_tls_account *account)
{
    struct null_account *own = (void *)account;
    struct wr_block *block = own->claimed;

    own->claimed = NULL;
    return block;
}

struct wr_tls_backend wr_tls_null = {
    .name = "null",
    .does = WR_TLS_DOES_SECRETS | WR_TLS_DOES_FAST_AES,
    .account_size = sizeof(struct null_account),
    .start = null_start,
    .version = null_version,
    .account_init = null_account_init,
    .account_fini = null_account_fini,
    .account_check = null_account_check,
    .claim = null_claim,
    .take_claimed = null_take_claimed,
    .rest = null_rest,
    .hear_secrets = null_hear_secrets,
    WR_TLS_BACKEND_ENTRIES(WR_TLS_BACKEND_NAME, null)};
