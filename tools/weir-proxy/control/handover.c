/*
 * The new proxy has no loop yet and requests with plain system calls. The old
 * proxy responds in a task of its first loop. It sends the descriptors in
 * messages of one byte with up to FDS_AT_ONCE descriptors, then the facts about
 * targets, the session ticket keys and the watchdog's time. A last byte ends
 * the transfer.
 *
 * Only one successor is served at a time. Two successors with the same sockets
 * would both serve, and only one of them could be replaced later.
 *
 * The old proxy closes its end of the connection when none of its threads
 * accepts any more. Until then, but for STOP_S at most, the new proxy executes
 * no operator commands, because the old proxy would not receive them.
 */
#include "handover.h"

#include "admin.h"
#include "control.h"
#include "reload.h"
#include "signals.h"
#include "tools/common/console.h"
#include "tools/weir-proxy/confine/confine.h"
#include "tools/weir-proxy/runtime/manager.h"
#include "tools/weir-proxy/runtime/setup.h"
#include "tools/weir-proxy/runtime/states.h"
#include "tools/weir-proxy/runtime/worker.h"

#include "weir/error.h"
#include "weir/stream.h"
#include "weir/task.h"
#include "weir/unix.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define FDS_AT_ONCE 64

/* First byte of a message. */
enum {
    MORE = 'F',     /* descriptors */
    OWN = 'O',      /* like MORE; the old proxy owns the socket's file */
    STATES = 'S',   /* facts about targets: count, item size, data */
    KEYS = 'K',     /* session ticket keys, in the same format */
    WATCHDOG = 'W', /* watchdog's time; the manager passes it only to the first
                     * process */
    LAST = '.',
    READY = 'R',
};

/* Time limits for the running proxy's response, until a successor serves, and
 * until the running proxy has stopped accepting. */
#define ANSWER_S 10
#define READY_S  30
#define STOP_S   5
/* Poll interval for the stop, and retry interval if no descriptor is free. */
#define LOOK_NS  UINT64_C(1000000)
#define AGAIN_NS UINT64_C(100000000)

#define ITEMS_MAX (UINT64_C(1) << 20)
#define ITEM_MAX  4096

/* Retries to bind an abstract name that the running proxy still has. */
#define NAME_TRIES 100
#define NAME_NS    UINT64_C(10000000)

/* Returns true for a process of this user, of the user that this proxy will
 * become, or of root. */
static bool is_trusted(uid_t uid, const struct config *config)
{
    return uid == geteuid() || uid == 0 || uid == confine_get_user(config);
}

/* Connects to the running proxy, whose root may be different. Returns a socket
 * or a negative error. */
static int connect_to(const struct config *config)
{
    char whole[PATH_MAX];
    struct ucred peer;

    confine_path_outside(config, config->handover_path, whole);
    const int fd = control_connect(whole, ANSWER_S);
    if (fd == -ENAMETOOLONG) {
        say("handover: '%s' is too long for a path", whole);
    }
    if (fd < 0) {
        return fd;
    }
    const bool is_known = control_get_peer(fd, &peer);
    if (is_known && is_trusted(peer.uid, config)) {
        return fd;
    }
    if (is_known) {
        say("handover: a process of another user listens there");
    }
    close(fd);
    return -EPERM;
}

/* Receives one message, and takes ownership of its descriptors. Returns the
 * message's byte, or 0 at the end of the stream or after an error. */
