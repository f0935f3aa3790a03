/*
 * TLS contexts: options, references, the program's choice of a context for a
 * client, and the log of secrets.
 *
 * All memory of a context comes from malloc(), because several threads share
 * it.
 */
#include "context.h"

#include "context_impl.h"
#include "lib/base/options.h"
#include "lib/tls/backend/backend.h"
#include "lib/x509/hostname.h"
#include "suites.h"
#include "uring/check.h"

#include <weir/error.h>
#include <weir/tls.h>

#include <errno.h>
#include <limits.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define CONTEXT_ALPN_MAX 32
/* Bytes of stack that are wiped after keys were read. */
#define CONTEXT_STACK_BYTES (40u << 10)

/* A list has names of 1 to 255 bytes (RFC 7301). */
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

static bool context_verifies(const struct weir_tls_options *options)
{
    return options->server ? options->client_auth != WEIR_TLS_CLIENT_AUTH_NONE
                           : !options->no_verify;
}

static const char *context_find_fault(const struct weir_tls_options *options)
{
    const enum weir_tls_version min = options->min_version;
    const enum weir_tls_version max = options->max_version;
    const bool is_server = options->server;
    const struct {
        bool is_good;
        const char *why;
    } rows[] = {
        {min <= WEIR_TLS_1_3, "min_version: there is no such version"},
        {max <= WEIR_TLS_1_3, "max_version: there is no such version"},
        {max == WEIR_TLS_VERSION_DEFAULT || min <= max,
         "min_version: it is higher than max_version"},
        {options->client_auth <= WEIR_TLS_CLIENT_AUTH_REQUIRED,
         "client_auth: there is no such policy"},
        {is_server || options->client_auth == 0,
         "client_auth: it is for servers"},
        {is_server || !options->no_tickets, "no_tickets: it is for servers"},
        {!is_server || !options->no_verify, "no_verify: it is for clients"},
        {context_verifies(options) ||
             !wr_tls_context_has(&options->revocations),
         "revocations: no certificate is verified"},
        {!options->alpn || context_is_alpn(options->alpn),
         "alpn: it needs 1 to 32 names of 1 to 255 bytes, separated by commas"},
        {is_server || options->identity_count == 0,
         "identities: they are for servers"},
        {is_server || !options->refuse_unknown_names,
         "refuse_unknown_names: it is for servers"},
        {is_server || !options->choose, "choose: it is for servers"},
        {options->identities || options->identity_count == 0,
         "identity_count: there are no identities"},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        if (!rows[i].is_good) {
            return rows[i].why;
        }
    }
    return NULL;
}

static int context_check_options(const struct weir_tls_options *options,
                                 struct wr_tls_context_text *text)
{
    const char *why = context_find_fault(options);
    int err = why ? -EINVAL : 0;

    if (err == 0 && options->keylog &&
        !(wr_tls_backend_get()->does & WR_TLS_DOES_SECRETS)) {
        why = "keylog: the TLS library reports no secrets";
        err = -EOPNOTSUPP;
    }
    if (err == 0) {
        err = wr_tls_context_check_tickets(options, &why);
    }
    if (err < 0) {
        wr_ignore(snprintf(text->line, sizeof(text->line), "%s: %s", why,
                           weir_strerror(err)) < 0);
    }
    return err;
}

/* Disables a TLS version that has no suite in the list. Otherwise a library
 * would agree on this version and then find no suite. */
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

/* Returns true if TLS 1.2 can use no group of @list, which must be checked. */
static bool context_is_hybrid(const char *list)
{
    uint16_t groups[WR_TLS_GROUPS_MAX];
    const size_t count = wr_tls_suites_number_groups(list, groups);

    wr_assert(count > 0);
    return count == 1 && groups[0] == WR_TLS_GROUP_HYBRID;
}

