/*
 * Declarations shared by the engine's files. engine.c has the life and the
 * steps, engine_event.c the events of the backend, engine_record.c those that
 * move bytes, engine_hello.c reads the peer's first message, engine_early.c
 * skips early data behind it, engine_message.c checks the unsealed messages,
 * engine_secret.c opens and seals records by TLS 1.3's secrets, engine_facts.c
 * has the getters and the names of alerts.
 *
 * Calls go one way: engine.c calls the others, engine_record.c calls
 * engine_hello.c, engine_early.c, engine_message.c and engine_secret.c, and
 * engine_early.c uses engine_hello.c's block and engine_secret.c. What comes in
 * parts is collected by a function of engine_message.c.
 */
#ifndef WEIR_LIB_TLS_ENGINE_ENGINE_IMPL_H
#define WEIR_LIB_TLS_ENGINE_ENGINE_IMPL_H

#include "engine.h"

#include <string.h>

/* Levels and numbers of alerts (RFC 8446, 6) that weir itself sends or sees. */
enum {
    WR_TLS_ALERT_FATAL = 2,
    WR_TLS_ALERT_RECORD_OVERFLOW = 22,
    WR_TLS_ALERT_ILLEGAL_PARAMETER = 47,
    WR_TLS_ALERT_DECODE_ERROR = 50,
    WR_TLS_ALERT_INTERNAL_ERROR = 80,
    WR_TLS_ALERT_UNRECOGNIZED_NAME = 112,
};

/* The largest body of a record in TLS 1.3 (RFC 8446, 5.2). TLS 1.2 allows more
 * for suites that weir does not have, and wolfSSL allows as much for both. */
#define WR_TLS_ENGINE_BODY_MAX ((1u << 14) + 256u)

/* The bytes of the tag of a sealed record. */
#define WR_TLS_ENGINE_TAG 16u

/* The bytes of an alert's record, sealed or not. */
#define WR_TLS_ENGINE_ALERT_MAX 32u

/* The size of a record's body, from its header. */
static inline size_t wr_tls_engine_body_size(const uint8_t *header)
{
    return (size_t)header[3] << 8 | header[4];
}

/* The keys of one direction. */
struct wr_tls_engine_keys {
    int suite; /* 0: no keys yet */
    uint32_t key_size;
    uint8_t key[32];
    uint8_t iv[12];
};

/* Lies in the block of the engine as long as early data may come. */
struct wr_tls_engine_early {
    uint32_t left;                  /* bytes that may still be skipped */
    struct wr_tls_engine_keys keys; /* the client's, of the handshake */
};

static inline struct wr_tls_engine *wr_tls_engine_of(struct wr_tls_conn *conn)
{
    return wr_container_of(conn, struct wr_tls_engine, conn);
}

/* Gives a block of the handshake back, if there is one; it may have held keys.
 * Without the one of early data the wait for that is over. */
static inline void wr_tls_engine_drop(struct wr_tls_engine *engine,
                                      struct wr_block **block)
{
    if (*block) {
        explicit_bzero((*block)->data, (*block)->capacity);
        wr_block_give(engine->conn.account->blocks, *block);
        *block = NULL;
    }
}

/* Gives all of them back. */
static inline void wr_tls_engine_drop_blocks(struct wr_tls_engine *engine)
{
    wr_tls_engine_drop(engine, &engine->hello);
    wr_tls_engine_drop(engine, &engine->early);
    wr_tls_engine_drop(engine, &engine->secret);
    wr_tls_engine_drop(engine, &engine->message);
    wr_tls_engine_drop(engine, &engine->first);
}

/* ---- engine_facts.c ---- */

/* A sentence that names the alert which the peer sent; and its name alone,
 * "unknown_ca". Both are static. */
const char *wr_tls_engine_alert_text(int alert);
const char *wr_tls_engine_alert_name(int alert);

/* ---- engine_event.c ---- */

extern const struct wr_tls_events wr_tls_engine_events;

/* ---- engine_record.c ---- */

/* The events of the wire. */
int wr_tls_engine_take(struct wr_tls_conn *conn, uint8_t *buf, size_t size);
int wr_tls_engine_put(struct wr_tls_conn *conn, uint8_t *data, size_t size);

/* Appends a record that is sent in its own buffer to the output, if there is
 * one. */
void wr_tls_engine_collect(struct wr_tls_engine *engine);

