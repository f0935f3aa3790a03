/*
 * Clients and their tickets: the store of certificates, the digest that a
 * ticket has, and the judgement of a client that returns with one.
 *
 * What a ticket has of its client is the time of the full handshake and the
 * digest of the path that was accepted; a digest of zeros is a client without a
 * certificate. A new ticket of a resumed connection has both of the old one, so
 * that a client proves at least once in each lifetime that it has its key.
 */
#include "client.h"

#include "context_impl.h"
#include "uring/check.h"

#include <weir/error.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Places that a digest may have, one beside the other. */
#define CLIENT_PLACES 4u

/* The most tickets of a handshake whose clients are judged. */
#define CLIENT_TICKETS_MAX 4u

_Static_assert(WR_TLS_CLIENTS_MAX % CLIENT_PLACES == 0, "groups of places");
_Static_assert((int)WR_TLS_CLIENT_DIGEST + (int)sizeof(uint32_t) ==
                   (int)WR_TLS_TICKET_CLIENT,
               "the time is before the digest");

struct wr_tls_client_place {
    uint8_t digest[WR_TLS_CLIENT_DIGEST];
    uint32_t size;  /* of the bytes below */
    uint8_t *bytes; /* each certificate behind its size; NULL: free */
};

/* ---- the store ---- */

void wr_tls_clients_fini(struct wr_tls_clients *clients)
{
    for (size_t i = 0; clients->places && i < WR_TLS_CLIENTS_MAX; i++) {
        free(clients->places[i].bytes);
    }
    free(clients->places);
    clients->places = NULL;
}

/* The first of the places of a digest. */
static struct wr_tls_client_place *
client_places_of(const struct wr_tls_clients *clients, const uint8_t *digest)
{
    const size_t groups = WR_TLS_CLIENTS_MAX / CLIENT_PLACES;
    const size_t group = ((size_t)digest[0] << 8 | digest[1]) % groups;

    wr_assert(clients->places != NULL);
    return clients->places + group * CLIENT_PLACES;
}

static struct wr_tls_client_place *
client_find(const struct wr_tls_clients *clients, const uint8_t *digest)
{
    if (!clients->places) {
        return NULL;
    }
    struct wr_tls_client_place *first = client_places_of(clients, digest);
    for (unsigned i = 0; i < CLIENT_PLACES; i++) {
        if (first[i].bytes &&
            memcmp(first[i].digest, digest, WR_TLS_CLIENT_DIGEST) == 0) {
            return &first[i];
        }
    }
    return NULL;
}

static int client_pack(const struct wr_tls_verdict *verdict, uint8_t **ret,
                       uint32_t *ret_size)
{
    size_t size = 0;
    size_t at = 0;

    wr_assert(verdict->chain_count > 0);
    for (uint32_t i = 0; i < verdict->chain_count; i++) {
        size += sizeof(uint32_t) + verdict->chain[i].size;
    }
    wr_require(size <= WR_TLS_CLIENTS_BYTES_MAX, -E2BIG);
    uint8_t *bytes = malloc(size);
    wr_require(bytes, -ENOMEM);
    for (uint32_t i = 0; i < verdict->chain_count; i++) {
        const uint32_t one = (uint32_t)verdict->chain[i].size;
        memcpy(bytes + at, &one, sizeof(one));
        memcpy(bytes + at + sizeof(one), verdict->chain[i].der, one);
        at += sizeof(one) + one;
    }
    wr_assert(at == size);
    *ret = bytes;
    *ret_size = (uint32_t)size;
    return 0;
}

