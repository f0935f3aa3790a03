/*
 * Binding several addresses as one.
 *
 * With port 0 the first address gets a port from the kernel, and the others try
 * the same port. If it is in use on one of them, the whole set is tried again
 * with a new port, and finally each address gets its own port.
 */
#include "listener.h"

#include "lib/transport/socket.h"

#include <stdio.h>
#include <string.h>
#include <weir/error.h>

#define BACKLOG_DEFAULT  4096
#define PORT_TRIES       8u
#define WILDCARDS        2u
#define HOST_COUNT_LIMIT 65536u

void wr_listener_set_check_invariants(const struct wr_listener_set *set)
{
    wr_assert(set->count <= set->capacity);
    wr_assert(set->address_count <= set->capacity);
    wr_assert(set->attempt_count <= set->attempt_capacity);
    wr_assert((set->attempts != NULL) == (set->attempt_capacity > 0));
    if (set->fd >= 0) { /* a socket to adopt replaces the addresses */
        wr_assert(set->count == 0);
        wr_assert(set->address_count == 0);
    }
}

static void listener_set_note(struct wr_listener_set *set, const char *endpoint,
                              int err)
{
    wr_assert(err < 0);
    set->told_err = err;
    if (set->error_text_size > 0) {
        snprintf(set->error_text, set->error_text_size, "%s%s%s", endpoint,
                 endpoint[0] != '\0' ? ": " : "", weir_strerror(err));
    }
}

static void listener_set_note_address(struct wr_listener_set *set,
                                      const struct weir_address *address,
                                      int err)
{
    char text[WEIR_ADDRESS_TEXT_SIZE];

    listener_set_note(set, weir_address_format(address, text, sizeof(text)),
                      err);
}

void wr_listener_set_tell(struct wr_listener_set *set, int err)
{
    wr_assert(err <= 0);
    if (err < 0 && err != set->told_err) {
        listener_set_note(set, "", err);
    } else if (err == 0 && set->error_text_size > 0) {
        set->error_text[0] = '\0';
    }
}

static int listener_set_add_address(struct wr_listener_set *set, int family,
                                    const struct weir_address *address)
{
    wr_assert(wr_address_is_valid(address));
    const int own = address->storage.any.sa_family;
    wr_require(family == AF_UNSPEC || own == family, -EINVAL);
    wr_require(own != AF_UNIX || set->options.proto == 0, -EINVAL);
    if (!wr_address_is_among(address, set->addresses, set->address_count)) {
        wr_assert(set->address_count < set->capacity);
        set->addresses[set->address_count++] = *address;
    }
    return 0;
}

/* Adds the wildcard addresses of both families, or only of @family. */
static int listener_set_add_wildcards(struct wr_listener_set *set,
                                      uint16_t port, int family)
{
    static const int families[WILDCARDS] = {AF_INET6, AF_INET};
    struct weir_address address;
    int err = 0;

    for (size_t i = 0; i < WILDCARDS && err >= 0; i++) {
        if (family != families[WILDCARDS - 1 - i]) {
            err = wr_address_passive(families[i], NULL, port, &address);
            wr_assert(err == 0);
            err = listener_set_add_address(set, family, &address);
        }
    }
    return err;
}

/* A host that is NULL or "" means the wildcard addresses. */
static int listener_set_add_endpoint(struct wr_listener_set *set, int family,
                                     struct weir_endpoint endpoint)
{
    const char *host = wr_endpoint_get_host(&endpoint);
    const weir_lookup *lookup;
    struct wr_endpoint known;

    wr_assert(set->fd < 0);
    if (endpoint.kind == WEIR_ENDPOINT_HOST && (!host || host[0] == '\0')) {
        return listener_set_add_wildcards(set, endpoint.port, family);
    }
    int err = wr_endpoint_read(set->loop, &endpoint, set->capacity, &known);
    wr_require(err >= 0, err);
    if (known.name) {
        return wr_lookups_add(&set->names, known.name, known.port, family,
                              &lookup);
    }
    for (size_t i = 0; i < known.count && err >= 0; i++) {
        err = listener_set_add_address(set, family, &known.addresses[i]);
    }
    return err;
}

