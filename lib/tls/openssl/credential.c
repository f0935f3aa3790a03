/*
 * Certificates and their private key, from PEM texts.
 *
 * The providers of the system's configuration create a key. The key signs once
 * here, unless it is a wr_tls_signer, and is set in an SSL_CTX once. So an
 * unusable key is an error of the context, not of each handshake.
 *
 * EVP_PKEY_free() wipes the key. OpenSSL's PEM decoder does not wipe the memory
 * in which it decodes.
 */
#include "openssl.h"

#include "uring/check.h"

#include <weir/error.h>

#include <openssl/err.h>
#include <openssl/obj_mac.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#define CREDENTIAL_RSA_BITS  2048
#define CREDENTIAL_SIGNATURE 1024

int wr_openssl_credential_new(struct wr_tls_credential **ret)
{
    *ret = calloc(1, sizeof(**ret));
    return *ret ? 0 : -ENOMEM;
}

void wr_openssl_credential_free(struct wr_tls_credential *credential)
{
    if (!credential) {
        return;
    }
    X509_free(credential->leaf);
    sk_X509_pop_free(credential->issuers, X509_free);
    EVP_PKEY_free(credential->key);
    free(credential);
}

/* Returns true if TLS 1.3 has a signature for the key's curve. */
static bool credential_has_curve(EVP_PKEY *key)
{
    static const char *const curves[] = {SN_X9_62_prime256v1, SN_secp384r1,
                                         SN_secp521r1};
    char name[32];
    size_t len = 0;

    wr_assert(key != NULL);
    if (EVP_PKEY_get_group_name(key, name, sizeof(name), &len) != 1) {
        return false;
    }
    for (size_t i = 0; i < sizeof(curves) / sizeof(*curves); i++) {
        if (strcmp(name, curves[i]) == 0) {
            return true;
        }
    }
    return false;
}

static bool credential_is_strong(X509 *leaf)
{
    EVP_PKEY *key = X509_get0_pubkey(leaf);

    wr_assert(leaf != NULL);
    if (!key) {
        return false;
    }
    if (EVP_PKEY_is_a(key, "RSA") || EVP_PKEY_is_a(key, "RSA-PSS")) {
        return EVP_PKEY_get_bits(key) >= CREDENTIAL_RSA_BITS;
    }
    return EVP_PKEY_is_a(key, "ED25519") ||
           (EVP_PKEY_is_a(key, "EC") && credential_has_curve(key));
}

static int credential_read_chain(struct wr_tls_credential *credential,
                                 BIO *text)
{
    wr_assert(!credential->issuers);
    credential->leaf = PEM_read_bio_X509(text, NULL, NULL, NULL);
    credential->issuers = sk_X509_new_null();
    if (!credential->leaf || !credential->issuers) {
        return WEIR_ETLSFILE;
    }
    for (;;) {
        X509 *issuer = PEM_read_bio_X509(text, NULL, NULL, NULL);
        if (!issuer) {
            const unsigned long number = ERR_peek_last_error();
            return ERR_GET_LIB(number) == ERR_LIB_PEM &&
                           ERR_GET_REASON(number) == PEM_R_NO_START_LINE
                       ? 0
                       : WEIR_ETLSFILE;
        }
        if (sk_X509_push(credential->issuers, issuer) <= 0) {
            X509_free(issuer);
            return -ENOMEM;
        }
    }
}

int wr_openssl_credential_use_chain(struct wr_tls_credential *credential,
                                    const uint8_t *pem, size_t size)
{
    struct wr_openssl_errors errors;

    wr_assert(!credential->leaf && size <= INT_MAX);
    wr_openssl_enter(&errors);
    BIO *text = BIO_new_mem_buf(pem, (int)size);
    int err = text ? credential_read_chain(credential, text) : -ENOMEM;
    if (err == 0 && !credential_is_strong(credential->leaf)) {
        err = WEIR_ETLSFILE;
    }
    BIO_free(text);
    wr_openssl_leave(&errors);
    return err < 0 && errors.lacks_memory ? -ENOMEM : err;
}

static int credential_ask(char *buf, int size, int writes, void *arg)
{
    bool *is_encrypted = arg;

    (void)buf;
    (void)size;
    (void)writes;
    *is_encrypted = true;
    return -1;
}

