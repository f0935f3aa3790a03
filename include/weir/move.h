/**
 * @file move.h
 * Moving an open connection to another loop, on another thread.
 *
 * Moves balance connections that were accepted unevenly. A move keeps the state
 * of the connection: received bytes that were not delivered, written bytes that
 * were not sent, a half-closed direction, the marks, the limits of memory and
 * the remaining time of time-outs. The peer notices nothing.
 *
 * On the other loop it is a new transport with its own protocol, which a
 * factory makes there. The user pointer may be the same: the other thread's
 * factory sees all memory that was written before the call.
 *
 *     static int take_over(void *arg, weir_transport *t,
 *                          struct weir_protocol_binding *ret)
 *     {
 *         *ret = (struct weir_protocol_binding){&protocol, arg};
 *         return weir_server_add_transport(its_server(arg), t);
 *     }
 *
 *     const struct weir_factory factory = {take_over, session};
 *     err = weir_transport_move(t, weir_thread_get_mailbox(other), &factory,
 *                               NULL, NULL, NULL);
 *
 * **What can move.** TCP and Unix stream sockets whose protocol has
 * connection_moved. Three kinds of connections stay:
 *
 * - The streams of tasks, because readers and writers belong to their loop.
 *   Call weir_stream_detach() first, and pass the reader's bytes to
 *   weir_transport_set_protocol().
 * - The connections of a relay.
 * - TLS. wolfSSL allocates a session in many pieces from the loop, and cannot
 *   transfer it. A balanced TLS server accepts without TLS, moves the
 *   connection, and calls weir_transport_start_tls() on the other loop.
 *
 * Rules of all headers: include/guide/rules.md.
 * @thread loop
 * @suspends no
 */
#ifndef WEIR_MOVE_H
#define WEIR_MOVE_H

#include "base.h"
#include "loop.h"
#include "pending.h"
#include "protocol.h"
#include "transport.h"

WEIR_BEGIN_DECLS

/** Called when a move has ended. @p err is 0, or the reason why the connection
 * has not moved; then its protocol is called again, or has got
 * connection_lost. */
typedef void weir_move_done_fn(void *arg, int err);

/**
 * Move a connection to another loop.
 *
 * After this call the protocol is not called, writes fail with -EBUSY, and
 * weir_transport_is_closing() is true. When the kernel has no operation of the
 * connection any more, which no peer can delay, it is offered to the other
 * loop. There @p factory is called, then connection_made, then the protocol
 * gets all bytes that the old one has not seen, and eof_received if the peer
 * has ended its stream, even if the old protocol got it too. It may write at
 * once; pause_writing follows connection_made if too much waits to be sent. The
 * call may be made in connection_made and in every later callback of the
 * protocol.
 *
 * When the other loop has the connection, connection_moved is called here, and
 * then @p done with 0. The old transport has ended (WEIR_END_MOVED); its
 * addresses can still be read, its descriptor not.
 *
 * If the move fails, the connection continues here as before, and @p done gets
 * the error: -ESHUTDOWN if the other loop was freed first, -ENOMEM, the
 * factory's error, -EINVAL if its protocol is not for a stream, the error of a
 * connection that has broken meanwhile, or -ECANCELED after
 * weir_pending_cancel(), after a close or an abort, and if this loop is freed.
 * A close or an abort takes effect unless the other loop has the connection
 * already. If this loop is freed while the factory runs, @p done gets
 * -ECANCELED, and the connection is reset if the factory fails.
 *
 * If the other loop does not run the connection waits for it, until the move is
 * cancelled.
 *
 * @param to       another loop (weir_loop_get_mailbox(),
 *                 weir_thread_get_mailbox()); borrowed
 * @param factory  makes the protocol, on the thread of @p to; copied
 * @param done     called once, from this loop; may be NULL without a handle
 * @return         0 when it has begun; after an error nothing has changed
 * @retval -EINVAL      no factory, @p to is NULL or the transport's own loop,
 *                      or a handle without done
 * @retval -EOPNOTSUPP  not a stream socket, or a protocol without
 *                      connection_moved
 * @retval -EBUSY       before connection_made, during another move, while a
 *                      file or descriptors are being sent, and before the peer
 *                      has answered a fast_open (connect_options.h)
 * @retval -ESHUTDOWN   the transport is closing, broken or lost
 * @retval -ENOBUFS, -ENOMEM a write was refused, and its bytes are missing; or
 *                   no memory for the move
 * @retval WEIR_EREPLACED  another transport (TLS) has replaced this one
 */
WEIR_API WEIR_MUST_USE int
weir_transport_move(weir_transport *t, weir_mailbox *to,
                    const struct weir_factory *factory, weir_move_done_fn *done,
                    void *done_arg, weir_pending **ret);

/**
 * Move a connection to another loop, and wait until it has moved. An
 * interruption cancels the move; if the other loop has the connection by then,
 * the call returns 0.
 *
 * @param to       as weir_transport_move(); borrowed
 * @param factory  as weir_transport_move(); copied
 * @return         0 if the other loop has the connection, or any negative error
 *                 of weir_transport_move() or of its done
 * @retval -ECANCELED  the task was interrupted, or the connection was closed or
 *                     aborted meanwhile
 * @suspends yes
 */
WEIR_API WEIR_MUST_USE int
weir_transport_move_wait(weir_transport *t, weir_mailbox *to,
                         const struct weir_factory *factory);

WEIR_END_DECLS

#endif
