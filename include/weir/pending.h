/**
 * @file pending.h
 * Operations under way, which call a function of the program when they end.
 *
 * A call that starts an operation can return a handle for cancelling it. The
 * handle belongs to the library and may be used until done returns.
 *
 * Rules of all headers: include/guide/rules.md.
 * @thread loop
 * @suspends no
 */
#ifndef WEIR_PENDING_H
#define WEIR_PENDING_H

#include "address.h"
#include "base.h"

WEIR_BEGIN_DECLS

/**
 * Cancel an operation: its done follows, from the loop.
 *
 * done is called with -ECANCELED, unless the operation has failed before. A
 * connection that was made at the same moment is closed; a child process that
 * was started is killed. The call may be repeated. Inside done it changes
 * nothing.
 *
 * @param pending  the handle, before its done has returned; borrowed
 */
WEIR_API void weir_pending_cancel(weir_pending *pending);

/** An address that an operation has tried. */
struct weir_attempt {
    size_t size;
    /** The peer's address; the local one of a datagram endpoint without a peer.
     */
    struct weir_address address;
    /** The local address of the attempt; its len is 0 if there was none, for
     * example without a route, or if the socket has no name. The kernel forgets
     * the local address of a refused connect: then it is the address that the
     * routes select now. If a datagram endpoint was refused it is the requested
     * address. */
    struct weir_address own_address;
    /** Its error, negative; 0 if it has not failed. */
    int err;
};

/**
 * Get one attempt of an operation: its addresses and its error (asyncio's
 * all_errors).
 *
 * Calls that connect, request an upstream or make a datagram endpoint try
 * addresses. While a local address that is in use is tried again, the latest
 * attempts are returned.
 *
 * @param pending  the handle, before its done has returned; borrowed
 * @param index    from 0, in the order of the addresses
 * @retval -EINVAL  @p index is out of range, or there are no addresses
 */
WEIR_API WEIR_MUST_USE int weir_pending_get_attempt(const weir_pending *pending,
                                                    size_t index,
                                                    struct weir_attempt *ret);

WEIR_END_DECLS

#endif
