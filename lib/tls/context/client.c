/*
 * The store of clients' certificates; see client.h.
 *
 * A hash table of groups of four adjacent slots. Within a group the newest
 * client is first, and adding a client drops the last.
 */
#include "client.h"

#include "uring/check.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Slots that a digest can use. */
#define CLIENT_PLACES 4u

_Static_assert(WR_TLS_CLIENTS_MAX % CLIENT_PLACES == 0, "groups of places");

struct wr_tls_client_place {
    uint8_t digest[WR_TLS_CLIENT_DIGEST];
    uint32_t size;  /* of ->bytes */
    uint8_t *bytes; /* certificates after their sizes, or NULL */
};

void wr_tls_clients_fini(struct wr_tls_clients *clients)
{
    for (size_t i = 0; clients->places && i < WR_TLS_CLIENTS_MAX; i++) {
        free(clients->places[i].bytes);
    }
    free(clients->places);
    clients->places = NULL;
}

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

static int client_pack(const struct wr_bytes *chain, uint32_t count,
                       uint8_t **ret, uint32_t *ret_size)
{
    size_t size = 0;
    size_t at = 0;

    wr_assert(count > 0);
    for (uint32_t i = 0; i < count; i++) {
        size += sizeof(uint32_t) + chain[i].size;
    }
    wr_require(size <= WR_TLS_CLIENTS_BYTES_MAX, -E2BIG);
    uint8_t *bytes = malloc(size);
    wr_require(bytes, -ENOMEM);
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t one = (uint32_t)chain[i].size;
        memcpy(bytes + at, &one, sizeof(one));
        memcpy(bytes + at + sizeof(one), chain[i].data, one);
        at += sizeof(one) + one;
    }
    wr_assert(at == size);
    *ret = bytes;
    *ret_size = (uint32_t)size;
    return 0;
}

int wr_tls_clients_add(struct wr_tls_clients *clients,
                       const uint8_t digest[WR_TLS_CLIENT_DIGEST],
                       const struct wr_bytes *chain, uint32_t count)
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
    const int err = client_pack(chain, count, &bytes, &size);
    wr_require(err == 0, err);
    struct wr_tls_client_place *first = client_places_of(clients, digest);
    free(first[CLIENT_PLACES - 1].bytes); /* the oldest client */
    memmove(first + 1, first, (CLIENT_PLACES - 1) * sizeof(*first));
    *first = (struct wr_tls_client_place){.bytes = bytes, .size = size};
    memcpy(first->digest, digest, WR_TLS_CLIENT_DIGEST);
    return 0;
}

struct wr_bytes wr_tls_clients_find(const struct wr_tls_clients *clients,
                                    const uint8_t digest[WR_TLS_CLIENT_DIGEST])
{
    const struct wr_tls_client_place *place = client_find(clients, digest);

    wr_assert(!place || place->size > 0);
    return place ? (struct wr_bytes){.data = place->bytes, .size = place->size}
                 : (struct wr_bytes){.data = NULL};
}

bool wr_tls_clients_take(struct wr_bytes *chain, struct wr_bytes *ret)
{
    uint32_t one;

    if (chain->size == 0) {
        return false;
    }
    wr_assert(chain->size > sizeof(one));
    memcpy(&one, chain->data, sizeof(one));
    *ret = (struct wr_bytes){.data = chain->data + sizeof(one), .size = one};
    wr_assert(chain->size - sizeof(one) >= one);
    chain->data += sizeof(one) + one;
    chain->size -= sizeof(one) + one;
    return true;
}
