/*
 * Threads get duplicates, and the descriptors here stay open until the end: a
 * successor is given these, and a connection that arrives meanwhile waits in
 * the kernel's queue of a socket that stays.
 */
#include "listeners.h"

#include "tools/common/console.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define BACKLOG 4096

int listeners_init(struct listeners *listeners, const struct config *config)
{
    size_t count = 0;

    for (size_t i = 0; i < config->service_count; i++) {
        count += config->services[i].listen_count;
    }
    *listeners =
        (struct listeners){.all = calloc(count, sizeof(struct listener))};
    if (!listeners->all) {
        return -ENOMEM;
    }
    for (size_t i = 0; i < config->service_count; i++) {
        for (size_t j = 0; j < config->services[i].listen_count; j++) {
            struct listener *one = &listeners->all[listeners->count++];
            one->service = i;
            one->listen = j;
            one->address = config->services[i].listens[j].address;
        }
    }
    return 0;
}

/* ---- from elsewhere ---- */

static bool add_fd(struct listener *one, int fd)
{
    int *larger = realloc(one->fds, (one->fd_count + 1) * sizeof(int));

    if (!larger) {
        close(fd);
        return false;
    }
    one->fds = larger;
    one->fds[one->fd_count++] = fd;
    return true;
}

/* A name, or port 0, cannot be recognised: the port alone is compared then. */
static bool is_at(const struct listener *one, const struct weir_address *bound)
{
    return one->address.len > 0 && weir_address_is_equal(&one->address, bound);
}

bool listeners_offer(struct listeners *listeners, int fd)
{
    struct weir_address bound = {.len = sizeof(bound.storage)};

    if (getsockname(fd, &bound.storage.any, &bound.len) == 0) {
        for (size_t i = 0; i < listeners->count; i++) {
            if (is_at(&listeners->all[i], &bound)) {
                return add_fd(&listeners->all[i], fd);
            }
        }
    }
    close(fd);
    return false;
}

/* ---- made here ---- */

/* The addresses of a target: one, or those of a name, or all of the machine.
 * NULL after the reason was said. */
static struct addrinfo *find_addresses(const struct target *target)
{
    const struct addrinfo hints = {.ai_family = AF_UNSPEC,
                                   .ai_socktype = SOCK_STREAM,
                                   .ai_flags = AI_PASSIVE};
    struct addrinfo *found = NULL;
    char port[8];

    snprintf(port, sizeof(port), "%u", target->port);
    const int err = getaddrinfo(target->host[0] ? target->host : NULL, port,
                                &hints, &found);
    if (err) {
        say("%s: %s", target->text, gai_strerror(err));
        return NULL;
    }
    return found;
}

static int set_options(int fd, int family)
{
    const int on = 1;

    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
        setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)) < 0) {
        return -errno;
    }
    if (family == AF_INET6 &&
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)) < 0) {
        return -errno;
    }
    return 0;
}

/* A bound and listening socket, or a negative error. */
static int open_socket(const struct sockaddr *address, socklen_t len)
{
    const int fd = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0) {
        return -errno;
    }
    int err =
        address->sa_family == AF_UNIX ? 0 : set_options(fd, address->sa_family);
    if (err == 0 && (bind(fd, address, len) < 0 || listen(fd, BACKLOG) < 0)) {
        err = -errno;
    }
    if (err < 0) {
        close(fd);
        return err;
    }
    return fd;
}

/* Is a server alive behind the path? A socket that nobody listens on may be
 * replaced. */
static bool is_stale(const struct weir_address *address)
{
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct stat status;

    if (fd < 0) {
        return false;
    }
    const bool refused = connect(fd, &address->storage.any, address->len) < 0 &&
                         errno == ECONNREFUSED;
    close(fd);
    const char *path = address->storage.local.sun_path;
    return refused && path[0] && stat(path, &status) == 0 &&
           S_ISSOCK(status.st_mode);
}

static int open_unix(struct listener *one)
{
    int fd = open_socket(&one->address.storage.any, one->address.len);

    if (fd == -EADDRINUSE && is_stale(&one->address) &&
        unlink(one->address.storage.local.sun_path) == 0) {
        fd = open_socket(&one->address.storage.any, one->address.len);
    }
    if (fd < 0) {
        return fd;
    }
    one->is_own_path = one->address.storage.local.sun_path[0] != '\0';
    return add_fd(one, fd) ? 0 : -ENOMEM;
}

/* A socket for each thread, on the port of the first. */
static int open_tcp(struct listener *one, const struct addrinfo *at,
                    uint32_t thread_count)
{
    struct weir_address address = {.len = at->ai_addrlen};

    memcpy(&address.storage, at->ai_addr, at->ai_addrlen);
    for (uint32_t i = 0; i < thread_count; i++) {
        const int fd = open_socket(&address.storage.any, address.len);
        if (fd < 0) {
            return fd;
        }
        if (!add_fd(one, fd)) {
            return -ENOMEM;
        }
        address.len = sizeof(address.storage);
        if (getsockname(fd, &address.storage.any, &address.len) < 0) {
            return -errno;
        }
        one->address = address;
    }
    return 0;
}

static int open_listener(struct listener *one, const struct target *target,
                         uint32_t thread_count)
{
    int err;

    if (one->address.len > 0 && one->address.storage.any.sa_family == AF_UNIX) {
        err = open_unix(one);
    } else {
        struct addrinfo *found = find_addresses(target);
        if (!found) {
            return -1;
        }
        err = open_tcp(one, found, thread_count);
        freeaddrinfo(found);
    }
    if (err < 0) {
        say("%s: %s", target->text, strerror(-err));
    }
    return err < 0 ? -1 : 0;
}

int listeners_open(struct listeners *listeners, const struct config *config,
                   uint32_t thread_count)
{
    for (size_t i = 0; i < listeners->count; i++) {
        struct listener *one = &listeners->all[i];
        const struct target *target =
            &config->services[one->service].listens[one->listen];
        if (one->fd_count == 0 &&
            open_listener(one, target, thread_count) < 0) {
            return -1;
        }
    }
    return 0;
}

/* ---- the threads ---- */

int listeners_take(const struct listeners *listeners, size_t service,
                   size_t listen, uint32_t thread)
{
    for (size_t i = 0; i < listeners->count; i++) {
        const struct listener *one = &listeners->all[i];
        if (one->service == service && one->listen == listen) {
            const int fd =
                fcntl(one->fds[thread % one->fd_count], F_DUPFD_CLOEXEC, 3);
            return fd < 0 ? -errno : fd;
        }
    }
    return -ENOENT;
}

void listeners_keep_paths(struct listeners *listeners)
{
    for (size_t i = 0; i < listeners->count; i++) {
        listeners->all[i].is_own_path = false;
    }
}

void listeners_stop(struct listeners *listeners)
{
    for (size_t i = 0; i < listeners->count; i++) {
        struct listener *one = &listeners->all[i];
        for (uint32_t j = 0; j < one->fd_count; j++) {
            close(one->fds[j]);
        }
        one->fd_count = 0;
    }
}

void listeners_close(struct listeners *listeners)
{
    listeners_stop(listeners);
    for (size_t i = 0; i < listeners->count; i++) {
        struct listener *one = &listeners->all[i];
        if (one->is_own_path) {
            unlink(one->address.storage.local.sun_path);
        }
        free(one->fds);
    }
    free(listeners->all);
    *listeners = (struct listeners){.all = NULL};
}
