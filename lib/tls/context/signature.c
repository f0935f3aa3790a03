/*
 * Verifies signatures: RSA with PKCS #1 1.5 and PSS, ECDSA, Ed25519, with
 * SHA-256, SHA-384 and SHA-512.
 *
 * First of all, the key must be of the algorithm's kind. A verifier that
 * chooses the hash by the algorithm and the arithmetic by the key may verify an
 * ECDSA signature over no hash at all, which can be forged without the key.
 */
#include "verify.h"

#include "context_impl.h"
#include "lib/base/options.h"
#include "lib/tls/backend/backend.h"
#include "lib/x509/certificate.h"
#include "lib/x509/strength.h"
#include "uring/check.h"
#include "uring/sys.h"

#include <weir/error.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

_Static_assert((int)WR_TLS_HASH_MAX == (int)WR_TLS_SIGNATURE_HASH_MAX,
               "each hash that is signed has room");

/* Sets *ret to the body, or to its hash, which is computed into @hash unless it
 * is known. Returns 0, -ENOMEM or -EOPNOTSUPP. */
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

/* ---- keys outside weir ----
 *
 * A function of the program signs with these private keys. The certificate's
 * public key determines the possible kinds of signatures, and verifies each
 * signature before a backend gets it, so that a wrong signature is never sent.
 * weir counts the calls, and the time for which they have blocked loops. */

struct wr_tls_outside {
    struct wr_tls_signer signer; /* first member */
    weir_tls_context *context;
    weir_tls_sign_fn *sign;
    void *user;
    struct wr_bytes key_info;
    struct wr_x509_rsa_numbers rsa;
    size_t signature_max;
};

static void signature_count(struct wr_tls_outside *outside, uint64_t ns,
                            bool is_good)
{
    struct wr_tls_signed_stats *stats = &outside->context->signatures;

    pthread_mutex_lock(&outside->context->mutex);
    stats->count++;
    stats->failed += !is_good;
    stats->total_ns += ns;
    stats->longest_ns = wr_max_u64(stats->longest_ns, ns);
    wr_assert(stats->failed <= stats->count);
    pthread_mutex_unlock(&outside->context->mutex);
}

static enum weir_tls_signature
signature_kind(const struct wr_x509_signature_kind *kind)
{
    wr_assert(kind->key == WR_X509_KEY_RSA || kind->key == WR_X509_KEY_CURVE);
    return kind->key == WR_X509_KEY_CURVE ? WEIR_TLS_SIGNATURE_ECDSA
           : kind->is_pss                 ? WEIR_TLS_SIGNATURE_RSA_PSS
                                          : WEIR_TLS_SIGNATURE_RSA_PKCS1;
}

static bool signature_is_good(const struct wr_tls_outside *outside,
                              const struct wr_x509_signature_kind *kind,
                              struct wr_bytes hash, struct wr_bytes bits)
{
    const struct wr_tls_signed job = {
        .kind = kind,
        .key_info = outside->key_info,
        .rsa = outside->rsa,
        .message = hash,
        .bits = bits,
    };

    wr_assert(bits.size > 0);
    return outside->context->backend->verify(&job) == 0;
}

static int signature_sign(struct wr_tls_signer *signer,
                          const struct wr_x509_signature_kind *kind,
                          struct wr_bytes hash, uint8_t *ret, size_t size)
{
    struct wr_tls_outside *outside = (struct wr_tls_outside *)signer;
    const size_t room = wr_min_u64(size, outside->signature_max);
    const struct weir_tls_to_sign job = {
        .size = sizeof(job),
        .kind = signature_kind(kind),
        .hash = hash.data,
        .hash_size = hash.size,
        .public_key = outside->key_info.data,
        .public_key_size = outside->key_info.size,
    };
    const bool is_rsa = kind->key == WR_X509_KEY_RSA;

    wr_assert(is_rsa == (outside->rsa.modulus.size > 0));
    const uint64_t begin = wr_sys_now();
    const int count = outside->sign(outside->user, &job, ret, room);
    const uint64_t end = wr_sys_now();
    const bool is_good =
        count > 0 && (size_t)count <= room &&
        signature_is_good(
            outside, kind, hash,
            (struct wr_bytes){.data = ret, .size = (size_t)count});
    signature_count(outside, end - begin, is_good);
    return is_good ? count : WEIR_ETLSSIGN;
}

int wr_tls_outside_new(weir_tls_context *context,
                       const struct weir_tls_identity *from,
                       struct wr_tls_outside **ret)
{
    struct wr_tls_outside *outside = calloc(1, sizeof(*outside));

    wr_assert(from->sign && !*ret);
    wr_require(outside, -ENOMEM);
    *outside = (struct wr_tls_outside){
        .signer.sign = signature_sign,
        .context = context,
        .sign = from->sign,
        .user = from->sign_user,
    };
    *ret = outside;
    return 0;
}

static int signature_use_key(struct wr_tls_outside *outside,
                             const struct wr_x509 *x509)
{
    const struct wr_x509_key_strength *key = &x509->key;

    wr_assert(!outside->key_info.data);
    wr_assert(!key->is_pss_alone); /* refused earlier */
    if (key->kind != WR_X509_KEY_RSA && key->kind != WR_X509_KEY_CURVE) {
        return -EOPNOTSUPP;
    }
    if (key->strength != WR_X509_STRONG) {
        return WEIR_ETLSFILE;
    }
    outside->key_info = x509->key_info;
    if (key->kind == WR_X509_KEY_CURVE) {
        wr_assert(key->curve >= WR_X509_CURVE_P256);
        wr_assert(key->curve <= WR_X509_CURVE_P521);
        /* Maximum size of an ECDSA-Sig-Value. */
        outside->signature_max = key->curve == WR_X509_CURVE_P521   ? 139
                                 : key->curve == WR_X509_CURVE_P384 ? 104
                                                                    : 72;
        return 0;
    }
    if (!wr_x509_strength_find_rsa(x509->key_info, &outside->rsa)) {
        return WEIR_ETLSFILE;
    }
    outside->signature_max = (key->rsa_bits + 7) / 8;
    return 0;
}

int wr_tls_context_use_signer(weir_tls_context *context,
                              struct wr_tls_identity *identity)
{
    struct wr_tls_outside *outside = identity->outside;

    wr_assert(outside && identity->credential);
    int err = signature_use_key(outside, &identity->leaf);
    if (err == 0) {
        err = context->backend->credential_use_signer(
            identity->credential, &outside->signer, outside->key_info);
    }
    if (err == -EOPNOTSUPP) {
        context->why = "no function can sign by this kind of key";
    }
    context->has_signers = true;
    return err;
}

int weir_tls_context_get_signatures(weir_tls_context *context,
                                    struct weir_tls_signatures *ret)
{
    const int err = wr_answer_check(ret);

    wr_require(context, -EINVAL);
    wr_require(err >= 0, err);
    pthread_mutex_lock(&context->mutex);
    const struct wr_tls_signed_stats stats = context->signatures;
    pthread_mutex_unlock(&context->mutex);
    const struct weir_tls_signatures known = {
        .size = ret->size,
        .count = stats.count,
        .failed = stats.failed,
        .total_ns = stats.total_ns,
        .longest_ns = stats.longest_ns,
    };
    wr_assert(known.failed <= known.count);
    wr_answer_write(ret, &known, sizeof(known));
    return 0;
}
