/*
 * The opening handshake of WebSocket. SHA-1 is implemented here, so that
 * weir-load does not need a library for it. The hash is not for security: it
 * only shows that the server speaks WebSocket.
 *
 * Names and tokens are compared without regard to case, as in HTTP, but
 * protocols exactly. The server may choose one of the requested protocols,
 * once.
 */
#include "ws_frame.h"

#include "tools/weir-load/base/base.h"

#include <endian.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

/* RFC 6455, section 1.3. */
static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

#define SHA1_SIZE  20U
#define SHA1_BLOCK 64U

static uint32_t rotate(uint32_t value, unsigned bits)
{
    return value << bits | value >> (32 - bits);
}

static void add_block(uint32_t state[5], const uint8_t *block)
{
    static const uint32_t constants[4] = {0x5a827999U, 0x6ed9eba1U, 0x8f1bbcdcU,
                                          0xca62c1d6U};
    uint32_t words[80];
    uint32_t s[5];

    memcpy(words, block, SHA1_BLOCK);
    memcpy(s, state, sizeof(s));
    for (unsigned i = 0; i < 80; i++) {
        words[i] = i < 16 ? be32toh(words[i])
                          : rotate(words[i - 3] ^ words[i - 8] ^ words[i - 14] ^
                                       words[i - 16],
                                   1);
        const uint32_t chosen =
            i < 20              ? (s[1] & s[2]) | (~s[1] & s[3])
            : i >= 40 && i < 60 ? (s[1] & s[2]) | (s[1] & s[3]) | (s[2] & s[3])
                                : s[1] ^ s[2] ^ s[3];
        const uint32_t next =
            rotate(s[0], 5) + chosen + s[4] + constants[i / 20] + words[i];
        memmove(s + 1, s, 4 * sizeof(s[0]));
        s[0] = next;
        s[2] = rotate(s[2], 30);
    }
    for (unsigned i = 0; i < 5; i++) {
        state[i] += s[i];
    }
}

/* Hashes a text that fits into two blocks with its padding. */
static void hash(const char *text, size_t len, uint8_t ret[SHA1_SIZE])
{
    uint32_t state[5] = {0x67452301U, 0xefcdab89U, 0x98badcfeU, 0x10325476U,
                         0xc3d2e1f0U};
    uint8_t blocks[2 * SHA1_BLOCK] = {0};
    const size_t count = len + 9 <= SHA1_BLOCK ? 1 : 2;
    const uint64_t bits = htobe64((uint64_t)len * 8);

    memcpy(blocks, text, len);
    blocks[len] = 0x80;
    memcpy(blocks + count * SHA1_BLOCK - sizeof(bits), &bits, sizeof(bits));
    for (size_t i = 0; i < count; i++) {
        add_block(state, blocks + i * SHA1_BLOCK);
    }
    for (size_t i = 0; i < 5; i++) {
        const uint32_t word = htobe32(state[i]);
        memcpy(ret + 4 * i, &word, sizeof(word));
    }
}

void ws_make_key(uint64_t high, uint64_t low, char ret[WS_KEY_SIZE])
{
    uint8_t bytes[16];

    memcpy(bytes, &high, sizeof(high));
    memcpy(bytes + sizeof(high), &low, sizeof(low));
    base64_write(bytes, sizeof(bytes), ret);
}

void ws_make_accept(const char *key, char ret[WS_ACCEPT_SIZE])
{
    char text[WS_KEY_SIZE + sizeof(guid)];
    uint8_t hashed[SHA1_SIZE];

    const int len = snprintf(text, sizeof(text), "%.24s%s", key, guid);
    hash(text, (size_t)len, hashed);
    base64_write(hashed, sizeof(hashed), ret);
}

/* Returns the value of a header line with this name, or NULL for another
 * line. */
static const char *find_value(const char *line, const char *name)
{
    const size_t len = strlen(name);

    if (strncasecmp(line, name, len) != 0 || line[len] != ':') {
        return NULL;
    }
    line += len + 1;
    return line + strspn(line, " \t");
}

