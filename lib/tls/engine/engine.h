/*
 * The TLS engine of one connection: ciphertext in, plaintext out, and back.
 *
 * It does no I/O and knows neither clock nor loop. A backend
 * (lib/tls/backend/backend.h) does the work; two of its events move bytes from
 * and to memory. The user feeds received bytes, calls
 * handshake() until it is done, then read() and write(). After each of these
 * calls the user takes the output and sends it, also after an error (an alert).
 *
 *     HANDSHAKE -> OPEN -> SENT_CLOSE ----> CLOSED
 *         |         |  \-> RECEIVED_CLOSE ---^
 *         v         v      (any of them)
 *       FAILED <----+-------------------> FAILED
 *
 * The first error is sticky (->err): each later call
 * returns it. The transport's end without the peer's close_notify is
 * WEIR_ETLSTRUNCATED, unless ignores_eof is set.
 *
 * A library needs some 50 KiB of stack in a handshake: the calls here are made
 * on the loop's stack, never on a task's.
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
    WR_TLS_ENGINE_CLOSED,         /* close_notify both ways */
    WR_TLS_ENGINE_FAILED,
};

struct wr_tls_engine {
    struct wr_tls_conn conn; /* first: see wr_tls_engine_of() */
    struct wr_tls_verdict verdict;
    weir_tls_context *context; /* a reference */
    enum wr_tls_engine_state state;
    int err;                /* the first error, sticky */
    int16_t alert_received; /* newest fatal alert, or -1 */
    int16_t alert_sent;
    int16_t alert_passed; /* newest one before TLS 1.3 was agreed on, or -1 */
    const uint8_t *input; /* fed, not taken yet; borrowed */
    size_t input_left;
    struct wr_block *output_first;
    struct wr_block *output_last;
    size_t output_bytes;
    uint32_t claimed_size; /* of the record sent in its own buffer */
    uint32_t record_left;  /* missing bytes of the present record */
    uint32_t idle_records; /* records without data; see engine_record.c */
    uint32_t plain_bytes;  /* data that has not earned a record yet */
    /* Records of data in each direction until own keys are changed, and the
     * peer is asked for new ones. */
    uint32_t sealed_left;
    uint32_t opened_left;
    uint8_t header[5]; /* of the present record */
    uint8_t header_fill;
    uint16_t answers_due; /* records without data that were asked for */
    /* The peer's first message if it comes in parts; see engine_hello.c. */
    struct wr_block *hello;
    uint32_t hello_size;  /* its bytes in whole records */
    uint32_t hello_given; /* bytes of the block given to the backend */
    /* Server: while early data may come; see engine_early.c. */
    struct wr_block *early;
    struct wr_block *secret; /* for an alert; see engine_secret.c */
    /* The peer's unsealed messages; see engine_message.c. */
    struct wr_block *message; /* one that comes in parts */
    struct wr_block *first;   /* server: a hello, once it asks for another */
    uint32_t message_skip;    /* bytes of one that is not checked */
    uint8_t message_alert;    /* why one is refused; 0: none is */
    struct wr_tls_message_facts facts;
    bool
        ignores_eof : 1; /* from the options; cleared if bytes may be missing */
    bool input_ended : 1;         /* set by wr_tls_engine_feed_eof() */
    bool was_open : 1;            /* the handshake was completed */
    bool has_session : 1;         /* client: a ticket arrived */
    bool no_memory : 1;           /* the output could not grow */
    bool is_counted : 1;          /* the newest record is among idle_records */
    bool flooded : 1;             /* there were too many idle records */
    bool oversized : 1;           /* a header gave a length that is too long */
    bool awaits_hello : 1;        /* the first message is not read yet */
    bool is_mute : 1;             /* sends nothing; see engine_record.c */
    bool owes_change : 1;         /* owes a change_cipher_spec */
    bool offers_early : 1;        /* server: the hello announces early data */
    bool has_extended_secret : 1; /* by the hello (RFC 7627) */
    bool is_sealed : 1;           /* the peer's messages are sealed (TLS 1.2) */
    bool may_seal : 1;            /* an alert of ours may have to be sealed */
};

