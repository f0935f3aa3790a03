/**
 * @file pending.h
 * An operation that has begun, and whose end a function of the program is
 * called with.
 *
 * Calls that make something, or look something up, return at once. They take a
 * function, done, which is called exactly once, from the loop, with the result.
 * Such a call can give a handle of the operation, a weir_pending, with which
 * the operation is given up. The handle belongs to the library; it may be used
 * until done returns.
 *
 * @thread loop
 * @suspends no
 */
#ifndef WEIR_PENDING_H
#define WEIR_PENDING_H

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

WEIR_END_DECLS

#endif
