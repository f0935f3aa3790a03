/*
 * A server's certificate is chosen by the name that a client asks for (SNI),
 * from the certificates of the context or of a context that the program names.
 * Of several for a name it is the first with a key that the client can use
 * (offer.h).
 *
 * Each certificate is read and tried when its context is made, so a handshake
 * only copies good ones into its connection. Names are compared by a client's
 * strict rules (lib/x509/hostname.h). A name longer than any DNS name matches
 * no certificate, and the program does not see it.
 */
#include "context_impl.h"
#include "lib/base/options.h"
#include "lib/x509/certificate.h"
#include "suites.h"

#include <weir/error.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <wolfssl/wolfcrypt/asn_public.h>

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

static struct wr_tls_identity *context_names_newest(weir_tls_context *context)
{
    wr_assert(context->identity_count > 0);
    return &context->identities[context->identity_count - 1];
}

/* Notes of a leaf what the choice needs. */
static int context_names_look_at(weir_tls_context *context,
                                 struct wr_tls_identity *identity)
{
    const struct wr_tls_identity *first = &context->identities[0];
    struct wr_x509 x509;
    struct wr_x509 first_x509;

    wr_assert(identity >= first && identity->leaf);
    if (wr_x509_read(&x509, identity->leaf, identity->leaf_size) < 0 ||
        wr_x509_read(&first_x509, first->leaf, first->leaf_size) < 0) {
        return WEIR_ETLSFILE;
    }
    identity->is_rsa = x509.key.rsa_bits > 0;
    identity->kind = wr_tls_offer_kind_of(&x509.key);
    identity->is_default =
        identity == first || wr_x509_shares_name(&first_x509, &x509);
    return wr_tls_name_index_add(&context->index, &x509,
                                 (size_t)(identity - first),
                                 identity->is_default);
}

static int context_names_use_chain(weir_tls_context *context,
                                   const uint8_t *data, long size)
{
    struct wr_tls_identity *identity = context_names_newest(context);
    int err = context_names_read_leaf(data, size, &identity->leaf,
                                      &identity->leaf_size);
    wr_assert(!identity->chain);
    identity->chain_size = size;
    if (err == 0) {
        err = context_names_look_at(context, identity);
    }
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

/* Tries a certificate and its key in a context of their own. */
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

/* Tries the newest certificate and its key, and loads an RSA key for
 * signing. */
static int context_names_accept(weir_tls_context *context)
{
    struct wr_tls_identity *identity = context_names_newest(context);
    int err = context_names_try(context);

    wr_assert(!identity->rsa_key);
    return err < 0 ? err
                   : wr_tls_context_read_rsa(identity->key, identity->key_size,
                                             &identity->rsa_key);
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
        err = context_names_accept(context);
        if (err < 0) {
            wr_tls_context_say(text, "key", file, err);
        }
    }
    return err;
}

/* ---- choosing ---- */

/* Puts a certificate and its key into a connection of @context. wolfSSL still
 * assumes a key of the first certificate's kind, and would choose a TLS 1.2
 * suite for that kind; so the list of suites is set too. */
static int context_names_install(const weir_tls_context *context,
                                 const struct wr_tls_identity *identity,
                                 WOLFSSL *ssl)
{
    wr_assert(identity->chain && identity->key);
    if (wolfSSL_use_certificate_chain_buffer(
            ssl, identity->chain, identity->chain_size) != WOLFSSL_SUCCESS ||
        wolfSSL_use_PrivateKey_buffer(ssl, identity->key, identity->key_size,
                                      WOLFSSL_FILETYPE_PEM) !=
            WOLFSSL_SUCCESS) {
        return -ENOMEM; /* they were tried before */
    }
    wr_tls_context_set_rsa(ssl, identity->rsa_key);
    if (identity->is_rsa == context->identities[0].is_rsa) {
        return 0;
    }
    if (!context->suites_of_others) {
        return WEIR_ETLSCIPHER;
    }
    return wolfSSL_set_cipher_list(ssl, context->suites_of_others) ==
                   WOLFSSL_SUCCESS
               ? 0
               : -ENOMEM;
}

/* True if it is for @host; NULL: for a client without a name that is known. */
static bool context_names_is_for(const struct wr_tls_identity *identity,
                                 const char *host)
{
    struct wr_x509 x509;

    wr_assert(identity->leaf_size > 0);
    return !host ? identity->is_default
                 : wr_x509_read(&x509, identity->leaf, identity->leaf_size) ==
                           0 &&
                       wr_x509_is_for(&x509, host);
}

/* Of the certificates for @host the first with a key that the client can use;
 * else the first, or NULL. */
static const struct wr_tls_identity *
context_names_find(const weir_tls_context *context, const char *host,
                   uint8_t lacking_kinds)
{
    const struct wr_tls_identity *found = NULL;
    struct wr_tls_name_keys keys;
    size_t next = 0;

    wr_assert(context->identity_count > 0);
    wr_tls_name_keys_of(&keys, host);
    while ((next = wr_tls_name_index_next(&context->index, &keys, next)) <
           context->identity_count) {
        const struct wr_tls_identity *identity = &context->identities[next++];
        const bool is_usable = !(identity->kind & lacking_kinds);
        if ((found && !is_usable) || !context_names_is_for(identity, host)) {
            continue;
        }
        if (is_usable) {
            return identity;
        }
        found = identity;
    }
    return found;
}