/* Makes the engine of a connection, with a reference to @context. What the
 * backend can count of its memory is charged to @account, and the output comes
 * from its blocks. 0,
 * -ENOMEM, -EINVAL (an invalid name) or the error of wr_tls_context_open();
 * after an error there is nothing to fini. */
WEIR_MUST_USE int wr_tls_engine_init(struct wr_tls_engine *engine,
                                     weir_tls_context *context,
                                     const struct wr_tls_peer_options *options,
                                     struct wr_tls_account *account);

/* Frees everything, also output that was not taken. */
void wr_tls_engine_fini(struct wr_tls_engine *engine);

void wr_tls_engine_check_invariants(const struct wr_tls_engine *engine);

/* ---- ciphertext in ---- */

/* Gives the engine @len received bytes, borrowed until they are taken:
 * handshake() and read() copy them record by record. All bytes fed before must
 * have been taken. No input is left after handshake() or read() returned
 * -EAGAIN, 0 (read) or a sticky error. */
void wr_tls_engine_feed(struct wr_tls_engine *engine, const uint8_t *data,
                        size_t len);

/* How many bytes at the end of the input are not taken yet. The caller keeps
 * them (under a lease) and may pass their new address to
 * wr_tls_engine_refeed(). */
size_t wr_tls_engine_get_input_left(const struct wr_tls_engine *engine);

/* The remaining input is at @data now. */
void wr_tls_engine_refeed(struct wr_tls_engine *engine, const uint8_t *data,
                          size_t len);

/* Drops the remaining input; nothing more is read. */
void wr_tls_engine_drop_input(struct wr_tls_engine *engine);

/* The transport's end of stream. After the input, handshake() and read() return
 * WEIR_ETLSTRUNCATED, unless the close_notify was seen or is not required. */
void wr_tls_engine_feed_eof(struct wr_tls_engine *engine);

/* ---- steps ---- */

/* Continues the handshake. 0: done, the state is OPEN; -EAGAIN: wants input;
 * else the sticky error. */
WEIR_MUST_USE int wr_tls_engine_handshake(struct wr_tls_engine *engine);

/* Reads plaintext. > 0: bytes, of at most one record; 0: the peer's
 * close_notify, also in later calls; -EAGAIN: wants input; else the sticky
 * error. @size is not 0; the rest of a record comes with the next call. */
WEIR_MUST_USE ssize_t wr_tls_engine_read(struct wr_tls_engine *engine,
                                         void *buf, size_t size);

/* Bytes of plaintext that can be read without more input. */
size_t wr_tls_engine_get_plaintext_left(const struct wr_tls_engine *engine);

/* Seals @len bytes, 1 to WR_TLS_RECORD_MAX, as one record into the output. 0,
 * -ESHUTDOWN after wr_tls_engine_close(), -ENOTCONN before the handshake is
 * done, or the sticky error (also -ENOMEM). */
WEIR_MUST_USE int wr_tls_engine_write(struct wr_tls_engine *engine,
                                      const void *data, size_t len);

/* Seals a close_notify into the output, once: a second call returns 0 and does
 * nothing. Reads continue. -ENOTCONN before the handshake is done. */
WEIR_MUST_USE int wr_tls_engine_close(struct wr_tls_engine *engine);

/* Writes and reads change keys by themselves after WR_TLS_KEY_RECORDS records.
 * TLS 1.3: changes the sending keys and asks the peer to change its own;
 * -EOPNOTSUPP with TLS 1.2; -ENOTCONN, -ESHUTDOWN or the sticky error. */
WEIR_MUST_USE int wr_tls_engine_update_keys(struct wr_tls_engine *engine);

/* No step follows at once: buffers that hold nothing are given back. */
static inline void wr_tls_engine_rest(struct wr_tls_engine *engine)
{
    struct wr_tls_conn *conn = &engine->conn;

    if (conn->backend->rest && engine->record_left == 0 &&
        engine->header_fill == 0 && conn->backend->pending(conn) == 0) {
        conn->backend->rest(conn);
    }
}

