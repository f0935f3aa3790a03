/*
 * The traffic secrets of TLS 1.3 in the hands of the engine. It derives the
 * keys that tell early data from the handshake (engine_early.c), and seals the
 * alert that tells a peer why its certificates are refused.
 *
 * wolfSSL chooses that alert by its own error, which is always that it knows no
 * signer: weir alone verifies. So the record that wolfSSL seals is replaced.
 * With TLS 1.2 this alert is not sealed. With TLS 1.3 it is the first record
 * under its key, since neither side has sent anything else under that key when
 * it judges the other: a client's key is the one of the handshake, a server's
 * the one of its data. Where the secret is not known (a wolfSSL that tells
 * none, or no memory) wolfSSL's alert is sent.
 */
#include "engine_impl.h"
#include "lib/tls/context/context.h"

#include <string.h>

enum {
    ENGINE_SECRET_ALERT = 21, /* types of records */
    ENGINE_SECRET_DATA = 23,
    ENGINE_SECRET_HEADER = 5,
    ENGINE_SECRET_PLAIN = ENGINE_SECRET_HEADER + 2, /* an alert's record */
    ENGINE_SECRET_INNER = 3, /* level, code and the type of a sealed record */
    ENGINE_SECRET_SEALED =
        ENGINE_SECRET_HEADER + ENGINE_SECRET_INNER + WR_TLS_ENGINE_TAG,
};

#ifdef HAVE_SECRET_CALLBACK

#include <wolfssl/wolfcrypt/aes.h>
#include <wolfssl/wolfcrypt/chacha20_poly1305.h>
#include <wolfssl/wolfcrypt/kdf.h>

enum {
    ENGINE_SECRET_AES_128 = 0x1301, /* suites */
    ENGINE_SECRET_CHACHA = 0x1303,
};

/* Lies in a block until the handshake is done. */
struct engine_secret {
    uint32_t size;
    uint8_t data[WC_SHA384_DIGEST_SIZE];
};

/* ---- keys ---- */

static int engine_secret_expand(const uint8_t *secret, int size,
                                const char *label, uint8_t *ret,
                                uint32_t ret_size)
{
    static const uint8_t protocol[] = "tls13 ";
    const int digest = size == WC_SHA384_DIGEST_SIZE ? WC_SHA384 : WC_SHA256;

    if (size != WC_SHA256_DIGEST_SIZE && digest != WC_SHA384) {
        return BAD_FUNC_ARG;
    }
    return wc_Tls13_HKDF_Expand_Label(
        ret, ret_size, secret, (word32)size, protocol, sizeof(protocol) - 1,
        (const uint8_t *)label, (word32)strlen(label), NULL, 0, digest);
}

/* RFC 8446, 7.3. */
static int engine_secret_derive(struct wr_tls_engine_keys *keys, int suite,
                                const uint8_t *secret, int size)
{
    if (suite < ENGINE_SECRET_AES_128 || suite > ENGINE_SECRET_CHACHA) {
        return BAD_STATE_E;
    }
    keys->suite = suite;
    keys->key_size =
        suite == ENGINE_SECRET_AES_128 ? AES_128_KEY_SIZE : sizeof(keys->key);
    const int err =
        engine_secret_expand(secret, size, "key", keys->key, keys->key_size);
    return err ? err
               : engine_secret_expand(secret, size, "iv", keys->iv,
                                      sizeof(keys->iv));
}

static int engine_secret_set_aes(Aes *aes,
                                 const struct wr_tls_engine_keys *keys)
{
    const int err = wc_AesInit(aes, NULL, INVALID_DEVID);
    return err ? err : wc_AesGcmSetKey(aes, keys->key, keys->key_size);
}

static void engine_secret_free_aes(Aes *aes)
{
    wc_AesFree(aes);
    explicit_bzero(aes, sizeof(*aes));
}

int wr_tls_engine_open_first(const struct wr_tls_engine_keys *keys,
                             const uint8_t *record, uint8_t *ret)
{
    const size_t size = wr_tls_engine_body_size(record) - WR_TLS_ENGINE_TAG;
    const uint8_t *body = record + ENGINE_SECRET_HEADER;
    Aes aes;

    wr_assert(keys->suite != 0 && size > 0);
    if (keys->suite == ENGINE_SECRET_CHACHA) {
        return wc_ChaCha20Poly1305_Decrypt(keys->key, keys->iv, record,
                                           ENGINE_SECRET_HEADER, body,
                                           (word32)size, body + size, ret);
    }
    int err = engine_secret_set_aes(&aes, keys);
    if (err == 0) {
        err = wc_AesGcmDecrypt(&aes, ret, body, (word32)size, keys->iv,
                               sizeof(keys->iv), body + size, WR_TLS_ENGINE_TAG,
                               record, ENGINE_SECRET_HEADER);
    }
    engine_secret_free_aes(&aes);
    return err;
}

/* Seals @size bytes as the first record of these keys, whose header is at
 * @record. Returns wolfCrypt's result. */
