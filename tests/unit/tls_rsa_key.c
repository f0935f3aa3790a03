/*
 * Signatures by libcrypto, which wolfSSL verifies.
 *
 * Also the process that libcrypto runs in: its configuration and errors are
 * left alone, and signing works until the process ends. With OpenSSL as the TLS
 * library rsa_key.c is not used, so the program is not run.
 */
#include "lib/tls/wolfssl/rsa_key.h"

#include "tests/tls/rig.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <sys/wait.h>
#include <wolfssl/options.h>

#include <wolfssl/wolfcrypt/asn_public.h>
#include <wolfssl/wolfcrypt/hash.h>
#include <wolfssl/wolfcrypt/random.h>
#include <wolfssl/wolfcrypt/rsa.h>

static RsaKey wolf; /* the same key */
static struct wr_tls_rsa_bytes numbers[WR_TLS_RSA_NUMBERS];
static struct wr_tls_rsa_key *key;

/* The signature schemes of TLS, with wolfSSL's constants. */
static const struct {
    enum wr_tls_rsa_scheme scheme;
    enum wc_HashType hash;
    int mgf;
    size_t size;
} key_schemes[] = {
    {WR_TLS_RSA_PSS_SHA256, WC_HASH_TYPE_SHA256, WC_MGF1SHA256, 32},
    {WR_TLS_RSA_PSS_SHA384, WC_HASH_TYPE_SHA384, WC_MGF1SHA384, 48},
    {WR_TLS_RSA_PSS_SHA512, WC_HASH_TYPE_SHA512, WC_MGF1SHA512, 64},
};

static void key_read_number(mp_int *from, enum wr_tls_rsa_number number)
{
    numbers[number].size = (size_t)mp_unsigned_bin_size(from);
    cr_assert_eq(mp_to_unsigned_bin(from, numbers[number].data), MP_OKAY);
}

/* Loads the key of a file of tls_certificates.sh with wolfSSL. */
static void key_load(const char *name)
{
    static uint8_t pem[8192];
    static uint8_t der[8192];
    word32 used = 0;
    const size_t size = tls_file_read(tls_file("%s", name), pem, sizeof(pem));
    const int der_size = wc_KeyPemToDer(pem, (int)size, der, sizeof(der), NULL);
    expect_gt(der_size, 0);
    cr_assert_eq(wc_InitRsaKey(&wolf, NULL), 0);
    expect_ok(wc_RsaPrivateKeyDecode(der, &used, &wolf, (word32)der_size));
    key_read_number(&wolf.n, WR_TLS_RSA_N);
    key_read_number(&wolf.e, WR_TLS_RSA_E);
    key_read_number(&wolf.d, WR_TLS_RSA_D);
    key_read_number(&wolf.p, WR_TLS_RSA_P);
    key_read_number(&wolf.q, WR_TLS_RSA_Q);
    key_read_number(&wolf.dP, WR_TLS_RSA_DP);
    key_read_number(&wolf.dQ, WR_TLS_RSA_DQ);
    key_read_number(&wolf.u, WR_TLS_RSA_U);
}

static void key_open(const char *name)
{
    key_load(name);
    cr_assert_eq(wr_tls_rsa_key_new(numbers, &key), 0);
    cr_assert_not_null(key);
}

static void key_close(void)
{
    wr_tls_rsa_key_unref(key);
    key = NULL;
    wc_FreeRsaKey(&wolf);
}

static size_t key_sign(enum wr_tls_rsa_scheme scheme, const uint8_t *data,
                       size_t size, uint8_t ret[WR_TLS_RSA_SIZE_MAX])
{
    const struct wr_tls_rsa_digest digest = {
        .scheme = scheme,
        .data = data,
        .size = size,
    };
    size_t ret_size = WR_TLS_RSA_SIZE_MAX;
    cr_assert_eq(wr_tls_rsa_key_sign(key, &digest, ret, &ret_size), 0);
    return ret_size;
}