int wr_tls_clients_add(struct wr_tls_clients *clients,
                       const uint8_t digest[WR_TLS_CLIENT_DIGEST],
                       const struct wr_tls_verdict *verdict)
{
    uint8_t *bytes = NULL;
    uint32_t size = 0;

    if (client_find(clients, digest)) {
        return 0;
    }
    if (!clients->places) {
        clients->places = calloc(WR_TLS_CLIENTS_MAX, sizeof(*clients->places));
        wr_require(clients->places, -ENOMEM);
    }
    const int err = client_pack(verdict, &bytes, &size);
    wr_require(err == 0, err);
    struct wr_tls_client_place *first = client_places_of(clients, digest);
    free(first[CLIENT_PLACES - 1].bytes); /* the oldest one */
    memmove(first + 1, first, (CLIENT_PLACES - 1) * sizeof(*first));
    *first = (struct wr_tls_client_place){.bytes = bytes, .size = size};
    memcpy(first->digest, digest, WR_TLS_CLIENT_DIGEST);
    return 0;
}

int wr_tls_clients_find(const struct wr_tls_clients *clients,
                        const uint8_t digest[WR_TLS_CLIENT_DIGEST],
                        struct wr_tls_verdict *verdict)
{
    const struct wr_tls_client_place *place = client_find(clients, digest);
    uint32_t at = 0;
    uint32_t one = 0;
    int err = 0;

    wr_assert(verdict->chain_count == 0);
    if (!place) {
        return -ENOENT;
    }
    for (uint32_t i = 0; at < place->size && err == 0; i++) {
        memcpy(&one, place->bytes + at, sizeof(one));
        err = wr_tls_verdict_keep(verdict, i, place->bytes + at + sizeof(one),
                                  one);
        at += (uint32_t)sizeof(one) + one;
    }
    wr_assert(at <= place->size);
    return err;
}

/* ---- a ticket's client ---- */

/* The digest of a chain: each certificate by its own, so that sizes count. */
static int client_digest(const struct wr_tls_verdict *verdict,
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

/* A client that cannot be remembered gets a ticket, too, which is good for
 * nothing. */
int wr_tls_context_note_client(const struct wr_tls_verdict *verdict,
                               uint8_t ret[WR_TLS_TICKET_CLIENT])
{
    weir_tls_context *context = verdict->context;
    const struct wr_tls_conn *conn = verdict->conn;
    const uint32_t now = (uint32_t)time(NULL);
    int err = 0;

    wr_assert(context->is_server && context->verifies);
    if (verdict->returning && conn->backend->was_resumed(conn)) {
        memcpy(ret, verdict->returning->id, WR_TLS_TICKET_CLIENT);
        return 0;
    }
    memset(ret, 0, WR_TLS_TICKET_CLIENT);
    memcpy(ret, &now, sizeof(now));
    if (verdict->is_accepted) {
        err = client_digest(verdict, ret + sizeof(now));
    }
    if (err == 0 && verdict->is_accepted) {
        pthread_mutex_lock(&context->mutex);
        wr_ignore(wr_tls_clients_add(&context->clients, ret + sizeof(now),
                                     verdict) < 0);
        pthread_mutex_unlock(&context->mutex);
    }
    return err;
}

/* Judges the certificates that a client has shown before, into @again. */
static bool client_is_good(weir_tls_context *context, const uint8_t *digest,
                           struct wr_tls_verdict *again)
{
    wr_assert(again->chain_count == 0 && again->peer_is_client);
    pthread_mutex_lock(&context->mutex);
    const int err = wr_tls_clients_find(&context->clients, digest, again);
    pthread_mutex_unlock(&context->mutex);
    return err == 0 && wr_tls_context_judge_again(again);
}

static bool client_is_none(const uint8_t *digest)
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
    wr_tls_verdict_forget(verdict); /* of another ticket of this hello */
    memcpy(&since, id, sizeof(since));
    if (!wr_tls_context_is_lasting(context, since) ||
        verdict->tickets_judged == CLIENT_TICKETS_MAX) {
        return false;
    }
    verdict->tickets_judged++;
    wr_tls_verdict_init(&again, verdict->allocator);
    again.peer_is_client = true;
    again.context = context;
    again.conn = verdict->conn;
    is_good = client_is_none(digest) ? !context->demands
                                     : client_is_good(context, digest, &again);
    is_good = is_good && wr_tls_verdict_expect(verdict, id, &again) == 0;
    wr_tls_verdict_fini(&again);
    return is_good;
}