static char take_message(int peer, struct proxy *proxy)
{
    char byte = 0;
    union {
        char room[CMSG_SPACE(FDS_AT_ONCE * sizeof(int))];
        struct cmsghdr aligned;
    } control;
    struct iovec iov = {&byte, 1};
    struct msghdr message = {.msg_iov = &iov,
                             .msg_iovlen = 1,
                             .msg_control = control.room,
                             .msg_controllen = sizeof(control.room)};

    if (recvmsg(peer, &message, MSG_CMSG_CLOEXEC) <= 0) {
        return 0;
    }
    for (struct cmsghdr *head = CMSG_FIRSTHDR(&message); head;
         head = CMSG_NXTHDR(&message, head)) {
        if (head->cmsg_level != SOL_SOCKET || head->cmsg_type != SCM_RIGHTS) {
            continue;
        }
        const size_t count = (head->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < count; i++) {
            int fd;
            memcpy(&fd, CMSG_DATA(head) + i * sizeof(int), sizeof(fd));
            /* listeners_offer() closes a socket that the configuration does not
             * have. */
            if (!admin_offer(proxy, fd)) {
                listeners_offer(&proxy->setup->listeners, fd, byte == OWN);
            }
        }
    }
    return byte;
}

static bool take_bytes(int peer, void *ret, size_t size)
{
    return recv(peer, ret, size, MSG_WAITALL) == (ssize_t)size;
}

/* Receives items. Returns NULL on failure; the caller frees the array. Items of
 * another size come from another version and are skipped. */
static void *take_items(int peer, size_t size, size_t *ret_count)
{
    uint64_t sizes[2]; /* count, and bytes of each */

    if (!take_bytes(peer, sizes, sizeof(sizes)) || sizes[0] > ITEMS_MAX ||
        sizes[1] > ITEM_MAX) {
        return NULL;
    }
    const size_t all_size = (size_t)(sizes[0] * sizes[1]);
    void *items = calloc(1, all_size + size);
    if (items && all_size > 0 && !take_bytes(peer, items, all_size)) {
        free(items);
        return NULL;
    }
    *ret_count = sizes[1] == size ? (size_t)sizes[0] : 0;
    return items;
}

/* Receives items of the kind @byte. Returns false on failure. */
static bool take(int peer, char byte, struct proxy *proxy)
{
    const struct setup *setup = proxy->setup;
    size_t count = 0;
    void *items = take_items(peer,
                             byte == STATES ? sizeof(struct states_one)
                             : byte == KEYS ? sizeof(struct contexts_keys)
                                            : sizeof(uint64_t),
                             &count);

    if (!items) {
        return false;
    }
    if (byte == STATES) {
        free(proxy->states);
        proxy->states = items;
        proxy->state_count = count;
        states_sort(items, count);
    } else if (byte == KEYS) {
        contexts_load_keys(setup->contexts, setup->config, items, count);
        contexts_forget_keys(items, count);
    } else {
        /* A value from a manager that started this process has precedence. */
        if (count > 0 && proxy->watchdog_ns == 0) {
            memcpy(&proxy->watchdog_ns, items, sizeof(proxy->watchdog_ns));
        }
        free(items);
    }
    return true;
}

void handover_take(struct proxy *proxy)
{
    const struct config *config = proxy->setup->config;
    const int peer = config->handover_path ? connect_to(config) : -1;
    char byte;

    proxy->predecessor = peer;
    if (peer < 0) {
        return;
    }
    do {
        byte = take_message(peer, proxy);
    } while (byte == MORE || byte == OWN ||
             ((byte == STATES || byte == KEYS || byte == WATCHDOG) &&
              take(peer, byte, proxy)));
    if (byte != LAST) {
        say("handover: the running proxy passed only some of its sockets");
        close(peer);
        proxy->predecessor = -1;
    }
}

/* Sends descriptors. The library duplicates them, so it needs free descriptors,
 * and a shortage of these may be the reason for the handover. On a shortage
 * sends half as many, and for a single descriptor waits up to ANSWER_S. */
static int send_some(weir_writer *writer, char byte, const int *fds,
                     size_t count)
{
    weir_loop *loop =
        weir_transport_get_loop(weir_writer_get_transport(writer));
    int tries = (int)(ANSWER_S * UINT64_C(1000000000) / AGAIN_NS);
    size_t most = FDS_AT_ONCE;
    int err = 0;

    while (count > 0 && err == 0) {
        const size_t some = count < most ? count : most;
        err = weir_writer_send_fds(writer, &byte, 1, fds, some);
        if ((err == -EMFILE || err == -ENFILE) && (some > 1 || --tries > 0)) {
            most = (some + 1) / 2;
            err = some > 1 ? 0 : weir_sleep(loop, AGAIN_NS);
        } else if (err == 0) {
            err = weir_writer_flush(writer);
            fds += some;
            count -= some;
        }
    }
    return err;
}

