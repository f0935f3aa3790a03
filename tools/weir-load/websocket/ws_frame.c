/*
 * Reads and writes WebSocket frames. The bytes of a header are collected, and
 * an invalid frame is refused at its header. The bytes of a payload are only
 * counted.
 */
#include "ws_frame.h"

#include <assert.h>
#include <endian.h>
#include <errno.h>
#include <string.h>

#define FAULT_TEXT(name, text) text,

#define FINAL    0x80U
#define RESERVED 0x70U
#define OPCODE   0x0fU
#define MASKED   0x80U
#define LENGTH   0x7fU

/* Values of the 7-bit length after which a length of 2 or 8 bytes follows. */
#define LENGTH_2 126U
#define LENGTH_8 127U

static int refuse(struct ws_reader *reader, enum ws_fault fault)
{
    reader->fault = fault;
    return -EBADMSG;
}

/* Returns the length of the header, which has no mask. Until the length field
 * arrives, returns 2. */
static uint32_t head_size(const struct ws_reader *reader)
{
    if (reader->head_len < 2) {
        return 2;
    }
    const uint32_t length = reader->head[1] & LENGTH;
    const uint32_t more = length == LENGTH_8 ? 8 : length == LENGTH_2 ? 2 : 0;
    return 2 + more;
}

static uint64_t read_length(const struct ws_reader *reader)
{
    const uint32_t length = reader->head[1] & LENGTH;
    uint16_t two = 0;
    uint64_t eight = 0;

    switch (length) {
    case LENGTH_2:
        memcpy(&two, reader->head + 2, sizeof(two));
        return be16toh(two);
    case LENGTH_8:
        memcpy(&eight, reader->head + 2, sizeof(eight));
        return be64toh(eight);
    default:
        return length;
    }
}

static bool is_control(enum ws_opcode opcode)
{
    return opcode >= WS_CLOSE;
}

static int judge_begin(struct ws_reader *reader)
{
    const uint8_t first = reader->head[0];
    const uint8_t second = reader->head[1];
    const uint32_t opcode = first & OPCODE;

    if (first & RESERVED) {
        return refuse(reader, WS_FAULT_RESERVED);
    }
    if ((opcode > WS_BINARY && opcode < WS_CLOSE) || opcode > WS_PONG) {
        return refuse(reader, WS_FAULT_OPCODE);
    }
    if (second & MASKED) {
        return refuse(reader, WS_FAULT_MASKED);
    }
    reader->opcode = (enum ws_opcode)opcode;
    reader->is_final = (first & FINAL) != 0;
    if (!is_control(reader->opcode)) {
        return 0;
    }
    if (!reader->is_final) {
        return refuse(reader, WS_FAULT_CUT_CONTROL);
    }
    return (second & LENGTH) > WS_CONTROL_MAX
               ? refuse(reader, WS_FAULT_LONG_CONTROL)
               : 0;
}

static int begin_data(struct ws_reader *reader)
{
    const bool goes_on = reader->opcode == WS_CONTINUATION;

    if (goes_on != reader->is_in_message) {
        return refuse(reader, goes_on ? WS_FAULT_CONTINUES_NOTHING
                                      : WS_FAULT_INTERRUPTS);
    }
    if (!goes_on) {
        reader->is_in_message = true;
        reader->message_opcode = reader->opcode;
        reader->message_bytes = 0;
        reader->fragments = 0;
    }
    reader->fragments++;
    if (reader->fragments > WS_FRAGMENTS_MAX) {
        return refuse(reader, WS_FAULT_FRAGMENTS);
    }
    if (reader->size_bytes > WS_MESSAGE_MAX - reader->message_bytes) {
        return refuse(reader, WS_FAULT_SIZE);
    }
    reader->message_bytes += reader->size_bytes;
    return 0;
}

static int end_head(struct ws_reader *reader)
{
    const uint32_t length = reader->head[1] & LENGTH;

    reader->size_bytes = read_length(reader);
    reader->left_bytes = reader->size_bytes;
    if ((length == LENGTH_2 && reader->size_bytes < LENGTH_2) ||
        (length == LENGTH_8 && reader->size_bytes <= UINT16_MAX)) {
        return refuse(reader, WS_FAULT_LENGTH);
    }
    reader->control_len = 0;
    return is_control(reader->opcode) ? 0 : begin_data(reader);
}

static void end_frame(struct ws_reader *reader)
{
    reader->head_len = 0;
    if (!is_control(reader->opcode) && reader->is_final) {
        reader->is_in_message = false;
    }
}

static bool is_code(uint16_t code)
{
    return (code >= 3000 && code < 5000) ||
           (code >= 1000 && code <= 1014 && code != 1004 && code != 1005 &&
            code != 1006);
}

static int end_control(struct ws_reader *reader, struct ws_piece *ret)
{
    if (reader->opcode == WS_CLOSE && reader->control_len > 0 &&
        !is_code(ws_close_code(reader->control, reader->control_len))) {
        return refuse(reader, WS_FAULT_CODE);
    }
    ret->found = WS_FOUND_CONTROL;
    ret->data = reader->control;
    ret->len = reader->control_len;
    end_frame(reader);
    return 0;
}

