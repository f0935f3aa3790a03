/*
 * The engine's getters: the result of the handshake, and the error.
 *
 * The getters return the same values after the connection has ended, and only
 * the exporter changes memory of the TLS library.
 */
#include "engine_impl.h"
#include "lib/tls/context/suites.h"

#include <weir/error.h>

#include <errno.h>
#include <string.h>

struct engine_facts_alert {
    int alert;
    const char *text;
};

#define ENGINE_FACTS_ALERT(number, name)                                       \
    {                                                                          \
        number, "The peer sent the alert " #number ": " #name                  \
    }

/* All alerts registered for TLS. A peer may send other numbers. */
static const struct engine_facts_alert engine_facts_alerts[] = {
    ENGINE_FACTS_ALERT(0, close_notify),
    ENGINE_FACTS_ALERT(10, unexpected_message),
    ENGINE_FACTS_ALERT(20, bad_record_mac),
    ENGINE_FACTS_ALERT(21, decryption_failed),
    ENGINE_FACTS_ALERT(22, record_overflow),
    ENGINE_FACTS_ALERT(30, decompression_failure),
    ENGINE_FACTS_ALERT(40, handshake_failure),
    ENGINE_FACTS_ALERT(41, no_certificate),
    ENGINE_FACTS_ALERT(42, bad_certificate),
    ENGINE_FACTS_ALERT(43, unsupported_certificate),
    ENGINE_FACTS_ALERT(44, certificate_revoked),
    ENGINE_FACTS_ALERT(45, certificate_expired),
    ENGINE_FACTS_ALERT(46, certificate_unknown),
    ENGINE_FACTS_ALERT(47, illegal_parameter),
    ENGINE_FACTS_ALERT(48, unknown_ca),
    ENGINE_FACTS_ALERT(49, access_denied),
    ENGINE_FACTS_ALERT(50, decode_error),
    ENGINE_FACTS_ALERT(51, decrypt_error),
    ENGINE_FACTS_ALERT(60, export_restriction),
    ENGINE_FACTS_ALERT(70, protocol_version),
    ENGINE_FACTS_ALERT(71, insufficient_security),
    ENGINE_FACTS_ALERT(80, internal_error),
    ENGINE_FACTS_ALERT(86, inappropriate_fallback),
    ENGINE_FACTS_ALERT(90, user_canceled),
    ENGINE_FACTS_ALERT(100, no_renegotiation),
    ENGINE_FACTS_ALERT(109, missing_extension),
    ENGINE_FACTS_ALERT(110, unsupported_extension),
    ENGINE_FACTS_ALERT(111, certificate_unobtainable),
    ENGINE_FACTS_ALERT(112, unrecognized_name),
    ENGINE_FACTS_ALERT(113, bad_certificate_status_response),
    ENGINE_FACTS_ALERT(114, bad_certificate_hash_value),
    ENGINE_FACTS_ALERT(115, unknown_psk_identity),
    ENGINE_FACTS_ALERT(116, certificate_required),
    ENGINE_FACTS_ALERT(117, general_error),
    ENGINE_FACTS_ALERT(120, no_application_protocol),
    ENGINE_FACTS_ALERT(121, ech_required),
};

const char *wr_tls_engine_alert_text(int alert)
{
    const size_t count =
        sizeof(engine_facts_alerts) / sizeof(*engine_facts_alerts);

    wr_assert(alert >= 0);
    for (size_t i = 0; i < count; i++) {
        if (engine_facts_alerts[i].alert == alert) {
            return engine_facts_alerts[i].text;
        }
    }
    return "The peer sent an alert that is not known here";
}

const char *wr_tls_engine_alert_name(int alert)
{
    const char *name = strstr(wr_tls_engine_alert_text(alert), ": ");

    return name ? name + 2 : "unassigned";
}

const char *wr_tls_engine_get_error_text(const struct wr_tls_engine *engine)
{
    wr_assert(engine->err <= 0);
    const struct wr_tls_conn *conn = &engine->conn;
    if (engine->err == 0 || engine->err == -ENOMEM ||
        engine->err == WEIR_ETLSFLOOD) {
        return weir_strerror(engine->err);
    }
    if (engine->err == engine->verdict.err && engine->verdict.text) {
        return engine->verdict.text;
    }
    if (engine->oversized) {
        return "record layer length error";
    }
    if (engine->err == WEIR_ETLSALERT && engine->alert_received >= 0) {
        return wr_tls_engine_alert_text(engine->alert_received);
    }
    if (conn->number == 0) {
        return weir_strerror(engine->err);
    }
    return conn->backend->text_of(conn->number);
}

