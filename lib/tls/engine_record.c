/*
 * Records in and out: the two callbacks through which wolfSSL moves bytes.
 *
 * wolfSSL asks for a record's header of 5 bytes, then for its body. So this
 * file sees where records begin, and limits those that bring no data: key
 * updates, warnings, tickets, empty ones. Each costs work here, and wolfSSL
 * goes on reading as long as there are any. A connection may have
 * ENGINE_RECORD_IDLE_MAX of them in advance; data earns more of them.
 *
 * A record of some size leaves in the buffer in which it was sealed (memory.h);
 * small ones are packed into one block.
 */
#include "context.h"
#include "engine_impl.h"
#include "hello.h"

#include <string.h>

/* Records without data on an open connection, before data earns more. */
#define ENGINE_RECORD_IDLE_MAX 64u
/* Bytes of data that earn one more. */
#define ENGINE_RECORD_EARN_BYTES 1024u
/* Records of one handshake; each byte of a message may be in its own. */
#define ENGINE_RECORD_HANDSHAKE_MAX (64u << 10)
/* The body of a record, as TLS 1.3 has it (RFC 8446, 5.2). TLS 1.2 allows more,
 * for suites that weir does not have, and wolfSSL as much for both. */
#define ENGINE_RECORD_BODY_MAX ((1u << 14) + 256u)
/* A hello that is looked into. */
#define ENGINE_RECORD_HELLO_MAX 3072u
/* A sealed record below this size is copied into a block with others. */
#define ENGINE_RECORD_COPY_BELOW 2048u
/* Room in a small block behind the record offset. */
#define ENGINE_RECORD_ROOM (WR_BLOCK_SMALL - WR_TLS_MEMORY_RECORD_OFFSET)

static const uint32_t engine_record_header_size = 5;

/* ---- in ---- */

/* Whether one more record is one too many. */
static bool engine_record_is_flood(const struct wr_tls_engine *engine)
{
    const uint32_t most = engine->state == WR_TLS_ENGINE_HANDSHAKE
                              ? ENGINE_RECORD_HANDSHAKE_MAX
                              : ENGINE_RECORD_IDLE_MAX;
    return engine->idle_records > most;
}

/* The size of the newest record's body, of which some may have been taken. */
static uint32_t engine_record_size(const struct wr_tls_engine *engine)
{
    return (uint32_t)engine->header[3] << 8 | engine->header[4];
}

/* wolfSSL takes @size bytes at @data: of a header or of a body, not of both. */
static void engine_record_count(struct wr_tls_engine *engine,
                                const uint8_t *data, size_t size)
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
        engine->record_left = engine_record_size(engine);
        engine->header_fill = 0;
        engine->oversized = engine->record_left > ENGINE_RECORD_BODY_MAX;
        engine->idle_records++;
        engine->is_counted = true;
    }
}

/* Whether wolfSSL takes the first record's body as a whole. The last part of
 * one that came in parts is as large as what is left, but no message. */
static bool engine_record_is_hello(const struct wr_tls_engine *engine,
                                   size_t size)
{
    const uint8_t handshake = 22;

    wr_assert(engine->header_fill < engine_record_header_size);
    return engine->is_server && engine->idle_records == 1 && size > 0 &&
           size == engine_record_size(engine) && engine->header[0] == handshake;
}

/* Sends nothing: wolfSSL, which is not shown a hello that was refused, calls it
 * a bad record. */
static int engine_record_drop(WOLFSSL *ssl, char *buf, int size, void *arg)
{
    (void)ssl;
    (void)buf;
    (void)arg;
    wr_assert(size > 0);
    return size;
}

/* wolfSSL, which has not read the hello, sends no alert of a refusal. */
static bool engine_record_meet_bare(struct wr_tls_engine *engine)
{
    char alert[] = {21, 3, 3, 0, 2, alert_fatal, 0};
    uint8_t code;

    wr_assert(!engine->met_client);
    if (wr_tls_context_meet_bare(engine->context, engine->ssl, &code) == 0) {
        return true;
    }
    alert[sizeof(alert) - 1] = (char)code;
    wr_ignore(wr_tls_engine_send(engine->ssl, alert, sizeof(alert), engine) <
              0); /* without memory for it there is none */
    engine->alert_sent = code;
    wolfSSL_SSLSetIOSend(engine->ssl, engine_record_drop);
    return false;
}

