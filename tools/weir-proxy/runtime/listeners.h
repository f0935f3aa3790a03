/*
 * The listening sockets, opened before the threads start, so that an error ends
 * the program before it serves clients.
 *
 * Each address has a listener: a name, and a host of *, have one for each of
 * their addresses. A socket comes from the first of these: the running proxy
 * that this one replaces (handover.h), systemd (LISTEN_FDS), or it is made
 * here. A TCP address has a socket for each thread, and the kernel distributes
 * connections among them. If there are fewer sockets than threads, threads
 * share them; if there are more, a thread has several.
 *
 * A socket from elsewhere is matched by its bound address. A socket at [::]
 * that accepts IPv4, too, is for the addresses 0.0.0.0 and [::] of one service.
 */
#ifndef WEIR_PROXY_LISTENERS_H
#define WEIR_PROXY_LISTENERS_H

#include "tools/weir-proxy/config/config.h"

struct listener {
    size_t service; /* indices in the configuration */
    size_t listen;
    struct weir_address address; /* bound address, or the one to bind to */
    const struct config_service *config;
    bool is_tls;
    bool is_any;
    bool is_covered; /* served by the socket of another listener, which is for
                      * both families */
    int *fds;
    uint32_t fd_count;
    bool is_own_path; /* this proxy removes the file of the Unix socket */
    bool gets_path;   /* is_own_path becomes true after the old proxy agreed */
    bool is_handed;   /* a newer configuration has the sockets, too */
};

struct listeners {
    struct listener *all;
    size_t count;
    bool is_impatient; /* fail soon if an address is in use */
};

/* Finds all addresses without making sockets. Returns 0, or -1 after reporting
 * the reason. */
int listeners_init(struct listeners *listeners, const struct config *config);

/* Takes ownership of a descriptor from elsewhere and adds it to the listener of
 * its address. @with_path is true if the file of a Unix socket comes with it.
 * Returns false, and closes the descriptor, if it is not a listening socket of
 * any listener. */
bool listeners_offer(struct listeners *listeners, int fd, bool with_path);

/* Duplicates the sockets of another configuration into the listeners at the
 * same addresses. Returns 0 or a negative error. */
int listeners_inherit(struct listeners *listeners, const struct config *config,
                      struct listeners *before,
                      const struct config *before_config);
/* Releases the listeners of the old configuration. Sockets and paths that the
 * new one has taken stay open; the others are closed. */
void listeners_leave(struct listeners *before);

/* Opens the sockets of all listeners that have none. Returns 0, or -1 after
 * reporting the reason. */
int listeners_open(struct listeners *listeners, const struct config *config,
                   uint32_t thread_count);

/* Returns how many sockets of a listener a thread serves. */
uint32_t listeners_share(const struct listener *listener, uint32_t thread,
                         uint32_t thread_count);
/* Returns a duplicate of one of them, 0 to listeners_share() - 1, or a negative
 * error. */
int listeners_take(const struct listener *listener, uint32_t thread,
                   uint32_t thread_count, uint32_t index);

/* Closes the sockets. New clients are refused once the threads have closed
 * their duplicates. */
void listeners_stop(struct listeners *listeners);
/* Removes the paths of Unix sockets that belong to this proxy. */
void listeners_close(struct listeners *listeners);
/* Makes this proxy the owner of the paths that came with sockets. */
void listeners_own_paths(struct listeners *listeners);
/* Makes listeners_close() keep the paths for another process. */
void listeners_keep_paths(struct listeners *listeners);

#endif
