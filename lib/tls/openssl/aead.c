/*
 * Authenticated encryption of one message with libcrypto (AES-GCM,
 * ChaCha20-Poly1305).
 *
 * These are the primitives seal() and open_sealed() of the backend's table.
 */
#include "openssl.h"

#include "uring/check.h"

#include <weir/error.h>

#include <errno.h>
#include <limits.h>

static bool aead_begin(EVP_CIPHER_CTX *cipher, const struct wr_tls_aead *job,
                       bool seals)
{
    int size = 0;

    wr_assert(job->key && job->nonce && job->tag);
    wr_assert(job->size <= INT_MAX && job->beside.size <= INT_MAX);
    return wr_openssl_aead(job->kind) &&
           EVP_CipherInit_ex2(cipher, wr_openssl_aead(job->kind), job->key,
                              job->nonce, seals, NULL) == 1 &&
           (job->beside.size == 0 ||
            EVP_CipherUpdate(cipher, NULL, &size, job->beside.data,
                             (int)job->beside.size) == 1);
}

static int aead_run(EVP_CIPHER_CTX *cipher, const struct wr_tls_aead *job,
                    bool seals)
{
    int size = 0;

    wr_assert(job->size == 0 || (job->in && job->out));
    if (!aead_begin(cipher, job, seals) ||
        (job->size > 0 && EVP_CipherUpdate(cipher, job->out, &size, job->in,
                                           (int)job->size) != 1)) {
        return WEIR_ETLSENGINE;
    }
    if (seals) {
        return EVP_CipherFinal_ex(cipher, job->out + size, &size) == 1 &&
                       EVP_CIPHER_CTX_ctrl(cipher, EVP_CTRL_AEAD_GET_TAG,
                                           WR_TLS_AEAD_TAG, job->tag) == 1
                   ? 0
                   : WEIR_ETLSENGINE;
    }
    if (EVP_CIPHER_CTX_ctrl(cipher, EVP_CTRL_AEAD_SET_TAG, WR_TLS_AEAD_TAG,
                            job->tag) != 1) {
        return WEIR_ETLSENGINE;
    }
    return EVP_CipherFinal_ex(cipher, job->out + size, &size) == 1 ? 0
                                                                   : -EBADMSG;
}

static int aead_do(const struct wr_tls_aead *job, bool seals)
{
    struct wr_openssl_errors errors;

    wr_assert(job->kind <= WR_TLS_AEAD_CHACHA20);
    wr_openssl_enter(&errors);
    EVP_CIPHER_CTX *cipher = EVP_CIPHER_CTX_new();
    const int err = cipher ? aead_run(cipher, job, seals) : -ENOMEM;
    EVP_CIPHER_CTX_free(cipher); /* wipes the key */
    wr_openssl_leave(&errors);
    return err < 0 && errors.lacks_memory ? -ENOMEM : err;
}

int wr_openssl_seal(const struct wr_tls_aead *job)
{
    return aead_do(job, true);
}

int wr_openssl_open_sealed(const struct wr_tls_aead *job)
{
    return aead_do(job, false);
}
