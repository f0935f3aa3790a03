/*
 * Messages that the backend without cryptography sends; see tls_null.h.
 *
 * The messages of a flight are written one behind the other, and leave in one
 * record under the keys of that moment. Each goes into the sum of all messages
 * before what a test has ordered is done to it.
 */
#include "tests/fake/tls_null_impl.h"

#include "uring/check.h"

#include <errno.h>
#include <string.h>
#include <weir/error.h>

struct tls_null_orders tls_null_orders;

/* ---- writing ---- */

/* Messages that are sent together. */
struct flight {
    uint8_t data[NULL_CHAIN + (4 << 10)];
    size_t len;
    size_t begin; /* of the present message */
};

static void add(struct flight *to, const void *data, size_t size)
{
    wr_assert(to->len + size <= sizeof(to->data));
    if (size > 0) {
        memcpy(to->data + to->len, data, size);
    }
    to->len += size;
}

static void add_number(struct flight *to, size_t number, size_t width)
{
    while (width-- > 0) {
        add(to, &(uint8_t){(uint8_t)(number >> 8 * width)}, 1);
    }
}

/* Leaves room for a length, and writes it when all behind it was added. */
static size_t begin_vector(struct flight *to, size_t width)
{
    add_number(to, 0, width);
    return to->len;
}

static void end_vector(struct flight *to, size_t at, size_t width)
{
    const size_t len = to->len;

    to->len = at - width;
    add_number(to, len - at, width);
    to->len = len;
}

static void add_vector(struct flight *to, const void *data, size_t size,
                       size_t width)
{
    add_number(to, size, width);
    add(to, data, size);
}

static void begin_message(struct flight *to, enum tls_null_message type)
{
    to->begin = to->len;
    add_number(to, type, 1);
    add_number(to, 0, 3);
}

/* ---- orders ---- */

static bool is_ordered(const struct wr_tls_conn *conn,
                       enum tls_null_message message)
{
    return tls_null_orders.how != TLS_NULL_SENDS &&
           tls_null_orders.by_server == conn->is_server &&
           tls_null_orders.message == message;
}

/* Does to the message what was ordered. False: the side fails by it. */
static bool obey(struct wr_tls_conn *conn, struct flight *to)
{
    static const uint8_t refusal[] = {2, NULL_REFUSED};
    static const uint8_t goodbye[] = {1, NULL_CLOSE_NOTIFY};
    const size_t size = to->len - to->begin;

    tls_null_orders.met++;
    conn->code =
        tls_null_orders.code ? tls_null_orders.code : WEIR_ETLSPROTOCOL;
    switch (tls_null_orders.how) {
    case TLS_NULL_OMITS:
        to->len = to->begin;
        return true;
    case TLS_NULL_DOUBLES:
        add(to, to->data + to->begin, size);
        return true;
    case TLS_NULL_SPOILS:
        to->data[to->len - 1] ^= 1;
        return true;
    case TLS_NULL_CUTS:
        to->len--;
        end_vector(to, to->begin + 4, 3);
        return true;
    case TLS_NULL_ALERTS:
        null_own_of(conn)->alert_sent = NULL_REFUSED;
        wr_ignore(!null_send(conn, NULL_ALERT, refusal, sizeof(refusal)));
        return false;
    case TLS_NULL_CLOSES:
        wr_ignore(!null_send(conn, NULL_ALERT, goodbye, sizeof(goodbye)));
        return false;
    default:
        conn->lacks_memory = conn->code == -ENOMEM;
        return false;
    }
}

static bool end_message(struct wr_tls_conn *conn, struct flight *to)
{
    struct null_own *own = null_own_of(conn);

    end_vector(to, to->begin + 4, 3);
    own->transcript =
        null_sum(own->transcript, to->data + to->begin, to->len - to->begin);
    return !is_ordered(conn, to->data[to->begin]) || obey(conn, to);
}

static bool send_flight(struct wr_tls_conn *conn, struct flight *flight)
{
    const size_t len = flight->len;

    flight->len = 0;
    return len == 0 || null_send(conn, NULL_HANDSHAKE, flight->data, len);
}

/* ---- secrets ---- */

struct secret_row {
    enum wr_tls_secret_kind kind;
    const char *label;
};

