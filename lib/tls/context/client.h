/*
 * Certificates that the clients of a context have shown, for their tickets.
 *
 * A ticket contains the digest of its client's certificates; the certificates
 * are stored here. A resumed handshake finds them by the digest and verifies
 * them again with the current date and the context's authorities and lists. A
 * client whose certificate has expired or was revoked since then must make a
 * full handshake, where it is refused. A client that is not found makes a full
 * handshake, too.
 *
 * The store has a fixed number of slots; a new client replaces an older one.
 * Only accepted clients are stored. All threads share the store: callers must
 * hold the context's mutex.
 */
#ifndef WEIR_LIB_TLS_CONTEXT_CLIENT_H
#define WEIR_LIB_TLS_CONTEXT_CLIENT_H

#include "lib/tls/backend/backend.h"

#include <weir/base.h>

/* Maximum number of clients, and of bytes of a client's certificates. */
#define WR_TLS_CLIENTS_MAX       1024u
#define WR_TLS_CLIENTS_BYTES_MAX (16u << 10)

enum { WR_TLS_CLIENT_DIGEST = 28 };

struct wr_tls_clients {
    struct wr_tls_client_place *places; /* NULL until a client is added */
};

void wr_tls_clients_fini(struct wr_tls_clients *clients);

/* Stores a client's path under its digest. Returns 0, -ENOMEM or -E2BIG. */
WEIR_MUST_USE int wr_tls_clients_add(struct wr_tls_clients *clients,
                                     const uint8_t digest[WR_TLS_CLIENT_DIGEST],
                                     const struct wr_bytes *chain,
                                     uint32_t count);

/* Returns a client's path, borrowed until the mutex is released. The data is
 * NULL if the client is not known. */
struct wr_bytes wr_tls_clients_find(const struct wr_tls_clients *clients,
                                    const uint8_t digest[WR_TLS_CLIENT_DIGEST]);

/* Takes the next certificate off a path. Returns false if there is none. */
bool wr_tls_clients_take(struct wr_bytes *chain, struct wr_bytes *ret);

#endif
