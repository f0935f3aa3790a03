/*
 * Stream sockets as transports: how clients, servers and moves between loops
 * make one from a connected descriptor and a factory. sock_impl.h describes the
 * internals.
 */
#ifndef WEIR_LIB_TRANSPORT_SOCK_SOCK_H
#define WEIR_LIB_TRANSPORT_SOCK_SOCK_H

#include "lib/transport/transport.h"
#include "weir/connect_options.h"

struct wr_sock_options {
    const struct weir_connection_options
        *connection;               /* borrowed, or NULL for defaults */
    struct wr_connection_set *set; /* the server's, or NULL */
    /* Family of the socket; 0 also means an IP family. */
    int family;
    bool may_open; /* the first send may have to connect it (TCP Fast Open) */
};

/* All that a connection takes to another loop: the descriptor, the bytes, and
 * the facts that the kernel does not know. Its memory belongs to no loop. */
struct wr_sock_content {
    struct weir_allocator allocator;
    int fd;
    int family;
    struct weir_timeouts limits; /* limits of the connection, if has_limits */
    uint64_t received_ns;
    uint64_t sent_ns;
    uint64_t high_bytes;
    uint64_t low_bytes;
    uint64_t hard_limit_bytes;
    uint64_t read_limit_bytes;
    uint8_t *bytes; /* first bytes received and not delivered, then bytes
                     * written and not sent */
    size_t unread_bytes;
    size_t unsent_bytes;
    uint8_t fd_limit;
    bool has_limits : 1;
    bool is_busy : 1;
    bool eof_seen : 1;
    bool has_ended : 1; /* write_eof was called */
    bool end_sent : 1;  /* the FIN was sent after write_eof */
    bool has_received : 1;
    bool has_sent : 1;
    bool has_waited : 1;
    bool fin_seen : 1;
};

/* A connection made from a struct wr_sock_content, before its start. */
struct wr_remade {
    struct wr_sock *sock;
    struct wr_sendq unsent;
    weir_lease *unread; /* a list */
};

struct wr_leaving;

/* Returns 0 if @t is an open socket that can move now, else the error. */
WEIR_MUST_USE int wr_sock_check_move(const weir_transport *t);
/* Cancels operations, and calls ->settled when none is left. */
void wr_sock_begin_leaving(weir_transport *t, struct wr_leaving *leaving);
/* True if no operation is in flight and no received descriptor is being
 * closed. */
WEIR_MUST_USE bool wr_sock_is_settled_to_move(const weir_transport *t);
/* Copies everything to @content. May run callbacks. Returns 0, -ENOMEM, or
 * -ECANCELED if a callback has ended the move. */
WEIR_MUST_USE int wr_sock_pack(weir_transport *t,
                               struct wr_sock_content *content);
/* Gives up the descriptor, which another loop may now take. */
void wr_sock_send_off(weir_transport *t);
/* Returns the connection to this loop unchanged, even after
 * wr_sock_send_off(). */
void wr_sock_come_back(weir_transport *t);
/* Called when the connection belongs to another loop: calls connection_moved.
 */
void wr_sock_leave(weir_transport *t);
void wr_sock_content_free(struct wr_sock_content *content);

/* Makes a connection, and calls the factory for its protocol. Returns 0,
 * -ENOMEM, -EINVAL or the factory's error. The caller keeps the content. */
WEIR_MUST_USE int wr_sock_remake(weir_loop *loop,
                                 const struct wr_sock_content *content,
                                 const struct weir_factory *factory,
                                 struct wr_remade *ret);
/* Starts the connection on this loop, which now owns the descriptor: calls
 * connection_made, then receives and sends. */
void wr_sock_begin_anew(struct wr_remade *remade,
                        const struct wr_sock_content *content);

/* Closes a connected descriptor that cannot become a transport. */
void wr_sock_refuse(weir_loop *loop, int fd,
                    const struct wr_sock_options *options);
/* Makes a transport from a connected descriptor, calls the factory for its
 * protocol, calls connection_made and starts reading. Takes @fd, even on
 * failure. Called from the loop (a completion or a ready item), never from a
 * call of the program. On success the loop has the connection, its set has
 * adopted it, and *ret is borrowed: the protocol may have closed it already. */
WEIR_MUST_USE int wr_sock_open(weir_loop *loop, int fd,
                               const struct weir_factory *factory,
                               const struct wr_sock_options *options,
                               weir_transport **ret);

/* Sets the socket options of a new connection or, because they are inherited,
 * of a listener. Returns 0 or the first error. A Unix socket that takes no
 * descriptors refuses them if the kernel can (Linux 6.16), regardless of an
 * option set by another program. */
WEIR_MUST_USE int
wr_sock_configure(const weir_loop *loop, int fd, int family,
                  const struct weir_connection_options *connection);
/* True if wr_sock_configure() would change nothing on a TCP socket. */
WEIR_MUST_USE bool
wr_sock_is_configured(int fd, int family,
                      const struct weir_connection_options *connection);

#endif
