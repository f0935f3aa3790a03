/*
 * Datagram transports: errors that end nothing, and the peers that they are of.
 *
 * A send that fails is of the datagram's destination. Other errors are told by
 * the network, about earlier datagrams: the kernel keeps the last one for the
 * next call, whatever that is, where the socket is connected. With IP_RECVERR,
 * which is the program's to set, it keeps one of any socket, and each of them,
 * with its destination, in a queue besides. A poll ends at once while there is
 * one in that queue.
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

/* The error that the network told, negative; 0: the message is of another kind,
 * a time stamp or a send's own error, which the send has told. */
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

/* Takes the next error of the network from the kernel's queue, with the peer
 * that it is of: negative; 0: there is none. */
static int datagram_error_take(struct wr_datagram *d, struct weir_address *peer)
{
    /* A Unix socket has no such queue, and would give a datagram for it. */
    const uint32_t most = d->family == AF_UNIX ? 0 : WR_SLOTS_MAX;
    _Alignas(8) uint8_t control[WR_CONTROL_MAX];

    wr_assert(d->fd >= 0);
    for (uint32_t i = 0; i < most; i++) {
        struct msghdr header = {.msg_name = &peer->storage,
                                .msg_namelen = sizeof(peer->storage),
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

/* Tells of an error of the network. */
static void datagram_error_tell(struct wr_datagram *d, int err,
                                const struct weir_address *queued)
{
    wr_datagram_tell_error(d, err, d->is_connected ? &d->remote : queued);
}

void wr_datagram_tell_kept_error(struct wr_datagram *d, int err)
{
    struct weir_address peer = {.len = 0};
    const int queued = datagram_error_take(d, &peer);

    /* The queue has the first, and the call that failed may tell of the last:
     * the kernel will tell of that again. */
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
