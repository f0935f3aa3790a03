/*
 * Each thread accepts on duplicates of the listening sockets. The sockets stay
 * open here until the first thread stops, so that a successor can receive them,
 * together with the connections that wait in their queues.
 */
#include "listeners.h"

#include "keepalive.h"
#include "tools/common/console.h"
#include "tools/weir-proxy/base/arena.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define BACKLOG 4096
/* bind(2) is retried, because the io_uring ring of a killed process keeps the
 * process's sockets open for a moment. */
#define BIND_RETRY_NS 10000000
#define BIND_TRIES    200
/* A reload blocks the loop, so it retries only a few times. */
#define IMPATIENT_TRIES 2

static bool add_listener(struct listeners *listeners,
                         const struct config *config, size_t service,
                         const struct target *at,
                         const struct weir_address *address)
{
    struct listener one = {.service = service,
                           .config = &config->services[service],
                           .at = at,
                           .address = *address};

    weir_address_unmap(&one.address);
    return arena_add(NULL, &listeners->all, &listeners->count, &one,
                     sizeof(one)) ||
           say("no memory");
}

static bool has_listener(const struct listeners *listeners,
                         const struct target *at,
                         const struct weir_address *address)
{
    for (size_t i = 0; i < listeners->count; i++) {
        const struct listener *one = &listeners->all[i];
        if (one->at == at && weir_address_is_equal(&one->address, address)) {
            return true;
        }
    }
    return false;
}

static bool add_found(struct listeners *listeners, const struct config *config,
                      size_t service, const struct target *at)
{
    const struct addrinfo hints = {.ai_family = AF_UNSPEC,
                                   .ai_socktype = SOCK_STREAM,
                                   .ai_flags = AI_PASSIVE};
    struct addrinfo *found = NULL;
    char port[8];
    bool is_added = true;

    snprintf(port, sizeof(port), "%u", at->port);
    const int err =
        getaddrinfo(at->host[0] ? at->host : NULL, port, &hints, &found);
    if (err) {
        return say("%s: %s", at->text, gai_strerror(err));
    }
    for (struct addrinfo *one = found; one && is_added; one = one->ai_next) {
        struct weir_address address = {.len = one->ai_addrlen};
        memcpy(&address.storage, one->ai_addr, one->ai_addrlen);
        is_added = has_listener(listeners, at, &address) ||
                   add_listener(listeners, config, service, at, &address);
    }
    freeaddrinfo(found);
    return is_added;
}

int listeners_init(struct listeners *listeners, const struct config *config)
{
    *listeners = (struct listeners){.all = NULL};
    for (size_t i = 0; i < config->service_count; i++) {
        for (size_t j = 0; j < config->services[i].listen_count; j++) {
            const struct target *at = &config->services[i].listens[j];
            const bool is_added =
                at->address.len > 0
                    ? add_listener(listeners, config, i, at, &at->address)
                    : add_found(listeners, config, i, at);
            if (!is_added) {
                return -1;
            }
        }
    }
    return 0;
}

/* Takes ownership of @fd. Returns false if out of memory. */
static bool add_fd(struct listener *one, int fd)
{
    size_t count = one->fd_count;

    if (!arena_add(NULL, &one->fds, &count, &fd, sizeof(fd))) {
        close(fd);
        return false;
    }
    one->fd_count++;
    return true;
}

static int ask(int fd, int level, int option)
{
    int value = -1;
    socklen_t len = sizeof(value);

    return getsockopt(fd, level, option, &value, &len) == 0 ? value : -1;
}

/* Returns true if two Unix addresses lead to the same socket file. */
static bool is_same_file(const struct weir_address *a,
                         const struct weir_address *b)
{
    const char *one = a->storage.local.sun_path;
    const char *other = b->storage.local.sun_path;
    struct stat file;
    struct stat other_file;

    return config_is_unix(a) && config_is_unix(b) && one[0] && other[0] &&
           stat(one, &file) == 0 && stat(other, &other_file) == 0 &&
           S_ISSOCK(file.st_mode) && file.st_dev == other_file.st_dev &&
           file.st_ino == other_file.st_ino;
}

static struct listener *find_listener(struct listeners *listeners,
                                      const struct weir_address *bound)
{
    for (size_t i = 0; i < listeners->count; i++) {
        struct listener *one = &listeners->all[i];
        if (weir_address_is_equal(&one->address, bound) ||
            is_same_file(&one->address, bound)) {
            return one;
        }
    }
    return NULL;
}

/* Returns true for a socket at [::] that accepts IPv4, too. Sets *ret to
 * 0.0.0.0 with the port of @bound. */
static bool takes_both(int fd, const struct weir_address *bound,
                       struct weir_address *ret)
{
    const struct sockaddr_in6 *inet6 = &bound->storage.inet6;