static bool has_word(const char *list, const char *word,
                     int (*compare)(const char *, const char *, size_t))
{
    const size_t len = strlen(word);

    while (*list) {
        list += strspn(list, " \t,");
        const size_t size = strcspn(list, " \t,;");
        if (size == len && compare(list, word, len) == 0) {
            return true;
        }
        list += strcspn(list, ",");
    }
    return false;
}

static int take_first_line(struct ws_handshake *self)
{
    const char *line = self->line;

    self->has_first_line = true;
    if (strncmp(line, "HTTP/1.", 7) == 0 && line[7] >= '0' && line[7] <= '9' &&
        line[8] == ' ' && strspn(line + 9, "0123456789") == 3) {
        self->status = (uint16_t)((line[9] - '0') * 100 +
                                  (line[10] - '0') * 10 + (line[11] - '0'));
        return 0;
    }
    return -EBADMSG;
}

static void take_field(struct ws_handshake *self)
{
    const char *line = self->line;
    const char *value = NULL;

    if ((value = find_value(line, "Upgrade"))) {
        self->has_upgrade |= has_word(value, "websocket", strncasecmp);
    } else if ((value = find_value(line, "Connection"))) {
        self->has_connection |= has_word(value, "Upgrade", strncasecmp);
    } else if ((value = find_value(line, "Sec-WebSocket-Accept"))) {
        if (strlen(value) + 1 == WS_ACCEPT_SIZE) {
            memcpy(self->accept, value, WS_ACCEPT_SIZE);
        }
    } else if ((value = find_value(line, "Sec-WebSocket-Protocol"))) {
        self->has_strange_protocol |=
            self->has_protocol || !self->protocols || value[0] == '\0' ||
            !has_word(self->protocols, value, strncmp);
        self->has_protocol = true;
    } else if ((value = find_value(line, "Sec-WebSocket-Extensions"))) {
        self->has_extensions |= value[0] != '\0';
    }
}

static int take_line(struct ws_handshake *self)
{
    size_t len = self->line_len;

    if (len >= WS_LINE_SIZE) {
        self->line[WS_LINE_SIZE - 1] = '\0';
        len = self->has_first_line ? 0 : len; /* skip it: no needed field is
                                               * that long */
    } else {
        while (len > 0 && strchr("\r \t", self->line[len - 1])) {
            len--;
        }
        self->line[len] = '\0';
        if (len == 0 && self->has_first_line) {
            self->is_over = true;
        }
    }
    self->line_len = 0;
    if (!self->has_first_line) {
        return len > 0 ? take_first_line(self) : -EBADMSG;
    }
    if (len > 0) {
        take_field(self);
    }
    return 0;
}

ssize_t ws_handshake_read(struct ws_handshake *self, const uint8_t *bytes,
                          size_t len)
{
    size_t at = 0;

    while (at < len && !self->is_over) {
        const char byte = (char)bytes[at++];
        self->total_bytes++;
        if (self->total_bytes > WS_HANDSHAKE_MAX || byte == '\0') {
            return -EBADMSG;
        }
        if (byte == '\n') {
            const int err = take_line(self);
            if (err < 0) {
                return err;
            }
        } else if (self->line_len < WS_LINE_SIZE) {
            self->line[self->line_len++] = byte;
        }
    }
    return (ssize_t)at;
}

const char *ws_handshake_judge(const struct ws_handshake *self, const char *key)
{
    char accept[WS_ACCEPT_SIZE];

    ws_make_accept(key, accept);
    return self->status != 101       ? "the status is not 101"
           : !self->has_upgrade      ? "there is no Upgrade: websocket"
           : !self->has_connection   ? "there is no Connection: Upgrade"
           : self->accept[0] == '\0' ? "there is no Sec-WebSocket-Accept"
           : strcmp(self->accept, accept) != 0
               ? "Sec-WebSocket-Accept does not match the key"
           : self->has_extensions       ? "an extension that was not asked for"
           : self->has_strange_protocol ? "a protocol that was not asked for"
                                        : NULL;
}