static const struct secret_row secret_rows[] = {
    [WR_TLS_SECRET_MASTER] = {WR_TLS_SECRET_MASTER, "master"},
    [WR_TLS_SECRET_CLIENT_HANDSHAKE] = {WR_TLS_SECRET_CLIENT_HANDSHAKE, "c hs"},
    [WR_TLS_SECRET_SERVER_HANDSHAKE] = {WR_TLS_SECRET_SERVER_HANDSHAKE, "s hs"},
    [WR_TLS_SECRET_CLIENT_DATA] = {WR_TLS_SECRET_CLIENT_DATA, "c ap"},
    [WR_TLS_SECRET_SERVER_DATA] = {WR_TLS_SECRET_SERVER_DATA, "s ap"},
    [WR_TLS_SECRET_EXPORTER] = {WR_TLS_SECRET_EXPORTER, "exp"},
};

/* Makes a secret, reports it, and uses it for @keys unless they are NULL. */
bool null_change_secret(struct wr_tls_conn *conn, enum wr_tls_secret_kind kind,
                        struct null_keys *keys)
{
    struct null_own *own = null_own_of(conn);
    const size_t size = kind == WR_TLS_SECRET_MASTER
                            ? NULL_SECRET
                            : null_secret_size(own->suite);
    uint8_t secret[NULL_SECRET];

    null_derive(own, secret_rows[kind].label, secret, size);
    if (own->tells_secrets &&
        conn->events->secret(conn, kind, secret, size) < 0) {
        conn->code = WEIR_ETLSENGINE;
        return false;
    }
    if (keys) {
        null_use(own, keys, secret, size);
    }
    return true;
}

static void use_label(struct null_own *own, struct null_keys *keys,
                      const char *label)
{
    uint8_t secret[32];

    null_derive(own, label, secret, sizeof(secret));
    null_use(own, keys, secret, sizeof(secret));
}

/* TLS 1.2: the keys behind a change_cipher_spec. */
void null_use_master(struct null_own *own, struct null_keys *keys,
                     bool of_server)
{
    use_label(own, keys, of_server ? "s 12" : "c 12");
}

bool null_send_update(struct wr_tls_conn *conn, bool asks)
{
    struct null_own *own = null_own_of(conn);
    struct flight flight = {.len = 0};

    begin_message(&flight, TLS_NULL_UPDATE);
    add_number(&flight, asks, 1);
    if (!end_message(conn, &flight) || !send_flight(conn, &flight)) {
        return false;
    }
    uint8_t next[NULL_SECRET];
    const struct wr_bytes secret = {own->out.secret, own->out.secret_size};
    wr_null_expand(WR_X509_HASH_SHA256, secret, "traffic upd", next,
                   secret.size);
    null_use(own, &own->out, next, secret.size);
    return true;
}

/* ---- proofs ---- */

static void make_proof(const struct null_own *own, const char *label,
                       struct wr_bytes key, uint8_t ret[NULL_PROOF])
{
    const uint64_t sum = null_sum(own->transcript, label, strlen(label));

    null_fill(null_sum(sum, key.data, key.size), ret, NULL_PROOF);
}

bool null_is_proof(const struct null_own *own, const char *label,
                   struct wr_bytes key, struct wr_bytes sent)
{
    uint8_t proof[NULL_PROOF];

    make_proof(own, label, key, proof);
    return sent.size == NULL_PROOF &&
           memcmp(sent.data, proof, sizeof(proof)) == 0;
}

static bool add_finished(struct wr_tls_conn *conn, struct flight *to)
{
    uint8_t proof[NULL_PROOF];
    const struct wr_bytes none = {.data = NULL};

    make_proof(null_own_of(conn), conn->is_server ? "server" : "client", none,
               proof);
    begin_message(to, TLS_NULL_FINISHED);
    add(to, proof, sizeof(proof));
    return end_message(conn, to);
}

/* The scheme of a signature and the signature. A signer signs as well, and
 * nobody looks at that. */
