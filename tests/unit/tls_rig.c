/*
 * The wire between two engines, and the double of their context. The double
 * knows one name, localhost, and takes its certificates from the folder that
 * WEIR_TLS_CERTIFICATES names.
 */
#include "tests/unit/tls_rig.h"

#include "lib/tls/context/context.h"

#include <errno.h>
#include <wolfssl/wolfcrypt/aes.h>
#include <wolfssl/wolfcrypt/kdf.h>
#include <wolfssl/wolfcrypt/sha256.h>

#define RIG_CIPHERS                                                            \
    "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:"                           \
    "TLS_CHACHA20_POLY1305_SHA256:TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256:"    \
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256:"                                   \
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256:"                           \
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256"

/* ---- the context's double ---- */

struct weir_tls_context {
    WOLFSSL_CTX *ctx;
    bool is_server;
    int references;
    const struct tls_rig_options *options;
};

weir_tls_context *weir_tls_context_ref(weir_tls_context *context)
{
    context->references++;
    return context;
}

void weir_tls_context_unref(weir_tls_context *context)
{
    if (context && --context->references == 0) {
        wolfSSL_CTX_free(context->ctx);
        free(context);
    }
}

bool wr_tls_context_is_server(const weir_tls_context *context)
{
    return context->is_server;
}

static void rig_use_certificate(WOLFSSL_CTX *ctx, const char *name)
{
    cr_assert_eq(
        wolfSSL_CTX_use_certificate_chain_file(ctx, tls_file("%s.pem", name)),
        WOLFSSL_SUCCESS);
    cr_assert_eq(wolfSSL_CTX_use_PrivateKey_file(ctx, tls_file("%s.key", name),
                                                 WOLFSSL_FILETYPE_PEM),
                 WOLFSSL_SUCCESS);
}

static WOLFSSL_CTX *rig_new_ctx(bool is_server, int version)
{
    WOLFSSL_METHOD *method = NULL;
    if (is_server) {
        method = version == 12 ? wolfTLSv1_2_server_method()
                               : wolfTLSv1_3_server_method();
    } else {
        method = version == 12 ? wolfTLSv1_2_client_method()
                               : wolfTLSv1_3_client_method();
    }
    WOLFSSL_CTX *ctx = wolfSSL_CTX_new(method);
    cr_assert_not_null(ctx);
    wolfSSL_CTX_set_session_cache_mode(ctx, WOLFSSL_SESS_CACHE_OFF);
    return ctx;
}

/* Tickets that hide nothing: wolfSSL's own way would allocate in the account of
 * the first connection for the context to keep. */
/* NOLINTNEXTLINE(readability-function-size): wolfSSL says what it is given */
static int rig_ticket(WOLFSSL *ssl, unsigned char *name, unsigned char *iv,
                      unsigned char *mac, int is_new, unsigned char *ticket,
                      int size, int *ret_size, void *arg)
{
    for (int i = 0; i < size; i++) {
        ticket[i] ^= 0x5a; /* wolfSSL sees to it that something was done */
    }
    if (is_new) {
        memset(name, 1, WOLFSSL_TICKET_NAME_SZ);
        memset(iv, 2, WOLFSSL_TICKET_IV_SZ);
        memset(mac, 3, WOLFSSL_TICKET_MAC_SZ);
    }
    *ret_size = size;
    return WOLFSSL_TICKET_RET_OK;
}

