/*
 * Records in and out: the two events with which a backend moves bytes.
 *
 * A backend asks for a record's 5-byte header, then for its body. So this file
 * sees where records begin and can limit "idle" records, which have no data:
 * key updates, warnings, tickets, empty records. Each costs CPU time, and a
 * backend continues to read as long as they arrive. A connection may receive
 * ENGINE_RECORD_IDLE_MAX idle records before any data, and one more for each
 * ENGINE_RECORD_EARN_BYTES of data.
 *
 * A large record is sent in the block in which it was sealed, if the backend
 * can claim it; small records are packed into one block.
 */
#include "engine_impl.h"
#include "lib/tls/context/context.h"

#include <weir/error.h>

#include <errno.h>
#include <string.h>

#define ENGINE_RECORD_IDLE_MAX   64u
#define ENGINE_RECORD_EARN_BYTES 1024u
/* Maximum number of records of one handshake. A peer may send each byte of a
 * message in its own record. */
#define ENGINE_RECORD_HANDSHAKE_MAX (64u << 10)
/* A smaller sealed record is copied into a block with other records. */
#define ENGINE_RECORD_COPY_BELOW 2048u
#define ENGINE_RECORD_ROOM       (WR_BLOCK_SMALL - WR_TLS_OUTPUT_OFFSET)

static const uint32_t engine_record_header_size = 5;

static void engine_record_append(struct wr_tls_engine *engine,
                                 struct wr_block *block)
{
    wr_assert(!block->next);
    if (engine->output_last) {
        engine->output_last->next = block;
    } else {
        engine->output_first = block;
    }
    engine->output_last = block;
}

void wr_tls_engine_collect(struct wr_tls_engine *engine)
{
    if (engine->claimed_size == 0) {
        return;
    }
    struct wr_block *block =
        engine->conn.backend->take_claimed(engine->conn.account);
    wr_assert(block);
    block->used = engine->claimed_size;
    block->next = NULL;
    engine->claimed_size = 0;
    engine_record_append(engine, block);
}

static void engine_record_fill(struct wr_block *block, const uint8_t *data,
                               size_t size)
{
    memcpy(block->data + WR_TLS_OUTPUT_OFFSET + block->used, data, size);
    block->used += (uint32_t)size;
}

/* Appends a copy of @size bytes to the output. Returns false, and appends
 * nothing, if memory runs out: a part of a record is useless to the peer. */
static bool engine_record_copy(struct wr_tls_engine *engine,
                               const uint8_t *data, size_t size)
{
    const struct wr_block *last = engine->output_last;
    const size_t room =
        last ? last->capacity - WR_TLS_OUTPUT_OFFSET - last->used : 0;
    const size_t first = wr_min_u64(size, room);
    const size_t rest = size - first;
    struct wr_block *block = NULL;

    if (rest > 0) {
        block = wr_block_take(engine->conn.account->blocks,
                              wr_max_u64(rest, ENGINE_RECORD_ROOM) +
                                  WR_TLS_OUTPUT_OFFSET);
        if (!block) {
            return false;
        }
    }
    if (first > 0) {
        engine_record_fill(engine->output_last, data, first);
    }
    if (rest > 0) {
        engine_record_fill(block, data + first, rest);
        engine_record_append(engine, block);
    }
    return true;
}

static int engine_record_send(struct wr_tls_engine *engine, const uint8_t *data,
                              size_t size)
{
    const struct wr_tls_backend *backend = engine->conn.backend;

    wr_assert(size > 0);
    wr_tls_engine_collect(engine);
    if (engine->state == WR_TLS_ENGINE_SENT_CLOSE ||
        engine->state == WR_TLS_ENGINE_CLOSED) {
        return 0; /* nothing is sent after the close_notify */
    }
    if (engine->no_memory) {
        return -ENOMEM; /* an earlier record is missing */
    }
    if (size >= ENGINE_RECORD_COPY_BELOW && backend->claim &&
        backend->claim(engine->conn.account, data)) {
        wr_assert(engine->claimed_size == 0);
        engine->claimed_size = (uint32_t)size;
    } else if (!engine_record_copy(engine, data, size)) {
        engine->no_memory = true;
        return -ENOMEM;
    }
    engine->output_bytes += size;
    return 0;
}

