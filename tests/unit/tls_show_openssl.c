/*
 * A certificate of any strength in an OpenSSL context; see tls_show.h.
 *
 * The security level, below which OpenSSL uses no certificate, is lowered in
 * each handshake, where the context's own certificate is replaced.
 */
#include "tests/unit/tls_show.h"

#include "lib/tls/context/context_impl.h"
#include "lib/tls/openssl/openssl.h"
#include "tests/tls/rig.h"

/* Replaces the certificate that the connection has from its context. */
static int show_in_handshake(SSL *ssl, void *arg)
{
    const char *name = arg;
    const char *path = tls_file("tls-matrix/%s.pem", name);
    const char *key = tls_file("tls-matrix/%s.key", name);
    SSL_certs_clear(ssl);
    SSL_set_security_level(ssl, 0);
    cr_assert_eq(SSL_use_certificate_chain_file(ssl, path), 1, "%s", path);
    cr_assert_eq(SSL_use_PrivateKey_file(ssl, key, SSL_FILETYPE_PEM), 1, "%s",
                 key);
    return 1;
}

void tls_show(weir_tls_context *context, const char *name)
{
    SSL_CTX_set_cert_cb(context->shared->ctx, show_in_handshake,
                        (char *)(uintptr_t)name);
}

/* A server checks the curves that the client names, and in TLS 1.2 the usage of
 * its own certificate. */
bool tls_show_can(const char *name, bool is_server, bool is_1_2)
{
    return !is_server || (strcmp(name, "other-curve") != 0 &&
                          (!is_1_2 || (strcmp(name, "weak-curve") != 0 &&
                                       strcmp(name, "no-signature") != 0)));
}

bool tls_show_reads(const char *name)
{
    return name != NULL;
}

bool tls_show_reads_all(void)
{
    return true;
}
