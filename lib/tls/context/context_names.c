/*
 * Selects a server's certificate by the name that a client requests (SNI), from
 * the certificates of the context or of a context that the program chooses. If
 * several have the name, the first with a key that the client can use (offer.h)
 * is selected.
 *
 * Each certificate is read and checked when its context is created, so a
 * handshake only shows usable ones. Names are compared by a client's strict
 * rules (lib/x509/hostname.h).
 */
#include "context_impl.h"
#include "lib/base/options.h"
#include "lib/x509/certificate.h"
#include "pem.h"
#include "suites.h"
#include "uring/check.h"

#include <weir/error.h>

#include <errno.h>
#include <stdlib.h>

static struct wr_tls_identity *context_names_newest(weir_tls_context *context)
{
    wr_assert(context->identity_count > 0);
    return &context->identities[context->identity_count - 1];
}

static int context_names_look_at(weir_tls_context *context,
                                 struct wr_tls_identity *identity)
{
    const struct wr_tls_identity *first = &context->identities[0];

    wr_assert(identity >= first);
    identity->is_rsa = identity->leaf.key.rsa_bits > 0;
    identity->kind = wr_tls_offer_kind_of(&identity->leaf.key);
    identity->is_default =
        identity == first || wr_x509_shares_name(&first->leaf, &identity->leaf);
    return wr_tls_name_index_add(&context->index, &identity->leaf,
                                 (size_t)(identity - first),
                                 identity->is_default);
}

/* Refuses a key that a library accepts, but whose signatures no peer
 * accepts. */
static int context_names_check_key(weir_tls_context *context,
                                   const struct wr_x509_key_strength *key)
{
    if (key->is_pss_alone) {
        context->why = "its key is for RSASSA-PSS alone; take one that is for "
                       "RSA (rsaEncryption)";
    } else if (key->strength == WR_X509_WEAK_POINT) {
        context->why = "the point of its key is compressed; write both "
                       "coordinates (openssl ec -conv_form uncompressed)";
    } else if (key->strength != WR_X509_WEAK_CURVE) {
        return 0;
    }
    return WEIR_ETLSFILE;
}

static int context_names_read_leaf(weir_tls_context *context,
                                   struct wr_tls_identity *identity,
                                   struct wr_bytes text)
{
    struct wr_bytes leaf = {.data = NULL};
    const int ret = wr_tls_pem_next(&text, "CERTIFICATE", &leaf);

    wr_assert(!identity->leaf.der.data);
    if (ret <= 0 || !leaf.data) {
        return ret < 0 ? ret : WEIR_ETLSFILE;
    }
    const int err = wr_x509_read(&identity->leaf, leaf.data, leaf.size) < 0
                        ? WEIR_ETLSFILE
                        : context_names_check_key(context, &identity->leaf.key);
    return err == 0 && context->is_server
               ? context_names_look_at(context, identity)
               : err;
}

/* Returns a warning about a chain that can be used, or NULL. */
static const char *context_names_notice(const struct wr_x509 *leaf,
                                        bool has_more)
{
    const int64_t now = (int64_t)time(NULL);

    wr_assert(now > 0);
    return now > leaf->not_after    ? "the certificate has expired"
           : now < leaf->not_before ? "the certificate is not valid yet"
           : has_more || wr_x509_is_self_issued(leaf)
               ? NULL
               : "no certificate of its issuer follows, so that peers must "
                 "have that one themselves";
}

/* Sets ->key_hint and ->notice from a chain. Returns 0 or -ENOMEM. */
static int context_names_note(weir_tls_context *context, struct wr_bytes text)
{
    struct wr_bytes leaf = {.data = NULL};
    struct wr_bytes next = {.data = NULL};
    struct wr_x509 x509;
    int ret = wr_tls_pem_next(&text, "CERTIFICATE", &leaf);

    context->key_hint = NULL;
    if (ret > 0) {
        ret = wr_tls_pem_next(&text, "CERTIFICATE", &next);
    }
    if (ret >= 0 && leaf.data &&
        wr_x509_read(&x509, leaf.data, leaf.size) == 0) {
        context->key_hint =
            x509.key.strength == WR_X509_STRONG ? NULL
            : x509.key.kind == WR_X509_KEY_RSA
                ? "its key of RSA has not 2048 to 4096 bits"
                : "its key is of a kind that is not used; RSA, P-256, P-384, "
                  "P-521 and Ed25519 are";
        context->notice = context_names_notice(&x509, ret > 0);
    }
    free((void *)(uintptr_t)leaf.data);
    free((void *)(uintptr_t)next.data);
    return ret < 0 ? ret : 0;
}