/* Returns true if the process that requests the sockets may get them. */
static bool may_succeed(const struct worker *worker, const weir_writer *writer)
{
    struct weir_extra_info info = {.size = sizeof(info)};

    if (weir_writer_get_extra_info(writer, "peercred", &info) < 0 ||
        !is_trusted(info.peercred.uid, worker_config(worker))) {
        say("handover: a process of another user requested the sockets");
        return false;
    }
    if (worker->has_successor) {
        say("handover: another process requested the sockets while a new proxy "
            "starts");
    }
    return !worker->has_successor;
}

static int give_items(weir_writer *writer, char byte, const void *items,
                      uint64_t count, size_t size)
{
    const uint64_t sizes[2] = {count, size};
    int err = weir_writer_write(writer, &byte, 1);

    if (err == 0) {
        err = weir_writer_write(writer, sizes, sizeof(sizes));
    }
    return err == 0 && count > 0
               ? weir_writer_write(writer, items, count * size)
               : err;
}

static int give_states(const struct worker *worker, weir_writer *writer)
{
    struct states_one *states;
    const int64_t count = states_gather(worker, &states);
    const int err =
        give_items(writer, STATES, states, count > 0 ? (uint64_t)count : 0,
                   sizeof(*states));

    free(states);
    return err;
}

static int give_keys(const struct worker *worker, weir_writer *writer)
{
    const struct setup *setup = worker->proxy->setup;
    size_t count;
    struct contexts_keys *keys =
        contexts_save_keys(setup->contexts, setup->config, &count);
    const int err = give_items(writer, KEYS, keys, count, sizeof(*keys));

    contexts_forget_keys(keys, count);
    return err;
}

/* Sends the sockets. Returns 0 once the successor serves, or a negative
 * error. */
static int give_sockets(const struct worker *worker, weir_reader *reader,
                        weir_writer *writer)
{
    const struct listeners *listeners = &worker->proxy->setup->listeners;
    const char last = LAST;
    char answer = 0;
    int err = 0;

    for (size_t i = 0; i < listeners->count && err == 0; i++) {
        const struct listener *one = &listeners->all[i];
        err = send_some(writer, one->is_own_path ? OWN : MORE, one->fds,
                        one->fd_count);
    }
    const int page = admin_get_socket(worker);
    if (err == 0 && page >= 0) {
        err = send_some(writer, MORE, &page, 1);
    }
    if (err == 0) {
        err = give_states(worker, writer);
    }
    if (err == 0) {
        err = give_keys(worker, writer);
    }
    if (err == 0) {
        err = give_items(writer, WATCHDOG, &worker->proxy->watchdog_ns, 1,
                         sizeof(worker->proxy->watchdog_ns));
    }
    if (err == 0) {
        err = weir_writer_write(writer, &last, 1);
    }
    if (err == 0 &&
        (weir_reader_readexactly(reader, &answer, 1) != 1 || answer != READY)) {
        err = -ECONNRESET;
    }
    return err;
}

struct looking {
    const struct proxy *proxy;
    bool accepts;
};

static void look_at(void *arg, weir_thread *thread)
{
    struct looking *looking = arg;

    looking->accepts |= !worker_at(looking->proxy, thread)->is_draining;
}

/* Waits for two rounds of callbacks in which no thread accepts. Between the
 * two, each thread has entered the kernel once more after it stopped its
 * servers. */
static void wait_until_none_accepts(const struct worker *worker)
{
    struct looking looking = {.proxy = worker->proxy};
    int quiet_count = 0;
    int err = 0;

    while (err >= 0 && quiet_count < 2) {
        looking.accepts = false;
        err = worker_visit(worker, look_at, &looking);
        quiet_count += !looking.accepts;
        if (err >= 0 && quiet_count < 2) {
            err = weir_sleep(worker->loop, LOOK_NS);
        }
    }
}

