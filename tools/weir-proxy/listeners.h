/*
 * The listening sockets of the proxy: made before the threads start, so that an
 * error ends the program before it serves anybody.
 *
 * Each address that is listened on has a listener: a name and a host of * have
 * several, one for each address. A socket comes from one of three places, which
 * are looked at in this order: from the running proxy that this one replaces
 * (handover.h), from systemd (LISTEN_FDS), or it is made here. A TCP address
 * has a socket for each thread, among which the kernel spreads the connections;
 * if there are fewer sockets than threads, threads share them, and if there are
 * more, a thread has several.
 *
 * A socket from elsewhere is matched as the kernel has bound it. One at [::]
 * that takes IPv4, too, is for the addresses 0.0.0.0 and [::] of one service.
 */
#ifndef WEIR_PROXY_LISTENERS_H
#define WEIR_PROXY_LISTENERS_H

#include "config.h"

struct listener {
    size_t service; /* their indices in the configuration */
    size_t listen;
    struct weir_address address; /* what it is, or will be, bound to */
    const struct config_service *config;
    bool is_tls;
    bool is_any;
    bool is_covered; /* by the socket for both families of another one */
    int *fds;
    uint32_t fd_count;
    bool is_own_path; /* a Unix socket whose file goes with this proxy */
    bool gets_path;   /* likewise, as soon as the old proxy has heard of it */
    bool is_handed;   /* its sockets are another configuration's, too */
};

struct listeners {
    struct listener *all;
    size_t count;
    bool is_impatient; /* an address in use is an error at once */
};

/* Finds all addresses; no socket is made. 0, or -1 after the reason was said.
 */
int listeners_init(struct listeners *listeners, const struct config *config);

/* Adds a descriptor from elsewhere, which is taken, to the listener of its
 * address. @with_path: a Unix socket's file comes with it. False: it is no
 * listening socket of any; it was closed. */
bool listeners_offer(struct listeners *listeners, int fd, bool with_path);

/* Gives listeners the sockets of those of another configuration, as far as they
 * are at the same addresses; both have them then. 0 or a negative error. */
int listeners_inherit(struct listeners *listeners, const struct config *config,
                      struct listeners *before,
                      const struct config *before_config);
/* The others serve: what these have handed on, paths too, is theirs, and the
 * rest is closed. */
void listeners_leave(struct listeners *before);

/* Opens the sockets of all listeners that have none. 0, or -1 after the reason
 * was said. */
int listeners_open(struct listeners *listeners, const struct config *config,
                   uint32_t thread_count);

/* How many sockets of a listener a thread serves. */
uint32_t listeners_share(const struct listener *listener, uint32_t thread,
                         uint32_t thread_count);
/* A duplicate of one of them, from 0 to listeners_share() - 1; or a negative
 * error. */
int listeners_take(const struct listener *listener, uint32_t thread,
                   uint32_t thread_count, uint32_t index);

/* Closes the sockets: who connects is refused as soon as the threads have
 * closed theirs. */
void listeners_stop(struct listeners *listeners);
/* Unix sockets that were made here, or by a proxy before, lose their paths. */
void listeners_close(struct listeners *listeners);
/* The paths that came with sockets are this proxy's. */
void listeners_own_paths(struct listeners *listeners);
/* Paths stay: another process has the sockets. */
void listeners_keep_paths(struct listeners *listeners);

#endif