static bool add_signature(struct wr_tls_conn *conn, struct flight *to)
{
    const struct null_own *own = null_own_of(conn);
    const struct wr_tls_credential *credential = own->credential;
    const bool is_rsa = credential->kind == WR_X509_KEY_RSA;
    const bool is_pss = is_rsa && own->version == WR_TLS_VERSION_1_3;
    const struct wr_x509_signature_kind kind = {
        .key = credential->kind,
        .hash = WR_X509_HASH_SHA256,
        .is_pss = is_pss,
        .mask = is_pss ? WR_X509_HASH_SHA256 : WR_X509_HASH_NONE,
        .salt_size = is_pss ? 32 : 0,
    };
    uint8_t proof[NULL_PROOF];
    uint8_t signature[1024];

    make_proof(own, "signed", credential->key_info, proof);
    if (credential->signer &&
        credential->signer->sign(
            credential->signer, &kind,
            (struct wr_bytes){.data = proof, .size = sizeof(proof)}, signature,
            sizeof(signature)) < 0) {
        conn->code = WEIR_ETLSSIGN;
        return false;
    }
    add_number(to, !is_rsa ? 0x0403 : is_pss ? 0x0804 : 0x0401, 2);
    add_vector(to, proof, sizeof(proof), 2);
    return true;
}

bool null_is_signature(const struct null_own *own, struct wr_bytes body)
{
    struct wr_bytes proof;
    uint16_t scheme;

    return wr_bytes_take_u16(&body, &scheme) &&
           wr_bytes_take_vector(&body, 2, &proof) && body.size == 0 &&
           null_is_proof(own, "signed", own->leaf, proof);
}

static bool add_certificate(struct wr_tls_conn *conn, struct flight *to)
{
    const struct null_own *own = null_own_of(conn);
    const struct wr_tls_credential *credential = own->credential;
    const bool is_13 = own->version == WR_TLS_VERSION_1_3;

    begin_message(to, TLS_NULL_CERTIFICATE);
    if (is_13) {
        add_number(to, 0, 1);
    }
    const size_t list = begin_vector(to, 3);
    for (size_t i = 0; credential && i < credential->count; i++) {
        add_vector(to, credential->certs[i].data, credential->certs[i].size, 3);
        if (is_13) {
            add_number(to, 0, 2);
        }
    }
    end_vector(to, list, 3);
    return end_message(conn, to);
}

static bool add_verify(struct wr_tls_conn *conn, struct flight *to)
{
    begin_message(to, TLS_NULL_VERIFY);
    return add_signature(conn, to) && end_message(conn, to);
}

static void add_share(const struct null_own *own, struct flight *to,
                      bool of_server, size_t width)
{
    uint8_t share[32];

    null_fill(null_sum(0, own->randoms[of_server], 32), share, sizeof(share));
    add_vector(to, share, sizeof(share), width);
}

/* ---- the client's hello ---- */

static void add_protocols(const struct null_own *own, struct flight *to)
{
    const char *at = own->protocols;

    add_number(to, NULL_EXTENSION_PROTOCOLS, 2);
    const size_t extension = begin_vector(to, 2);
    const size_t list = begin_vector(to, 2);
    while (*at) {
        const size_t len = strcspn(at, ",");
        add_vector(to, at, len, 1);
        at += len + (at[len] == ',');
    }
    end_vector(to, list, 2);
    end_vector(to, extension, 2);
}

static void add_name(const struct null_own *own, struct flight *to)
{
    add_number(to, NULL_EXTENSION_NAME, 2);
    const size_t extension = begin_vector(to, 2);
    const size_t list = begin_vector(to, 2);
    add_number(to, 0, 1);
    add_vector(to, own->name, strlen(own->name), 2);
    end_vector(to, list, 2);
    end_vector(to, extension, 2);
}

static void add_shared_key(const struct null_own *own, struct flight *to)
{
    uint8_t proof[NULL_PROOF];

    null_fill(null_sum(0, own->known.secret, NULL_SECRET), proof,
              sizeof(proof));
    add_number(to, NULL_EXTENSION_SHARED_KEY, 2);
    const size_t extension = begin_vector(to, 2);
    const size_t tickets = begin_vector(to, 2);
    add_vector(to, own->known.ticket, own->known.size, 2);
    add_number(to, 0, 4);
    end_vector(to, tickets, 2);
    const size_t binders = begin_vector(to, 2);
    add_vector(to, proof, sizeof(proof), 1);
    end_vector(to, binders, 2);
    end_vector(to, extension, 2);
}

