/*
 * The joint of two engines: a handshake is driven by feeding each side what the
 * other has sealed, and after it each reads what arrives, so that tickets are
 * taken. The account must be empty again when the engines are gone.
 */
#include "tls_pair.h"

#include <weir/error.h>

weir_tls_context *tls_pair_context(const struct weir_tls_options *options)
{
    char text[256];
    weir_tls_context *context = NULL;
    int err = weir_tls_context_new(options, &context, text, sizeof(text));
    cr_assert_eq(err, 0, "%s: %s", weir_err_name(err), text);
    expect_str_eq(text, "");
    return context;
}

/* Feeds bytes and steps on until the engine wants more. */
static void pair_feed(struct wr_tls_engine *to, const uint8_t *data, size_t len)
{
    uint8_t byte[16];

    wr_tls_engine_feed(to, data, len);
    ssize_t result =
        to->state == WR_TLS_ENGINE_HANDSHAKE ? wr_tls_engine_handshake(to) : 0;
    while (result >= 0 && to->state == WR_TLS_ENGINE_OPEN) {
        result = wr_tls_engine_read(to, byte, sizeof(byte));
    }
}

static void pair_carry(struct tls_pair *pair, struct wr_tls_engine *from,
                       struct wr_tls_engine *to)
{
    struct wr_block *block = wr_tls_engine_take_output(from);
    while (block) {
        struct wr_block *next = block->next;
        const size_t piece = pair->piece ? pair->piece : block->used;
        for (size_t at = 0; at < block->used; at += piece) {
            pair_feed(to, wr_tls_engine_output_of(block) + at,
                      wr_min_u64(piece, block->used - at));
        }
        wr_block_give(&pair->blocks, block);
        block = next;
    }
}

void tls_pair_exchange(struct tls_pair *pair)
{
    while (pair->client.output_first || pair->server.output_first) {
        pair_carry(pair, &pair->client, &pair->server);
        pair_carry(pair, &pair->server, &pair->client);
    }
}

void tls_pair_open(struct tls_pair *pair, weir_tls_context *client,
                   weir_tls_context *server,
                   const struct wr_tls_peer_options *how)
{
    const struct wr_tls_peer_options server_how = {0};
    allocator_init(&pair->allocator);
    wr_blocks_init(&pair->blocks, &pair->allocator.hooks);
    wr_tls_memory_init(&pair->memory, &pair->blocks);
    cr_assert_eq(wr_tls_engine_init(&pair->client, client, how, &pair->memory),
                 0);
    cr_assert_eq(
        wr_tls_engine_init(&pair->server, server, &server_how, &pair->memory),
        0);
}

void tls_pair_connect(struct tls_pair *pair, weir_tls_context *client,
                      weir_tls_context *server,
                      const struct wr_tls_peer_options *how)
{
    tls_pair_open(pair, client, server, how);
    wr_ignore(wr_tls_engine_handshake(&pair->client));
    tls_pair_exchange(pair);
}

void tls_pair_join(struct tls_pair *pair, const struct weir_tls_options *client,
                   const struct weir_tls_options *server,
                   const struct wr_tls_peer_options *how)
{
    const struct wr_tls_peer_options to_localhost = {.server_hostname =
                                                         "localhost"};
    weir_tls_context *client_context = tls_pair_context(client);
    weir_tls_context *server_context = tls_pair_context(server);
    tls_pair_connect(pair, client_context, server_context,
                     how ? how : &to_localhost);
    weir_tls_context_unref(client_context);
    weir_tls_context_unref(server_context);
}

void tls_pair_disconnect(struct tls_pair *pair)
{
    wr_tls_engine_fini(&pair->client);
    wr_tls_engine_fini(&pair->server);
    wr_tls_memory_fini(&pair->memory);
    wr_blocks_fini(&pair->blocks);
    allocator_check(&pair->allocator);
}

void tls_pair_expect(const struct tls_pair *pair, int client, int server)
{
    const int client_err = wr_tls_engine_get_error(&pair->client);
    const int server_err = wr_tls_engine_get_error(&pair->server);
    expect_eq(client_err, client, "%s; server: %s",
              wr_tls_engine_get_error_text(&pair->client),
              wr_tls_engine_get_error_text(&pair->server));
    expect_eq(server_err, server, "%s",
              wr_tls_engine_get_error_text(&pair->server));
    if (client == 0) {
        expect_eq(pair->client.state, WR_TLS_ENGINE_OPEN);
        expect_eq(pair->server.state, WR_TLS_ENGINE_OPEN);
    }
}
