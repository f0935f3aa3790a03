/*
 * The common part of connections: an SSL_CTX with weir's settings.
 *
 * No default of OpenSSL applies: weir names versions, suites, groups and
 * signature algorithms, and sets no authorities. It may raise the security
 * level of the system's configuration, but never lowers it. A suite or group
 * that no provider has (for example, with a FIPS module) is left out.
 */
#include "openssl.h"

#include "uring/check.h"

#include <weir/error.h>

#include <openssl/obj_mac.h>
#include <openssl/ssl.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SHARED_LIST_SIZE  512
#define SHARED_GROUPS_MAX 8
/* At least RSA of 2048 bits and curves of 224 bits; no SHA-1. */
#define SHARED_SECURITY_LEVEL 2
/* Maximum size of a Certificate message, as with wolfSSL. */
#define SHARED_CHAIN_BYTES (64 << 10)
/* SSL_OP_NO_TX_CERTIFICATE_COMPRESSION and
 * SSL_OP_NO_RX_CERTIFICATE_COMPRESSION, which are missing in headers before
 * OpenSSL 3.2. A program may run with a newer libssl than it was built with; an
 * older libssl ignores these bits. */
#define SHARED_NO_COMPRESSED_CHAIN (UINT64_C(3) << 32)

/* A peer may sign with the algorithms that weir also allows in certificates
 * (lib/x509/strength.h). */
#define SHARED_SIGNATURES                                                      \
    "ECDSA+SHA256:ECDSA+SHA384:ECDSA+SHA512:"                                  \
    "rsa_pss_rsae_sha256:rsa_pss_rsae_sha384:rsa_pss_rsae_sha512:"             \
    "rsa_pss_pss_sha256:rsa_pss_pss_sha384:rsa_pss_pss_sha512:"                \
    "RSA+SHA256:RSA+SHA384:RSA+SHA512"

struct shared_suite {
    const char *iana;
    const char *openssl;
};

static const struct shared_suite shared_old[] = {
    {"TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
     "ECDHE-ECDSA-AES128-GCM-SHA256"},
    {"TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
     "ECDHE-ECDSA-AES256-GCM-SHA384"},
    {"TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
     "ECDHE-ECDSA-CHACHA20-POLY1305"},
    {"TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", "ECDHE-RSA-AES128-GCM-SHA256"},
    {"TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384", "ECDHE-RSA-AES256-GCM-SHA384"},
    {"TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
     "ECDHE-RSA-CHACHA20-POLY1305"},
};

static const char *shared_find_old(const char *name, size_t len)
{
    wr_assert(name != NULL);
    for (size_t i = 0; i < sizeof(shared_old) / sizeof(*shared_old); i++) {
        if (strlen(shared_old[i].iana) == len &&
            memcmp(shared_old[i].iana, name, len) == 0) {
            return shared_old[i].openssl;
        }
    }
    return NULL;
}

static void shared_append(char *list, const char *name, size_t len)
{
    const size_t used = strlen(list);

    wr_assert(len > 0);
    wr_assert(used + 1 + len < SHARED_LIST_SIZE);
    if (used > 0) {
        list[used] = ':';
    }
    memcpy(list + used + (used > 0), name, len);
    list[used + (used > 0) + len] = '\0';
}

/* OpenSSL has a list for each version, with IANA's names only for TLS 1.3. */
static void shared_part_suites(const char *suites, char newer[SHARED_LIST_SIZE],
                               char older[SHARED_LIST_SIZE])
{
    wr_assert(suites[0] != '\0');
    newer[0] = '\0';
    older[0] = '\0';
    for (;;) {
        const size_t len = strcspn(suites, ":");
        const char *old = shared_find_old(suites, len);
        if (old) {
            shared_append(older, old, strlen(old));
        } else {
            shared_append(newer, suites, len);
        }
        if (suites[len] == '\0') {
            return;
        }
        suites += len + 1;
    }
}