static void add_extension(struct flight *to, uint16_t type, const void *data,
                          size_t size)
{
    add_number(to, type, 2);
    add_vector(to, data, size, 2);
}

static void add_extensions_of_13(const struct null_own *own, struct flight *to)
{
    static const uint8_t modes[] = {1, 1};
    const struct wr_tls_settings *settings = &own->shared->settings;

    add_number(to, NULL_EXTENSION_VERSION, 2);
    const size_t versions = begin_vector(to, 2);
    const size_t list = begin_vector(to, 1);
    add_number(to, WR_TLS_VERSION_1_3, 2);
    if (settings->has_1_2) {
        add_number(to, WR_TLS_VERSION_1_2, 2);
    }
    end_vector(to, list, 1);
    end_vector(to, versions, 2);
    add_extension(to, NULL_EXTENSION_MODES, modes, sizeof(modes));
    add_number(to, NULL_EXTENSION_SHARES, 2);
    const size_t shares = begin_vector(to, 2);
    const size_t all = begin_vector(to, 2);
    add_number(to, NULL_GROUP, 2);
    add_share(own, to, false, 2);
    end_vector(to, all, 2);
    end_vector(to, shares, 2);
    if (tls_null_orders.early_records > 0) {
        add_extension(to, NULL_EXTENSION_EARLY, NULL, 0);
    }
    if (own->known.size > 0) {
        add_shared_key(own, to);
    }
}

static void add_extensions(const struct null_own *own, struct flight *to)
{
    static const uint8_t groups[] = {0, 2, 0, NULL_GROUP};
    static const uint8_t points[] = {1, 0};
    static const uint8_t schemes[] = {0,    14,   0x04, 0x03, 0x05, 0x03,
                                      0x06, 0x03, 0x08, 0x04, 0x08, 0x05,
                                      0x08, 0x06, 0x04, 0x01};

    const size_t all = begin_vector(to, 2);
    if (own->name[0]) {
        add_name(own, to);
    }
    add_extension(to, NULL_EXTENSION_GROUPS, groups, sizeof(groups));
    add_extension(to, NULL_EXTENSION_POINTS, points, sizeof(points));
    add_extension(to, NULL_EXTENSION_SCHEMES, schemes, sizeof(schemes));
    if (own->protocols) {
        add_protocols(own, to);
    }
    add_extension(to, NULL_EXTENSION_MASTER, NULL, 0);
    if (own->shared->settings.has_1_3) {
        add_extensions_of_13(own, to);
    }
    end_vector(to, all, 2);
}

bool null_send_client_hello(struct wr_tls_conn *conn)
{
    static const uint8_t early[64] = {1};
    struct null_own *own = null_own_of(conn);
    struct flight flight = {.len = 0};

    begin_message(&flight, TLS_NULL_CLIENT_HELLO);
    add_number(&flight, WR_TLS_VERSION_1_2, 2);
    add(&flight, own->randoms[0], 32);
    own->session_size = own->shared->settings.has_1_3 ? 32 : 0;
    null_derive(own, "session", own->session, sizeof(own->session));
    add_vector(&flight, own->session, own->session_size, 1);
    const size_t suites = begin_vector(&flight, 2);
    for (size_t i = 0; i < NULL_SUITES && own->suites[i]; i++) {
        add_number(&flight, own->suites[i], 2);
    }
    end_vector(&flight, suites, 2);
    add_number(&flight, 0x0100, 2); /* no compression */
    add_extensions(own, &flight);
    own->wants = 1u << TLS_NULL_SERVER_HELLO;
    if (!end_message(conn, &flight) || !send_flight(conn, &flight)) {
        return false;
    }
    for (size_t i = 0; i < tls_null_orders.early_records; i++) {
        if (!null_send(conn, NULL_DATA, early, sizeof(early))) {
            return false;
        }
    }
    return true;
}

/* ---- the server's flight ---- */