/* The handshake is done: records are counted against another limit. */
void wr_tls_engine_begin_data(struct wr_tls_engine *engine);

/* The backend has returned @size bytes of application data. */
void wr_tls_engine_count_data(struct wr_tls_engine *engine, size_t size);

/* The peer was asked for new keys: one record without data is its answer. */
void wr_tls_engine_expect_answer(struct wr_tls_engine *engine);

/* True if the newest record has a valid TLS header. */
bool wr_tls_engine_has_tls_header(const struct wr_tls_engine *engine);

/* Frees all output. */
void wr_tls_engine_drop_output(struct wr_tls_engine *engine);

/* ---- engine_hello.c ---- */

enum wr_tls_engine_first {
    WR_TLS_ENGINE_FIRST_WAITS,   /* wants input */
    WR_TLS_ENGINE_FIRST_PASSES,  /* the backend may get it */
    WR_TLS_ENGINE_FIRST_REFUSED, /* ->message_alert is sent */
    WR_TLS_ENGINE_FIRST_FAILED,  /* no memory */
    WR_TLS_ENGINE_FIRST_SKIPPED, /* skipped: take the next record */
};

/* Reads a record that begins while the first message is awaited. The waiting
 * ends once the message was read or cannot be read; the backend then gets the
 * bytes in @hello before any input. */
enum wr_tls_engine_first wr_tls_engine_take_hello(struct wr_tls_engine *engine);

/* Moves input into the block of the first message until the present record has
 * @want bytes there; it has @fill. False: no memory. */
bool wr_tls_engine_fill_hello(struct wr_tls_engine *engine, size_t fill,
                              size_t want);

/* ---- engine_early.c ---- */

/* Prepares for early data behind the ClientHello, before the backend has read
 * the hello. False: no memory. */
bool wr_tls_engine_expect_early(struct wr_tls_engine *engine);

/* Skips early data at the beginning of a record. This ends with the first other
 * record, or when the limit of early data was skipped. */
enum wr_tls_engine_first wr_tls_engine_skip_early(struct wr_tls_engine *engine);

/* ---- engine_message.c ---- */

/* Checks bytes of a record's body that the backend is about to get. False: they
 * are refused, for which the caller sends ->message_alert, and the verdict says
 * why; or there is no memory. */
bool wr_tls_engine_check_body(struct wr_tls_engine *engine, const uint8_t *data,
                              size_t size);

/* The backend sends these bytes in the handshake: the server's group may be
 * new, or they are the own hello. */
void wr_tls_engine_note_sent(struct wr_tls_engine *engine, const uint8_t *data,
                             size_t size);

/* Makes room for @size bytes in a block in which a message is collected; NULL:
 * it is new. False: there is no memory. */
bool wr_tls_engine_reserve(struct wr_tls_engine *engine,
                           struct wr_block **block, size_t size);

/* ---- engine_secret.c ---- */

/* The event of secrets. */
int wr_tls_engine_note_secret(struct wr_tls_conn *conn,
                              enum wr_tls_secret_kind kind,
                              const uint8_t *secret, size_t size);

/* True if the engine must hear of secrets for the alert about the peer's
 * certificates. */
bool wr_tls_engine_wants_secrets(const struct wr_tls_engine *engine);

/* Notes a record of the handshake that is sent. */
void wr_tls_engine_count_sealed(struct wr_tls_engine *engine,
                                const uint8_t *record);

/* Writes the record of a fatal alert in the handshake, sealed where it must be.
 * Returns its size; 0: it cannot be sealed. */
size_t wr_tls_engine_make_alert(struct wr_tls_engine *engine, uint8_t code,
                                uint8_t record[WR_TLS_ENGINE_ALERT_MAX]);

/* Sends internal_error in a handshake that failed by no fault of the peer, if
 * the backend has sent no alert: by a server as long as it need not be sealed,
 * and where the own key could not sign. */
void wr_tls_engine_alert_internal(struct wr_tls_engine *engine);

/* 0 if the keys open the record as the first one of its side, whose plaintext
 * is at @ret then; -EBADMSG if they do not; another error tells nothing. */
int wr_tls_engine_open_first(const struct wr_tls_engine_keys *keys,
                             uint8_t *record, uint8_t *ret);

/* The backend sends this record after the peer's certificates were refused. If
 * it is an alert it becomes the verdict's. */
void wr_tls_engine_replace_alert(struct wr_tls_engine *engine, uint8_t *record,
                                 size_t size);

#endif