static int listener_set_add_all(struct wr_listener_set *set,
                                const struct wr_server_call *call)
{
    const struct weir_server_options *options = call->options;
    const struct weir_endpoint *endpoint = &call->endpoint;
    int err = 0;

    wr_assert(set->address_count == 0);
    if (endpoint->kind != WEIR_ENDPOINT_HOST || endpoint->host ||
        options->host_count == 0) {
        err = listener_set_add_endpoint(set, options->family, *endpoint);
    }
    for (size_t i = 0; i < options->host_count && err >= 0; i++) {
        err = listener_set_add_endpoint(
            set, options->family,
            weir_endpoint_host(options->hosts[i], endpoint->port));
    }
    return err;
}

static void listener_set_free_room(struct wr_listener_set *set)
{
    const struct weir_allocator *allocator = &set->loop->counting;

    wr_free(allocator, set->addresses, set->capacity * sizeof(*set->addresses));
    wr_guard_free(allocator, set->all, set->capacity * sizeof(*set->all));
    set->addresses = NULL;
    set->all = NULL;
    set->capacity = 0;
}

/* Keeps the addresses. */
static int listener_set_make_room(struct wr_listener_set *set, size_t capacity)
{
    const struct weir_allocator *allocator = &set->loop->counting;
    struct wr_listener_set old = *set;

    wr_assert(capacity > 0);
    wr_assert(capacity >= set->address_count);
    wr_assert(set->count == 0);
    set->addresses = wr_alloc(allocator, capacity * sizeof(*set->addresses));
    set->all = wr_guard_alloc(allocator, capacity * sizeof(*set->all));
    set->capacity = capacity;
    if (!set->addresses || !set->all) {
        listener_set_free_room(set);
        set->addresses = old.addresses;
        set->all = old.all;
        set->capacity = old.capacity;
        return -ENOMEM;
    }
    if (set->address_count > 0) {
        memcpy(set->addresses, old.addresses,
               set->address_count * sizeof(*set->addresses));
    }
    listener_set_free_room(&old);
    return 0;
}

static int listener_set_add_resolved(struct wr_listener_set *set)
{
    const weir_lookup *lookup = NULL;
    size_t count = 0;

    while ((lookup = wr_lookups_get_next(&set->names, lookup)) != NULL) {
        count += lookup->count;
    }
    int err = listener_set_make_room(set, set->address_count + count);
    while (err >= 0 &&
           (lookup = wr_lookups_get_next(&set->names, lookup)) != NULL) {
        for (size_t i = 0; i < lookup->count && err >= 0; i++) {
            err =
                listener_set_add_address(set, AF_UNSPEC, &lookup->addresses[i]);
        }
    }
    return err;
}

int wr_listener_set_resolve(struct wr_listener_set *set)
{
    const weir_lookup *failed = NULL;

    wr_listener_set_check_invariants(set);
    if (!wr_listener_set_has_names(set)) {
        return 0;
    }
    int err = wr_lookups_await(&set->names, &failed);
    if (err >= 0) {
        err = listener_set_add_resolved(set);
    } else if (failed) {
        listener_set_note(set, failed->host, err);
    }
    wr_lookups_fini(&set->names);
    wr_assert(!wr_listener_set_has_names(set));
    return err;
}

int wr_listener_set_init(struct wr_listener_set *set, weir_loop *loop,
                         const struct wr_server_call *call)
{
    const struct weir_server_options *options = call->options;

    memset(set, 0, sizeof(*set));
    set->loop = loop;
    wr_lookups_init(&set->names, loop);
    set->fd = wr_endpoint_get_fd(&call->endpoint);
    set->is_none = options->no_sockets;
    set->options.backlog =
        options->backlog > 0 ? options->backlog : BACKLOG_DEFAULT;
    set->options.bind_only = options->no_start_serving;
    set->options.reuse_address = !options->no_reuse_address;
    set->options.reuse_port = options->reuse_port;
    set->options.proto = options->proto;
    set->options.defer_accept_ns = options->defer_accept_ns;
    set->options.fast_open_limit = options->fast_open_limit;
    set->options.socket_mode = options->socket_mode;
    set->options.keeps_file = options->no_cleanup_socket;
    set->error_text = options->error_text;
    set->error_text_size = options->error_text_size;
    wr_require(options->host_count < HOST_COUNT_LIMIT, -EINVAL);
    wr_require(options->host_count == 0 || options->hosts, -EINVAL);
    wr_require(call->endpoint.address_count < HOST_COUNT_LIMIT, -EINVAL);

    int err = listener_set_make_room(
        set, set->fd >= 0 ? 1
                          : (options->host_count + 1) * WILDCARDS +
                                call->endpoint.address_count);
    if (err >= 0 && set->fd < 0 && !set->is_none) {
        err = listener_set_add_all(set, call);
    }
    if (err < 0) {
        wr_listener_set_fini(set);
    }
    return err;
}

