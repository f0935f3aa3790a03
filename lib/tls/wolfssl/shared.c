/*
 * The WOLFSSL_CTX of a context: the common settings of its connections.
 *
 * The WOLFSSL_CTX comes from malloc() (wolfssl.h), because several threads
 * share it. Memory that wolfSSL would add to it during the first connection is
 * allocated here. wolfSSL does not seal tickets itself, because it would
 * allocate the context's random generator from the account of the first
 * connection's loop.
 */
#include "wolfssl.h"

#include <weir/error.h>

#include <errno.h>

#define SHARED_RSA_BITS 2048
#define SHARED_ECC_BITS 256
#define SHARED_GROUPS   8

static WOLFSSL_METHOD *shared_method(const struct wr_tls_settings *settings)
{
    wr_assert(settings->has_1_2 || settings->has_1_3);
    if (!settings->has_1_2) {
        return settings->is_server ? wolfTLSv1_3_server_method()
                                   : wolfTLSv1_3_client_method();
    }
    if (!settings->has_1_3) {
        return settings->is_server ? wolfTLSv1_2_server_method()
                                   : wolfTLSv1_2_client_method();
    }
    return settings->is_server ? wolfSSLv23_server_method()
                               : wolfSSLv23_client_method();
}

int wr_wolfssl_set_strength(WOLFSSL_CTX *ctx)
{
    wr_assert(ctx != NULL);
    return wolfSSL_CTX_SetMinRsaKey_Sz(ctx, SHARED_RSA_BITS) ==
                       WOLFSSL_SUCCESS &&
                   wolfSSL_CTX_SetMinEccKey_Sz(ctx, SHARED_ECC_BITS) ==
                       WOLFSSL_SUCCESS
               ? 0
               : WEIR_ETLSENGINE;
}

/* Without a list wolfSSL would allocate one for the context during the first
 * connection. */
static int shared_set_lists(WOLFSSL_CTX *ctx,
                            const struct wr_tls_settings *settings)
{
    int groups[SHARED_GROUPS];
    const int count = (int)settings->group_count;

    wr_assert(count > 0 && count <= SHARED_GROUPS);
    if (wolfSSL_CTX_set_cipher_list(ctx, settings->suites) != WOLFSSL_SUCCESS) {
        return WEIR_ETLSCIPHERS;
    }
    for (int i = 0; i < count; i++) {
        groups[i] = settings->groups[i]; /* wolfSSL uses IANA's numbers */
    }
    return wolfSSL_CTX_set_groups(ctx, groups, count) == WOLFSSL_SUCCESS
               ? 0
               : WEIR_ETLSENGINE;
}

/* If TLS 1.2 is the highest version, wolfSSL reports an error for TLS 1.3
 * tickets, which is ignored. */
static int shared_refuse_tickets(WOLFSSL_CTX *ctx,
                                 const struct wr_tls_settings *settings)
{
    wr_assert(settings->is_server && !settings->has_tickets);
    if (wolfSSL_CTX_no_ticket_TLSv13(ctx) != 0 && settings->has_1_3) {
        return WEIR_ETLSENGINE;
    }
    return wolfSSL_CTX_NoTicketTLSv12(ctx) == WOLFSSL_SUCCESS ? 0
                                                              : WEIR_ETLSENGINE;
}

/* A server without tickets needs the callback, too, because clients may offer
 * tickets, and without the callback wolfSSL would open them itself. */
static int shared_set_tickets(WOLFSSL_CTX *ctx,
                              const struct wr_tls_settings *settings)
{
    wr_assert(ctx != NULL);
    if (!settings->is_server) {
        return wolfSSL_CTX_UseSessionTicket(ctx) == WOLFSSL_SUCCESS ? 0
                                                                    : -ENOMEM;
    }
    if (wolfSSL_CTX_set_TicketEncCb(ctx, wr_wolfssl_on_ticket) !=
        WOLFSSL_SUCCESS) {
        return WEIR_ETLSENGINE;
    }
    if (!settings->has_tickets) {
        return shared_refuse_tickets(ctx, settings);
    }
    if (wolfSSL_CTX_set_TicketHint(ctx, (int)settings->ticket_lifetime) !=
        WOLFSSL_SUCCESS) {
        return WEIR_ETLSENGINE;
    }
    /* Some builds return the previous time; none fails. */
    wr_ignore(wolfSSL_CTX_set_timeout(ctx, settings->ticket_lifetime) < 0);
    return 0;
}

