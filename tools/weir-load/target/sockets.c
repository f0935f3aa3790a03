/*
 * Sets the options of sockets. If the kernel makes a buffer smaller than
 * requested, the run fails, because it would measure something else. The kernel
 * reports twice the size that was set; half of it is for its bookkeeping.
 */
#include "target.h"

#include "tools/common/console.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int refuse(const char *flag, int err, const char *fix, char *why)
{
    return why_refuse(why, -err, "%s: %s%s", flag, strerror(err), fix);
}

static int set_buffer(int fd, int name, uint64_t size_bytes, char *why)
{
    const bool is_send = name == SO_SNDBUF;
    const int wanted = (int)size_bytes;
    int found = 0;
    socklen_t len = sizeof(found);

    if (size_bytes == 0) {
        return 0;
    }
    if (setsockopt(fd, SOL_SOCKET, name, &wanted, sizeof(wanted)) < 0 ||
        getsockopt(fd, SOL_SOCKET, name, &found, &len) < 0) {
        return refuse(is_send ? "--sndbuf" : "--rcvbuf", errno, "", why);
    }
    if (found / 2 < wanted) {
        return why_refuse(why, -ENOBUFS,
                          "--%s: the kernel allows %d bytes; raise net.core.%s",
                          is_send ? "sndbuf" : "rcvbuf", found / 2,
                          is_send ? "wmem_max" : "rmem_max");
    }
    return 0;
}

static int set_tos(int fd, int tos, char *why)
{
    int family = AF_INET;
    socklen_t len = sizeof(family);

    if (tos < 0) {
        return 0;
    }
    if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &family, &len) < 0 ||
        setsockopt(fd, family == AF_INET6 ? IPPROTO_IPV6 : IPPROTO_IP,
                   family == AF_INET6 ? IPV6_TCLASS : IP_TOS, &tos,
                   sizeof(tos)) < 0) {
        return refuse("--tos", errno, "", why);
    }
    return 0;
}

int sockets_set(const struct socket_flags *flags, int fd, char *why)
{
    int err = set_buffer(fd, SO_SNDBUF, flags->send_buffer_bytes, why);
    if (err == 0) {
        err = set_buffer(fd, SO_RCVBUF, flags->receive_buffer_bytes, why);
    }
    return err < 0 ? err : set_tos(fd, flags->tos, why);
}

bool sockets_has_any(const struct socket_flags *flags)
{
    return flags->send_buffer_bytes > 0 || flags->receive_buffer_bytes > 0 ||
           flags->tos >= 0;
}

bool sockets_try(const struct socket_flags *flags, const struct target *target)
{
    const sa_family_t family = target->address.len > 0
                                   ? target->address.storage.any.sa_family
                                   : AF_INET;
    const int on = 1;
    char why[WHY_SIZE];

    const int fd = socket(
        family, (target->is_datagram ? SOCK_DGRAM : SOCK_STREAM) | SOCK_CLOEXEC,
        0);
    if (fd < 0) {
        return true; /* the connect will report the error */
    }
    int err = sockets_set(flags, fd, why);
    if (err == 0 && flags->fast_open &&
        setsockopt(fd, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, &on, sizeof(on)) <
            0) {
        err = refuse("--fast-open", errno,
                     "; net.ipv4.tcp_fastopen must have 1 in it", why);
    }
    close(fd);
    if (err < 0) {
        say("%s", why);
    }
    return err == 0;
}
