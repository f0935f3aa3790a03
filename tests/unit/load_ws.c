/*
 * WebSocket: frames however they are split, frames refused at their headers,
 * masks, and the handshake with the key of RFC 6455.
 *
 * Random messages in random fragments, with control frames between them, arrive
 * as they were sent.
 */
#include "tools/weir-load/websocket/ws_frame.c"
#include "tools/weir-load/websocket/ws_frame.h"

#include "random.h"

/* Contents of a connection, read in pieces. */
struct seen {
    ssize_t err;
    enum ws_fault fault;
    size_t messages;
    size_t controls;
    size_t data_len;
    uint8_t data[70000];
};

static void read_all(const void *bytes, size_t size, size_t piece_size,
                     struct seen *seen)
{
    struct ws_reader reader = {.fault = WS_FAULT_NONE};
    const uint8_t *data = bytes;
    size_t at = 0;

    memset(seen, 0, sizeof(*seen));
    while (at < size && seen->err == 0) {
        const size_t left = size - at;
        struct ws_piece piece;
        const ssize_t used = ws_read(
            &reader, data + at, piece_size < left ? piece_size : left, &piece);
        if (used < 0) {
            seen->err = used;
            seen->fault = reader.fault;
            return;
        }
        at += (size_t)used;
        if (piece.found == WS_FOUND_DATA) {
            cr_assert(seen->data_len + piece.len <= sizeof(seen->data));
            memcpy(seen->data + seen->data_len, piece.data, piece.len);
            seen->data_len += piece.len;
        }
        seen->messages += piece.ends_message;
        seen->controls += piece.found == WS_FOUND_CONTROL;
    }
}

static struct seen seen;

static void refused(const char *bytes, size_t len, enum ws_fault fault)
{
    for (size_t piece = 1; piece <= len; piece++) {
        read_all(bytes, len, piece, &seen);
        expect_eq(seen.err, -EBADMSG, "in pieces of %zu", piece);
        expect_eq(seen.fault, fault, "%s, not %s", ws_fault_text(seen.fault),
                  ws_fault_text(fault));
    }
}

#define REFUSED(bytes, fault) refused(bytes, sizeof(bytes) - 1, fault)

UNIT(load_ws, the_frames_of_the_rfc_are_read)
{
    read_all("\x81\x05Hello", 7, 1, &seen);
    expect_eq(seen.messages, 1);
    cr_assert(memcmp(seen.data, "Hello", 5) == 0);
    read_all("\x01\x03Hel\x89\x05Hello\x80\x02lo", 16, 3, &seen);
    expect_eq(seen.messages, 1);
    expect_eq(seen.controls, 1);
    cr_assert(memcmp(seen.data, "Hello", 5) == 0);
}

UNIT(load_ws, what_is_against_the_rules_is_refused_by_name)
{
    REFUSED("\xc1\x00", WS_FAULT_RESERVED);
    REFUSED("\x91\x00", WS_FAULT_RESERVED);
    REFUSED("\x83\x00", WS_FAULT_OPCODE);
    REFUSED("\x8b\x00", WS_FAULT_OPCODE);
    REFUSED("\x81\x85\x37\xfa\x21\x3d", WS_FAULT_MASKED);
    REFUSED("\x09\x00", WS_FAULT_CUT_CONTROL);
    REFUSED("\x89\x7e\x00\x7e", WS_FAULT_LONG_CONTROL);
    REFUSED("\x88\x7f", WS_FAULT_LONG_CONTROL);
    REFUSED("\x82\x7e\x00\x7d", WS_FAULT_LENGTH);
    REFUSED("\x82\x7f\x00\x00\x00\x00\x00\x00\xff\xff", WS_FAULT_LENGTH);
    REFUSED("\x82\x7f\x80\x00\x00\x00\x00\x00\x00\x00", WS_FAULT_SIZE);
    REFUSED("\x82\x7f\x00\x00\x00\x00\x40\x00\x00\x01", WS_FAULT_SIZE);
    REFUSED("\x80\x00", WS_FAULT_CONTINUES_NOTHING);
    REFUSED("\x02\x01x\x82\x01", WS_FAULT_INTERRUPTS);
    REFUSED("\x88\x01x", WS_FAULT_CODE);
    REFUSED("\x88\x02\x03\xed", WS_FAULT_CODE);
}