/* Sends a record of the handshake. The verdict's alert replaces the backend's
 * alert about a refused certificate. With TLS 1.3, if the client sent a session
 * identifier, a change_cipher_spec follows the server's first message, so that
 * old middleboxes take the connection for TLS 1.2 (RFC 8446, D.4). */
__attribute__((noinline, cold)) static int
engine_record_send_first(struct wr_tls_engine *engine, uint8_t *data,
                         size_t size)
{
    static const uint8_t change[] = {20, 3, 3, 0, 1, 1};
    const struct wr_tls_conn *conn = &engine->conn;
    const uint8_t handshake = 22;

    wr_assert(engine->state == WR_TLS_ENGINE_HANDSHAKE);
    if (engine->is_mute) {
        return 0;
    }
    wr_tls_engine_note_sent(engine, data, size);
    if (engine->verdict.alert > 0) {
        wr_tls_engine_replace_alert(engine, data, size);
    }
    wr_tls_engine_count_sealed(engine, data);
    engine->may_seal |= data[0] != handshake ||
                        (conn->backend->does & WR_TLS_DOES_ALERT) != 0 ||
                        conn->backend->get_version(conn) != WR_TLS_VERSION_1_2;
    const bool is_first = engine->owes_change && data[0] == handshake;
    const int err = engine_record_send(engine, data, size);
    if (err < 0 || !is_first) {
        return err;
    }
    engine->owes_change = false;
    return conn->backend->get_version(conn) == WR_TLS_VERSION_1_3
               ? engine_record_send(engine, change, sizeof(change))
               : 0;
}

int wr_tls_engine_put(struct wr_tls_conn *conn, uint8_t *data, size_t size)
{
    struct wr_tls_engine *engine = wr_tls_engine_of(conn);

    wr_assert(size > 0);
    return engine->state == WR_TLS_ENGINE_HANDSHAKE
               ? engine_record_send_first(engine, data, size)
               : engine_record_send(engine, data, size);
}

void wr_tls_engine_drop_output(struct wr_tls_engine *engine)
{
    struct wr_block *block = wr_tls_engine_take_output(engine);
    while (block) {
        struct wr_block *next = block->next;
        wr_block_give(engine->conn.account->blocks, block);
        block = next;
    }
    wr_assert(engine->output_bytes == 0);
}

struct wr_block *wr_tls_engine_take_output(struct wr_tls_engine *engine)
{
    struct wr_block *first = engine->output_first;
    wr_assert(!first == (engine->output_bytes == 0));
    engine->output_first = NULL;
    engine->output_last = NULL;
    engine->output_bytes = 0;
    return first;
}

size_t wr_tls_engine_get_output_bytes(const struct wr_tls_engine *engine)
{
    return engine->output_bytes;
}

/* Maximum number of bytes that sealing adds to a record: header 5, explicit
 * nonce 8 (TLS 1.2), type 1 (TLS 1.3), tag 16. */
#define ENGINE_RECORD_EXTRA 30u
_Static_assert(WR_TLS_RECORD_MAX + ENGINE_RECORD_EXTRA + WR_TLS_OUTPUT_OFFSET +
                       sizeof(struct wr_block) <=
                   16u << 10,
               "a whole record fits a block of 16 KiB");

static bool engine_record_is_flood(const struct wr_tls_engine *engine)
{
    const uint32_t most = engine->state == WR_TLS_ENGINE_HANDSHAKE
                              ? ENGINE_RECORD_HANDSHAKE_MAX
                              : ENGINE_RECORD_IDLE_MAX + engine->answers_due;
    return engine->idle_records > most;
}

