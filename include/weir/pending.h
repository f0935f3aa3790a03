/**
 * @file pending.h
 * Operations under way. When an operation ends, it calls its @c done, a
 * function of the program.
 *
 * A call that starts an operation can return a handle for cancelling it. The
 * handle belongs to the library, and may be used until @c done returns.
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
 * Cancel an operation. Its @c done is called from the loop.
 *
 * @c done gets -ECANCELED, unless the operation has already failed with another
 * error. If a connection was established in the meantime, it is closed; a child
 * process that was started is killed. The call may be repeated. Inside @c done
 * it has no effect.
 *
 * @param pending  the handle, before its done has returned; borrowed
 */
WEIR_API void weir_pending_cancel(weir_pending *pending);

/** An address that an operation has tried. */
struct weir_attempt {
    size_t size;
    /** The peer's address. For a datagram endpoint without a peer it is the
     * local address. */
    struct weir_address address;
    /** The local address of the attempt. Its len is 0 if there was no local
     * address, for example because there was no route, or if the socket has no
     * name. After a refused connect the kernel no longer has the local address;
     * then this is the address that the routes select now. If a datagram
     * endpoint could not be bound, this is the requested address. */
    struct weir_address own_address;
    /** The error of the attempt, negative; 0 if it has not failed. */
    int err;
};

/**
 * Get one attempt of an operation, with its addresses and its error (asyncio's
 * all_errors).
 *
 * Operations that connect, that request an upstream, and that make a datagram
 * endpoint have attempts, one for each address that they try. If a local
 * address is in use and the attempts are repeated, the latest attempts are
 * returned.
 *
 * @param pending  the handle, before its done has returned; borrowed
 * @param index    number of the attempt, from 0, in the order of the addresses
 * @retval -EINVAL  @p index is out of range, or there are no addresses
 */
WEIR_API WEIR_MUST_USE int weir_pending_get_attempt(const weir_pending *pending,
                                                    size_t index,
                                                    struct weir_attempt *ret);

WEIR_END_DECLS

#endif
