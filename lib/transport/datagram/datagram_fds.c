/*
 * Datagram endpoints: descriptors that Unix peers send along (SCM_RIGHTS).
 *
 * No one takes them. Since Linux 6.16 a peer cannot send any. Before that the
 * kernel closes those without room in the thread that receives the datagram, or
 * that closes the socket it lies in, and a close may wait for as long as the
 * peer likes. So such an endpoint has room for all that a message carries, and
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

void wr_endpoint_drop_fds(struct wr_endpoint *e, const struct msghdr *header)
{
    struct msghdr readable = *header; /* the macros want one to write to */

    wr_assert(e->family == AF_UNIX);
    for (struct cmsghdr *control = CMSG_FIRSTHDR(&readable); control;
         control = CMSG_NXTHDR(&readable, control)) {
        if (datagram_fds_are_in(control)) {
            const size_t bytes = control->cmsg_len - CMSG_LEN(0);
            const uint32_t count = (uint32_t)(bytes / sizeof(int));
            wr_budget_received_due(&e->t.loop->budget, count * FD_COST);
            wr_closer_close(&e->closer, (int *)(void *)CMSG_DATA(control),
                            count);
        }
    }
}

static void datagram_fds_closed(void *arg)
{
    struct wr_endpoint *e = arg;

    wr_assert(e->t.state > WR_LIFE_UNBORN && e->t.state < WR_LIFE_LOST);
    if (e->rests) {
        e->rests = false;
        wr_life_push_step(&e->t);
    }
}

bool wr_endpoint_rest_for_fds(struct wr_endpoint *e)
{
    wr_assert(e->t.state == WR_LIFE_OPEN);
    e->rests =
        wr_closer_is_busy(e->closer, e->t.loop->wake, datagram_fds_closed, e);
    return e->rests;
}

/* Closes a socket of an endpoint that has @closer, and lets go of that. */
static void datagram_fds_close_socket(struct wr_closer **closer, int fd)
{
    if (wr_sys_is_readable(fd) == 0) {
        wr_closer_close_empty(fd);
    } else {
        wr_closer_close(closer, &fd, 1);
    }
    wr_closer_let_go(closer);
}

void wr_endpoint_close_own(struct wr_endpoint *e)
{
    wr_assert(e->t.state == WR_LIFE_LOST);
    if (e->meets_fds) {
        datagram_fds_close_socket(&e->closer, e->fd);
    } else {
        wr_prep_close(&e->t.loop->uring, e->fd);
        wr_closer_let_go(&e->closer);
    }
    e->fd = -1;
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
