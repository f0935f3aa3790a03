/*
 * Initializes OpenSSL, once for the process, and returns facts about it.
 *
 * weir uses the default library context, with the system's configuration, so
 * that its providers and its FIPS mode apply. Unless the program has
 * initialized libcrypto before, exit() does not free it, because loops that
 * still run on other threads would use freed memory. Algorithms are fetched
 * once, because otherwise OpenSSL searches the name each time.
 */
#include "openssl.h"

#include "uring/check.h"

#include <weir/error.h>

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>

#include <pthread.h>
#include <stdio.h>

#if OPENSSL_VERSION_NUMBER < 0x30000000L || defined(LIBRESSL_VERSION_NUMBER)
#error "weir needs OpenSSL 3"
#endif

static pthread_once_t start_once = PTHREAD_ONCE_INIT;
static int start_error;
static char start_text[256];

static EVP_MD *start_hashes[WR_X509_HASH_SHA512 + 1];
static EVP_CIPHER *start_aeads[WR_TLS_AEAD_CHACHA20 + 1];
static EVP_CIPHER *start_cbc;
static bool start_has_hybrid;

static const char *const start_hash_names[WR_X509_HASH_SHA512 + 1] = {
    [WR_X509_HASH_NONE] = "SHA1", /* for MGF1 of RSA-PSS, PBKDF2 */
    [WR_X509_HASH_SHA256] = "SHA2-256",
    [WR_X509_HASH_SHA384] = "SHA2-384",
    [WR_X509_HASH_SHA512] = "SHA2-512",
};

static const char *const start_aead_names[WR_TLS_AEAD_CHACHA20 + 1] = {
    [WR_TLS_AEAD_AES_128_GCM] = "AES-128-GCM",
    [WR_TLS_AEAD_AES_256_GCM] = "AES-256-GCM",
    [WR_TLS_AEAD_CHACHA20] = "ChaCha20-Poly1305",
};

/* Since 3.5 libssl has the hybrid group if a provider can create its keys. An
 * earlier libssl may know the group, but not the list syntax that selects key
 * shares. */
static void start_find_hybrid(void)
{
    EVP_KEYMGMT *keys = EVP_KEYMGMT_fetch(NULL, WR_OPENSSL_HYBRID, NULL);
    SSL_CTX *ctx = keys ? SSL_CTX_new(TLS_method()) : NULL;

    wr_assert(!start_has_hybrid);
    start_has_hybrid = ctx && SSL_CTX_set1_groups_list(
                                  ctx, "*?" WR_OPENSSL_HYBRID "/*?X25519") == 1;
    SSL_CTX_free(ctx);
    EVP_KEYMGMT_free(keys);
}

/* Usually a fault of the system's configuration is the reason. */
static void start_explain(void)
{
    const char *reason = ERR_reason_error_string(ERR_peek_last_error());

    wr_assert(start_error < 0);
    wr_ignore(snprintf(start_text, sizeof(start_text),
                       "OpenSSL does not start (%s): see openssl.cnf, or the "
                       "file that OPENSSL_CONF names",
                       reason ? reason : "it gives no reason") < 0);
}

static void start_library(void)
{
    wr_assert(start_error == 0);
    if (OPENSSL_init_ssl(OPENSSL_INIT_NO_ATEXIT, NULL) != 1) {
        start_error = WEIR_ETLSENGINE;
        start_explain();
        return;
    }
    for (int i = 0; i <= WR_X509_HASH_SHA512; i++) {
        start_hashes[i] = EVP_MD_fetch(NULL, start_hash_names[i], NULL);
        if (!start_hashes[i] && i != WR_X509_HASH_NONE) {
            start_error = WEIR_ETLSENGINE;
        }
    }
    for (int i = 0; i <= WR_TLS_AEAD_CHACHA20; i++) {
        start_aeads[i] = EVP_CIPHER_fetch(NULL, start_aead_names[i], NULL);
    }
    start_cbc = EVP_CIPHER_fetch(NULL, "AES-256-CBC", NULL);
    if (!start_aeads[WR_TLS_AEAD_AES_128_GCM] || !start_cbc) {
        start_error = WEIR_ETLSENGINE;
    }
    start_find_hybrid();
    if (start_error == 0) {
        start_error = wr_openssl_start_bio();
    }
    if (start_error < 0) {
        start_explain();
    }
}

int wr_openssl_start(void)
{
    struct wr_openssl_errors errors;

    wr_openssl_enter(&errors);
    const int err = pthread_once(&start_once, start_library);
    wr_openssl_leave(&errors);
    wr_assert(err == 0);
    return start_error;
}

const char *wr_openssl_start_text(void)
{
    wr_assert(start_error == 0 || start_text[0] != '\0');
    return start_error < 0 ? start_text : NULL;
}

const EVP_MD *wr_openssl_digest(enum wr_x509_hash hash)
{
    wr_assert(hash <= WR_X509_HASH_SHA512);
    return start_hashes[hash];
}

const EVP_CIPHER *wr_openssl_aead(enum wr_tls_aead_kind kind)
{
    wr_assert(kind <= WR_TLS_AEAD_CHACHA20);
    return start_aeads[kind];
}

const EVP_CIPHER *wr_openssl_cbc(void)
{
    wr_assert(start_cbc);
    return start_cbc;
}

/* Need not check that a FIPS module is loaded: without it wr_openssl_start()
 * finds no hash and fails. */
bool wr_openssl_is_fips(void)
{
    wr_assert(start_cbc || start_error < 0);
    return start_error == 0 &&
           EVP_default_properties_is_fips_enabled(NULL) == 1;
}

bool wr_openssl_has_hybrid(void)
{
    wr_assert(start_cbc || start_error < 0);
    return start_has_hybrid;
}

const char *wr_openssl_version(void)
{
    return OpenSSL_version(OPENSSL_VERSION_STRING);
}