static weir_tls_context *rig_new_context(bool is_server,
                                         const struct tls_rig_options *options)
{
    weir_tls_context *context = malloc(sizeof(*context));
    const int version = is_server || !options->client_version
                            ? options->version
                            : options->client_version;
    cr_assert_eq(wr_tls_memory_start_library(), 0);
    *context = (weir_tls_context){
        .ctx = rig_new_ctx(is_server, version),
        .is_server = is_server,
        .references = 1,
        .options = options,
    };
    if (!is_server && options->client_is_old) {
        cr_assert_eq(wolfSSL_CTX_DisableExtendedMasterSecret(context->ctx),
                     WOLFSSL_SUCCESS);
    }
    if (is_server || options->client_certificate) {
        rig_use_certificate(context->ctx,
                            is_server && options->rsa ? "rsa" : "ecdsa");
    }
    const bool trusts =
        is_server ? options->wants_certificate : !options->no_trust;
    if (trusts) {
        cr_assert_eq(wolfSSL_CTX_load_verify_locations(
                         context->ctx, tls_file("ca.pem"), NULL),
                     WOLFSSL_SUCCESS);
    }
    wolfSSL_CTX_set_verify(context->ctx,
                           is_server && !options->wants_certificate
                               ? WOLFSSL_VERIFY_NONE
                               : WOLFSSL_VERIFY_PEER |
                                     WOLFSSL_VERIFY_FAIL_IF_NO_PEER_CERT,
                           NULL);
    /* Without a list the first connection would allocate one, in its account,
     * for the context to keep. */
    cr_assert_eq(
        wolfSSL_CTX_set_cipher_list(context->ctx, !is_server && options->ciphers
                                                      ? options->ciphers
                                                      : RIG_CIPHERS),
        WOLFSSL_SUCCESS);
    if (is_server) {
        wolfSSL_CTX_set_TicketEncCb(context->ctx, rig_ticket);
    }
    return context;
}

static int rig_set_up(weir_tls_context *context, WOLFSSL *ssl)
{
    const struct tls_rig_options *options = context->options;
    const char *alpn =
        context->is_server ? options->server_alpn : options->client_alpn;
    int ok = WOLFSSL_SUCCESS;
    if (alpn) {
        ok = wolfSSL_UseALPN(ssl, (char *)(uintptr_t)alpn,
                             (unsigned)strlen(alpn),
                             WOLFSSL_ALPN_FAILED_ON_MISMATCH);
    }
    if (ok == WOLFSSL_SUCCESS && !context->is_server) {
        ok = wolfSSL_UseSNI(ssl, WOLFSSL_SNI_HOST_NAME, "localhost", 9);
    }
    if (ok == WOLFSSL_SUCCESS && !context->is_server) {
        ok = wolfSSL_UseSessionTicket(ssl);
    }
    return ok == WOLFSSL_SUCCESS ? 0 : -ENOMEM;
}

int wr_tls_context_open(weir_tls_context *context,
                        const struct wr_tls_peer_options *options,
                        struct wr_tls_verdict *verdict,
                        struct wr_tls_conn *conn)
{
    const struct wr_tls_peer peer = {
        .shared = (struct wr_tls_shared *)context->ctx,
        .session = options->session,
    };
    cr_assert_not_null(verdict);
    conn->backend = wr_tls_backend_get();
    int err = conn->backend->open(conn, &peer);
    if (err < 0) {
        return err;
    }
    struct wr_tls_memory_scope before = wr_tls_memory_enter(
        wr_tls_memory_of(conn->account), WR_TLS_MEMORY_PLAIN);
    err = rig_set_up(context, conn->ssl);
    wr_tls_memory_leave(before);
    if (err < 0) {
        conn->backend->close(conn);
    }
    return err;
}

/* ---- the pair ---- */

void tls_rig_init(struct tls_pair *rig, const struct tls_rig_options *options)
{
    *rig = (struct tls_pair){
        .client.context = rig_new_context(false, options),
        .server.context = rig_new_context(true, options),
    };
    tls_account_open(&rig->account);
}

int tls_rig_open(struct tls_pair *rig, const struct tls_rig_options *options)
{
    const struct wr_tls_peer_options client = {
        .server_hostname = "localhost",
        .can_export = options->can_export,
        .session = options->session,
    };
    const struct wr_tls_peer_options server = {
        .can_export = options->can_export,
    };
    int err = tls_side_open(&rig->client, rig->client.context, &client,
                            &rig->account);
    if (err < 0) {
        return err;
    }
    err = tls_side_open(&rig->server, rig->server.context, &server,
                        &rig->account);
    if (err < 0) {
        wr_tls_engine_fini(&rig->client.engine);
    }
    return err;
}