static int context_names_use_chain(weir_tls_context *context,
                                   const uint8_t *data, long size)
{
    struct wr_tls_identity *identity = context_names_newest(context);
    const struct wr_bytes text = {.data = data, .size = (size_t)size};
    int err = context_names_note(context, text);
    if (err < 0) {
        return err;
    }
    err = context->backend->credential_use_chain(identity->credential, data,
                                                 (size_t)size);
    return err == 0 ? context_names_read_leaf(context, identity, text) : err;
}

static int context_names_use_key(weir_tls_context *context, const uint8_t *data,
                                 long size)
{
    const struct wr_tls_identity *identity = context_names_newest(context);

    wr_assert(identity->credential && size > 0);
    return wr_tls_context_use_key(
        context, identity->credential,
        (struct wr_bytes){.data = data, .size = (size_t)size});
}

/* Uses the leaf that was already read: reading the file again might return
 * another certificate, or nothing from a pipe. */
static int context_names_use_signer(weir_tls_context *context, const char *file,
                                    struct wr_tls_context_text *text)
{
    const int err =
        wr_tls_context_use_signer(context, context_names_newest(context));

    text->why = context->why;
    if (err < 0) {
        wr_tls_context_say(text, "sign", file, err);
    }
    return err;
}

static int context_names_check(weir_tls_context *context, const char *file,
                               struct wr_tls_context_text *text)
{
    int err = context->backend->credential_check(
        context_names_newest(context)->credential);

    if (err == WEIR_ETLSWEAK) {
        err = WEIR_ETLSFILE;
        text->why = "the security level of the TLS library forbids this "
                    "key, or how its certificates are signed";
    }
    if (err < 0) {
        wr_tls_context_say(text, "key", file, err);
    }
    return err;
}

static int context_names_prepare(weir_tls_context *context,
                                 const struct weir_tls_identity *from)
{
    struct wr_tls_identity *identity = context_names_newest(context);
    const int err = context->backend->credential_new(&identity->credential);

    return err == 0 && from->sign
               ? wr_tls_outside_new(context, from, &identity->outside)
               : err;
}

static int context_names_load_one(weir_tls_context *context,
                                  const struct weir_tls_identity *from,
                                  struct wr_tls_context_text *text)
{
    const struct weir_tls_pem *key =
        wr_tls_context_has(&from->key) ? &from->key : &from->certificate;
    const char *file = key->file ? key->file : "the text in memory";

    wr_assert(context->identities);
    if (from->sign && wr_tls_context_has(&from->key)) {
        wr_tls_context_say(text, "sign", "a key is given, too", -EINVAL);
        return -EINVAL;
    }
    context->identity_count++;
    int err = context_names_prepare(context, from);
    if (err == 0) {
        err =
            wr_tls_context_load_one(context, &from->certificate, "certificate",
                                    context_names_use_chain, text);
    }
    if (err == 0 && from->sign) {
        err = context_names_use_signer(context, file, text);
    } else if (err == 0) {
        wr_tls_context_set_key_file(context, key->file);
        err = wr_tls_context_load_one(context, key, "key",
                                      context_names_use_key, text);
    }
    if (err == 0) {
        err = context_names_check(context, file, text);
    }
    if (err == WEIR_ETLSFILE && !text->why && context->key_hint) {
        text->why = context->key_hint;
        wr_tls_context_say(text, "certificate",
                           from->certificate.file ? from->certificate.file
                                                  : "the text in memory",
                           err);
    }
    return err;
}

