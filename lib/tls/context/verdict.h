/*
 * The verdict on a peer: what the verification of its certificates found.
 *
 * wolfSSL reports a failed verification by one number that says too little. The
 * context, which verifies, writes the precise cause in here while wolfSSL runs,
 * and the engine makes its sticky error of it. The first cause is kept. The
 * certificates that the peer sent are kept here too, where the context is told
 * to keep them. Of a client it holds besides what the context and the engine of
 * a server tell each other during the handshake.
 */
#ifndef WEIR_LIB_TLS_CONTEXT_VERDICT_H
#define WEIR_LIB_TLS_CONTEXT_VERDICT_H

#include "lib/x509/path.h"
#include "ticket.h"
#include "uring/alloc.h"

#include <weir/base.h>

struct wr_tls_memory;

struct wr_tls_certificate {
    uint8_t *der;
    size_t size;
};

struct wr_tls_verdict {
    const struct weir_allocator *allocator;
    int err;    /* 0: nothing was found against the peer */
    char *text; /* with details; NULL: weir_strerror(err) is all there is */
    struct wr_tls_certificate *chain; /* the leaf first; NULL: none kept */
    uint32_t chain_count;
    char *hostname; /* that a server's certificate must be for; NULL: any */
    bool peer_is_client;
    bool is_accepted; /* the certificates of this peer are good */
    bool met_client;  /* the context has chosen a certificate for this client */
    bool knows_asked_name;
    /* The name that a client with a ticket of TLS 1.2 asks for: the engine
     * reads it before wolfSSL reads the hello. */
    uint8_t asked_name[WR_TLS_TICKET_DIGEST];
    uint64_t turn; /* of its verification in the context; 0: before it */
    weir_tls_context *context; /* for the verification; borrowed */
    weir_tls_context *chosen;  /* a reference; NULL: the program named none */
    struct wr_tls_memory *memory; /* that wolfSSL charges for the connection */
};

void wr_tls_verdict_init(struct wr_tls_verdict *verdict,
                         const struct weir_allocator *allocator);
void wr_tls_verdict_fini(struct wr_tls_verdict *verdict);

/* Notes @err (a WEIR_ETLS… code) with details, "the certificate of CN=x expired
 * on …"; the first one is kept. */
void wr_tls_verdict_fail(struct wr_tls_verdict *verdict, int err,
                         const char *format, ...) WEIR_PRINTF(3, 4);

/* Copies the name that the peer's certificate must be for. 0 or -ENOMEM. */
WEIR_MUST_USE int wr_tls_verdict_set_hostname(struct wr_tls_verdict *verdict,
                                              const char *hostname);

/* Copies the certificate as number @index of the chain, the leaf is 0; one that
 * is there is replaced. 0, -ENOMEM, or -E2BIG beyond WR_X509_CHAIN_MAX. */
WEIR_MUST_USE int wr_tls_verdict_keep(struct wr_tls_verdict *verdict,
                                      uint32_t index, const uint8_t *der,
                                      size_t size);

/* Leaves of the chain these places, in this order. */
void wr_tls_verdict_select(struct wr_tls_verdict *verdict,
                           const uint32_t *places, uint32_t count);

#endif
