/*
 * Certificates and their private keys.
 *
 * Each credential is read and checked in a WOLFSSL_CTX of its own, so that a
 * connection gets only valid ones. This context has no signing callbacks unless
 * the key is a wr_tls_signer, because with them wolfSSL accepts a public key as
 * a private key.
 */
#include "wolfssl.h"

#include <weir/error.h>

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

/* Charges no account, and clears earlier failures. */
static struct wr_tls_memory_scope credential_enter(void)
{
    wr_ignore(wr_tls_memory_take_failure());
    return wr_tls_memory_enter(NULL, WR_TLS_MEMORY_PLAIN);
}

/* Returns -ENOMEM instead of @err if an allocation has failed, because wolfSSL
 * often reports another error then. */
static int credential_leave(struct wr_tls_memory_scope before, int err)
{
    wr_tls_memory_leave(before);
    wr_assert(err <= 0);
    return wr_tls_memory_take_failure() ? -ENOMEM : err;
}

static int credential_copy(const uint8_t *data, size_t size, uint8_t **ret,
                           long *ret_size)
{
    wr_assert(!*ret && size > 0);
    *ret = malloc(size);
    if (!*ret) {
        return -ENOMEM;
    }
    memcpy(*ret, data, size);
    *ret_size = (long)size;
    return 0;
}

int wr_wolfssl_credential_new(struct wr_tls_credential **ret)
{
    struct wr_tls_credential *credential = calloc(1, sizeof(*credential));
    int err = 0;

    wr_require(credential, -ENOMEM);
    struct wr_tls_memory_scope before = credential_enter();
    credential->trial = wolfSSL_CTX_new(wolfSSLv23_server_method());
    if (!credential->trial) {
        err = -ENOMEM;
    } else {
        err = wr_wolfssl_set_strength(credential->trial);
    }
    err = credential_leave(before, err);
    if (err < 0) {
        wr_wolfssl_credential_free(credential);
        return err;
    }
    *ret = credential;
    return 0;
}

int wr_wolfssl_credential_use_chain(struct wr_tls_credential *credential,
                                    const uint8_t *pem, size_t size)
{
    struct wr_tls_memory_scope before = credential_enter();
    int err = wolfSSL_CTX_use_certificate_chain_buffer(
                  credential->trial, pem, (long)size) == WOLFSSL_SUCCESS
                  ? 0
                  : WEIR_ETLSFILE;

    wr_assert(size <= INT_MAX);
    err = credential_leave(before, err);
    return err < 0 ? err
                   : credential_copy(pem, size, &credential->chain,
                                     &credential->chain_size);
}

int wr_wolfssl_credential_use_key(struct wr_tls_credential *credential,
                                  const uint8_t *pem, size_t size)
{
    struct wr_tls_memory_scope before = credential_enter();
    int err = wolfSSL_CTX_use_PrivateKey_buffer(
        credential->trial, pem, (long)size, WOLFSSL_FILETYPE_PEM);

    wr_assert(size <= INT_MAX && credential->chain);
    err = err == WOLFSSL_SUCCESS              ? 0
          : memmem(pem, size, "ENCRYPTED", 9) ? WEIR_ETLSPASSWORD
                                              : WEIR_ETLSNOKEY;
    err = credential_leave(before, err);
    return err < 0 ? err
                   : credential_copy(pem, size, &credential->key,
                                     &credential->key_size);
}

/* Sets the signing callbacks first, so that wolfSSL accepts the public key. */
int wr_wolfssl_credential_use_signer(struct wr_tls_credential *credential,
                                     struct wr_tls_signer *signer,
                                     struct wr_bytes key_info)
{
    struct wr_x509_rsa_numbers rsa;

    wr_assert(credential->trial && !credential->key && !credential->signer);
    if (wr_x509_strength_find_rsa(key_info, &rsa) && !wr_wolfssl_leaves_rsa()) {
        return -EOPNOTSUPP;
    }
    struct wr_tls_memory_scope before = credential_enter();
    wr_wolfssl_use_rsa(credential->trial);
    wr_wolfssl_use_signers(credential->trial);
    int err = wolfSSL_CTX_use_PrivateKey_buffer(
                  credential->trial, key_info.data, (long)key_info.size,
                  WOLFSSL_FILETYPE_ASN1) == WOLFSSL_SUCCESS
                  ? 0
                  : WEIR_ETLSFILE;
    err = credential_leave(before, err);
    credential->signer = signer;
    return err < 0 ? err
                   : credential_copy(key_info.data, key_info.size,
                                     &credential->key, &credential->key_size);
}

int wr_wolfssl_credential_check(struct wr_tls_credential *credential)
{
    struct wr_tls_memory_scope before = credential_enter();
    int err = credential->signer || wolfSSL_CTX_check_private_key(
                                        credential->trial) == WOLFSSL_SUCCESS
                  ? 0
                  : WEIR_ETLSMISMATCH;

    wr_assert(credential->key && !credential->rsa_key);
    wolfSSL_CTX_free(credential->trial);
    credential->trial = NULL;
    if (err == 0 && !credential->signer) {
        err = wr_wolfssl_read_rsa(credential->key, credential->key_size,
                                  &credential->rsa_key);
    }
    return credential_leave(before, err);
}

void wr_wolfssl_credential_free(struct wr_tls_credential *credential)
{
    if (!credential) {
        return;
    }
    struct wr_tls_memory_scope before =
        wr_tls_memory_enter(NULL, WR_TLS_MEMORY_PLAIN);
    wolfSSL_CTX_free(credential->trial);
    wr_wolfssl_free_rsa(credential->rsa_key);
    wr_tls_memory_leave(before);
    if (credential->key) {
        explicit_bzero(credential->key, (size_t)credential->key_size);
    }
    free(credential->key);
    free(credential->chain);
    free(credential);
}
