/*
 * Binding several addresses as one.
 *
 * With port 0 the first address gets a port from the kernel, and the others
 * try for the same one; when somebody has it on one of them, the whole set is
 * tried again with a new port, and at last each takes what it gets.
 */
#include "listen.h"

#include <string.h>

#define BACKLOG_DEFAULT  4096
#define PORT_TRIES       8u
#define WILDCARDS        2u /* an IPv6 and an IPv4 one */
#define HOST_COUNT_LIMIT 65536u

static bool is_listed(const struct wr_listen *listen,
                      const struct weir_address *address)
{
    for (size_t i = 0; i < listen->address_count; i++) {
        const struct weir_address *other = &listen->addresses[i];
        if (other->len == address->len &&
            memcmp(&other->storage, &address->storage, address->len) == 0) {
            return true;
        }
    }
    return false;
}

static int add_address(struct wr_listen *listen, int family, const char *host,
                       uint16_t port)
{
    struct weir_address address = {.len = 0};
    int err = host ? weir_address_parse(host, port, &address)
                   : wr_address_passive(family, NULL, port, &address);
    if (err < 0) {
        return err;
    }
    if (family != AF_UNSPEC && address.storage.any.sa_family != family) {
        return -EINVAL;
    }
    if (!is_listed(listen, &address)) {
        wr_assert(listen->address_count < listen->capacity);
        listen->addresses[listen->address_count++] = address;
    }
    return 0;
}

/* NULL and "" are all addresses, of each family or the one asked for. */
static int add_host(struct wr_listen *listen, const char *host, uint16_t port,
                    int family)
{
    if (host && host[0] != '\0') {
        return add_address(listen, family, host, port);
    }
    int err = 0;
    if (family != AF_INET) {
        err = add_address(listen, AF_INET6, NULL, port);
    }
    if (err >= 0 && family != AF_INET6) {
        err = add_address(listen, AF_INET, NULL, port);
    }
    return err;
}

static int add_hosts(struct wr_listen *listen, const char *host, uint16_t port,
                     const struct weir_server_options *options)
{
    int err = 0;
    if (host || options->host_count == 0) {
        err = add_host(listen, host, port, options->family);
    }
    for (size_t i = 0; i < options->host_count && err >= 0; i++) {
        err = add_host(listen, options->hosts[i], port, options->family);
    }
    return err;
}

static int make_room(struct wr_listen *listen, size_t capacity)
{
    const struct weir_allocator *allocator = &listen->loop->counting;

    listen->capacity = capacity;
    listen->addresses =
        wr_alloc(allocator, capacity * sizeof(*listen->addresses));
    listen->listeners =
        wr_guard_alloc(allocator, capacity * sizeof(*listen->listeners));
    if (!listen->addresses || !listen->listeners) {
        return -ENOMEM;
    }
    return 0;
}

int wr_listen_init(struct wr_listen *listen, weir_loop *loop, const char *host,
                   uint16_t port, const struct weir_server_options *options)
{
    memset(listen, 0, sizeof(*listen));
    listen->loop = loop;
    listen->fd = options->use_sock ? options->sock : -1;
    listen->options.backlog =
        options->backlog > 0 ? options->backlog : BACKLOG_DEFAULT;
    listen->options.bind_only = options->no_start_serving;
    listen->options.reuse_address = !options->no_reuse_address;
    listen->options.reuse_port = options->reuse_port;
    listen->options.defer_accept_s = options->defer_accept_s;
    wr_require(options->host_count < HOST_COUNT_LIMIT, -EINVAL);
    wr_require(options->host_count == 0 || options->hosts, -EINVAL);

    int err = make_room(
        listen, options->use_sock ? 1 : (options->host_count + 1) * WILDCARDS);
    if (err >= 0 && !options->use_sock) {
        err = add_hosts(listen, host, port, options);
    }
    if (err < 0) {
        wr_listen_fini(listen);
    }
    return err;
}

void wr_listen_fini(struct wr_listen *listen)
{
    const struct weir_allocator *allocator = &listen->loop->counting;

    wr_assert(wr_listen_is_closed(listen));
    wr_free(allocator, listen->addresses,
            listen->capacity * sizeof(*listen->addresses));
    wr_guard_free(allocator, listen->listeners,
                  listen->capacity * sizeof(*listen->listeners));
    listen->addresses = NULL;
    listen->listeners = NULL;
    listen->capacity = 0;
}

