/*
 * Errors that this machine causes, not a peer.
 *
 * -EAGAIN means that a thread or a kernel object could not be created, -ENOSPC
 * that epoll's limit of watches is reached. An -EAGAIN that a peer causes, like
 * a Unix server's full queue, never gets here: the caller waits and tries again
 * (connect/attempt.c).
 */
#ifndef WEIR_LIB_BASE_SHORTAGE_H
#define WEIR_LIB_BASE_SHORTAGE_H

#include "uring/check.h"
#include "weir/base.h"

#include <errno.h>

/* Returns true if descriptors, memory, buffers or threads have run out. */
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

/* Returns true for errors of a connect that this machine causes. A lack of
 * ports or local addresses may last for long. */
static inline bool wr_err_is_own(int err)
{
    wr_assert(err <= 0);
    return wr_err_is_shortage(err) || err == -EADDRNOTAVAIL ||
           err == -ECANCELED;
}

#endif
