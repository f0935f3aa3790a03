/*
 * The TLS engine of one connection: translates between ciphertext and
 * plaintext.
 *
 * The engine does no I/O and uses neither a clock nor a loop. A backend
 * (lib/tls/backend/backend.h) does the cryptography, and moves records with
 * take() and put(). The user feeds received bytes, calls handshake() until it
 * is done, then read() and write(). The user must send the output of these
 * calls even after an error, as it may be an alert.
 *
 *     HANDSHAKE -> OPEN -> SENT_CLOSE ------> CLOSED
 *                      \-> RECEIVED_CLOSE ----^
 *
 * Each state except CLOSED can change to FAILED. The first error is kept in
 * ->err, and each later call returns it (the sticky error). If the transport
 * ends without the peer's close_notify, the error is WEIR_ETLSTRUNCATED;
 * ignores_eof permits such an end after the handshake, between two records.
 *
 * A TLS library needs about 50 KiB of stack in a handshake. Therefore init(),
 * handshake(), read(), write(), close() and update_keys() must be called on the
 * loop's stack, never on a task's.
 */
#ifndef WEIR_LIB_TLS_ENGINE_ENGINE_H
#define WEIR_LIB_TLS_ENGINE_ENGINE_H

#include "lib/tls/backend/backend.h"
#include "lib/tls/context/context.h"
#include "lib/tls/context/verify.h"
#include "message.h"
#include "uring/block.h"

#include <weir/base.h>

#include <sys/types.h>

enum wr_tls_engine_state {
    WR_TLS_ENGINE_HANDSHAKE,
    WR_TLS_ENGINE_OPEN,
    WR_TLS_ENGINE_SENT_CLOSE,     /* reads continue */
    WR_TLS_ENGINE_RECEIVED_CLOSE, /* writes continue */
    WR_TLS_ENGINE_CLOSED,         /* close_notify in both directions */
    WR_TLS_ENGINE_FAILED,
};

struct wr_tls_engine {
    struct wr_tls_conn conn; /* first member: see wr_tls_engine_of() */
    struct wr_tls_verdict verdict;
    weir_tls_context *context; /* a reference */
    enum wr_tls_engine_state state;
    int err;
    int16_t alert_received; /* newest fatal alert, or -1 */
    int16_t alert_sent;
    int16_t alert_passed; /* newest alert before TLS 1.3 was agreed on, or -1 */
    const uint8_t *input;
    size_t input_left;
    struct wr_block *output_first;
    struct wr_block *output_last;
    size_t output_bytes;
    uint32_t claimed_size; /* size of the record sent in its own buffer, or 0 */
    uint32_t record_left;
    uint32_t idle_records; /* records without data; see engine_record.c */
    uint32_t plain_bytes;  /* data bytes modulo ENGINE_RECORD_EARN_BYTES */
    /* Data records that may still be sent or received before the keys are
     * changed in both directions. */
    uint32_t sealed_left;
    uint32_t opened_left;
    uint8_t header[5]; /* header of the current record */
    uint8_t header_fill;
    uint16_t answers_due; /* answers added to the limit of idle records */
    /* The peer's first message if it arrives in parts (engine_hello.c), then a
     * record that may be early data (engine_early.c). */
    struct wr_block *hello;
    uint32_t hello_size;  /* bytes of the message in complete records */
    uint32_t hello_given; /* bytes of ->hello passed to the backend */
    /* Server: set while early data may arrive; see engine_early.c. */
    struct wr_block *early;
    struct wr_block *secret;  /* secret for an alert; see engine_secret.c */
    struct wr_block *message; /* a message that arrives in parts */
    struct wr_block *first; /* server: first hello, after a HelloRetryRequest */
    uint32_t message_skip;  /* bytes to skip of an unchecked message */
    uint8_t message_alert;  /* alert for a refused message, or 0 */
    struct wr_tls_message_facts facts;
    bool ignores_eof : 1; /* EOF without close_notify is no error */
    bool input_ended : 1;
    bool was_open : 1;
    bool has_session : 1; /* client: a ticket arrived */
    bool no_memory : 1;
    bool is_counted : 1; /* the newest record is among idle_records */
    bool flooded : 1;    /* too many records without data */
    bool oversized : 1;  /* a record header has too large a length */
    bool awaits_hello : 1;
    bool is_mute : 1;             /* sends nothing; see engine_record.c */
    bool owes_change : 1;         /* must send a change_cipher_spec */
    bool offers_early : 1;        /* server: the hello announces early data */
    bool has_extended_secret : 1; /* agreed on in the hello (RFC 7627) */
    bool is_sealed : 1;           /* the peer's messages are sealed (TLS 1.2) */
    bool may_seal : 1;            /* our alerts may have to be sealed */
};

