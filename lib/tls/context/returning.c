/*
 * The client of a ticket, for a server that requests certificates: recorded
 * when the ticket is sealed, and verified again when the client returns.
 *
 * A ticket contains the time of the full handshake and the digest of the
 * accepted path; a digest of zeros means a client without a certificate. A new
 * ticket on a resumed connection copies both from the old ticket, so a client
 * proves at least once in each lifetime that it has its key.
 *
 * A hello may contain many tickets, even stolen ones, because they are sent in
 * clear. The client proves the secret of only one ticket, and it is not known
 * here which one the library resumes. So all tickets accepted in a handshake
 * must be of the same client and time as the first.
 */
#include "client.h"
#include "context_impl.h"
#include "uring/check.h"

#include <weir/error.h>

#include <errno.h>
#include <string.h>
#include <time.h>

/* The maximum number of tickets of a handshake whose clients are verified. */
#define RETURNING_TICKETS_MAX 4u

_Static_assert((int)WR_TLS_CLIENT_DIGEST + (int)sizeof(uint32_t) ==
                   (int)WR_TLS_TICKET_CLIENT,
               "the time is before the digest");

/* Computes the digest of a chain from the digests of its certificates, so that
 * their sizes count. */
static int returning_digest(const struct wr_tls_verdict *verdict,
                            uint8_t ret[WR_TLS_CLIENT_DIGEST])
{
    const struct wr_tls_backend *backend = verdict->context->backend;
    uint8_t hashes[WR_X509_CHAIN_MAX * WR_TLS_TICKET_DIGEST];
    uint8_t hash[WR_TLS_HASH_MAX];

    wr_assert(verdict->chain_count <= WR_X509_CHAIN_MAX);
    for (uint32_t i = 0; i <= verdict->chain_count; i++) {
        const bool is_last = i == verdict->chain_count;
        const struct wr_bytes from = {
            .data = is_last ? hashes : verdict->chain[i].der,
            .size = is_last ? i * (size_t)WR_TLS_TICKET_DIGEST
                            : verdict->chain[i].size};
        if (backend->hash(WR_X509_HASH_SHA256, from, hash) !=
            WR_TLS_TICKET_DIGEST) {
            return WEIR_ETLSENGINE;
        }
        memcpy(is_last ? ret : hashes + i * (size_t)WR_TLS_TICKET_DIGEST, hash,
               is_last ? WR_TLS_CLIENT_DIGEST : WR_TLS_TICKET_DIGEST);
    }
    return 0;
}

/* A client that could not be stored gets a ticket, too, but it cannot be
 * resumed. */
int wr_tls_context_note_client(struct wr_tls_conn *conn,
                               uint8_t ret[WR_TLS_TICKET_CLIENT])
{
    const struct wr_tls_verdict *verdict = conn->verdict;
    weir_tls_context *context = verdict->context;
    const uint32_t now = (uint32_t)time(NULL);
    struct wr_bytes chain[WR_X509_CHAIN_MAX];
    int err = 0;

    wr_assert(context->is_server && context->verifies);
    if (verdict->returning && conn->backend->was_resumed(conn)) {
        memcpy(ret, verdict->returning->id, WR_TLS_TICKET_CLIENT);
        return 0;
    }
    memset(ret, 0, WR_TLS_TICKET_CLIENT);
    memcpy(ret, &now, sizeof(now));
    if (verdict->is_accepted) {
        err = returning_digest(verdict, ret + sizeof(now));
    }
    for (uint32_t i = 0; i < verdict->chain_count; i++) {
        chain[i] = (struct wr_bytes){.data = verdict->chain[i].der,
                                     .size = verdict->chain[i].size};
    }
    if (err == 0 && verdict->is_accepted) {
        pthread_mutex_lock(&context->mutex);
        wr_ignore(wr_tls_clients_add(&context->clients, ret + sizeof(now),
                                     chain, verdict->chain_count) < 0);
        pthread_mutex_unlock(&context->mutex);
    }
    return err;
}

/* Copies the certificates that a client has shown before into @again. */
static bool returning_recall(weir_tls_context *context, const uint8_t *digest,
                             struct wr_tls_verdict *again)
{
    struct wr_bytes one;
    uint32_t count = 0;
    bool is_known = true;

    wr_assert(again->chain_count == 0 && again->peer_is_client);
    pthread_mutex_lock(&context->mutex);
    struct wr_bytes chain = wr_tls_clients_find(&context->clients, digest);
    while (is_known && wr_tls_clients_take(&chain, &one)) {
        is_known = wr_tls_verdict_keep(again, count++, one.data, one.size) == 0;
    }
    pthread_mutex_unlock(&context->mutex);
    return is_known && count > 0;
}

static bool returning_is_none(const uint8_t *digest)
{
    static const uint8_t none[WR_TLS_CLIENT_DIGEST];

    wr_assert(digest != NULL);
    return memcmp(digest, none, sizeof(none)) == 0;
}

bool wr_tls_context_know_client(struct wr_tls_verdict *verdict,
                                const uint8_t id[WR_TLS_TICKET_CLIENT])
{
    weir_tls_context *context = verdict->context;
    const uint8_t *digest = id + sizeof(uint32_t);
    struct wr_tls_verdict again;
    uint32_t since;
    bool is_good = false;

    wr_assert(context->is_server && context->verifies);
    if (verdict->is_judged || verdict->has_none) {
        return false; /* the client was asked for its certificate */
    }
    if (verdict->returning) {
        return memcmp(verdict->returning->id, id, WR_TLS_TICKET_CLIENT) == 0;
    }
    memcpy(&since, id, sizeof(since));
    if (!wr_tls_context_is_lasting(context, since) ||
        verdict->tickets_judged == RETURNING_TICKETS_MAX) {
        return false;
    }
    verdict->tickets_judged++;
    wr_tls_verdict_init(&again, verdict->allocator);
    again.peer_is_client = true;
    again.context = context;
    again.conn = verdict->conn;
    is_good = returning_is_none(digest)
                  ? !context->demands
                  : (returning_recall(context, digest, &again) &&
                     wr_tls_context_judge_again(&again));
    is_good = is_good && wr_tls_verdict_expect(verdict, id, &again) == 0;
    wr_tls_verdict_fini(&again);
    return is_good;
}
