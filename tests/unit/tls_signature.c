/*
 * Signatures of certificates, verified with keys that are changed here.
 *
 * A key for RSASSA-PSS only has not signed anything with PKCS #1 1.5. Its
 * numbers are the signing key's, with another identifier.
 */
#include "lib/tls/context/pem.h"
#include "lib/tls/context/verify.h"
#include "lib/x509/certificate.h"
#include "tests/tls/rig.h"

#include <errno.h>

/* rsaEncryption in a key; id-RSASSA-PSS differs in the last byte. */
static const uint8_t signature_rsa[] = {0x06, 9,    0x2a, 0x86, 0x48, 0x86,
                                        0xf7, 0x0d, 1,    1,    1};
static const uint8_t signature_pss_last = 10;

/* Loads the certificate of a file. The caller frees the bytes. */
static struct wr_bytes signature_load(const char *name, struct wr_x509 *ret)
{
    static uint8_t text[16 << 10];
    struct wr_bytes der;
    const size_t size =
        tls_file_read(tls_file("tls-matrix/%s.crt", name), text, sizeof(text));
    struct wr_bytes rest = {.data = text, .size = size};
    cr_assert_eq(wr_tls_pem_next(&rest, "CERTIFICATE", &der), 1);
    cr_assert_eq(wr_x509_read(ret, der.data, der.size), 0);
    return der;
}

UNIT(tls_signature, a_key_for_pss_alone_signs_nothing_by_pkcs1)
{
    struct wr_x509 child;
    struct wr_x509 issuer;
    struct wr_x509_signed sign;
    struct wr_bytes body;
    uint8_t key[1 << 10];
    const struct wr_bytes child_der = signature_load("other-authority", &child);
    const struct wr_bytes issuer_der = signature_load("rsa-authority", &issuer);
    cr_assert(wr_x509_signed_read(&sign, child_der, &body));
    cr_assert(issuer.key_info.size <= sizeof(key));
    memcpy(key, issuer.key_info.data, issuer.key_info.size);
    const struct wr_bytes info = {.data = key, .size = issuer.key_info.size};
    expect_eq(wr_tls_signature_verify(&sign, info), 0);

    uint8_t *oid = memmem(key, info.size, signature_rsa, sizeof(signature_rsa));
    cr_assert(oid != NULL);
    oid[sizeof(signature_rsa) - 1] = signature_pss_last;

    expect_eq(wr_tls_signature_verify(&sign, info), -EBADMSG);
    free((void *)(uintptr_t)child_der.data);
    free((void *)(uintptr_t)issuer_der.data);
}

/* RSA signatures have as many bytes as the key, at most 512. */
UNIT(tls_signature, a_signature_by_rsa_of_another_size_is_refused)
{
    static const size_t sizes[] = {0, 1, 255, 257, 511, 512, 513, 1024};
    static uint8_t bits[1024];
    struct wr_x509 child;
    struct wr_x509 issuer;
    const struct wr_bytes child_der = signature_load("other-authority", &child);
    const struct wr_bytes issuer_der = signature_load("rsa-authority", &issuer);
    struct wr_x509_signed sign = child.sign;
    expect_eq(sign.bits.size, 256);
    memcpy(bits, sign.bits.data, sign.bits.size);
    sign.bits.data = bits;
    expect_eq(wr_tls_signature_verify(&sign, issuer.key_info), 0);

    for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
        sign.bits.size = sizes[i];
        expect_eq(wr_tls_signature_verify(&sign, issuer.key_info), -EBADMSG,
                  "%zu bytes", sizes[i]);
    }
    free((void *)(uintptr_t)child_der.data);
    free((void *)(uintptr_t)issuer_der.data);
}

UNIT(tls_signature, a_hash_that_is_known_stands_for_the_body)
{
    uint8_t hash[WR_TLS_SIGNATURE_HASH_MAX];
    struct wr_x509 child;
    struct wr_x509 issuer;
    const struct wr_bytes child_der = signature_load("other-authority", &child);
    const struct wr_bytes issuer_der = signature_load("rsa-authority", &issuer);
    cr_assert(wr_tls_signature_hash(&child.sign, hash));

    child.sign.hash = hash;
    child.sign.body.size = 0;
    expect_eq(wr_tls_signature_verify(&child.sign, issuer.key_info), 0);
    hash[0] ^= 1;
    expect_eq(wr_tls_signature_verify(&child.sign, issuer.key_info), -EBADMSG);

    free((void *)(uintptr_t)child_der.data);
    free((void *)(uintptr_t)issuer_der.data);
}
