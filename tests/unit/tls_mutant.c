/*
 * Mutated certificates get one verdict, from both libraries and in both
 * versions of TLS.
 *
 * A chain of three is made, whose certificates have every extension of RFC
 * 5280. One of them is parsed into its elements, a few of these are changed,
 * and it is signed again; or it is sent next to a valid path. A server with
 * OpenSSL sends it in four handshakes, to clients of both libraries, where weir
 * verifies as in a context. All four must agree on the code. The mutants come
 * from a seed (random.h); WEIR_CERT_MUTANTS is their number, by default 200.
 */
#include "lib/tls/context/verify.h"
#include "lib/tls/openssl/openssl.h"
#include "tests/unit/random.h"
#include "tests/unit/tls_backend_rig.h"
#include "tests/unit/tls_tree.h"

#include <dlfcn.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <tests/have.h>
#include <weir/error.h>

#if WR_TESTS_OWN_WOLFSSL
#include <wolfssl/options.h>
#endif

enum { MUTANTS = 200, CHAIN = 4 };

/* The certificate of the chain that is changed. */
enum { LEAF, MIDDLE, BESIDE, PLACES, ROOT = PLACES };

static EVP_PKEY *keys[3];  /* of the root, the middle and the leaf */
static X509 *chain[CHAIN]; /* leaf, middle, one next to the path, root */
static struct wr_x509_trust trust;
static struct backend_pair pair;
static const struct wr_tls_backend
    *judging; /* backend whose primitives verify */

/* A wolfSSL not built like tools/deps refuses what it cannot parse before weir
 * is called, even next to the path: it may be stricter. */
#ifdef WOLFSSL_PUBLIC_ASN
static const bool reads_all = true;
#else
static const bool reads_all = false;
#endif

/* The bytes that libssl sends instead of its certificates. */
static struct shown {
    const X509 *cert;
    uint8_t data[TREE_BYTES];
    size_t size;
} shown[PLACES];

/* libssl calls this function, as it uses any name that a program defines, too.
 */
int i2d_X509(const X509 *cert, unsigned char **out)
{
    static int (*real)(const X509 *, unsigned char **);

    if (!real) {
        *(void **)&real = dlsym(RTLD_NEXT, "i2d_X509");
    }
    for (int i = 0; i < PLACES; i++) {
        if (!cert || shown[i].cert != cert) {
            continue;
        }
        if (out && *out) {
            memcpy(*out, shown[i].data, shown[i].size);
            *out += shown[i].size;
        } else if (out) {
            *out = OPENSSL_memdup(shown[i].data, shown[i].size);
        }
        return (int)shown[i].size;
    }
    return real(cert, out);
}

/* How libssl shows weir the message that it reads: in its own buffer, in a
 * copy, with another key in the leaf, or not at all. */
static enum sight { IN_PLACE, COPIED, OTHER_KEY, HIDDEN } sight;

/* NOLINTNEXTLINE(readability-function-size): OpenSSL says what it is given */
typedef void message_fn(int is_sent, int version, int type, const void *data,
                        size_t size, SSL *ssl, void *arg);

static message_fn *noting;

void __real_SSL_CTX_set_msg_callback(SSL_CTX *ctx, message_fn *note);
void __wrap_SSL_CTX_set_msg_callback(SSL_CTX *ctx, message_fn *note);

/* NOLINTNEXTLINE(readability-function-size): as above */
static void mutant_see(int is_sent, int version, int type, const void *data,
                       size_t size, SSL *ssl, void *arg)
{
    static uint8_t copy[2 * PLACES * TREE_BYTES];

    cr_assert_leq(size, sizeof(copy));
    memcpy(copy, data, size);
    if (sight == OTHER_KEY && copy[0] == SSL3_MT_CERTIFICATE) {
        const ASN1_BIT_STRING *key = X509_get0_pubkey_bitstr(chain[LEAF]);
        uint8_t *at = memmem(copy, size, key->data, (size_t)key->length);
        cr_assert_not_null(at);
        at[key->length - 1] ^= 1;
    }
    if (sight != HIDDEN) {
        noting(is_sent, version, type, copy, size, ssl, arg);
    }
}

void __wrap_SSL_CTX_set_msg_callback(SSL_CTX *ctx, message_fn *note)
{
    noting = note;
    __real_SSL_CTX_set_msg_callback(ctx, sight == IN_PLACE ? note : mutant_see);
}