static bool shared_has_suites(SSL_CTX *ctx,
                              const struct wr_tls_settings *settings)
{
    STACK_OF(SSL_CIPHER) *suites = SSL_CTX_get_ciphers(ctx);
    bool has_new = !settings->has_1_3;
    bool has_old = !settings->has_1_2;

    wr_assert(settings->has_1_2 || settings->has_1_3);
    for (int i = 0; i < sk_SSL_CIPHER_num(suites); i++) {
        const SSL_CIPHER *suite = sk_SSL_CIPHER_value(suites, i);
        const bool is_new = SSL_CIPHER_get_protocol_id(suite) >> 8 == 0x13;
        has_new |= is_new;
        has_old |= !is_new;
    }
    return has_new && has_old;
}

static int shared_use_suites(SSL_CTX *ctx,
                             const struct wr_tls_settings *settings)
{
    char newer[SHARED_LIST_SIZE];
    char older[SHARED_LIST_SIZE];

    wr_assert(settings->suites != NULL);
    shared_part_suites(settings->suites, newer, older);
    if (SSL_CTX_set_ciphersuites(ctx, settings->has_1_3 ? newer : "") != 1 ||
        (settings->has_1_2 && SSL_CTX_set_cipher_list(ctx, older) != 1)) {
        return WEIR_ETLSCIPHERS;
    }
    return shared_has_suites(ctx, settings) ? 0 : WEIR_ETLSCIPHERS;
}

static int shared_group_of(uint16_t number)
{
    switch (number) {
    case 23:
        return NID_X9_62_prime256v1;
    case 24:
        return NID_secp384r1;
    case 25:
        return NID_secp521r1;
    case 29:
        return NID_X25519;
    default:
        return NID_undef;
    }
}

static const char *shared_group_name(uint16_t number)
{
    switch (number) {
    case WR_OPENSSL_HYBRID_GROUP:
        return WR_OPENSSL_HYBRID;
    case 23:
        return "P-256";
    case 24:
        return "P-384";
    case 25:
        return "P-521";
    case 29:
        return "X25519";
    default:
        return NULL;
    }
}

/* Sets a list in the syntax of libssl 3.5: '*' sends a share, '?' skips a group
 * that a provider lacks, and '/' separates tuples. A server selects the first
 * tuple that the client has, even if it has to request a share. A client sends
 * a share of the first group and, if this is the hybrid group, of the first
 * classical one, so that an older server need not send a HelloRetryRequest. */
static int shared_use_hybrid(SSL_CTX *ctx,
                             const struct wr_tls_settings *settings)
{
    char list[SHARED_LIST_SIZE] = "";
    size_t used = 0;
    bool owes_share = true;
    bool was_hybrid = false;

    wr_assert(settings->group_count <= SHARED_GROUPS_MAX);
    for (size_t i = 0; i < settings->group_count; i++) {
        const char *name = shared_group_name(settings->groups[i]);
        const bool is_hybrid = settings->groups[i] == WR_OPENSSL_HYBRID_GROUP;
        if (!name) {
            continue;
        }
        used += (size_t)snprintf(list + used, sizeof(list) - used, "%s%s%s%s",
                                 used == 0                 ? ""
                                 : is_hybrid || was_hybrid ? "/"
                                                           : ":",
                                 owes_share ? "*" : "", "?", name);
        owes_share = owes_share && is_hybrid;
        was_hybrid = is_hybrid;
    }
    return SSL_CTX_set1_groups_list(ctx, list) == 1 ? 0 : WEIR_ETLSGROUPS;
}

/* The hybrid group requires TLS 1.3. */
static bool shared_wants_hybrid(const struct wr_tls_settings *settings)
{
    wr_assert(settings->groups != NULL);
    for (size_t i = 0; i < settings->group_count; i++) {
        if (settings->groups[i] == WR_OPENSSL_HYBRID_GROUP) {
            return settings->has_1_3 && wr_openssl_has_hybrid();
        }
    }
    return false;
}