/* A server may restrict its groups only if its lowest version is TLS 1.3,
 * because with TLS 1.2 wolfSSL uses a client's group that the server's list
 * omits. The rule is the same with OpenSSL. */
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
    if (options->max_version == WEIR_TLS_1_2 &&
        context_is_hybrid(options->groups)) {
        wr_ignore(snprintf(text->line, sizeof(text->line),
                           "groups: TLS 1.2 has none of these") < 0);
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

static struct wr_tls_settings
context_settings(const weir_tls_context *context,
                 const struct weir_tls_options *options)
{
    wr_assert(options->size > 0);
    return (struct wr_tls_settings){
        .is_server = context->is_server,
        .has_1_2 = options->min_version != WEIR_TLS_1_3,
        .has_1_3 = options->max_version != WEIR_TLS_1_2,
        .suites = options->ciphers ? options->ciphers : wr_tls_suites_get_all(),
        .verifies = context->verifies,
        .demands_certificate = context->demands,
        .logs_keys = context->keylog != NULL,
    };
}

static int context_make_shared(weir_tls_context *context,
                               const struct weir_tls_options *options,
                               struct wr_tls_settings *settings,
                               struct wr_tls_context_text *text)
{
    wr_assert(!context->shared && settings->suites);
    context->group_count =
        wr_tls_suites_number_groups(options->groups, context->groups);
    settings->group_count = context->group_count;
    settings->groups = context->groups;
    settings->has_signers = context->has_signers;
    settings->credential =
        context->identity_count > 0 ? context->identities->credential : NULL;
    const int err = context->backend->shared_new(settings, &context->shared);
    if (err == WEIR_ETLSVERSION) {
        wr_ignore(snprintf(text->line, sizeof(text->line),
                           "the configuration of the TLS library forbids the "
                           "versions of this context: see openssl.cnf") < 0);
    }
    return err;
}

static int context_fill(weir_tls_context *context,
                        const struct weir_tls_options *options,
                        struct wr_tls_context_text *text)
{
    struct wr_tls_settings settings = context_settings(context, options);
    int err = 0;

    if (options->alpn) {
        context->alpn = strdup(options->alpn);
        err = context->alpn ? 0 : -ENOMEM;
    }
    if (err == 0 && context->is_server) {
        err = wr_tls_context_use_tickets(context, options, &settings);
    }
    if (err == 0) {
        err = wr_tls_context_begin_keys(context, options, text);
        if (err == 0) {
            err = wr_tls_context_load_names(context, options, text);
        }
        wr_tls_context_end_keys(context);
    }
    if (err == 0 && context->verifies) {
        err = wr_tls_context_load_trust(context, options, text);
    }
    return err < 0 ? err
                   : context_make_shared(context, options, &settings, text);
}

/* A library decodes a private key, and compares it with its certificate, in
 * variables on the stack, and does not clear them. Wiping the stack below the
 * caller needs no more stack than the library did. */
__attribute__((noinline)) static void context_wipe_stack(void)
{
    uint8_t stack[CONTEXT_STACK_BYTES];

    explicit_bzero(stack, sizeof(stack));
}

static void context_free_identities(weir_tls_context *context)
{
    wr_assert(context->identities || context->identity_count == 0);
    for (size_t i = 0; i < context->identity_count; i++) {
        struct wr_tls_identity *identity = &context->identities[i];
        context->backend->credential_free(identity->credential);
        free(identity->outside);
        free((void *)(uintptr_t)identity->leaf.der.data);
    }
    free(context->identities);
    wr_tls_name_index_fini(&context->index);
    free(context->suites_of_others);
}

static void context_free(weir_tls_context *context)
{
    wr_assert(context->references == 0);
    context->backend->shared_free(context->shared);
    wr_tls_ticket_keys_fini(&context->ticket_keys);
    wr_tls_clients_fini(&context->clients);
    wr_x509_trust_fini(&context->trust);
    wr_tls_revocation_fini(&context->revocation);
    wr_ignore(pthread_mutex_destroy(&context->mutex) != 0);
    context_free_identities(context);
    free(context->alpn);
    free(context);
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
    context->backend = wr_tls_backend_get();
    context->is_server = options->server;
    context->keylog = options->keylog;
    context->keylog_user = options->keylog_user;
    context->verifies = context_verifies(options);
    context->demands = options->client_auth == WEIR_TLS_CLIENT_AUTH_REQUIRED;
    context->key_records = WR_TLS_KEY_RECORDS;
    wr_ignore(pthread_mutex_init(&context->mutex, NULL) != 0);
    wr_tls_revocation_init(&context->revocation);
    const int err = context_fill(context, options, text);
    context_wipe_stack();
    if (err < 0) {
        context_free(context);
        return err;
    }
    context->references = 1;
    *ret = context;
    return 0;
}

static int context_start(struct wr_tls_context_text *text)
{
    const struct wr_tls_backend *backend = wr_tls_backend_get();
    const int err = backend->start();
    const char *why =
        err < 0 && backend->start_text ? backend->start_text() : NULL;

    wr_assert(text->line[0] == '\0');
    if (why) {
        wr_ignore(snprintf(text->line, sizeof(text->line), "%s: %s",
                           weir_strerror(err), why) < 0);
    }
    return err;
}

static int context_check_library(const struct weir_tls_options *options,
                                 struct wr_tls_context_text *text)
{
    const struct wr_tls_backend *backend = wr_tls_backend_get();

    wr_assert(backend->name != NULL);
    if (!options->library || strcasecmp(options->library, backend->name) == 0) {
        return 0;
    }
    wr_ignore(snprintf(text->line, sizeof(text->line),
                       "library: libweir-tls here is by %s %s, not by "
                       "\"%.64s\"",
                       backend->name, backend->version(),
                       options->library) < 0);
    return -EOPNOTSUPP;
}

/* Must be called after the library was started. */
static int context_check_fips(const struct weir_tls_options *options,
                              struct wr_tls_context_text *text)
{
    const struct wr_tls_backend *backend = wr_tls_backend_get();

    wr_assert(text->line[0] == '\0');
    if (!options->fips || (backend->is_fips && backend->is_fips())) {
        return 0;
    }
    wr_ignore(snprintf(text->line, sizeof(text->line), "fips: %s %s %s",
                       backend->name, backend->version(),
                       backend->is_fips
                           ? "is not in FIPS mode, which openssl.cnf chooses"
                           : "has no FIPS mode; OpenSSL has") < 0);
    return -EOPNOTSUPP;
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
        err = context_check_options(&known, &text);
    }
    if (err == 0) {
        err = context_check_library(&known, &text);
    }
    if (err == 0) {
        err = context_start(&text);
    }
    if (err == 0) {
        err = context_check_suites(&known, &text);
    }
    if (err == 0) {
        err = context_check_groups(&known, &text);
    }
    if (err == 0) {
        err = context_check_fips(&known, &text);
    }
    if (err == 0) {
        err = context_make(&known, ops, ret, &text);
    }
    if (err < 0 && text.line[0] == '\0') {
        wr_ignore(snprintf(text.line, sizeof(text.line), "%s",
                           weir_strerror(err)) < 0);
    }
    if (error_text && error_size > 0) {
        wr_ignore(snprintf(error_text, error_size, "%s",
                           err < 0 ? text.line : text.notice) < 0);
    }
    return err;
}

