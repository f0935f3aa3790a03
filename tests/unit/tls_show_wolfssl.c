/*
 * A certificate of any strength in a wolfSSL context; see tls_show.h.
 *
 * libcrypto signs for a context, so it must load an RSA key, too. Names are
 * those of tests/unit/tls_matrix.sh.
 */
#include "tests/unit/tls_show.h"

#include "lib/tls/context/context_impl.h"
#include "lib/tls/wolfssl/wolfssl.h"
#include "tests/tls/rig.h"

static void show_use_rsa(weir_tls_context *context, const char *name)
{
    static uint8_t key[8 << 10];
    const size_t size =
        tls_file_read(tls_file("tls-matrix/%s.key", name), key, sizeof(key));
    struct wr_tls_credential *credential = context->identities->credential;
    wr_wolfssl_free_rsa(credential->rsa_key);
    expect_ok(wr_wolfssl_read_rsa(key, (long)size, &credential->rsa_key));
}

void tls_show(weir_tls_context *context, const char *name)
{
    const char *path = tls_file("tls-matrix/%s.pem", name);
    WOLFSSL_CTX *ctx = (WOLFSSL_CTX *)context->shared;
    cr_assert_eq(wolfSSL_CTX_SetMinRsaKey_Sz(ctx, 1024), WOLFSSL_SUCCESS);
    cr_assert_eq(wolfSSL_CTX_SetMinEccKey_Sz(ctx, 112), WOLFSSL_SUCCESS);
    int ok = wolfSSL_CTX_use_certificate_chain_file(ctx, path);
    cr_assert_eq(ok, WOLFSSL_SUCCESS, "%s: %d", path, ok);
    ok = wolfSSL_CTX_use_PrivateKey_file(
        ctx, tls_file("tls-matrix/%s.key", name), WOLFSSL_FILETYPE_PEM);
    cr_assert_eq(ok, WOLFSSL_SUCCESS, "%s: %d", path, ok);
    show_use_rsa(context, name);
}

bool tls_show_can(const char *name, bool is_server, bool is_1_2)
{
    return name != NULL;
}

bool tls_show_reads(const char *name)
{
#ifdef WOLFSSL_PUBLIC_ASN
    return name != NULL;
#else
    static const char *const names[] = {
        "good-beside-explicit", "good-beside-two-in-a-set",
        "good-beside-bad-usage", "good-beside-bad-names"};

    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
        if (strcmp(name, names[i]) == 0) {
            return false;
        }
    }
    return true;
#endif
}

bool tls_show_reads_all(void)
{
#if defined(WOLFSSL_PYTHON) && defined(WOLFSSL_CERT_EXT) &&                    \
    defined(MAX_CERTIFICATE_SZ) && defined(MAX_CHAIN_DEPTH)
    return true;
#else
    return false;
#endif
}