static bool credential_says_encrypted(const uint8_t *pem, size_t size)
{
    static const char *const signs[] = {"-----BEGIN ENCRYPTED PRIVATE KEY-----",
                                        "Proc-Type: 4,ENCRYPTED"};

    wr_assert(pem || size == 0);
    for (size_t i = 0; i < sizeof(signs) / sizeof(*signs); i++) {
        if (size > 0 && memmem(pem, size, signs[i], strlen(signs[i]))) {
            return true;
        }
    }
    return false;
}

int wr_openssl_credential_use_key(struct wr_tls_credential *credential,
                                  const uint8_t *pem, size_t size)
{
    struct wr_openssl_errors errors;
    bool is_encrypted = false;

    wr_assert(pem || size == 0);
    wr_assert(!credential->key && size <= INT_MAX);
    wr_openssl_enter(&errors);
    BIO *text = BIO_new_mem_buf(pem, (int)size);
    if (text) {
        credential->key =
            PEM_read_bio_PrivateKey(text, NULL, credential_ask, &is_encrypted);
    }
    BIO_free(text);
    wr_openssl_leave(&errors);
    if (credential->key) {
        return 0;
    }
    return !text || errors.lacks_memory ? -ENOMEM
           : is_encrypted || credential_says_encrypted(pem, size)
               ? WEIR_ETLSPASSWORD
               : WEIR_ETLSNOKEY;
}

/* Does not read @key_info, because the public key is the leaf's, which weir has
 * already checked. */
int wr_openssl_credential_use_signer(struct wr_tls_credential *credential,
                                     struct wr_tls_signer *signer,
                                     struct wr_bytes key_info)
{
    struct wr_openssl_errors errors;

    wr_assert(credential->leaf && !credential->key && key_info.size > 0);
    wr_openssl_enter(&errors);
    credential->key =
        wr_openssl_signer_key(X509_get0_pubkey(credential->leaf), signer);
    credential->has_signer = true;
    wr_openssl_leave(&errors);
    return credential->key ? 0 : -ENOMEM;
}

static bool credential_signs(EVP_PKEY *key)
{
    static const uint8_t zeros[32];
    uint8_t signature[CREDENTIAL_SIGNATURE];
    size_t size = sizeof(signature);
    EVP_MD_CTX *signer = EVP_MD_CTX_new();

    wr_assert(key != NULL);
    const char *hash =
        EVP_PKEY_is_a(key, "ED25519") || EVP_PKEY_is_a(key, "ED448")
            ? NULL
            : "SHA2-256";
    const bool is_signed =
        signer &&
        EVP_DigestSignInit_ex(signer, NULL, hash, NULL, NULL, key, NULL) == 1 &&
        EVP_DigestSign(signer, signature, &size, zeros, sizeof(zeros)) == 1;
    EVP_MD_CTX_free(signer);
    return is_signed;
}

/* Sets the credential in an SSL_CTX, as a connection does, because the system's
 * security level may forbid the key or a signature of the chain. */
static int credential_try(const struct wr_tls_credential *credential)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());

    wr_assert(credential->leaf && credential->key);
    if (!ctx) {
        return -ENOMEM;
    }
    wr_openssl_raise_level(ctx);
    const bool is_shown =
        SSL_CTX_use_cert_and_key(ctx, credential->leaf, credential->key,
                                 credential->issuers, 1) == 1;
    SSL_CTX_free(ctx);
    if (is_shown) {
        return 0;
    }
    return wr_openssl_code_of(ERR_peek_last_error()) == WEIR_ETLSWEAK
               ? WEIR_ETLSWEAK
               : WEIR_ETLSSIGN;
}

int wr_openssl_credential_check(struct wr_tls_credential *credential)
{
    struct wr_openssl_errors errors;
    int err = 0;

    wr_assert(credential->leaf && credential->key);
    wr_openssl_enter(&errors);
    if (X509_check_private_key(credential->leaf, credential->key) != 1) {
        err = WEIR_ETLSMISMATCH;
    } else if (!credential->has_signer && !credential_signs(credential->key)) {
        err = WEIR_ETLSSIGN;
    } else {
        err = credential_try(credential);
    }
    wr_openssl_leave(&errors);
    return err < 0 && errors.lacks_memory ? -ENOMEM : err;
}
