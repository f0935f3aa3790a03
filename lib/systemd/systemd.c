/*
 * The protocols between a service manager and its services: sd_listen_fds(3),
 * sd_notify(3) and sd_watchdog_enabled(3). They use environment variables and
 * one datagram. No state is kept, and no memory is allocated.
 */
#include "lib/base/address.h"
#include "uring/check.h"
#include "uring/sys.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <weir/systemd.h>

enum {
    SYSTEMD_FDS_START = 3,
};

static const char *const systemd_fd_names[] = {"LISTEN_PID", "LISTEN_FDS",
                                               "LISTEN_FDNAMES"};
static const char *const systemd_watchdog_names[] = {"WATCHDOG_PID",
                                                     "WATCHDOG_USEC"};
static const char systemd_socket_name[] = "NOTIFY_SOCKET";
static const char systemd_unknown[] = "unknown";

#define SYSTEMD_COUNT(names) (sizeof(names) / sizeof((names)[0]))

static void systemd_unset(const char *const *names, size_t count)
{
    wr_assert(count > 0);
    for (size_t i = 0; i < count; i++) {
        unsetenv(names[i]);
    }
}

/* Only digits are accepted. */
static bool systemd_parse_number(const char *text, uint64_t max, uint64_t *ret)
{
    uint64_t value = 0;

    for (const char *at = text; *at; at++) {
        if (*at < '0' || *at > '9') {
            return false;
        }
        const uint64_t digit = (uint64_t)(*at - '0');
        if (value > (max - digit) / 10) {
            return false;
        }
        value = value * 10 + digit;
    }
    wr_assert(value <= max);
    *ret = value;
    return *text != '\0';
}

/* Returns 1 if @pid is this process, 0 for another process, or -EINVAL. */
static int systemd_is_for_me(const char *pid)
{
    uint64_t value;

    if (!systemd_parse_number(pid, INT32_MAX, &value) || value == 0) {
        return -EINVAL;
    }
    return value == (uint64_t)getpid();
}

static size_t systemd_name_len(const char *names)
{
    wr_assert(names);
    return strcspn(names, ":");
}

/* Checks the number of names, and that each fits WEIR_SYSTEMD_NAME_SIZE. */
static bool systemd_are_names(const char *names, uint64_t count)
{
    uint64_t found = 0;

    for (const char *at = names; at; found++) {
        const size_t len = systemd_name_len(at);
        if (len >= WEIR_SYSTEMD_NAME_SIZE) {
            return false;
        }
        at = at[len] == ':' ? at + len + 1 : NULL;
    }
    wr_assert(found > 0);
    return found == count;
}

static void systemd_write_fds(struct weir_systemd_fd *ret, uint64_t count,
                              const char *names)
{
    wr_assert(count > 0);
    for (uint64_t i = 0; i < count; i++) {
        const char *name = names ? names : systemd_unknown;
        const size_t len = systemd_name_len(name);
        wr_assert(len < sizeof(ret[i].name));
        ret[i].fd = SYSTEMD_FDS_START + (int)i;
        memcpy(ret[i].name, name, len);
        ret[i].name[len] = '\0';
        names = names ? names + len + 1 : NULL;
    }
}

static int systemd_count_fds(size_t max_count, const char *names)
{
    const char *pid = secure_getenv("LISTEN_PID");
    const char *fds = secure_getenv("LISTEN_FDS");
    uint64_t count;

    if (!pid || !fds) {
        return 0;
    }
    const int is_mine = systemd_is_for_me(pid);
    if (is_mine <= 0) {
        return is_mine;
    }
    if (!systemd_parse_number(fds, INT32_MAX - SYSTEMD_FDS_START, &count)) {
        return -EINVAL;
    }
    if (count > max_count) {
        return -ENOBUFS;
    }
    if (names && count > 0 && !systemd_are_names(names, count)) {
        return -EINVAL;
    }
    wr_assert(count <= INT32_MAX - SYSTEMD_FDS_START);
    return (int)count;
}

static int systemd_take_fds(struct weir_systemd_fd *ret, size_t max_count)
{
    const char *names = secure_getenv("LISTEN_FDNAMES");
    const int count = systemd_count_fds(max_count, names);

    for (int i = 0; i < count; i++) {
        const int err = wr_sys_set_cloexec(SYSTEMD_FDS_START + i);
        if (err < 0) {
            return err;
        }
    }
    if (count > 0) {
        wr_assert((size_t)count <= max_count);
        systemd_write_fds(ret, (uint64_t)count, names);
    }
    return count;
}

int weir_systemd_listen_fds(bool unset_environment, struct weir_systemd_fd *ret,
                            size_t max_count)
{
    wr_require(ret || max_count == 0, -EINVAL);
    const int result = systemd_take_fds(ret, max_count);
    if (unset_environment && result != -ENOBUFS) {
        systemd_unset(systemd_fd_names, SYSTEMD_COUNT(systemd_fd_names));
    }
    return result;
}

/* Returns 1 or a negative error. */
static int systemd_send(const char *name, const char *state)
{
    struct weir_address addr;
    const size_t len = strlen(state);

    wr_require(len > 0, -EINVAL);
    if (name[0] != '/' && name[0] != '@') {
        return -EAFNOSUPPORT;
    }
    const int err = weir_address_parse_unix(name, &addr);
    if (err) {
        return err;
    }
    wr_assert(addr.len > 0);
    if (len > INT32_MAX) {
        return -EMSGSIZE;
    }
    const int fd = wr_sys_socket(AF_UNIX, SOCK_DGRAM, 0);
    if (fd < 0) {
        return fd;
    }
    const int32_t sent =
        wr_sys_sendto(fd, state, len, &addr.storage.any, addr.len);
    wr_ignore(wr_sys_close(fd)); /* the datagram has left the socket */
    wr_assert(sent < 0 || (size_t)sent == len);
    return sent < 0 ? sent : 1;
}

int weir_systemd_notify(bool unset_environment, const char *state)
{
    wr_require(state, -EINVAL);
    const char *name = secure_getenv(systemd_socket_name);
    const int result = name ? systemd_send(name, state) : 0;
    wr_assert(result <= 1);
    if (unset_environment) {
        unsetenv(systemd_socket_name);
    }
    return result;
}

static int systemd_read_watchdog(uint64_t *ret_timeout_ns)
{
    const char *pid = secure_getenv("WATCHDOG_PID");
    const char *usec = secure_getenv("WATCHDOG_USEC");
    uint64_t value;

    if (!usec) {
        return 0;
    }
    const int is_mine = pid ? systemd_is_for_me(pid) : 1;
    if (is_mine <= 0) {
        return is_mine;
    }
    if (!systemd_parse_number(usec, UINT64_MAX / 1000, &value) || value == 0) {
        return -EINVAL;
    }
    wr_assert(value <= UINT64_MAX / 1000);
    *ret_timeout_ns = value * 1000;
    return 1;
}

int weir_systemd_get_watchdog(bool unset_environment, uint64_t *ret_timeout_ns)
{
    wr_require(ret_timeout_ns, -EINVAL);
    const int result = systemd_read_watchdog(ret_timeout_ns);
    wr_assert(result <= 1);
    if (unset_environment) {
        systemd_unset(systemd_watchdog_names,
                      SYSTEMD_COUNT(systemd_watchdog_names));
    }
    return result;
}
