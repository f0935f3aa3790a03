/*
 * The listening sockets, opened before the threads start, so that an error ends
 * the program before it serves clients.
 *
 * There is a listener for each address. A host name, or the host *, has a
 * listener for each of its addresses. The sockets of a listener come from the
 * first source that has any: the running proxy that this one replaces
 * (handover.h), systemd (LISTEN_FDS), or bind(2). A TCP address has a socket
 * for each thread, and the kernel distributes connections among them. If there
 * are fewer sockets than threads, threads share them; if there are more, a
 * thread has several.
 *
 * A received socket is matched by its bound address. A socket at [::] that
 * accepts IPv4, too, is used for the addresses 0.0.0.0 and [::] of one service.
 */
#ifndef WEIR_PROXY_LISTENERS_H
#define WEIR_PROXY_LISTENERS_H

#include "tools/weir-proxy/config/config.h"

struct listener {
    size_t service;
    const struct config_service *config;
    const struct target *at;     /* the 'listen' of the service */
    struct weir_address address; /* bound address, or the address to bind to */
    bool is_covered; /* another listener's socket accepts both families */
    int *fds;
    uint32_t fd_count;
    bool is_own_path; /* this proxy removes the Unix socket's file */
    bool gets_path;   /* listeners_own_paths() sets is_own_path */
    bool is_handed;   /* a newer configuration also has the sockets */
};

struct listeners {
    struct listener *all;
    size_t count;
    bool is_impatient; /* fail soon if an address is in use */
};

/* Makes a listener for each address, but no sockets. Returns 0, or -1 after
 * printing the reason. */
int listeners_init(struct listeners *listeners, const struct config *config);

/* Takes ownership of a received descriptor and adds it to the listener of its
 * address. @with_path is true if this proxy also receives the Unix socket's
 * file. If the descriptor is not a listening socket of any listener, closes it
 * and returns false. */
bool listeners_offer(struct listeners *listeners, int fd, bool with_path);

/* Duplicates the sockets of another configuration into the listeners at the
 * same addresses. Returns 0 or a negative error. */
int listeners_inherit(struct listeners *listeners, struct listeners *before);
/* Releases the listeners of the old configuration. Sockets that the new
 * configuration has taken stay open, and their files stay. The others are
 * closed and their files removed. */
void listeners_leave(struct listeners *before);

/* Opens missing sockets. Returns 0, or -1 after printing the reason. */
int listeners_open(struct listeners *listeners, uint32_t thread_count);

/* Returns how many sockets of a listener a thread serves. */
uint32_t listeners_share(const struct listener *listener, uint32_t thread,
                         uint32_t thread_count);
/* Returns a duplicate of the thread's socket @index, which is less than
 * listeners_share(), or a negative error. */
int listeners_take(const struct listener *listener, uint32_t thread,
                   uint32_t thread_count, uint32_t index);

/* Clients are refused once the threads have closed their duplicates. */
void listeners_stop(struct listeners *listeners);
/* Closes the sockets, removes the socket files that this proxy owns, and frees
 * the listeners. */
void listeners_close(struct listeners *listeners);
/* Makes this proxy the owner of the files that it received with sockets. */
void listeners_own_paths(struct listeners *listeners);
/* Makes listeners_close() keep the files for another process. */
void listeners_keep_paths(struct listeners *listeners);

#endif
