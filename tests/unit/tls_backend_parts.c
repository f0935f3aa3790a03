/*
 * The separate parts of a TLS backend: own certificates, signatures of
 * certificates, hashes and authenticated encryption.
 *
 * Certificates are those of tests/unit/tls_certificates.sh.
 */
#include "lib/tls/context/pem.h"
#include "lib/tls/openssl/openssl.h"
#include "lib/x509/certificate.h"
#include "lib/x509/signed.h"
#include "tests/unit/tls_backend_rig.h"

#include <errno.h>
#include <weir/error.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

static const struct wr_tls_backend *const backend = &wr_tls_openssl;

static uint8_t text[64 << 10];

static size_t read_text(const char *name, const char *end)
{
    char path[4096];
    backend_file(name, end, path, sizeof(path));
    FILE *file = fopen(path, "re");
    cr_assert_not_null(file, "%s", path);
    const size_t len = fread(text, 1, sizeof(text), file);
    fclose(file);
    return len;
}

/* Creates a credential from a chain and a key. Returns 0 or the error. */
static int credential_of(const char *chain, const char *key)
{
    struct wr_tls_credential *credential = NULL;
    cr_assert_eq(backend->start(), 0);
    cr_assert_eq(backend->credential_new(&credential), 0);
    int err = backend->credential_use_chain(credential, text,
                                            read_text(chain, "pem"));
    if (err == 0) {
        err = backend->credential_use_key(credential, text,
                                          read_text(key, "key"));
    }
    if (err == 0) {
        err = backend->credential_check(credential);
    }
    backend->credential_free(credential);
    return err;
}

UNIT(tls_backend_parts, a_certificate_has_its_key)
{
    static const char *const names[] = {"ecdsa", "rsa", "rsa3072", "rsa4096",
                                        "rsapss"};
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
        expect_eq(credential_of(names[i], names[i]), 0, "%s", names[i]);
    }
    expect_eq(credential_of("ecdsa", "rsa"), WEIR_ETLSMISMATCH);
    expect_eq(credential_of("rsa", "rsa3072"), WEIR_ETLSMISMATCH);
}

static int use_key(const char *pem)
{
    struct wr_tls_credential *credential = NULL;
    cr_assert_eq(backend->start(), 0);
    cr_assert_eq(backend->credential_new(&credential), 0);
    const int err = backend->credential_use_key(
        credential, (const uint8_t *)pem, strlen(pem));
    backend->credential_free(credential);
    return err;
}

/* No password is requested, not even at a terminal. */
UNIT(tls_backend_parts, an_encrypted_key_is_told_from_none)
{
    expect_eq(use_key(""), WEIR_ETLSNOKEY);
    expect_eq(use_key("no key"), WEIR_ETLSNOKEY);
    expect_eq(use_key("-----BEGIN PRIVATE KEY-----\nAAAA\n"
                      "-----END PRIVATE KEY-----\n"),
              WEIR_ETLSNOKEY);
    expect_eq(
        use_key(
            "-----BEGIN RSA PRIVATE KEY-----\n"
            "Proc-Type: 4,ENCRYPTED\n"
            "DEK-Info: AES-256-CBC,00112233445566778899AABBCCDDEEFF\n"
            "\n"
            "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n"
            "-----END RSA PRIVATE KEY-----\n"),
        WEIR_ETLSPASSWORD);
}

UNIT(tls_backend_parts, a_chain_that_is_none_is_refused)
{
    static const char *const texts[] = {
        "", "no certificate",
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"};
    cr_assert_eq(backend->start(), 0);
    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
        struct wr_tls_credential *credential = NULL;
        cr_assert_eq(backend->credential_new(&credential), 0);
        expect_eq(backend->credential_use_chain(
                      credential, (const uint8_t *)texts[i], strlen(texts[i])),
                  WEIR_ETLSFILE);
        backend->credential_free(credential);
    }
}

/* Creates a certificate with its own key, signed by another one, as a backend
 * gets it. Returns 0, or the error of the first call that refuses it. */
