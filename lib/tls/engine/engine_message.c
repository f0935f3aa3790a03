/*
 * Checks the peer's unencrypted handshake messages before the backend gets
 * them.
 *
 * A message that arrives in one record, as nearly always, is checked in place.
 * Otherwise its parts are collected in a block. When a message is refused, the
 * backend gets none of its remaining bytes.
 *
 * With TLS 1.2 the checks end with a change_cipher_spec, because later messages
 * are sealed. By then the backend has verified the client's signature, and its
 * algorithm must suit the key in the client's certificate. With TLS 1.3, once
 * there are keys, the backend refuses an unencrypted handshake record.
 */
#include "engine_impl.h"
#include "message.h"
#include "point.h"

#include <weir/error.h>

#include <string.h>

#define ENGINE_MESSAGE_MAX (WR_TLS_MESSAGE_HEADER + (16u << 10))

enum {
    ENGINE_MESSAGE_CHANGE = 20, /* record types */
    ENGINE_MESSAGE_HANDSHAKE = 22,
};

static bool engine_message_fail(struct wr_tls_engine *engine,
                                const struct wr_tls_message_fault *fault)
{
    wr_assert(fault->alert > 0);
    wr_tls_engine_drop(engine, &engine->message);
    wr_tls_verdict_fail(&engine->verdict,
                        fault->code ? fault->code : WEIR_ETLSPROTOCOL, "%s",
                        fault->text);
    engine->message_alert = fault->alert;
    return false;
}

static bool engine_message_refuse(struct wr_tls_engine *engine, uint8_t alert,
                                  const char *text)
{
    const struct wr_tls_message_fault fault = {.alert = alert, .text = text};

    wr_assert(text != NULL);
    return engine_message_fail(engine, &fault);
}

static bool engine_message_check(struct wr_tls_engine *engine,
                                 const uint8_t *data, size_t size)
{
    const struct wr_tls_message_fault fault =
        wr_tls_message_check(&engine->facts, data, size);

    return fault.alert == 0 || engine_message_fail(engine, &fault);
}

/* Refuses a client whose signature algorithm does not suit its certificate's
 * key, or that signed although no certificate was accepted. */
static bool engine_message_check_scheme(struct wr_tls_engine *engine)
{
    const uint16_t scheme = engine->facts.scheme;

    wr_assert(scheme == 0 ||
              wr_tls_message_key_of(scheme) != WR_X509_KEY_OTHER);
    return scheme == 0 ||
           engine->verdict.key_kind == wr_tls_message_key_of(scheme) ||
           engine_message_refuse(engine, WR_TLS_ALERT_ILLEGAL_PARAMETER,
                                 "The client signed by an algorithm for "
                                 "another kind of key than its own");
}

bool wr_tls_engine_reserve(struct wr_tls_engine *engine,
                           struct wr_block **block, size_t size)
{
    const struct wr_block *old = *block;

    wr_assert(!old || old->used <= size);
    if (old && size <= old->capacity) {
        return true;
    }
    struct wr_block *larger = wr_block_take(engine->conn.account->blocks, size);
    if (!larger) {
        engine->no_memory = true;
        return false;
    }
    if (old) {
        memcpy(larger->data, old->data, old->used);
        larger->used = old->used;
    }
    wr_tls_engine_drop(engine, block);
    *block = larger;
    return true;
}

static size_t engine_message_wants(const struct wr_tls_engine *engine)
{
    const struct wr_block *block = engine->message;
    return block && block->used >= WR_TLS_MESSAGE_HEADER
               ? wr_tls_message_size(block->data)
               : WR_TLS_MESSAGE_HEADER;
}

/* Adds bytes of at most one message to the block. Checks the message when it is
 * complete. Returns how many bytes were taken, or 0 if the message is refused
 * or memory runs out. */
static size_t engine_message_collect(struct wr_tls_engine *engine,
                                     const uint8_t *data, size_t size)
{
    const size_t used = engine->message ? engine->message->used : 0;
    const size_t count = wr_min_u64(size, engine_message_wants(engine) - used);

    wr_assert(count > 0);
    if (!wr_tls_engine_reserve(engine, &engine->message, used + count)) {
        return 0;
    }
    memcpy(engine->message->data + used, data, count);
    engine->message->used += (uint32_t)count;
    if (engine->message->used < WR_TLS_MESSAGE_HEADER) {
        return count;
    }
    const uint8_t *message = engine->message->data;
    const size_t whole = wr_tls_message_size(message);
    if (!wr_tls_message_is_checked(&engine->facts, message[0])) {
        engine->message_skip = (uint32_t)(whole - WR_TLS_MESSAGE_HEADER);
        wr_tls_engine_drop(engine, &engine->message);
    } else if (whole > ENGINE_MESSAGE_MAX) {
        return engine_message_refuse(engine, WR_TLS_ALERT_DECODE_ERROR,
                                     "A message of the peer is too long");
    } else if (engine->message->used == whole) {
        const bool is_good = engine_message_check(engine, message, whole);
        wr_tls_engine_drop(engine, &engine->message);
        return is_good ? count : 0;
    }
    return count;
}

static size_t engine_message_take(struct wr_tls_engine *engine,
                                  const uint8_t *data, size_t size)
{
    wr_assert(size > 0);
    if (engine->message_skip > 0) {
        const size_t count = wr_min_u64(size, engine->message_skip);
        engine->message_skip -= (uint32_t)count;
        return count;
    }
    if (!engine->message && size >= WR_TLS_MESSAGE_HEADER &&
        wr_tls_message_size(data) <= size) {
        const size_t whole = wr_tls_message_size(data);
        return !wr_tls_message_is_checked(&engine->facts, data[0]) ||
                       engine_message_check(engine, data, whole)
                   ? whole
                   : 0;
    }
    return engine_message_collect(engine, data, size);
}

void wr_tls_engine_note_sent(struct wr_tls_engine *engine, const uint8_t *data,
                             size_t size)
{
    wr_assert(engine->state == WR_TLS_ENGINE_HANDSHAKE);
    if (engine->conn.is_server) {
        engine->facts.group = engine->conn.backend->get_group(&engine->conn);
    }
    wr_tls_message_note_own(&engine->facts, data, size);
    struct wr_bytes *first = &engine->facts.first;
    if (engine->facts.was_asked_again && first->data && !engine->first) {
        /* The client's first hello is in the input or in the hello's block.
         * Keep a copy until the second hello arrives. */
        wr_assert(engine->conn.is_server);
        if (wr_tls_engine_reserve(engine, &engine->first, first->size)) {
            memcpy(engine->first->data, first->data, first->size);
            first->data = engine->first->data;
        }
    }
}

bool wr_tls_engine_check_body(struct wr_tls_engine *engine, const uint8_t *data,
                              size_t size)
{
    wr_assert(engine->state == WR_TLS_ENGINE_HANDSHAKE);
    wr_assert(engine->record_left > 0);
    if (engine->is_sealed) {
        return true;
    }
    if (engine->header[0] == ENGINE_MESSAGE_CHANGE &&
        engine->conn.backend->get_version(&engine->conn) !=
            WR_TLS_VERSION_1_3) {
        engine->is_sealed = true;
        return engine_message_check_scheme(engine);
    }
    if (engine->header[0] != ENGINE_MESSAGE_HANDSHAKE) {
        return true;
    }
    for (size_t at = 0; at < size;) {
        const size_t count = engine_message_take(engine, data + at, size - at);
        if (count == 0) {
            return false;
        }
        at += count;
    }
    return true;
}