UNIT(tls_rsa_key, wolfssl_verifies_signatures_of_each_scheme_and_size)
{
    static const char *const names[] = {"rsa.key", "rsa3072.key",
                                        "rsa4096.key"};
    static const size_t sizes[] = {256, 384, 512};
    uint8_t digest[64];
    uint8_t signature[WR_TLS_RSA_SIZE_MAX];
    uint8_t plain[WR_TLS_RSA_SIZE_MAX];

    memset(digest, 0x5a, sizeof(digest));
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
        key_open(names[i]);
        for (size_t j = 0; j < sizeof(key_schemes) / sizeof(*key_schemes);
             j++) {
            const size_t size = key_schemes[j].size;
            expect_eq(key_sign(key_schemes[j].scheme, digest, size, signature),
                      sizes[i]);
            expect_gt(wc_RsaPSS_VerifyCheck(signature, (word32)sizes[i], plain,
                                            sizeof(plain), digest, (word32)size,
                                            key_schemes[j].hash,
                                            key_schemes[j].mgf, &wolf),
                      0);
        }
        /* With PKCS #1 v1.5 any input is signed; here it is the ASN.1 of a
         * digest. */
        expect_eq(key_sign(WR_TLS_RSA_PKCS1, digest, 51, signature), sizes[i]);
        expect_eq(wc_RsaSSL_Verify(signature, (word32)sizes[i], plain,
                                   sizeof(plain), &wolf),
                  51);
        expect_eq(memcmp(plain, digest, 51), 0);
        key_close();
    }
}

UNIT(tls_rsa_key, signatures_of_pss_have_salt_of_their_own)
{
    uint8_t digest[32] = {1};
    uint8_t signatures[2][WR_TLS_RSA_SIZE_MAX];

    key_open("rsa.key");
    for (int i = 0; i < 2; i++) {
        expect_eq(key_sign(WR_TLS_RSA_PSS_SHA256, digest, sizeof(digest),
                           signatures[i]),
                  256);
    }
    cr_assert_neq(memcmp(signatures[0], signatures[1], 256), 0);
    key_close();
}

UNIT(tls_rsa_key, a_key_that_does_not_sign_tells_so)
{
    const uint8_t data[512] = {1};
    uint8_t signature[WR_TLS_RSA_SIZE_MAX];
    struct wr_tls_rsa_digest digest = {
        .scheme = WR_TLS_RSA_PSS_SHA256,
        .data = data,
        .size = 32,
    };
    size_t size = 255; /* for a signature of 256 */

    key_open("rsa.key");
    expect_eq(wr_tls_rsa_key_sign(key, &digest, signature, &size),
              WEIR_ETLSSIGN);
    size = sizeof(signature);
    digest.size = 31; /* no digest of this hash has this size */
    expect_eq(wr_tls_rsa_key_sign(key, &digest, signature, &size),
              WEIR_ETLSSIGN);
    digest.scheme = WR_TLS_RSA_PKCS1;
    digest.size = 246; /* the padding has at least 11 bytes */
    expect_eq(wr_tls_rsa_key_sign(key, &digest, signature, &size),
              WEIR_ETLSSIGN);
    digest.size = 245;
    expect_eq(wr_tls_rsa_key_sign(key, &digest, signature, &size), 0);
    key_close();
}

/* Flips one bit of the first prime's exponent, so half of the computation is
 * wrong. Signed with the Chinese remainder theorem, the result would reveal the
 * primes. */
UNIT(tls_rsa_key, a_wrong_result_does_not_leave)
{
    uint8_t digest[32] = {1};
    uint8_t signature[WR_TLS_RSA_SIZE_MAX];
    uint8_t plain[WR_TLS_RSA_SIZE_MAX];

    key_load("rsa.key");
    numbers[WR_TLS_RSA_DP].data[100] ^= 1;
    cr_assert_eq(wr_tls_rsa_key_new(numbers, &key), 0);
    expect_eq(
        key_sign(WR_TLS_RSA_PSS_SHA256, digest, sizeof(digest), signature),
        256); /* by the private exponent, after the check failed */
    expect_gt(wc_RsaPSS_VerifyCheck(signature, 256, plain, sizeof(plain),
                                    digest, sizeof(digest), WC_HASH_TYPE_SHA256,
                                    WC_MGF1SHA256, &wolf),
              0);
    key_close();
}

UNIT(tls_rsa_key, a_reference_keeps_the_key)
{
    uint8_t digest[32] = {1};
    uint8_t signature[WR_TLS_RSA_SIZE_MAX];

    key_open("rsa.key");
    cr_assert_eq(wr_tls_rsa_key_ref(key), key);
    wr_tls_rsa_key_unref(key);
    expect_eq(
        key_sign(WR_TLS_RSA_PSS_SHA256, digest, sizeof(digest), signature),
        256);
    key_close();
    cr_assert_null(wr_tls_rsa_key_ref(NULL));
    wr_tls_rsa_key_unref(NULL);
}

