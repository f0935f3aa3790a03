/*
 * Sums in the place of cryptography, and certificates; see tls_null.h.
 *
 * A sum is FNV-1a of 64 bits. A key fits a certificate if the file of the key
 * has the certificate's public part in it, which those of RSA and of curves
 * have. A certificate's signature is good if it has the form of its kind.
 */
#include "tests/fake/tls_null_impl.h"

#include "lib/tls/context/pem.h"
#include "lib/tls/context/suites.h"
#include "lib/x509/certificate.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <weir/error.h>

/* ---- sums ---- */

uint64_t null_sum(uint64_t sum, const void *data, size_t size)
{
    const uint8_t *bytes = data;

    sum = sum ? sum : 0xcbf29ce484222325u;
    for (size_t i = 0; i < size; i++) {
        sum = (sum ^ bytes[i]) * 0x100000001b3u;
    }
    return sum;
}

void null_fill(uint64_t sum, uint8_t *ret, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (i % sizeof(sum) == 0) {
            sum = (sum ^ sum >> 29) * 0xbf58476d1ce4e5b9u + 1;
        }
        ret[i] = (uint8_t)(sum >> 8 * (i % sizeof(sum)));
    }
}

void null_derive(const struct null_own *own, const char *label, uint8_t *ret,
                 size_t size)
{
    const uint64_t sum = null_sum(0, own->randoms, sizeof(own->randoms));

    null_fill(null_sum(sum, label, strlen(label)), ret, size);
}

int wr_null_hash(enum wr_x509_hash kind, struct wr_bytes data,
                 uint8_t ret[WR_TLS_HASH_MAX])
{
    static const int sizes[] = {[WR_X509_HASH_SHA256] = 32,
                                [WR_X509_HASH_SHA384] = 48,
                                [WR_X509_HASH_SHA512] = 64};

    if (kind < WR_X509_HASH_SHA256 || kind > WR_X509_HASH_SHA512) {
        return -EOPNOTSUPP;
    }
    null_fill(null_sum((uint64_t)kind, data.data, data.size), ret,
              (size_t)sizes[kind]);
    return sizes[kind];
}

/* Two numbers in DER. */
static bool is_pair_of_numbers(struct wr_bytes bits)
{
    struct wr_bytes both;
    struct wr_bytes one;
    size_t tag;

    if (!wr_bytes_take_number(&bits, 1, &tag) || tag != 0x30 || bits.size < 2) {
        return false;
    }
    if (bits.data[0] == 0x81) {
        bits.data++;
        bits.size--;
    }
    return wr_bytes_take_vector(&bits, 1, &both) && bits.size == 0 &&
           wr_bytes_take_number(&both, 1, &tag) && tag == 2 &&
           wr_bytes_take_vector(&both, 1, &one) &&
           wr_bytes_take_number(&both, 1, &tag) && tag == 2 &&
           wr_bytes_take_vector(&both, 1, &one) && both.size == 0;
}

int wr_null_verify(const struct wr_tls_signed *job)
{
    bool is_good = false;

    switch (job->kind->key) {
    case WR_X509_KEY_RSA:
        is_good = job->bits.size == job->rsa.modulus.size ||
                  job->bits.size + 1 == job->rsa.modulus.size;
        break;
    case WR_X509_KEY_CURVE:
        is_good = is_pair_of_numbers(job->bits);
        break;
    case WR_X509_KEY_EDWARDS:
        is_good = job->bits.size == 64;
        break;
    default:
        return -EOPNOTSUPP;
    }
    return is_good ? 0 : -EBADMSG;
}

/* Of sealed bytes. */
static void make_tag(const struct wr_tls_aead *job, const uint8_t *sealed,
                     uint8_t ret[WR_TLS_AEAD_TAG])
{
    uint64_t sum =
        null_sum(0, job->key, job->kind == WR_TLS_AEAD_AES_128_GCM ? 16 : 32);

    sum = null_sum(sum, job->nonce, WR_TLS_AEAD_NONCE);
    sum = null_sum(sum, job->beside.data, job->beside.size);
    null_fill(null_sum(sum, sealed, job->size), ret, WR_TLS_AEAD_TAG);
}

static void turn_over(const struct wr_tls_aead *job)
{
    for (size_t i = 0; i < job->size; i++) {
        job->out[i] = (uint8_t)~job->in[i];
    }
}

