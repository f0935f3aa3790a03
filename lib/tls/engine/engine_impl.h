/*
 * Declarations shared by the engine's files.
 *
 * engine.c has the states and steps, engine_event.c the backend's events,
 * engine_record.c the events take() and put(). engine_hello.c reads the peer's
 * first message, engine_early.c skips early data after it, engine_message.c
 * checks the unencrypted messages. engine_secret.c opens and seals records with
 * TLS 1.3 secrets, engine_facts.c has the getters and the names of alerts.
 */
#ifndef WEIR_LIB_TLS_ENGINE_ENGINE_IMPL_H
#define WEIR_LIB_TLS_ENGINE_ENGINE_IMPL_H

#include "engine.h"

#include <string.h>

/* Alert level and alert numbers (RFC 8446, 6); message.c has more numbers. */
enum {
    WR_TLS_ALERT_FATAL = 2,
    WR_TLS_ALERT_RECORD_OVERFLOW = 22,
    WR_TLS_ALERT_ILLEGAL_PARAMETER = 47,
    WR_TLS_ALERT_DECODE_ERROR = 50,
    WR_TLS_ALERT_INTERNAL_ERROR = 80,
    WR_TLS_ALERT_UNRECOGNIZED_NAME = 112,
};

/* The largest body of a TLS 1.3 record (RFC 8446, 5.2). TLS 1.2 allows 2^14 +
 * 2048 bytes for suites that weir does not have, and wolfSSL accepts the larger
 * size for both versions. */
#define WR_TLS_ENGINE_BODY_MAX ((1u << 14) + 256u)

#define WR_TLS_ENGINE_TAG 16u

#define WR_TLS_ENGINE_ALERT_MAX 32u

static inline size_t wr_tls_engine_body_size(const uint8_t *header)
{
    return (size_t)header[3] << 8 | header[4];
}

struct wr_tls_engine_keys {
    int suite; /* 0 before the first keys */
    uint32_t key_size;
    uint8_t key[32];
    uint8_t iv[12];
};

/* Stored in a block of the engine as long as early data may arrive. */
struct wr_tls_engine_early {
    uint32_t left;                  /* bytes that may still be skipped */
    struct wr_tls_engine_keys keys; /* the client's handshake keys */
};

static inline struct wr_tls_engine *wr_tls_engine_of(struct wr_tls_conn *conn)
{
    return wr_container_of(conn, struct wr_tls_engine, conn);
}

/* Releases a block of the handshake, if there is one. Clears its memory, which
 * may have held keys. Releasing ->early ends the wait for early data. */
static inline void wr_tls_engine_drop(struct wr_tls_engine *engine,
                                      struct wr_block **block)
{
    if (*block) {
        explicit_bzero((*block)->data, (*block)->capacity);
        wr_block_give(engine->conn.account->blocks, *block);
        *block = NULL;
    }
}

static inline void wr_tls_engine_drop_blocks(struct wr_tls_engine *engine)
{
    wr_tls_engine_drop(engine, &engine->hello);
    wr_tls_engine_drop(engine, &engine->early);
    wr_tls_engine_drop(engine, &engine->secret);
    wr_tls_engine_drop(engine, &engine->message);
    wr_tls_engine_drop(engine, &engine->first);
}

/* ---- engine_facts.c ---- */

/* Both strings are static: a sentence about the peer's alert, and only the
 * alert's name, such as "unknown_ca". */
const char *wr_tls_engine_alert_text(int alert);
const char *wr_tls_engine_alert_name(int alert);

/* ---- engine_event.c ---- */

extern const struct wr_tls_events wr_tls_engine_events;

/* ---- engine_record.c ---- */

int wr_tls_engine_take(struct wr_tls_conn *conn, uint8_t *buf, size_t size);
int wr_tls_engine_put(struct wr_tls_conn *conn, uint8_t *data, size_t size);

void wr_tls_engine_collect(struct wr_tls_engine *engine);

/* Called when the handshake is done: frees the handshake's blocks and resets
 * the count of idle records (engine_record.c). */
void wr_tls_engine_begin_data(struct wr_tls_engine *engine);

/* Data permits the peer more idle records (engine_record.c). */
void wr_tls_engine_count_data(struct wr_tls_engine *engine, size_t size);

/* Called when the peer was asked for new keys: its answer is one record without
 * data, which must not use up the peer's idle records. */