UNIT(load_ws, fragments_without_an_end_are_refused)
{
    static uint8_t bytes[2 * (WS_FRAGMENTS_MAX + 1)];

    bytes[0] = 0x02;
    read_all(bytes, sizeof(bytes) - 2, 4096, &seen);
    expect_eq(seen.err, 0);
    read_all(bytes, sizeof(bytes), 4096, &seen);
    expect_eq(seen.fault, WS_FAULT_FRAGMENTS);

    static const char large[] = "\x02\x7f\x00\x00\x00\x00\x40\x00\x00\x00";
    struct ws_reader reader = {.fault = WS_FAULT_NONE};
    struct ws_piece piece;
    expect_eq(ws_read(&reader, (const uint8_t *)large, 10, &piece), 10);
    reader.left_bytes = 1;
    expect_eq(ws_read(&reader, (const uint8_t *)"x", 1, &piece), 1);
    expect_eq(ws_read(&reader, (const uint8_t *)"\x80\x01", 2, &piece),
              -EBADMSG);
    expect_eq(reader.fault, WS_FAULT_SIZE);
}

UNIT(load_ws, heads_are_as_short_as_they_can_be)
{
    uint8_t out[WS_HEAD_MAX];
    static const uint8_t mask[4] = {1, 2, 3, 4};

    expect_eq(ws_write_head(WS_BINARY, true, 125, NULL, out), 2U);
    expect_eq(ws_write_head(WS_BINARY, true, 126, NULL, out), 4U);
    expect_eq(ws_write_head(WS_BINARY, true, 65535, NULL, out), 4U);
    expect_eq(ws_write_head(WS_BINARY, true, 65536, mask, out), 14U);
}

UNIT(load_ws, random_messages_come_out_as_they_went_in)
{
    static uint8_t bytes[200000];
    static uint8_t wanted[70000];
    struct unit_random chance;

    unit_random_seed(&chance);
    for (int round = 0; round < 300; round++) {
        size_t len = 0;
        size_t data_len = 0;
        size_t controls = 0;
        const uint64_t count = 1 + unit_random_below(&chance, 6);
        for (uint64_t i = 0; i < count; i++) {
            static const size_t sizes[] = {0, 1, 7, 125, 126, 3000, 11000};
            const size_t size = sizes[unit_random_below(&chance, 7)];
            const uint64_t random = unit_random_next(&chance);
            len += ws_write_head(i == 0 ? WS_BINARY : WS_CONTINUATION,
                                 i + 1 == count, size, NULL, bytes + len);
            for (size_t k = 0; k < size; k++) {
                wanted[data_len + k] = (uint8_t)(random >> (k % 40));
            }
            memcpy(bytes + len, wanted + data_len, size);
            len += size;
            data_len += size;
            if (unit_random_below(&chance, 3) == 0) {
                len += ws_write_control(WS_PING, (const uint8_t *)"abc", 3,
                                        NULL, bytes + len);
                controls++;
            }
        }
        read_all(bytes, len, 1 + unit_random_below(&chance, 300), &seen);
        expect_eq(seen.err, 0);
        expect_eq(seen.messages, 1);
        expect_eq(seen.controls, controls);
        expect_eq(seen.data_len, data_len);
        cr_assert(memcmp(seen.data, wanted, data_len) == 0);
    }
}

static const char rfc_key[] = "dGhlIHNhbXBsZSBub25jZQ==";

