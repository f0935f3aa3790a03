/*
 * Session tickets of a context: wolfSSL's callback over ticket.h.
 *
 * A session has no room for a client's certificate, and a resumed handshake
 * shows none. So servers that ask for certificates issue no tickets; else their
 * program could not tell who the client is.
 *
 * Connections on all threads share the context's keys, so the keys are copied
 * under its mutex. wolfSSL's own tickets are not used: wolfSSL would allocate
 * the context's random generator in the memory of the first connection's loop.
 */
#include "context_impl.h"
#include "uring/check.h"

#include <weir/error.h>

#include <errno.h>
#include <string.h>
#include <time.h>

_Static_assert((int)WR_TLS_TICKET_NAME == WOLFSSL_TICKET_NAME_SZ,
               "the name of a key has its place in a ticket");
_Static_assert((int)WR_TLS_TICKET_IV == WOLFSSL_TICKET_IV_SZ,
               "nonce and time have their place in a ticket");
_Static_assert((int)WR_TLS_TICKET_TAG <= WOLFSSL_TICKET_MAC_SZ,
               "a tag has its place in a ticket");

#define CONTEXT_TICKET_SECOND       UINT64_C(1000000000)
#define CONTEXT_TICKET_LIFETIME     (2 * 60 * 60)
#define CONTEXT_TICKET_LIFETIME_MAX (7 * 24 * 60 * 60) /* RFC 8446, 4.6.1 */

/* Seconds of the wall clock: servers with the same keys share it. */
static uint64_t context_ticket_now(void)
{
    return (uint64_t)time(NULL);
}

static int context_ticket_seal(weir_tls_context *context,
                               const struct wr_tls_ticket *ticket)
{
    const uint64_t now = context_ticket_now();
    struct wr_tls_ticket_key key;

    wr_assert(context->is_server);
    pthread_mutex_lock(&context->mutex);
    int err = wr_tls_ticket_keys_get(&context->ticket_keys, now, &key);
    pthread_mutex_unlock(&context->mutex);
    if (err == 0) {
        err = wr_tls_ticket_seal(ticket, &key, now);
        explicit_bzero(&key, sizeof(key));
    }
    return err == 0 ? WOLFSSL_TICKET_RET_OK : WOLFSSL_TICKET_RET_FATAL;
}

static int context_ticket_open(weir_tls_context *context,
                               const struct wr_tls_ticket *ticket)
{
    struct wr_tls_ticket_key key;

    wr_assert(context->is_server);
    pthread_mutex_lock(&context->mutex);
    bool is_known =
        wr_tls_ticket_keys_find(&context->ticket_keys, ticket->name, &key);
    pthread_mutex_unlock(&context->mutex);
    if (is_known) {
        is_known = wr_tls_ticket_open(ticket, &key, context_ticket_now(),
                                      context->ticket_keys.lifetime);
        explicit_bzero(&key, sizeof(key));
    }
    return is_known ? WOLFSSL_TICKET_RET_OK : WOLFSSL_TICKET_RET_REJECT;
}

/* Digests the name that the client asks for. With TLS 1.2 wolfSSL opens a
 * ticket while it reads the hello, perhaps before the name; the engine has read
 * the name before. */
static int context_ticket_digest(WOLFSSL *ssl, bool seals,
                                 uint8_t ret[WR_TLS_TICKET_DIGEST])
{
    const struct wr_tls_verdict *verdict = wr_tls_context_verdict_of(ssl);
    void *name = NULL;

    wr_assert(verdict->peer_is_client);
    wr_assert(!seals || !verdict->err);
    if (!seals && wolfSSL_GetVersion(ssl) == WOLFSSL_TLSV1_2) {
        memcpy(ret, verdict->asked_name, WR_TLS_TICKET_DIGEST);
        return verdict->knows_asked_name ? 0 : -ENODATA;
    }
    const size_t len =
        wolfSSL_SNI_GetRequest(ssl, WOLFSSL_SNI_HOST_NAME, &name);
    return wr_tls_ticket_digest_name(name, name ? len : 0, ret);
}

/* wolfSSL's callback. A foreign ticket is refused, and a full handshake
 * follows. The size of a ticket to be opened comes from the client and may be
 * 0. */
/* NOLINTNEXTLINE(readability-function-size): wolfSSL says what it is given */
static int context_ticket_callback(WOLFSSL *ssl, unsigned char *name,
                                   unsigned char *iv, unsigned char *mac,
                                   int seals, unsigned char *data, int size,
                                   int *ret_size, void *arg)
{
    weir_tls_context *context = arg;
    uint8_t host[WR_TLS_TICKET_DIGEST];
    const struct wr_tls_ticket ticket = {
        .name = name,
        .iv = iv,
        .tag = mac,
        .data = data,
        .size = (size_t)size,
        .host = host,
    };

    wr_assert(size >= 0 && (size > 0 || !seals));
    *ret_size = size;
    if (context->ticket_keys.count == 0) {
        wr_assert(!seals); /* such a server issues none */
        return WOLFSSL_TICKET_RET_REJECT;
    }
    if (size == 0 || context_ticket_digest(ssl, seals, host) < 0) {
        return seals ? WOLFSSL_TICKET_RET_FATAL : WOLFSSL_TICKET_RET_REJECT;
    }
    if (!seals) {
        return context_ticket_open(context, &ticket);
    }
    memset(mac, 0, WOLFSSL_TICKET_MAC_SZ);
    return context_ticket_seal(context, &ticket);
}

