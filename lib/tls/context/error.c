/*
 * The meaning of wolfSSL's errors: one of our codes for each of its numbers.
 *
 * A number that is not in the table counts as the peer's breach of the
 * protocol, because wolfSSL nearly always fails while it reads; wolfSSL's text
 * has the details (wr_tls_engine_get_error_text()).
 */
#include "error.h"

#include "uring/check.h"

#include <weir/error.h>

#include <errno.h>
#include <string.h>
#include <wolfssl/options.h>

#include <wolfssl/error-ssl.h>
#include <wolfssl/wolfcrypt/error-crypt.h>

struct error_row {
    int number; /* wolfSSL's */
    int code;   /* ours */
};

static const struct error_row error_rows[] = {
    {MEMORY_E, -ENOMEM},
    {MEMORY_ERROR, -ENOMEM},

    {ASN_AFTER_DATE_E, WEIR_ETLSEXPIRED},
    {ASN_BEFORE_DATE_E, WEIR_ETLSNOTYET},
    {ASN_NO_SIGNER_E, WEIR_ETLSISSUER},
    {ASN_SELF_SIGNED_E, WEIR_ETLSSELFSIGNED},
    {NOT_CA_ERROR, WEIR_ETLSPURPOSE},
    {DOMAIN_NAME_MISMATCH, WEIR_ETLSHOSTNAME},
    {IPADDR_MISMATCH, WEIR_ETLSHOSTNAME},
    {EXTKEYUSE_AUTH_E, WEIR_ETLSPURPOSE},
    {KEYUSE_SIGNATURE_E, WEIR_ETLSPURPOSE},
    {KEYUSE_ENCIPHER_E, WEIR_ETLSPURPOSE},
    {RSA_KEY_SIZE_E, WEIR_ETLSWEAK},
    {ECC_KEY_SIZE_E, WEIR_ETLSWEAK},
    {DH_KEY_SIZE_E, WEIR_ETLSWEAK},
    {ASN_NAME_INVALID_E, WEIR_ETLSCONSTRAINT},
    {ASN_PATHLEN_SIZE_E, WEIR_ETLSPATHLEN},
    {ASN_PATHLEN_INV_E, WEIR_ETLSPATHLEN},
    {MAX_CHAIN_ERROR, WEIR_ETLSPATHLEN},
    {ASN_CRIT_EXT_E, WEIR_ETLSCRITICAL},
    {ASN_PARSE_E, WEIR_ETLSBADCERT},
    {ASN_SIG_CONFIRM_E, WEIR_ETLSBADCERT},
    {ASN_SIG_HASH_E, WEIR_ETLSWEAK},
    {ASN_SIG_KEY_E, WEIR_ETLSBADCERT},
    {ASN_VERSION_E, WEIR_ETLSBADCERT},
    {ASN_DATE_SZ_E, WEIR_ETLSBADCERT},
    {ASN_UNKNOWN_OID_E, WEIR_ETLSBADCERT},
    {VERIFY_CERT_ERROR, WEIR_ETLSBADCERT},
    {NO_PEER_CERT, WEIR_ETLSNOCERT},
    {NO_PEER_VERIFY, WEIR_ETLSBADCERT},

    {FATAL_ERROR, WEIR_ETLSALERT},
    {VERIFY_MAC_ERROR, WEIR_ETLSRECORD},
    {DECRYPT_ERROR, WEIR_ETLSRECORD},
    {AES_GCM_AUTH_E, WEIR_ETLSRECORD},
    {MAC_CMP_FAILED_E, WEIR_ETLSRECORD},
    {VERSION_ERROR, WEIR_ETLSVERSION},
    {UNSUPPORTED_PROTO_VERSION, WEIR_ETLSVERSION},
    {MATCH_SUITE_ERROR, WEIR_ETLSCIPHER},
    {UNSUPPORTED_SUITE, WEIR_ETLSCIPHER},
    {KEY_SHARE_ERROR, WEIR_ETLSCIPHER},
    {ECC_CURVE_ERROR, WEIR_ETLSCIPHER},
    {UNKNOWN_ALPN_PROTOCOL_NAME_E, WEIR_ETLSALPN},
    {ALERT_COUNT_E, WEIR_ETLSFLOOD},
    {EXT_MASTER_SECRET_NEEDED_E, WEIR_ETLSCIPHER},

    {RNG_FAILURE_E, WEIR_ETLSENGINE},
    {WC_INIT_E, WEIR_ETLSENGINE},
    {BAD_MUTEX_E, WEIR_ETLSENGINE},
    {BAD_STATE_E, WEIR_ETLSENGINE},
    {BAD_FUNC_ARG, WEIR_ETLSENGINE},
    {NO_PRIVATE_KEY, WEIR_ETLSENGINE},
    {RSA_PRIVATE_ERROR, WEIR_ETLSENGINE},
    {RSA_SIGN_FAULT, WEIR_ETLSSIGN},
    {BUILD_MSG_ERROR, WEIR_ETLSENGINE},
    {TLS13_SECRET_CB_E, WEIR_ETLSENGINE},
    {ENCRYPT_ERROR, WEIR_ETLSENGINE},
    {INPUT_CASE_ERROR, WEIR_ETLSENGINE},
    {SEND_OOB_READ_E, WEIR_ETLSENGINE},
    {RECV_OVERFLOW_E, WEIR_ETLSENGINE},
};