static int credential_made(EVP_PKEY *key, const EVP_MD *hash)
{
    X509 *leaf = X509_new();
    EVP_PKEY *issuer = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
    BIO *texts[] = {BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem())};
    struct wr_tls_credential *credential = NULL;
    char *at = NULL;

    cr_assert(leaf && issuer && texts[0] && texts[1]);
    X509_gmtime_adj(X509_getm_notBefore(leaf), 0);
    X509_gmtime_adj(X509_getm_notAfter(leaf), 3600);
    X509_NAME_add_entry_by_txt(X509_get_issuer_name(leaf), "CN", MBSTRING_ASC,
                               (const unsigned char *)"other", -1, -1, 0);
    cr_assert_eq(X509_set_pubkey(leaf, key), 1);
    cr_assert_gt(X509_sign(leaf, issuer, hash), 0);
    cr_assert_eq(PEM_write_bio_X509(texts[0], leaf), 1);
    cr_assert_eq(
        PEM_write_bio_PrivateKey(texts[1], key, NULL, NULL, 0, NULL, NULL), 1);
    cr_assert_eq(backend->credential_new(&credential), 0);
    long size = BIO_get_mem_data(texts[0], &at);
    int err = backend->credential_use_chain(credential, (const uint8_t *)at,
                                            (size_t)size);
    if (err == 0) {
        size = BIO_get_mem_data(texts[1], &at);
        err = backend->credential_use_key(credential, (const uint8_t *)at,
                                          (size_t)size);
    }
    err = err == 0 ? backend->credential_check(credential) : err;
    backend->credential_free(credential);
    BIO_free(texts[0]);
    BIO_free(texts[1]);
    X509_free(leaf);
    EVP_PKEY_free(issuer);
    EVP_PKEY_free(key);
    return err;
}

/* No handshake could use these. */
UNIT(tls_backend_parts, a_certificate_of_no_use_is_refused_at_once)
{
    cr_assert_eq(backend->start(), 0);
    expect_eq(credential_made(EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-384"),
                              EVP_sha256()),
              0);
    expect_eq(
        credential_made(EVP_PKEY_Q_keygen(NULL, NULL, "ED25519"), EVP_sha256()),
        0);
    expect_eq(credential_made(EVP_PKEY_Q_keygen(NULL, NULL, "EC", "secp256k1"),
                              EVP_sha256()),
              WEIR_ETLSFILE);
    expect_eq(
        credential_made(EVP_PKEY_Q_keygen(NULL, NULL, "EC", "brainpoolP256r1"),
                        EVP_sha256()),
        WEIR_ETLSFILE);
    expect_eq(
        credential_made(EVP_PKEY_Q_keygen(NULL, NULL, "ED448"), EVP_sha256()),
        WEIR_ETLSFILE);
    /* OpenSSL 3.5 sends a certificate that was signed with SHA-1. */
    expect_eq(credential_made(EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256"),
                              EVP_sha1()),
              OpenSSL_version_num() < 0x30500000UL ? WEIR_ETLSWEAK : 0);
}

/* Errors of the system have numbers beyond INT_MAX. */
UNIT(tls_backend_parts, an_error_of_the_system_has_a_code)
{
    static const struct {
        int number;
        int code;
    } rows[] = {{EACCES, WEIR_ETLSENGINE}, {ENOMEM, -ENOMEM}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct wr_openssl_errors errors;
        wr_openssl_enter(&errors);
        ERR_raise(ERR_LIB_SYS, rows[i].number);
        wr_openssl_leave(&errors);
        expect_neq(errors.newest, 0);
        expect_eq(errors.lacks_memory, rows[i].code == -ENOMEM);
        expect_eq(wr_openssl_code_of(errors.newest), rows[i].code);
        cr_assert_not_null(wr_openssl_text_of((int)(unsigned)errors.newest));
    }
}

UNIT(tls_backend_parts, a_reason_of_another_library_is_none_of_tls)
{
    static const struct {
        int library;
        int reason;
        int code;
    } rows[] = {
        {ERR_LIB_SSL, SSL_R_NO_SHARED_CIPHER, WEIR_ETLSCIPHER},
        {ERR_LIB_EVP, SSL_R_NO_SHARED_CIPHER, WEIR_ETLSPROTOCOL},
        {ERR_LIB_USER, SSL_R_CERTIFICATE_VERIFY_FAILED, WEIR_ETLSPROTOCOL},
        {ERR_LIB_EVP, ERR_R_INTERNAL_ERROR, WEIR_ETLSENGINE},
        {ERR_LIB_X509, ERR_R_MALLOC_FAILURE, -ENOMEM},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct wr_openssl_errors errors;
        wr_openssl_enter(&errors);
        ERR_raise(rows[i].library, rows[i].reason);
        wr_openssl_leave(&errors);
        expect_eq(wr_openssl_code_of(errors.newest), rows[i].code, "row %zu",
                  i);
    }
}

/* SSL_R_RECORD_LAYER_FAILURE, which OpenSSL 3.2 and later add after the reason
 * for which a record is refused. */
enum { VAGUE = 313 };