/* ---- ciphertext out ---- */

/* Takes all output: blocks of wr_blocks, given, chained by ->next; NULL: none.
 * Each has ->used bytes of ciphertext at wr_tls_engine_output_of(). */
struct wr_block *wr_tls_engine_take_output(struct wr_tls_engine *engine);

static inline const uint8_t *
wr_tls_engine_output_of(const struct wr_block *block)
{
    return block->data + WR_TLS_OUTPUT_OFFSET;
}

size_t wr_tls_engine_get_output_bytes(const struct wr_tls_engine *engine);

/* ---- facts ---- */

/* A text with details of the first error, never NULL, valid as long as the
 * engine. */
const char *wr_tls_engine_get_error_text(const struct wr_tls_engine *engine);

/* The number of the fatal alert that was received; -1: none. */
int wr_tls_engine_get_alert_received(const struct wr_tls_engine *engine);

/* The name of the alert by which the peer has refused, static; NULL: there is
 * no error, or another one. */
const char *wr_tls_engine_get_alert_name(const struct wr_tls_engine *engine);

/* The context whose certificate a server shows: the context that its program
 * chose in the handshake, else the engine's. */
weir_tls_context *wr_tls_engine_get_context(const struct wr_tls_engine *engine);

/* Facts after the handshake; strings live as long as the engine, NULL: none.
 * Version: "TLSv1.2", "TLSv1.3". Cipher: the IANA name. */
const char *wr_tls_engine_get_version(const struct wr_tls_engine *engine);
const char *wr_tls_engine_get_cipher(const struct wr_tls_engine *engine);
int wr_tls_engine_get_cipher_bits(const struct wr_tls_engine *engine);
const char *wr_tls_engine_get_group(const struct wr_tls_engine *engine);
const char *wr_tls_engine_get_alpn(const struct wr_tls_engine *engine,
                                   size_t *ret_len);
/* Server: the name that the client asked for. */
const char *wr_tls_engine_get_sni(const struct wr_tls_engine *engine);
bool wr_tls_engine_was_resumed(const struct wr_tls_engine *engine);
/* The peer's certificate number @index as DER; 0 is the leaf. NULL: none, or
 * not kept. */
const uint8_t *
wr_tls_engine_get_peer_certificate(const struct wr_tls_engine *engine,
                                   uint32_t index, size_t *ret_size);

/* Exports keying material (RFC 5705; RFC 8446, 7.5). @context NULL: none. 0,
 * -ENOTCONN before the handshake is done, -EOPNOTSUPP without can_export or,
 * with TLS 1.2, without the extended master secret, -EINVAL for invalid
 * arguments, also a reserved label, or -ENOMEM. */
WEIR_MUST_USE int wr_tls_engine_export(struct wr_tls_engine *engine,
                                       const char *label, const void *context,
                                       size_t context_len, void *out,
                                       size_t out_len);

/* Client: a session that a later connection may resume, given; the backend's
 * session_free() frees it, on any thread. 0,
 * -EAGAIN while the server has sent none (with TLS 1.3 it comes after the
 * handshake, with the first data), -EOPNOTSUPP for a server, or -ENOMEM. */
WEIR_MUST_USE int wr_tls_engine_get_session(struct wr_tls_engine *engine,
                                            struct wr_tls_known **ret);

/* ---- sessions as the program holds them: session.c ---- */

/* The newest session of a client's engine; see weir_tls_get_session(). */
WEIR_MUST_USE int wr_tls_session_get(struct wr_tls_engine *engine,
                                     weir_tls_session **ret);

/* The backend's session, borrowed, if a connection of @context that verifies
 * @hostname (NULL: any name) may resume it; else NULL. @session may be NULL. */
const struct wr_tls_known *wr_tls_session_use(const weir_tls_session *session,
                                              const weir_tls_context *context,
                                              const char *hostname);

#endif
