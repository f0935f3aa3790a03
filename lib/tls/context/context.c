/*
 * A TLS context is made from options here.
 *
 * It wraps a WOLFSSL_CTX with the common settings of connections. wolfSSL's
 * memory in it is malloc()'s (memory.h), because several threads share it;
 * memory that wolfSSL would allocate in it for the first connection is
 * allocated here.
 */
#include "context.h"

#include "context_impl.h"
#include "lib/base/options.h"
#include "lib/x509/hostname.h"
#include "memory.h"
#include "suites.h"
#include "uring/check.h"

#include <weir/error.h>
#include <weir/tls.h>

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The most names in a list of application protocols. */
#define CONTEXT_ALPN_MAX 32
/* The stack that is wiped after keys were read. */
#define CONTEXT_STACK_BYTES (40u << 10)

/* ---- making ---- */

/* Names of 1 to 255 bytes (RFC 7301), none of them empty. */
static bool context_is_alpn(const char *list)
{
    size_t count = 1;

    wr_assert(list != NULL);
    for (;;) {
        const size_t len = strcspn(list, ",");
        if (len == 0 || len > UINT8_MAX || count > CONTEXT_ALPN_MAX) {
            return false;
        }
        if (list[len] == '\0') {
            return true;
        }
        list += len + 1;
        count++;
    }
}

/* True if a peer's certificates are verified. */
static bool context_verifies(const struct weir_tls_options *options)
{
    return options->server ? options->client_auth != WEIR_TLS_CLIENT_AUTH_NONE
                           : !options->no_verify;
}

static int context_check_options(const struct weir_tls_options *options)
{
    const enum weir_tls_version min = options->min_version;
    const enum weir_tls_version max = options->max_version;

    wr_require(min <= WEIR_TLS_1_3, -EINVAL);
    wr_require(max <= WEIR_TLS_1_3, -EINVAL);
    wr_require(max == WEIR_TLS_VERSION_DEFAULT || min <= max, -EINVAL);
    wr_require(options->client_auth <= WEIR_TLS_CLIENT_AUTH_REQUIRED, -EINVAL);
    wr_require(options->server || options->client_auth == 0, -EINVAL);
    wr_require(options->server || !options->no_tickets, -EINVAL);
    wr_require(!options->server || !options->no_verify, -EINVAL);
    /* A revocation list needs certificates that are verified. */
    wr_require(context_verifies(options) ||
                   !wr_tls_context_has(&options->revocations),
               -EINVAL);
    wr_require(!options->alpn || context_is_alpn(options->alpn), -EINVAL);
    wr_require(options->server || options->identity_count == 0, -EINVAL);
    wr_require(options->server || !options->refuse_unknown_names, -EINVAL);
    wr_require(options->server || !options->choose, -EINVAL);
    wr_require(options->identities || options->identity_count == 0, -EINVAL);
    wr_require(wr_tls_context_check_keylog(options) == 0, -EOPNOTSUPP);
    return wr_tls_context_check_tickets(options);
}

/* Disables a TLS version without a suite in the list: wolfSSL would agree on
 * the version, and then find no suite. */
static int context_narrow_versions(struct weir_tls_options *options,
                                   struct wr_tls_context_text *text)
{
    if (!wr_tls_suites_has(options->ciphers, WEIR_TLS_1_2)) {
        options->min_version = WEIR_TLS_1_3;
    }
    if (!wr_tls_suites_has(options->ciphers, WEIR_TLS_1_3)) {
        options->max_version = WEIR_TLS_1_2;
    }
    if (options->max_version == WEIR_TLS_VERSION_DEFAULT ||
        options->min_version <= options->max_version) {
        return 0;
    }
    wr_ignore(snprintf(text->line, sizeof(text->line),
                       "ciphers: no suite is for min_version or max_version") <
              0);
    return WEIR_ETLSCIPHERS;
}

static int context_check_suites(struct weir_tls_options *options,
                                struct wr_tls_context_text *text)
{
    const char *unknown = NULL;
    int len = 0;

    if (!options->ciphers) {
        return 0;
    }
    if (wr_tls_suites_check(options->ciphers, &unknown, &len) == 0) {
        return context_narrow_versions(options, text);
    }
    wr_ignore(snprintf(text->line, sizeof(text->line),
                       "ciphers: \"%.*s\" is none of %s", len, unknown,
                       wr_tls_suites_get_all()) < 0);
    return WEIR_ETLSCIPHERS;
}