void wr_tls_engine_expect_answer(struct wr_tls_engine *engine);

bool wr_tls_engine_has_tls_header(const struct wr_tls_engine *engine);

void wr_tls_engine_drop_output(struct wr_tls_engine *engine);

/* ---- engine_hello.c ---- */

enum wr_tls_engine_first {
    WR_TLS_ENGINE_FIRST_WAITS,   /* needs input */
    WR_TLS_ENGINE_FIRST_PASSES,  /* the backend may read the message */
    WR_TLS_ENGINE_FIRST_REFUSED, /* ->message_alert is sent */
    WR_TLS_ENGINE_FIRST_FAILED,  /* out of memory */
    WR_TLS_ENGINE_FIRST_SKIPPED, /* skipped; read the next record */
};

/* Called at the start of each record until the first message is read or
 * refused. The backend then gets the bytes in ->hello before any input. */
enum wr_tls_engine_first wr_tls_engine_take_hello(struct wr_tls_engine *engine);

/* Moves input into ->hello, which has @fill bytes of the current record, until
 * it has @want bytes or the input is consumed. Returns false if memory runs
 * out. */
bool wr_tls_engine_fill_hello(struct wr_tls_engine *engine, size_t fill,
                              size_t want);

/* ---- engine_early.c ---- */

/* Prepares for early data after the ClientHello; must be called before the
 * backend reads the hello. Returns false if memory runs out. */
bool wr_tls_engine_expect_early(struct wr_tls_engine *engine);

/* Skips early data at the start of a record (engine_early.c). */
enum wr_tls_engine_first wr_tls_engine_skip_early(struct wr_tls_engine *engine);

/* ---- engine_message.c ---- */

/* Checks bytes of a record's body before the backend gets them. Returns false
 * if the message is refused (the caller sends ->message_alert, and the verdict
 * has the reason) or if memory runs out. */
bool wr_tls_engine_check_body(struct wr_tls_engine *engine, const uint8_t *data,
                              size_t size);

/* Called for each record that the backend sends in the handshake. Stores the
 * facts that checks of the peer's messages need: the group that a server has
 * chosen, and the contents of our own hello. */
void wr_tls_engine_note_sent(struct wr_tls_engine *engine, const uint8_t *data,
                             size_t size);

/* Enlarges the block that collects a message to @size bytes; *block is NULL for
 * a new message. Returns false if memory runs out. */
bool wr_tls_engine_reserve(struct wr_tls_engine *engine,
                           struct wr_block **block, size_t size);

/* ---- engine_secret.c ---- */

int wr_tls_engine_note_secret(struct wr_tls_conn *conn,
                              enum wr_tls_secret_kind kind,
                              const uint8_t *secret, size_t size);

/* Returns true if the engine may have to seal an alert itself, about the peer's
 * certificates or because a wr_tls_signer could not sign. */
bool wr_tls_engine_wants_secrets(const struct wr_tls_engine *engine);

void wr_tls_engine_count_sealed(struct wr_tls_engine *engine,
                                const uint8_t *record);

/* Writes the record of a fatal alert in the handshake, sealed with TLS 1.3.
 * Returns its size, or 0 if it cannot be sealed. */
size_t wr_tls_engine_make_alert(struct wr_tls_engine *engine, uint8_t code,
                                uint8_t record[WR_TLS_ENGINE_ALERT_MAX]);

/* Sends the alert internal_error in a handshake that failed through no fault of
 * the peer, unless an alert was sent before. Sends it in two cases only: a
 * server that need not seal its alerts yet, and a wr_tls_signer that could not
 * sign with a backend without WR_TLS_DOES_ALERT. Defined in engine_record.c. */
void wr_tls_engine_alert_internal(struct wr_tls_engine *engine);

/* Opens the first record under @keys, and writes the plaintext to @ret. Returns
 * 0, or -EBADMSG if the keys do not fit. After any other error the keys may fit
 * or not. */
int wr_tls_engine_open_first(const struct wr_tls_engine_keys *keys,
                             uint8_t *record, uint8_t *ret);

/* Replaces the backend's alert in a record with the verdict's alert. Called
 * when the peer's certificates were refused. */
void wr_tls_engine_replace_alert(struct wr_tls_engine *engine, uint8_t *record,
                                 size_t size);

#endif
