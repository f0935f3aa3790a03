/*
 * Converts ancillary data of datagrams from and to control messages. IPv4 and
 * IPv6 have their own options and messages for most facts. Unknown messages are
 * skipped.
 */
#include "datagram_impl.h"

#include "lib/base/options.h"

#include <linux/sock_diag.h>
#include <netinet/udp.h>
#include <string.h>
#include <time.h>

#define ALL_FACTS                                                              \
    (WEIR_ANCILLARY_LOCAL | WEIR_ANCILLARY_TOS | WEIR_ANCILLARY_TTL |          \
     WEIR_ANCILLARY_TIMESTAMP)

struct datagram_control_fact {
    uint32_t bit;
    int option4;
    int option6;
};

static const struct datagram_control_fact datagram_control_facts[] = {
    {WEIR_ANCILLARY_LOCAL, IP_PKTINFO, IPV6_RECVPKTINFO},
    {WEIR_ANCILLARY_TOS, IP_RECVTOS, IPV6_RECVTCLASS},
    {WEIR_ANCILLARY_TTL, IP_RECVTTL, IPV6_RECVHOPLIMIT},
};

static int datagram_control_set(int fd, int level, int name)
{
    const int on = 1;

    wr_assert(fd >= 0);
    return wr_sys_setsockopt(fd, level, name, &on, sizeof(on));
}

int wr_datagram_ask_control(int fd, int family,
                            const struct weir_datagram_options *options)
{
    const bool is_v6 = family == AF_INET6;
    int err = 0;

    for (size_t i = 0; i < 3 && err >= 0; i++) {
        const struct datagram_control_fact *fact = &datagram_control_facts[i];
        if (options->ancillary & fact->bit) {
            err = datagram_control_set(fd, is_v6 ? IPPROTO_IPV6 : IPPROTO_IP,
                                       is_v6 ? fact->option6 : fact->option4);
        }
    }
    if (err >= 0 && options->ancillary & WEIR_ANCILLARY_TIMESTAMP) {
        err = datagram_control_set(fd, SOL_SOCKET, SO_TIMESTAMPNS);
    }
    if (err >= 0 && options->join_segments) {
        err = datagram_control_set(fd, IPPROTO_UDP, UDP_GRO);
    }
    return err;
}

int wr_datagram_check_control(int family,
                              const struct weir_datagram_options *options)
{
    const uint32_t unknown = options->ancillary & ~(uint32_t)ALL_FACTS;
    const uint32_t inet =
        options->ancillary & (ALL_FACTS ^ WEIR_ANCILLARY_TIMESTAMP);

    wr_assert(family != AF_UNSPEC);
    wr_require(unknown == 0, -EINVAL);
    wr_require(family != AF_UNIX || inet == 0, -EINVAL);
    wr_require(family != AF_UNIX || !options->join_segments, -EINVAL);
    return 0;
}

static int datagram_control_int(const struct cmsghdr *cmsg)
{
    int value = 0;
    const size_t len = cmsg->cmsg_len - CMSG_LEN(0);

    wr_assert(cmsg->cmsg_len >= CMSG_LEN(0));
    /* IPv4 sends the type of service as one byte. */
    memcpy(&value, CMSG_DATA(cmsg), len < sizeof(value) ? len : sizeof(value));
    return value;
}

static void datagram_control_read_v4(struct weir_ancillary *facts,
                                     const struct cmsghdr *cmsg)
{
    struct in_pktinfo info;

    switch (cmsg->cmsg_type) {
    case IP_PKTINFO:
        memcpy(&info, CMSG_DATA(cmsg), sizeof(info));
        facts->local.len = sizeof(facts->local.storage.inet);
        facts->local.storage.inet = (struct sockaddr_in){
            .sin_family = AF_INET, .sin_addr = info.ipi_addr};
        facts->interface = (unsigned int)info.ipi_ifindex;
        facts->has |= WEIR_ANCILLARY_LOCAL;
        break;
    case IP_TOS:
        facts->tos = datagram_control_int(cmsg);
        facts->has |= WEIR_ANCILLARY_TOS;
        break;
    case IP_TTL:
        facts->ttl = datagram_control_int(cmsg);
        facts->has |= WEIR_ANCILLARY_TTL;
        break;
    default:
        break;
    }
}