static int shared_set_rules(WOLFSSL_CTX *ctx,
                            const struct wr_tls_settings *settings)
{
#ifdef WOLFSSL_EARLY_DATA
    if (wolfSSL_CTX_set_max_early_data(ctx, 0) != 0) {
        return WEIR_ETLSENGINE;
    }
#endif
    if (wolfSSL_CTX_SetMinVersion(ctx, WOLFSSL_TLSV1_2) != WOLFSSL_SUCCESS &&
        settings->has_1_2) {
        return WEIR_ETLSENGINE;
    }
    if (wolfSSL_CTX_only_dhe_psk(ctx) != 0 && settings->has_1_3) {
        return WEIR_ETLSENGINE;
    }
    const int err = wr_wolfssl_set_strength(ctx);
    if (err < 0) {
        return err;
    }
    wr_ignore(wolfSSL_CTX_set_session_cache_mode(ctx, WOLFSSL_SESS_CACHE_OFF) !=
              WOLFSSL_SUCCESS);
    wolfSSL_CTX_set_verify(
        ctx, wr_wolfssl_mode(settings->verifies, settings->demands_certificate),
        settings->verifies ? wr_wolfssl_on_certificate : NULL);
    wr_wolfssl_use_chain(ctx);
    if (settings->is_server) {
        wolfSSL_CTX_set_servername_callback(ctx, wr_wolfssl_on_name);
    }
    return shared_set_tickets(ctx, settings);
}

static int shared_set_credential(WOLFSSL_CTX *ctx,
                                 const struct wr_tls_credential *credential)
{
    wr_assert(credential->chain && credential->key);
    return wolfSSL_CTX_use_certificate_chain_buffer(ctx, credential->chain,
                                                    credential->chain_size) ==
                       WOLFSSL_SUCCESS &&
                   wolfSSL_CTX_use_PrivateKey_buffer(
                       ctx, credential->key, credential->key_size,
                       wr_wolfssl_key_format(credential)) == WOLFSSL_SUCCESS
               ? 0
               : WEIR_ETLSFILE;
}

static int shared_fill(WOLFSSL_CTX *ctx, const struct wr_tls_settings *settings)
{
    int err = shared_set_lists(ctx, settings);

    wr_assert(settings->credential || !settings->is_server);
    if (err == 0) {
        err = shared_set_rules(ctx, settings);
    }
    wr_wolfssl_use_rsa(ctx);
    if (settings->has_signers) {
        wr_wolfssl_use_signers(ctx);
    }
    if (err == 0 && settings->credential) {
        err = shared_set_credential(ctx, settings->credential);
    }
    return err;
}

int wr_wolfssl_shared_new(const struct wr_tls_settings *settings,
                          struct wr_tls_shared **ret)
{
    struct wr_tls_memory_scope before =
        wr_tls_memory_enter(NULL, WR_TLS_MEMORY_PLAIN);
    wr_ignore(wr_tls_memory_take_failure());
    WOLFSSL_CTX *ctx = wolfSSL_CTX_new(shared_method(settings));
    int err = ctx ? shared_fill(ctx, settings) : -ENOMEM;
    if (wr_tls_memory_take_failure()) {
        err = -ENOMEM; /* wolfSSL often reports another reason */
    }
    wr_assert(ctx || err < 0);
    if (err < 0) {
        wolfSSL_CTX_free(ctx);
    } else {
        *ret = (struct wr_tls_shared *)ctx;
    }
    wr_tls_memory_leave(before);
    return err;
}

void wr_wolfssl_shared_free(struct wr_tls_shared *shared)
{
    struct wr_tls_memory_scope before =
        wr_tls_memory_enter(NULL, WR_TLS_MEMORY_PLAIN);
    wolfSSL_CTX_free((WOLFSSL_CTX *)shared);
    wr_tls_memory_leave(before);
}
