/*
 * Options of sockets for connections and datagrams.
 *
 * They are set once a connection is established, because the library creates
 * its socket; so they do not affect the TCP handshake: a larger receive buffer
 * does not change the window scale. Before the run a test socket shows whether
 * the kernel accepts them.
 */
#ifndef WEIR_LOAD_SOCKETS_H
#define WEIR_LOAD_SOCKETS_H

#include "tools/weir-load/base/why.h"

#include "tools/common/target.h"

#include <stdbool.h>
#include <stdint.h>

struct socket_flags {
    /* Nagle's algorithm is left on. */
    bool has_nagle;
    bool keeps_alive;
    /* The first bytes of a connection are sent with its SYN. */
    bool fast_open;
    /* Sizes of the buffers; 0 means the system's default. */
    uint64_t send_buffer_bytes;
    uint64_t receive_buffer_bytes;
    /* Type of service or traffic class; -1 means the system's default. */
    int tos;
};

/* Sets the options that weir_connection_options does not have. Returns 0, or a
 * negative error with one line in @why. */
int sockets_set(const struct socket_flags *flags, int fd, char *why);

/* Returns true if sockets_set() would set an option. */
bool sockets_has_any(const struct socket_flags *flags);

/* Checks whether sockets of the target's family and kind accept the options.
 * Returns false after printing why not. */
bool sockets_try(const struct socket_flags *flags, const struct target *target);

#endif
