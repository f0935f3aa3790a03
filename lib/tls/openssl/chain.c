/*
 * Passes the peer's certificates to weir, which accepts or refuses them.
 *
 * weir verifies the Certificate message before libssl reads it (chain_note()),
 * and leaves only the leaf's key in it, in a minimal certificate of the same
 * size. So libssl's parser cannot change the verdict, and a certificate that
 * the path does not need cannot end the handshake. libssl calls
 * chain_callback() instead of X509_verify_cert(), and then only verifies that
 * the leaf's key has signed the handshake. The X509_V_ERR number that the
 * callback sets selects the alert for a refused chain.
 *
 * OpenSSL does not document that a program may change a message. So weir does
 * not rely on the change: whatever libssl has parsed, the key of its leaf must
 * be the key that weir has verified (chain_has_key()). If libssl did not call
 * chain_note() for a message, the peer is refused.
 */
#include "openssl.h"

#include "lib/x509/bare.h"
#include "lib/x509/certificate.h"
#include "uring/alloc.h"
#include "uring/check.h"

#include <weir/error.h>

#include <openssl/x509_vfy.h>

#include <string.h>

#define CHAIN_MAX    32
#define CHAIN_LENGTH 3

enum {
    CHAIN_BAD = 42, /* alerts */
    CHAIN_UNSUPPORTED = 43,
    CHAIN_REVOKED = 44,
    CHAIN_EXPIRED = 45,
    CHAIN_UNKNOWN = 46,
    CHAIN_UNKNOWN_CA = 48,
    CHAIN_INTERNAL = 80,
};

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

struct chain_list {
    struct wr_bytes entries;
    struct wr_bytes certs[CHAIN_MAX];
    size_t count;
    bool has_more; /* an entry has extensions, which weir never requests */
};

/* RFC 5246, 7.4.2; RFC 8446, 4.4.2. @message has its header. Returns false if
 * it is malformed or has no certificate. */
static bool chain_read(struct chain_list *ret, struct wr_bytes message,
                       bool is_newest)
{
    struct wr_bytes part;

    *ret = (struct chain_list){.count = 0};
    if (!wr_bytes_take(&message, SSL3_HM_HEADER_LENGTH, &part) ||
        (is_newest && !wr_bytes_take_vector(&message, 1, &part)) ||
        !wr_bytes_take_vector(&message, CHAIN_LENGTH, &ret->entries) ||
        message.size > 0) {
        return false;
    }
    part = ret->entries;
    while (part.size > 0) {
        struct wr_bytes cert;
        struct wr_bytes more = {.size = 0};
        if (!wr_bytes_take_vector(&part, CHAIN_LENGTH, &cert) ||
            (is_newest && !wr_bytes_take_vector(&part, 2, &more))) {
            return false;
        }
        ret->has_more |= more.size > 0;
        if (ret->count < CHAIN_MAX) {
            ret->certs[ret->count++] = cert;
        }
    }
    return ret->count > 0;
}

static bool chain_write_entry(uint8_t *to, size_t size, bool is_newest,
                              struct wr_bytes key)
{
    const size_t around = CHAIN_LENGTH + (is_newest ? 2u : 0u);

    if (size < around ||
        !wr_x509_bare_write(to + CHAIN_LENGTH, size - around, key)) {
        return false;
    }
    to[0] = (uint8_t)((size - around) >> 16);
    to[1] = (uint8_t)((size - around) >> 8);
    to[2] = (uint8_t)(size - around);
    memset(to + size - (around - CHAIN_LENGTH), 0, around - CHAIN_LENGTH);
    return true;
}

/* Replaces the certificates by one minimal certificate with the leaf's key and,
 * if both fit, a second one that fills the rest. If no minimal certificate
 * fits, libssl reads the original ones. libssl has already hashed the
 * message. */
static void chain_replace(const struct chain_list *list, bool is_newest,
                          struct wr_bytes key)
{
    const struct wr_bytes none = {.data = NULL};
    uint8_t *to = (void *)(uintptr_t)list->entries.data;
    const size_t size = list->entries.size;
    const size_t first =
        list->certs->size + CHAIN_LENGTH + (is_newest ? 2u : 0u);

    wr_assert(first <= size);
    if (first == size ||
        !chain_write_entry(to + first, size - first, is_newest, none)) {
        wr_ignore(!chain_write_entry(to, size, is_newest, key));
    } else if (!chain_write_entry(to, first, is_newest, key)) {
        wr_ignore(!chain_write_entry(to, size, is_newest, key));
    }
}

void wr_openssl_forget_key(struct wr_tls_conn *conn)
{
    struct wr_openssl_own *own = wr_openssl_own_of(conn);

    wr_assert(own->key || own->key_size == 0);
    wr_free(conn->account->allocator, own->key, own->key_size);
    own->key = NULL;
    own->key_size = 0;
}