const struct wr_tls_backend *__real_wr_tls_backend_get(void);
const struct wr_tls_backend *__wrap_wr_tls_backend_get(void);

const struct wr_tls_backend *__wrap_wr_tls_backend_get(void)
{
    return judging ? judging : __real_wr_tls_backend_get();
}

static const struct extension {
    const char *name;
    const char *value;
    unsigned places; /* bits */
} extensions[] = {
    {"basicConstraints", "critical,CA:TRUE,pathlen:3", 1 << MIDDLE | 1 << ROOT},
    {"basicConstraints", "critical,CA:FALSE", 1 << LEAF},
    {"keyUsage", "critical,keyCertSign,cRLSign", 1 << MIDDLE},
    {"keyUsage", "critical,digitalSignature", 1 << LEAF},
    {"extendedKeyUsage", "serverAuth,clientAuth", 3},
    {"subjectAltName",
     "DNS:localhost,DNS:*.example.org,email:a@localhost,URI:http://a.org/,"
     "IP:127.0.0.1,RID:1.2.3.4,otherName:1.2.3.5;UTF8:x",
     3},
    {"issuerAltName", "DNS:issuer.org", 3},
    {"nameConstraints",
     "critical,permitted;DNS:localhost,permitted;DNS:example.org,"
     "permitted;email:localhost,permitted;IP:127.0.0.0/255.0.0.0,"
     "excluded;DNS:other.org",
     1 << MIDDLE},
    {"certificatePolicies", "1.2.3.4,2.5.29.32.0", 3},
    {"subjectKeyIdentifier", "hash", 3},
    {"authorityKeyIdentifier", "keyid,issuer:always", 3},
    {"crlDistributionPoints", "URI:http://a.org/crl", 3},
    {"freshestCRL", "URI:http://a.org/delta", 3},
    {"authorityInfoAccess", "OCSP;URI:http://a.org/", 3},
    {"subjectInfoAccess", "1.3.6.1.5.5.7.48.5;URI:http://a.org/", 3},
    {"policyConstraints", "requireExplicitPolicy:3", 1 << MIDDLE},
    {"policyMappings", "1.2.3.4:1.2.3.5", 1 << MIDDLE},
    {"inhibitAnyPolicy", "2", 1 << MIDDLE},
    {"nsCertType", "server", 1 << LEAF},
    {"1.2.3.4.5", "DER:0500", 3},
};

static void mutant_extend(X509 *cert, X509 *issuer, int place)
{
    X509V3_CTX ctx;

    X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
    CONF *conf = NCONF_new(NULL);
    X509V3_set_nconf(&ctx, conf);
    for (size_t i = 0; i < sizeof(extensions) / sizeof(*extensions); i++) {
        const struct extension *one = &extensions[i];
        if (one->places & 1u << place) {
            X509_EXTENSION *made =
                X509V3_EXT_nconf(conf, &ctx, one->name, one->value);
            cr_assert_not_null(made, "%s", one->name);
            cr_assert_eq(X509_add_ext(cert, made, -1), 1);
            X509_EXTENSION_free(made);
        }
    }
    NCONF_free(conf);
}

/* Makes a certificate signed by @key of @issuer; NULL means its own key. */
static X509 *mutant_make(const char *name, EVP_PKEY *own, X509 *issuer,
                         EVP_PKEY *key, int place)
{
    X509 *cert = X509_new();
    X509_NAME *subject = X509_get_subject_name(cert);

    X509_set_version(cert, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(cert), 100 + place);
    X509_gmtime_adj(X509_getm_notBefore(cert), -3600);
    X509_gmtime_adj(X509_getm_notAfter(cert), 365 * 86400);
    X509_NAME_add_entry_by_txt(subject, "C", MBSTRING_ASC,
                               (const uint8_t *)"DE", -1, -1, 0);
    X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8,
                               (const uint8_t *)name, -1, -1, 0);
    X509_set_issuer_name(cert,
                         issuer ? X509_get_subject_name(issuer) : subject);
    X509_set_pubkey(cert, own);
    mutant_extend(cert, issuer ? issuer : cert, place);
    cr_assert_gt(X509_sign(cert, key, EVP_sha256()), 0);
    return cert;
}

