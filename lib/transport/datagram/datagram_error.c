/*
 * Errors that do not end a datagram transport, and the peer of each. A failed
 * send's error belongs to the datagram's destination. Other errors come from
 * the network, about earlier datagrams. The next call of any kind on a
 * connected socket returns the last such error. If the program sets IP_RECVERR,
 * this holds for any socket, and the kernel also queues each error with its
 * destination. A poll ends at once while this queue is not empty.
 */
#include "datagram_impl.h"

#include <linux/errqueue.h>
#include <netinet/in.h>
#include <string.h>

void wr_datagram_tell_error(struct wr_datagram *d, int err,
                            const struct weir_address *peer)
{
    wr_assert(err < 0);
    if (wr_datagram_is_alive(d)) {
        d->counts.errors++;
        wr_protocol_error(&d->t, err, peer && peer->len > 0 ? peer : NULL);
    }
}

/* Returns the network's error, or 0 for another message: a time stamp, or an
 * error that a send has returned. */
static int datagram_error_read(struct msghdr *header)
{
    struct sock_extended_err known;

    for (struct cmsghdr *cmsg = CMSG_FIRSTHDR(header); cmsg;
         cmsg = CMSG_NXTHDR(header, cmsg)) {
        const bool is_error =
            (cmsg->cmsg_level == IPPROTO_IP && cmsg->cmsg_type == IP_RECVERR) ||
            (cmsg->cmsg_level == IPPROTO_IPV6 &&
             cmsg->cmsg_type == IPV6_RECVERR);
        if (!is_error || cmsg->cmsg_len < CMSG_LEN(sizeof(known))) {
            continue;
        }
        memcpy(&known, CMSG_DATA(cmsg), sizeof(known));
        if (known.ee_origin == SO_EE_ORIGIN_ICMP ||
            known.ee_origin == SO_EE_ORIGIN_ICMP6) {
            return -(int)known.ee_errno;
        }
    }
    return 0;
}

/* Removes the network's next error from the error queue. Returns it, or 0. */
static int datagram_error_take(struct wr_datagram *d, struct weir_address *peer)
{
    /* A Unix socket has no error queue; the call would return a datagram. */
    const uint32_t most = d->family == AF_UNIX ? 0 : WR_SLOTS_MAX;
    _Alignas(8) uint8_t control[WR_CONTROL_MAX];
    uint8_t byte;
    /* qemu-user takes a message without space for a byte as received. */
    struct iovec iov = {.iov_base = &byte, .iov_len = sizeof(byte)};

    wr_assert(d->fd >= 0);
    for (uint32_t i = 0; i < most; i++) {
        struct msghdr header = {.msg_name = &peer->storage,
                                .msg_namelen = sizeof(peer->storage),
                                .msg_iov = &iov,
                                .msg_iovlen = 1,
                                .msg_control = control,
                                .msg_controllen = sizeof(control)};
        if (wr_sys_recv_error(d->fd, &header) < 0) {
            break;
        }
        const int err = datagram_error_read(&header);
        if (err < 0) {
            peer->len = header.msg_namelen;
            return err;
        }
    }
    return 0;
}

static void datagram_error_tell(struct wr_datagram *d, int err,
                                const struct weir_address *queued)
{
    wr_datagram_tell_error(d, err, d->is_connected ? &d->remote : queued);
}

void wr_datagram_tell_kept_error(struct wr_datagram *d, int err)
{
    struct weir_address peer = {.len = 0};
    const int queued = datagram_error_take(d, &peer);

    /* The queue has the oldest error, but the failed call may have returned the
     * newest. The kernel returns the newest again, so it is not lost. */
    datagram_error_tell(d, queued < 0 ? queued : err, &peer);
}

void wr_datagram_tell_queued_errors(struct wr_datagram *d)
{
    for (uint32_t i = 0; i < WR_SLOTS_MAX && wr_datagram_is_alive(d); i++) {
        struct weir_address peer = {.len = 0};
        const int err = datagram_error_take(d, &peer);
        if (err == 0) {
            break;
        }
        datagram_error_tell(d, err, &peer);
    }
}