/* Hands all sockets to a successor, and stops when it serves. Must be called
 * with the setup locked: during a reload the listeners also contain sockets
 * that the proxy does not serve yet. */
static void give_way(struct worker *worker, weir_reader *reader,
                     weir_writer *writer)
{
    struct weir_timeout limit;

    worker->has_successor = true;
    weir_timeout_begin(worker->loop, &limit, READY_S * UINT64_C(1000000000));
    const ssize_t err =
        weir_timeout_end(&limit, give_sockets(worker, reader, writer));
    if (err < 0) {
        worker->has_successor = false;
        if (err == -EMFILE || err == -ENFILE) {
            say("the sockets cannot be passed to the new proxy: %s; this proxy "
                "continues to serve",
                weir_strerror((int)err));
        } else {
            say("the new proxy %s; this proxy continues to serve",
                err == -ETIMEDOUT ? "was not ready in 30 s"
                                  : "has disconnected");
        }
        return;
    }
    say("another proxy serves; this one exits with its last connection");
    worker->is_replaced = true;
    if (worker->successors) {
        weir_server_close(worker->successors); /* the successor listens at
                                                * this path */
    }
    if (worker->control) {
        weir_server_close(worker->control);
    }
    admin_stop_listening(worker);
    listeners_keep_paths(&worker->proxy->setup->listeners);
    weir_threads_stop(weir_thread_get_group(worker->thread),
                      worker_config(worker)->drain_ns);
}

static int hand_over(void *arg, weir_reader *reader, weir_writer *writer)
{
    struct worker *worker = arg;

    if (!may_succeed(worker, writer) || reload_begin(worker->proxy) < 0) {
        return 0;
    }
    if (!worker->has_successor) {
        give_way(worker, reader, writer);
    }
    reload_end(worker->proxy);
    if (worker->is_replaced) {
        wait_until_none_accepts(worker);
    }
    return 0;
}

/* Removes the socket file of a predecessor that has handed over its sockets.
 * Other files stay; the library replaces a socket file without a listener. */
static void free_path(const struct proxy *proxy, const char *path)
{
    struct stat status;

    if (proxy->predecessor >= 0 && path[0] != '@' &&
        lstat(path, &status) == 0 && S_ISSOCK(status.st_mode)) {
        unlink(path);
    }
}

static int wait_at(struct worker *worker, const char *path)
{
    const struct weir_start_server_options options = {
        .size = sizeof(options),
        .arg = worker,
        .server = {.size = sizeof(options.server), .socket_mode = 0600}};

    return weir_start_unix_server(worker->loop, hand_over, path, &options,
                                  &worker->successors);
}

static void tell_predecessor(struct proxy *proxy)
{
    const char byte = READY;

    if (proxy->predecessor < 0) {
        return;
    }
    if (send(proxy->predecessor, &byte, 1, MSG_NOSIGNAL) != 1) {
        say("handover: the old proxy was not notified that this one serves");
    }
    listeners_own_paths(&proxy->setup->listeners);
    proxy->predecessor = -1;
}

static void wait_for_stop(weir_loop *loop, int predecessor)
{
    int tries = (int)(STOP_S * UINT64_C(1000000000) / LOOK_NS);
    char byte;

    while (recv(predecessor, &byte, 1, MSG_DONTWAIT) < 0 && errno == EAGAIN &&
           --tries > 0 && weir_sleep(loop, LOOK_NS) == 0) {
    }
    close(predecessor);
}

/* Listens at the path before the predecessor ends, so that one of the two
 * proxies always listens. An abstract name can only be bound after the
 * predecessor has closed its socket. */