static struct wr_listener *next_listener(struct wr_listen *listen)
{
    wr_assert(listen->count < listen->capacity);
    struct wr_listener *listener = &listen->listeners[listen->count];
    wr_listener_init(listener, listen->loop, listen->ops, listen->owner);
    return listener;
}

static void close_all(struct wr_listen *listen)
{
    bool closed = wr_listen_close(listen);
    wr_assert(closed); /* nothing was armed yet */
    listen->count = 0;
}

/* The IPv6 half of this machine, say, may be missing. */
static bool may_be_skipped(int err)
{
    return err == -EAFNOSUPPORT || err == -EADDRNOTAVAIL;
}

/* Opens the next listener: on @fd, or bound to @address. */
static int open_next(struct wr_listen *listen, int fd,
                     const struct weir_address *address)
{
    const struct wr_listen_options *options = &listen->options;
    struct wr_listener *listener = next_listener(listen);

    int err = fd >= 0 ? wr_listener_adopt(listener, fd, options)
                      : wr_listener_open(listener, address, options);
    if (err >= 0 && !options->bind_only) {
        err = wr_listener_listen(listener, options->backlog);
        if (err < 0) {
            wr_ignore(wr_listener_close(listener)); /* nothing is armed */
        }
    }
    if (err >= 0) {
        listen->count++;
    }
    return err;
}

static int open_all(struct wr_listen *listen, bool same_port)
{
    uint16_t port = 0;
    int skipped = 0;

    for (size_t i = 0; i < listen->address_count; i++) {
        struct weir_address address = listen->addresses[i];
        if (same_port && port != 0) {
            wr_address_set_port(&address, port);
        }
        int err = open_next(listen, -1, &address);
        if (err < 0 && may_be_skipped(err)) {
            skipped = skipped < 0 ? skipped : err;
            continue;
        }
        if (err < 0) {
            close_all(listen);
            return err;
        }
        port = wr_address_port(&listen->listeners[listen->count - 1].address);
    }
    return listen->count > 0 ? 0 : skipped;
}

int wr_listen_open(struct wr_listen *listen)
{
    wr_assert(listen->count == 0);
    if (listen->fd >= 0) {
        const int fd = listen->fd;
        listen->fd = -1;
        return open_next(listen, fd, NULL);
    }
    const bool free_choice = wr_address_port(&listen->addresses[0]) == 0 &&
                             listen->address_count > 1;
    int err = open_all(listen, true);
    for (uint32_t i = 1; i < PORT_TRIES && free_choice && err == -EADDRINUSE;
         i++) {
        err = open_all(listen, true);
    }
    if (free_choice && err == -EADDRINUSE) {
        err = open_all(listen, false);
    }
    return err;
}

int wr_listen_start(struct wr_listen *listen)
{
    int first = 0;

    for (size_t i = 0; i < listen->count; i++) {
        int err =
            wr_listener_listen(&listen->listeners[i], listen->options.backlog);
        first = first < 0 ? first : err;
    }
    return first;
}

bool wr_listen_close(struct wr_listen *listen)
{
    bool closed = true;

    if (listen->fd >= 0) { /* was never opened */
        wr_ignore(wr_sys_close(listen->fd));
        listen->fd = -1;
    }
    for (size_t i = 0; i < listen->count; i++) {
        if (!wr_listener_close(&listen->listeners[i])) {
            closed = false;
        }
    }
    return closed;
}

bool wr_listen_is_closed(const struct wr_listen *listen)
{
    for (size_t i = 0; i < listen->count; i++) {
        if (listen->listeners[i].fd >= 0) {
            return false;
        }
    }
    return true;
}

uint64_t wr_listen_armed(const struct wr_listen *listen)
{
    uint64_t armed = 0;
    for (size_t i = 0; i < listen->count; i++) {
        armed += listen->listeners[i].armed_count;
    }
    return armed;
}

void wr_listen_arm(struct wr_listen *listen, uint32_t goal, uint64_t room)
{
    const uint64_t share = wr_max_u64(room / listen->count, 1);
    uint64_t armed = wr_listen_armed(listen);

    for (size_t i = 0; i < listen->count; i++) {
        struct wr_listener *listener = &listen->listeners[i];
        const uint32_t before = listener->armed_count;
        uint64_t more = room > armed ? room - armed : 0;
        if (before == 0 && more == 0) {
            more = 1; /* or its clients would wait for those of the others */
        }
        const uint64_t want = wr_min_u64(goal, share);
        wr_listener_arm(listener, (uint32_t)wr_min_u64(want, before + more));
        armed += listener->armed_count - before;
    }
}