/* Installs the certificate of @from for @host. The connection has the first
 * certificate of @context already. */
static int context_names_show(const weir_tls_context *context,
                              const weir_tls_context *from, const char *host,
                              const struct wr_tls_verdict *verdict)
{
    const uint8_t lacking = verdict->lacking_kinds;
    const struct wr_tls_identity *identity =
        host ? context_names_find(from, host, lacking) : NULL;

    wr_assert(from->is_server);
    if (host && !identity && from->refuses_unknown_names) {
        return WEIR_ETLSNONAME;
    }
    if (!identity) {
        identity = context_names_find(from, NULL, lacking);
    }
    wr_assert(identity != NULL); /* the first one is a default */
    wr_assert(identity->chain && identity->key);
    return identity == &context->identities[0]
               ? 0
               : context_names_install(context, identity, verdict->ssl);
}

/* Asks the program. Returns 0, and *ret is a reference or NULL, or the
 * program's error. -EAGAIN is reserved for the engine; the program may not
 * return it. */
static int context_names_ask(const weir_tls_context *context, const char *host,
                             weir_tls_context **ret)
{
    wr_assert(context->choose);
    if (host && !host[0]) {
        return WEIR_ETLSNONAME;
    }
    int err = context->choose(context->choose_user, host, ret);
    if (err != 0) {
        *ret = NULL;
        return err < 0 && err != -EAGAIN ? err : -EINVAL;
    }
    if (*ret && !(*ret)->is_server) {
        weir_tls_context_unref(*ret);
        *ret = NULL;
        return -EINVAL;
    }
    return 0;
}

static uint8_t context_names_alert(int err)
{
    wr_assert(err < 0);
    return err == WEIR_ETLSNONAME ? unrecognized_name : internal_error;
}

int wr_tls_context_choose(weir_tls_context *context,
                          struct wr_tls_verdict *verdict, const char *host,
                          uint8_t *ret_alert)
{
    int err = 0;

    wr_assert(context->is_server && verdict->peer_is_client);
    wr_assert(!verdict->has_chosen && !verdict->chosen);
    if (context->choose) {
        err = context_names_ask(context, host, &verdict->chosen);
    }
    if (err == 0) {
        err = context_names_show(context,
                                 verdict->chosen ? verdict->chosen : context,
                                 host, verdict);
    }
    verdict->has_chosen = true;
    if (err < 0) {
        wr_tls_verdict_fail(verdict, err, "%s", weir_strerror(err));
        *ret_alert = context_names_alert(err);
    }
    return err;
}

/* wolfSSL keeps the name that a client asks for where there is a callback. */
static int context_names_callback(WOLFSSL *ssl, int *ret_alert, void *arg)
{
    (void)ret_alert;
    (void)arg;
    wr_assert(ssl);
    return 0;
}

uint8_t wr_tls_context_lacking_kinds(const weir_tls_context *context,
                                     const struct wr_tls_offer *offer)
{
    wr_assert(context->is_server);
    return wr_tls_offer_lacks(offer, context->has_newest, context->old_suites);
}

bool wr_tls_context_must_choose(const weir_tls_context *context)
{
    wr_assert(context->is_server);
    return context->choose || context->refuses_unknown_names;
}

/* ---- with the context ---- */

static int context_names_select_suites(weir_tls_context *context,
                                       const char *ciphers)
{
    const size_t size = ciphers ? strlen(ciphers) + 1 : WR_TLS_SUITES_SIZE;
    char *list = malloc(size);

    wr_assert(context->identity_count > 0);
    if (!list) {
        return -ENOMEM;
    }
    if (wr_tls_suites_select(ciphers, !context->identities[0].is_rsa, list,
                             size) < 0) {
        free(list); /* all suites are for the other kind */
        list = NULL;
    }
    context->suites_of_others = list;
    return 0;
}

int wr_tls_context_load_names(weir_tls_context *context,
                              const struct weir_tls_options *options,
                              struct wr_tls_context_text *text)
{
    const struct weir_tls_identity first = {
        .certificate = options->certificate,
        .key = options->key,
    };

    context->refuses_unknown_names = options->refuse_unknown_names;
    context->old_suites = wr_tls_suites_mask(options->ciphers);
    context->has_newest = options->max_version != WEIR_TLS_1_2;
    context->choose = options->choose;
    context->choose_user = options->choose_user;
    if (!context->is_server) {
        return 0;
    }
    context->identities =
        calloc(options->identity_count + 1, sizeof(*context->identities));
    if (!context->identities) {
        return -ENOMEM;
    }
    int err = context_names_load_one(context, &first, text);
    for (size_t i = 0; err == 0 && i < options->identity_count; i++) {
        struct weir_tls_identity known;
        err = options->identities[i]
                  ? wr_options_read_given(&known, sizeof(known),
                                          options->identities[i])
                  : -EINVAL;
        if (err == 0) {
            err = context_names_load_one(context, &known, text);
        }
    }
    if (err == 0) {
        wr_tls_name_index_sort(&context->index);
    }
    wolfSSL_CTX_set_servername_callback(context->ctx, context_names_callback);
    return err < 0 ? err
                   : context_names_select_suites(context, options->ciphers);
}