/* Initializes the engine of a connection and takes a reference to @context.
 * Memory of the backend that weir can count is charged to @account, and output
 * blocks come from it. Returns 0, -ENOMEM, -EINVAL (invalid name) or an error
 * of wr_tls_context_open(). After an error, do not call
 * wr_tls_engine_fini(). */
WEIR_MUST_USE int wr_tls_engine_init(struct wr_tls_engine *engine,
                                     weir_tls_context *context,
                                     const struct wr_tls_peer_options *options,
                                     struct wr_tls_account *account);

void wr_tls_engine_fini(struct wr_tls_engine *engine);

void wr_tls_engine_check_invariants(const struct wr_tls_engine *engine);

/* Passes @len received bytes to the engine. It borrows them until handshake()
 * and read() have copied them, record by record. All bytes fed before must have
 * been consumed. When handshake() or read() returns -EAGAIN, a sticky error or
 * the end (0 from read()), all input is consumed. */
void wr_tls_engine_feed(struct wr_tls_engine *engine, const uint8_t *data,
                        size_t len);

/* Returns how many bytes at the end of the input are not consumed. The caller
 * must keep these bytes (under a lease); it may move them and pass the new
 * address to wr_tls_engine_refeed(). */
size_t wr_tls_engine_get_input_left(const struct wr_tls_engine *engine);

void wr_tls_engine_refeed(struct wr_tls_engine *engine, const uint8_t *data,
                          size_t len);

void wr_tls_engine_drop_input(struct wr_tls_engine *engine);

/* Reports the transport's end of stream. When the input is consumed,
 * handshake() and read() return WEIR_ETLSTRUNCATED, unless the close_notify was
 * received or is not required. */
void wr_tls_engine_feed_eof(struct wr_tls_engine *engine);

/* Continues the handshake. Returns 0 when it is done and the state is OPEN,
 * -EAGAIN if more input is needed, else the sticky error. */
WEIR_MUST_USE int wr_tls_engine_handshake(struct wr_tls_engine *engine);

/* Reads plaintext. @size must not be 0. Returns the number of bytes, all from
 * one record (the next call returns the rest), 0 after the peer's close_notify,
 * -EAGAIN if more input is needed, -ENOTCONN before the handshake is done, else
 * the sticky error. */
WEIR_MUST_USE ssize_t wr_tls_engine_read(struct wr_tls_engine *engine,
                                         void *buf, size_t size);

size_t wr_tls_engine_get_plaintext_left(const struct wr_tls_engine *engine);

/* Seals @len bytes, 1 to WR_TLS_RECORD_MAX, as one record into the output.
 * Returns 0, -ESHUTDOWN after wr_tls_engine_close(), -ENOTCONN before the
 * handshake is done, or the sticky error, which may be -ENOMEM. */
WEIR_MUST_USE int wr_tls_engine_write(struct wr_tls_engine *engine,
                                      const void *data, size_t len);

/* Seals a close_notify into the output, once; later calls return 0 and do
 * nothing. Reads continue. Returns 0, -ENOTCONN before the handshake is done,
 * or the sticky error. */
WEIR_MUST_USE int wr_tls_engine_close(struct wr_tls_engine *engine);

/* Changes the sending keys and asks the peer to change its own (TLS 1.3). Reads
 * and writes do this automatically after WR_TLS_KEY_RECORDS records. Returns 0,
 * -EOPNOTSUPP with TLS 1.2, -ENOTCONN, -ESHUTDOWN or the sticky error. */
WEIR_MUST_USE int wr_tls_engine_update_keys(struct wr_tls_engine *engine);

