/*
 * Private keys outside weir, with which a wr_tls_signer signs.
 *
 * OpenSSL 3 gets such a key from a provider, which this file implements. A key
 * has the certificate's public key and a signer, and makes the signatures of
 * TLS. The provider has a library context of its own, which is created for the
 * first such key and kept. So OpenSSL uses this provider only for keys that
 * were created here, never for an algorithm that the program or weir fetches by
 * name.
 *
 * A key is constant, and many threads may sign with it.
 */
#include "openssl.h"

#include "uring/check.h"

#include <openssl/core_dispatch.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/params.h>
#include <openssl/provider.h>
#include <openssl/rsa.h>

#include <errno.h>
#include <pthread.h>
#include <string.h>

/* Also the name of the parameter that creates a key. */
#define SIGNER_NAME "weir-signer"

struct signer_key {
    EVP_PKEY *shown;              /* the public key, in another provider */
    struct wr_tls_signer *signer; /* NULL if created for a comparison */
};

struct signer_job {
    const struct signer_key *key;
    enum wr_x509_hash hash;
    bool is_pss;
    bool has_salt; /* the salt has the size of the hash */
};

static _Thread_local bool signer_has_failed;

bool wr_openssl_take_sign_failure(void)
{
    const bool has_failed = signer_has_failed;

    signer_has_failed = false;
    return has_failed;
}

static void *signer_key_new(void *provider)
{
    wr_assert(provider != NULL);
    return OPENSSL_zalloc(sizeof(struct signer_key));
}

static void signer_key_free(void *data)
{
    struct signer_key *key = data;

    if (key) {
        EVP_PKEY_free(key->shown);
        OPENSSL_free(key);
    }
}

static int signer_key_has(const void *data, int selection)
{
    const struct signer_key *key = data;

    return key->shown &&
           (!(selection & OSSL_KEYMGMT_SELECT_PRIVATE_KEY) || key->signer);
}

static int signer_key_match(const void *left, const void *right, int selection)
{
    const struct signer_key *one = left;
    const struct signer_key *other = right;

    (void)selection; /* there is no private part to compare */
    wr_assert(one->shown && other->shown);
    return EVP_PKEY_eq(one->shown, other->shown) == 1;
}

/* Imports a key of wr_openssl_signer_key(), or the public key of a certificate
 * that OpenSSL compares with such a key. */
static int signer_key_import(struct signer_key *key, const char *kind,
                             const OSSL_PARAM *params)
{
    const OSSL_PARAM *own = OSSL_PARAM_locate_const(params, SIGNER_NAME);

    wr_assert(!key->shown);
    if (!own) {
        key->shown = wr_openssl_make_key(kind, params);
        return key->shown != NULL;
    }
    wr_assert(own->data_size == sizeof(*key));
    memcpy(key, own->data, sizeof(*key));
    if (EVP_PKEY_up_ref(key->shown) != 1) {
        key->shown = NULL;
    }
    return key->shown != NULL;
}

static int signer_import_rsa(void *key, int selection, const OSSL_PARAM *params)
{
    (void)selection;
    return signer_key_import(key, "RSA", params);
}

static int signer_import_curve(void *key, int selection,
                               const OSSL_PARAM *params)
{
    (void)selection;
    return signer_key_import(key, "EC", params);
}

static const OSSL_PARAM *signer_key_types(int selection)
{
    static const OSSL_PARAM types[] = {
        OSSL_PARAM_octet_string(SIGNER_NAME, NULL, 0), OSSL_PARAM_END};

    (void)selection;
    return types;
}

static int signer_key_get(void *data, OSSL_PARAM *params)
{
    const struct signer_key *key = data;

    return key->shown && EVP_PKEY_get_params(key->shown, params) == 1;
}