    if (bound->storage.any.sa_family != AF_INET6 ||
        !IN6_IS_ADDR_UNSPECIFIED(&inet6->sin6_addr) ||
        ask(fd, IPPROTO_IPV6, IPV6_V6ONLY) != 0) {
        return false;
    }
    *ret = (struct weir_address){
        .len = sizeof(struct sockaddr_in),
        .storage.inet = {.sin_family = AF_INET, .sin_port = inet6->sin6_port}};
    return true;
}

/* Returns the listener for a socket that accepts IPv6 and IPv4, or NULL. Both
 * addresses must belong to one service, because the socket does not show which
 * address a client connected to. */
static struct listener *find_both(struct listener *six, struct listener *four)
{
    if (six && four && six->service == four->service &&
        six->at->is_tls == four->at->is_tls &&
        six->at->is_any == four->at->is_any) {
        four->is_covered = true;
    } else if (six && four) {
        say("a passed socket at [::] also accepts IPv4, which another service "
            "or 'listen' serves; make it IPv6 only (IPV6_V6ONLY)");
    }
    return six ? six : four;
}

bool listeners_offer(struct listeners *listeners, int fd, bool with_path)
{
    struct weir_address bound = {.len = sizeof(bound.storage)};
    struct weir_address inet;
    struct listener *one = NULL;

    if (ask(fd, SOL_SOCKET, SO_ACCEPTCONN) > 0 &&
        ask(fd, SOL_SOCKET, SO_TYPE) == SOCK_STREAM &&
        getsockname(fd, &bound.storage.any, &bound.len) == 0) {
        weir_address_unmap(&bound);
        one = find_listener(listeners, &bound);
        if (takes_both(fd, &bound, &inet)) {
            one = find_both(one, find_listener(listeners, &inet));
        }
    }
    if (!one) {
        close(fd);
        return false;
    }
    one->gets_path = with_path;
    if (one->config->keepalive_idle_ns == 0 && !config_is_unix(&one->address)) {
        const int off = 0; /* the old proxy may have enabled keepalive */
        setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &off, sizeof(off));
    }
    return add_fd(one, fd);
}

static uint16_t *port_of(struct weir_address *address)
{
    return address->storage.any.sa_family == AF_INET6
               ? &address->storage.inet6.sin6_port
               : &address->storage.inet.sin_port;
}

/* Keeps the port that the kernel chose for the same 'listen' before. */
static void keep_port(struct listener *one, struct listeners *before)
{
    for (size_t i = 0; i < before->count; i++) {
        struct listener *other = &before->all[i];
        if (other->address.storage.any.sa_family ==
                one->address.storage.any.sa_family &&
            strcmp(other->at->text, one->at->text) == 0 &&
            strcmp(other->config->name, one->config->name) == 0) {
            *port_of(&one->address) = *port_of(&other->address);
        }
    }
}

static int hand(struct listeners *listeners, struct listener *other)
{
    for (uint32_t i = 0; i < other->fd_count; i++) {
        const int fd = console_dup(other->fds[i]);
        if (fd < 0) {
            return fd;
        }
        other->is_handed |= listeners_offer(listeners, fd, other->is_own_path);
    }
    return 0;
}

int listeners_inherit(struct listeners *listeners, struct listeners *before)
{
    int err = 0;

    listeners->is_impatient = true;
    for (size_t i = 0; i < listeners->count; i++) {
        struct listener *one = &listeners->all[i];
        if (!config_is_unix(&one->address) && *port_of(&one->address) == 0) {
            keep_port(one, before);
        }
    }
    for (size_t i = 0; i < before->count && err == 0; i++) {
        before->all[i].is_handed = false;
        err = hand(listeners, &before->all[i]);
    }
    return err;
}

void listeners_leave(struct listeners *before)
{
    for (size_t i = 0; i < before->count; i++) {
        before->all[i].is_own_path &= !before->all[i].is_handed;
    }
    listeners_close(before);
}

/* Accepted sockets inherit TCP_NODELAY and keepalive, so the options are set
 * once on the listening socket. */
static int set_options(int fd, const struct listener *one, int family,
                       bool is_shared)
{
    const int on = 1;

    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) < 0 ||
        !keepalive_set(fd, one->config) ||
        (is_shared &&
         setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)) < 0) ||
        (family == AF_INET6 &&
         setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)) < 0)) {
        return -errno;
    }
    return 0;
}

/* Returns a socket or a negative error. @is_shared sets SO_REUSEPORT. */
static int bind_socket(const struct listener *one, bool is_shared)
{
    const struct weir_address *address = &one->address;
    const int family = address->storage.any.sa_family;
    const int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0) {
        return -errno;
    }
    int err = family == AF_UNIX ? 0 : set_options(fd, one, family, is_shared);
    if (err == 0 && bind(fd, &address->storage.any, address->len) < 0) {
        err = -errno;
    }
    if (err < 0) {
        close(fd);
        return err;
    }
    return fd;
}

static int add_socket(struct listener *one, bool is_shared)
{
    const int fd = bind_socket(one, is_shared);

    if (fd < 0) {
        return fd;
    }
    if (!add_fd(one, fd)) {
        return -ENOMEM;
    }
    one->address.len = sizeof(one->address.storage);
    if (getsockname(fd, &one->address.storage.any, &one->address.len) < 0 ||
        listen(fd, BACKLOG) < 0) {
        return -errno;
    }
    return 0;
}