static int shared_use_groups(SSL_CTX *ctx,
                             const struct wr_tls_settings *settings)
{
    int groups[SHARED_GROUPS_MAX];
    size_t count = 0;

    wr_assert(settings->group_count <= SHARED_GROUPS_MAX);
    if (shared_wants_hybrid(settings)) {
        return shared_use_hybrid(ctx, settings);
    }
    for (size_t i = 0; i < settings->group_count; i++) {
        const int group = shared_group_of(settings->groups[i]);
        if (group != NID_undef) {
            groups[count++] = group;
        }
    }
    return count > 0 && SSL_CTX_set1_groups(ctx, groups, (long)count) == 1
               ? 0
               : WEIR_ETLSGROUPS;
}

void wr_openssl_raise_level(SSL_CTX *ctx)
{
    wr_assert(ctx != NULL);
    if (SSL_CTX_get_security_level(ctx) < SHARED_SECURITY_LEVEL) {
        SSL_CTX_set_security_level(ctx, SHARED_SECURITY_LEVEL);
    }
}

/* Enables the versions that both weir's settings and the system's configuration
 * allow; a limit of 0 means that the configuration has none. Returns 0,
 * WEIR_ETLSVERSION if no version is left, or WEIR_ETLSENGINE. */
static int shared_use_versions(SSL_CTX *ctx,
                               const struct wr_tls_settings *settings)
{
    const long own_min = SSL_CTX_get_min_proto_version(ctx);
    const long own_max = SSL_CTX_get_max_proto_version(ctx);
    long min = settings->has_1_2 ? TLS1_2_VERSION : TLS1_3_VERSION;
    long max = settings->has_1_3 ? TLS1_3_VERSION : TLS1_2_VERSION;

    wr_assert(min <= max);
    min = own_min > min ? own_min : min;
    max = own_max > 0 && own_max < max ? own_max : max;
    if (min > max) {
        return WEIR_ETLSVERSION;
    }
    return SSL_CTX_set_min_proto_version(ctx, min) == 1 &&
                   SSL_CTX_set_max_proto_version(ctx, max) == 1
               ? 0
               : WEIR_ETLSENGINE;
}

/* The system's configuration may have changed the options that weir relies
 * on. */
static void shared_use_options(SSL_CTX *ctx)
{
    wr_assert(ctx != NULL);
    SSL_CTX_clear_options(
        ctx, SSL_OP_ALL | SSL_OP_LEGACY_SERVER_CONNECT |
                 SSL_OP_ALLOW_UNSAFE_LEGACY_RENEGOTIATION |
                 SSL_OP_ALLOW_NO_DHE_KEX | SSL_OP_IGNORE_UNEXPECTED_EOF |
                 SSL_OP_ENABLE_KTLS | SSL_OP_PRIORITIZE_CHACHA |
                 SSL_OP_NO_TICKET | SSL_OP_NO_EXTENDED_MASTER_SECRET);
    SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                 SSL_OP_CIPHER_SERVER_PREFERENCE |
                                 SSL_OP_ENABLE_MIDDLEBOX_COMPAT);
    /* A peer's compressed certificate could expand to a large one. */
    SSL_CTX_set_options(ctx, SHARED_NO_COMPRESSED_CHAIN);
    SSL_CTX_clear_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ASYNC |
                                SSL_MODE_ENABLE_PARTIAL_WRITE);
    SSL_CTX_set_mode(ctx, SSL_MODE_AUTO_RETRY | SSL_MODE_NO_AUTO_CHAIN);
    SSL_CTX_set_read_ahead(ctx, 0);
    SSL_CTX_set_max_cert_list(ctx, SHARED_CHAIN_BYTES);
    wr_openssl_raise_level(ctx);
}