static int wait_for_successor(struct worker *worker)
{
    struct proxy *proxy = worker->proxy;
    const char *path = proxy->setup->config->handover_path;

    if (!path) {
        return 0;
    }
    int tries = path[0] == '@' && proxy->predecessor >= 0 ? NAME_TRIES : 1;
    if (tries > 1) {
        manager_tell_ready(proxy);
        tell_predecessor(proxy);
    }
    free_path(proxy, path);
    int err = wait_at(worker, path);
    while (err == -EADDRINUSE && --tries > 0) {
        err = weir_sleep(worker->loop, NAME_NS);
        if (err == 0) {
            err = wait_at(worker, path);
        }
    }
    if (err < 0) {
        say("handover: %s: %s", path, weir_strerror(err));
    }
    return err;
}

/* Prints each address of a service, with the first target and the number of
 * other targets. */
static void say_addresses(const struct listeners *listeners)
{
    for (size_t i = 0; i < listeners->count; i++) {
        const struct listener *one = &listeners->all[i];
        const struct config_service *service = one->config;
        const bool has_name =
            strcmp(service->name, service->listens[0].text) != 0;
        const bool is_unix = config_is_unix(&one->at->address);
        const char *first = "no target";
        size_t count = 0;
        char at[WEIR_ADDRESS_TEXT_SIZE];
        char more[32] = "";

        for (size_t j = 0; j < service->route_count; j++) {
            const struct config_route *route = &service->routes[j];
            if (count == 0 && route->target_count > 0) {
                first = route->targets[0].at.text;
            }
            count += route->target_count;
        }
        if (count > 1) {
            snprintf(more, sizeof(more), " and %zu more", count - 1);
        }
        say("%s%sserves %s%s to %s%s", has_name ? service->name : "",
            has_name ? " " : "",
            is_unix           ? (one->at->is_tls ? "tls+" : "")
            : one->at->is_any ? "any://"
            : one->at->is_tls ? "tls://"
                              : "tcp://",
            weir_address_format(&one->address, at, sizeof(at)), first, more);
    }
}

/* Finishes the start in a task of the first worker, after all workers listen.
 * If opening a socket for operators or successors fails, this proxy ends and
 * the predecessor continues. This is not so for an abstract name: the
 * predecessor must end before the name can be bound. The setup is locked, so
 * that commands wait. */
static int finish_start(weir_loop *loop, void *arg)
{
    struct proxy *proxy = arg;
    const int predecessor = proxy->predecessor;
    const int err = reload_begin(proxy);

    if (err < 0) {
        return err;
    }
    setup_close_log(proxy->setup);
    int begun = control_begin(&proxy->workers[0]);
    if (begun == 0) {
        begun = wait_for_successor(&proxy->workers[0]);
    }
    if (begun == 0) {
        if (proxy->predecessor == predecessor) {
            manager_tell_ready(proxy);
        }
        say_addresses(&proxy->setup->listeners);
        tell_predecessor(proxy);
    } else if (begun != -ECANCELED) { /* -ECANCELED: a stop */
        proxy->start_err = begun;
        weir_threads_stop(weir_thread_get_group(proxy->workers[0].thread), 0);
    }
    if (begun == 0 && predecessor >= 0) {
        wait_for_stop(loop, predecessor);
    }
    reload_end(proxy);
    signals_hold(false);
    return 0;
}

/* Counts workers that accept. Runs on the first worker's loop. */
static void one_is_ready(void *arg)
{
    struct proxy *proxy = arg;

    proxy->ready_count++;
    if (proxy->ready_count == proxy->worker_count) {
        const int err = weir_task_spawn(proxy->workers[0].loop, finish_start,
                                        proxy, NULL, NULL);
        if (err < 0) {
            say("the start cannot be finished: %s", weir_strerror(err));
        }
    }
}

int handover_worker_is_ready(struct worker *worker)
{
    weir_threads *threads = weir_thread_get_group(worker->thread);
    const int err = weir_thread_call_soon(weir_threads_get(threads, 0),
                                          one_is_ready, worker->proxy, NULL);

    return err == -ESHUTDOWN ? 0 : err; /* the first worker has ended, and
                                         * this one will end, too */
}