/* Returns true if no process listens at the path, so that its file may be
 * replaced. Connects a datagram socket, because a server would notice a stream
 * connection. */
static bool is_stale(const struct weir_address *address)
{
    const int fd =
        socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    const char *path = address->storage.local.sun_path;
    struct stat status;

    if (fd < 0) {
        return false;
    }
    const bool refused = connect(fd, &address->storage.any, address->len) < 0 &&
                         errno == ECONNREFUSED;
    close(fd);
    return refused && path[0] && lstat(path, &status) == 0 &&
           S_ISSOCK(status.st_mode);
}

static void rest(void)
{
    const struct timespec time = {.tv_nsec = BIND_RETRY_NS};

    nanosleep(&time, NULL);
}

static int open_unix(struct listener *one, int most_tries)
{
    int err = add_socket(one, false);

    for (int tries = most_tries; err == -EADDRINUSE && tries > 0; tries--) {
        if (!is_stale(&one->address) ||
            unlink(one->address.storage.local.sun_path) < 0) {
            rest();
        }
        err = add_socket(one, false);
    }
    one->is_own_path = err == 0 && one->address.storage.local.sun_path[0];
    return err;
}

/* Opens a socket for each thread, on the port of the first. An exclusive bind
 * first shows whether another program uses the port. */
static int open_tcp(struct listener *one, uint32_t thread_count, int most_tries)
{
    int probe = bind_socket(one, false);

    for (int tries = most_tries; probe == -EADDRINUSE && tries > 0; tries--) {
        rest();
        probe = bind_socket(one, false);
    }
    if (probe < 0) {
        return probe;
    }
    close(probe);
    for (uint32_t i = 0; i < thread_count; i++) {
        const int err = add_socket(one, true);
        if (err < 0) {
            return err;
        }
    }
    return 0;
}

/* All addresses of a name get the port that the kernel chose for one. */
static void share_port(struct listeners *listeners, size_t index)
{
    struct listener *one = &listeners->all[index];

    for (size_t i = 0; i < index; i++) {
        struct listener *before = &listeners->all[i];
        if (before->at == one->at && *port_of(&one->address) == 0) {
            *port_of(&one->address) = *port_of(&before->address);
        }
    }
}

static bool has_sibling(const struct listeners *listeners, size_t index)
{
    const struct listener *one = &listeners->all[index];

    for (size_t i = 0; i < listeners->count; i++) {
        const struct listener *other = &listeners->all[i];
        if (i != index && other->at == one->at && other->fd_count > 0) {
            return true;
        }
    }
    return false;
}

static int open_listener(struct listeners *listeners, size_t index,
                         uint32_t thread_count)
{
    struct listener *one = &listeners->all[index];
    const int tries = listeners->is_impatient ? IMPATIENT_TRIES : BIND_TRIES;
    char text[WEIR_ADDRESS_TEXT_SIZE];
    int err;

    if (config_is_unix(&one->address)) {
        err = open_unix(one, tries);
    } else {
        share_port(listeners, index);
        err = open_tcp(one, thread_count, tries);
    }
    /* This machine may not support a family of the name's addresses. */
    if (err == 0 || ((err == -EAFNOSUPPORT || err == -EADDRNOTAVAIL) &&
                     has_sibling(listeners, index))) {
        return 0;
    }
    say("%s: %s: %s", one->at->text,
        weir_address_format(&one->address, text, sizeof(text)), strerror(-err));
    return -1;
}

int listeners_open(struct listeners *listeners, uint32_t thread_count)
{
    for (size_t i = 0; i < listeners->count; i++) {
        const struct listener *one = &listeners->all[i];
        if (one->fd_count == 0 && !one->is_covered &&
            open_listener(listeners, i, thread_count) < 0) {
            return -1;
        }
    }
    return 0;
}

uint32_t listeners_share(const struct listener *listener, uint32_t thread,
                         uint32_t thread_count)
{
    const uint32_t count = listener->fd_count;

    if (count <= thread_count) {
        return count > 0 ? 1 : 0; /* threads share sockets */
    }
    return count / thread_count + (thread < count % thread_count);
}

int listeners_take(const struct listener *listener, uint32_t thread,
                   uint32_t thread_count, uint32_t index)
{
    const uint32_t at = listener->fd_count <= thread_count
                            ? thread % listener->fd_count
                            : thread + index * thread_count;

    return console_dup(listener->fds[at]);
}

void listeners_keep_paths(struct listeners *listeners)
{
    for (size_t i = 0; i < listeners->count; i++) {
        listeners->all[i].is_own_path = false;
    }
}

void listeners_own_paths(struct listeners *listeners)
{
    for (size_t i = 0; i < listeners->count; i++) {
        struct listener *one = &listeners->all[i];
        one->is_own_path = one->is_own_path || one->gets_path;
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
