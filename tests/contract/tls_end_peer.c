/*
 * The peer of the tests of ends; see tls_end_rig.h.
 *
 * It is a socket that does not block and an engine between which bytes are
 * moved step by step. Bytes that the engine seals may be sent, in part or
 * altered, and others in their place.
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
            return; /* the subject has gone, and the peer will see it */
        }
        expect_eq(errno, EAGAIN);
        weir_loop_stop(end->loop);
        expect_eq(weir_loop_run(end->loop), 0);
    }
}

/* Sends what an engine has sealed, by @send. */
static void peer_flush(struct tls_end *end, struct wr_tls_engine *engine,
                       void (*send_bytes)(struct tls_end *end, const void *data,
                                          size_t len))
{
    struct tls_peer *peer = &end->peer;
    struct wr_block *block = wr_tls_engine_take_output(engine);
    while (block) {
        struct wr_block *next = block->next;
        if (peer->fd >= 0 && peer->end != -ECONNRESET) {
            send_bytes(end, wr_tls_engine_output_of(block), block->used);
        }
        wr_block_give(&peer->blocks, block);
        block = next;
    }
}

void tls_peer_send(struct tls_end *end, const void *data, size_t len)
{
    struct wr_tls_engine *outer = &end->peer.outer;
    const uint8_t *bytes = data;
    if (end->way != TLS_END_NESTED) {
        peer_send(end, data, len);
        return;
    }
    while (len > 0) {
        const size_t part = len < WR_TLS_RECORD_MAX ? len : WR_TLS_RECORD_MAX;
        expect_eq(wr_tls_engine_write(outer, bytes, part), 0);
        bytes += part;
        len -= part;
    }
    peer_flush(end, outer, peer_send);
}

void tls_peer_flush(struct tls_end *end)
{
    peer_flush(end, &end->peer.engine, tls_peer_send);
}

/* The engine takes what it was fed, or nothing. */
static void peer_advance(struct tls_end *end)
{
    struct tls_peer *peer = &end->peer;
    struct wr_tls_engine *engine = &peer->engine;
    static uint8_t plain[16384];

    if (engine->state == WR_TLS_ENGINE_HANDSHAKE) {
        peer->result = wr_tls_engine_handshake(engine);
    }
    while (engine->state != WR_TLS_ENGINE_HANDSHAKE &&
           (peer->result = wr_tls_engine_read(engine, plain, sizeof(plain))) >
               0) {
        const size_t len = (size_t)peer->result;
        cr_assert(rig_is_pattern(plain, peer->plain, len));
        peer->plain += len;
    }
    if (engine->state != WR_TLS_ENGINE_FAILED) {
        tls_peer_flush(end);
    }
}

void tls_peer_begin(struct tls_end *end)
{
    expect_eq(end->peer.engine.state, WR_TLS_ENGINE_HANDSHAKE);
    peer_advance(end);
}

/* The outer engine takes what it was fed, and feeds the other one. */
static void peer_advance_outer(struct tls_end *end)
{
    static uint8_t inside[16384];
    struct tls_peer *peer = &end->peer;
    struct wr_tls_engine *outer = &peer->outer;
    ssize_t len = 0;

    if (outer->state == WR_TLS_ENGINE_HANDSHAKE) {
        len = wr_tls_engine_handshake(outer);
    }
    while (outer->state != WR_TLS_ENGINE_HANDSHAKE &&
           (len = wr_tls_engine_read(outer, inside, sizeof(inside))) > 0) {
        wr_tls_engine_feed(&peer->engine, inside, (size_t)len);
        peer_advance(end);
    }
    if (outer->state != WR_TLS_ENGINE_FAILED) {
        peer_flush(end, outer, peer_send);
    }
}

void tls_peer_begin_outer(struct tls_end *end)
{
    expect_eq(end->peer.outer.state, WR_TLS_ENGINE_HANDSHAKE);
    peer_advance_outer(end);
}

