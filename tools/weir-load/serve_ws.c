/*
 * A frame is answered by its own head without the mask, and its bytes as they
 * come, so that nothing of a message is kept. A client that does not take its
 * answers is not read from.
 *
 * What is against the rules ends the connection with code 1002, and a request
 * that does not ask for WebSocket is answered with 400 and the end.
 */
#include "serve_ws.h"

#include "ws_frame.h"
#include "ws_handshake.h"

#include "weir/transport.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Bytes without their mask are written in pieces of this size. */
#define PIECE_SIZE (16U << 10)

struct ws_peer {
    struct mode_counts *counts;
    weir_transport *transport;
    bool is_open; /* the handshake is over */
    bool is_done; /* the connection is closed, and what still comes dropped */
    struct ws_handshake handshake;
    struct ws_reader reader;
};

static void made(void *user, weir_transport *t)
{
    struct ws_peer *peer = user;

    peer->transport = t;
    mode_count_opened(peer->counts, t);
    weir_transport_set_write_buffer_limits(
        t, (struct weir_water_marks){.high_bytes = ECHO_HIGH_BYTES,
                                     .low_bytes = ECHO_LOW_BYTES});
}

static void lost(void *user, weir_transport *t, int err)
{
    struct ws_peer *peer = user;

    (void)t;
    peer->counts->open_now--;
    peer->counts->broken += err < 0;
    free(peer);
}

static int end_of_stream(void *user, weir_transport *t)
{
    (void)user;
    (void)t;
    return 0;
}

static int write_bytes(struct ws_peer *peer, const void *bytes, size_t len)
{
    return mode_judge_write(weir_transport_write(peer->transport, bytes, len));
}

/* Nothing follows what was written. */
static int finish(struct ws_peer *peer, int err)
{
    peer->is_done = true;
    if (err == 0) {
        weir_transport_close(peer->transport);
    }
    return err;
}

/* ---- the handshake ---- */

static int accept_client(struct ws_peer *peer)
{
    char accept[WS_ACCEPT_SIZE];
    char answer[256];

    ws_make_accept(peer->handshake.key, accept);
    const int len = snprintf(answer, sizeof(answer),
                             "HTTP/1.1 101 Switching Protocols\r\n"
                             "Upgrade: websocket\r\nConnection: Upgrade\r\n"
                             "Sec-WebSocket-Accept: %s\r\n\r\n",
                             accept);
    peer->is_open = true;
    peer->reader = (struct ws_reader){.has_masks = true};
    return write_bytes(peer, answer, (size_t)len);
}

static int refuse_client(struct ws_peer *peer)
{
    static const char answer[] = "HTTP/1.1 400 Bad Request\r\n"
                                 "Sec-WebSocket-Version: 13\r\n"
                                 "Content-Length: 0\r\nConnection: close\r\n"
                                 "\r\n";

    return finish(peer, write_bytes(peer, answer, sizeof(answer) - 1));
}

/* Returns how many bytes were used, or an error. */
static ssize_t read_handshake(struct ws_peer *peer, const uint8_t *bytes,
                              size_t len)
{
    const ssize_t used = ws_handshake_read(&peer->handshake, bytes, len);
    int err = 0;

    if (used < 0 ||
        (peer->handshake.is_over && !ws_handshake_is_asked(&peer->handshake))) {
        err = refuse_client(peer);
        return err < 0 ? err : (ssize_t)len;
    }
    if (peer->handshake.is_over) {
        err = accept_client(peer);
    }
    return err < 0 ? err : used;
}

/* ---- frames ---- */

static int close_with(struct ws_peer *peer, const uint8_t *data, size_t len)
{
    uint8_t frame[WS_CONTROL_SIZE];

    return finish(
        peer, write_bytes(peer, frame,
                          ws_write_control(WS_CLOSE, data, len, NULL, frame)));
}

static int refuse_frame(struct ws_peer *peer)
{
    static const uint8_t code[] = {WS_CODE_PROTOCOL >> 8,
                                   WS_CODE_PROTOCOL & 0xff};

    return close_with(peer, code, sizeof(code));
}

static int answer_control(struct ws_peer *peer, const struct ws_piece *piece)
{
    uint8_t frame[WS_CONTROL_SIZE];

    switch (peer->reader.opcode) {
    case WS_PING:
        return write_bytes(
            peer, frame,
            ws_write_control(WS_PONG, piece->data, piece->len, NULL, frame));
    case WS_CLOSE:
        return close_with(peer, piece->data, piece->len < 2 ? 0 : 2);
    default:
        return 0;
    }
}

static int answer_frame(struct ws_peer *peer)
{
    const struct ws_reader *reader = &peer->reader;
    uint8_t head[WS_HEAD_MAX];

    return write_bytes(peer, head,
                       ws_write_head(reader->opcode, reader->is_final,
                                     reader->size_bytes, NULL, head));
}

static int answer_data(struct ws_peer *peer, const struct ws_piece *piece)
{
    uint8_t bytes[PIECE_SIZE];
    int err = 0;

    for (size_t at = 0; at < piece->len && err == 0;) {
        const size_t left = piece->len - at;
        const size_t part = left < sizeof(bytes) ? left : sizeof(bytes);
        ws_mask(bytes, piece->data + at, part, peer->reader.mask,
                piece->mask_at + at);
        err = write_bytes(peer, bytes, part);
        at += part;
    }
    return err;
}

static ssize_t read_frames(struct ws_peer *peer, const uint8_t *bytes,
                           size_t len)
{
    struct ws_piece piece;
    int err = 0;

    const ssize_t used = ws_read(&peer->reader, bytes, len, &piece);
    if (used < 0) {
        err = refuse_frame(peer);
        return err < 0 ? err : (ssize_t)len;
    }
    switch (piece.found) {
    case WS_FOUND_FRAME:
        err = answer_frame(peer);
        break;
    case WS_FOUND_DATA:
        err = answer_data(peer, &piece);
        break;
    case WS_FOUND_CONTROL:
        err = answer_control(peer, &piece);
        break;
    default:
        break;
    }
    return err < 0 ? err : used;
}

static int received(void *user, weir_transport *t, const struct weir_buf *buf)
{
    struct ws_peer *peer = user;
    size_t at = 0;

    (void)t;
    peer->counts->received_bytes += buf->len;
    while (at < buf->len && !peer->is_done) {
        const uint8_t *bytes = buf->data + at;
        const size_t left = buf->len - at;
        const ssize_t used = peer->is_open ? read_frames(peer, bytes, left)
                                           : read_handshake(peer, bytes, left);
        if (used < 0) {
            return (int)used;
        }
        at += (size_t)used;
    }
    return 0;
}

static const struct weir_protocol ws_protocol = {
    .size = sizeof(struct weir_protocol),
    .kind = WEIR_PROTOCOL_STREAM,
    .connection_made = made,
    .connection_lost = lost,
    .pause_writing = mode_pause_echo,
    .resume_writing = mode_resume_echo,
    .data_received = received,
    .eof_received = end_of_stream,
};

int serve_ws_create(void *arg, weir_transport *t,
                    struct weir_protocol_binding *ret)
{
    struct ws_peer *peer = calloc(1, sizeof(*peer));

    (void)t;
    if (!peer) {
        return -ENOMEM;
    }
    peer->counts = arg;
    *ret = (struct weir_protocol_binding){&ws_protocol, peer};
    return 0;
}