/* ---- selection ---- */

/* Shows a certificate in a connection of @context. If its key is RSA and the
 * first certificate's is not, or vice versa, the list of suites is replaced,
 * too. */
static int context_names_install(const weir_tls_context *context,
                                 const struct wr_tls_identity *identity,
                                 struct wr_tls_conn *conn)
{
    const bool is_like_first =
        identity->is_rsa == context->identities[0].is_rsa;

    wr_assert(identity->credential);
    if (!is_like_first && !context->suites_of_others) {
        return WEIR_ETLSCIPHER;
    }
    return conn->backend->show(conn, identity->credential,
                               is_like_first ? NULL
                                             : context->suites_of_others);
}

/* Returns the first certificate for @host with a key that the client can use,
 * else the first certificate for @host, or NULL. If @host is NULL, returns a
 * default certificate. */
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
        const bool is_for_host =
            host ? wr_x509_is_for(&identity->leaf, host) : identity->is_default;
        if (!is_for_host || (found && !is_usable)) {
            continue;
        }
        if (is_usable) {
            return identity;
        }
        found = identity;
    }
    return found;
}

/* Installs the certificate of @from for @host. The first certificate of
 * @context is already installed. */
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
    wr_assert(identity != NULL); /* the first identity is a default */
    return identity == &context->identities[0]
               ? 0
               : context_names_install(context, identity, verdict->conn);
}

/* Calls the program. Returns 0 with a reference or NULL in *ret, or the
 * program's error. The program may not return -EAGAIN, which is reserved for
 * the engine. */
static int context_names_ask(const weir_tls_context *context, const char *host,
                             weir_tls_context **ret)
{
    wr_assert(context->choose);
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

/* Returns an alert of RFC 8446, 6. */
static uint8_t context_names_alert(int err)
{
    enum { INTERNAL_ERROR = 80, UNRECOGNIZED_NAME = 112 };

    wr_assert(err < 0);
    return err == WEIR_ETLSNONAME ? UNRECOGNIZED_NAME : INTERNAL_ERROR;
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

uint8_t wr_tls_context_lacking_kinds(const weir_tls_context *context,
                                     const struct wr_tls_offer *offer)
{
    wr_assert(context->is_server);
    if (context->identity_count == 1 && !context->choose) {
        return 0; /* the only certificate is shown to every client */
    }
    return wr_tls_offer_lacks(offer, context->has_newest, context->old_suites);
}

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
        free(list); /* all suites are for the first key's type */
        list = NULL;
    }
    context->suites_of_others = list;
    return 0;
}

/* Checks the options of a context without a certificate: it must be a client,
 * and may not have a key. */
static int context_names_lack(const weir_tls_context *context,
                              const struct weir_tls_options *options,
                              struct wr_tls_context_text *text)
{
    const bool has_key = wr_tls_context_has(&options->key) || options->sign;
    const int err = context->is_server ? -EINVAL : has_key ? WEIR_ETLSNOKEY : 0;

    wr_assert(context->identity_count == 0);
    if (err < 0) {
        wr_tls_context_say(text, "certificate", "none is given", err);
    }
    return err;
}

int wr_tls_context_load_names(weir_tls_context *context,
                              const struct weir_tls_options *options,
                              struct wr_tls_context_text *text)
{
    const struct weir_tls_identity first = {
        .certificate = options->certificate,
        .key = options->key,
        .sign = options->sign,
        .sign_user = options->sign_user,
    };

    context->refuses_unknown_names = options->refuse_unknown_names;
    context->old_suites = wr_tls_suites_mask(options->ciphers);
    context->has_newest = options->max_version != WEIR_TLS_1_2;
    context->choose = options->choose;
    context->choose_user = options->choose_user;
    context->has_signers = options->choose != NULL; /* of another context */
    if (!wr_tls_context_has(&options->certificate)) {
        return context_names_lack(context, options, text);
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
    if (err < 0 || !context->is_server) {
        return err;
    }
    wr_tls_name_index_sort(&context->index);
    return context_names_select_suites(context, options->ciphers);
}
