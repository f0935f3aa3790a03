/*
 * Session tickets: their keys, and the sealing of one ticket.
 *
 * A ticket is sealed by AES-256-GCM. Beside the session itself, the name of the
 * key, the time of sealing and the name that the client asked for are
 * authenticated: a ticket is good for the time it says, and for the same name.
 * There is no clock and no lock here: the callers say what time it is, in
 * seconds, and hold the context's lock while they use the keys.
 */
#ifndef WEIR_LIB_TLS_CONTEXT_TICKET_H
#define WEIR_LIB_TLS_CONTEXT_TICKET_H

#include <weir/base.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum wr_tls_ticket_sizes {
    WR_TLS_TICKET_NAME = 16,
    WR_TLS_TICKET_SECRET = 32,
    WR_TLS_TICKET_NONCE = 12,
    WR_TLS_TICKET_IV = 16, /* the nonce, and the time of sealing */
    WR_TLS_TICKET_TAG = 16,
    WR_TLS_TICKET_DIGEST = 32,
    WR_TLS_TICKET_KEYS = 4, /* at most */
};

struct wr_tls_ticket_key {
    uint8_t name[WR_TLS_TICKET_NAME];
    uint8_t secret[WR_TLS_TICKET_SECRET];
};

struct wr_tls_ticket_keys {
    struct wr_tls_ticket_key keys[WR_TLS_TICKET_KEYS]; /* the first one seals */
    uint32_t count;
    bool rotates; /* the keys are made here; else they are the user's */
    uint64_t lifetime;
    uint64_t since; /* when the first key was made, where it rotates */
};

/* The parts of a ticket as wolfSSL hands them out. */
struct wr_tls_ticket {
    uint8_t *name; /* WR_TLS_TICKET_NAME */
    uint8_t *iv;   /* WR_TLS_TICKET_IV */
    uint8_t *tag;  /* WR_TLS_TICKET_TAG */
    uint8_t *data; /* sealed and opened in place */
    size_t size;
    const uint8_t *host; /* WR_TLS_TICKET_DIGEST, not in the ticket */
};

/* The name that a client asks for, in a form that does not distinguish capital
 * letters; of no name (@len 0): zeros. 0 or WEIR_ETLSENGINE. */
WEIR_MUST_USE int wr_tls_ticket_digest_name(const void *name, size_t len,
                                            uint8_t ret[WR_TLS_TICKET_DIGEST]);

/* Takes the user's keys (names and secrets), or makes one: 0, -EINVAL where
 * @size is not that of 1 to WR_TLS_TICKET_KEYS keys, WEIR_ETLSENGINE. */
WEIR_MUST_USE int wr_tls_ticket_keys_init(struct wr_tls_ticket_keys *keys,
                                          const void *user_keys, size_t size,
                                          uint64_t lifetime, uint64_t now);

/* Copies the key that seals now. A key that was made here and has sealed for a
 * lifetime is replaced before, and opens tickets for one more. */
WEIR_MUST_USE int wr_tls_ticket_keys_get(struct wr_tls_ticket_keys *keys,
                                         uint64_t now,
                                         struct wr_tls_ticket_key *ret);

/* Copies the key of this name; false: there is none (any more). */
WEIR_MUST_USE bool
wr_tls_ticket_keys_find(const struct wr_tls_ticket_keys *keys,
                        const uint8_t *name, struct wr_tls_ticket_key *ret);

/* Forgets the keys. */
void wr_tls_ticket_keys_fini(struct wr_tls_ticket_keys *keys);

/* Seals what is in the ticket and fills its other parts. */
WEIR_MUST_USE int wr_tls_ticket_seal(const struct wr_tls_ticket *ticket,
                                     const struct wr_tls_ticket_key *key,
                                     uint64_t now);

/* Opens it; false: it is forged, too old, or for another name. */
WEIR_MUST_USE bool wr_tls_ticket_open(const struct wr_tls_ticket *ticket,
                                      const struct wr_tls_ticket_key *key,
                                      uint64_t now, uint64_t lifetime);

#endif
