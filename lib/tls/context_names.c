/*
 * A server's certificates that are chosen by the name a client asks for (SNI).
 *
 * Each is read and tried when the context is made: so a handshake only copies
 * what is known to be good into its connection. A name is compared with those
 * of the certificates by the strict rules by which a client would (verify.h). A
 * name that is none, one with a NUL for instance, is the name of no
 * certificate.
 */
#include "context_impl.h"
#include "engine.h"
#include "suites.h"
#include "verify.h"

#include <weir/error.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <wolfssl/wolfcrypt/asn_public.h>

/* Bytes of the longest name in DNS, and a NUL. */
#define NAMES_HOST_SIZE 256

/* ---- loading ---- */

static int context_names_copy(const uint8_t *data, long size, uint8_t **ret)
{
    wr_assert(size > 0);
    *ret = malloc((size_t)size);
    if (!*ret) {
        return -ENOMEM;
    }
    memcpy(*ret, data, (size_t)size);
    return 0;
}

/* The first certificate of a PEM text. */
static int context_names_read_leaf(const uint8_t *data, long size,
                                   uint8_t **ret, size_t *ret_size)
{
    wr_assert(size > 0);
    *ret = malloc((size_t)size);
    if (!*ret) {
        return -ENOMEM;
    }
    int len = wc_CertPemToDer(data, (int)size, *ret, (int)size, CERT_TYPE);
    if (len <= 0) {
        return WEIR_ETLSFILE;
    }
    *ret_size = (size_t)len;
    return 0;
}

/* Of the certificate without a choice: the text is the option's still. */
static int context_names_use_default(weir_tls_context *context,
                                     const uint8_t *data, long size)
{
    return context_names_read_leaf(data, size, &context->leaf,
                                   &context->leaf_size);
}

static struct wr_tls_identity *context_names_newest(weir_tls_context *context)
{
    wr_assert(context->identity_count > 0);
    return &context->identities[context->identity_count - 1];
}

static int context_names_use_chain(weir_tls_context *context,
                                   const uint8_t *data, long size)
{
    struct wr_tls_identity *identity = context_names_newest(context);
    int err = context_names_read_leaf(data, size, &identity->leaf,
                                      &identity->leaf_size);
    wr_assert(!identity->chain);
    identity->chain_size = size;
    return err < 0 ? err : context_names_copy(data, size, &identity->chain);
}

static int context_names_use_key(weir_tls_context *context, const uint8_t *data,
                                 long size)
{
    struct wr_tls_identity *identity = context_names_newest(context);
    wr_assert(!identity->key);
    identity->key_size = size;
    return context_names_copy(data, size, &identity->key);
}

/* Puts a certificate and its key into a connection. */
static int context_names_install(const struct wr_tls_identity *identity,
                                 WOLFSSL *ssl)
{
    wr_assert(identity->chain && identity->key);
    if (wolfSSL_use_certificate_chain_buffer(
            ssl, identity->chain, identity->chain_size) != WOLFSSL_SUCCESS) {
        return WEIR_ETLSFILE;
    }
    return wolfSSL_use_PrivateKey_buffer(ssl, identity->key, identity->key_size,
                                         WOLFSSL_FILETYPE_PEM) ==
                   WOLFSSL_SUCCESS
               ? 0
               : WEIR_ETLSNOKEY;
}

/* The certificate and its key are tried in a context of their own. */
static int context_names_try_in(const struct wr_tls_identity *identity,
                                WOLFSSL_CTX *ctx)
{
    wr_assert(identity->chain && identity->key);
    if (wolfSSL_CTX_use_certificate_chain_buffer(
            ctx, identity->chain, identity->chain_size) != WOLFSSL_SUCCESS) {
        return WEIR_ETLSFILE;
    }
    if (wolfSSL_CTX_use_PrivateKey_buffer(
            ctx, identity->key, identity->key_size, WOLFSSL_FILETYPE_PEM) !=
        WOLFSSL_SUCCESS) {
        return WEIR_ETLSNOKEY;
    }
    return wolfSSL_CTX_check_private_key(ctx) == WOLFSSL_SUCCESS
               ? 0
               : WEIR_ETLSMISMATCH;
}

static int context_names_try(weir_tls_context *context)
{
    WOLFSSL_CTX *ctx = wolfSSL_CTX_new(wolfSSLv23_server_method());
    if (!ctx) {
        return -ENOMEM;
    }
    int err = wr_tls_suites_set_strength(ctx);
    if (err == 0) {
        err = context_names_try_in(context_names_newest(context), ctx);
    }
    wolfSSL_CTX_free(ctx);
    return err;
}

