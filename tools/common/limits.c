/*
 * RLIMIT_NOFILE is raised up to its hard limit, which needs no privilege.
 * Everything else is only checked.
 *
 * Ports in TIME_WAIT are not counted: the kernel reuses them for outgoing
 * connections (tcp_tw_reuse), and their number is not known in advance.
 */
#include "limits.h"

#include "console.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

bool limits_raise_fds(uint64_t conn_count)
{
    struct rlimit limit;
    uint64_t need = conn_count + LIMITS_OWN_FDS;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0) {
        return say("RLIMIT_NOFILE: %s", strerror(errno));
    }
    if (limit.rlim_cur >= need) {
        return true;
    }
    if (limit.rlim_max < need) {
        return say(
            "%llu connections need %llu descriptors, the hard limit is %llu; "
            "raise it (ulimit -Hn) or use fewer connections",
            (unsigned long long)conn_count, (unsigned long long)need,
            (unsigned long long)limit.rlim_max);
    }
    limit.rlim_cur = need;
    if (setrlimit(RLIMIT_NOFILE, &limit) < 0) {
        return say("RLIMIT_NOFILE cannot be raised to %llu: %s",
                   (unsigned long long)need, strerror(errno));
    }
    return true;
}

void limits_raise_fds_to_hard(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0) {
        return;
    }
    limit.rlim_cur = limit.rlim_max;
    /* Any limit will do: accept() reports if it is too low. */
    if (setrlimit(RLIMIT_NOFILE, &limit) < 0) {
        say("RLIMIT_NOFILE stays as it is: %s", strerror(errno));
    }
}

uint64_t limits_get_fds(void)
{
    struct rlimit limit = {0};

    return getrlimit(RLIMIT_NOFILE, &limit) == 0 ? limit.rlim_cur : 0;
}

/* Reads the first and the last ephemeral port. Returns false if unknown. */
static bool read_ports(unsigned *ret_low, unsigned *ret_high)
{
    FILE *file = fopen("/proc/sys/net/ipv4/ip_local_port_range", "re");

    if (!file) {
        return false;
    }
    const int fields = fscanf(file, "%u %u", ret_low, ret_high);
    fclose(file);
    return fields == 2 && *ret_high >= *ret_low;
}

uint64_t limits_get_ports(void)
{
    unsigned low = 0;
    unsigned high = 0;

    return read_ports(&low, &high) ? high - low + 1 : 0;
}

bool limits_check_ports(uint64_t conn_count_per_target)
{
    unsigned low = 0;
    unsigned high = 0;

    if (!read_ports(&low, &high) || conn_count_per_target <= high - low + 1) {
        return true;
    }
    return say(
        "%llu connections to one target, but only %u ephemeral ports (%u to "
        "%u); widen net.ipv4.ip_local_port_range, name more targets or more "
        "addresses (--bind)",
        (unsigned long long)conn_count_per_target, high - low + 1, low, high);
}