/* With TLS 1.2 wolfSSL takes a client's group, whatever a server's list has. */
static int context_check_groups(const struct weir_tls_options *options,
                                struct wr_tls_context_text *text)
{
    char all[WR_TLS_GROUPS_SIZE];
    const char *unknown = NULL;
    int len = 0;

    if (!options->groups) {
        return 0;
    }
    if (wr_tls_suites_check_groups(options->groups, &unknown, &len) < 0) {
        wr_tls_suites_name_groups(all, sizeof(all));
        wr_ignore(snprintf(text->line, sizeof(text->line),
                           "groups: \"%.*s\" is none of %s", len, unknown,
                           all) < 0);
        return WEIR_ETLSGROUPS;
    }
    if (options->server && options->min_version != WEIR_TLS_1_3) {
        wr_ignore(snprintf(text->line, sizeof(text->line),
                           "groups: a server needs TLS 1.3 as the lowest "
                           "version for them") < 0);
        return WEIR_ETLSGROUPS;
    }
    return 0;
}

static WOLFSSL_METHOD *context_method(const struct weir_tls_options *options)
{
    if (options->min_version == WEIR_TLS_1_3) {
        return options->server ? wolfTLSv1_3_server_method()
                               : wolfTLSv1_3_client_method();
    }
    if (options->max_version == WEIR_TLS_1_2) {
        return options->server ? wolfTLSv1_2_server_method()
                               : wolfTLSv1_2_client_method();
    }
    return options->server ? wolfSSLv23_server_method()
                           : wolfSSLv23_client_method();
}

static void context_set_verification(weir_tls_context *context,
                                     const struct weir_tls_options *options)
{
    context->verify_mode =
        context->verifies ? WOLFSSL_VERIFY_PEER : WOLFSSL_VERIFY_NONE;
    if (options->client_auth == WEIR_TLS_CLIENT_AUTH_REQUIRED) {
        context->verify_mode |= WOLFSSL_VERIFY_FAIL_IF_NO_PEER_CERT;
    }
    wolfSSL_CTX_set_verify(context->ctx, context->verify_mode,
                           context->verifies ? wr_tls_context_verify : NULL);
}

/* Without a list wolfSSL would allocate one for the context during the first
 * connection. */
static int context_set_suites(weir_tls_context *context,
                              const struct weir_tls_options *options)
{
    const int err = wr_tls_suites_use(context->ctx, options->ciphers);
    return err == 0 ? wr_tls_suites_use_groups(context->ctx, options->groups)
                    : err;
}

static int context_set_rules(weir_tls_context *context,
                             const struct weir_tls_options *options)
{
    WOLFSSL_CTX *ctx = context->ctx;

#ifdef WOLFSSL_EARLY_DATA
    if (wolfSSL_CTX_set_max_early_data(ctx, 0) != 0) {
        return WEIR_ETLSENGINE;
    }
#endif
    if (wolfSSL_CTX_SetMinVersion(ctx, WOLFSSL_TLSV1_2) != WOLFSSL_SUCCESS &&
        options->min_version != WEIR_TLS_1_3) {
        return WEIR_ETLSENGINE;
    }
    /* Sessions are resumed only with a new key exchange (psk_dhe_ke). */
    if (wolfSSL_CTX_only_dhe_psk(ctx) != 0 &&
        options->max_version != WEIR_TLS_1_2) {
        return WEIR_ETLSENGINE;
    }
    int err = wr_tls_suites_set_strength(ctx);
    if (err < 0) {
        return err;
    }
    wr_ignore(wolfSSL_CTX_set_session_cache_mode(ctx, WOLFSSL_SESS_CACHE_OFF) !=
              WOLFSSL_SUCCESS);
    context_set_verification(context, options);
    if (!context->is_server) {
        return wolfSSL_CTX_UseSessionTicket(ctx) == WOLFSSL_SUCCESS ? 0
                                                                    : -ENOMEM;
    }
    return wr_tls_context_use_tickets(context, options);
}

static int context_fill(weir_tls_context *context,
                        const struct weir_tls_options *options,
                        struct wr_tls_context_text *text)
{
    context->ctx = wolfSSL_CTX_new(context_method(options));
    if (!context->ctx) {
        return -ENOMEM;
    }
    if (options->alpn) {
        context->alpn = strdup(options->alpn);
        if (!context->alpn) {
            return -ENOMEM;
        }
    }
    int err = context_set_suites(context, options);
    if (err == 0) {
        err = context_set_rules(context, options);
    }
    if (err == 0) {
        err = wr_tls_context_load(context, options, text);
    }
    if (err == 0 && context->verifies) {
        err = wr_tls_context_load_trust(context, options, text);
    }
    if (err == 0) {
        err = wr_tls_context_load_names(context, options, text);
    }
    wr_tls_context_use_rsa(context);
    return err;
}