UNIT(tls_backend_parts, a_refused_record_has_the_code_of_its_reason)
{
    static const struct {
        int reason;
        int code;
    } rows[] = {{SSL_R_DECRYPTION_FAILED_OR_BAD_RECORD_MAC, WEIR_ETLSRECORD},
                {SSL_R_WRONG_VERSION_NUMBER, WEIR_ETLSVERSION},
                {SSL_R_RECORD_TOO_SMALL, WEIR_ETLSFLOOD},
                {SSL_R_UNEXPECTED_RECORD, WEIR_ETLSPROTOCOL}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        for (int is_vague = 0; is_vague < 2; is_vague++) {
            struct wr_openssl_errors errors;
            wr_openssl_enter(&errors);
            ERR_raise(ERR_LIB_EVP, ERR_R_INTERNAL_ERROR);
            ERR_raise(ERR_LIB_SSL, rows[i].reason);
            if (is_vague) {
                ERR_raise(ERR_LIB_SSL, VAGUE);
            }
            wr_openssl_leave(&errors);
            expect_eq(ERR_GET_REASON(errors.newest), rows[i].reason);
            expect_eq(wr_openssl_code_of(errors.newest), rows[i].code);
        }
    }
}

static struct backend_pair pair;
static struct wr_tls_events vague_events;
static int (*real_put)(struct wr_tls_conn *conn, uint8_t *data, size_t size);

/* The alert is sent between the reason and the return of the call. */
static int put_vaguely(struct wr_tls_conn *conn, uint8_t *data, size_t size)
{
    ERR_raise(ERR_LIB_SSL, VAGUE);
    return real_put(conn, data, size);
}

/* A client gets a record with one changed byte, @from_end before its end or, if
 * that is 0, in the version of its header. */
static int code_of_spoiled(int version, size_t from_end, bool has_errors)
{
    const struct backend_options client = {.version = version,
                                           .name = "localhost"};
    const struct backend_options server = {.version = version,
                                           .certificate = "ecdsa"};
    backend_pair_open(&pair, &client, &server);
    backend_connect(&pair);
    vague_events = *pair.client.conn.events;
    real_put = vague_events.put;
    vague_events.put = put_vaguely;
    pair.client.conn.events = &vague_events;
    cr_assert_eq(backend->write(&pair.server.conn, "pong", 4), 0);
    pair.server.out[from_end > 0 ? pair.server.out_len - from_end : 1] ^= 1;
    if (has_errors) {
        ERR_raise(ERR_LIB_USER, 77);
    }
    backend_exchange(&pair);
    const int code = pair.client.conn.code;
    expect_eq(ERR_GET_REASON(ERR_peek_error()), has_errors ? 77 : 0);
    ERR_clear_error();
    backend_pair_close(&pair);
    return code;
}

/* The program's own errors hide the reason, but the alert reveals it. */
UNIT(tls_backend_parts, the_errors_of_the_program_do_not_change_a_code)
{
    for (int has_errors = 0; has_errors < 2; has_errors++) {
        expect_eq(code_of_spoiled(12, 1, has_errors), WEIR_ETLSRECORD);
        expect_eq(code_of_spoiled(13, 1, has_errors), WEIR_ETLSRECORD);
        expect_eq(code_of_spoiled(12, 0, has_errors), WEIR_ETLSVERSION);
    }
}

/* The bits for RFC 8879, in both directions, apply from OpenSSL 3.2 on, even in
 * a program that was compiled for an older one. */
UNIT(tls_backend_parts, certificates_are_never_compressed)
{
    const uint64_t bits = UINT64_C(3) << 32;
    struct backend_options client = {.backend = backend};
    struct backend_options server = {.backend = backend,
                                     .certificate = "ecdsa"};

    backend_pair_open(&pair, &client, &server);
    expect_eq(SSL_CTX_get_options(pair.client.shared->ctx) & bits, bits);
    expect_eq(SSL_CTX_get_options(pair.server.shared->ctx) & bits, bits);
    backend_pair_close(&pair);
}

static struct wr_bytes load(const char *name, struct wr_x509 *ret)
{
    struct wr_bytes der;
    struct wr_bytes rest = {.data = text, .size = read_text(name, "pem")};
    cr_assert_eq(wr_tls_pem_next(&rest, "CERTIFICATE", &der), 1);
    cr_assert_eq(wr_x509_read(ret, der.data, der.size), 0);
    return der;
}