static const OSSL_PARAM *signer_key_gettable(void *provider)
{
    static const OSSL_PARAM gettable[] = {
        OSSL_PARAM_int(OSSL_PKEY_PARAM_BITS, NULL),
        OSSL_PARAM_int(OSSL_PKEY_PARAM_SECURITY_BITS, NULL),
        OSSL_PARAM_int(OSSL_PKEY_PARAM_MAX_SIZE, NULL),
        OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, NULL, 0),
        OSSL_PARAM_END};

    wr_assert(provider != NULL);
    return gettable;
}

static const char *signer_name_curve(int operation)
{
    return operation == OSSL_OP_SIGNATURE ? "ECDSA" : NULL;
}

static void *signer_job_new(void *provider, const char *properties)
{
    (void)properties;
    wr_assert(provider != NULL);
    return OPENSSL_zalloc(sizeof(struct signer_job));
}

static void signer_job_free(void *job)
{
    OPENSSL_free(job);
}

/* OpenSSL passes some parameters as a string or as a number. */
static bool signer_is(const OSSL_PARAM *param, const char *word, int number)
{
    int given = 0;

    wr_assert(param->key);
    return param->data_type == OSSL_PARAM_UTF8_STRING
               ? param->data && strcmp(param->data, word) == 0
               : OSSL_PARAM_get_int(param, &given) == 1 && given == number;
}

/* Sets the padding of RSA. Refuses salt lengths that TLS does not use. */
static int signer_job_set(void *data, const OSSL_PARAM *params)
{
    struct signer_job *job = data;
    const OSSL_PARAM *param;

    param = params ? OSSL_PARAM_locate_const(params, OSSL_PKEY_PARAM_PAD_MODE)
                   : NULL;
    if (param) {
        job->is_pss =
            signer_is(param, OSSL_PKEY_RSA_PAD_MODE_PSS, RSA_PKCS1_PSS_PADDING);
        if (!job->is_pss && !signer_is(param, OSSL_PKEY_RSA_PAD_MODE_PKCSV15,
                                       RSA_PKCS1_PADDING)) {
            return 0;
        }
    }
    param = params ? OSSL_PARAM_locate_const(params,
                                             OSSL_PKEY_PARAM_RSA_PSS_SALTLEN)
                   : NULL;
    if (param) {
        job->has_salt = signer_is(param, OSSL_PKEY_RSA_PSS_SALT_LEN_DIGEST,
                                  RSA_PSS_SALTLEN_DIGEST);
    }
    return !param || job->has_salt;
}

static const OSSL_PARAM *signer_job_settable(void *data, void *provider)
{
    static const OSSL_PARAM settable[] = {
        OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_PAD_MODE, NULL, 0),
        OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_RSA_PSS_SALTLEN, NULL, 0),
        OSSL_PARAM_END};

    (void)data;
    wr_assert(provider != NULL);
    return settable;
}

static enum wr_x509_hash signer_hash_of(const char *name)
{
    wr_assert(name != NULL);
    for (int i = WR_X509_HASH_SHA256; i <= WR_X509_HASH_SHA512; i++) {
        if (EVP_MD_is_a(wr_openssl_digest((enum wr_x509_hash)i), name)) {
            return (enum wr_x509_hash)i;
        }
    }
    return WR_X509_HASH_NONE;
}

/* OpenSSL also calls this to test whether the key signs with a hash. */
static int signer_job_begin(void *data, const char *hash, void *key,
                            const OSSL_PARAM *params)
{
    struct signer_job *job = data;

    if (key) {
        job->key = key;
    }
    job->hash = hash ? signer_hash_of(hash) : WR_X509_HASH_NONE;
    return job->key && job->key->signer && job->hash != WR_X509_HASH_NONE &&
           signer_job_set(job, params);
}

