/*
 * The fake's closes of what peers have chosen; see uring/closer.h.
 *
 * No close waits on the fake machine, so none needs a thread: they are made at
 * once, and nothing is ever under way.
 */
#include "uring/closer.h"

#include "uring/check.h"
#include "uring/sys.h"

void wr_closer_close(struct wr_closer **closer, const int *fds, size_t count)
{
    wr_assert(!*closer);
    for (size_t i = 0; i < count; i++) {
        wr_ignore(wr_sys_close(fds[i]) < 0);
    }
}

void wr_closer_close_alone(const int *fds, size_t count)
{
    struct wr_closer *closer = NULL;

    wr_closer_close(&closer, fds, count);
}

void wr_closer_close_empty(int fd)
{
    wr_closer_close_alone(&fd, 1);
}

bool wr_closer_is_busy(struct wr_closer *closer, struct wr_wake *wake,
                       void (*go_on)(void *arg), void *arg)
{
    (void)wake;
    (void)go_on;
    (void)arg;
    wr_assert(!closer);
    return false;
}

void wr_closer_let_go(struct wr_closer **closer)
{
    wr_assert(!*closer);
}