static bool add_server_hello(struct wr_tls_conn *conn, struct flight *to,
                             bool has_master)
{
    struct null_own *own = null_own_of(conn);
    const struct wr_bytes name = {(const uint8_t *)own->protocol,
                                  own->protocol_len};

    begin_message(to, TLS_NULL_SERVER_HELLO);
    add_number(to, WR_TLS_VERSION_1_2, 2);
    add(to, own->randoms[1], 32);
    add_vector(to, own->session, own->session_size, 1);
    add_number(to, own->suite, 2);
    add_number(to, 0, 1);
    const size_t all = begin_vector(to, 2);
    if (own->version == WR_TLS_VERSION_1_3) {
        add_extension(to, NULL_EXTENSION_VERSION, (const uint8_t[]){3, 4}, 2);
        add_number(to, NULL_EXTENSION_SHARES, 2);
        const size_t share = begin_vector(to, 2);
        add_number(to, NULL_GROUP, 2);
        add_share(own, to, true, 2);
        end_vector(to, share, 2);
        if (own->is_resumed) {
            add_extension(to, NULL_EXTENSION_SHARED_KEY,
                          (const uint8_t[]){0, 0}, 2);
        }
    } else if (has_master) {
        add_extension(to, NULL_EXTENSION_MASTER, NULL, 0);
    }
    if (own->version == WR_TLS_VERSION_1_2 && name.size > 0) {
        add_number(to, NULL_EXTENSION_PROTOCOLS, 2);
        add_number(to, name.size + 3, 2);
        add_number(to, name.size + 1, 2);
        add_vector(to, name.data, name.size, 1);
    }
    end_vector(to, all, 2);
    return end_message(conn, to);
}

static bool add_request(struct wr_tls_conn *conn, struct flight *to)
{
    struct null_own *own = null_own_of(conn);

    if (!own->verifies || own->is_resumed) {
        return true;
    }
    own->is_asked = true;
    begin_message(to, TLS_NULL_REQUEST);
    add_number(to, 0, 4);
    return end_message(conn, to);
}

static bool send_flight_of_13(struct wr_tls_conn *conn, struct flight *flight)
{
    struct null_own *own = null_own_of(conn);

    if (!send_flight(conn, flight) ||
        !null_change_secret(conn, WR_TLS_SECRET_CLIENT_HANDSHAKE, &own->in) ||
        !null_change_secret(conn, WR_TLS_SECRET_SERVER_HANDSHAKE, &own->out)) {
        return false;
    }
    begin_message(flight, TLS_NULL_EXTENSIONS);
    add_vector(flight, own->protocol, own->protocol_len, 1);
    if (!end_message(conn, flight) || !add_request(conn, flight) ||
        !(own->is_resumed ||
          (add_certificate(conn, flight) && add_verify(conn, flight))) ||
        !add_finished(conn, flight) || !send_flight(conn, flight)) {
        return false;
    }
    own->wants =
        1u << (own->is_asked ? TLS_NULL_CERTIFICATE : TLS_NULL_FINISHED);
    return null_change_secret(conn, WR_TLS_SECRET_SERVER_DATA, &own->out);
}

static bool send_flight_of_12(struct wr_tls_conn *conn, struct flight *flight)
{
    struct null_own *own = null_own_of(conn);

    if (!add_certificate(conn, flight)) {
        return false;
    }
    begin_message(flight, TLS_NULL_SERVER_KEY);
    add_number(flight, 3, 1); /* a named curve */
    add_number(flight, NULL_GROUP, 2);
    add_share(own, flight, true, 1);
    if (!add_signature(conn, flight) || !end_message(conn, flight) ||
        !add_request(conn, flight)) {
        return false;
    }
    begin_message(flight, TLS_NULL_DONE);
    own->wants =
        1u << (own->is_asked ? TLS_NULL_CERTIFICATE : TLS_NULL_CLIENT_KEY);
    return end_message(conn, flight) && send_flight(conn, flight);
}

bool null_send_server_flight(struct wr_tls_conn *conn, bool has_master)
{
    struct flight flight = {.len = 0};

    return add_server_hello(conn, &flight, has_master) &&
           (null_own_of(conn)->version == WR_TLS_VERSION_1_3
                ? send_flight_of_13(conn, &flight)
                : send_flight_of_12(conn, &flight));
}

/* ---- the last flights ---- */

