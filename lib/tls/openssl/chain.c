/*
 * The peer's certificates on their way to weir, which alone decides.
 *
 * OpenSSL calls this in the place of X509_verify_cert() (RFC 8446, 4.4.2), and
 * so has no authorities, no lists and no rules of its own for a path. It only
 * verifies that the leaf's key has signed the handshake. Its alert for a
 * refused chain follows from the number that is set here.
 */
#include "openssl.h"

#include "uring/check.h"

#include <weir/error.h>

#include <openssl/x509_vfy.h>

#include <errno.h>

/* More certificates than any path has, so that weir sees that they are too
 * many. */
#define CHAIN_MAX 32

enum {
    CHAIN_BAD = 42, /* alerts */
    CHAIN_UNSUPPORTED = 43,
    CHAIN_REVOKED = 44,
    CHAIN_EXPIRED = 45,
    CHAIN_UNKNOWN = 46,
    CHAIN_UNKNOWN_CA = 48,
    CHAIN_INTERNAL = 80,
};

/* The number for which OpenSSL sends this alert. */
static int chain_number_of(uint8_t alert)
{
    switch (alert) {
    case CHAIN_UNSUPPORTED:
        return X509_V_ERR_INVALID_PURPOSE;
    case CHAIN_REVOKED:
        return X509_V_ERR_CERT_REVOKED;
    case CHAIN_EXPIRED:
        return X509_V_ERR_CERT_HAS_EXPIRED;
    case CHAIN_UNKNOWN:
        return X509_V_ERR_INVALID_EXTENSION;
    case CHAIN_UNKNOWN_CA:
        return X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY;
    case CHAIN_INTERNAL:
        return X509_V_ERR_OUT_OF_MEM;
    default:
        wr_assert(alert == CHAIN_BAD || alert == 0);
        return X509_V_ERR_CERT_REJECTED;
    }
}

/* Encodes the certificates; what the issuers signed is encoded as it was
 * sent. */
static int chain_encode(STACK_OF(X509) * from, struct wr_bytes *ret, int count)
{
    wr_assert(count <= CHAIN_MAX);
    for (int i = 0; i < count; i++) {
        unsigned char *der = NULL;
        const int size = i2d_X509(sk_X509_value(from, i), &der);
        if (size <= 0) {
            return -ENOMEM;
        }
        ret[i] = (struct wr_bytes){.data = der, .size = (size_t)size};
    }
    return 0;
}

static bool chain_judge(struct wr_tls_conn *conn, STACK_OF(X509) * sent,
                        uint8_t *ret_alert)
{
    struct wr_bytes certs[CHAIN_MAX] = {{.data = NULL}};
    int count = sk_X509_num(sent);

    wr_assert(conn->events->chain);
    wr_assert(count > 0);
    if (count > CHAIN_MAX) {
        count = CHAIN_MAX;
    }
    bool is_accepted = false;
    *ret_alert = CHAIN_INTERNAL;
    if (chain_encode(sent, certs, count) == 0) {
        is_accepted =
            conn->events->chain(conn, certs, (size_t)count, ret_alert);
    } else {
        conn->lacks_memory = true;
    }
    for (int i = 0; i < count; i++) {
        OPENSSL_free((void *)(uintptr_t)certs[i].data);
    }
    return is_accepted;
}

/* True if a key that OpenSSL could not decode as it read the certificate can be
 * decoded now: there was no memory then. */
static bool chain_decodes(const X509 *leaf)
{
    unsigned char *der = NULL;

    wr_assert(leaf != NULL);
    const int size = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(leaf), &der);

    if (size <= 0) {
        return true;
    }
    const unsigned char *at = der;
    EVP_PKEY *key = d2i_PUBKEY(NULL, &at, size);
    const bool is_good = key != NULL;
    EVP_PKEY_free(key);
    OPENSSL_free(der);
    return is_good;
}

/* True if OpenSSL can use the key of an accepted leaf. */
static bool chain_has_key(struct wr_tls_conn *conn, const X509 *leaf,
                          uint8_t *ret_alert)
{
    if (X509_get0_pubkey(leaf)) {
        return true;
    }
    if (chain_decodes(leaf)) {
        conn->lacks_memory = true;
        *ret_alert = CHAIN_INTERNAL;
        return false;
    }
    *ret_alert = conn->events->refused(conn, WEIR_ETLSBADCERT,
                                       "The peer's certificate cannot be "
                                       "used: OpenSSL cannot read its key");
    return false;
}

static int chain_callback(X509_STORE_CTX *store, void *arg)
{
    const SSL *ssl =
        X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
    struct wr_tls_conn *conn = wr_openssl_conn_of(ssl);
    STACK_OF(X509) *sent = X509_STORE_CTX_get0_untrusted(store);
    uint8_t alert = CHAIN_BAD;

    (void)arg;
    wr_assert(conn->ssl == ssl);
    wr_openssl_own_of(conn)->is_judged = true;
    const bool is_accepted =
        chain_judge(conn, sent, &alert) &&
        chain_has_key(conn, sk_X509_value(sent, 0), &alert);
    X509_STORE_CTX_set_error(store,
                             is_accepted ? X509_V_OK : chain_number_of(alert));
    return is_accepted;
}

void wr_openssl_use_chain(SSL_CTX *ctx)
{
    wr_assert(ctx != NULL);
    SSL_CTX_set_cert_verify_callback(ctx, chain_callback, NULL);
}