/* ---- setting up ---- */

/* If TLS 1.2 is the highest version, wolfSSL fails to refuse TLS 1.3
 * tickets. */
static int context_ticket_refuse(weir_tls_context *context,
                                 const struct weir_tls_options *options)
{
    wr_assert(context->is_server);
    wr_assert(context->ticket_keys.count == 0);
    if (wolfSSL_CTX_no_ticket_TLSv13(context->ctx) != 0 &&
        options->max_version != WEIR_TLS_1_2) {
        return WEIR_ETLSENGINE;
    }
    return wolfSSL_CTX_NoTicketTLSv12(context->ctx) == WOLFSSL_SUCCESS
               ? 0
               : WEIR_ETLSENGINE;
}

static int context_ticket_announce(weir_tls_context *context, uint64_t lifetime)
{
    wr_assert(context->ticket_keys.count > 0);
    wr_assert(lifetime <= CONTEXT_TICKET_LIFETIME_MAX);
    if (wolfSSL_CTX_set_TicketHint(context->ctx, (int)lifetime) !=
        WOLFSSL_SUCCESS) {
        return WEIR_ETLSENGINE;
    }
    /* Some builds return the previous time; none fails. */
    wr_ignore(wolfSSL_CTX_set_timeout(context->ctx, (unsigned)lifetime) < 0);
    return 0;
}

/* Servers without tickets need the callback, too: clients may offer tickets,
 * and without it wolfSSL would use its own. */
static int context_ticket_set_callback(weir_tls_context *context)
{
    wr_assert(context->ctx != NULL);
    return wolfSSL_CTX_set_TicketEncCb(context->ctx, context_ticket_callback) ==
                       WOLFSSL_SUCCESS &&
                   wolfSSL_CTX_set_TicketEncCtx(context->ctx, context) ==
                       WOLFSSL_SUCCESS
               ? 0
               : WEIR_ETLSENGINE;
}

int wr_tls_context_check_tickets(const struct weir_tls_options *options)
{
    const uint64_t lifetime = options->ticket_lifetime_ns;
    const bool has_keys = options->ticket_keys || options->ticket_keys_size;

    wr_require(lifetime == 0 || lifetime >= CONTEXT_TICKET_SECOND, -EINVAL);
    wr_require(lifetime / CONTEXT_TICKET_SECOND <= CONTEXT_TICKET_LIFETIME_MAX,
               -EINVAL);
    wr_require(!has_keys || options->ticket_keys, -EINVAL);
    if (!options->server || options->no_tickets) {
        wr_require(lifetime == 0 && !has_keys, -EINVAL);
    }
    return 0;
}

int wr_tls_context_use_tickets(weir_tls_context *context,
                               const struct weir_tls_options *options)
{
    uint64_t lifetime = options->ticket_lifetime_ns / CONTEXT_TICKET_SECOND;

    wr_assert(context->is_server);
    int err = context_ticket_set_callback(context);
    if (err < 0) {
        return err;
    }
    if (options->no_tickets ||
        options->client_auth != WEIR_TLS_CLIENT_AUTH_NONE) {
        return context_ticket_refuse(context, options);
    }
    if (lifetime == 0) {
        lifetime = CONTEXT_TICKET_LIFETIME;
    }
    err = wr_tls_ticket_keys_init(&context->ticket_keys, options->ticket_keys,
                                  options->ticket_keys_size, lifetime,
                                  context_ticket_now());
    return err < 0 ? err : context_ticket_announce(context, lifetime);
}

/* ---- handing keys over ---- */

_Static_assert(sizeof(struct wr_tls_ticket_saved) ==
                   sizeof(((struct weir_tls_ticket_keys *)NULL)->data),
               "they have their place");

int weir_tls_context_get_ticket_keys(weir_tls_context *context,
                                     struct weir_tls_ticket_keys *ret)
{
    struct wr_tls_ticket_saved saved;

    wr_require(context && ret, -EINVAL);
    wr_require(ret->size == sizeof(*ret), WEIR_EOPTIONSIZE);
    pthread_mutex_lock(&context->mutex);
    const bool has_keys = context->ticket_keys.count > 0;
    if (has_keys) {
        wr_assert(context->is_server);
        wr_tls_ticket_keys_save(&context->ticket_keys, &saved);
    }
    pthread_mutex_unlock(&context->mutex);
    wr_require(has_keys, -ENOENT);
    memcpy(ret->data, &saved, sizeof(saved));
    explicit_bzero(&saved, sizeof(saved));
    return 0;
}

int weir_tls_context_set_ticket_keys(weir_tls_context *context,
                                     const struct weir_tls_ticket_keys *keys)
{
    struct wr_tls_ticket_saved saved;
    int err = -ENOENT;

    wr_require(context && keys, -EINVAL);
    wr_require(keys->size == sizeof(*keys), WEIR_EOPTIONSIZE);
    memcpy(&saved, keys->data, sizeof(saved));
    pthread_mutex_lock(&context->mutex);
    if (context->ticket_keys.count > 0) {
        wr_assert(context->is_server);
        err = wr_tls_ticket_keys_load(&context->ticket_keys, &saved);
    }
    pthread_mutex_unlock(&context->mutex);
    explicit_bzero(&saved, sizeof(saved));
    return err;
}
