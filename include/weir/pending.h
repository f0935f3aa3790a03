/**
 * @file pending.h
 * An operation that has begun, and whose end a function of the program is
 * called with.
 *
 * A call that begins something can give a handle of it, with which it is given
 * up. The handle belongs to the library; it may be used until done returns.
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
 * Give up an operation: its done follows, from the loop.
 *
 * done is called with -ECANCELED, unless the operation has failed before.
 * Something that was made at the same moment is closed; a child process that
 * was started is killed. The call may be repeated. Inside done it changes
 * nothing.
 *
 * @param pending  the handle, before its done has returned; borrowed
 */
WEIR_API void weir_pending_cancel(weir_pending *pending);

/** An address that an operation has tried. */
struct weir_attempt {
    size_t size;
    /** The address of the peer; of a datagram endpoint without a peer its own.
     */
    struct weir_address address;
    /** The own address that it was tried from; len 0: there was none, as
     * without a route, or where the socket has no name. Of a connect that was
     * refused the kernel forgets it: then it is what routes say now. Of a
     * datagram endpoint that was refused it is the one that was asked for. */
    struct weir_address own_address;
    /** Its error, negative; 0: it has not failed. */
    int err;
};

/**
 * An address that an operation has tried, and how that has ended (asyncio's
 * all_errors).
 *
 * Connects, requests for an upstream and makers of datagram endpoints try
 * addresses. While an own address that is in use is tried again, the latest
 * attempts count.
 *
 * @param pending  the handle, before its done has returned; borrowed
 * @param index    from 0 on, in the order of the addresses
 * @retval -EINVAL  no more were tried; or the operation tries none
 */
WEIR_API WEIR_MUST_USE int weir_pending_get_attempt(const weir_pending *pending,
                                                    size_t index,
                                                    struct weir_attempt *ret);

WEIR_END_DECLS

#endif