/* TLS 1.2: the change of keys, and the proof behind it. */
static bool send_end_of_12(struct wr_tls_conn *conn, struct flight *flight)
{
    struct null_own *own = null_own_of(conn);
    struct flight change = {.data = {1}, .len = 1};

    if (!send_flight(conn, flight) ||
        !null_change_secret(conn, WR_TLS_SECRET_MASTER, NULL)) {
        return false;
    }
    if (is_ordered(conn, TLS_NULL_CHANGE) && !obey(conn, &change)) {
        return false;
    }
    if (!null_send(conn, NULL_CHANGE, change.data, change.len)) {
        return false;
    }
    null_use_master(own, &own->out, conn->is_server);
    return add_finished(conn, flight) && send_flight(conn, flight);
}

static bool add_own_certificate(struct wr_tls_conn *conn, struct flight *to)
{
    const struct null_own *own = null_own_of(conn);

    return !own->is_asked || add_certificate(conn, to);
}

static bool add_own_verify(struct wr_tls_conn *conn, struct flight *to)
{
    const struct null_own *own = null_own_of(conn);

    return !own->is_asked || !own->credential || add_verify(conn, to);
}

/* A server's ticket. */
static bool send_ticket(struct wr_tls_conn *conn)
{
    const struct null_own *own = null_own_of(conn);
    struct flight flight = {.len = 0};
    uint8_t bytes[NULL_TICKET_FRONT + NULL_TICKET_DATA];
    uint8_t *data = bytes + NULL_TICKET_FRONT;
    const struct wr_tls_ticket parts = {.name = bytes,
                                        .iv = bytes + WR_TLS_TICKET_NAME,
                                        .tag = bytes + WR_TLS_TICKET_NAME +
                                               WR_TLS_TICKET_IV,
                                        .data = data,
                                        .size = NULL_TICKET_DATA};

    memset(data, 0, NULL_TICKET_DATA);
    null_derive(own, "resumption", data, NULL_SECRET);
    data[NULL_SECRET] = (uint8_t)(own->suite >> 8);
    data[NULL_SECRET + 1] = (uint8_t)own->suite;
    data[NULL_TICKET_CLIENT] = own->verifies;
    if ((own->verifies && conn->events->ticket_client(
                              conn, data + NULL_TICKET_CLIENT + 1) < 0) ||
        conn->events->ticket_seal(conn, &parts) < 0) {
        conn->code = WEIR_ETLSENGINE;
        return false;
    }
    begin_message(&flight, TLS_NULL_TICKET);
    add_number(&flight, own->shared->settings.ticket_lifetime, 4);
    add_number(&flight, 0, 4);
    add_number(&flight, 0, 1);
    add_vector(&flight, bytes, sizeof(bytes), 2);
    add_number(&flight, 0, 2);
    return end_message(conn, &flight) && send_flight(conn, &flight);
}

/* A client's last messages of TLS 1.2. */
static bool send_keys_of_12(struct wr_tls_conn *conn)
{
    struct flight flight = {.len = 0};

    if (!add_own_certificate(conn, &flight)) {
        return false;
    }
    begin_message(&flight, TLS_NULL_CLIENT_KEY);
    add_share(null_own_of(conn), &flight, false, 1);
    return end_message(conn, &flight) && add_own_verify(conn, &flight) &&
           send_end_of_12(conn, &flight);
}

static bool send_end_of_13(struct wr_tls_conn *conn)
{
    struct null_own *own = null_own_of(conn);
    struct flight flight = {.len = 0};

    if (conn->is_server) {
        return null_change_secret(conn, WR_TLS_SECRET_CLIENT_DATA, &own->in) &&
               null_change_secret(conn, WR_TLS_SECRET_EXPORTER, NULL) &&
               (!own->shared->settings.has_tickets || send_ticket(conn));
    }
    return add_own_certificate(conn, &flight) &&
           add_own_verify(conn, &flight) && add_finished(conn, &flight) &&
           send_flight(conn, &flight) &&
           null_change_secret(conn, WR_TLS_SECRET_CLIENT_DATA, &own->out) &&
           null_change_secret(conn, WR_TLS_SECRET_SERVER_DATA, &own->in) &&
           null_change_secret(conn, WR_TLS_SECRET_EXPORTER, NULL);
}

bool null_send_last_flight(struct wr_tls_conn *conn)
{
    struct flight flight = {.len = 0};

    if (null_own_of(conn)->version == WR_TLS_VERSION_1_3) {
        return send_end_of_13(conn);
    }
    return conn->is_server ? send_end_of_12(conn, &flight)
                           : send_keys_of_12(conn);
}
