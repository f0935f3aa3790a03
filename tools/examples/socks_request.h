/*
 * The first messages of a SOCKS5 client (RFC 1928): its methods, and the
 * target. At most 262 bytes are read for each. Later bytes stay in the reader
 * and are relayed.
 */
#ifndef WEIR_EXAMPLES_SOCKS_REQUEST_H
#define WEIR_EXAMPLES_SOCKS_REQUEST_H

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <weir.h>

enum { SOCKS_VERSION = 5, SOCKS_CONNECT = 1, SOCKS_NO_METHOD = 255 };
enum { SOCKS_IPV4 = 1, SOCKS_NAME = 3, SOCKS_IPV6 = 4 }; /* address types */
enum { SOCKS_NO_COMMAND = 7, SOCKS_NO_ADDRESS = 8 };     /* reply codes */

struct socks_target {
    char host[256]; /* a name, or an address as text */
    uint16_t port;
};

/* Returns 0 (no authentication), SOCKS_NO_METHOD, or an error. */
static inline int read_methods(weir_reader *reader)
{
    uint8_t head[2];
    uint8_t methods[255];
    ssize_t len = weir_reader_readexactly(reader, head, sizeof(head));
    if (len < 0 || head[0] != SOCKS_VERSION) {
        return len < 0 ? (int)len : -EPROTO;
    }
    len = weir_reader_readexactly(reader, methods, head[1]);
    bool is_free = len >= 0 && memchr(methods, 0, head[1]);
    return len < 0 ? (int)len : is_free ? 0 : SOCKS_NO_METHOD;
}

/* Reads an address and port. Returns 0, a reply code, or an error. */
static inline int read_address(weir_reader *reader, uint8_t type,
                               struct socks_target *ret)
{
    uint8_t bytes[255 + 2];
    uint8_t count = type == SOCKS_IPV4 ? 4 : type == SOCKS_IPV6 ? 16 : 0;
    if (type == SOCKS_NAME) {
        ssize_t len = weir_reader_readexactly(reader, &count, 1);
        if (len < 0) {
            return (int)len;
        }
    }
    if (count == 0) {
        return SOCKS_NO_ADDRESS;
    }
    ssize_t len = weir_reader_readexactly(reader, bytes, (size_t)count + 2);
    if (len < 0) {
        return (int)len;
    }
    ret->port = (uint16_t)(bytes[count] << 8 | bytes[count + 1]);
    if (type != SOCKS_NAME) {
        int family = type == SOCKS_IPV4 ? AF_INET : AF_INET6;
        inet_ntop(family, bytes, ret->host, sizeof(ret->host));
        return 0;
    }
    memcpy(ret->host, bytes, count);
    ret->host[count] = '\0';
    return strlen(ret->host) == count ? 0 : SOCKS_NO_ADDRESS;
}

/* Reads a request. Returns 0, a reply code that refuses it, or an error. */
static inline int read_request(weir_reader *reader, struct socks_target *ret)
{
    uint8_t head[4];
    ssize_t len = weir_reader_readexactly(reader, head, sizeof(head));
    if (len < 0 || head[0] != SOCKS_VERSION || head[2] != 0) {
        return len < 0 ? (int)len : -EPROTO;
    }
    int refusal = read_address(reader, head[3], ret);
    return refusal != 0 || head[1] == SOCKS_CONNECT ? refusal
                                                    : SOCKS_NO_COMMAND;
}

#endif