static int signer_job_run(const struct signer_job *job, struct wr_bytes message,
                          uint8_t *ret, size_t size)
{
    uint8_t hash[WR_TLS_HASH_MAX];
    const int hash_size = wr_openssl_hash(job->hash, message, hash);

    wr_assert(job->hash != WR_X509_HASH_NONE);
    if (hash_size < 0) {
        return hash_size;
    }
    const struct wr_x509_signature_kind kind = {
        .key = EVP_PKEY_is_a(job->key->shown, "RSA") ? WR_X509_KEY_RSA
                                                     : WR_X509_KEY_CURVE,
        .hash = job->hash,
        .is_pss = job->is_pss,
        .mask = job->is_pss ? job->hash : WR_X509_HASH_NONE,
        .salt_size = job->is_pss ? (unsigned)hash_size : 0,
    };
    struct wr_tls_signer *signer = job->key->signer;
    return signer->sign(
        signer, &kind,
        (struct wr_bytes){.data = hash, .size = (size_t)hash_size}, ret, size);
}

/* NOLINTNEXTLINE(readability-function-size): OpenSSL sets the parameters */
static int signer_job_sign(void *data, unsigned char *ret, size_t *ret_size,
                           size_t size, const unsigned char *message,
                           size_t message_size)
{
    const struct signer_job *job = data;

    wr_assert(job->key && job->key->signer);
    if (!ret) {
        *ret_size = (size_t)EVP_PKEY_get_size(job->key->shown);
        return 1;
    }
    if (job->is_pss && !job->has_salt) {
        return 0; /* TLS has no such signature */
    }
    const int count = signer_job_run(
        job, (struct wr_bytes){.data = message, .size = message_size}, ret,
        size);
    if (count <= 0) {
        signer_has_failed = true;
        if (count == -ENOMEM) {
            ERR_raise(ERR_LIB_USER, ERR_R_MALLOC_FAILURE);
        }
        return 0;
    }
    wr_assert((size_t)count <= size);
    *ret_size = (size_t)count;
    return 1;
}

#define SIGNER_FUNCTION(number, function)                                      \
    {                                                                          \
        (number), (void (*)(void))(function)                                   \
    }
#define SIGNER_KEY_FUNCTIONS                                                   \
    SIGNER_FUNCTION(OSSL_FUNC_KEYMGMT_NEW, signer_key_new),                    \
        SIGNER_FUNCTION(OSSL_FUNC_KEYMGMT_FREE, signer_key_free),              \
        SIGNER_FUNCTION(OSSL_FUNC_KEYMGMT_HAS, signer_key_has),                \
        SIGNER_FUNCTION(OSSL_FUNC_KEYMGMT_MATCH, signer_key_match),            \
        SIGNER_FUNCTION(OSSL_FUNC_KEYMGMT_IMPORT_TYPES, signer_key_types),     \
        SIGNER_FUNCTION(OSSL_FUNC_KEYMGMT_GET_PARAMS, signer_key_get),         \
        SIGNER_FUNCTION(OSSL_FUNC_KEYMGMT_GETTABLE_PARAMS,                     \
                        signer_key_gettable)

static const OSSL_DISPATCH signer_rsa_keys[] = {
    SIGNER_KEY_FUNCTIONS,
    SIGNER_FUNCTION(OSSL_FUNC_KEYMGMT_IMPORT, signer_import_rsa),
    {0, NULL}};

static const OSSL_DISPATCH signer_curve_keys[] = {
    SIGNER_KEY_FUNCTIONS,
    SIGNER_FUNCTION(OSSL_FUNC_KEYMGMT_IMPORT, signer_import_curve),
    SIGNER_FUNCTION(OSSL_FUNC_KEYMGMT_QUERY_OPERATION_NAME, signer_name_curve),
    {0, NULL}};

