/*
 * The engine's getters: the result of the handshake, and the error.
 *
 * They change nothing except wolfSSL's own buffers (the exporter), and answer
 * the same after the end.
 */
#include "engine_impl.h"
#include "lib/tls/context/error.h"

#include <weir/error.h>

#include <errno.h>
#include <string.h>

/* ---- the end ---- */

int wr_tls_engine_get_error(const struct wr_tls_engine *engine)
{
    wr_assert(engine->err <= 0);
    return engine->err;
}

const char *wr_tls_engine_get_error_text(const struct wr_tls_engine *engine)
{
    wr_assert(engine->err <= 0);
    if (engine->err == 0 || engine->err == -ENOMEM ||
        engine->err == WEIR_ETLSFLOOD || engine->number == 0) {
        return weir_strerror(engine->err);
    }
    if (engine->err == engine->verdict.err && engine->verdict.text) {
        return engine->verdict.text;
    }
    if (engine->err == WEIR_ETLSALERT && engine->alert_received >= 0) {
        return wr_tls_error_alert_text(engine->alert_received);
    }
    return wolfSSL_ERR_reason_error_string((unsigned long)-engine->number);
}

int wr_tls_engine_get_alert_received(const struct wr_tls_engine *engine)
{
    wr_assert(engine->alert_received >= -1);
    return engine->alert_received;
}

int wr_tls_engine_get_alert_sent(const struct wr_tls_engine *engine)
{
    wr_assert(engine->alert_sent >= -1);
    return engine->alert_sent;
}

const char *wr_tls_engine_get_alert_name(const struct wr_tls_engine *engine)
{
    wr_assert(engine->alert_received >= -1);
    return engine->err == WEIR_ETLSALERT && engine->alert_received >= 0
               ? wr_tls_error_alert_name(engine->alert_received)
               : NULL;
}

/* ---- what was agreed on ---- */

weir_tls_context *wr_tls_engine_get_context(const struct wr_tls_engine *engine)
{
    wr_assert(engine->context);
    return engine->verdict.chosen ? engine->verdict.chosen : engine->context;
}

/* True once the handshake was completed; before that there are no facts. */
static bool engine_facts_are_there(const struct wr_tls_engine *engine)
{
    wr_assert(!engine->was_open || engine->ssl != NULL);
    return engine->was_open;
}

const char *wr_tls_engine_get_version(const struct wr_tls_engine *engine)
{
    return engine_facts_are_there(engine) ? wolfSSL_get_version(engine->ssl)
                                          : NULL;
}

const char *wr_tls_engine_get_cipher(const struct wr_tls_engine *engine)
{
    if (!engine_facts_are_there(engine)) {
        return NULL;
    }
    const int suite = wolfSSL_get_current_cipher_suite(engine->ssl);
    wr_assert(suite > 0);
    return wolfSSL_get_cipher_name_iana_from_suite((unsigned char)(suite >> 8),
                                                   (unsigned char)suite);
}

int wr_tls_engine_get_cipher_bits(const struct wr_tls_engine *engine)
{
    const char *name = wr_tls_engine_get_cipher(engine);
    if (!name) {
        return 0;
    }
    return strstr(name, "AES_128") ? 128 : 256; /* AES-256 and ChaCha20 */
}

const char *wr_tls_engine_get_alpn(const struct wr_tls_engine *engine,
                                   size_t *ret_len)
{
    char *name = NULL;
    unsigned short len = 0;

    if (!engine_facts_are_there(engine) ||
        wolfSSL_ALPN_GetProtocol(engine->ssl, &name, &len) != WOLFSSL_SUCCESS) {
        return NULL;
    }
    wr_assert(name && len > 0);
    *ret_len = len;
    return name;
}

const char *wr_tls_engine_get_sni(const struct wr_tls_engine *engine)
{
    void *name = NULL;

    wr_assert(engine->ssl != NULL);
    if (!engine->is_server ||
        wolfSSL_SNI_GetRequest(engine->ssl, WOLFSSL_SNI_HOST_NAME, &name) ==
            0) {
        return NULL;
    }
    return name;
}

bool wr_tls_engine_was_resumed(const struct wr_tls_engine *engine)
{
    return engine_facts_are_there(engine) &&
           wolfSSL_session_reused(engine->ssl) != 0;
}

const uint8_t *
wr_tls_engine_get_peer_certificate(const struct wr_tls_engine *engine,
                                   uint32_t index, size_t *ret_size)
{
    const struct wr_tls_verdict *verdict = &engine->verdict;
    wr_assert(verdict->chain_count <= WR_X509_CHAIN_MAX);
    if (index >= verdict->chain_count) {
        return NULL;
    }
    *ret_size = verdict->chain[index].size;
    return verdict->chain[index].der;
}

/* ---- secrets ---- */

/* Without the extended master secret (RFC 7627) an attacker can make two TLS
 * 1.2 connections share one secret, so one peer would know the other
 * connection's keys. */
static bool engine_facts_has_own_secret(const struct wr_tls_engine *engine)
{
    wr_assert(engine->ssl != NULL);
    return engine->has_extended_secret ||
           wolfSSL_GetVersion(engine->ssl) == WOLFSSL_TLSV1_3;
}

int wr_tls_engine_export(struct wr_tls_engine *engine, const char *label,
                         const void *context, size_t context_len, void *out,
                         size_t out_len)
{
    wr_require(engine_facts_are_there(engine), -ENOTCONN);
    wr_require(engine->can_export, -EOPNOTSUPP);
    wr_require(engine_facts_has_own_secret(engine), -EOPNOTSUPP);
    wr_require(label && label[0] && out && out_len > 0, -EINVAL);
    wr_require(context_len <= UINT16_MAX && out_len <= UINT16_MAX, -EINVAL);
    wr_assert(engine->ssl && engine->memory);
    struct wr_tls_memory_scope before =
        wr_tls_memory_enter(engine->memory, WR_TLS_MEMORY_PLAIN);
    const int ret = wolfSSL_export_keying_material(
        engine->ssl, out, out_len, label, strlen(label), context, context_len,
        context != NULL);
    wr_tls_memory_leave(before);
    if (ret != WOLFSSL_SUCCESS) {
        return engine->memory->failed ? -ENOMEM : -EINVAL;
    }
    return 0;
}

int wr_tls_engine_get_session(struct wr_tls_engine *engine,
                              struct WOLFSSL_SESSION **ret)
{
    wr_require(!engine->is_server, -EOPNOTSUPP);
    wr_assert(engine->ssl != NULL);
    if (!engine->has_session || !engine_facts_are_there(engine)) {
        return -EAGAIN;
    }
    struct wr_tls_memory_scope before =
        wr_tls_memory_enter(NULL, WR_TLS_MEMORY_PLAIN);
    WOLFSSL_SESSION *session = wolfSSL_get1_session(engine->ssl);
    WOLFSSL_SESSION *copy = session ? wolfSSL_SESSION_dup(session) : NULL;
    wolfSSL_SESSION_free(session);
    wr_tls_memory_leave(before);
    if (!copy) {
        return -ENOMEM;
    }
    *ret = copy;
    return 0;
}
