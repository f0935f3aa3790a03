/*
 * The clients of a context that have shown certificates, for their tickets.
 *
 * A ticket has the digest of what its client has shown, the certificates are
 * here. A resumed handshake finds them by the digest and judges them again, by
 * today's date and the context's authorities and lists: a client whose
 * certificate has expired or was revoked since shows it in a full handshake,
 * and is refused there. A client that is not found makes a full handshake, too.
 *
 * The store has a fixed number of places; a new client takes the place of an
 * older one. Only clients that were accepted are in it. Connections on all
 * threads share it: the context's mutex is held in calls.
 */
#ifndef WEIR_LIB_TLS_CONTEXT_CLIENT_H
#define WEIR_LIB_TLS_CONTEXT_CLIENT_H

#include "lib/tls/backend/backend.h"

#include <weir/base.h>

/* Clients that are remembered, and the most bytes of one's certificates. */
#define WR_TLS_CLIENTS_MAX       1024u
#define WR_TLS_CLIENTS_BYTES_MAX (16u << 10)

enum { WR_TLS_CLIENT_DIGEST = 28 };

struct wr_tls_clients {
    struct wr_tls_client_place *places; /* NULL: none was remembered */
};

void wr_tls_clients_fini(struct wr_tls_clients *clients);

/* Remembers a client's path under its digest. -ENOMEM, or -E2BIG. */
WEIR_MUST_USE int wr_tls_clients_add(struct wr_tls_clients *clients,
                                     const uint8_t digest[WR_TLS_CLIENT_DIGEST],
                                     const struct wr_bytes *chain,
                                     uint32_t count);

/* A client's path; data NULL: not known. It is borrowed until the mutex is
 * given back. */
struct wr_bytes wr_tls_clients_find(const struct wr_tls_clients *clients,
                                    const uint8_t digest[WR_TLS_CLIENT_DIGEST]);

/* Takes the next certificate off a path; false: there is none. */
bool wr_tls_clients_take(struct wr_bytes *chain, struct wr_bytes *ret);

#endif
