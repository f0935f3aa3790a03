/*
 * Early data (RFC 8446, 4.2.10), which weir's servers skip.
 *
 * A client that has a ticket of another server may send data right after its
 * hello, sealed with keys derived from the ticket. A server without these keys
 * skips the data and makes a full handshake. Early data ends before the first
 * record that the handshake keys open. wolfSSL closes the connection at a
 * record that it cannot open, so this file tries each record first. After a
 * HelloRetryRequest there are no keys yet: data records are skipped until the
 * second hello arrives.
 */
#include "engine_impl.h"
#include "lib/tls/context/context.h"

#include <errno.h>
#include <string.h>

/* Maximum number of data bytes that are skipped, OpenSSL's default. A record
 * counts as at least ENGINE_EARLY_LEAST bytes, because each attempt to open a
 * record costs CPU time. */
#define ENGINE_EARLY_MAX (1u << 14)

enum {
    ENGINE_EARLY_CHANGE = 20, /* record types */
    ENGINE_EARLY_HANDSHAKE = 22,
    ENGINE_EARLY_DATA = 23,
    ENGINE_EARLY_HEADER = 5,
    ENGINE_EARLY_EXTRA = WR_TLS_ENGINE_TAG + 1, /* tag and content type */
    ENGINE_EARLY_LEAST = 16,
};

static struct wr_tls_engine_early *
engine_early_of(const struct wr_tls_engine *engine)
{
    wr_assert(engine->early != NULL);
    return (void *)engine->early->data;
}

bool wr_tls_engine_expect_early(struct wr_tls_engine *engine)
{
    const struct wr_tls_backend *backend = engine->conn.backend;

    wr_assert(engine->conn.is_server && !engine->early);
    engine->offers_early = false;
    if ((backend->does & WR_TLS_DOES_SKIP_EARLY) ||
        !(backend->does & WR_TLS_DOES_SECRETS)) {
        return true;
    }
    engine->early = wr_block_take(engine->conn.account->blocks,
                                  sizeof(struct wr_tls_engine_early));
    if (!engine->early) {
        engine->no_memory = true;
        return false;
    }
    *engine_early_of(engine) =
        (struct wr_tls_engine_early){.left = ENGINE_EARLY_MAX};
    backend->hear_secrets(&engine->conn);
    return true;
}

/* Returns true if the record must go to the backend: it is not early data, or
 * the backend must refuse it. An error other than a wrong tag does not show
 * whether the keys fit, so the backend decides. */
static bool engine_early_is_over(struct wr_tls_engine *engine, uint8_t *record)
{
    const struct wr_tls_engine_early *early = engine_early_of(engine);
    const size_t size = wr_tls_engine_body_size(record);

    if (size > WR_TLS_ENGINE_BODY_MAX) {
        return true;
    }
    if (early->keys.suite == 0 || size < ENGINE_EARLY_EXTRA) {
        return false;
    }
    struct wr_block *block = wr_block_take(engine->conn.account->blocks, size);
    if (!block) {
        engine->no_memory = true;
        return false;
    }
    const int err = wr_tls_engine_open_first(&early->keys, record, block->data);
    const bool is_foreign = err == -EBADMSG;
    if (!is_foreign) {
        explicit_bzero(block->data, size);
    }
    wr_block_give(engine->conn.account->blocks, block);
    return !is_foreign;
}

static enum wr_tls_engine_first engine_early_end(struct wr_tls_engine *engine)
{
    wr_tls_engine_drop(engine, &engine->early);
    engine->hello_given =
        ENGINE_EARLY_HEADER; /* ->hello starts with unused space for a header */
    return WR_TLS_ENGINE_FIRST_PASSES;
}

/* Skips the collected record, or ends early data. After too much early data the
 * backend gets a record to which it responds with unexpected_message: if there
 * are keys, the record becomes an unencrypted one, else it stays as it is. */
static enum wr_tls_engine_first
engine_early_decide(struct wr_tls_engine *engine)
{
    struct wr_tls_engine_early *early = engine_early_of(engine);
    uint8_t *record = engine->hello->data + ENGINE_EARLY_HEADER;
    const size_t size = wr_max_u64(wr_tls_engine_body_size(record),
                                   ENGINE_EARLY_EXTRA + ENGINE_EARLY_LEAST) -
                        ENGINE_EARLY_EXTRA;

    if (engine_early_is_over(engine, record)) {
        return engine_early_end(engine);
    }
    if (engine->no_memory) {
        return WR_TLS_ENGINE_FIRST_FAILED;
    }
    if (size > early->left) {
        if (early->keys.suite != 0) {
            record[0] = ENGINE_EARLY_HANDSHAKE;
            record[4] |= 1; /* the body is not empty */
        }
        return engine_early_end(engine);
    }
    early->left -= (uint32_t)size;
    wr_tls_engine_drop(engine, &engine->hello);
    return WR_TLS_ENGINE_FIRST_SKIPPED;
}

/* Returns true if the next record may be early data: it has the data type, and
 * the version is TLS 1.3. Any other record goes to the backend and ends early
 * data, except a change_cipher_spec of TLS 1.3. */
static bool engine_early_comes(struct wr_tls_engine *engine)
{
    wr_assert(!engine->hello);
    if (engine->input_left == 0) {
        return false;
    }
    const uint8_t type = engine->input[0];
    if ((type != ENGINE_EARLY_DATA && type != ENGINE_EARLY_CHANGE) ||
        engine->conn.backend->get_version(&engine->conn) !=
            WR_TLS_VERSION_1_3) {
        wr_tls_engine_drop(engine, &engine->early);
        return false;
    }
    return type == ENGINE_EARLY_DATA;
}

/* Collects a record in ->hello, or only its header if the record is too
 * long. */
static enum wr_tls_engine_first
engine_early_collect(struct wr_tls_engine *engine)
{
    for (;;) {
        const size_t fill =
            engine->hello ? engine->hello->used - ENGINE_EARLY_HEADER : 0;
        size_t want = ENGINE_EARLY_HEADER;
        if (fill >= ENGINE_EARLY_HEADER) {
            const size_t size = wr_tls_engine_body_size(engine->hello->data +
                                                        ENGINE_EARLY_HEADER);
            want += size > WR_TLS_ENGINE_BODY_MAX ? 0 : size;
        }
        if (fill > 0 && fill == want) {
            return engine_early_decide(engine);
        }
        if (engine->input_left == 0) {
            return WR_TLS_ENGINE_FIRST_WAITS;
        }
        if (!wr_tls_engine_fill_hello(engine, fill, want)) {
            return WR_TLS_ENGINE_FIRST_FAILED;
        }
    }
}

enum wr_tls_engine_first wr_tls_engine_skip_early(struct wr_tls_engine *engine)
{
    enum wr_tls_engine_first first = WR_TLS_ENGINE_FIRST_SKIPPED;

    while (first == WR_TLS_ENGINE_FIRST_SKIPPED) {
        if (!engine->hello && !engine_early_comes(engine)) {
            return WR_TLS_ENGINE_FIRST_PASSES;
        }
        first = engine_early_collect(engine);
    }
    return first;
}
