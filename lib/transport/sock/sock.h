/*
 * Stream sockets as transports: clients, servers and moves between loops make
 * one from a connected descriptor and a factory. sock_impl.h describes the
 * design, and sock_move.c the moves.
 */
#ifndef WEIR_LIB_TRANSPORT_SOCK_SOCK_H
#define WEIR_LIB_TRANSPORT_SOCK_SOCK_H

#include "lib/transport/transport.h"
#include "weir/connect_options.h"

struct wr_sock_options {
    const struct weir_connection_options
        *connection;               /* borrowed; may be NULL */
    struct wr_connection_set *set; /* the server's, or NULL */
    /* Family; 0 also means an IP family. */
    int family;
    bool may_open; /* the first send may connect (TCP Fast Open) */
};

/* A connection on its way to another loop. The memory belongs to no loop. */
struct wr_sock_content {
    struct weir_allocator allocator;
    int fd;
    int family;
    struct weir_timeouts limits; /* if has_limits */
    uint64_t received_ns;
    uint64_t sent_ns;
    uint64_t high_bytes;
    uint64_t low_bytes;
    uint64_t hard_limit_bytes;
    uint64_t read_limit_bytes;
    /* Bytes received and not delivered, then bytes written and not sent. */
    uint8_t *bytes;
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

/* A connection of a struct wr_sock_content, before its start. */
struct wr_remade {
    struct wr_sock *sock;
    struct wr_sendq unsent;
    weir_lease *unread;
};

struct wr_leaving;

/* Returns 0 if @t is an open socket that can move now, else an error. */
WEIR_MUST_USE int wr_sock_check_move(const weir_transport *t);
/* Cancels operations, and calls ->settled when none is left. */
void wr_sock_begin_leaving(weir_transport *t, struct wr_leaving *leaving);
/* True if no operation and no close of a received descriptor is in flight. */
WEIR_MUST_USE bool wr_sock_is_settled_to_move(const weir_transport *t);
/* Copies everything to @content. May run callbacks. Returns 0, -ENOMEM, or
 * -ECANCELED if a callback has ended the move. */
WEIR_MUST_USE int wr_sock_pack(weir_transport *t,
                               struct wr_sock_content *content);
/* Releases the descriptor, which another loop may now take. */
void wr_sock_send_off(weir_transport *t);
/* Cancels the move, even after wr_sock_send_off(). */
void wr_sock_come_back(weir_transport *t);
/* Calls connection_moved, because another loop has the connection. */
void wr_sock_leave(weir_transport *t);
void wr_sock_content_free(struct wr_sock_content *content);

/* Makes a connection, and calls the factory for its protocol. Returns 0,
 * -ENOMEM, -EINVAL or the factory's error. The caller keeps the content. */
WEIR_MUST_USE int wr_sock_remake(weir_loop *loop,
                                 const struct wr_sock_content *content,
                                 const struct weir_factory *factory,
                                 struct wr_remade *ret);
/* Starts the connection on this loop, which now owns the descriptor. */
void wr_sock_begin_anew(struct wr_remade *remade,
                        const struct wr_sock_content *content);

/* Closes a connected descriptor that cannot become a transport. */
void wr_sock_refuse(weir_loop *loop, int fd,
                    const struct wr_sock_options *options);
/* Makes a transport from a connected descriptor, calls the factory and
 * connection_made, and starts reading. Takes @fd, even on failure. Called only
 * from the loop (a completion or a ready item). *ret is borrowed: the protocol
 * may have closed it already. */
WEIR_MUST_USE int wr_sock_open(weir_loop *loop, int fd,
                               const struct weir_factory *factory,
                               const struct wr_sock_options *options,
                               weir_transport **ret);

/* Sets the socket options of a connection, or of a listener, which passes them
 * on. Returns 0 or the first error. A Unix socket that takes no descriptors
 * refuses them (since Linux 6.16), even if another program allowed them. */
WEIR_MUST_USE int
wr_sock_configure(const weir_loop *loop, int fd, int family,
                  const struct weir_connection_options *connection);
/* True if wr_sock_configure() would change nothing on a TCP socket. */
WEIR_MUST_USE bool
wr_sock_is_configured(int fd, int family,
                      const struct weir_connection_options *connection);

#endif
