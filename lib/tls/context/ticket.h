/*
 * Session tickets: their keys, and sealing and opening one ticket.
 *
 * A ticket is sealed with AES-256-GCM. The key's name, the time of sealing and
 * the requested name are authenticated, too: a ticket is valid for its lifetime
 * and for the same name. Callers pass the time in seconds, and must hold the
 * context's mutex while they use the keys.
 */
#ifndef WEIR_LIB_TLS_CONTEXT_TICKET_H
#define WEIR_LIB_TLS_CONTEXT_TICKET_H

#include "lib/tls/backend/backend.h"

#include <weir/base.h>

enum { WR_TLS_TICKET_KEYS = 4 }; /* maximum */

struct wr_tls_ticket_key {
    uint8_t name[WR_TLS_TICKET_NAME];
    uint8_t secret[WR_TLS_TICKET_SECRET];
};

struct wr_tls_ticket_keys {
    struct wr_tls_ticket_key keys[WR_TLS_TICKET_KEYS]; /* the first one seals */
    /* Derived from the keys with the same indexes, on demand. */
    struct wr_tls_ticket_pair pairs[WR_TLS_TICKET_KEYS];
    bool has_pair[WR_TLS_TICKET_KEYS];
    uint32_t count;
    bool rotates; /* keys were generated here, not set by the user */
    uint64_t lifetime;
    uint64_t since; /* creation time of the first key, if it rotates */
};

/* Computes the digest of the name that a client requests, ignoring case; zeros
 * if @len is 0. Returns 0 or WEIR_ETLSENGINE. */
WEIR_MUST_USE int wr_tls_ticket_digest_name(const void *name, size_t len,
                                            uint8_t ret[WR_TLS_TICKET_DIGEST]);

/* Copies the user's keys (names and secrets), or generates a key. Returns 0,
 * -EINVAL if @size is not the size of 1 to WR_TLS_TICKET_KEYS keys, or
 * WEIR_ETLSENGINE. */
WEIR_MUST_USE int wr_tls_ticket_keys_init(struct wr_tls_ticket_keys *keys,
                                          const void *user_keys, size_t size,
                                          uint64_t lifetime, uint64_t now);

/* Copies the sealing key. First replaces a rotating key that has sealed for a
 * lifetime; the old key opens tickets for another lifetime. */
WEIR_MUST_USE int wr_tls_ticket_keys_get(struct wr_tls_ticket_keys *keys,
                                         uint64_t now,
                                         struct wr_tls_ticket_key *ret);

WEIR_MUST_USE bool
wr_tls_ticket_keys_find(const struct wr_tls_ticket_keys *keys,
                        const uint8_t *name, struct wr_tls_ticket_key *ret);

/* Copies the pair derived from the key with this name. Returns false if there
 * is no such key, or if the backend fails. */
WEIR_MUST_USE bool wr_tls_ticket_keys_derive(struct wr_tls_ticket_keys *keys,
                                             const uint8_t *name,
                                             struct wr_tls_ticket_pair *ret);

struct wr_tls_ticket_saved {
    uint64_t since;
    uint32_t count;
    uint32_t rotates;
    struct wr_tls_ticket_key keys[WR_TLS_TICKET_KEYS];
};

void wr_tls_ticket_keys_save(const struct wr_tls_ticket_keys *keys,
                             struct wr_tls_ticket_saved *ret);

WEIR_MUST_USE int
wr_tls_ticket_keys_load(struct wr_tls_ticket_keys *keys,
                        const struct wr_tls_ticket_saved *saved);

void wr_tls_ticket_keys_fini(struct wr_tls_ticket_keys *keys);

WEIR_MUST_USE int wr_tls_ticket_seal(const struct wr_tls_ticket *ticket,
                                     const struct wr_tls_ticket_key *key,
                                     uint64_t now);

/* Returns false if the ticket is forged, too old, or for another name. */
WEIR_MUST_USE bool wr_tls_ticket_open(const struct wr_tls_ticket *ticket,
                                      const struct wr_tls_ticket_key *key,
                                      uint64_t now, uint64_t lifetime);

/* ---- clients ----
 *
 * Certificates of accepted clients. A resumed handshake finds them by the
 * digest in the ticket, and verifies them again with the current date and the
 * context's authorities and lists. A client whose certificate has expired or
 * was revoked, or that is not found, must make a full handshake. The store has
 * a fixed number of slots; a new client replaces an older one. Callers must
 * hold the context's mutex. */

/* Number of slots, and maximum bytes of one client's certificates. */
#define WR_TLS_CLIENTS_MAX       1024u
#define WR_TLS_CLIENTS_BYTES_MAX (16u << 10)

enum { WR_TLS_CLIENT_DIGEST = 28 };

struct wr_tls_clients {
    struct wr_tls_client_place *places; /* NULL until a client is added */
};

void wr_tls_clients_fini(struct wr_tls_clients *clients);

/* Stores the path of a client under its digest. Returns 0, -ENOMEM or
 * -E2BIG. */
WEIR_MUST_USE int wr_tls_clients_add(struct wr_tls_clients *clients,
                                     const uint8_t digest[WR_TLS_CLIENT_DIGEST],
                                     const struct wr_bytes *chain,
                                     uint32_t count);

/* Returns a client's path, borrowed until the mutex is unlocked. Its data is
 * NULL if the client is not known. */
struct wr_bytes wr_tls_clients_find(const struct wr_tls_clients *clients,
                                    const uint8_t digest[WR_TLS_CLIENT_DIGEST]);

bool wr_tls_clients_take(struct wr_bytes *chain, struct wr_bytes *ret);

#endif