void wr_listener_set_fini(struct wr_listener_set *set)
{
    wr_assert(wr_listener_set_is_closed(set));
    wr_lookups_fini(&set->names);
    wr_free(&set->loop->counting, set->attempts,
            set->attempt_capacity * sizeof(*set->attempts));
    set->attempts = NULL;
    set->attempt_capacity = 0;
    set->attempt_count = 0;
    listener_set_free_room(set);
}

static int listener_set_open_next(struct wr_listener_set *set, int fd,
                                  const struct weir_address *address)
{
    const struct wr_listen_options *options = &set->options;
    wr_assert(set->count < set->capacity);
    struct wr_listener *listener = &set->all[set->count];
    wr_listener_init(listener, set->loop, set->ops, set->owner);

    int err = fd >= 0 ? wr_listener_adopt(listener, fd, options)
                      : wr_listener_open(listener, address, options);
    if (err >= 0 && !options->bind_only) {
        err = wr_listener_listen(listener, options->backlog);
        if (err < 0) {
            const bool closed = wr_listener_close(listener);
            wr_assert(closed);
        }
    }
    wr_assert((listener->fd < 0) == (err < 0));
    if (err >= 0) {
        set->count++;
    }
    return err;
}

/* If @err is 0, the attempt has opened the last listener of the set. */
static void listener_set_note_attempt(struct wr_listener_set *set,
                                      const struct weir_address *address,
                                      int err)
{
    wr_assert(set->attempt_count < set->attempt_capacity);
    wr_assert(err < 0 || set->count > 0);
    struct weir_attempt *attempt = &set->attempts[set->attempt_count++];
    *attempt = (struct weir_attempt){.size = sizeof(*attempt),
                                     .address = *address,
                                     .err = err < 0 ? err : 0};
    if (err >= 0) {
        attempt->own_address = set->all[set->count - 1].address;
    }
}

static int listener_set_open_all(struct wr_listener_set *set, bool same_port)
{
    uint16_t port = 0;
    int skipped = 0;

    wr_assert(set->count == 0);
    set->attempt_count = 0;
    for (size_t i = 0; i < set->address_count; i++) {
        struct weir_address address = set->addresses[i];
        const bool has_port = address.storage.any.sa_family != AF_UNIX;
        if (same_port && port != 0 && has_port) {
            wr_address_set_port(&address, port);
        }
        int err = listener_set_open_next(set, -1, &address);
        listener_set_note_attempt(set, &address, err);
        /* This machine may not have the address, or no IPv6. */
        const bool is_skipped = err == -EAFNOSUPPORT || err == -EADDRNOTAVAIL;
        if (err < 0 && (!is_skipped || skipped == 0)) {
            listener_set_note_address(set, &address, err);
        }
        if (is_skipped) {
            skipped = skipped < 0 ? skipped : err;
            continue;
        }
        if (err < 0) {
            wr_listener_set_close(set);
            wr_assert(wr_listener_set_is_closed(set));
            set->count = 0;
            return err;
        }
        if (has_port) {
            port = wr_address_port(&set->all[set->count - 1].address);
        }
    }
    return set->count > 0 ? 0 : skipped;
}

static int listener_set_make_attempts(struct wr_listener_set *set)
{
    const size_t capacity = set->fd >= 0 ? 1 : set->address_count;

    if (set->attempts) {
        return 0;
    }
    wr_assert(capacity > 0);
    set->attempts =
        wr_alloc(&set->loop->counting, capacity * sizeof(*set->attempts));
    wr_require(set->attempts, -ENOMEM);
    set->attempt_capacity = capacity;
    return 0;
}

static int listener_set_adopt(struct wr_listener_set *set)
{
    const int fd = set->fd;
    struct weir_address address;

    wr_assert(fd >= 0);
    wr_ignore(wr_socket_ask_sockname(fd, &address));
    set->fd = -1;
    const int err = listener_set_open_next(set, fd, NULL);
    listener_set_note_attempt(set, &address, err);
    if (err < 0) {
        listener_set_note_address(set, &address, err);
    }
    return err;
}