int wr_tls_engine_get_alert_received(const struct wr_tls_engine *engine)
{
    wr_assert(engine->alert_received >= -1);
    return engine->alert_received;
}

const char *wr_tls_engine_get_alert_name(const struct wr_tls_engine *engine)
{
    wr_assert(engine->alert_received >= -1);
    return engine->err == WEIR_ETLSALERT && engine->alert_received >= 0
               ? wr_tls_engine_alert_name(engine->alert_received)
               : NULL;
}

weir_tls_context *wr_tls_engine_get_context(const struct wr_tls_engine *engine)
{
    wr_assert(engine->context);
    return engine->verdict.chosen ? engine->verdict.chosen : engine->context;
}

static bool engine_facts_are_there(const struct wr_tls_engine *engine)
{
    wr_assert(!engine->was_open || engine->conn.ssl);
    return engine->was_open;
}

const char *wr_tls_engine_get_version(const struct wr_tls_engine *engine)
{
    const struct wr_tls_conn *conn = &engine->conn;

    if (!engine_facts_are_there(engine)) {
        return NULL;
    }
    return conn->backend->get_version(conn) == WR_TLS_VERSION_1_3 ? "TLSv1.3"
                                                                  : "TLSv1.2";
}

const char *wr_tls_engine_get_cipher(const struct wr_tls_engine *engine)
{
    const struct wr_tls_conn *conn = &engine->conn;

    return engine_facts_are_there(engine)
               ? wr_tls_suites_name_of(conn->backend->get_suite(conn))
               : NULL;
}

int wr_tls_engine_get_cipher_bits(const struct wr_tls_engine *engine)
{
    const char *name = wr_tls_engine_get_cipher(engine);
    if (!name) {
        return 0;
    }
    return strstr(name, "AES_128") ? 128 : 256; /* AES-256 and ChaCha20 */
}

const char *wr_tls_engine_get_group(const struct wr_tls_engine *engine)
{
    const struct wr_tls_conn *conn = &engine->conn;

    return engine_facts_are_there(engine)
               ? wr_tls_suites_name_of_group(conn->backend->get_group(conn))
               : NULL;
}

const char *wr_tls_engine_get_alpn(const struct wr_tls_engine *engine,
                                   size_t *ret_len)
{
    const struct wr_tls_conn *conn = &engine->conn;

    return engine_facts_are_there(engine)
               ? conn->backend->get_protocol(conn, ret_len)
               : NULL;
}

const char *wr_tls_engine_get_sni(const struct wr_tls_engine *engine)
{
    const struct wr_tls_conn *conn = &engine->conn;

    wr_assert(conn->ssl);
    return conn->is_server ? conn->backend->get_name(conn) : NULL;
}

bool wr_tls_engine_was_resumed(const struct wr_tls_engine *engine)
{
    return engine_facts_are_there(engine) &&
           engine->conn.backend->was_resumed(&engine->conn);
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

/* Returns false if another connection may have the same secret. Without the
 * extended master secret (RFC 7627) an attacker can make two TLS 1.2
 * connections share one secret, so that a peer of one knows the keys of the
 * other. */
static bool engine_facts_has_own_secret(const struct wr_tls_engine *engine)
{
    const struct wr_tls_conn *conn = &engine->conn;

    wr_assert(conn->ssl);
    return engine->has_extended_secret ||
           conn->backend->get_version(conn) == WR_TLS_VERSION_1_3;
}

int wr_tls_engine_export(struct wr_tls_engine *engine, const char *label,
                         const void *context, size_t context_len, void *out,
                         size_t out_len)
{
    wr_require(engine_facts_are_there(engine), -ENOTCONN);
    wr_require(engine->conn.can_export, -EOPNOTSUPP);
    wr_require(engine_facts_has_own_secret(engine), -EOPNOTSUPP);
    wr_require(label && label[0] && out && out_len > 0, -EINVAL);
    wr_require(context_len <= UINT16_MAX && out_len <= UINT16_MAX, -EINVAL);
    const struct wr_tls_export job = {
        .label = label,
        .context = context,
        .context_size = context_len,
        .out = out,
        .size = out_len,
    };
    return engine->conn.backend->export_keys(&engine->conn, &job);
}

int wr_tls_engine_get_session(struct wr_tls_engine *engine,
                              struct wr_tls_known **ret)
{
    wr_require(!engine->conn.is_server, -EOPNOTSUPP);
    wr_assert(engine->conn.ssl);
    if (!engine->has_session || !engine_facts_are_there(engine)) {
        return -EAGAIN;
    }
    return engine->conn.backend->session_take(&engine->conn, ret);
}