/* Handles a record header whose length exceeds the limit. Replaces the length
 * by one that is 1 byte too large, to which each library responds with
 * record_overflow; for a larger length wolfSSL sends no alert. @data has the
 * last @size bytes of the header. If @size is 1, the backend already has the
 * first byte of the length, which stays. */
__attribute__((noinline, cold)) static void
engine_record_overflow(struct wr_tls_engine *engine, uint8_t *data, size_t size)
{
    const uint32_t known = WR_TLS_ENGINE_BODY_MAX + 1;

    wr_assert(size > 0);
    engine->oversized = true;
    engine->record_left = known;
    data[size - 1] = (uint8_t)known;
    if (size > 1) {
        data[size - 2] = (uint8_t)(known >> 8);
    }
}

/* Handles a record that exceeds the limit of idle records. After the handshake,
 * if @data has the whole header, changes it to that of an unencrypted record,
 * to which a TLS 1.3 library responds with unexpected_message. */
__attribute__((noinline, cold)) static void
engine_record_flood(struct wr_tls_engine *engine, uint8_t *data, size_t size)
{
    const uint8_t handshake = 22;

    wr_assert(size > 0);
    engine->flooded = true;
    if (engine->was_open && size == engine_record_header_size) {
        data[0] = handshake;
    }
}

/* Gives the backend meaningless bytes as the body of an oversized record.
 * Refuses the body of a record that exceeds the limit of idle records. */
__attribute__((noinline, cold)) static int
engine_record_give_body(struct wr_tls_engine *engine, uint8_t *buf, size_t size)
{
    const size_t count = wr_min_u64(size, engine->record_left);

    wr_assert(engine->oversized || engine->flooded);
    if (count == 0 || engine->flooded) {
        return WR_TLS_TAKE_REFUSED;
    }
    memset(buf, UINT8_MAX, count);
    engine->record_left -= (uint32_t)count;
    return (int)count;
}

/* Counts the records in the input. @data has @size bytes that the backend
 * takes, all of one header or all of one body. */
static void engine_record_count(struct wr_tls_engine *engine, uint8_t *data,
                                size_t size)
{
    if (engine->record_left > 0) {
        wr_assert(size <= engine->record_left);
        engine->record_left -= (uint32_t)size;
        return;
    }
    wr_assert(size <= engine_record_header_size - engine->header_fill);
    memcpy(&engine->header[engine->header_fill], data, size);
    engine->header_fill = (uint8_t)(engine->header_fill + size);
    if (engine->header_fill == engine_record_header_size) {
        engine->record_left = (uint32_t)wr_tls_engine_body_size(engine->header);
        engine->header_fill = 0;
        engine->idle_records++;
        engine->is_counted = true;
        if (WR_UNLIKELY(engine->record_left > WR_TLS_ENGINE_BODY_MAX)) {
            engine_record_overflow(engine, data, size);
        } else if (WR_UNLIKELY(engine_record_is_flood(engine))) {
            engine_record_flood(engine, data, size);
        }
    }
}

/* Sends an alert that the backend does not know about. Mutes the connection,
 * because the backend would send an alert of its own. */
static void engine_record_alert(struct wr_tls_engine *engine, uint8_t code)
{
    const uint8_t alert[] = {21, 3, 3, 0, 2, WR_TLS_ALERT_FATAL, code};

    wr_assert(!engine->was_open && engine->alert_sent < 0);
    wr_ignore(engine_record_send(engine, alert, sizeof(alert)) < 0);
    engine->alert_sent = code;
    engine->is_mute = true;
}

