/*
 * Verifies signatures: RSA with PKCS #1 1.5 and PSS, ECDSA, Ed25519, with
 * SHA-256, SHA-384 and SHA-512. The signature's object identifier names the
 * algorithm.
 *
 * The key must be of the same kind, and this is compared first. A verifier that
 * chooses the hash by the algorithm and the arithmetic by the key may verify an
 * ECDSA signature over no hash at all, which can be forged without the key.
 */
#include "signature.h"

#include "lib/tls/backend/backend.h"
#include "lib/x509/strength.h"
#include "uring/check.h"

#include <errno.h>
#include <string.h>

_Static_assert((int)WR_TLS_HASH_MAX == (int)WR_TLS_SIGNATURE_HASH_MAX,
               "each hash that is signed has room");

/* Finds the signed bytes: the body itself, or its hash, which is computed into
 * @hash unless it is known. Returns 0, -ENOMEM or -EOPNOTSUPP. */
static int signature_find_message(const struct wr_x509_signed *sign,
                                  enum wr_x509_hash kind, uint8_t *hash,
                                  struct wr_bytes *ret)
{
    static const uint8_t sizes[] = {
        [WR_X509_HASH_SHA256] = 32,
        [WR_X509_HASH_SHA384] = 48,
        [WR_X509_HASH_SHA512] = 64,
    };

    wr_assert(kind <= WR_X509_HASH_SHA512);
    if (kind == WR_X509_HASH_NONE) {
        *ret = sign->body;
        return 0;
    }
    *ret = (struct wr_bytes){.data = sign->hash ? sign->hash : hash,
                             .size = sizes[kind]};
    if (sign->hash) {
        return 0;
    }
    const int size = wr_tls_backend_get()->hash(kind, sign->body, hash);
    wr_assert(size < 0 || size == (int)sizes[kind]);
    return size < 0 ? size : 0;
}

bool wr_tls_signature_hash(const struct wr_x509_signed *sign,
                           uint8_t ret[WR_TLS_SIGNATURE_HASH_MAX])
{
    struct wr_x509_signature_kind kind;
    struct wr_bytes message;

    wr_assert(!sign->hash);
    return wr_x509_strength_find_signature(sign->algorithm, &kind) &&
           kind.key != WR_X509_KEY_EDWARDS &&
           signature_find_message(sign, kind.hash, ret, &message) == 0;
}

int wr_tls_signature_verify(const struct wr_x509_signed *sign,
                            struct wr_bytes key_info)
{
    uint8_t hash[WR_TLS_HASH_MAX];
    struct wr_x509_signature_kind kind;
    struct wr_x509_key_strength key;
    struct wr_tls_signed job = {
        .kind = &kind, .key_info = key_info, .bits = sign->bits};

    wr_assert(sign->body.data && key_info.data);
    if (!wr_x509_strength_find_signature(sign->algorithm, &kind)) {
        return -EOPNOTSUPP;
    }
    if (!wr_x509_strength_of_key(key_info, &key) || key.kind != kind.key) {
        return -EBADMSG;
    }
    if (kind.key == WR_X509_KEY_RSA &&
        (!wr_x509_strength_find_rsa(key_info, &job.rsa) ||
         (job.rsa.is_pss_alone && !kind.is_pss))) {
        return -EBADMSG;
    }
    const int err = signature_find_message(sign, kind.hash, hash, &job.message);
    return err < 0 ? err : wr_tls_backend_get()->verify(&job);
}
