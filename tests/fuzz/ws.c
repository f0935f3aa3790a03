/*
 * libFuzzer's entry to weir-load's readers of WebSocket: the bytes of a
 * connection, of which the first says how they are cut, and the second nothing.
 * Whole, in pieces and byte by byte they are the same handshake, the same
 * messages, control frames and bytes, or the same fault.
 *
 * Seeds: the frames and heads of tests/unit/load_ws.c, one a file, behind two
 * bytes.
 *
 *     ninja tests/fuzz/fuzz-ws
 *     tests/fuzz/fuzz-ws CORPUS
 */
#include "tests/fuzz/check.h"
#include "tools/weir-load/websocket/ws_frame.h"

#include <string.h>

struct seen {
    enum ws_fault fault;
    size_t frames;
    size_t controls;
    size_t messages;
    uint64_t data_bytes;
    /* Of all bytes without their masks. */
    uint64_t sum;
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void add_bytes(struct seen *seen, const uint8_t *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        seen->sum = seen->sum * 31 + bytes[i];
    }
}

static void take(struct seen *seen, const struct ws_reader *reader,
                 const struct ws_piece *piece)
{
    seen->messages += piece->ends_message;
    switch (piece->found) {
    case WS_FOUND_FRAME:
        check(reader->opcode <= WS_BINARY);
        check(reader->message_bytes <= WS_MESSAGE_MAX);
        seen->frames++;
        break;
    case WS_FOUND_DATA:
        add_bytes(seen, piece->data, piece->len);
        seen->data_bytes += piece->len;
        break;
    case WS_FOUND_CONTROL:
        check(reader->opcode >= WS_CLOSE && piece->len <= WS_CONTROL_MAX);
        add_bytes(seen, piece->data, piece->len);
        seen->controls++;
        break;
    default:
        break;
    }
}

static void read_frames(const uint8_t *data, size_t size, size_t piece_size,
                        struct seen *seen)
{
    struct ws_reader reader = {.fault = WS_FAULT_NONE};
    size_t at = 0;

    memset(seen, 0, sizeof(*seen));
    while (at < size) {
        const size_t left = size - at;
        const size_t len = piece_size < left ? piece_size : left;
        struct ws_piece piece;
        const ssize_t used = ws_read(&reader, data + at, len, &piece);
        if (used < 0) {
            check(reader.fault != WS_FAULT_NONE);
            check(strlen(ws_fault_text(reader.fault)) > 10);
            seen->fault = reader.fault;
            return;
        }
        check(used > 0 && (size_t)used <= len);
        check((size_t)used == len || piece.found != WS_FOUND_NOTHING);
        take(seen, &reader, &piece);
        at += (size_t)used;
    }
}

static ssize_t read_head(const uint8_t *data, size_t size, size_t piece_size,
                         struct ws_handshake *ret)
{
    size_t at = 0;

    memset(ret, 0, sizeof(*ret));
    ret->protocols = "chat, mqtt";
    while (at < size && !ret->is_over) {
        const size_t left = size - at;
        const size_t len = piece_size < left ? piece_size : left;
        const ssize_t used = ws_handshake_read(ret, data + at, len);
        if (used < 0) {
            return used;
        }
        check((size_t)used == len || ret->is_over);
        check(ret->line_len <= WS_LINE_SIZE);
        at += (size_t)used;
    }
    return (ssize_t)at;
}

static void compare_heads(const uint8_t *data, size_t size, size_t piece)
{
    static struct ws_handshake whole;
    static struct ws_handshake cut;
    const char *key = "dGhlIHNhbXBsZSBub25jZQ==";

    const ssize_t used = read_head(data, size, size, &whole);
    check(read_head(data, size, piece, &cut) == used);
    if (used >= 0) {
        check(memcmp(&whole, &cut, sizeof(whole)) == 0);
        check(!whole.is_over || whole.status > 0);
        ws_handshake_judge(&whole, key);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct seen whole;
    struct seen pieces;

    if (size < 3) {
        return 0;
    }
    const size_t piece = 1U + data[0] % 64U;
    data += 2;
    size -= 2;
    read_frames(data, size, size, &whole);
    read_frames(data, size, piece, &pieces);
    check(memcmp(&whole.frames, &pieces.frames, 3 * sizeof(size_t)) == 0);
    check(whole.fault == pieces.fault && whole.sum == pieces.sum);
    read_frames(data, size, 1, &pieces);
    check(whole.fault == pieces.fault && whole.sum == pieces.sum);
    compare_heads(data, size, piece);
    compare_heads(data, size, 1);
    return 0;
}
