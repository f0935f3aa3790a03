/*
 * Which errors say that this machine lacks something, and nothing about a peer.
 *
 * -EAGAIN is a thread that could not be made, or an entry of the kernel's;
 * -ENOSPC a limit of epoll. Whoever calls has waited out an -EAGAIN that a peer
 * is to blame for, as a Unix server's full queue (connect/attempt.c).
 */
#ifndef WEIR_LIB_BASE_SHORTAGE_H
#define WEIR_LIB_BASE_SHORTAGE_H

#include "uring/check.h"
#include "weir/base.h"

#include <errno.h>

/* True if this machine lacks something, perhaps for a short time: descriptors,
 * memory, buffers or threads. */
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

/* True for errors of a connect that this machine is to blame for; without a
 * port or an address of its own it may be so for long. */
static inline bool wr_err_is_own(int err)
{
    wr_assert(err <= 0);
    return wr_err_is_shortage(err) || err == -EADDRNOTAVAIL ||
           err == -ECANCELED;
}

#endif