static void datagram_control_read_v6(struct weir_ancillary *facts,
                                     const struct cmsghdr *cmsg)
{
    struct in6_pktinfo info;

    switch (cmsg->cmsg_type) {
    case IPV6_PKTINFO:
        memcpy(&info, CMSG_DATA(cmsg), sizeof(info));
        facts->local.len = sizeof(facts->local.storage.inet6);
        facts->local.storage.inet6 = (struct sockaddr_in6){
            .sin6_family = AF_INET6, .sin6_addr = info.ipi6_addr};
        facts->interface = info.ipi6_ifindex;
        facts->has |= WEIR_ANCILLARY_LOCAL;
        break;
    case IPV6_TCLASS:
        facts->tos = datagram_control_int(cmsg);
        facts->has |= WEIR_ANCILLARY_TOS;
        break;
    case IPV6_HOPLIMIT:
        facts->ttl = datagram_control_int(cmsg);
        facts->has |= WEIR_ANCILLARY_TTL;
        break;
    default:
        break;
    }
}

void wr_datagram_read_control(struct wr_datagram_head *head,
                              const struct msghdr *header)
{
    struct msghdr readable = *header;
    struct weir_ancillary *facts = &head->ancillary;

    wr_assert(header->msg_controllen <= WR_CONTROL_FDS_MAX);
    facts->size = sizeof(*facts);
    facts->has = 0;
    facts->interface = 0;
    facts->local.len = 0;
    for (struct cmsghdr *cmsg = CMSG_FIRSTHDR(&readable); cmsg;
         cmsg = CMSG_NXTHDR(&readable, cmsg)) {
        if (cmsg->cmsg_level == SOL_SOCKET) {
            if (cmsg->cmsg_type == SCM_TIMESTAMPNS) {
                struct timespec at;
                memcpy(&at, CMSG_DATA(cmsg), sizeof(at));
                facts->timestamp_ns =
                    (uint64_t)at.tv_sec * 1000000000u + (uint64_t)at.tv_nsec;
                facts->has |= WEIR_ANCILLARY_TIMESTAMP;
            }
        } else if (cmsg->cmsg_level == IPPROTO_IP) {
            datagram_control_read_v4(facts, cmsg);
        } else if (cmsg->cmsg_level == IPPROTO_IPV6) {
            datagram_control_read_v6(facts, cmsg);
        } else if (cmsg->cmsg_level == IPPROTO_UDP &&
                   cmsg->cmsg_type == UDP_GRO) {
            head->datagram.segment_bytes = (uint32_t)datagram_control_int(cmsg);
        }
    }
}

/* Appends a fact at offset @len. Returns the next offset. */
static size_t datagram_control_put(uint8_t *control, size_t len, int level,
                                   int type, const void *data, size_t data_len)
{
    struct cmsghdr *cmsg = (struct cmsghdr *)(void *)(control + len);

    wr_assert(len + CMSG_SPACE(data_len) <= WR_CONTROL_MAX);
    memset(cmsg, 0, CMSG_SPACE(data_len));
    cmsg->cmsg_level = level;
    cmsg->cmsg_type = type;
    cmsg->cmsg_len = (socklen_t)CMSG_LEN(data_len);
    memcpy(CMSG_DATA(cmsg), data, data_len);
    return len + CMSG_SPACE(data_len);
}

