/*
 * TLS 1.3 traffic secrets in the engine: derives the keys that distinguish
 * early data from the handshake (engine_early.c), and seals alerts that the
 * backend cannot send.
 *
 * A backend without WR_TLS_DOES_ALERT, such as wolfSSL, responds to a refused
 * certificate with the alert of its own error, always an unknown signer. The
 * engine replaces this record. With TLS 1.3 the alert is the first record under
 * its key: a client uses the handshake key, a server the data key. If the
 * secret is not known, the backend's alert is sent.
 *
 * If a wr_tls_signer could not sign, such a backend sends no alert, so the
 * engine makes one. With TLS 1.3 it seals the alert with the handshake key. The
 * nonce depends on the number of records sealed with this key before, so the
 * engine counts them.
 */
#include "engine_impl.h"
#include "lib/tls/backend/backend.h"
#include "lib/tls/context/context.h"

#include <weir/error.h>

#include <string.h>

enum {
    ENGINE_SECRET_ALERT = 21, /* record types */
    ENGINE_SECRET_DATA = 23,
    ENGINE_SECRET_HEADER = 5,
    ENGINE_SECRET_PLAIN = ENGINE_SECRET_HEADER + 2, /* record size */
    ENGINE_SECRET_INNER = 3, /* level, code and the type of a sealed record */
    ENGINE_SECRET_SEALED =
        ENGINE_SECRET_HEADER + ENGINE_SECRET_INNER + WR_TLS_ENGINE_TAG,
};

enum {
    ENGINE_SECRET_AES_128 = 0x1301, /* cipher suites */
    ENGINE_SECRET_AES_256 = 0x1302,
    ENGINE_SECRET_CHACHA = 0x1303,
    ENGINE_SECRET_SHA256 = 32, /* secret sizes in bytes */
    ENGINE_SECRET_SHA384 = 48,
};

/* Stored in a block until the handshake is done. */
struct engine_secret {
    enum wr_tls_secret_kind kind;
    uint32_t size;
    uint32_t records; /* records that were sealed with this secret and sent */
    uint8_t data[ENGINE_SECRET_SHA384];
};

static int engine_secret_expand(struct wr_bytes secret, const char *label,
                                uint8_t *ret, size_t size)
{
    const enum wr_x509_hash kind = secret.size == ENGINE_SECRET_SHA384
                                       ? WR_X509_HASH_SHA384
                                       : WR_X509_HASH_SHA256;

    wr_assert(secret.data);
    if (secret.size != ENGINE_SECRET_SHA256 && kind != WR_X509_HASH_SHA384) {
        return WEIR_ETLSENGINE;
    }
    return wr_tls_backend_get()->expand(kind, secret, label, ret, size);
}

static int engine_secret_derive(struct wr_tls_engine_keys *keys, int suite,
                                struct wr_bytes secret)
{
    if (suite < ENGINE_SECRET_AES_128 || suite > ENGINE_SECRET_CHACHA) {
        return WEIR_ETLSENGINE;
    }
    keys->suite = suite;
    keys->key_size = suite == ENGINE_SECRET_AES_128 ? 16 : sizeof(keys->key);
    const int err =
        engine_secret_expand(secret, "key", keys->key, keys->key_size);
    return err ? err
               : engine_secret_expand(secret, "iv", keys->iv, sizeof(keys->iv));
}

/* Describes a record whose body and tag are at @body. Its nonce is the IV, as
 * for the first record under a key. */
static struct wr_tls_aead
engine_secret_describe(const struct wr_tls_engine_keys *keys,
                       const uint8_t *header, uint8_t *body)
{
    const size_t size = wr_tls_engine_body_size(header) - WR_TLS_ENGINE_TAG;

    wr_assert(size > 0);
    return (struct wr_tls_aead){
        .kind = keys->suite == ENGINE_SECRET_CHACHA ? WR_TLS_AEAD_CHACHA20
                : keys->suite == ENGINE_SECRET_AES_256
                    ? WR_TLS_AEAD_AES_256_GCM
                    : WR_TLS_AEAD_AES_128_GCM,
        .key = keys->key,
        .nonce = keys->iv,
        .beside = {.data = header, .size = ENGINE_SECRET_HEADER},
        .size = size,
        .tag = body + size,
    };
}

int wr_tls_engine_open_first(const struct wr_tls_engine_keys *keys,
                             uint8_t *record, uint8_t *ret)
{
    uint8_t *body = record + ENGINE_SECRET_HEADER;
    struct wr_tls_aead job = engine_secret_describe(keys, record, body);

    wr_assert(job.kind != WR_TLS_AEAD_AES_128_GCM || keys->key_size == 16);
    job.in = body;
    job.out = ret;
    return wr_tls_backend_get()->open_sealed(&job);
}

static void engine_secret_keep(struct wr_tls_engine *engine,
                               enum wr_tls_secret_kind kind,
                               struct wr_bytes from)
{
    wr_assert(engine->state == WR_TLS_ENGINE_HANDSHAKE);
    wr_tls_engine_drop(engine, &engine->secret);
    if (from.size > ENGINE_SECRET_SHA384) {
        return;
    }
    engine->secret = wr_block_take(engine->conn.account->blocks,
                                   sizeof(struct engine_secret));
    if (engine->secret) {
        struct engine_secret *secret = (void *)engine->secret->data;
        secret->kind = kind;
        secret->size = (uint32_t)from.size;
        secret->records = 0;
        memcpy(secret->data, from.data, from.size);
    }
}