/* Looks at a ClientHello that came in one piece: of another one the name stays
 * unknown, and a ticket of TLS 1.2 in it is not used. False: it is refused. */
static bool engine_record_look_at_hello(struct wr_tls_engine *engine,
                                        const uint8_t *data, size_t size)
{
    struct wr_tls_hello_name name = {.data = NULL};
    const enum wr_tls_hello hello = wr_tls_hello_read(data, size, &name);

    wr_assert(!engine->was_open);
    if (hello == WR_TLS_HELLO_BARE) {
        return engine_record_meet_bare(engine);
    }
    if (hello == WR_TLS_HELLO_TICKET) {
        engine->knows_asked_name =
            wr_tls_ticket_digest_name(name.data, name.len,
                                      engine->asked_name) == 0;
    }
    return true;
}

void wr_tls_engine_drop_hello(struct wr_tls_engine *engine)
{
    wr_assert(!engine->hello || engine->can_export);
    if (engine->hello) {
        wr_block_give(engine->memory->blocks, engine->hello);
        engine->hello = NULL;
    }
}

/* Keeps what the peer says first until it is whole, and looks for the extended
 * master secret. Without memory, and of a longer one, it is not found. */
static void engine_record_keep_hello(struct wr_tls_engine *engine,
                                     const uint8_t *data, size_t size)
{
    wr_assert(!engine->saw_hello);
    if (!engine->hello) {
        engine->hello =
            wr_block_take(engine->memory->blocks, ENGINE_RECORD_HELLO_MAX);
        if (!engine->hello) {
            engine->saw_hello = true;
            return;
        }
        engine->hello->used = 0;
    }
    struct wr_block *block = engine->hello;
    const size_t count = wr_min_u64(size, block->capacity - block->used);
    memcpy(block->data + block->used, data, count);
    block->used += (uint32_t)count;
    if (count < size || wr_tls_hello_is_whole(block->data, block->used)) {
        engine->saw_hello = true;
        engine->has_extended_secret = wr_tls_hello_has_extended_secret(
            block->data, block->used, engine->is_server);
        wr_tls_engine_drop_hello(engine);
    }
}

/* Looks at bytes of a handshake before wolfSSL does; false: it must not have
 * them. Kept out of the way of the records that follow. */
__attribute__((noinline, cold)) static bool
engine_record_look(struct wr_tls_engine *engine, const uint8_t *data,
                   size_t size)
{
    wr_assert(!engine->was_open);
    if (engine_record_is_hello(engine, size) &&
        !engine_record_look_at_hello(engine, data, size)) {
        return false;
    }
    if (engine->input_left < size) {
        return false; /* the program, which was asked, aborts the connection */
    }
    if (engine->can_export && !engine->saw_hello) {
        engine_record_keep_hello(engine, data, size);
    }
    return true;
}

int wr_tls_engine_recv(WOLFSSL *ssl, char *buf, int size, void *arg)
{
    struct wr_tls_engine *engine = arg;

    wr_assert(ssl == engine->ssl);
    wr_assert(size > 0);
    if (engine_record_is_flood(engine)) {
        engine->flooded = true;
        return WOLFSSL_CBIO_ERR_GENERAL;
    }
    if (engine->oversized) {
        return WOLFSSL_CBIO_ERR_GENERAL;
    }
    const size_t count = wr_min_u64((unsigned)size, engine->input_left);
    if (count == 0) {
        return WOLFSSL_CBIO_ERR_WANT_READ;
    }
    memcpy(buf, engine->input, count);
    if (engine->state == WR_TLS_ENGINE_HANDSHAKE && engine->record_left > 0 &&
        !engine_record_look(engine, engine->input, count)) {
        return WOLFSSL_CBIO_ERR_GENERAL;
    }
    engine_record_count(engine, engine->input, count);
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
    wr_assert(engine->state == WR_TLS_ENGINE_OPEN);
    engine->was_open = true;
    engine->idle_records = 0;
    engine->plain_bytes = 0;
}

