/*
 * WebSocket (RFC 6455) without connections:
 * the client's side of the handshake, and
 * frames.
 */
#ifndef WEIR_LOAD_WS_FRAME_H
#define WEIR_LOAD_WS_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * Parses frames (RFC 6455, section 5) and writes their headers.
 *
 * A reader has a fixed size: payload is returned in place, control frames have
 * at most 125 bytes, and messages have a maximum size and number of frames.
 */

/* Largest size of a header with a mask, and of a control frame's payload. */
#define WS_HEAD_MAX    14U
#define WS_CONTROL_MAX 125U

/* Most bytes and most frames of a message. */
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

/* Close codes (RFC 6455, section 7.4.1). */
enum {
    WS_CODE_NORMAL = 1000,
    WS_CODE_PROTOCOL = 1002,
};

#define WS_FAULTS(X)                                                           \
    X(RESERVED, "a reserved bit is set")                                       \
    X(OPCODE, "an unknown opcode")                                             \
    X(MASKED, "a frame of the server has a mask")                              \
    X(LONG_CONTROL, "a control frame of more than 125 bytes")                  \
    X(CUT_CONTROL, "a control frame in fragments")                             \
    X(LENGTH, "a length that is not in its shortest form")                     \
    X(SIZE, "a message of more than 1 GiB")                                    \
    X(FRAGMENTS, "a message in more than 65536 frames")                        \
    X(CONTINUES_NOTHING, "a continuation without a message")                   \
    X(INTERRUPTS, "a message inside another one")                              \
    X(CODE, "an invalid close code")

#define WS_FAULT(name, text) WS_FAULT_##name,

enum ws_fault { WS_FAULT_NONE, WS_FAULTS(WS_FAULT) };

/* Result of a call of ws_read(). */
enum ws_found {
    WS_FOUND_NOTHING, /* all bytes were used; more are needed */
    WS_FOUND_FRAME,   /* start of a data frame: the reader's opcode, is_final
                       * and size_bytes are set */
    WS_FOUND_DATA,    /* bytes of a frame's payload: data and len are set */
    WS_FOUND_CONTROL, /* a complete control frame: the reader's opcode, data and
                       * len are set */
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
 * Parses bytes until something is found (enum ws_found); @len must not be 0.
 * Returns how many bytes were used. Returns -EBADMSG and sets fault if they are
 * invalid.
 */
ssize_t ws_read(struct ws_reader *reader, const uint8_t *bytes, size_t len,
                struct ws_piece *ret);

/* Writes the header of a frame; @mask may be NULL. Returns its length, at most
 * WS_HEAD_MAX. */
size_t ws_write_head(enum ws_opcode opcode, bool is_final, uint64_t size,
                     const uint8_t *mask, uint8_t *out);

/* Writes a complete control frame; @len is at most WS_CONTROL_MAX, and @mask
 * may be NULL. Returns its length. */
size_t ws_write_control(enum ws_opcode opcode, const uint8_t *data, size_t len,
                        const uint8_t *mask, uint8_t *out);
#define WS_CONTROL_SIZE (WS_HEAD_MAX + WS_CONTROL_MAX)

/* Masks or unmasks @len bytes to @out. @at is the offset of the first byte in
 * the frame's payload. */
void ws_mask(uint8_t *out, const uint8_t *bytes, size_t len,
             const uint8_t mask[4], uint64_t at);

/* Returns the code in the payload of a close frame, or 0 if it has none. */
uint16_t ws_close_code(const uint8_t *data, size_t len);

const char *ws_fault_text(enum ws_fault fault);

/*
 * The client's side of the opening handshake (RFC 6455, section 4): parses the
 * head of the server's response line by line, and makes the key that the server
 * must answer.
 *
 * A head has at most 64 KiB. Only the fields that the handshake needs are kept.
 */

#define WS_HANDSHAKE_MAX 65536U
#define WS_LINE_SIZE     256U

/* Sizes of base64 texts with a NUL: of a key of 16 bytes, and of a hash of 20
 * bytes. */
#define WS_KEY_SIZE    25U
#define WS_ACCEPT_SIZE 29U

/* Must be zero-initialised before the first byte, except protocols. */
struct ws_handshake {
    /* Requested protocols separated by commas, or NULL. The caller sets it
     * before the first byte; the text must outlive the handshake. */
    const char *protocols;
    bool is_over;
    uint16_t status;
    bool has_upgrade;
    bool has_connection;
    bool has_extensions;
    bool has_protocol;
    bool has_strange_protocol;
    /* Value of Sec-WebSocket-Accept. Empty if it is missing or of a wrong
     * length. */
    char accept[WS_ACCEPT_SIZE];
    bool has_first_line;
    uint32_t total_bytes;
    uint32_t line_len;
    char line[WS_LINE_SIZE];
};

/* Parses a head or a part of it. Returns how many bytes were used: all, unless
 * is_over is set. Returns -EBADMSG if the bytes are not HTTP or the head is too
 * long. */
ssize_t ws_handshake_read(struct ws_handshake *self, const uint8_t *bytes,
                          size_t len);

/* Returns NULL if the response accepts a request with this key, or one line
 * about the error. */
const char *ws_handshake_judge(const struct ws_handshake *self,
                               const char *key);

/* Makes a key from two random numbers. */
void ws_make_key(uint64_t high, uint64_t low, char ret[WS_KEY_SIZE]);

void ws_make_accept(const char *key, char ret[WS_ACCEPT_SIZE]);

#endif