static void peer_ended(struct tls_end *end, int how)
{
    end->peer.end = how;
    if (how == 0 && end->way == TLS_END_NESTED) {
        wr_tls_engine_feed_eof(&end->peer.outer);
        peer_advance_outer(end);
    }
    if (how == 0) {
        wr_tls_engine_feed_eof(&end->peer.engine);
        peer_advance(end);
    }
}

void tls_peer_step(struct tls_end *end)
{
    struct tls_peer *peer = &end->peer;
    static uint8_t buf[16384];

    while (peer->fd >= 0 && peer->end > 0 && !peer->is_deaf) {
        const ssize_t len = recv(peer->fd, buf, sizeof(buf), 0);
        if (len <= 0) {
            if (len == 0 || errno != EAGAIN) {
                peer_ended(end, len == 0 ? 0 : -errno);
            }
            return;
        }
        if (end->way == TLS_END_NESTED) {
            wr_tls_engine_feed(&peer->outer, buf, (size_t)len);
            peer_advance_outer(end);
        } else {
            wr_tls_engine_feed(&peer->engine, buf, (size_t)len);
            peer_advance(end);
        }
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
    expect_eq(wr_tls_engine_write(&peer->engine, plain, len), 0);
    end->sent += len;
    struct wr_block *block = wr_tls_engine_take_output(&peer->engine);
    while (block) {
        struct wr_block *next = block->next;
        cr_assert_leq(sealed + block->used, size);
        memcpy(ret + sealed, wr_tls_engine_output_of(block), block->used);
        sealed += block->used;
        wr_block_give(&peer->blocks, block);
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
    expect_eq(wr_tls_engine_close(&end->peer.engine), 0);
    tls_peer_flush(end);
}

void tls_peer_alert(struct tls_end *end)
{
    struct tls_peer *peer = &end->peer;
    static const uint8_t record[5 + 40] = {23, 3, 3, 0, 40};

    wr_tls_engine_feed(&peer->engine, record, sizeof(record));
    peer_advance(end);
    expect_eq(peer->result, WEIR_ETLSRECORD);
    tls_peer_flush(end);
}

void tls_peer_cut(struct tls_end *end)
{
    expect_eq(shutdown(end->peer.fd, SHUT_WR), 0);
}

void tls_peer_shutdown(struct tls_end *end)
{
    if (end->way == TLS_END_NESTED) {
        expect_eq(wr_tls_engine_close(&end->peer.outer), 0);
        peer_flush(end, &end->peer.outer, peer_send);
    }
    tls_peer_cut(end);
}

void tls_peer_reset(struct tls_end *end)
{
    const struct linger linger = {.l_onoff = 1};
    rig_wait_way(end->peer.fd);
    expect_eq(setsockopt(end->peer.fd, SOL_SOCKET, SO_LINGER, &linger,
                         sizeof(linger)),
              0);
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
    weir_tls_context *context = tls_end_context(end->is_client, end->version);

    peer->fd = fd;
    peer->end = 1;
    allocator_init(&peer->allocator);
    wr_blocks_init(&peer->blocks, &peer->allocator.hooks);
    wr_tls_memory_init(&peer->memory, &peer->blocks);
    expect_eq(wr_tls_engine_init(&peer->engine, context, &how, &peer->memory),
              0);
    if (end->way == TLS_END_NESTED) {
        expect_eq(
            wr_tls_engine_init(&peer->outer, context, &how, &peer->memory), 0);
    }
    weir_tls_context_unref(context);
}

void tls_peer_fini(struct tls_end *end)
{
    struct tls_peer *peer = &end->peer;

    tls_peer_close(end);
    wr_tls_engine_fini(&peer->engine);
    if (end->way == TLS_END_NESTED) {
        wr_tls_engine_fini(&peer->outer);
    }
    wr_tls_memory_fini(&peer->memory);
    wr_blocks_fini(&peer->blocks);
    allocator_check(&peer->allocator);
}