bool wr_tls_engine_wants_secrets(const struct wr_tls_engine *engine)
{
    const uint32_t does = engine->conn.backend->does;

    wr_assert(engine->context);
    return !(does & WR_TLS_DOES_ALERT) && (does & WR_TLS_DOES_SECRETS) &&
           (wr_tls_context_verifies(engine->context) ||
            wr_tls_context_has_signers(engine->context));
}

static bool engine_secret_is_own(const struct wr_tls_engine *engine,
                                 enum wr_tls_secret_kind kind)
{
    wr_assert(engine->context);
    if (!engine->conn.is_server) {
        return kind == WR_TLS_SECRET_CLIENT_HANDSHAKE;
    }
    return kind == WR_TLS_SECRET_SERVER_DATA ||
           (kind == WR_TLS_SECRET_SERVER_HANDSHAKE &&
            wr_tls_context_has_signers(engine->context));
}

int wr_tls_engine_note_secret(struct wr_tls_conn *conn,
                              enum wr_tls_secret_kind kind,
                              const uint8_t *secret, size_t size)
{
    struct wr_tls_engine *engine = wr_tls_engine_of(conn);
    struct wr_tls_engine_early *early =
        engine->early ? (void *)engine->early->data : NULL;
    const struct wr_bytes bytes = {.data = secret, .size = size};
    int err = 0;

    wr_assert(secret && size > 0);
    if (kind == WR_TLS_SECRET_CLIENT_HANDSHAKE && early) {
        err = engine_secret_derive(&early->keys, conn->backend->get_suite(conn),
                                   bytes);
    }
    if (engine_secret_is_own(engine, kind) &&
        wr_tls_engine_wants_secrets(engine)) {
        engine_secret_keep(engine, kind, bytes);
    }
    wr_tls_context_log_secret(engine->context, conn, kind, bytes);
    return err;
}

/* Seals an alert as the secret's next record, then releases the secret. */
static bool engine_secret_seal_alert(struct wr_tls_engine *engine, uint8_t code,
                                     uint8_t *record)
{
    const uint8_t plain[ENGINE_SECRET_INNER] = {WR_TLS_ALERT_FATAL, code,
                                                ENGINE_SECRET_ALERT};
    struct wr_tls_engine_keys keys = {.suite = 0};

    if (!engine->secret) {
        return false;
    }
    const struct engine_secret *secret = (void *)engine->secret->data;
    int err = engine_secret_derive(
        &keys, engine->conn.backend->get_suite(&engine->conn),
        (struct wr_bytes){.data = secret->data, .size = secret->size});
    /* XOR with the record number makes the nonce (RFC 8446, 5.3). */
    for (size_t i = 0; i < sizeof(secret->records); i++) {
        keys.iv[sizeof(keys.iv) - 1 - i] ^= (uint8_t)(secret->records >> 8 * i);
    }
    if (err == 0) {
        struct wr_tls_aead job = engine_secret_describe(
            &keys, record, record + ENGINE_SECRET_HEADER);
        wr_assert(job.size == sizeof(plain));
        job.in = plain;
        job.out = record + ENGINE_SECRET_HEADER;
        err = wr_tls_backend_get()->seal(&job);
    }
    explicit_bzero(&keys, sizeof(keys));
    wr_tls_engine_drop(engine, &engine->secret);
    return err == 0;
}

void wr_tls_engine_replace_alert(struct wr_tls_engine *engine, uint8_t *record,
                                 size_t size)
{
    const uint8_t code = engine->verdict.alert;

    wr_assert(code > 0 && engine->verdict.err < 0);
    if (engine->conn.backend->does & WR_TLS_DOES_ALERT) {
        return;
    }
    if (size == ENGINE_SECRET_PLAIN && record[0] == ENGINE_SECRET_ALERT) {
        record[ENGINE_SECRET_PLAIN - 1] = code;
    } else if (size != ENGINE_SECRET_SEALED ||
               record[0] != ENGINE_SECRET_DATA ||
               !engine_secret_seal_alert(engine, code, record)) {
        return;
    }
    engine->alert_sent = code;
}

/* Counts a sent record if it is sealed with the handshake secret. ->secret may
 * already be the server's data secret, because a backend may report it before
 * it sends the Finished, which is sealed with the handshake secret. A backend
 * seals nothing with the data secret until the handshake is done. */
void wr_tls_engine_count_sealed(struct wr_tls_engine *engine,
                                const uint8_t *record)
{
    if (engine->secret && record[0] == ENGINE_SECRET_DATA) {
        struct engine_secret *secret = (void *)engine->secret->data;
        wr_assert(secret->records < UINT32_MAX);
        secret->records += secret->kind != WR_TLS_SECRET_SERVER_DATA;
    }
}

size_t wr_tls_engine_make_alert(struct wr_tls_engine *engine, uint8_t code,
                                uint8_t record[WR_TLS_ENGINE_ALERT_MAX])
{
    const struct wr_tls_conn *conn = &engine->conn;
    const uint8_t plain[] = {ENGINE_SECRET_ALERT, 3,   3, 0, 2,
                             WR_TLS_ALERT_FATAL,  code};
    const uint8_t header[] = {
        ENGINE_SECRET_DATA,
        3,
        3,
        0,
        ENGINE_SECRET_SEALED - ENGINE_SECRET_HEADER,
    };

    wr_assert(engine->state == WR_TLS_ENGINE_HANDSHAKE);
    if (conn->backend->get_version(conn) != WR_TLS_VERSION_1_3) {
        memcpy(record, plain, sizeof(plain));
        return sizeof(plain);
    }
    if (!engine->secret) {
        return 0;
    }
    memcpy(record, header, sizeof(header));
    return engine_secret_seal_alert(engine, code, record) ? ENGINE_SECRET_SEALED
                                                          : 0;
}
