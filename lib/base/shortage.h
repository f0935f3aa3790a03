/*
 * Errors that are caused by this machine and not by a peer.
 *
 * -EAGAIN means here that a thread or a kernel object could not be created, and
 * -ENOSPC that epoll's limit of watches is reached. Callers handle the -EAGAIN
 * of a full Unix server queue before (connect/attempt.c).
 */
#ifndef WEIR_LIB_BASE_SHORTAGE_H
#define WEIR_LIB_BASE_SHORTAGE_H

#include "uring/check.h"
#include "weir/base.h"

#include <errno.h>

static inline bool wr_err_is_shortage(int err)
{
    wr_assert(err <= 0);
    switch (err) {
    case -EMFILE:
    case -ENFILE:
    case -ENOMEM:
    case -ENOBUFS:
    case -ENOSPC:
    case -EAGAIN:
        return true;
    default:
        return false;
    }
}

/* Returns true if this machine caused the error of a connect. A lack of ports
 * or local addresses may last for long, so it is not a shortage. */
static inline bool wr_err_is_own(int err)
{
    wr_assert(err <= 0);
    return wr_err_is_shortage(err) || err == -EADDRNOTAVAIL ||
           err == -ECANCELED;
}

#endif