void wr_tls_engine_alert_internal(struct wr_tls_engine *engine)
{
    uint8_t record[WR_TLS_ENGINE_ALERT_MAX];

    wr_assert(engine->state == WR_TLS_ENGINE_HANDSHAKE);
    if (engine->alert_sent >= 0 || engine->is_mute || engine->no_memory) {
        return;
    }
    if (engine->conn.is_server && !engine->may_seal) {
        engine_record_alert(engine, WR_TLS_ALERT_INTERNAL_ERROR);
        return;
    }
    if (engine->conn.code != WEIR_ETLSSIGN ||
        (engine->conn.backend->does & WR_TLS_DOES_ALERT) ||
        !wr_tls_context_has_signers(engine->context)) {
        return;
    }
    const size_t size =
        wr_tls_engine_make_alert(engine, WR_TLS_ALERT_INTERNAL_ERROR, record);
    if (size > 0 && engine_record_send(engine, record, size) == 0) {
        engine->alert_sent = WR_TLS_ALERT_INTERNAL_ERROR;
    }
    engine->is_mute = true;
}

/* Called at the start of a record: reads the first message or skips early data.
 * Returns 0 if the backend may get input, else the event's result. */
static int engine_record_look(struct wr_tls_engine *engine)
{
    const enum wr_tls_engine_first first =
        engine->awaits_hello ? wr_tls_engine_take_hello(engine)
                             : wr_tls_engine_skip_early(engine);

    wr_assert(engine->record_left == 0 && engine->header_fill == 0);
    if (engine->offers_early && !wr_tls_engine_expect_early(engine)) {
        return WR_TLS_TAKE_REFUSED;
    }
    switch (first) {
    case WR_TLS_ENGINE_FIRST_WAITS:
        return WR_TLS_TAKE_WAITS;
    case WR_TLS_ENGINE_FIRST_FAILED:
        return WR_TLS_TAKE_REFUSED;
    case WR_TLS_ENGINE_FIRST_REFUSED:
        engine_record_alert(engine, engine->message_alert);
        return WR_TLS_TAKE_REFUSED;
    default:
        /* The program's `choose` may have aborted the connection. */
        return engine->input ? 0 : WR_TLS_TAKE_REFUSED;
    }
}

static bool engine_record_check(struct wr_tls_engine *engine,
                                const uint8_t *data, size_t size)
{
    if (size == 0 || engine->record_left == 0 ||
        wr_tls_engine_check_body(engine, data, size)) {
        return true;
    }
    if (engine->message_alert > 0 && engine->alert_sent < 0) {
        engine_record_alert(engine, engine->message_alert);
    }
    return false;
}

static int engine_record_give_hello(struct wr_tls_engine *engine, uint8_t *buf,
                                    size_t size)
{
    const struct wr_block *block = engine->hello;
    const uint8_t *data = block->data + engine->hello_given;
    const size_t count = wr_min_u64(size, block->used - engine->hello_given);

    wr_assert(count > 0);
    if (!engine_record_check(engine, data, count)) {
        return WR_TLS_TAKE_REFUSED;
    }
    memcpy(buf, data, count);
    engine_record_count(engine, buf, count);
    engine->hello_given += (uint32_t)count;
    return (int)count;
}

/* Returns 0 if the backend may get the input, else the event's result. */
__attribute__((noinline, cold)) static int
engine_record_take_first(struct wr_tls_engine *engine, uint8_t *buf,
                         size_t size)
{
    wr_assert(!engine->was_open);
    if (engine->hello && engine->hello_given == engine->hello->used) {
        wr_tls_engine_drop(engine, &engine->hello);
        engine->hello_given = 0;
    }
    if ((engine->awaits_hello || engine->early) && engine->record_left == 0 &&
        engine->header_fill == 0) {
        const int ret = engine_record_look(engine);
        if (ret != 0) {
            return ret;
        }
    }
    if (engine->hello) {
        return engine_record_give_hello(engine, buf, size);
    }
    const size_t count = wr_min_u64(size, engine->input_left);
    return engine_record_check(engine, engine->input, count)
               ? 0
               : WR_TLS_TAKE_REFUSED;
}

/* Returns true if the record without data that has just ended was an alert that
 * ends the connection. With TLS 1.3 every alert does, whatever its level (RFC
 * 8446, 6.2), except alerts that announce an end. A library may ignore alerts
 * that are not fatal, so this is checked here. */
