/*
 * Options of the sockets that connections are made with, and of those of
 * datagrams.
 *
 * They are set when a connection stands, because the library makes it; so they
 * have no part in the handshake of TCP: a receive buffer that is made larger
 * keeps the scale of its window. Whether the kernel takes them is tried before
 * the run.
 */
#ifndef WEIR_LOAD_SOCKETS_H
#define WEIR_LOAD_SOCKETS_H

#include "tools/common/option.h"
#include "tools/common/target.h"

#include <stdbool.h>
#include <stdint.h>

/* Room for every reason that sockets_set() gives. */
#define SOCKETS_WHY_SIZE 160

struct socket_flags {
    /* The last option that only TCP, or only TCP and UDP, have; NULL: none. */
    const struct option *tcp;
    const struct option *inet;
    /* Nagle's algorithm stays on. */
    bool has_nagle;
    /* SO_KEEPALIVE. */
    bool keeps_alive;
    /* The first bytes of a connection go with its SYN. */
    bool fast_open;
    /* Bytes; 0: the system's. */
    uint64_t send_buffer_bytes;
    uint64_t receive_buffer_bytes;
    /* Type of service, or traffic class; -1: the system's. */
    int tos;
};

/* Set them on a socket, as far as they are not options of the connection
 * (weir_connection_options). 0, or a negative error with one line in why. */
int sockets_set(const struct socket_flags *flags, int fd, char *why);

/* Is there one that sockets_set() sets? */
bool sockets_has_any(const struct socket_flags *flags);

/* Would sockets of the target's family and kind take them? Says why not. */
bool sockets_try(const struct socket_flags *flags, const struct target *target);

#endif