static EVP_PKEY *mutant_key(void)
{
    char path[4096];

    backend_file("ecdsa", "key", path, sizeof(path));
    FILE *file = fopen(path, "re");
    cr_assert_not_null(file);
    EVP_PKEY *key = PEM_read_PrivateKey(file, NULL, NULL, NULL);
    fclose(file);
    cr_assert_not_null(key);
    return key;
}

static void mutant_open(void)
{
    uint8_t *der = NULL;

    for (int i = 0; i < 2; i++) {
        keys[i] = EVP_EC_gen("P-256");
    }
    keys[2] = mutant_key();
    chain[ROOT] = mutant_make("root", keys[0], NULL, keys[0], ROOT);
    chain[MIDDLE] =
        mutant_make("middle", keys[1], chain[ROOT], keys[0], MIDDLE);
    chain[LEAF] = mutant_make("leaf", keys[2], chain[MIDDLE], keys[1], LEAF);
    chain[BESIDE] =
        mutant_make("beside", keys[1], chain[ROOT], keys[0], BESIDE);
    const int size = i2d_X509(chain[ROOT], &der);
    uint8_t *copy = malloc((size_t)size);
    memcpy(copy, der, (size_t)size);
    OPENSSL_free(der);
    cr_assert_eq(
        wr_x509_trust_add(&trust, (struct wr_bytes){copy, (size_t)size}), 1);
}

static void mutant_close(void)
{
    for (int i = 0; i < CHAIN; i++) {
        X509_free(chain[i]);
    }
    for (int i = 0; i < 3; i++) {
        EVP_PKEY_free(keys[i]);
    }
    wr_x509_trust_fini(&trust);
}

static struct wr_x509_reason mutant_link(void *user,
                                         const struct wr_x509 *child,
                                         const struct wr_x509 *issuer)
{
    const int err = wr_tls_signature_verify(&child->sign, issuer->key_info);
    (void)user;
    return (struct wr_x509_reason){err == 0 ? 0 : WEIR_ETLSBADCERT,
                                   "was not signed by its issuer"};
}

/* Returns weir's verdict: 0 or its code. */
static int mutant_judge(const struct wr_bytes *certs, size_t count)
{
    struct wr_tls_verdict verdict;
    const struct wr_tls_policy policy = {
        .rules = {.now = (int64_t)time(NULL)},
        .hostname = "localhost",
        .trust = &trust,
        .link = mutant_link,
    };

    wr_tls_verdict_init(&verdict, wr_default_allocator());
    for (size_t i = 0; i < count; i++) {
        cr_assert_eq(wr_tls_verdict_keep(&verdict, (uint32_t)i, certs[i].data,
                                         certs[i].size),
                     0);
    }
    const bool is_good =
        sight == OTHER_KEY || wr_tls_verify_search(&policy, &verdict);
    const int err = verdict.err;
    cr_assert_eq(is_good, err == 0);
    wr_tls_verdict_fini(&verdict);
    return err;
}

/* Sends the chain in one handshake. Returns the client's code. */
static int mutant_show(const struct wr_tls_backend *client, int version)
{
    const struct backend_options by_client = {.backend = client,
                                              .version = version,
                                              .verifies = true,
                                              .name = "localhost"};
    const struct backend_options by_server = {.version = version,
                                              .certificate = "ecdsa"};

    judging = client ? client : &wr_tls_openssl;
    backend_pair_open(&pair, &by_client, &by_server);
    pair.client.judge = mutant_judge;
    SSL *ssl = pair.server.conn.ssl;
    shown[LEAF].cert = SSL_get_certificate(ssl);
    for (int i = MIDDLE; i < PLACES; i++) {
        shown[i].cert = shown[i].size > 0 ? chain[i] : NULL;
        cr_assert(!shown[i].cert || SSL_add1_chain_cert(ssl, chain[i]) == 1);
    }
    backend_step(&pair.client);
    backend_exchange(&pair);
    /* A key that has not signed is detected at one place or another. */
    const int code = pair.client.is_open       ? 0
                     : pair.client.verdict < 0 ? pair.client.verdict
                                               : WEIR_ETLSPROTOCOL;
    backend_pair_close(&pair);
    for (int i = 0; i < PLACES; i++) {
        shown[i].cert = NULL;
    }
    judging = NULL;
    return code;
}

