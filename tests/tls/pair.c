/*
 * Two sides in memory, and the bytes between them; see rig.h.
 *
 * A handshake feeds each side the other's output. Afterwards each side reads
 * once more, so that session tickets are received.
 */
#include "tests/tls/rig.h"

void tls_pair_move(struct tls_side *from, struct tls_side *to, size_t piece)
{
    const size_t len = from->wire_len;
    uint8_t *copy = malloc(len + 1);
    memcpy(copy, from->wire, len);
    from->wire_len = 0;
    tls_side_feed(to, copy, len, piece ? piece : len);
    free(copy);
}

void tls_pair_exchange(struct tls_pair *pair, size_t piece)
{
    tls_side_flush(&pair->client);
    tls_side_flush(&pair->server);
    while (pair->client.wire_len > 0 || pair->server.wire_len > 0) {
        tls_pair_move(&pair->client, &pair->server, piece);
        tls_pair_move(&pair->server, &pair->client, piece);
    }
}

void tls_pair_open(struct tls_pair *pair, weir_tls_context *client,
                   weir_tls_context *server,
                   const struct wr_tls_peer_options *how)
{
    const struct wr_tls_peer_options server_how = {0};
    tls_account_open(&pair->account);
    expect_eq(tls_side_open(&pair->client, client, how, &pair->account), 0);
    expect_ok(
        tls_side_open(&pair->server, server, &server_how, &pair->account));
}

void tls_pair_connect(struct tls_pair *pair, weir_tls_context *client,
                      weir_tls_context *server,
                      const struct wr_tls_peer_options *how)
{
    tls_pair_open(pair, client, server, how);
    tls_side_step(&pair->client);
    tls_pair_exchange(pair, pair->piece);
}

void tls_pair_disconnect(struct tls_pair *pair)
{
    tls_side_close(&pair->client);
    tls_side_close(&pair->server);
    tls_account_close(&pair->account);
    weir_tls_context_unref(pair->client.context);
    weir_tls_context_unref(pair->server.context);
    pair->client.context = pair->server.context = NULL;
}

void tls_pair_expect(const struct tls_pair *pair, int client, int server)
{
    const struct wr_tls_engine *client_engine = &pair->client.engine;
    const struct wr_tls_engine *server_engine = &pair->server.engine;
    expect_eq(client_engine->err, client, "%s; server: %s",
              wr_tls_engine_get_error_text(client_engine),
              wr_tls_engine_get_error_text(server_engine));
    expect_eq(server_engine->err, server, "%s",
              wr_tls_engine_get_error_text(server_engine));
    if (client == 0) {
        expect_eq(client_engine->state, WR_TLS_ENGINE_OPEN);
        expect_eq(server_engine->state, WR_TLS_ENGINE_OPEN);
    }
}

void tls_pair_end(struct tls_pair *pair, int client, int server)
{
    tls_pair_expect(pair, client, server);
    tls_pair_disconnect(pair);
}
