/*
 * OpenSSL's errors: the queue of a thread, which the program may use, too, and
 * weir's code for each reason.
 *
 * wr_openssl_leave() removes the errors of the calls since wr_openssl_enter(),
 * and keeps the program's own errors. Only a step of a handshake loses the
 * program's errors, because OpenSSL itself empties the queue. SSL_get_error()
 * is not used, because it inspects the oldest error, which may be the
 * program's.
 *
 * Since 3.2 the newest error of a refused record is vague, and the error before
 * it has the reason. If the program has errors in the queue, the earlier error
 * cannot be reached, and the alert that was sent decides (ssl.c).
 *
 * A reason that is not in the table counts as a protocol violation by the peer,
 * because OpenSSL nearly always fails while it reads.
 */
#include "openssl.h"

#include "uring/check.h"

#include <weir/error.h>

#include <openssl/err.h>
#include <openssl/ssl.h>

#include <errno.h>
#include <limits.h>

/* Reason of the error that separates the program's errors from ours. */
#define ERROR_MARK 100
/* SSL_R_RECORD_LAYER_FAILURE, which is missing in headers before OpenSSL 3.2. A
 * program may run with a newer libssl than it was built with. */
#define ERROR_RECORD_LAYER 313

/* Other parts of OpenSSL use the same numbers for other reasons. So the table
 * applies only to errors of libssl, and to reasons common to all parts. */
struct error_reason {
    int reason;
    int code;
};

static const struct error_reason error_reasons[] = {
    {SSL_R_UNSUPPORTED_PROTOCOL, WEIR_ETLSVERSION},
    {SSL_R_WRONG_VERSION_NUMBER, WEIR_ETLSVERSION},
    {SSL_R_WRONG_SSL_VERSION, WEIR_ETLSVERSION},
    {SSL_R_UNKNOWN_PROTOCOL, WEIR_ETLSVERSION},
    {SSL_R_VERSION_TOO_LOW, WEIR_ETLSVERSION},
    {SSL_R_VERSION_TOO_HIGH, WEIR_ETLSVERSION},
    {SSL_R_NO_PROTOCOLS_AVAILABLE, WEIR_ETLSVERSION},

    {SSL_R_NO_SHARED_CIPHER, WEIR_ETLSCIPHER},
    {SSL_R_NO_CIPHERS_AVAILABLE, WEIR_ETLSCIPHER},
    {SSL_R_WRONG_CIPHER_RETURNED, WEIR_ETLSCIPHER},
    {SSL_R_UNKNOWN_CIPHER_RETURNED, WEIR_ETLSCIPHER},
    {SSL_R_NO_SUITABLE_SIGNATURE_ALGORITHM, WEIR_ETLSCIPHER},
    {SSL_R_NO_SHARED_SIGNATURE_ALGORITHMS, WEIR_ETLSCIPHER},
    {SSL_R_INCONSISTENT_EXTMS, WEIR_ETLSCIPHER},

    {SSL_R_NO_SUITABLE_KEY_SHARE, WEIR_ETLSGROUP},
    {SSL_R_NO_SHARED_GROUPS, WEIR_ETLSGROUP},
    {SSL_R_NO_SUITABLE_GROUPS, WEIR_ETLSGROUP},

    {SSL_R_DECRYPTION_FAILED, WEIR_ETLSRECORD},
    {SSL_R_DECRYPTION_FAILED_OR_BAD_RECORD_MAC, WEIR_ETLSRECORD},
    {SSL_R_BLOCK_CIPHER_PAD_IS_WRONG, WEIR_ETLSRECORD},

    {SSL_R_NO_APPLICATION_PROTOCOL, WEIR_ETLSALPN},
    {SSL_R_TOO_MANY_WARN_ALERTS, WEIR_ETLSFLOOD},
    {SSL_R_TOO_MANY_KEY_UPDATES, WEIR_ETLSFLOOD},
    {SSL_R_RECORD_TOO_SMALL, WEIR_ETLSFLOOD},

    {SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE, WEIR_ETLSNOCERT},
    {SSL_R_NO_CERTIFICATES_RETURNED, WEIR_ETLSNOCERT},
    {SSL_R_CERTIFICATE_VERIFY_FAILED, WEIR_ETLSBADCERT},
    {SSL_R_BAD_ECC_CERT, WEIR_ETLSBADCERT},
    {SSL_R_UNKNOWN_CERTIFICATE_TYPE, WEIR_ETLSBADCERT},
    {SSL_R_WRONG_CERTIFICATE_TYPE, WEIR_ETLSBADCERT},
    {SSL_R_UNABLE_TO_FIND_PUBLIC_KEY_PARAMETERS, WEIR_ETLSBADCERT},
    {SSL_R_SIGNATURE_FOR_NON_SIGNING_CERTIFICATE, WEIR_ETLSBADCERT},
    {SSL_R_EE_KEY_TOO_SMALL, WEIR_ETLSWEAK},
    {SSL_R_CA_KEY_TOO_SMALL, WEIR_ETLSWEAK},
    {SSL_R_CA_MD_TOO_WEAK, WEIR_ETLSWEAK},
    {SSL_R_DH_KEY_TOO_SMALL, WEIR_ETLSWEAK},

    {SSL_R_CALLBACK_FAILED, WEIR_ETLSENGINE},
    {SSL_R_LIBRARY_BUG, WEIR_ETLSENGINE},
    {SSL_R_NO_PRIVATE_KEY_ASSIGNED, WEIR_ETLSENGINE},
    {SSL_R_NO_CERTIFICATE_SET, WEIR_ETLSENGINE},

    {ERR_R_MALLOC_FAILURE, -ENOMEM},
    {ERR_R_ASN1_LIB, WEIR_ETLSBADCERT}, /* in a peer's certificate */
    {ERR_R_INTERNAL_ERROR, WEIR_ETLSENGINE},
    {ERR_R_EVP_LIB, WEIR_ETLSENGINE},
    {ERR_R_RAND_LIB, WEIR_ETLSENGINE},
    {ERR_R_CRYPTO_LIB, WEIR_ETLSENGINE},
};