int wr_listener_set_open(struct wr_listener_set *set)
{
    wr_listener_set_check_invariants(set);
    wr_assert(set->count == 0);
    if (set->is_none) {
        return 0;
    }
    int err = listener_set_make_attempts(set);
    wr_require(err >= 0, err);
    if (set->fd >= 0) {
        return listener_set_adopt(set);
    }
    const bool free_choice =
        wr_address_port(&set->addresses[0]) == 0 && set->address_count > 1;
    err = listener_set_open_all(set, true);
    for (uint32_t i = 1; i < PORT_TRIES && free_choice && err == -EADDRINUSE;
         i++) {
        err = listener_set_open_all(set, true);
    }
    if (free_choice && err == -EADDRINUSE) {
        err = listener_set_open_all(set, false);
    }
    return err;
}

/* Listens on the Unix sockets of the set, or on the others. After an error no
 * socket listens, except Unix sockets, which cannot stop. */
static int listener_set_listen_on(struct wr_listener_set *set, bool on_unix)
{
    size_t i = 0;
    int err = 0;

    while (i < set->count && err >= 0) {
        struct wr_listener *listener = &set->all[i++];
        if ((listener->family == AF_UNIX) == on_unix) {
            err = wr_listener_listen(listener, set->options.backlog);
        }
    }
    while (err < 0 && --i > 0) {
        wr_listener_unlisten(&set->all[i - 1]);
    }
    return err;
}

int wr_listener_set_listen(struct wr_listener_set *set)
{
    wr_assert(wr_listener_set_is_open(set));
    int err = listener_set_listen_on(set, false);
    /* A bound Unix socket can always listen, but cannot stop without a close,
     * so it comes last. */
    return err < 0 ? err : listener_set_listen_on(set, true);
}

void wr_listener_set_close(struct wr_listener_set *set)
{
    wr_listener_set_check_invariants(set);
    wr_lookups_cancel(&set->names);
    if (set->fd >= 0) {
        wr_ignore(wr_sys_close(set->fd));
        set->fd = -1;
    }
    for (size_t i = 0; i < set->count; i++) {
        wr_listener_close(&set->all[i]);
    }
}

bool wr_listener_set_is_closed(const struct wr_listener_set *set)
{
    for (size_t i = 0; i < set->count; i++) {
        if (set->all[i].fd >= 0) {
            return false;
        }
    }
    return true;
}

uint64_t wr_listener_set_get_armed(const struct wr_listener_set *set)
{
    uint64_t armed = 0;
    for (size_t i = 0; i < set->count; i++) {
        armed += set->all[i].armed_count;
    }
    return armed;
}

void wr_listener_set_arm(struct wr_listener_set *set, uint32_t goal,
                         uint64_t room)
{
    wr_assert(wr_listener_set_is_open(set));
    wr_assert(room > 0);
    const uint64_t share = wr_max_u64(room / wr_max_u64(set->count, 1), 1);
    uint64_t armed = wr_listener_set_get_armed(set);

    for (size_t i = 0; i < set->count; i++) {
        struct wr_listener *listener = &set->all[i];
        const uint32_t before = listener->armed_count;
        uint64_t more = room > armed ? room - armed : 0;
        if (before == 0 && more == 0) {
            more = 1; /* each listener keeps one accept, even above @room */
        }
        const uint64_t want =
            goal == WR_ACCEPT_ANOTHER ? before + 1 : wr_min_u64(goal, share);
        wr_listener_arm(listener, (uint32_t)wr_min_u64(want, before + more));
        armed += listener->armed_count - before;
    }
}

void wr_listener_set_arm_multishot(struct wr_listener_set *set)
{
    wr_assert(wr_listener_set_is_open(set));
    for (size_t i = 0; i < set->count; i++) {
        wr_listener_arm_multishot(&set->all[i]);
    }
}

void wr_listener_set_end_multishot(struct wr_listener_set *set)
{
    for (size_t i = 0; i < set->count; i++) {
        wr_listener_end_multishot(&set->all[i]);
    }
}

void wr_listener_set_disarm(struct wr_listener_set *set)
{
    for (size_t i = 0; i < set->count; i++) {
        wr_listener_disarm(&set->all[i]);
    }
}