int wr_null_seal(const struct wr_tls_aead *job)
{
    turn_over(job);
    make_tag(job, job->out, job->tag);
    return 0;
}

int wr_null_open_sealed(const struct wr_tls_aead *job)
{
    uint8_t tag[WR_TLS_AEAD_TAG];

    make_tag(job, job->in, tag);
    if (memcmp(tag, job->tag, sizeof(tag)) != 0) {
        return -EBADMSG;
    }
    turn_over(job);
    return 0;
}

int wr_null_expand(enum wr_x509_hash kind, struct wr_bytes secret,
                   const char *label, uint8_t *ret, size_t size)
{
    if (kind != WR_X509_HASH_SHA256 && kind != WR_X509_HASH_SHA384) {
        return -EOPNOTSUPP;
    }
    null_fill(null_sum(null_sum((uint64_t)kind, secret.data, secret.size),
                       label, strlen(label)),
              ret, size);
    return 0;
}

int wr_null_derive(const struct wr_tls_derive *job)
{
    uint64_t sum = null_sum((uint64_t)job->kind + 1, job->password.data,
                            job->password.size);

    sum = null_sum(sum, job->salt.data, job->salt.size);
    null_fill(null_sum(sum, &job->rounds, sizeof(job->rounds)), job->out,
              job->size);
    return 0;
}

int wr_null_open_cbc(struct wr_bytes key, const uint8_t iv[WR_TLS_CBC_BLOCK],
                     uint8_t *data, size_t size)
{
    const uint64_t sum =
        null_sum(null_sum(0, key.data, key.size), iv, WR_TLS_CBC_BLOCK);

    if (key.size != 16 && key.size != 24 && key.size != 32) {
        return -EOPNOTSUPP;
    }
    for (size_t i = 0; i < size; i++) {
        data[i] ^= (uint8_t)(sum >> 8 * (i % sizeof(sum)));
    }
    return 0;
}

/* ---- suites ---- */

static const uint16_t all_suites[NULL_SUITES] = {
    0x1301, 0x1302, 0x1303, 0xc02b, 0xc02c, 0xc02f, 0xc030, 0xcca8, 0xcca9};

bool null_is_rsa_suite(uint16_t suite)
{
    return suite == 0xc02f || suite == 0xc030 || suite == 0xcca8;
}

size_t null_secret_size(uint16_t suite)
{
    return suite == 0x1302 ? 48 : 32;
}

enum wr_tls_aead_kind null_kind_of(uint16_t suite)
{
    switch (suite) {
    case 0x1303:
    case 0xcca8:
    case 0xcca9:
        return WR_TLS_AEAD_CHACHA20;
    case 0x1302:
    case 0xc02c:
    case 0xc030:
        return WR_TLS_AEAD_AES_256_GCM;
    default:
        return WR_TLS_AEAD_AES_128_GCM;
    }
}

bool null_read_suites(const char *names, uint16_t ret[NULL_SUITES])
{
    size_t count = 0;

    while (*names) {
        const size_t len = strcspn(names, ":");
        for (size_t i = 0; i < NULL_SUITES; i++) {
            const char *name = wr_tls_suites_name_of(all_suites[i]);
            if (count < NULL_SUITES && strlen(name) == len &&
                memcmp(name, names, len) == 0) {
                ret[count++] = all_suites[i];
            }
        }
        names += len + (names[len] == ':');
    }
    if (count < NULL_SUITES) {
        ret[count] = 0;
    }
    return count > 0;
}

/* ---- own certificates ---- */

int wr_null_credential_new(struct wr_tls_credential **ret)
{
    *ret = calloc(1, sizeof(**ret));
    return *ret ? 0 : -ENOMEM;
}

/* A weak key is refused as one that is none. */
static int credential_read_leaf(struct wr_tls_credential *own)
{
    struct wr_x509 leaf;

    if (wr_x509_read(&leaf, own->certs[0].data, own->certs[0].size) < 0 ||
        leaf.key.strength != WR_X509_STRONG) {
        return WEIR_ETLSFILE;
    }
    own->key_info = leaf.key_info;
    own->kind = leaf.key.kind;
    return 0;
}