static int context_names_load_one(weir_tls_context *context,
                                  const struct weir_tls_identity *from,
                                  struct wr_tls_context_text *text)
{
    const struct weir_tls_pem *key =
        wr_tls_context_has(&from->key) ? &from->key : &from->certificate;
    const char *file = key->file ? key->file : "the text in memory";

    wr_assert(context->is_server);
    context->identity_count++;
    int err =
        wr_tls_context_load_one(context, &from->certificate, "certificate",
                                context_names_use_chain, text);
    if (err == 0) {
        err = wr_tls_context_load_one(context, key, "key",
                                      context_names_use_key, text);
    }
    if (err == 0) {
        err = context_names_try(context);
        if (err < 0) {
            wr_ignore(snprintf(text->line, sizeof(text->line), "key: %s: %s",
                               file, weir_strerror(err)) < 0);
        }
    }
    return err;
}

/* ---- choosing ---- */

/* The name that the client asks for; false: none that can be one. */
static bool context_names_read_host(const void *name, size_t len,
                                    char ret[NAMES_HOST_SIZE])
{
    wr_assert(name != NULL);
    if (len >= NAMES_HOST_SIZE || memchr(name, '\0', len)) {
        return false;
    }
    memcpy(ret, name, len);
    ret[len] = '\0';
    return true;
}

static const struct wr_tls_identity *
context_names_find(const weir_tls_context *context, const char *host)
{
    wr_assert(context->identities || context->identity_count == 0);
    for (size_t i = 0; i < context->identity_count; i++) {
        const struct wr_tls_identity *identity = &context->identities[i];
        if (wr_tls_certificate_is_for(identity->leaf, identity->leaf_size,
                                      host)) {
            return identity;
        }
    }
    return NULL;
}

static int context_names_refuse(WOLFSSL *ssl, int err, int *ret_alert,
                                int alert)
{
    struct wr_tls_engine *engine = wolfSSL_GetIOReadCtx(ssl);
    wr_assert(engine->ssl == ssl);
    wr_tls_verdict_fail(&engine->verdict, err, "%s", weir_strerror(err));
    *ret_alert = alert;
    return alert_fatal;
}

/* wolfSSL's callback, once it has read a ClientHello. */
static int context_names_callback(WOLFSSL *ssl, int *ret_alert, void *arg)
{
    const weir_tls_context *context = arg;
    char host[NAMES_HOST_SIZE];
    void *name = NULL;
    const size_t len =
        wolfSSL_SNI_GetRequest(ssl, WOLFSSL_SNI_HOST_NAME, &name);

    wr_assert(context->is_server);
    if (len == 0) {
        return 0;
    }
    const bool is_name = context_names_read_host(name, len, host);
    const bool is_default =
        is_name &&
        wr_tls_certificate_is_for(context->leaf, context->leaf_size, host);
    const struct wr_tls_identity *identity =
        is_name && !is_default ? context_names_find(context, host) : NULL;
    if (identity) {
        int err = context_names_install(identity, ssl);
        return err == 0 ? 0
                        : context_names_refuse(ssl, -ENOMEM, ret_alert,
                                               internal_error);
    }
    return is_default || !context->refuses_unknown_names
               ? 0
               : context_names_refuse(ssl, WEIR_ETLSNONAME, ret_alert,
                                      unrecognized_name);
}

/* ---- with the context ---- */

int wr_tls_context_load_names(weir_tls_context *context,
                              const struct weir_tls_options *options,
                              struct wr_tls_context_text *text)
{
    int err = 0;

    context->refuses_unknown_names = options->refuse_unknown_names;
    if (options->identity_count == 0 && !options->refuse_unknown_names) {
        return 0;
    }
    wr_assert(context->is_server);
    context->identities =
        calloc(options->identity_count + 1, sizeof(*context->identities));
    if (!context->identities) {
        return -ENOMEM;
    }
    err = wr_tls_context_load_one(context, &options->certificate, "certificate",
                                  context_names_use_default, text);
    for (size_t i = 0; err == 0 && i < options->identity_count; i++) {
        err = context_names_load_one(context, &options->identities[i], text);
    }
    wolfSSL_CTX_set_servername_callback(context->ctx, context_names_callback);
    wolfSSL_CTX_set_servername_arg(context->ctx, context);
    return err;
}

void wr_tls_context_free_names(weir_tls_context *context)
{
    wr_assert(context->references == 0);
    for (size_t i = 0; i < context->identity_count; i++) {
        struct wr_tls_identity *identity = &context->identities[i];
        if (identity->key) {
            explicit_bzero(identity->key, (size_t)identity->key_size);
        }
        free(identity->key);
        free(identity->chain);
        free(identity->leaf);
    }
    free(context->identities);
    free(context->leaf);
}