static void shared_use_verification(SSL_CTX *ctx,
                                    const struct wr_tls_settings *settings)
{
    int mode = SSL_VERIFY_NONE;

    wr_assert(settings->verifies || !settings->demands_certificate);
    if (settings->verifies) {
        mode = SSL_VERIFY_PEER;
        wr_openssl_use_chain(ctx);
    }
    if (settings->demands_certificate) {
        mode |= SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
    }
    SSL_CTX_set_verify(ctx, mode, NULL);
}

static int shared_use_sessions(SSL_CTX *ctx,
                               const struct wr_tls_settings *settings)
{
    SSL_CTX_set_session_cache_mode(
        ctx, SSL_SESS_CACHE_NO_INTERNAL |
                 (settings->is_server ? 0 : SSL_SESS_CACHE_CLIENT));
    wr_assert(settings->is_server || !settings->has_tickets);
    if (!settings->is_server) {
        return 0;
    }
    if (!settings->has_tickets) {
        SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET);
        return SSL_CTX_set_num_tickets(ctx, 0) == 1 ? 0 : WEIR_ETLSENGINE;
    }
    SSL_CTX_set_timeout(ctx, (long)settings->ticket_lifetime);
    return SSL_CTX_set_num_tickets(ctx, 1) == 1 && wr_openssl_use_tickets(ctx)
               ? 0
               : WEIR_ETLSENGINE;
}

static int shared_set_up(SSL_CTX *ctx, const struct wr_tls_settings *settings)
{
    struct wr_tls_credential *credential = settings->credential;

    shared_use_options(ctx);
    shared_use_verification(ctx, settings);
    wr_openssl_use_callbacks(ctx, settings->is_server);
    if (settings->logs_keys) {
        wr_openssl_use_secrets(ctx);
    }
    int err = SSL_CTX_set_max_send_fragment(ctx, WR_TLS_RECORD_MAX) == 1
                  ? shared_use_versions(ctx, settings)
                  : WEIR_ETLSENGINE;
    if (err == 0) {
        err = shared_use_suites(ctx, settings);
    }
    if (err == 0) {
        err = shared_use_groups(ctx, settings);
    }
    if (err == 0 &&
        SSL_CTX_set1_sigalgs_list(ctx, SHARED_SIGNATURES ":ed25519") != 1 &&
        SSL_CTX_set1_sigalgs_list(ctx, SHARED_SIGNATURES) != 1) {
        err = WEIR_ETLSENGINE; /* a FIPS module may lack Ed25519 alone */
    }
    if (err == 0) {
        err = shared_use_sessions(ctx, settings);
    }
    if (err < 0 || !credential) {
        return err;
    }
    wr_assert(credential->leaf && credential->key);
    return SSL_CTX_use_cert_and_key(ctx, credential->leaf, credential->key,
                                    credential->issuers, 1) == 1
               ? 0
               : WEIR_ETLSFILE;
}

static int shared_make(const struct wr_tls_settings *settings,
                       struct wr_tls_shared *shared)
{
    struct wr_openssl_errors errors;
    int err = -ENOMEM;

    wr_assert(!shared->ctx);
    wr_openssl_enter(&errors);
    shared->ctx = SSL_CTX_new(settings->is_server ? TLS_server_method()
                                                  : TLS_client_method());
    if (shared->ctx) {
        err = shared_set_up(shared->ctx, settings);
    }
    wr_openssl_leave(&errors);
    return err < 0 && errors.lacks_memory ? -ENOMEM : err;
}

int wr_openssl_shared_new(const struct wr_tls_settings *settings,
                          struct wr_tls_shared **ret)
{
    struct wr_tls_shared *shared = calloc(1, sizeof(*shared));

    if (!shared) {
        return -ENOMEM;
    }
    const int err = shared_make(settings, shared);
    if (err < 0) {
        wr_openssl_shared_free(shared);
        return err;
    }
    *ret = shared;
    return 0;
}

void wr_openssl_shared_free(struct wr_tls_shared *shared)
{
    if (shared) {
        SSL_CTX_free(shared->ctx);
        free(shared);
    }
}
