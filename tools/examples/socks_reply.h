/*
 * Replies of a SOCKS5 proxy: the result of connecting as a reply code, and the
 * proxy's local address of the connection to the target. A reply that reports a
 * failure has no address.
 */
#ifndef WEIR_EXAMPLES_SOCKS_REPLY_H
#define WEIR_EXAMPLES_SOCKS_REPLY_H

#include "socks_request.h"

static inline uint8_t reply_of(int error)
{
    switch (error) {
    case 0:
        return 0;
    case -ENETUNREACH:
        return 3;
    case -EHOSTUNREACH:
    case -ETIMEDOUT:
        return 4;
    case -ECONNREFUSED:
        return 5;
    default: /* a name without an address, for example */
        return error <= WEIR_EDNSNOTFOUND ? 4 : 1;
    }
}

/* @target is NULL if connecting failed. */
static inline int say_reply(weir_writer *client, uint8_t reply,
                            weir_writer *target)
{
    struct weir_address own = {.storage.any.sa_family = AF_INET};
    uint8_t text[22] = {SOCKS_VERSION, reply, 0, SOCKS_IPV4};
    const struct sockaddr_in *inet = &own.storage.inet;
    const struct sockaddr_in6 *inet6 = &own.storage.inet6;
    bool is_long = false;
    if (target) {
        weir_transport_get_sockname(weir_writer_get_transport(target), &own);
        is_long = own.storage.any.sa_family == AF_INET6;
    }
    size_t len = is_long ? 16 : 4;
    text[3] = is_long ? SOCKS_IPV6 : SOCKS_IPV4;
    memcpy(text + 4,
           is_long ? (const void *)&inet6->sin6_addr : &inet->sin_addr, len);
    memcpy(text + 4 + len, is_long ? &inet6->sin6_port : &inet->sin_port, 2);
    return weir_writer_write(client, text, 6 + len);
}

#endif
