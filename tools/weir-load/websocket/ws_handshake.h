/*
 * How a connection of WebSocket begins (RFC 6455, section 4): the head of the
 * server's answer, read line by line, and the key that proves that the server
 * has understood.
 *
 * A head has at most 64 KiB, and nothing of it is kept but what is asked for. A
 * line that is longer than its room is none of those.
 */
#ifndef WEIR_LOAD_WS_HANDSHAKE_H
#define WEIR_LOAD_WS_HANDSHAKE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define WS_HANDSHAKE_MAX 65536U
#define WS_LINE_SIZE     256U

/* 16 bytes, and a hash of 20, in base64 with a zero. */
#define WS_KEY_SIZE    25U
#define WS_ACCEPT_SIZE 29U

/* All zero before the first byte but for what is set. */
struct ws_handshake {
    /* The protocols that were asked for, with commas between them;
     * NULL: none. Borrowed, and set before the first byte. */
    const char *protocols;
    bool is_over;
    /* Of the first line. */
    uint16_t status;
    bool has_upgrade;
    bool has_connection;
    bool has_extensions;
    bool has_protocol;
    bool has_strange_protocol;
    /* Of Sec-WebSocket-Accept; "": there was none, or it cannot be one. */
    char accept[WS_ACCEPT_SIZE];
    bool has_first_line;
    uint32_t total_bytes;
    uint32_t line_len;
    char line[WS_LINE_SIZE];
};

/* Read a head or a part of it. Returns how many bytes were used, all of them
 * unless it is over; -EBADMSG: it begins with no line of HTTP, or is too long.
 */
ssize_t ws_handshake_read(struct ws_handshake *self, const uint8_t *bytes,
                          size_t len);

/* NULL: the answer is one to a request with this key, or one line about what
 * is wrong. */
const char *ws_handshake_judge(const struct ws_handshake *self,
                               const char *key);

/* A key out of random numbers. */
void ws_make_key(uint64_t high, uint64_t low, char ret[WS_KEY_SIZE]);

/* What a server has to answer to a key. */
void ws_make_accept(const char *key, char ret[WS_ACCEPT_SIZE]);

#endif