static void mutant_encode(struct shown *to, X509 *cert)
{
    unsigned char *at = to->data;
    to->size = (size_t)i2d_X509(cert, &at);
    cr_assert_leq(to->size, sizeof(to->data));
}

/* Signs a body again. */
static void mutant_sign(struct tree *tree, int body, int bits, EVP_PKEY *key)
{
    static uint8_t text[TREE_BYTES];
    uint8_t made[256] = {0};
    size_t size = sizeof(made) - 1;
    const size_t text_size = tree_write(tree, body, text);
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();

    cr_assert_eq(EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, key), 1);
    cr_assert_eq(EVP_DigestSign(ctx, made + 1, &size, text, text_size), 1);
    EVP_MD_CTX_free(ctx);
    tree_set(tree, bits, made, size + 1);
}

/* Changes one to three elements of the body, or one of those around it. */
static void mutant_change(struct shown *to, EVP_PKEY *key,
                          struct unit_random *random)
{
    static struct tree tree;
    const int count = 1 + (unit_random_below(random, 4) == 0) +
                      (unit_random_below(random, 16) == 0);
    const bool is_around = unit_random_below(random, 12) == 0;

    tree_read(&tree, to->data, to->size);
    const int body = tree_child(&tree, 0, 0);
    const int bits = tree_child(&tree, 0, 2);
    for (int i = 0; i < count && !is_around; i++) {
        tree_change(&tree, body, random);
    }
    mutant_sign(&tree, body, bits, key);
    if (is_around) {
        tree_change(&tree, 0, random);
    }
    to->size = tree_write(&tree, 0, to->data);
}

/* Sends one mutant to all clients. Returns true if they agree. */
static bool mutant_agrees(int place, uint64_t number)
{
    const struct wr_tls_backend *other = backend_other(); /* may be NULL */
    const int codes[] = {mutant_show(NULL, 12), mutant_show(NULL, 13),
                         mutant_show(other, 12), mutant_show(other, 13)};
    bool agrees = (place != BESIDE || codes[0] == 0) && codes[0] == codes[1];

    agrees &= codes[2] == codes[3] &&
              (reads_all || !other ? codes[0] == codes[2]
                                   : codes[2] < 0 || codes[0] == 0);
    if (!agrees) {
        fprintf(stderr, "mutant %llu, place %d: OpenSSL %d %d, other %d %d\n",
                (unsigned long long)number, place, codes[0], codes[1], codes[2],
                codes[3]);
        const char *folder = getenv("WEIR_CERT_MUTANTS_TO");
        if (folder) {
            char path[4096];
            snprintf(path, sizeof(path), "%s/%llu.der", folder,
                     (unsigned long long)number);
            FILE *file = fopen(path, "we");
            fwrite(shown[place].data, 1, shown[place].size, file);
            fclose(file);
        }
    }
    return agrees;
}

/* Changes this certificate at random, in one of the two parts of the count. */
static void mutant_run(int place, uint64_t part)
{
    const char *text = getenv("WEIR_CERT_MUTANTS");
    const uint64_t count =
        (text ? strtoull(text, NULL, 0) : MUTANTS) / (2 * PLACES) + 1;
    setenv("WEIR_TEST_SEED", "7",
           0); /* unless the environment sets another one */
    struct unit_random random = unit_random_new();
    uint64_t different = 0;
    uint64_t accepted = 0;

    random.state += part;
    mutant_open();
    for (uint64_t i = 0; i < count; i++) { /* number 0 is no mutant */
        for (int k = 0; k < PLACES; k++) {
            mutant_encode(&shown[k], chain[k]);
        }
        if (i > 0) {
            mutant_change(&shown[place], keys[place == LEAF], &random);
        }
        if (place != BESIDE) {
            shown[BESIDE].size = 0;
        }
        different += !mutant_agrees(place, i);
        accepted += pair.client.is_open;
        cr_assert(i > 0 || accepted > 0, "the good one is refused");
    }
    mutant_close();
    fprintf(stderr, "%llu of %llu accepted\n", (unsigned long long)accepted,
            (unsigned long long)count);
    expect_eq(different, 0);
}

#define BYTES(text) (const uint8_t *)(text), sizeof(text) - 1

/* An extension with a changed value, and the verdict. Names are from x509-limbo
 * if it has the case. A malformed middle certificate is ignored. */