__attribute__((noinline, cold)) static bool
engine_record_was_error(struct wr_tls_engine *engine)
{
    int received;
    int sent;

    engine->conn.backend->get_alerts(&engine->conn, &received, &sent);
    wr_assert(received >= -1);
    if (!engine->facts.is_newest) {
        engine->alert_passed = (int16_t)received;
    }
    return received >= WR_TLS_ALERT_WARNS && received != engine->alert_passed;
}

int wr_tls_engine_take(struct wr_tls_conn *conn, uint8_t *buf, size_t size)
{
    struct wr_tls_engine *engine = wr_tls_engine_of(conn);

    wr_debug_assert(size > 0);
    if (WR_UNLIKELY(engine->is_counted || engine->flooded ||
                    engine->oversized)) {
        if (engine->oversized || engine->flooded) {
            return engine_record_give_body(engine, buf, size);
        }
        if (engine->record_left == 0 && engine->header_fill == 0 &&
            engine_record_was_error(engine)) {
            return WR_TLS_TAKE_REFUSED;
        }
    }
    if (engine->state == WR_TLS_ENGINE_HANDSHAKE) {
        const int ret = engine_record_take_first(engine, buf, size);
        if (ret != 0) {
            return ret;
        }
    }
    const size_t count = wr_min_u64(size, engine->input_left);
    if (count == 0) {
        return WR_TLS_TAKE_WAITS;
    }
    memcpy(buf, engine->input, count);
    engine_record_count(engine, buf, count);
    engine->input += count;
    engine->input_left -= count;
    return (int)count;
}

bool wr_tls_engine_has_tls_header(const struct wr_tls_engine *engine)
{
    const uint8_t first = 20; /* change_cipher_spec */
    const uint8_t last = 23;  /* application_data */
    return engine->header[0] >= first && engine->header[0] <= last &&
           engine->header[1] == 3;
}

void wr_tls_engine_begin_data(struct wr_tls_engine *engine)
{
    wr_assert(engine->state == WR_TLS_ENGINE_OPEN && !engine->is_mute);
    wr_tls_engine_drop(engine, &engine->early);
    wr_tls_engine_drop(engine, &engine->secret);
    wr_tls_engine_drop(engine, &engine->message);
    wr_tls_engine_drop(engine, &engine->first);
    wr_tls_engine_drop(engine, &engine->hello);
    engine->was_open = true;
    engine->owes_change = false;
    engine->idle_records = 0;
    engine->is_counted = false;
    engine->plain_bytes = 0;
}

/* Uncounts one idle record, because the peer's answer will be one. Skips the
 * newest record, which is uncounted anyway if it has data. If no other record
 * is counted, raises the limit of idle records by one for the rest of the
 * connection. */
void wr_tls_engine_expect_answer(struct wr_tls_engine *engine)
{
    const uint32_t newest = engine->is_counted;

    wr_assert(engine->was_open);
    wr_assert(engine->idle_records >= newest);
    if (engine->idle_records > newest) {
        engine->idle_records--;
    } else if (engine->answers_due < UINT16_MAX) {
        engine->answers_due++;
    }
}

void wr_tls_engine_count_data(struct wr_tls_engine *engine, size_t size)
{
    wr_assert(size > 0);
    if (engine->is_counted) {
        wr_assert(engine->idle_records > 0);
        engine->is_counted = false;
        engine->idle_records--;
        engine->opened_left -= engine->opened_left > 0;
    }
    const uint64_t bytes = engine->plain_bytes + size;
    const uint64_t earned = bytes / ENGINE_RECORD_EARN_BYTES;
    engine->plain_bytes = (uint32_t)(bytes % ENGINE_RECORD_EARN_BYTES);
    engine->idle_records -= (uint32_t)wr_min_u64(engine->idle_records, earned);
}