void tls_rig_close(struct tls_pair *rig)
{
    wr_tls_engine_fini(&rig->client.engine);
    wr_tls_engine_fini(&rig->server.engine);
}

void tls_rig_connect(struct tls_pair *rig,
                     const struct tls_rig_options *options)
{
    tls_rig_init(rig, options);
    cr_assert_eq(tls_rig_open(rig, options), 0);
    tls_side_step(&rig->client);
    tls_pair_exchange(rig, TLS_BYTES);
    cr_assert_eq(rig->client.result, -EAGAIN, "%s",
                 wr_tls_engine_get_error_text(&rig->client.engine));
    cr_assert_eq(rig->server.result, -EAGAIN, "%s",
                 wr_tls_engine_get_error_text(&rig->server.engine));
    cr_assert_eq(rig->client.engine.state, WR_TLS_ENGINE_OPEN);
    cr_assert_eq(rig->server.engine.state, WR_TLS_ENGINE_OPEN);
}

void tls_rig_write(struct tls_side *side, const void *data, size_t len)
{
    const uint8_t *at = data;
    while (len > 0) {
        const size_t count = len < WR_TLS_RECORD_MAX ? len : WR_TLS_RECORD_MAX;
        cr_assert_eq(wr_tls_engine_write(&side->engine, at, count), 0);
        at += count;
        len -= count;
    }
    tls_side_flush(side);
}

void tls_rig_expect(struct tls_side *side, const void *data, size_t len)
{
    cr_assert_eq(side->plain_len, len);
    cr_assert_eq(memcmp(side->plain, data, len), 0);
    side->plain_len = 0;
}

void tls_rig_fill(uint8_t *data, size_t len, unsigned seed)
{
    for (size_t i = 0; i < len; i++) {
        seed = seed * 1103515245u + 12345u;
        data[i] = (uint8_t)(seed >> 16);
    }
}

/* ---- records of our own ---- */

struct rig_secret {
    uint8_t traffic[32];
    uint8_t key[16];
    uint8_t iv[12];
    uint64_t number; /* of the next record */
};

static struct rig_secret rig_secret;

static void rig_expand(uint8_t *out, unsigned size, const unsigned char *secret,
                       int secret_size, const char *label)
{
    const char *protocol = "tls13 ";
    expect_ok(wc_Tls13_HKDF_Expand_Label(
        out, size, secret, (unsigned)secret_size, (const uint8_t *)protocol, 6,
        (const uint8_t *)label, (unsigned)strlen(label), NULL, 0, WC_SHA256));
}

static void rig_use_secret(void)
{
    rig_secret.number = 0;
    rig_expand(rig_secret.key, 16, rig_secret.traffic, 32, "key");
    rig_expand(rig_secret.iv, 12, rig_secret.traffic, 32, "iv");
}

static int rig_note_secret(WOLFSSL *ssl, int id, const unsigned char *secret,
                           int size, void *arg)
{
    if (id == CLIENT_TRAFFIC_SECRET) {
        cr_assert_eq(size, (int)sizeof(rig_secret.traffic));
        memcpy(rig_secret.traffic, secret, sizeof(rig_secret.traffic));
        rig_use_secret();
    }
    return 0;
}

void tls_rig_seal_key_update(struct tls_pair *rig, bool asks)
{
    uint8_t next[32];
    const uint8_t message[] = {24, 0, 0, 1, asks};
    tls_rig_seal(rig, TLS_RIG_HANDSHAKE, message, sizeof(message));
    rig_expand(next, 32, rig_secret.traffic, 32, "traffic upd");
    memcpy(rig_secret.traffic, next, sizeof(next));
    rig_use_secret();
}

