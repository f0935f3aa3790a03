/*
 * Datagram transports: descriptors that Unix peers send along (SCM_RIGHTS).
 *
 * No one takes them. Since Linux 6.16 a peer cannot send any. Before that the
 * kernel closes those without room in the thread that receives the datagram, or
 * that closes the socket it lies in, and a close may wait for as long as the
 * peer likes. So such a transport has room for all that a message carries, and
 * threads close them (closer.h), and the socket in which some may lie. It
 * receives one datagram at a time, and none while any descriptor is being
 * closed: a peer keeps no more of them in the process's table than one message
 * carries.
 */
#include "datagram_impl.h"

/* SCM_PIDFD, since Linux 6.5: a program may have asked for a pidfd of each
 * sender, which is of no use here. */
#define DATAGRAM_FDS_PIDFD 4
/* A descriptor counts as much of the turn's budget. */
#define FD_COST 256u

static bool datagram_fds_are_in(const struct cmsghdr *control)
{
    return control->cmsg_level == SOL_SOCKET &&
           (control->cmsg_type == SCM_RIGHTS ||
            control->cmsg_type == DATAGRAM_FDS_PIDFD);
}

void wr_datagram_drop_fds(struct wr_datagram *d, const struct msghdr *header)
{
    struct msghdr readable = *header; /* the macros want one to write to */

    wr_assert(d->family == AF_UNIX);
    for (struct cmsghdr *control = CMSG_FIRSTHDR(&readable); control;
         control = CMSG_NXTHDR(&readable, control)) {
        if (datagram_fds_are_in(control)) {
            const size_t bytes = control->cmsg_len - CMSG_LEN(0);
            const uint32_t count = (uint32_t)(bytes / sizeof(int));
            wr_budget_received_due(&d->t.loop->budget, count * FD_COST);
            wr_closer_close(&d->closer, (int *)(void *)CMSG_DATA(control),
                            count);
        }
    }
}

static void datagram_fds_closed(void *arg)
{
    struct wr_datagram *d = arg;

    wr_assert(d->t.state > WR_LIFE_UNBORN && d->t.state < WR_LIFE_LOST);
    if (d->rests) {
        d->rests = false;
        wr_life_push_step(&d->t);
    }
}

bool wr_datagram_rest_for_fds(struct wr_datagram *d)
{
    wr_assert(d->t.state == WR_LIFE_OPEN);
    d->rests =
        wr_closer_is_busy(d->closer, d->t.loop->wake, datagram_fds_closed, d);
    return d->rests;
}

/* Closes a socket of a transport that has @closer, and lets go of that. */
static void datagram_fds_close_socket(struct wr_closer **closer, int fd)
{
    if (wr_sys_is_readable(fd) == 0) {
        wr_closer_close_empty(fd);
    } else {
        wr_closer_close(closer, &fd, 1);
    }
    wr_closer_let_go(closer);
}

void wr_datagram_close_own(struct wr_datagram *d)
{
    wr_assert(d->t.state == WR_LIFE_LOST);
    if (d->meets_fds) {
        datagram_fds_close_socket(&d->closer, d->fd);
    } else {
        wr_prep_close(&d->t.loop->uring, d->fd);
        wr_closer_let_go(&d->closer);
    }
    d->fd = -1;
}

void wr_datagram_close_fd(const weir_loop *loop, int fd, int family)
{
    struct wr_closer *closer = NULL;

    wr_assert(fd >= 0);
    if (wr_datagram_meets_fds(loop, family)) {
        datagram_fds_close_socket(&closer, fd);
    } else {
        wr_ignore(wr_sys_close(fd)); /* the caller is told another error */
    }
}