static const struct known {
    const char *name;
    int place;
    const uint8_t *oid;
    size_t oid_size;
    const uint8_t *value;
    size_t value_size;
    int code;
} known[] = {
    {"rfc5280::leaf-ku-keycertsign", LEAF, BYTES("\x55\x1d\x0f"),
     BYTES("\3\2\2\x84"), WEIR_ETLSPURPOSE},
    {"a byte behind the names", LEAF, BYTES("\x55\x1d\x11"),
     BYTES("\x30\x0b\x82\x09localhost\0"), WEIR_ETLSBADCERT},
    {"a NULL behind the first name", LEAF, BYTES("\x55\x1d\x11"),
     BYTES("\x30\x0d\x82\x09localhost\5\0"), WEIR_ETLSBADCERT},
    {"a boolean of 1", LEAF, BYTES("\x55\x1d\x13"), BYTES("\x30\3\1\1\1"),
     WEIR_ETLSBADCERT},
    {"a base that is no name", MIDDLE, BYTES("\x55\x1d\x1e"),
     BYTES("\x30\x11\xa0\x0f\x30\x0d\2\x0b"
           "example.com"),
     WEIR_ETLSISSUER},
    {"the same, excluded", MIDDLE, BYTES("\x55\x1d\x1e"),
     BYTES("\x30\x11\xa1\x0f\x30\x0d\2\x0b"
           "example.com"),
     WEIR_ETLSISSUER},
    {"a base of another host", MIDDLE, BYTES("\x55\x1d\x1e"),
     BYTES("\x30\x11\xa0\x0f\x30\x0d\x82\x0b"
           "example.com"),
     WEIR_ETLSCONSTRAINT},
    {"a type of Netscape's that is cut", LEAF,
     BYTES("\x60\x86\x48\1\x86\xf8\x42\1\1"), BYTES("\3\2\6"),
     WEIR_ETLSBADCERT},
    {"any bytes of an unknown one", LEAF, BYTES("\x2a\3\4\5"), BYTES("any"), 0},
};

UNIT(tls_mutant, known_ones_get_a_known_verdict)
{
    static struct tree tree;

    mutant_open();
    for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++) {
        const struct known *one = &known[i];
        struct shown *to = &shown[one->place];
        mutant_encode(&shown[LEAF], chain[LEAF]);
        mutant_encode(&shown[MIDDLE], chain[MIDDLE]);
        shown[BESIDE].size = 0;
        tree_read(&tree, to->data, to->size);
        tree_set(&tree, tree_behind(&tree, one->oid, one->oid_size), one->value,
                 one->value_size);
        mutant_sign(&tree, tree_child(&tree, 0, 0), tree_child(&tree, 0, 2),
                    keys[one->place == LEAF]);
        to->size = tree_write(&tree, 0, to->data);
        expect_eq(mutant_show(NULL, 12), one->code, "%s", one->name);
        cr_assert(mutant_agrees(one->place, i), "%s", one->name);
    }
    mutant_close();
}

/* OpenSSL does not document what a program may do with a message that it is
 * shown. */
UNIT(tls_mutant, libssl_must_have_the_key_that_was_judged)
{
    mutant_open();
    for (int version = 12; version <= 13; version++) {
        for (sight = IN_PLACE; sight <= HIDDEN; sight++) {
            mutant_encode(&shown[LEAF], chain[LEAF]);
            mutant_encode(&shown[MIDDLE], chain[MIDDLE]);
            shown[BESIDE].size = 0;
            cr_assert_eq(mutant_show(NULL, version) == 0, sight <= COPIED,
                         "TLS %d, %d", version, (int)sight);
        }
    }
    sight = IN_PLACE;
    mutant_close();
}

UNIT(tls_mutant, leaves_get_one_verdict)
{
    mutant_run(LEAF, 0);
}

UNIT(tls_mutant, other_leaves_get_one_verdict)
{
    mutant_run(LEAF, 1);
}

UNIT(tls_mutant, issuers_get_one_verdict)
{
    mutant_run(MIDDLE, 0);
}

UNIT(tls_mutant, other_issuers_get_one_verdict)
{
    mutant_run(MIDDLE, 1);
}

UNIT(tls_mutant, what_the_path_does_not_need_is_passed_over)
{
    mutant_run(BESIDE, 0);
}

UNIT(tls_mutant, what_else_it_does_not_need_is_passed_over)
{
    mutant_run(BESIDE, 1);
}
