/*
 * Key derivation from passphrases, and AES-CBC, for encrypted private keys.
 *
 * Algorithms come from the providers of the system's configuration. A FIPS
 * module has no MD5, so keys in OpenSSL's traditional format cannot be
 * decrypted.
 */
#include "openssl.h"

#include "uring/check.h"

#include <openssl/evp.h>

#include <errno.h>
#include <limits.h>
#include <string.h>

enum { UNLOCK_MD5 = 16 };

/* Each block is the MD5 of the previous block, the password and the salt, as in
 * EVP_BytesToKey() with one round. */
static int unlock_derive_old(const struct wr_tls_derive *job, EVP_MD_CTX *hash,
                             const EVP_MD *md5)
{
    uint8_t block[UNLOCK_MD5];
    size_t size = 0;
    bool is_good = true;

    wr_assert(job->rounds == 1);
    for (size_t at = 0; is_good && at < job->size; at += size) {
        is_good = EVP_DigestInit_ex2(hash, md5, NULL) == 1 &&
                  EVP_DigestUpdate(hash, block, at == 0 ? 0 : sizeof(block)) &&
                  EVP_DigestUpdate(hash, job->password.data,
                                   job->password.size) == 1 &&
                  EVP_DigestUpdate(hash, job->salt.data, job->salt.size) == 1 &&
                  EVP_DigestFinal_ex(hash, block, NULL) == 1;
        size = wr_min_u64(sizeof(block), job->size - at);
        memcpy(job->out + at, block, size);
    }
    explicit_bzero(block, sizeof(block));
    return is_good ? 0 : -ENOMEM;
}

static int unlock_derive_by_md5(const struct wr_tls_derive *job)
{
    EVP_MD *md5 = EVP_MD_fetch(NULL, "MD5", NULL);
    EVP_MD_CTX *hash = EVP_MD_CTX_new();
    const int err = !md5    ? -EOPNOTSUPP
                    : !hash ? -ENOMEM
                            : unlock_derive_old(job, hash, md5);

    wr_assert(job->kind == WR_TLS_DERIVE_MD5);
    EVP_MD_CTX_free(hash);
    EVP_MD_free(md5);
    return err;
}

static const EVP_MD *unlock_hash(enum wr_tls_derive_kind kind)
{
    wr_assert(kind != WR_TLS_DERIVE_MD5);
    return wr_openssl_digest(
        kind == WR_TLS_DERIVE_PBKDF2_SHA1     ? WR_X509_HASH_NONE
        : kind == WR_TLS_DERIVE_PBKDF2_SHA256 ? WR_X509_HASH_SHA256
        : kind == WR_TLS_DERIVE_PBKDF2_SHA384 ? WR_X509_HASH_SHA384
                                              : WR_X509_HASH_SHA512);
}

int wr_openssl_derive(const struct wr_tls_derive *job)
{
    struct wr_openssl_errors errors;
    int err = 0;

    wr_assert(job->size <= WR_TLS_DERIVED_MAX);
    wr_assert(job->password.size <= INT_MAX && job->rounds <= INT_MAX);
    wr_openssl_enter(&errors);
    if (job->kind == WR_TLS_DERIVE_MD5) {
        err = unlock_derive_by_md5(job);
    } else if (!unlock_hash(job->kind) ||
               PKCS5_PBKDF2_HMAC(
                   (const char *)job->password.data, (int)job->password.size,
                   job->salt.data, (int)job->salt.size, (int)job->rounds,
                   unlock_hash(job->kind), (int)job->size, job->out) != 1) {
        err = -EOPNOTSUPP;
    }
    wr_openssl_leave(&errors);
    return err < 0 && errors.lacks_memory ? -ENOMEM : err;
}

struct unlock_cbc {
    struct wr_bytes key;
    const uint8_t *iv;
    uint8_t *data;
    size_t size;
};

static int unlock_run(EVP_CIPHER_CTX *ctx, const EVP_CIPHER *cipher,
                      const struct unlock_cbc *job)
{
    int size = 0;
    int rest = 0;

    wr_assert(job->size <= INT_MAX);
    return EVP_DecryptInit_ex2(ctx, cipher, job->key.data, job->iv, NULL) ==
                       1 &&
                   EVP_CIPHER_CTX_set_padding(ctx, 0) == 1 &&
                   EVP_DecryptUpdate(ctx, job->data, &size, job->data,
                                     (int)job->size) == 1 &&
                   EVP_DecryptFinal_ex(ctx, job->data + size, &rest) == 1
               ? 0
               : -EOPNOTSUPP;
}

int wr_openssl_open_cbc(struct wr_bytes key, const uint8_t iv[WR_TLS_CBC_BLOCK],
                        uint8_t *data, size_t size)
{
    struct wr_openssl_errors errors;
    const struct unlock_cbc job = {key, iv, data, size};

    wr_assert(size % WR_TLS_CBC_BLOCK == 0);
    wr_openssl_enter(&errors);
    EVP_CIPHER *cipher = EVP_CIPHER_fetch(NULL,
                                          key.size == 16   ? "AES-128-CBC"
                                          : key.size == 24 ? "AES-192-CBC"
                                                           : "AES-256-CBC",
                                          NULL);
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    const int err = !cipher ? -EOPNOTSUPP
                    : !ctx  ? -ENOMEM
                            : unlock_run(ctx, cipher, &job);
    EVP_CIPHER_CTX_free(ctx);
    EVP_CIPHER_free(cipher);
    wr_openssl_leave(&errors);
    return err < 0 && errors.lacks_memory ? -ENOMEM : err;
}
