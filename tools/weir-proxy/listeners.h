/*
 * The listening sockets of the proxy: made before the threads start, so that an
 * error ends the program before it serves anybody.
 *
 * A socket comes from one of three places, which are looked at in this order:
 * from the running proxy that this one replaces (handover.h), from systemd
 * (LISTEN_FDS), or it is made here. TCP addresses have a socket for each
 * thread, among which the kernel spreads the connections; a socket that came
 * from elsewhere, or that is a Unix socket, is shared by all threads.
 */
#ifndef WEIR_PROXY_LISTENERS_H
#define WEIR_PROXY_LISTENERS_H

#include "config.h"

struct listener {
    size_t service; /* their indices in the configuration */
    size_t listen;
    struct weir_address address; /* what it is bound to */
    int *fds;
    uint32_t fd_count;
    bool is_own_path; /* a Unix socket that was made here */
};

struct listeners {
    struct listener *all;
    size_t count;
};

/* Opens the sockets of all addresses that have none. 0, or -1 after the reason
 * was said. */
int listeners_open(struct listeners *listeners, const struct config *config,
                   uint32_t thread_count);
/* Closes the sockets: who connects is refused as soon as the threads have
 * closed theirs. */
void listeners_stop(struct listeners *listeners);
/* Unix sockets that were made here lose their paths. */
void listeners_close(struct listeners *listeners);
/* Paths stay: another process has the sockets. */
void listeners_keep_paths(struct listeners *listeners);

/* A descriptor for a thread, which is the caller's; or a negative error. */
int listeners_take(const struct listeners *listeners, size_t service,
                   size_t listen, uint32_t thread);

/* Adds a descriptor from elsewhere, which is taken, to the address that it is
 * bound to. False: no address of the configuration is that one; it was closed.
 */
bool listeners_offer(struct listeners *listeners, int fd);

/* Makes the table of all addresses, without sockets. 0 or -ENOMEM. */
int listeners_init(struct listeners *listeners, const struct config *config);

#endif