/* Releases empty buffers of the backend, for a connection that will be idle. */
static inline void wr_tls_engine_rest(struct wr_tls_engine *engine)
{
    struct wr_tls_conn *conn = &engine->conn;

    if (conn->backend->rest && engine->record_left == 0 &&
        engine->header_fill == 0 && conn->backend->pending(conn) == 0) {
        conn->backend->rest(conn);
    }
}

/* Takes all output: a chain of wr_blocks linked by ->next, or NULL if there is
 * none. The caller owns the blocks. Each has ->used bytes of ciphertext at
 * wr_tls_engine_output_of(). */
struct wr_block *wr_tls_engine_take_output(struct wr_tls_engine *engine);

static inline const uint8_t *
wr_tls_engine_output_of(const struct wr_block *block)
{
    return block->data + WR_TLS_OUTPUT_OFFSET;
}

size_t wr_tls_engine_get_output_bytes(const struct wr_tls_engine *engine);

/* Returns a text about the first error, valid as long as the engine lives.
 * Never returns NULL. */
const char *wr_tls_engine_get_error_text(const struct wr_tls_engine *engine);

int wr_tls_engine_get_alert_received(const struct wr_tls_engine *engine);

/* Returns the name of the alert with which the peer refused the connection, a
 * static string, or NULL if ->err is not the peer's alert. */
const char *wr_tls_engine_get_alert_name(const struct wr_tls_engine *engine);

/* Returns the context whose certificate a server shows: the context that its
 * program chose in the handshake, else the engine's. */
weir_tls_context *wr_tls_engine_get_context(const struct wr_tls_engine *engine);

/* Facts about the connection: NULL, 0 or false before the handshake is done.
 * Strings live as long as the engine. Version: "TLSv1.2", "TLSv1.3". Cipher:
 * the IANA name. */
const char *wr_tls_engine_get_version(const struct wr_tls_engine *engine);
const char *wr_tls_engine_get_cipher(const struct wr_tls_engine *engine);
int wr_tls_engine_get_cipher_bits(const struct wr_tls_engine *engine);
const char *wr_tls_engine_get_group(const struct wr_tls_engine *engine);
const char *wr_tls_engine_get_alpn(const struct wr_tls_engine *engine,
                                   size_t *ret_len);
/* Server: returns the name that the client requested, even during the
 * handshake, or NULL. */
const char *wr_tls_engine_get_sni(const struct wr_tls_engine *engine);
bool wr_tls_engine_was_resumed(const struct wr_tls_engine *engine);
/* Returns the peer's certificate number @index as DER, even during the
 * handshake; 0 is the leaf. Returns NULL if there is no such certificate or it
 * was not kept. */
const uint8_t *
wr_tls_engine_get_peer_certificate(const struct wr_tls_engine *engine,
                                   uint32_t index, size_t *ret_size);

/* Exports keying material (RFC 5705; RFC 8446, 7.5). @context may be NULL.
 * Returns 0, -ENOTCONN before the handshake is done, -EOPNOTSUPP (can_export is
 * not set, or TLS 1.2 without the extended master secret), -EINVAL for invalid
 * arguments such as a reserved label, or -ENOMEM. */
WEIR_MUST_USE int wr_tls_engine_export(struct wr_tls_engine *engine,
                                       const char *label, const void *context,
                                       size_t context_len, void *out,
                                       size_t out_len);

/* Client: returns a session in *ret that a later connection may resume. The
 * caller owns it and frees it with the backend's session_free(), on any thread.
 * Returns 0, -EAGAIN while the server has sent no session (with TLS 1.3 it
 * arrives after the handshake, with the first data), -EOPNOTSUPP for a server,
 * or -ENOMEM. */
WEIR_MUST_USE int wr_tls_engine_get_session(struct wr_tls_engine *engine,
                                            struct wr_tls_known **ret);

/* ---- session.c ---- */

/* See weir_tls_get_session(). */
WEIR_MUST_USE int wr_tls_session_get(struct wr_tls_engine *engine,
                                     weir_tls_session **ret);

/* Returns the backend's session, borrowed, if a connection of @context that
 * verifies @hostname (NULL means any) may resume it, else NULL. @session may be
 * NULL. */
const struct wr_tls_known *wr_tls_session_use(const weir_tls_session *session,
                                              const weir_tls_context *context,
                                              const char *hostname);

#endif