/* Verifies that @issuer has signed @child, with bit @bit changed. */
static int verify(const char *child_name, const char *issuer_name, size_t bit)
{
    struct wr_x509 child;
    struct wr_x509 issuer;
    struct wr_x509_signed sign;
    struct wr_x509_signature_kind kind;
    struct wr_bytes body;
    uint8_t hash[WR_TLS_HASH_MAX];
    const struct wr_bytes child_der = load(child_name, &child);
    const struct wr_bytes issuer_der = load(issuer_name, &issuer);
    cr_assert(wr_x509_signed_read(&sign, child_der, &body));
    cr_assert(wr_x509_strength_find_signature(sign.algorithm, &kind));
    struct wr_tls_signed job = {.kind = &kind,
                                .key_info = issuer.key_info,
                                .message = sign.body,
                                .bits = sign.bits};
    if (kind.key == WR_X509_KEY_RSA) {
        cr_assert(wr_x509_strength_find_rsa(issuer.key_info, &job.rsa));
    }
    if (kind.hash != WR_X509_HASH_NONE) {
        const int size = backend->hash(kind.hash, sign.body, hash);
        cr_assert_gt(size, 0);
        job.message = (struct wr_bytes){.data = hash, .size = (size_t)size};
    }
    if (bit > 0) {
        ((uint8_t *)(uintptr_t)job.message.data)[bit % job.message.size] ^= 4;
    }
    const int err = backend->verify(&job);
    free((void *)(uintptr_t)child_der.data);
    free((void *)(uintptr_t)issuer_der.data);
    return err;
}

UNIT(tls_backend_parts, an_authority_has_signed_its_certificates)
{
    static const char *const names[] = {"ecdsa", "rsa", "rsapss", "ca"};
    cr_assert_eq(backend->start(), 0);
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
        expect_eq(verify(names[i], "ca", 0), 0, "%s", names[i]);
        expect_eq(verify(names[i], "ca", 1 + i), -EBADMSG, "%s", names[i]);
        if (strcmp(names[i], "ecdsa") != 0) {
            expect_eq(verify(names[i], "ecdsa", 0), -EBADMSG, "%s", names[i]);
        }
    }
}

/* FIPS providers lack some; here none has any. */
UNIT(tls_backend_parts, an_algorithm_that_no_provider_has_is_no_bad_signature)
{
    cr_assert_eq(backend->start(), 0);
    cr_assert_eq(EVP_set_default_properties(NULL, "provider=none"), 1);
    expect_eq(verify("ca", "ca", 0), -EOPNOTSUPP);
    expect_eq(verify("rsa", "ca", 0), -EOPNOTSUPP);
    cr_assert_eq(EVP_set_default_properties(NULL, ""), 1);
    expect_eq(verify("ca", "ca", 0), 0);
}

UNIT(tls_backend_parts, hashes_are_those_of_fips_180)
{
    static const uint8_t begin[][4] = {
        [WR_X509_HASH_SHA256] = {0xba, 0x78, 0x16, 0xbf},
        [WR_X509_HASH_SHA384] = {0xcb, 0x00, 0x75, 0x3f},
        [WR_X509_HASH_SHA512] = {0xdd, 0xaf, 0x35, 0xa1},
    };
    const struct wr_bytes abc = {.data = (const uint8_t *)"abc", .size = 3};
    uint8_t hash[WR_TLS_HASH_MAX];
    cr_assert_eq(backend->start(), 0);
    for (int i = WR_X509_HASH_SHA256; i <= WR_X509_HASH_SHA512; i++) {
        expect_eq(backend->hash((enum wr_x509_hash)i, abc, hash), 16 + 16 * i);
        expect_eq(memcmp(hash, begin[i], sizeof(begin[i])), 0, "%d", i);
    }
}

UNIT(tls_backend_parts, a_sealed_message_opens_unless_it_is_changed)
{
    const uint8_t key[32] = {1, 2, 3};
    const uint8_t nonce[WR_TLS_AEAD_NONCE] = {4, 5};
    uint8_t tag[WR_TLS_AEAD_TAG];
    cr_assert_eq(backend->start(), 0);
    for (int kind = WR_TLS_AEAD_AES_128_GCM; kind <= WR_TLS_AEAD_CHACHA20;
         kind++) {
        uint8_t data[100];
        uint8_t other[100];
        memset(data, kind, sizeof(data));
        struct wr_tls_aead job = {.kind = (enum wr_tls_aead_kind)kind,
                                  .key = key,
                                  .nonce = nonce,
                                  .beside = {(const uint8_t *)"beside", 6},
                                  .in = data,
                                  .out = data,
                                  .size = sizeof(data),
                                  .tag = tag};
        expect_eq(backend->seal(&job), 0);
        expect_neq(data[0], kind);
        job.out = other;
        expect_eq(backend->open_sealed(&job), 0);
        for (size_t i = 0; i < sizeof(other); i++) {
            cr_assert_eq(other[i], kind);
        }
        data[99] ^= 1;
        expect_eq(backend->open_sealed(&job), -EBADMSG);
        data[99] ^= 1;
        job.beside.size--;
        expect_eq(backend->open_sealed(&job), -EBADMSG);
        job.beside.size++;
        tag[15] ^= 1;
        expect_eq(backend->open_sealed(&job), -EBADMSG);
    }
}