void wr_tls_engine_count_data(struct wr_tls_engine *engine, size_t size)
{
    wr_assert(size > 0);
    if (engine->is_counted) {
        wr_assert(engine->idle_records > 0);
        engine->is_counted = false;
        engine->idle_records--;
    }
    const uint64_t bytes = engine->plain_bytes + size;
    const uint64_t earned = bytes / ENGINE_RECORD_EARN_BYTES;
    engine->plain_bytes = (uint32_t)(bytes % ENGINE_RECORD_EARN_BYTES);
    engine->idle_records -= (uint32_t)wr_min_u64(engine->idle_records, earned);
}

/* ---- out ---- */

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
    struct wr_block *block = wr_tls_memory_take_claimed(engine->memory);
    if (!block) {
        wr_assert(engine->claimed_size == 0);
        return;
    }
    wr_assert(engine->claimed_size > 0);
    block->used = engine->claimed_size;
    block->next = NULL;
    engine->claimed_size = 0;
    engine_record_append(engine, block);
}

/* The room behind what the last block holds. */
static size_t engine_record_room(const struct wr_tls_engine *engine)
{
    const struct wr_block *last = engine->output_last;
    return last ? last->capacity - WR_TLS_MEMORY_RECORD_OFFSET - last->used : 0;
}

static void engine_record_fill(struct wr_block *block, const uint8_t *data,
                               size_t size)
{
    memcpy(block->data + WR_TLS_MEMORY_RECORD_OFFSET + block->used, data, size);
    block->used += (uint32_t)size;
}

/* Copies @size bytes behind the output: all of them or none, as a peer cannot
 * make anything of a part. */
static bool engine_record_copy(struct wr_tls_engine *engine,
                               const uint8_t *data, size_t size)
{
    const size_t first = wr_min_u64(size, engine_record_room(engine));
    const size_t rest = size - first;
    struct wr_block *block = NULL;

    if (rest > 0) {
        block = wr_block_take(engine->memory->blocks,
                              wr_max_u64(rest, ENGINE_RECORD_ROOM) +
                                  WR_TLS_MEMORY_RECORD_OFFSET);
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

int wr_tls_engine_send(WOLFSSL *ssl, char *buf, int size, void *arg)
{
    struct wr_tls_engine *engine = arg;
    const size_t count = (unsigned)size;

    wr_assert(ssl == engine->ssl);
    wr_assert(size > 0);
    wr_tls_engine_collect(engine);
    if (engine->state == WR_TLS_ENGINE_SENT_CLOSE ||
        engine->state == WR_TLS_ENGINE_CLOSED) {
        return size; /* the close_notify was the last: an answer is not sent */
    }
    if (engine->no_memory) {
        return WOLFSSL_CBIO_ERR_GENERAL; /* a record is missing before this */
    }
    if (count >= ENGINE_RECORD_COPY_BELOW &&
        wr_tls_memory_claim(engine->memory, buf)) {
        engine->claimed_size = (uint32_t)count;
    } else if (!engine_record_copy(engine, (const uint8_t *)buf, count)) {
        engine->no_memory = true;
        return WOLFSSL_CBIO_ERR_GENERAL;
    }
    engine->output_bytes += count;
    return size;
}

void wr_tls_engine_drop_output(struct wr_tls_engine *engine)
{
    struct wr_block *block = wr_tls_engine_take_output(engine);
    while (block) {
        struct wr_block *next = block->next;
        wr_block_give(engine->memory->blocks, block);
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

/* Bytes that a record adds in any suite of TLS 1.2 and 1.3: header 5, explicit
 * nonce 8, type 1, tag 16. */
#define ENGINE_RECORD_EXTRA 30u
_Static_assert(WR_TLS_RECORD_MAX + ENGINE_RECORD_EXTRA +
                       WR_TLS_MEMORY_RECORD_OFFSET + sizeof(struct wr_block) <=
                   16u << 10,
               "a whole record fits a block of 16 KiB");

size_t wr_tls_engine_sealed_size(size_t len)
{
    const size_t records = (len + WR_TLS_RECORD_MAX - 1) / WR_TLS_RECORD_MAX;
    return len + records * ENGINE_RECORD_EXTRA;
}