static bool error_is_memory(unsigned long number)
{
    wr_assert(number <= UINT_MAX); /* fits ->number of a connection */
    if (ERR_SYSTEM_ERROR(number)) {
        return ERR_GET_REASON(number) == ENOMEM;
    }
    return number != 0 && ERR_GET_REASON(number) == ERR_R_MALLOC_FAILURE;
}

bool wr_openssl_is_vague(unsigned long number)
{
    wr_assert(number <= UINT_MAX);
    return ERR_GET_LIB(number) == ERR_LIB_SSL &&
           ERR_GET_REASON(number) == ERROR_RECORD_LAYER;
}

void wr_openssl_enter(struct wr_openssl_errors *errors)
{
    *errors = (struct wr_openssl_errors){.has_mark = ERR_peek_error() != 0};
    if (WR_UNLIKELY(errors->has_mark)) {
        wr_ignore(ERR_set_mark() != 1);
        ERR_raise(ERR_LIB_USER, ERROR_MARK);
    }
}

void wr_openssl_leave(struct wr_openssl_errors *errors)
{
    const unsigned long newest = ERR_peek_last_error();
    unsigned long next;

    wr_assert(errors->newest == 0);
    if (WR_LIKELY(newest == 0)) {
        return;
    }
    if (WR_UNLIKELY(errors->has_mark)) {
        wr_ignore(ERR_pop_to_mark() != 1); /* a handshake removes the mark */
        if (ERR_GET_LIB(newest) == ERR_LIB_USER &&
            ERR_GET_REASON(newest) == ERROR_MARK) {
            return;
        }
    }
    errors->newest = newest;
    errors->lacks_memory = error_is_memory(newest);
    while (!errors->has_mark && (next = ERR_get_error()) != 0) {
        errors->lacks_memory |= error_is_memory(next);
        errors->newest = wr_openssl_is_vague(next) ? errors->newest : next;
    }
}

int wr_openssl_code_of(unsigned long number)
{
    const size_t count = sizeof(error_reasons) / sizeof(*error_reasons);
    const int reason = number != 0 ? ERR_GET_REASON(number) : 0;

    wr_assert(reason >= 0);
    if (ERR_SYSTEM_ERROR(number)) { /* the reason is an errno */
        return reason == ENOMEM ? -ENOMEM : WEIR_ETLSENGINE;
    }
    if (reason >= SSL_AD_REASON_OFFSET && ERR_GET_LIB(number) == ERR_LIB_SSL &&
        reason < SSL_AD_REASON_OFFSET + UINT8_MAX) {
        return WEIR_ETLSALERT;
    }
    const bool is_ours =
        ERR_GET_LIB(number) == ERR_LIB_SSL || (reason & ERR_RFLAG_COMMON) != 0;
    for (size_t i = 0; is_ours && i < count; i++) {
        if (error_reasons[i].reason == reason) {
            return error_reasons[i].code;
        }
    }
    return number == 0 ? WEIR_ETLSENGINE : WEIR_ETLSPROTOCOL;
}

const char *wr_openssl_text_of(int number)
{
    const char *text =
        number != 0 ? ERR_reason_error_string((unsigned)number) : NULL;

    return text ? text : "OpenSSL gives no reason";
}