static int engine_secret_seal(const struct wr_tls_engine_keys *keys,
                              const uint8_t *plain, word32 size,
                              uint8_t *record)
{
    uint8_t *body = record + ENGINE_SECRET_HEADER;
    Aes aes;

    wr_assert(keys->suite != 0);
    wr_assert(wr_tls_engine_body_size(record) == size + WR_TLS_ENGINE_TAG);
    if (keys->suite == ENGINE_SECRET_CHACHA) {
        return wc_ChaCha20Poly1305_Encrypt(keys->key, keys->iv, record,
                                           ENGINE_SECRET_HEADER, plain, size,
                                           body, body + size);
    }
    int err = engine_secret_set_aes(&aes, keys);
    if (err == 0) {
        err = wc_AesGcmEncrypt(&aes, body, plain, size, keys->iv,
                               sizeof(keys->iv), body + size, WR_TLS_ENGINE_TAG,
                               record, ENGINE_SECRET_HEADER);
    }
    engine_secret_free_aes(&aes);
    return err;
}

/* ---- secrets ---- */

void wr_tls_engine_drop_secret(struct wr_tls_engine *engine)
{
    if (engine->secret) {
        explicit_bzero(engine->secret->data, sizeof(struct engine_secret));
        wr_block_give(engine->memory->blocks, engine->secret);
        engine->secret = NULL;
    }
}

static void engine_secret_keep(struct wr_tls_engine *engine,
                               const uint8_t *data, int size)
{
    wr_assert(engine->state == WR_TLS_ENGINE_HANDSHAKE);
    wr_tls_engine_drop_secret(engine);
    if (size < 0 || size > WC_SHA384_DIGEST_SIZE) {
        return;
    }
    engine->secret =
        wr_block_take(engine->memory->blocks, sizeof(struct engine_secret));
    if (engine->secret) {
        struct engine_secret *secret = (void *)engine->secret->data;
        secret->size = (uint32_t)size;
        memcpy(secret->data, data, (size_t)size);
    }
}

/* wolfSSL calls this for each secret. */
static int engine_secret_note(WOLFSSL *ssl, int id, const unsigned char *secret,
                              int size, void *arg)
{
    struct wr_tls_engine *engine = arg;
    struct wr_tls_engine_early *early =
        engine->early ? (void *)engine->early->data : NULL;
    const int own = engine->is_server ? SERVER_TRAFFIC_SECRET
                                      : CLIENT_HANDSHAKE_TRAFFIC_SECRET;
    int err = 0;

    wr_assert(ssl == engine->ssl);
    if (id == CLIENT_HANDSHAKE_TRAFFIC_SECRET && early) {
        err = engine_secret_derive(
            &early->keys, wolfSSL_get_current_cipher_suite(ssl), secret, size);
    }
    if (id == own && wr_tls_context_verifies(engine->context)) {
        engine_secret_keep(engine, secret, size);
    }
    wr_tls_context_log_secret(engine->context, ssl, id, secret, size);
    return err;
}

void wr_tls_engine_hear_secrets(struct wr_tls_engine *engine)
{
    wr_assert(engine->state == WR_TLS_ENGINE_HANDSHAKE);
    wr_ignore(
        wolfSSL_set_tls13_secret_cb(engine->ssl, engine_secret_note, engine) !=
        WOLFSSL_SUCCESS); /* fails only for NULL */
}

/* ---- the alert ---- */

/* Seals the alert of this code in the record. */
static bool engine_secret_seal_alert(struct wr_tls_engine *engine, uint8_t code,
                                     uint8_t *record)
{
    const uint8_t plain[ENGINE_SECRET_INNER] = {alert_fatal, code,
                                                ENGINE_SECRET_ALERT};
    struct wr_tls_engine_keys keys = {.suite = 0};

    if (!engine->secret) {
        return false;
    }
    const struct engine_secret *secret = (void *)engine->secret->data;
    int err = engine_secret_derive(
        &keys, wolfSSL_get_current_cipher_suite(engine->ssl), secret->data,
        (int)secret->size);
    if (err == 0) {
        err = engine_secret_seal(&keys, plain, sizeof(plain), record);
    }
    explicit_bzero(&keys, sizeof(keys));
    wr_tls_engine_drop_secret(engine);
    return err == 0;
}

#else

void wr_tls_engine_drop_secret(struct wr_tls_engine *engine)
{
    wr_assert(!engine->secret);
}

void wr_tls_engine_hear_secrets(struct wr_tls_engine *engine)
{
    wr_assert(!engine->secret);
}

static bool engine_secret_seal_alert(struct wr_tls_engine *engine, uint8_t code,
                                     uint8_t *record)
{
    wr_assert(!engine->secret && code > 0 && record);
    return false;
}

#endif

void wr_tls_engine_replace_alert(struct wr_tls_engine *engine, uint8_t *record,
                                 size_t size)
{
    const uint8_t code = engine->verdict.alert;

    wr_assert(code > 0 && engine->verdict.err < 0);
    if (size == ENGINE_SECRET_PLAIN && record[0] == ENGINE_SECRET_ALERT) {
        record[ENGINE_SECRET_PLAIN - 1] = code;
    } else if (size != ENGINE_SECRET_SEALED ||
               record[0] != ENGINE_SECRET_DATA ||
               !engine_secret_seal_alert(engine, code, record)) {
        return;
    }
    engine->alert_sent = code;
}