/* Returns the first name of @own in the client's list, whatever the client's
 * order (RFC 7301). If no name is in it, returns the whole of @own, so that the
 * backend refuses the client. */
static const char *context_alpn_find(const char *own, struct wr_bytes list,
                                     size_t *ret_len)
{
    const char *name = own;

    wr_assert(own[0] != '\0');
    for (;;) {
        const size_t len = strcspn(name, ",");
        if (wr_bytes_list_has(list,
                              (struct wr_bytes){(const uint8_t *)name, len})) {
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

int wr_tls_context_choose_protocol(const weir_tls_context *context,
                                   struct wr_tls_conn *conn,
                                   const uint8_t *data, size_t size)
{
    struct wr_bytes body = {data, size};
    struct wr_bytes list = {data, 0};
    size_t len = 0;

    wr_assert(context->is_server);
    wr_assert(data || size == 0);
    if (!context->alpn) {
        return 0;
    }
    wr_ignore(!wr_bytes_take_vector(&body, 2, &list)); /* else empty */
    const char *name = context_alpn_find(context->alpn, list, &len);
    wr_assert(name && len > 0);
    return conn->backend->choose_protocol(conn, name, len);
}

/* Copies the host name for a client's hello to @text, without a dot at the end,
 * and sets *ret to @text. Leaves *ret NULL for no name or a literal address
 * (RFC 6066, 3, forbids literal addresses and the dot). Returns 0, or -EINVAL
 * if the name is too long. */
static int context_open_name(const char *name, char text[UINT8_MAX + 1],
                             const char **ret)
{
    uint8_t ip[WR_X509_IP_SIZE];
    size_t len = name ? strlen(name) : 0;

    wr_assert(!*ret);
    if (len > 0 && name[len - 1] == '.') {
        len--;
    }
    if (len > UINT8_MAX) {
        return -EINVAL;
    }
    memcpy(text, name ? name : "", len);
    text[len] = '\0';
    if (len > 0 && wr_x509_hostname_read_ip(text, ip) == 0) {
        *ret = text;
    }
    return 0;
}

static int context_open_client(const weir_tls_context *context,
                               const struct wr_tls_peer_options *options,
                               struct wr_tls_verdict *verdict,
                               struct wr_tls_peer *peer)
{
    const char *name = options->server_hostname;

    wr_assert(!context->is_server);
    peer->protocols = context->alpn;
    peer->session = options->session;
    if (!context->verifies || options->no_hostname_check) {
        return 0;
    }
    wr_require(name && name[0], -EINVAL);
    return wr_tls_verdict_set_hostname(verdict, name);
}

int wr_tls_context_open(weir_tls_context *context,
                        const struct wr_tls_peer_options *options,
                        struct wr_tls_verdict *verdict,
                        struct wr_tls_conn *conn)
{
    char name[UINT8_MAX + 1];
    struct wr_tls_peer peer = {
        .shared = context->shared,
        .credential = context->identity_count > 0
                          ? context->identities->credential
                          : NULL,
        .verifies = context->verifies,
        .demands_certificate = context->demands,
        .logs_keys = context->keylog != NULL,
    };
    int err = 0;

    wr_assert(conn->account && conn->events && !verdict->err);
    verdict->peer_is_client = context->is_server;
    verdict->context = context;
    verdict->conn = conn;
    conn->backend = context->backend;
    conn->verdict = verdict;
    if (!context->is_server) {
        err = context_open_name(options->server_hostname, name, &peer.name);
    }
    if (err == 0 && !context->is_server) {
        err = context_open_client(context, options, verdict, &peer);
    }
    return err < 0 ? err : conn->backend->open(conn, &peer);
}

/* Calls the program's `choose` for a client that requests @host. Returns the
 * program's error, or 0 with a reference to the chosen context in *ret (NULL
 * means this one). An error -EAGAIN becomes -EINVAL, because the engine uses
 * -EAGAIN itself. */
static int context_ask(const weir_tls_context *context, const char *host,
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

int wr_tls_context_choose(weir_tls_context *context,
                          struct wr_tls_verdict *verdict, const char *host,
                          uint8_t *ret_alert)
{
    enum { INTERNAL_ERROR = 80, UNRECOGNIZED_NAME = 112 }; /* RFC 8446, 6 */
    int err = 0;

    wr_assert(context->is_server && verdict->peer_is_client);
    wr_assert(!verdict->has_chosen && !verdict->chosen);
    if (context->choose) {
        err = context_ask(context, host, &verdict->chosen);
    }
    if (err == 0) {
        err = wr_tls_context_show(context,
                                  verdict->chosen ? verdict->chosen : context,
                                  host, verdict);
    }
    verdict->has_chosen = true;
    if (err < 0) {
        wr_tls_verdict_fail(verdict, err, "%s", weir_strerror(err));
        *ret_alert =
            err == WEIR_ETLSNONAME ? UNRECOGNIZED_NAME : INTERNAL_ERROR;
    }
    return err;
}

/* ---- secrets ----
 *
 * Logs the secrets of connections in NSS key log format, with which Wireshark
 * and other tools decrypt captured traffic. */

enum {
    CONTEXT_KEYLOG_RANDOM = 32,
    CONTEXT_KEYLOG_SECRET = 64,
    CONTEXT_KEYLOG_LABEL = 32,
    CONTEXT_KEYLOG_LINE = CONTEXT_KEYLOG_LABEL + 1 + 2 * CONTEXT_KEYLOG_RANDOM +
                          1 + 2 * CONTEXT_KEYLOG_SECRET + 1,
};

static char *context_keylog_put(char *to, const uint8_t *data, size_t size)
{
    static const char digits[] = "0123456789abcdef";

    wr_assert(size <= CONTEXT_KEYLOG_SECRET);
    for (size_t i = 0; i < size; i++) {
        *to++ = digits[data[i] >> 4];
        *to++ = digits[data[i] & 15];
    }
    return to;
}

static const char *const context_keylog_labels[] = {
    [WR_TLS_SECRET_MASTER] = "CLIENT_RANDOM",
    [WR_TLS_SECRET_CLIENT_HANDSHAKE] = "CLIENT_HANDSHAKE_TRAFFIC_SECRET",
    [WR_TLS_SECRET_SERVER_HANDSHAKE] = "SERVER_HANDSHAKE_TRAFFIC_SECRET",
    [WR_TLS_SECRET_CLIENT_DATA] = "CLIENT_TRAFFIC_SECRET_0",
    [WR_TLS_SECRET_SERVER_DATA] = "SERVER_TRAFFIC_SECRET_0",
    [WR_TLS_SECRET_EXPORTER] = "EXPORTER_SECRET",
};

void wr_tls_context_log_secret(const weir_tls_context *context,
                               const struct wr_tls_conn *conn,
                               enum wr_tls_secret_kind kind,
                               struct wr_bytes secret)
{
    const char *label = context_keylog_labels[kind];
    uint8_t random[CONTEXT_KEYLOG_RANDOM];
    char line[CONTEXT_KEYLOG_LINE];
    char *end = line;

    wr_assert(strlen(label) < CONTEXT_KEYLOG_LABEL);
    wr_assert(secret.size > 0 && secret.size <= CONTEXT_KEYLOG_SECRET);
    if (!context->keylog || !conn->backend->get_client_random(conn, random)) {
        return;
    }
    end += snprintf(line, CONTEXT_KEYLOG_LABEL + 1, "%s ", label);
    end = context_keylog_put(end, random, sizeof(random));
    *end++ = ' ';
    end = context_keylog_put(end, secret.data, secret.size);
    *end = '\0';
    context->keylog(context->keylog_user, line);
    explicit_bzero(line, sizeof(line));
}

/* ---- references and facts ----
 *
 * Connections of several threads share a context, so its mutex guards the
 * reference count. The last unref frees the context, on any thread. */

bool wr_tls_context_is_server(const weir_tls_context *context)
{
    wr_debug_assert(context->references > 0);
    return context->is_server;
}

bool wr_tls_context_verifies(const weir_tls_context *context)
{
    wr_debug_assert(context->references > 0);
    return context->verifies;
}

bool wr_tls_context_has_signers(const weir_tls_context *context)
{
    wr_debug_assert(context->references > 0);
    return context->has_signers;
}

uint32_t wr_tls_context_get_key_records(const weir_tls_context *context)
{
    wr_assert(context->key_records > 0);
    return context->key_records;
}

const uint16_t *wr_tls_context_get_groups(const weir_tls_context *context,
                                          size_t *ret_count)
{
    wr_assert(context->group_count > 0);
    *ret_count = context->group_count;
    return context->groups;
}

weir_tls_context *weir_tls_context_ref(weir_tls_context *context)
{
    pthread_mutex_lock(&context->mutex);
    wr_assert(context->references > 0);
    context->references++;
    pthread_mutex_unlock(&context->mutex);
    return context;
}

void weir_tls_context_unref(weir_tls_context *context)
{
    if (!context) {
        return;
    }
    pthread_mutex_lock(&context->mutex);
    wr_assert(context->references > 0);
    const uint32_t left = --context->references;
    pthread_mutex_unlock(&context->mutex);
    if (left == 0) {
        context_free(context);
    }
}

/* Returns the version of the running library. The source package, with the
 * distribution's revision, is known only if tools/deps built the library. */
int weir_tls_get_library(struct weir_tls_library *ret)
{
    const struct wr_tls_backend *backend = wr_tls_backend_get();
    const int err = wr_answer_check(ret);
    wr_require(err >= 0, err);
    const bool asks = ret->size > offsetof(struct weir_tls_library, fips);
    const struct weir_tls_library known = {
        .size = ret->size,
        .name = backend->name,
        .version = backend->version(),
        .source = backend->source,
        .fips = asks && backend->is_fips && backend->start() == 0 &&
                backend->is_fips(),
    };
    wr_assert(known.version);
    wr_answer_write(ret, &known, sizeof(known));
    return 0;
}