void tls_rig_seal(struct tls_pair *rig, uint8_t type, const void *data,
                  size_t len)
{
    uint8_t *record = rig->client.wire + rig->client.wire_len;
    const size_t sealed = len + 1 + 16;
    uint8_t *inner = malloc(len + 1);
    uint8_t nonce[12];
    Aes aes;

    memcpy(inner, data, len);
    inner[len] = type;
    memcpy(record,
           (uint8_t[]){23, 3, 3, (uint8_t)(sealed >> 8), (uint8_t)sealed}, 5);
    memcpy(nonce, rig_secret.iv, sizeof(nonce));
    for (unsigned i = 0; i < 8; i++) {
        nonce[11 - i] ^= (uint8_t)(rig_secret.number >> (8 * i));
    }
    rig_secret.number++;
    cr_assert_eq(wc_AesInit(&aes, NULL, INVALID_DEVID), 0);
    cr_assert_eq(wc_AesGcmSetKey(&aes, rig_secret.key, 16), 0);
    expect_ok(wc_AesGcmEncrypt(&aes, record + 5, inner, (unsigned)len + 1,
                               nonce, 12, record + 5 + len + 1, 16, record, 5));
    wc_AesFree(&aes);
    free(inner);
    rig->client.wire_len += 5 + sealed;
}

void tls_rig_connect_sealing(struct tls_pair *rig,
                             struct tls_rig_options *options)
{
    *options = (struct tls_rig_options){.version = 13,
                                        .ciphers = "TLS_AES_128_GCM_SHA256"};
    tls_rig_init(rig, options);
    cr_assert_eq(tls_rig_open(rig, options), 0);
    cr_assert_eq(wolfSSL_set_tls13_secret_cb(rig->client.engine.conn.ssl,
                                             rig_note_secret, NULL),
                 WOLFSSL_SUCCESS);
    tls_side_step(&rig->client);
    tls_pair_exchange(rig, TLS_BYTES);
    cr_assert_eq(rig->server.engine.state, WR_TLS_ENGINE_OPEN);
}

/* Contexts here let wolfSSL verify, and choose its alert. */
bool wr_tls_context_verifies(const weir_tls_context *context)
{
    cr_assert(context->references > 0);
    return false;
}

void wr_tls_context_log_secret(const weir_tls_context *context,
                               const struct wr_tls_conn *conn,
                               enum wr_tls_secret_kind kind,
                               struct wr_bytes secret)
{
    cr_assert(context->references > 0 && conn->ssl);
    cr_assert(kind <= WR_TLS_SECRET_EXPORTER && secret.size > 0);
}

bool wr_tls_context_must_choose(const weir_tls_context *context)
{
    return context->options->asks;
}

int wr_tls_context_choose_protocol(const weir_tls_context *context,
                                   struct wr_tls_conn *conn,
                                   const uint8_t *data, size_t size)
{
    cr_assert(context->is_server && conn->ssl);
    cr_assert(data || size == 0);
    return 0; /* it has its list from the beginning */
}

uint8_t wr_tls_context_lacking_kinds(const weir_tls_context *context,
                                     const struct wr_tls_offer *offer)
{
    cr_assert(context->is_server && offer);
    return 0; /* it has one certificate */
}

int wr_tls_context_choose(weir_tls_context *context,
                          struct wr_tls_verdict *verdict, const char *host,
                          uint8_t *ret_alert)
{
    cr_assert(context && verdict && ret_alert);
    return 0; /* and nothing is noted, as if the hello were not read */
}

void tls_rig_pairs(void (*body)(struct tls_pair *rig, int version))
{
    static struct tls_pair rig;

    for (int version = 12; version <= 13; version++) {
        tls_rig_connect(&rig, &(struct tls_rig_options){.version = version});
        body(&rig, version);
        tls_pair_disconnect(&rig);
    }
}
