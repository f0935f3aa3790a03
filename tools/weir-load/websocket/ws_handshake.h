/*
 * WebSocket opening handshake (RFC 6455, section 4): parses the head of the
 * server's response line by line, and makes the key by which the server shows
 * that it understood.
 *
 * A head has at most 64 KiB; only needed fields are kept. Lines longer than the
 * buffer are not needed.
 */
#ifndef WEIR_LOAD_WS_HANDSHAKE_H
#define WEIR_LOAD_WS_HANDSHAKE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define WS_HANDSHAKE_MAX 65536U
#define WS_LINE_SIZE     256U

/* Buffer sizes: base64 of 16 bytes, and of a hash of 20 bytes, with a NUL. */
#define WS_KEY_SIZE    25U
#define WS_ACCEPT_SIZE 29U

/* Must be zero-initialised before the first byte, except protocols. */
struct ws_handshake {
    /* Requested protocols separated by commas, or NULL. Borrowed; set before
     * the first byte. */
    const char *protocols;
    bool is_over;
    uint16_t status;
    bool has_upgrade;
    bool has_connection;
    bool has_extensions;
    bool has_protocol;
    bool has_strange_protocol;
    /* Value of Sec-WebSocket-Accept; "" if it is missing or has a wrong
     * length. */
    char accept[WS_ACCEPT_SIZE];
    bool has_first_line;
    uint32_t total_bytes;
    uint32_t line_len;
    char line[WS_LINE_SIZE];
};

/* Parses a head or a part of it. Returns how many bytes were used, all of them
 * unless it is over, or -EBADMSG if it is not HTTP or too long. */
ssize_t ws_handshake_read(struct ws_handshake *self, const uint8_t *bytes,
                          size_t len);

/* Returns NULL if the response accepts a request with this key, or one line
 * about the error. */
const char *ws_handshake_judge(const struct ws_handshake *self,
                               const char *key);

/* Makes a key from random numbers. */
void ws_make_key(uint64_t high, uint64_t low, char ret[WS_KEY_SIZE]);

/* Makes the value with which a server must respond to a key. */
void ws_make_accept(const char *key, char ret[WS_ACCEPT_SIZE]);

#endif