/* wolfSSL decodes a private key, and compares it with its certificate, in
 * variables that it does not clear. This takes no more stack than they did. */
__attribute__((noinline)) static void context_wipe_stack(void)
{
    uint8_t stack[CONTEXT_STACK_BYTES];

    explicit_bzero(stack, sizeof(stack));
}

static int context_make(const struct weir_tls_options *options,
                        const struct wr_secure_ops *ops, weir_tls_context **ret,
                        struct wr_tls_context_text *text)
{
    weir_tls_context *context = calloc(1, sizeof(*context));
    if (!context) {
        return -ENOMEM;
    }
    context->ops = ops;
    context->is_server = options->server;
    context->keylog = options->keylog;
    context->keylog_user = options->keylog_user;
    context->verifies = context_verifies(options);
    wr_ignore(pthread_mutex_init(&context->mutex, NULL) != 0); /* never fails */
    wr_tls_revocation_init(&context->revocation);
    struct wr_tls_memory_scope before =
        wr_tls_memory_enter(NULL, WR_TLS_MEMORY_PLAIN);
    wr_ignore(wr_tls_memory_take_failure());
    int err = context_fill(context, options, text);
    context_wipe_stack();
    if (wr_tls_memory_take_failure()) {
        text->line[0] = '\0'; /* drop a misleading reason of wolfSSL */
        err = -ENOMEM;
    }
    wr_tls_memory_leave(before);
    if (err < 0) {
        wr_tls_context_free(context);
        return err;
    }
    context->references = 1;
    *ret = context;
    return 0;
}

int wr_tls_context_new(const struct weir_tls_options *options,
                       const struct wr_secure_ops *ops, weir_tls_context **ret,
                       char *error_text, size_t error_size)
{
    struct wr_tls_context_text text = {.line = ""};
    struct weir_tls_options known;

    wr_assert(ops && ret);
    int err = wr_options_read(&known, sizeof(known), options);
    if (err == 0) {
        err = context_check_options(&known);
    }
    if (err == 0) {
        err = context_check_suites(&known, &text);
    }
    if (err == 0) {
        err = context_check_groups(&known, &text);
    }
    if (err == 0) {
        err = wr_tls_memory_start_library();
    }
    if (err == 0) {
        err = context_make(&known, ops, ret, &text);
    }
    if (err < 0 && text.line[0] == '\0') {
        wr_ignore(snprintf(text.line, sizeof(text.line), "%s",
                           weir_strerror(err)) < 0);
    }
    if (error_text && error_size > 0) {
        wr_ignore(snprintf(error_text, error_size, "%s", text.line) < 0);
    }
    return err;
}

/* ---- the application protocol ----
 *
 * The application protocol that a server takes (ALPN, RFC 7301).
 *
 * It is the first protocol of the server's list that the client offers too; the
 * client's order does not count. wolfSSL itself uses the client's order. So a
 * server's connection has no list at first, and gets a list of a single name
 * once the client's list is known. This happens before wolfSSL reads the hello:
 * wolfSSL refuses to resume a session if an extension is added after it has
 * read the hello. */

/* True if the client's list has the name. In the list each name follows its
 * length. A malformed list ends at its first fault. */
static bool context_alpn_has(const uint8_t *list, size_t size, const char *name,
                             size_t len)
{
    size_t at = 2; /* behind the length of the list */

    wr_assert(len > 0);
    while (at < size && list[at] < size - at) {
        const size_t next = list[at];
        if (next == len && memcmp(&list[at + 1], name, len) == 0) {
            return true;
        }
        at += 1 + next;
    }
    return false;
}

/* The first name of @own in the client's list; without one the whole of @own,
 * and wolfSSL then refuses the client. */
static const char *context_alpn_find(const char *own, const uint8_t *list,
                                     size_t size, size_t *ret_len)
{
    const char *name = own;

    wr_assert(own[0] != '\0');
    for (;;) {
        const size_t len = strcspn(name, ",");
        if (context_alpn_has(list, size, name, len)) {
            *ret_len = len;
            return name;
        }
        if (name[len] == '\0') {
            *ret_len = strlen(own);
            return own;
        }
        name += len + 1;
    }
}