static void *key_sign_many(void *arg)
{
    uint8_t digest[32] = {1};
    uint8_t signature[WR_TLS_RSA_SIZE_MAX];
    uint8_t plain[WR_TLS_RSA_SIZE_MAX];
    RsaKey *own = arg;

    for (int i = 0; i < 50; i++) {
        digest[1] = (uint8_t)i;
        key_sign(WR_TLS_RSA_PSS_SHA256, digest, sizeof(digest), signature);
        expect_gt(wc_RsaPSS_VerifyCheck(
                      signature, 256, plain, sizeof(plain), digest,
                      sizeof(digest), WC_HASH_TYPE_SHA256, WC_MGF1SHA256, own),
                  0);
    }
    return NULL;
}

UNIT(tls_rsa_key, threads_sign_by_one_key)
{
    pthread_t threads[4];
    RsaKey own[4]; /* wolfSSL's keys are not for several threads */

    key_open("rsa.key");
    for (int i = 0; i < 4; i++) {
        memcpy(&own[i], &wolf, sizeof(wolf));
        expect_ok(pthread_create(&threads[i], NULL, key_sign_many, &own[i]));
    }
    for (int i = 0; i < 4; i++) {
        cr_assert_eq(pthread_join(threads[i], NULL), 0);
    }
    key_close();
}

/* Nothing in libcrypto works with this configuration: it has no such provider.
 */
static const char key_fips[] = "openssl_conf = init\n"
                               "[init]\nalg_section = all\n"
                               "[all]\ndefault_properties = fips=yes\n";

/* The program's libcrypto keeps its configuration, and weir's does not depend
 * on it. */
UNIT(tls_rsa_key, the_configuration_of_libcrypto_is_the_programs)
{
    char path[] = "/tmp/weir-openssl-XXXXXX";
    uint8_t digest[32] = {1};
    uint8_t signature[WR_TLS_RSA_SIZE_MAX];
    const int file = mkstemp(path);

    cr_assert(file >= 0);
    expect_eq(write(file, key_fips, strlen(key_fips)),
              (ssize_t)strlen(key_fips));
    close(file);
    setenv("OPENSSL_CONF", path, 1);
    key_open("rsa.key");
    EVP_MD *hash = EVP_MD_fetch(NULL, "SHA2-256", NULL);
    cr_assert_null(hash);
    expect_eq(
        key_sign(WR_TLS_RSA_PSS_SHA256, digest, sizeof(digest), signature),
        256);
    key_close();
    unlink(path);
}

/* libcrypto errors that the program has not read yet are still in the queue. */
UNIT(tls_rsa_key, the_errors_of_libcrypto_are_the_programs)
{
    const uint8_t digest[32] = {1};
    const struct wr_tls_rsa_digest wrong = {
        .scheme = WR_TLS_RSA_PSS_SHA256,
        .data = digest,
        .size = 31,
    };
    uint8_t signature[WR_TLS_RSA_SIZE_MAX];
    size_t size = sizeof(signature);

    ERR_raise(ERR_LIB_USER, 42);
    key_open("rsa.key");
    expect_eq(wr_tls_rsa_key_sign(key, &wrong, signature, &size),
              WEIR_ETLSSIGN);
    memset(&numbers[WR_TLS_RSA_N], 0, sizeof(numbers[0]));
    struct wr_tls_rsa_key *refused = NULL;
    expect_eq(wr_tls_rsa_key_new(numbers, &refused), WEIR_ETLSSIGN);
    cr_assert_null(refused);
    expect_eq(ERR_GET_REASON(ERR_get_error()), 42);
    expect_eq(ERR_get_error(), 0u);
    key_close();
}

static void key_sign_at_exit(void)
{
    uint8_t digest[32] = {1};
    uint8_t signature[WR_TLS_RSA_SIZE_MAX];
    key_sign(WR_TLS_RSA_PSS_SHA256, digest, sizeof(digest), signature);
    key_close();
    _exit(7);
}

/* A thread whose loop continues while the program exits may sign. */
UNIT(tls_rsa_key, a_program_that_exits_can_sign)
{
    int status = 0;
    const pid_t child = fork();

    cr_assert(child >= 0);
    if (child == 0) {
        atexit(key_sign_at_exit); /* called after libcrypto's own handler */
        key_open("rsa.key");
        exit(0);
    }
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert(WIFEXITED(status), "signal %d", WTERMSIG(status));
    expect_eq(WEXITSTATUS(status), 7);
}
