/*
 * Reads the peer's first message as a whole before the backend gets it.
 *
 * A server configures its connection from the ClientHello (hello.h); a client
 * that can export checks the ServerHello for the extended master secret. A
 * hello in one record that has arrived as a whole, as nearly always, is read in
 * place. Otherwise its parts are collected in a block as one record, which is
 * then passed to the backend.
 *
 * A server refuses a hello that cannot be read here; otherwise a client could
 * get the certificate of a name that it did not request. A client passes such a
 * hello to the backend and does not export keys from a TLS 1.2 connection.
 */
#include "engine_impl.h"
#include "lib/base/hello.h"
#include "lib/tls/context/context.h"
#include "lib/tls/context/suites.h"

#include <weir/error.h>

#include <string.h>

/* Limits a hello to the body of one record. */
#define ENGINE_HELLO_MAX (1u << 14)

static const uint32_t engine_hello_header = 5; /* size of a record header */
static const uint8_t engine_hello_type = 22;   /* handshake */

/* The program's callback runs to its end before this file touches the engine
 * again. */
static enum wr_tls_engine_first
engine_hello_choose(struct wr_tls_engine *engine,
                    const struct wr_tls_hello *hello)
{
    char memory[UINT8_MAX + 1];
    const char *host = NULL;

    wr_assert(engine->conn.is_server && !engine->awaits_hello);
    if (hello->name.data) {
        wr_assert(hello->name.size < sizeof(memory));
        memcpy(memory, hello->name.data, hello->name.size);
        memory[hello->name.size] = '\0';
        host = memory;
    }
    return wr_tls_context_choose(engine->context, &engine->verdict, host,
                                 &engine->message_alert) == 0
               ? WR_TLS_ENGINE_FIRST_PASSES
               : WR_TLS_ENGINE_FIRST_REFUSED;
}

static enum wr_tls_engine_first
engine_hello_set_up(struct wr_tls_engine *engine,
                    const struct wr_tls_hello *hello)
{
    const struct wr_tls_offer offer = {
        .suites = hello->suites,
        .schemes = hello->schemes,
        .groups = hello->groups,
        .versions = hello->versions,
    };

    wr_assert(engine->conn.is_server && !engine->verdict.has_chosen);
    engine->owes_change = hello->has_session &&
                          !(engine->conn.backend->does & WR_TLS_DOES_CHANGE);
    engine->offers_early = hello->has_early_data;
    engine->verdict.lacking_kinds =
        wr_tls_context_lacking_kinds(engine->context, &offer);
    if (hello->has_ticket) {
        engine->verdict.knows_asked_name =
            wr_tls_ticket_digest_name(hello->name.data, hello->name.size,
                                      engine->verdict.asked_name) == 0;
    }
    if (wr_tls_context_choose_protocol(engine->context, &engine->conn,
                                       hello->protocols.data,
                                       hello->protocols.size) < 0) {
        engine->no_memory = true;
        return WR_TLS_ENGINE_FIRST_FAILED;
    }
    return WR_TLS_ENGINE_FIRST_PASSES;
}

/* The last collected bytes may be the header of a record that is too long, for
 * which the alert is record_overflow. */
static uint8_t engine_hello_alert(const struct wr_tls_engine *engine)
{
    const struct wr_block *block = engine->hello;
    const uint32_t front = engine_hello_header + engine->hello_size;

    wr_assert(!block || block->used >= front);
    return block && block->used - front >= engine_hello_header &&
                   wr_tls_engine_body_size(block->data + front) >
                       WR_TLS_ENGINE_BODY_MAX
               ? WR_TLS_ALERT_RECORD_OVERFLOW
               : WR_TLS_ALERT_DECODE_ERROR;
}

/* Treats an impossible host name (with a NUL, or more than 255 bytes) as an
 * unknown name. */
static enum wr_tls_engine_first
engine_hello_refuse(struct wr_tls_engine *engine,
                    const struct wr_tls_hello *hello)
{
    wr_assert(engine->conn.is_server && !engine->verdict.has_chosen);
    if (hello->odd_name.size > 0) {
        wr_tls_verdict_fail(&engine->verdict, WEIR_ETLSNONAME, "%s",
                            weir_strerror(WEIR_ETLSNONAME));
        engine->message_alert = WR_TLS_ALERT_UNRECOGNIZED_NAME;
        return WR_TLS_ENGINE_FIRST_REFUSED;
    }
    wr_tls_verdict_fail(&engine->verdict, WEIR_ETLSPROTOCOL,
                        "The first message of the client cannot be read");
    engine->message_alert = engine_hello_alert(engine);
    return WR_TLS_ENGINE_FIRST_REFUSED;
}

