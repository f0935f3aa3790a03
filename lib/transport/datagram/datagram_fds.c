/*
 * Descriptors that Unix peers send with datagrams (SCM_RIGHTS). The program
 * never gets them, and since Linux 6.16 the socket refuses them. An older
 * kernel closes them in the calling thread if a receive has no space for them
 * or the socket is closed; this may block as long as the peer likes. So
 * receives have space for all of them, and threads (closer.h) close them and
 * the socket. It receives one datagram at a time, and none while descriptors
 * are being closed, so that a peer has at most one message's descriptors in the
 * process's table.
 */
#include "datagram_impl.h"

/* SCM_PIDFD (Linux 6.5): a pidfd of the sender, if the program requested it. */
#define DATAGRAM_FDS_PIDFD 4
/* Bytes of the iteration's budget that a closed descriptor costs. */
#define FD_COST 256u

void wr_datagram_drop_fds(struct wr_datagram *d, const struct msghdr *header)
{
    struct msghdr readable = *header;

    wr_assert(d->family == AF_UNIX);
    for (struct cmsghdr *control = CMSG_FIRSTHDR(&readable); control;
         control = CMSG_NXTHDR(&readable, control)) {
        if (control->cmsg_level == SOL_SOCKET &&
            (control->cmsg_type == SCM_RIGHTS ||
             control->cmsg_type == DATAGRAM_FDS_PIDFD)) {
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

    wr_assert(d->t.state > WR_LIFE_NEW && d->t.state < WR_LIFE_LOST);
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

static void datagram_fds_close_socket(struct wr_closer **closer, int fd)
{
    if (wr_sys_is_readable(fd) == 0) {
        wr_closer_close_empty(fd);
    } else {
        wr_closer_close(closer, &fd, 1);
    }
    wr_closer_detach(closer);
}

void wr_datagram_close_own(struct wr_datagram *d)
{
    wr_assert(d->t.state == WR_LIFE_LOST);
    if (d->meets_fds) {
        datagram_fds_close_socket(&d->closer, d->fd);
    } else {
        wr_prep_close(&d->t.loop->uring, d->fd);
        wr_closer_detach(&d->closer);
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
        wr_ignore(wr_sys_close(fd));
    }
}