static const OSSL_DISPATCH signer_jobs[] = {
    SIGNER_FUNCTION(OSSL_FUNC_SIGNATURE_NEWCTX, signer_job_new),
    SIGNER_FUNCTION(OSSL_FUNC_SIGNATURE_FREECTX, signer_job_free),
    SIGNER_FUNCTION(OSSL_FUNC_SIGNATURE_DIGEST_SIGN_INIT, signer_job_begin),
    SIGNER_FUNCTION(OSSL_FUNC_SIGNATURE_DIGEST_SIGN, signer_job_sign),
    SIGNER_FUNCTION(OSSL_FUNC_SIGNATURE_SET_CTX_PARAMS, signer_job_set),
    SIGNER_FUNCTION(OSSL_FUNC_SIGNATURE_SETTABLE_CTX_PARAMS,
                    signer_job_settable),
    {0, NULL}};

/* libssl identifies the type of a key by these names. */
static const OSSL_ALGORITHM signer_keys[] = {
    {"RSA:rsaEncryption", "provider=" SIGNER_NAME, signer_rsa_keys, NULL},
    {"EC:id-ecPublicKey", "provider=" SIGNER_NAME, signer_curve_keys, NULL},
    {NULL, NULL, NULL, NULL}};

static const OSSL_ALGORITHM signer_signatures[] = {
    {"RSA:rsaEncryption", "provider=" SIGNER_NAME, signer_jobs, NULL},
    {"ECDSA", "provider=" SIGNER_NAME, signer_jobs, NULL},
    {NULL, NULL, NULL, NULL}};

static const OSSL_ALGORITHM *signer_query(void *provider, int operation,
                                          int *ret_no_store)
{
    wr_assert(provider != NULL);
    *ret_no_store = 0;
    return operation == OSSL_OP_KEYMGMT     ? signer_keys
           : operation == OSSL_OP_SIGNATURE ? signer_signatures
                                            : NULL;
}

static int signer_start(const OSSL_CORE_HANDLE *handle,
                        const OSSL_DISPATCH *core, const OSSL_DISPATCH **ret,
                        void **ret_provider)
{
    static const OSSL_DISPATCH functions[] = {
        SIGNER_FUNCTION(OSSL_FUNC_PROVIDER_QUERY_OPERATION, signer_query),
        {0, NULL}};

    (void)core;
    wr_assert(handle != NULL);
    *ret = functions;
    *ret_provider = (void *)(uintptr_t)handle;
    return 1;
}

static pthread_mutex_t signer_mutex = PTHREAD_MUTEX_INITIALIZER;
static OSSL_LIB_CTX *signer_library; /* NULL until the first such key */

/* Returns NULL if memory runs out; the next call tries again. */
static OSSL_LIB_CTX *signer_get_library(void)
{
    pthread_mutex_lock(&signer_mutex);
    if (!signer_library) {
        OSSL_LIB_CTX *library = OSSL_LIB_CTX_new();
        if (library &&
            OSSL_PROVIDER_add_builtin(library, SIGNER_NAME, signer_start) ==
                1 &&
            OSSL_PROVIDER_load(library, SIGNER_NAME)) {
            signer_library = library;
        } else {
            OSSL_LIB_CTX_free(library);
        }
    }
    OSSL_LIB_CTX *known = signer_library;
    pthread_mutex_unlock(&signer_mutex);
    return known;
}

EVP_PKEY *wr_openssl_signer_key(EVP_PKEY *shown, struct wr_tls_signer *signer)
{
    struct signer_key from = {.shown = shown, .signer = signer};
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_octet_string(SIGNER_NAME, &from, sizeof(from)),
        OSSL_PARAM_construct_end()};
    OSSL_LIB_CTX *library = signer_get_library();
    EVP_PKEY *key = NULL;

    wr_assert(shown && signer);
    EVP_PKEY_CTX *maker =
        library ? EVP_PKEY_CTX_new_from_name(
                      library, EVP_PKEY_is_a(shown, "RSA") ? "RSA" : "EC", NULL)
                : NULL;
    if (maker && EVP_PKEY_fromdata_init(maker) == 1 &&
        EVP_PKEY_fromdata(maker, &key, EVP_PKEY_KEYPAIR, params) != 1) {
        key = NULL;
    }
    EVP_PKEY_CTX_free(maker);
    return key;
}
