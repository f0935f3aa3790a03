/*
 * The peer of the tests of ends; see tls_end_rig.h.
 *
 * It is a non-blocking socket and an engine; bytes are moved between them step
 * by step. Encrypted bytes may be sent in part or altered, and other bytes sent
 * instead.
 */
#include "tests/contract/tls_end_rig.h"

static void peer_send(struct tls_end *end, const void *data, size_t len)
{
    const uint8_t *bytes = data;
    for (size_t done = 0; done < len;) {
        const ssize_t sent =
            send(end->peer.fd, bytes + done, len - done, MSG_NOSIGNAL);
        if (sent >= 0) {
            done += (size_t)sent;
            continue;
        }
        if (errno == EPIPE || errno == ECONNRESET) {
            return; /* the subject is gone, and the peer will see it */
        }
        expect_eq(errno, EAGAIN);
        weir_loop_stop(end->loop);
        expect_eq(weir_loop_run(end->loop), 0);
    }
}

static bool peer_can_send(const struct tls_peer *peer)
{
    return peer->fd >= 0 && peer->end != -ECONNRESET;
}

void tls_peer_send(struct tls_end *end, const void *data, size_t len)
{
    struct tls_side *outer = &end->peer.outer;
    const uint8_t *bytes = data;
    if (end->way != TLS_END_NESTED) {
        peer_send(end, data, len);
        return;
    }
    while (len > 0) {
        const size_t part = len < WR_TLS_RECORD_MAX ? len : WR_TLS_RECORD_MAX;
        expect_eq(wr_tls_engine_write(&outer->engine, bytes, part), 0);
        bytes += part;
        len -= part;
    }
    tls_side_flush(outer);
}

void tls_peer_flush(struct tls_end *end)
{
    tls_side_flush(&end->peer.side);
}

static void side_send(void *arg, const void *data, size_t len)
{
    struct tls_end *end = arg;
    if (peer_can_send(&end->peer)) {
        tls_peer_send(end, data, len);
    }
}

static void side_opened(void *arg, const void *data, size_t len)
{
    struct tls_peer *peer = &((struct tls_end *)arg)->peer;
    cr_assert(rig_is_pattern(data, peer->plain, len));
    peer->plain += len;
}

static void outer_send(void *arg, const void *data, size_t len)
{
    struct tls_end *end = arg;
    if (peer_can_send(&end->peer)) {
        peer_send(end, data, len);
    }
}

static void advance(struct tls_side *side)
{
    tls_side_advance(side);
    if (side->engine.state != WR_TLS_ENGINE_FAILED) {
        tls_side_flush(side);
    }
}

/* Bytes decrypted by the outer engine are for the inner one. */
static void outer_opened(void *arg, const void *data, size_t len)
{
    struct tls_side *side = &((struct tls_end *)arg)->peer.side;
    wr_tls_engine_feed(&side->engine, data, len);
    advance(side);
}

static const struct tls_way side_way = {.send = side_send,
                                        .opened = side_opened};
static const struct tls_way outer_way = {.send = outer_send,
                                         .opened = outer_opened};

void tls_peer_begin(struct tls_end *end)
{
    expect_eq(end->peer.side.engine.state, WR_TLS_ENGINE_HANDSHAKE);
    advance(&end->peer.side);
}

void tls_peer_begin_outer(struct tls_end *end)
{
    expect_eq(end->peer.outer.engine.state, WR_TLS_ENGINE_HANDSHAKE);
    advance(&end->peer.outer);
}

static void peer_ended(struct tls_end *end, int how)
{
    struct tls_peer *peer = &end->peer;
    peer->end = how;
    if (how == 0 && end->way == TLS_END_NESTED) {
        wr_tls_engine_feed_eof(&peer->outer.engine);
        advance(&peer->outer);
    }
    if (how == 0) {
        wr_tls_engine_feed_eof(&peer->side.engine);
        advance(&peer->side);
    }
}