/* Collects bytes of a header. Sets @ret once the header is complete. */
static ssize_t read_head(struct ws_reader *reader, const uint8_t *bytes,
                         size_t len, struct ws_piece *ret)
{
    size_t at = 0;
    int err = 0;

    while (at < len && reader->head_len < head_size(reader)) {
        reader->head[reader->head_len++] = bytes[at++];
        err = reader->head_len == 2 ? judge_begin(reader) : 0;
        if (err < 0) {
            return err;
        }
    }
    if (reader->head_len < head_size(reader)) {
        return (ssize_t)at;
    }
    err = end_head(reader);
    if (err < 0) {
        return err;
    }
    if (is_control(reader->opcode)) {
        err = reader->left_bytes == 0 ? end_control(reader, ret) : 0;
        return err < 0 ? err : (ssize_t)at;
    }
    ret->found = WS_FOUND_FRAME;
    if (reader->left_bytes == 0) {
        ret->ends_message = reader->is_final;
        end_frame(reader);
    }
    return (ssize_t)at;
}

static ssize_t read_control(struct ws_reader *reader, const uint8_t *bytes,
                            size_t len, struct ws_piece *ret)
{
    const size_t part = len < reader->left_bytes ? len : reader->left_bytes;

    memcpy(reader->control + reader->control_len, bytes, part);
    reader->control_len += (uint32_t)part;
    reader->left_bytes -= part;
    const int err = reader->left_bytes == 0 ? end_control(reader, ret) : 0;
    return err < 0 ? err : (ssize_t)part;
}

static ssize_t read_data(struct ws_reader *reader, const uint8_t *bytes,
                         size_t len, struct ws_piece *ret)
{
    const size_t part = len < reader->left_bytes ? len : reader->left_bytes;

    ret->found = WS_FOUND_DATA;
    ret->data = bytes;
    ret->len = part;
    reader->left_bytes -= part;
    if (reader->left_bytes == 0) {
        ret->ends_message = reader->is_final;
        end_frame(reader);
    }
    return (ssize_t)part;
}

ssize_t ws_read(struct ws_reader *reader, const uint8_t *bytes, size_t len,
                struct ws_piece *ret)
{
    size_t at = 0;

    assert(reader->fault == WS_FAULT_NONE);
    *ret = (struct ws_piece){.found = WS_FOUND_NOTHING};
    while (at < len && ret->found == WS_FOUND_NOTHING) {
        const bool is_in_head =
            reader->head_len == 0 || reader->head_len < head_size(reader);
        const ssize_t used =
            is_in_head ? read_head(reader, bytes + at, len - at, ret)
            : is_control(reader->opcode)
                ? read_control(reader, bytes + at, len - at, ret)
                : read_data(reader, bytes + at, len - at, ret);
        if (used < 0) {
            return used;
        }
        at += (size_t)used;
    }
    return (ssize_t)at;
}

size_t ws_write_head(enum ws_opcode opcode, bool is_final, uint64_t size,
                     const uint8_t *mask, uint8_t *out)
{
    const uint16_t two = htobe16((uint16_t)size);
    const uint64_t eight = htobe64(size);
    size_t at = 2;

    out[0] = (uint8_t)((is_final ? FINAL : 0) | (unsigned)opcode);
    if (size < LENGTH_2) {
        out[1] = (uint8_t)size;
    } else if (size <= UINT16_MAX) {
        out[1] = LENGTH_2;
        memcpy(out + at, &two, sizeof(two));
        at += sizeof(two);
    } else {
        out[1] = LENGTH_8;
        memcpy(out + at, &eight, sizeof(eight));
        at += sizeof(eight);
    }
    if (mask) {
        out[1] |= MASKED;
        memcpy(out + at, mask, 4);
        at += 4;
    }
    return at;
}

size_t ws_write_control(enum ws_opcode opcode, const uint8_t *data, size_t len,
                        const uint8_t *mask, uint8_t *out)
{
    static const uint8_t none[4];
    const size_t at = ws_write_head(opcode, true, len, mask, out);

    assert(len <= WS_CONTROL_MAX);
    ws_mask(out + at, data, len, mask ? mask : none, 0);
    return at + len;
}

void ws_mask(uint8_t *out, const uint8_t *bytes, size_t len,
             const uint8_t mask[4], uint64_t at)
{
    uint8_t turned[8];
    uint64_t word = 0;
    size_t i = 0;

    for (size_t k = 0; k < sizeof(turned); k++) {
        turned[k] = mask[(at + k) % 4];
    }
    memcpy(&word, turned, sizeof(word));
    for (; i + sizeof(word) <= len; i += sizeof(word)) {
        uint64_t part = 0;
        memcpy(&part, bytes + i, sizeof(part));
        part ^= word;
        memcpy(out + i, &part, sizeof(part));
    }
    for (; i < len; i++) {
        out[i] = bytes[i] ^ turned[i % 4];
    }
}

uint16_t ws_close_code(const uint8_t *data, size_t len)
{
    if (len < 2) {
        return 0;
    }
    return (uint16_t)(data[0] << 8 | data[1]);
}

const char *ws_fault_text(enum ws_fault fault)
{
    static const char *const texts[] = {"", WS_FAULTS(FAULT_TEXT)};

    return texts[fault];
}