struct error_alert {
    int alert;
    const char *text;
};

/* All that are registered for TLS. */
static const struct error_alert error_alerts[] = {
    {0, "The peer sent the alert 0: close_notify"},
    {10, "The peer sent the alert 10: unexpected_message"},
    {20, "The peer sent the alert 20: bad_record_mac"},
    {21, "The peer sent the alert 21: decryption_failed"},
    {22, "The peer sent the alert 22: record_overflow"},
    {30, "The peer sent the alert 30: decompression_failure"},
    {40, "The peer sent the alert 40: handshake_failure"},
    {41, "The peer sent the alert 41: no_certificate"},
    {42, "The peer sent the alert 42: bad_certificate"},
    {43, "The peer sent the alert 43: unsupported_certificate"},
    {44, "The peer sent the alert 44: certificate_revoked"},
    {45, "The peer sent the alert 45: certificate_expired"},
    {46, "The peer sent the alert 46: certificate_unknown"},
    {47, "The peer sent the alert 47: illegal_parameter"},
    {48, "The peer sent the alert 48: unknown_ca"},
    {49, "The peer sent the alert 49: access_denied"},
    {50, "The peer sent the alert 50: decode_error"},
    {51, "The peer sent the alert 51: decrypt_error"},
    {60, "The peer sent the alert 60: export_restriction"},
    {70, "The peer sent the alert 70: protocol_version"},
    {71, "The peer sent the alert 71: insufficient_security"},
    {80, "The peer sent the alert 80: internal_error"},
    {86, "The peer sent the alert 86: inappropriate_fallback"},
    {90, "The peer sent the alert 90: user_canceled"},
    {100, "The peer sent the alert 100: no_renegotiation"},
    {109, "The peer sent the alert 109: missing_extension"},
    {110, "The peer sent the alert 110: unsupported_extension"},
    {111, "The peer sent the alert 111: certificate_unobtainable"},
    {112, "The peer sent the alert 112: unrecognized_name"},
    {113, "The peer sent the alert 113: bad_certificate_status_response"},
    {114, "The peer sent the alert 114: bad_certificate_hash_value"},
    {115, "The peer sent the alert 115: unknown_psk_identity"},
    {116, "The peer sent the alert 116: certificate_required"},
    {117, "The peer sent the alert 117: general_error"},
    {120, "The peer sent the alert 120: no_application_protocol"},
    {121, "The peer sent the alert 121: ech_required"},
};

int wr_tls_error_code_of(int number)
{
    const size_t count = sizeof(error_rows) / sizeof(*error_rows);

    wr_assert(number < 0);
    for (size_t i = 0; i < count; i++) {
        if (error_rows[i].number == number) {
            return error_rows[i].code;
        }
    }
    return WEIR_ETLSPROTOCOL;
}

const char *wr_tls_error_alert_text(int alert)
{
    const size_t count = sizeof(error_alerts) / sizeof(*error_alerts);

    wr_assert(alert >= 0);
    for (size_t i = 0; i < count; i++) {
        if (error_alerts[i].alert == alert) {
            return error_alerts[i].text;
        }
    }
    return "The peer sent an alert that is not known here";
}

const char *wr_tls_error_alert_name(int alert)
{
    const char *name = strstr(wr_tls_error_alert_text(alert), ": ");

    return name ? name + 2 : "unassigned";
}
