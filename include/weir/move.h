/**
 * @file move.h
 * Moving an open connection to another loop, on another thread.
 *
 * A program moves connections to distribute them evenly if they were accepted
 * unevenly. A move keeps the state of the connection: received bytes that were
 * not delivered, written bytes that were not sent, a half-closed direction, the
 * marks, the limits of memory and the remaining time of time-outs. The peer
 * notices nothing.
 *
 * On the other loop the connection has a new transport with its own protocol,
 * which a factory makes there. The user pointer may be the same, because the
 * factory on the other thread sees all memory that was written before the call.
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
 * - Connections with TLS, because wolfSSL allocates a session in many pieces
 *   from the loop and cannot transfer it. A TLS server that distributes its
 *   connections accepts them without TLS, moves them, and calls
 *   weir_transport_start_tls() on the other loop.
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
 * has not moved. After an error the old protocol is called again, or its
 * connection_lost was called. */
typedef void weir_move_done_fn(void *arg, int err);

/**
 * Move a connection to another loop.
 *
 * This may be called in connection_made and in every later callback of the
 * protocol. After the call the protocol is not called, writes fail with -EBUSY,
 * and weir_transport_is_closing() is true. When the kernel has ended all
 * operations of the connection, which no peer can delay, the connection is
 * passed to the other loop. There @p factory is called, and then
 * connection_made. The new protocol gets all bytes that the old protocol has
 * not got. If the peer has ended its stream, eof_received is called for the new
 * protocol, even if it was called for the old one. The new protocol may write
 * at once; pause_writing follows connection_made if too many bytes wait to be
 * sent.
 *
 * When the other loop has the connection, connection_moved is called on this
 * loop, and then @p done with 0. The old transport has ended (WEIR_END_MOVED).
 * The getters still return its addresses, but not its descriptor.
 *
 * If the move fails, the connection continues on this loop as before, and @p
 * done gets one of these errors:
 * - -ESHUTDOWN if the other loop was freed before;
 * - -ENOMEM if memory ran out;
 * - the error of the factory, or -EINVAL if its protocol is not for a stream;
 * - the error of the connection, if it has broken meanwhile;
 * - -ECANCELED after weir_pending_cancel(), after a close or an abort, and if
 *   this loop is freed. The close or the abort takes effect, unless the other
 *   loop has the connection already.
 *
 * If this loop is freed while the factory runs, and the factory then fails, the
 * connection is reset.
 *
 * If the other loop does not run, the connection waits for it until the move is
 * cancelled.
 *
 * @param to       the mailbox of the other loop (weir_loop_get_mailbox(),
 *                 weir_thread_get_mailbox()); borrowed
 * @param factory  makes the protocol, on the thread of @p to; copied
 * @param done     called once, from this loop; may be NULL if @p ret is NULL
 * @return         0 when the move has begun; after an error nothing has changed
 * @retval -EINVAL      @p factory or @p to is NULL, @p to is the mailbox of the
 *                      transport's own loop, or @p ret is given without @p done
 * @retval -EOPNOTSUPP  the transport is not a stream socket, or its protocol
 *                      has no connection_moved
 * @retval -EBUSY       connection_made was not called yet, another move is
 *                      under way, a file or descriptors are being sent, or
 *                      fast_open was used and the peer has not answered yet
 * @retval -ESHUTDOWN   the transport is closing, broken or lost
 * @retval -ENOBUFS, -ENOMEM a write was refused, and its bytes are missing; or
 *                   there is no memory for the move
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
 * @return         0 if the other loop has the connection; an error of
 *                 weir_transport_move(); or any negative error that its @p done
 *                 would get
 * @retval -ECANCELED  the task was interrupted, or the connection was closed or
 *                     aborted during the move
 * @suspends yes
 */
WEIR_API WEIR_MUST_USE int
weir_transport_move_wait(weir_transport *t, weir_mailbox *to,
                         const struct weir_factory *factory);

WEIR_END_DECLS

#endif