int wr_tls_context_use_protocols(WOLFSSL *ssl, const char *list, size_t len)
{
    wr_assert(len > 0);
    return wolfSSL_UseALPN(ssl, (char *)(uintptr_t)list, (unsigned)len,
                           WOLFSSL_ALPN_FAILED_ON_MISMATCH) == WOLFSSL_SUCCESS
               ? 0
               : -ENOMEM;
}

int wr_tls_context_choose_protocol(const weir_tls_context *context,
                                   WOLFSSL *ssl, const uint8_t *data,
                                   size_t size)
{
    size_t len = 0;

    wr_assert(context->is_server);
    wr_assert(data || size == 0);
    if (!context->alpn) {
        return 0;
    }
    const char *name = context_alpn_find(context->alpn, data, size, &len);
    wr_assert(name && len > 0);
    return wr_tls_context_use_protocols(ssl, name, len);
}

/* ---- the WOLFSSL of a connection ----
 *
 * Makes the WOLFSSL of one connection: the context's settings, and a client's
 * server name, protocols and session. The connection's verdict is the argument
 * of the verify callback (verify.c). */

/* Sets the name that a client asks for (RFC 6066: no literal address, no dot at
 * the end). */
static int context_open_name(const char *name, WOLFSSL *ssl)
{
    char text[UINT8_MAX + 1];
    uint8_t ip[WR_X509_IP_SIZE];
    size_t len = name ? strlen(name) : 0;

    if (len > 0 && name[len - 1] == '.') {
        len--;
    }
    if (len > UINT8_MAX) {
        return -EINVAL;
    }
    memcpy(text, name ? name : "", len);
    text[len] = '\0';
    if (len == 0 || wr_x509_hostname_read_ip(text, ip) > 0) {
        return 0;
    }
    return wolfSSL_UseSNI(ssl, WOLFSSL_SNI_HOST_NAME, text,
                          (unsigned short)len) == WOLFSSL_SUCCESS
               ? 0
               : -ENOMEM;
}

/* The connection gets a copy, because wolfSSL writes to a connection's session,
 * while connections on other threads read it. */
static int context_open_session(WOLFSSL_SESSION *session, WOLFSSL *ssl)
{
    WOLFSSL_SESSION *copy = wolfSSL_SESSION_dup(session);

    wr_assert(session != NULL);
    if (!copy) {
        return -ENOMEM;
    }
    /* wolfSSL refuses an expired session: a full handshake follows. */
    wr_ignore(wolfSSL_set_session(ssl, copy) != WOLFSSL_SUCCESS);
    wolfSSL_SESSION_free(copy);
    return 0;
}

static int context_open_client(const weir_tls_context *context,
                               const struct wr_tls_peer_options *options,
                               struct wr_tls_verdict *verdict, WOLFSSL *ssl)
{
    const char *name = options->server_hostname;
    int err = context_open_name(name, ssl);
    if (err < 0) {
        return err;
    }
    if (context->alpn) {
        err = wr_tls_context_use_protocols(ssl, context->alpn,
                                           strlen(context->alpn));
        wr_require(err >= 0, err);
    }
    if (context->verifies && !options->no_hostname_check) {
        wr_require(name && name[0], -EINVAL);
        err = wr_tls_verdict_set_hostname(verdict, name);
    }
    return err == 0 && options->session
               ? context_open_session(options->session, ssl)
               : err;
}

static int context_open_common(weir_tls_context *context,
                               struct wr_tls_verdict *verdict, WOLFSSL *ssl)
{
    verdict->peer_is_client = context->is_server;
    verdict->context = context;
    verdict->ssl = ssl;
    wolfSSL_SetCertCbCtx(ssl, verdict);
    wr_tls_context_set_rsa(ssl, context->rsa_key);
    return wr_tls_context_log_keys(context, ssl);
}

int wr_tls_context_open(weir_tls_context *context,
                        const struct wr_tls_peer_options *options,
                        struct wr_tls_verdict *verdict, struct WOLFSSL **ret)
{
    WOLFSSL *ssl = wolfSSL_new(context->ctx);
    if (!ssl) {
        return -ENOMEM;
    }
    int err = context_open_common(context, verdict, ssl);
    if (err == 0 && !context->is_server) {
        err = context_open_client(context, options, verdict, ssl);
    }
    if (err < 0) {
        wr_tls_context_close(ssl);
        return err;
    }
    wr_assert(!verdict->err);
    *ret = ssl;
    return 0;
}

void wr_tls_context_close(struct WOLFSSL *ssl)
{
    wr_tls_context_set_rsa(ssl, NULL);
    wolfSSL_free(ssl);
}
