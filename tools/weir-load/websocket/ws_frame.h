/*
 * WebSocket frames (RFC 6455, section 5): parsed without buffering, and headers
 * written.
 *
 * A reader has a fixed size, whatever its peer sends: data is reported in
 * place, control frames have at most 125 bytes, and messages have a maximum
 * size and number of frames.
 */
#ifndef WEIR_LOAD_WS_FRAME_H
#define WEIR_LOAD_WS_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Longest header of a frame with its mask, and payload of a control frame. */
#define WS_HEAD_MAX    14U
#define WS_CONTROL_MAX 125U

/* Limits of a message. */
#define WS_MESSAGE_MAX   (UINT64_C(1) << 30)
#define WS_FRAGMENTS_MAX 65536U

enum ws_opcode {
    WS_CONTINUATION = 0,
    WS_TEXT = 1,
    WS_BINARY = 2,
    WS_CLOSE = 8,
    WS_PING = 9,
    WS_PONG = 10,
};

/* Codes of a close (RFC 6455, 7.4.1). */
enum {
    WS_CODE_NORMAL = 1000,
    WS_CODE_PROTOCOL = 1002,
};

/* Names and texts of invalid frames. */
#define WS_FAULTS(X)                                                           \
    X(RESERVED, "a reserved bit is set")                                       \
    X(OPCODE, "an opcode that is none")                                        \
    X(MASKED, "a frame of the server has a mask")                              \
    X(LONG_CONTROL, "a control frame of more than 125 bytes")                  \
    X(CUT_CONTROL, "a control frame in fragments")                             \
    X(LENGTH, "a length in more bytes than it needs")                          \
    X(SIZE, "a message of more than 1 GiB")                                    \
    X(FRAGMENTS, "a message in more than 65536 frames")                        \
    X(CONTINUES_NOTHING, "a continuation of no message")                       \
    X(INTERRUPTS, "a message inside another one")                              \
    X(CODE, "a close with a code that is none")

#define WS_FAULT(name, text) WS_FAULT_##name,

enum ws_fault { WS_FAULT_NONE, WS_FAULTS(WS_FAULT) };

/* The last result of ws_read(). */
enum ws_found {
    WS_FOUND_NOTHING, /* all bytes were used; more bytes are needed */
    WS_FOUND_FRAME,   /* start of a data frame: opcode, is_final, size_bytes */
    WS_FOUND_DATA,    /* bytes of a frame's payload: data, len */
    WS_FOUND_CONTROL, /* a complete control frame: opcode, data, len */
};

/* Must be zero-initialised before the first byte. */
struct ws_reader {
    enum ws_fault fault;
    uint32_t head_len;
    uint8_t head[WS_HEAD_MAX];
    /* The frame being read. */
    enum ws_opcode opcode;
    bool is_final;
    uint64_t size_bytes;
    uint64_t left_bytes;
    /* The message that the frame belongs to. */
    bool is_in_message;
    enum ws_opcode message_opcode;
    uint64_t message_bytes;
    uint32_t fragments;
    uint32_t control_len;
    uint8_t control[WS_CONTROL_MAX];
};

struct ws_piece {
    enum ws_found found;
    const uint8_t *data;
    size_t len;
    /* The message ends with this piece. */
    bool ends_message;
};

/*
 * Reads until it has found something (enum ws_found); len must not be 0.
 * Returns how many bytes were used, or -EBADMSG if they are invalid (fault).
 */
ssize_t ws_read(struct ws_reader *reader, const uint8_t *bytes, size_t len,
                struct ws_piece *ret);

/* Writes the header of a frame; mask may be NULL. Returns its length, at most
 * WS_HEAD_MAX. */
size_t ws_write_head(enum ws_opcode opcode, bool is_final, uint64_t size,
                     const uint8_t *mask, uint8_t *out);

/* Writes a complete control frame; len is at most WS_CONTROL_MAX. Returns its
 * length. */
size_t ws_write_control(enum ws_opcode opcode, const uint8_t *data, size_t len,
                        const uint8_t *mask, uint8_t *out);
#define WS_CONTROL_SIZE (WS_HEAD_MAX + WS_CONTROL_MAX)

/* Masks or unmasks bytes that begin at offset @at of the frame's payload. */
void ws_mask(uint8_t *out, const uint8_t *bytes, size_t len,
             const uint8_t mask[4], uint64_t at);

/* Returns the code of a close with this payload, or 0 if it has none. */
uint16_t ws_close_code(const uint8_t *data, size_t len);

const char *ws_fault_text(enum ws_fault fault);

#endif