/* Keeps the key of an accepted leaf until libssl has parsed its certificate. */
static bool chain_keep_key(struct wr_tls_conn *conn, struct wr_bytes leaf)
{
    struct wr_openssl_own *own = wr_openssl_own_of(conn);
    struct wr_x509 x509;

    wr_openssl_forget_key(conn);
    own->alert = CHAIN_INTERNAL; /* the alert if this fails */
    if (wr_x509_read(&x509, leaf.data, leaf.size) < 0) {
        return false;
    }
    own->key = wr_alloc(conn->account->allocator, x509.key_info.size);
    if (!own->key) {
        conn->lacks_memory = true;
        return false;
    }
    own->key_size = x509.key_info.size;
    memcpy(own->key, x509.key_info.data, own->key_size);
    return true;
}

/* Verifies a received Certificate message, and replaces its certificates in
 * place. libssl calls this for each record and message of a handshake; a
 * received message is complete and not yet parsed. libssl itself refuses a
 * malformed message. */
/* NOLINTNEXTLINE(readability-function-size): OpenSSL sets the parameters */
static void chain_note(int is_sent, int version, int type, const void *data,
                       size_t size, SSL *ssl, void *arg)
{
    const struct wr_bytes message = {.data = data, .size = size};
    const bool is_newest = version == TLS1_3_VERSION;
    struct chain_list list;

    (void)arg;
    if (is_sent || type != SSL3_RT_HANDSHAKE || size == 0 ||
        message.data[0] != SSL3_MT_CERTIFICATE ||
        !chain_read(&list, message, is_newest) || list.has_more) {
        return;
    }
    struct wr_tls_conn *conn = wr_openssl_conn_of(ssl);
    struct wr_openssl_own *own = wr_openssl_own_of(conn);
    own->is_judged = true;
    own->has_verdict = true;
    own->alert = CHAIN_INTERNAL;
    own->is_accepted =
        conn->events->chain(conn, list.certs, list.count, &own->alert) &&
        chain_keep_key(conn, list.certs[0]);
    chain_replace(&list, is_newest, (struct wr_bytes){own->key, own->key_size});
}

static bool chain_decodes(struct wr_bytes key)
{
    const unsigned char *at = key.data;
    EVP_PKEY *decoded = d2i_PUBKEY(NULL, &at, (long)key.size);
    const bool is_good = decoded != NULL;

    EVP_PKEY_free(decoded);
    return is_good;
}

/* Returns true if libssl has the key that weir has verified, and can use it. If
 * libssl could not decode the key when it read the certificate, but can do so
 * now, memory had run out. */
static bool chain_has_key(struct wr_tls_conn *conn, const X509 *leaf,
                          uint8_t *ret_alert)
{
    const struct wr_openssl_own *own = wr_openssl_own_of(conn);
    const struct wr_bytes judged = {own->key, own->key_size};
    unsigned char *der = NULL;

    wr_assert(judged.data && leaf);
    const int size = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(leaf), &der);
    const struct wr_bytes read = {der, size > 0 ? (size_t)size : 0};
    const bool is_same = wr_der_is_equal(&read, &judged);
    OPENSSL_free(der);
    if (is_same && X509_get0_pubkey(leaf)) {
        return true;
    }
    if (size <= 0 || (is_same && chain_decodes(judged))) {
        conn->lacks_memory = true;
        *ret_alert = CHAIN_INTERNAL;
        return false;
    }
    *ret_alert =
        conn->events->refused(conn, WEIR_ETLSBADCERT,
                              is_same ? "OpenSSL cannot read its key"
                                      : "OpenSSL has read another key in it");
    return false;
}

static int chain_callback(X509_STORE_CTX *store, void *arg)
{
    const SSL *ssl =
        X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
    struct wr_tls_conn *conn = wr_openssl_conn_of(ssl);
    struct wr_openssl_own *own = wr_openssl_own_of(conn);
    uint8_t alert = own->alert;

    (void)arg;
    wr_assert(conn->ssl == ssl);
    const bool is_accepted =
        own->has_verdict && own->is_accepted &&
        chain_has_key(conn, X509_STORE_CTX_get0_cert(store), &alert);
    own->has_verdict = false;
    wr_openssl_forget_key(conn);
    X509_STORE_CTX_set_error(store,
                             is_accepted ? X509_V_OK : chain_number_of(alert));
    return is_accepted;
}

void wr_openssl_use_chain(SSL_CTX *ctx)
{
    wr_assert(ctx != NULL);
    SSL_CTX_set_msg_callback(ctx, chain_note);
    SSL_CTX_set_cert_verify_callback(ctx, chain_callback, NULL);
}