static size_t datagram_control_put_local(const struct weir_ancillary *facts,
                                         int family, uint8_t *control,
                                         size_t len)
{
    if (family == AF_INET) {
        struct in_pktinfo info = {.ipi_ifindex = (int)facts->interface};
        if (facts->local.len > 0) {
            info.ipi_spec_dst = facts->local.storage.inet.sin_addr;
        }
        return datagram_control_put(control, len, IPPROTO_IP, IP_PKTINFO, &info,
                                    sizeof(info));
    }
    struct in6_pktinfo info = {.ipi6_ifindex = facts->interface};
    if (facts->local.len > 0) {
        info.ipi6_addr = facts->local.storage.inet6.sin6_addr;
    }
    return datagram_control_put(control, len, IPPROTO_IPV6, IPV6_PKTINFO, &info,
                                sizeof(info));
}

static bool datagram_control_is_valid(const struct weir_ancillary *facts,
                                      int family)
{
    const uint32_t settable =
        WEIR_ANCILLARY_LOCAL | WEIR_ANCILLARY_TOS | WEIR_ANCILLARY_TTL;
    const struct weir_address *local = &facts->local;

    if (facts->has & ~(uint32_t)ALL_FACTS ||
        (family == AF_UNIX && facts->has & settable)) {
        return false;
    }
    if (facts->has & WEIR_ANCILLARY_LOCAL && local->len > 0 &&
        local->storage.any.sa_family != family) {
        return false;
    }
    return (!(facts->has & WEIR_ANCILLARY_TOS) ||
            (facts->tos >= 0 && facts->tos <= 255)) &&
           (!(facts->has & WEIR_ANCILLARY_TTL) ||
            (facts->ttl >= 1 && facts->ttl <= 255));
}

static size_t datagram_control_put_facts(const struct weir_ancillary *facts,
                                         int family, uint8_t *control)
{
    const bool is_v6 = family == AF_INET6;
    const int level = is_v6 ? IPPROTO_IPV6 : IPPROTO_IP;
    size_t len = 0;

    if (facts->has & WEIR_ANCILLARY_LOCAL) {
        len = datagram_control_put_local(facts, family, control, len);
    }
    if (facts->has & WEIR_ANCILLARY_TOS) {
        len = datagram_control_put(control, len, level,
                                   is_v6 ? IPV6_TCLASS : IP_TOS, &facts->tos,
                                   sizeof(facts->tos));
    }
    if (facts->has & WEIR_ANCILLARY_TTL) {
        len = datagram_control_put(control, len, level,
                                   is_v6 ? IPV6_HOPLIMIT : IP_TTL, &facts->ttl,
                                   sizeof(facts->ttl));
    }
    return len;
}

int wr_datagram_write_control(const struct weir_message *message, int family,
                              uint8_t *control)
{
    const uint16_t segment = (uint16_t)message->segment_bytes;
    size_t len = 0;

    wr_assert(message->segment_bytes <= UINT16_MAX);
    if (message->ancillary) {
        struct weir_ancillary facts;
        const int err =
            wr_options_read_given(&facts, sizeof(facts), message->ancillary);
        wr_require(err >= 0, err);
        wr_require(datagram_control_is_valid(&facts, family), -EINVAL);
        len = datagram_control_put_facts(&facts, family, control);
    }
    if (segment > 0) {
        len = datagram_control_put(control, len, IPPROTO_UDP, UDP_SEGMENT,
                                   &segment, sizeof(segment));
    }
    return (int)len;
}

uint64_t wr_datagram_ask_drops(const struct wr_datagram *d)
{
    uint32_t counts[SK_MEMINFO_VARS] = {0};
    socklen_t len = sizeof(counts);

    wr_assert(d->fd >= 0 || d->t.state == WR_LIFE_LOST);
    const int err = d->fd < 0 ? d->fd
                              : wr_sys_getsockopt(d->fd, SOL_SOCKET, SO_MEMINFO,
                                                  counts, &len);
    return err < 0 ? 0 : counts[SK_MEMINFO_DROPS];
}