/* @data is NULL if the message cannot be read. */
static enum wr_tls_engine_first engine_hello_read(struct wr_tls_engine *engine,
                                                  const uint8_t *data,
                                                  size_t size)
{
    struct wr_tls_hello hello = {.lacks_extensions = false};

    wr_assert(engine->awaits_hello);
    engine->awaits_hello = false;
    const bool is_read =
        data && wr_tls_hello_read(data, size, engine->conn.is_server, &hello) &&
        !hello.is_odd;
    engine->has_extended_secret = is_read && hello.has_extended_secret;
    if (!engine->conn.is_server) {
        return WR_TLS_ENGINE_FIRST_PASSES;
    }
    if (!is_read) {
        return engine_hello_refuse(engine, &hello);
    }
    const enum wr_tls_engine_first first = engine_hello_set_up(engine, &hello);
    return first == WR_TLS_ENGINE_FIRST_PASSES
               ? engine_hello_choose(engine, &hello)
               : first;
}

static bool engine_hello_is_at_hand(const struct wr_tls_engine *engine)
{
    const uint8_t *data = engine->input;
    const size_t left = engine->input_left;

    wr_assert(!engine->hello);
    if (left < engine_hello_header ||
        left - engine_hello_header < wr_tls_engine_body_size(data)) {
        return false;
    }
    return wr_tls_hello_is_whole(data + engine_hello_header,
                                 wr_tls_engine_body_size(data));
}

bool wr_tls_engine_fill_hello(struct wr_tls_engine *engine, size_t fill,
                              size_t want)
{
    const size_t count = wr_min_u64(want - fill, engine->input_left);
    const size_t used =
        engine->hello ? engine->hello->used : engine_hello_header;

    wr_assert(fill < want);
    if (!wr_tls_engine_reserve(engine, &engine->hello, used + count)) {
        return false;
    }
    memcpy(engine->hello->data + used, engine->input, count);
    engine->hello->used = (uint32_t)(used + count);
    engine->input += count;
    engine->input_left -= count;
    return true;
}

/* Appends the body of the complete record that follows the message. Returns
 * false if the message is not a hello that can be read. */
static bool engine_hello_join(struct wr_tls_engine *engine)
{
    uint8_t *data = engine->hello->data;
    uint8_t *record = data + engine_hello_header + engine->hello_size;
    const size_t size = wr_tls_engine_body_size(record);

    if (engine->hello_size == 0) {
        memcpy(data, record, engine_hello_header);
    }
    memmove(record, record + engine_hello_header, size);
    engine->hello_size += (uint32_t)size;
    engine->hello->used -= engine_hello_header;
    data[3] = (uint8_t)(engine->hello_size >> 8);
    data[4] = (uint8_t)engine->hello_size;
    return wr_tls_hello_may_come(data + engine_hello_header, engine->hello_size,
                                 engine->conn.is_server, ENGINE_HELLO_MAX);
}

static enum wr_tls_engine_first engine_hello_end(struct wr_tls_engine *engine,
                                                 bool is_whole)
{
    engine->hello_given = engine->hello_size > 0 ? 0 : engine_hello_header;
    return engine_hello_read(
        engine, is_whole ? engine->hello->data + engine_hello_header : NULL,
        engine->hello_size);
}

/* Returns how many bytes of the current record have arrived and how many are
 * needed: the header first, then the whole record. Returns false if the record
 * cannot continue the message. */
static bool engine_hello_measure(const struct wr_tls_engine *engine,
                                 size_t *ret_fill, size_t *ret_want)
{
    const uint32_t front = engine_hello_header + engine->hello_size;

    *ret_fill = engine->hello ? engine->hello->used - front : 0;
    *ret_want = engine_hello_header;
    if (*ret_fill < engine_hello_header) {
        return true;
    }
    const uint8_t *record = engine->hello->data + front;
    const size_t more = wr_tls_engine_body_size(record);
    *ret_want += more;
    return record[0] == engine_hello_type && record[1] == 3 && more > 0 &&
           engine->hello_size + more <= ENGINE_HELLO_MAX;
}

/* Collects the hello. The block contains space for a header, the message from
 * the complete records, then the received part of the current record. */
static enum wr_tls_engine_first
engine_hello_collect(struct wr_tls_engine *engine)
{
    for (;;) {
        size_t fill;
        size_t want;
        if (!engine_hello_measure(engine, &fill, &want)) {
            return engine_hello_end(engine, false);
        }
        if (fill < want) {
            if (engine->input_left == 0) {
                return WR_TLS_ENGINE_FIRST_WAITS;
            }
            if (!wr_tls_engine_fill_hello(engine, fill, want)) {
                return WR_TLS_ENGINE_FIRST_FAILED;
            }
            continue;
        }
        if (!engine_hello_join(engine)) {
            return engine_hello_end(engine, false);
        }
        if (wr_tls_hello_is_whole(engine->hello->data + engine_hello_header,
                                  engine->hello_size)) {
            return engine_hello_end(engine, true);
        }
    }
}

enum wr_tls_engine_first wr_tls_engine_take_hello(struct wr_tls_engine *engine)
{
    wr_assert(engine->awaits_hello && !engine->was_open);
    if (engine->input_left > 0 && !engine->hello) {
        if (engine->input[0] != engine_hello_type) {
            return WR_TLS_ENGINE_FIRST_PASSES;
        }
        if (engine_hello_is_at_hand(engine)) {
            return engine_hello_read(engine,
                                     engine->input + engine_hello_header,
                                     wr_tls_engine_body_size(engine->input));
        }
    }
    return engine_hello_collect(engine);
}