void tls_peer_step(struct tls_end *end)
{
    struct tls_peer *peer = &end->peer;
    struct tls_side *first =
        end->way == TLS_END_NESTED ? &peer->outer : &peer->side;
    static uint8_t buf[16384];

    while (peer->fd >= 0 && peer->end > 0 && !peer->is_deaf) {
        const ssize_t len = recv(peer->fd, buf, sizeof(buf), 0);
        if (len <= 0) {
            if (len == 0 || errno != EAGAIN) {
                peer_ended(end, len == 0 ? 0 : -errno);
            }
            return;
        }
        wr_tls_engine_feed(&first->engine, buf, (size_t)len);
        advance(first);
    }
}

size_t tls_peer_seal(struct tls_end *end, size_t len, uint8_t *ret, size_t size)
{
    static uint8_t plain[WR_TLS_RECORD_MAX];
    struct tls_peer *peer = &end->peer;
    size_t sealed = 0;

    cr_assert_leq(len, sizeof(plain));
    rig_pattern(plain, end->sent, len);
    tls_peer_flush(end);
    expect_eq(wr_tls_engine_write(&peer->side.engine, plain, len), 0);
    end->sent += len;
    struct wr_block *block = wr_tls_engine_take_output(&peer->side.engine);
    while (block) {
        struct wr_block *next = block->next;
        cr_assert_leq(sealed + block->used, size);
        memcpy(ret + sealed, wr_tls_engine_output_of(block), block->used);
        sealed += block->used;
        wr_block_give(&peer->account.blocks, block);
        block = next;
    }
    return sealed;
}

void tls_peer_write(struct tls_end *end, size_t len)
{
    static uint8_t sealed[32768];
    while (len > 0) {
        const size_t part = len < WR_TLS_RECORD_MAX ? len : WR_TLS_RECORD_MAX;
        const size_t size = tls_peer_seal(end, part, sealed, sizeof(sealed));
        tls_peer_send(end, sealed, size);
        len -= part;
    }
}

void tls_peer_close_notify(struct tls_end *end)
{
    expect_eq(wr_tls_engine_close(&end->peer.side.engine), 0);
    tls_peer_flush(end);
}

void tls_peer_alert(struct tls_end *end)
{
    tls_side_spoil(&end->peer.side);
    expect_eq(end->peer.side.result, WEIR_ETLSRECORD);
    tls_peer_flush(end);
}

void tls_peer_cut(struct tls_end *end)
{
    expect_eq(shutdown(end->peer.fd, SHUT_WR), 0);
}

void tls_peer_shutdown(struct tls_end *end)
{
    if (end->way == TLS_END_NESTED) {
        expect_eq(wr_tls_engine_close(&end->peer.outer.engine), 0);
        tls_side_flush(&end->peer.outer);
    }
    tls_peer_cut(end);
}

void tls_peer_reset(struct tls_end *end)
{
    const struct linger linger = {.l_onoff = 1};
    rig_wait_way(end->peer.fd);
    expect_ok(setsockopt(end->peer.fd, SOL_SOCKET, SO_LINGER, &linger,
                         sizeof(linger)));
    tls_peer_close(end);
}

void tls_peer_close(struct tls_end *end)
{
    if (end->peer.fd >= 0) {
        close(end->peer.fd);
        end->peer.fd = -1;
    }
}

void tls_peer_open(struct tls_end *end, int fd)
{
    struct tls_peer *peer = &end->peer;
    const struct wr_tls_peer_options how = {
        .server_hostname = end->is_client ? NULL : "localhost"};
    weir_tls_context *context = tls_context_of(end->is_client, end->version);

    peer->fd = fd;
    peer->end = 1;
    peer->side.way = &side_way;
    peer->outer.way = &outer_way;
    peer->side.arg = peer->outer.arg = end;
    tls_account_open(&peer->account);
    expect_eq(tls_side_open(&peer->side, context, &how, &peer->account), 0);
    if (end->way == TLS_END_NESTED) {
        expect_ok(tls_side_open(&peer->outer, context, &how, &peer->account));
    }
    weir_tls_context_unref(context);
}

void tls_peer_fini(struct tls_end *end)
{
    struct tls_peer *peer = &end->peer;

    tls_peer_close(end);
    tls_side_close(&peer->side);
    tls_side_close(&peer->outer);
    tls_account_close(&peer->account);
}
