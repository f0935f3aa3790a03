/*
 * One end of TLS: an engine, its memory and its bytes; see rig.h.
 *
 * Input is copied to an allocation of exactly its size, so that a sanitizer
 * notices a read beyond it.
 */
#include "tests/tls/rig.h"

void tls_account_open(struct tls_account *account)
{
    allocator_init(&account->allocator);
    wr_blocks_init(&account->blocks, &account->allocator.hooks);
    account->known = malloc(wr_tls_backend_get()->account_size);
    cr_assert_not_null(account->known);
    wr_tls_backend_get()->account_init(account->known, &account->blocks);
}

void tls_account_close(struct tls_account *account)
{
    wr_tls_backend_get()->account_fini(
        account->known); /* asserts it is empty */
    free(account->known);
    wr_blocks_check_invariants(&account->blocks);
    wr_blocks_fini(&account->blocks);
    allocator_check(&account->allocator);
}

static void side_keep(uint8_t *to, size_t *len, const void *data, size_t more)
{
    cr_assert_leq(*len + more, TLS_BYTES);
    memcpy(to + *len, data, more);
    *len += more;
}

static void side_send(void *arg, const void *data, size_t len)
{
    struct tls_side *side = arg;
    side_keep(side->wire, &side->wire_len, data, len);
}

static void side_opened(void *arg, const void *data, size_t len)
{
    struct tls_side *side = arg;
    side_keep(side->plain, &side->plain_len, data, len);
}

static const struct tls_way in_memory = {.send = side_send,
                                         .opened = side_opened};

int tls_side_open(struct tls_side *side, weir_tls_context *context,
                  const struct wr_tls_peer_options *how,
                  struct tls_account *account)
{
    const int err =
        wr_tls_engine_init(&side->engine, context, how, account->known);
    if (err < 0) {
        return err;
    }
    side->plain_len = side->wire_len = 0;
    if (!side->way) {
        side->way = &in_memory;
        side->arg = side;
        side->plain = malloc(TLS_BYTES);
        side->wire = malloc(TLS_BYTES);
        cr_assert(side->plain && side->wire);
    }
    return 0;
}

void tls_side_close(struct tls_side *side)
{
    if (side->engine.conn.ssl) {
        wr_tls_engine_fini(&side->engine);
    }
    free(side->plain);
    free(side->wire);
    side->plain = side->wire = NULL;
    side->way = NULL;
}

void tls_side_flush(struct tls_side *side)
{
    const size_t expected = wr_tls_engine_get_output_bytes(&side->engine);
    size_t bytes = 0;
    struct wr_block *block = wr_tls_engine_take_output(&side->engine);
    while (block) {
        struct wr_block *next = block->next;
        side->way->send(side->arg, wr_tls_engine_output_of(block), block->used);
        bytes += block->used;
        wr_block_give(side->engine.conn.account->blocks, block);
        block = next;
    }
    expect_eq(bytes, expected);
}

void tls_side_advance(struct tls_side *side)
{
    struct wr_tls_engine *engine = &side->engine;
    uint8_t plain[WR_TLS_RECORD_MAX]; /* not static, because a callback may step
                                       * another side */

    if (engine->state == WR_TLS_ENGINE_HANDSHAKE) {
        side->result = wr_tls_engine_handshake(engine);
        if (side->result < 0) {
            return;
        }
    }
    while ((side->result = wr_tls_engine_read(engine, plain, sizeof(plain))) >
           0) {
        side->way->opened(side->arg, plain, (size_t)side->result);
    }
    expect_eq(wr_tls_engine_get_input_left(engine), 0);
}

void tls_side_step(struct tls_side *side)
{
    tls_side_advance(side);
    tls_side_flush(side);
}

void tls_side_feed(struct tls_side *side, const void *data, size_t len,
                   size_t piece)
{
    const uint8_t *at = data;
    while (len > 0) {
        const size_t count = len < piece ? len : piece;
        uint8_t *copy = malloc(count);
        memcpy(copy, at, count);
        wr_tls_engine_feed(&side->engine, copy, count);
        tls_side_step(side);
        free(copy);
        at += count;
        len -= count;
    }
}

void tls_side_spoil(struct tls_side *side)
{
    static const uint8_t record[5 + 40] = {23, 3, 3, 0, 40};

    wr_tls_engine_feed(&side->engine, record, sizeof(record));
    tls_side_advance(side);
    expect_lt(side->result, 0);
}