int wr_null_credential_use_chain(struct wr_tls_credential *own,
                                 const uint8_t *pem, size_t size)
{
    struct wr_bytes text = {.data = pem, .size = size};
    struct wr_bytes der;
    int found;

    while ((found = wr_tls_pem_next(&text, "CERTIFICATE", &der)) == 1) {
        if (!der.data || own->count == NULL_CERTIFICATES ||
            own->chain_bytes + der.size > NULL_CHAIN) {
            free((void *)(uintptr_t)der.data);
            return WEIR_ETLSFILE;
        }
        own->certs[own->count++] = der;
        own->chain_bytes += der.size;
    }
    if (found < 0 || own->count == 0) {
        return found < 0 ? found : WEIR_ETLSFILE;
    }
    return credential_read_leaf(own);
}

/* The public part of a key: a point, or the number of RSA without a zero in
 * front. */
static struct wr_bytes public_part(const struct wr_tls_credential *own)
{
    struct wr_x509_rsa_numbers rsa;
    struct wr_bytes point = {.data = NULL};

    if (own->kind == WR_X509_KEY_RSA) {
        return wr_x509_strength_find_rsa(own->key_info, &rsa) ? rsa.modulus
                                                              : point;
    }
    if (!wr_x509_strength_find_point(own->key_info, &point)) {
        point = (struct wr_bytes){.data = NULL};
    }
    return point;
}

int wr_null_credential_use_key(struct wr_tls_credential *own,
                               const uint8_t *pem, size_t size)
{
    static const char *const labels[] = {"PRIVATE KEY", "EC PRIVATE KEY",
                                         "RSA PRIVATE KEY"};
    const struct wr_bytes part = public_part(own);

    for (size_t i = 0; i < sizeof(labels) / sizeof(*labels); i++) {
        struct wr_bytes text = {.data = pem, .size = size};
        struct wr_bytes der;
        const int found = wr_tls_pem_next(&text, labels[i], &der);
        if (found < 0) {
            return found;
        }
        if (found == 1 && der.data) {
            own->has_key =
                part.data && memmem(der.data, der.size, part.data, part.size);
            free((void *)(uintptr_t)der.data);
            return 0;
        }
    }
    return memmem(pem, size, "ENCRYPTED", strlen("ENCRYPTED"))
               ? WEIR_ETLSPASSWORD
               : WEIR_ETLSNOKEY;
}

int wr_null_credential_use_signer(struct wr_tls_credential *own,
                                  struct wr_tls_signer *signer,
                                  struct wr_bytes key_info)
{
    struct wr_x509_key_strength strength;

    if (!wr_x509_strength_of_key(key_info, &strength)) {
        return WEIR_ETLSFILE;
    }
    own->has_key =
        key_info.size == own->key_info.size &&
        memcmp(key_info.data, own->key_info.data, key_info.size) == 0;
    own->signer = signer;
    return strength.kind == WR_X509_KEY_EDWARDS ? -EOPNOTSUPP : 0;
}

int wr_null_credential_check(struct wr_tls_credential *own)
{
    return own->kind == WR_X509_KEY_EDWARDS ? WEIR_ETLSENGINE
           : own->has_key                   ? 0
                                            : WEIR_ETLSMISMATCH;
}

void wr_null_credential_free(struct wr_tls_credential *own)
{
    for (size_t i = 0; own && i < own->count; i++) {
        free((void *)(uintptr_t)own->certs[i].data);
    }
    free(own);
}

/* ---- contexts ---- */

int wr_null_shared_new(const struct wr_tls_settings *settings,
                       struct wr_tls_shared **ret)
{
    bool has_group = false;
    struct wr_tls_shared *shared = calloc(1, sizeof(*shared));

    if (!shared) {
        return -ENOMEM;
    }
    for (size_t i = 0; i < settings->group_count; i++) {
        has_group |= settings->groups[i] == NULL_GROUP;
    }
    if (!has_group || !null_read_suites(settings->suites, shared->suites)) {
        free(shared);
        return has_group ? WEIR_ETLSCIPHERS : WEIR_ETLSGROUPS;
    }
    shared->settings = *settings;
    shared->settings.suites = NULL;
    shared->settings.groups = NULL;
    *ret = shared;
    return 0;
}

void wr_null_shared_free(struct wr_tls_shared *shared)
{
    free(shared);
}

/* ---- sessions ---- */

int wr_null_session_take(struct wr_tls_conn *conn, struct wr_tls_known **ret)
{
    struct wr_tls_known *copy = malloc(sizeof(*copy));

    if (!copy) {
        return -ENOMEM;
    }
    *copy = null_own_of(conn)->known;
    *ret = copy;
    return 0;
}

void wr_null_session_free(struct wr_tls_known *session)
{
    free(session);
}
