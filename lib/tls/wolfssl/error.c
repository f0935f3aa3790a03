/*
 * Translates wolfSSL's error numbers to weir's codes.
 *
 * A number that is not in the table counts as the peer's protocol violation,
 * because wolfSSL nearly always fails while it reads; wolfSSL's text has the
 * details (wr_tls_engine_get_error_text()).
 */
#include "wolfssl.h"

#include <weir/error.h>

#include <errno.h>

struct error_row {
    int number; /* wolfSSL's */
    int code;   /* weir's */
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
    {WOLFSSL_FATAL_ERROR, WEIR_ETLSENGINE}, /* a failure of the RNG, too */
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

int wr_wolfssl_code_of(int number)
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

const char *wr_wolfssl_text_of(int number)
{
    wr_assert(number < 0);
    return wolfSSL_ERR_reason_error_string((unsigned long)-(long)number);
}
