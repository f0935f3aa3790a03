/*
 * The interface of contexts for the engine.
 *
 * Connections on several threads share a context. No function here changes its
 * settings.
 */
#ifndef WEIR_LIB_TLS_CONTEXT_CONTEXT_H
#define WEIR_LIB_TLS_CONTEXT_CONTEXT_H

#include "lib/tls/backend/backend.h"

#include <weir/base.h>
#include <weir/tls.h>

/* RFC 8446, 5.5, allows 2^24.5 full records of AES-GCM. */
#define WR_TLS_KEY_RECORDS (UINT32_C(1) << 24)

struct wr_secure_ops;
struct wr_tls_offer;
struct wr_tls_verdict;

struct wr_tls_peer_options {
    /* Client: the name (or literal address) to request and to verify; borrowed
     * during wr_tls_context_open(). */
    const char *server_hostname;
    bool no_hostname_check;
    /* Keeps data that wolfSSL needs for wr_tls_engine_export() (2.4 KiB). */
    bool can_export;
    /* The transport's end of stream counts as a close_notify if it occurs
     * after the handshake and between two records. */
    bool ignores_eof;
    const struct wr_tls_known *session;
};

WEIR_MUST_USE int wr_tls_context_new(const struct weir_tls_options *options,
                                     const struct wr_secure_ops *ops,
                                     weir_tls_context **ret, char *error_text,
                                     size_t error_size);

bool wr_tls_context_is_server(const weir_tls_context *context);
/* Returns how many data records of one direction a TLS 1.3 connection seals
 * with the same keys. */
uint32_t wr_tls_context_get_key_records(const weir_tls_context *context);

const uint16_t *wr_tls_context_get_groups(const weir_tls_context *context,
                                          size_t *ret_count);
bool wr_tls_context_verifies(const weir_tls_context *context);

/* Returns true if the key of a certificate may be outside the library (struct
 * wr_tls_signer). */
bool wr_tls_context_has_signers(const weir_tls_context *context);

/* Opens @conn with the settings of the context and @options. The account and
 * the events of @conn must be set, and *verdict must live as long as @conn.
 * Returns 0, -ENOMEM, -EINVAL (missing or invalid name) or WEIR_ETLSENGINE.
 * Close @conn with its backend's close(). */
WEIR_MUST_USE int wr_tls_context_open(weir_tls_context *context,
                                      const struct wr_tls_peer_options *options,
                                      struct wr_tls_verdict *verdict,
                                      struct wr_tls_conn *conn);

/* Server: selects the first protocol of the context that the client offers,
 * too. @data, of @size bytes, is the body of the client's ALPN extension, or
 * NULL. Must be called before the backend reads the hello. Returns 0 or
 * -ENOMEM. */
WEIR_MUST_USE int
wr_tls_context_choose_protocol(const weir_tls_context *context,
                               struct wr_tls_conn *conn, const uint8_t *data,
                               size_t size);

/* Server: returns the kinds of keys (WR_TLS_OFFER_...) that a client with this
 * hello cannot use, or 0 if the context can present only one certificate. */
uint8_t wr_tls_context_lacking_kinds(const weir_tls_context *context,
                                     const struct wr_tls_offer *offer);

void wr_tls_context_log_secret(const weir_tls_context *context,
                               const struct wr_tls_conn *conn,
                               enum wr_tls_secret_kind kind,
                               struct wr_bytes secret);

/* The event chain() (backend.h). The verdict gets the cause and the alert of a
 * refusal. */
bool wr_tls_context_judge(struct wr_tls_verdict *verdict,
                          const struct wr_bytes *certs, size_t count);

void wr_tls_context_refuse(struct wr_tls_verdict *verdict, int err,
                           const char *text);

/* Server: the ticket events (backend.h). */
int wr_tls_context_seal_ticket(struct wr_tls_conn *conn,
                               const struct wr_tls_ticket *ticket);
bool wr_tls_context_open_ticket(struct wr_tls_conn *conn,
                                const struct wr_tls_ticket *ticket);
int wr_tls_context_get_ticket_key(struct wr_tls_conn *conn,
                                  uint8_t name[WR_TLS_TICKET_NAME],
                                  struct wr_tls_ticket_pair *ret);
bool wr_tls_context_find_ticket_key(struct wr_tls_conn *conn,
                                    const uint8_t name[WR_TLS_TICKET_NAME],
                                    struct wr_tls_ticket_pair *ret);
int wr_tls_context_digest_asked(struct wr_tls_conn *conn, bool seals,
                                uint8_t ret[WR_TLS_TICKET_DIGEST]);

/* Server that verifies: the events ticket_client() and ticket_known()
 * (backend.h). */
int wr_tls_context_note_client(struct wr_tls_conn *conn,
                               uint8_t ret[WR_TLS_TICKET_CLIENT]);
bool wr_tls_context_know_client(struct wr_tls_verdict *verdict,
                                const uint8_t id[WR_TLS_TICKET_CLIENT]);

/* Server: chooses the certificate for a client that requests @host (NULL means
 * no name). Called once in a handshake, before the backend reads the hello.
 * Returns 0, or an error and the alert for the client. */
WEIR_MUST_USE int wr_tls_context_choose(weir_tls_context *context,
                                        struct wr_tls_verdict *verdict,
                                        const char *host, uint8_t *ret_alert);

#endif