UNIT(load_ws, the_key_of_the_rfc_is_accepted)
{
    char accept[WS_ACCEPT_SIZE];
    char key[WS_KEY_SIZE];

    ws_make_accept(rfc_key, accept);
    expect_str_eq(accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    ws_make_key(0, 1, key);
    expect_eq(strlen(key), 24U);
}

UNIT(load_ws, a_frame_of_a_client_is_masked_as_in_the_rfc)
{
    static const uint8_t mask[4] = {0x37, 0xfa, 0x21, 0x3d};
    uint8_t out[WS_CONTROL_SIZE];

    expect_eq(ws_write_control(WS_PING, (const uint8_t *)"Hello", 5, mask, out),
              11U);
    expect_eq(memcmp(out, "\x89\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58", 11),
              0);
}

/* Protocols that the request asks for. */
static const char *protocols;

/* Reads in pieces of every size. Returns the result of the last piece. */
static ssize_t read_head_of(const char *text, struct ws_handshake *ret)
{
    const size_t len = strlen(text);
    ssize_t used = 0;

    for (size_t piece = len; piece >= 1; piece--) {
        size_t at = 0;
        *ret = (struct ws_handshake){.protocols = protocols};
        while (at < len && !ret->is_over && used >= 0) {
            const size_t left = len - at;
            used = ws_handshake_read(ret, (const uint8_t *)text + at,
                                     piece < left ? piece : left);
            at += used < 0 ? 0 : (size_t)used;
        }
        if (used < 0) {
            return used;
        }
        used = (ssize_t)at;
    }
    return used;
}

#define ANSWER                                                                 \
    "HTTP/1.1 101 Switching\r\nUPGRADE: WebSocket\r\nconnection: keep-alive, " \
    "upgrade\r\n"

static void is_judged(const char *text, const char *wanted)
{
    struct ws_handshake handshake;

    expect_geq(read_head_of(text, &handshake), 0, "%s", text);
    cr_assert(handshake.is_over);
    const char *fault = ws_handshake_judge(&handshake, rfc_key);
    expect_str_eq(fault ? fault : "", wanted, "%s", text);
}

UNIT(load_ws, an_answer_is_judged_by_all_of_its_fields)
{
    is_judged(ANSWER
              "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo= \r\n\r\n",
              "");
    is_judged(ANSWER "Sec-WebSocket-Accept: "
                     "t3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n",
              "Sec-WebSocket-Accept does not match the key");
    is_judged(ANSWER "Sec-WebSocket-Accept: s3\r\n\r\n",
              "there is no Sec-WebSocket-Accept");
    is_judged("HTTP/1.1 404 No\r\n\r\n", "the status is not 101");
    is_judged("HTTP/1.1 101 x\r\nUpgrade: h2c\r\n\r\n",
              "there is no Upgrade: websocket");
    is_judged("HTTP/1.1 101 x\r\nUpgrade: websocket\r\n\r\n",
              "there is no Connection: Upgrade");
    is_judged(ANSWER "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
                     "Sec-WebSocket-Extensions: x\r\n\r\n",
              "an extension that was not asked for");
    is_judged(ANSWER "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
                     "Sec-WebSocket-Protocol: x\r\n\r\n",
              "a protocol that was not asked for");
    protocols = " chat,mqtt,";
    is_judged(ANSWER "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
                     "Sec-WebSocket-Protocol: mqtt\r\n\r\n",
              "");
    is_judged(ANSWER "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
                     "Sec-WebSocket-Protocol: Chat\r\n\r\n",
              "a protocol that was not asked for");
    protocols = NULL;
}

UNIT(load_ws, heads_that_are_none_or_too_long_are_refused)
{
    struct ws_handshake handshake;
    static char text[WS_HANDSHAKE_MAX + 64];

    expect_eq(read_head_of("SSH-2.0-x\r\n", &handshake), -EBADMSG);
    expect_eq(read_head_of("\r\n", &handshake), -EBADMSG);
    strcpy(text, "HTTP/1.1 101 x\r\na: ");
    memset(text + strlen(text), 'x', WS_HANDSHAKE_MAX);
    memset(&handshake, 0, sizeof(handshake));
    expect_eq(
        ws_handshake_read(&handshake, (const uint8_t *)text, WS_HANDSHAKE_MAX),
        (ssize_t)WS_HANDSHAKE_MAX);
    expect_eq(ws_handshake_read(&handshake, (const uint8_t *)"x", 1), -EBADMSG);
}
