/*
 * Accepting clients.
 *
 * If accepts fail because descriptors or memory run out, the server reports
 * this once and retries every 100 ms with one accept for each socket; clients
 * wait in the kernel's queue meanwhile.
 *
 * A server is near its connection limit if the kernel's queue could have more
 * connections than the server may accept. It then arms only as many accepts as
 * it may accept connections, but at least one on each socket. A full server has
 * no accepts: new clients stay in the kernel's queue, where another process
 * that shares the socket may accept them. If an accept has taken a connection
 * above the limit, the connection is parked.
 */
#include "lib/transport/sock/sock.h"
#include "lib/transport/socket.h"
#include "server.h"

#define ACCEPT_WAIT_NS (100u * 1000000u)

/* ---- connections that wait to be served ----
 *
 * A connection is parked if it was accepted above the connection limit, or if
 * it was passed to weir_server_add_fd(). The server's ready item opens parked
 * connections, the oldest first, so that weir_server_add_fd() does not call the
 * program. */

/* After -ENOMEM the caller still owns @fd. */
WEIR_MUST_USE static int server_accept_keep(weir_server *server, int fd,
                                            int family, bool is_foreign)
{
    wr_assert(!wr_server_is_closed(server));
    struct wr_parked *parked =
        wr_alloc(&server->loop->counting, sizeof(*parked));
    wr_require(parked, -ENOMEM);
    *parked = (struct wr_parked){
        .fd = fd, .family = family, .is_foreign = is_foreign};
    wr_list_init(&parked->link);
    wr_list_push_back(&server->parked, &parked->link);
    server->parked_count++;
    return 0;
}

static bool server_accept_take_parked(weir_server *server,
                                      struct wr_parked *ret)
{
    struct wr_list *link = wr_list_pop_front(&server->parked);

    wr_assert(!link == (server->parked_count == 0));
    if (!link) {
        return false;
    }
    struct wr_parked *parked = wr_container_of(link, struct wr_parked, link);
    server->parked_count--;
    *ret = *parked;
    wr_free(&server->loop->counting, parked, sizeof(*parked));
    return true;
}

void wr_server_close_parked(weir_server *server)
{
    struct wr_parked parked;

    wr_assert(wr_server_is_closed(server));
    while (server_accept_take_parked(server, &parked)) {
        wr_socket_turn_away(server->loop, parked.fd, parked.family);
    }
}

static void server_accept_report(weir_server *server, const char *message,
                                 int err)
{
    wr_assert(err < 0);
    const struct weir_exception exception = {
        .message = message,
        .err = err,
        .server = server,
    };
    wr_loop_report(server->loop, &exception);
}

static bool server_accept_is_near_limit(const weir_server *server)
{
    return server->connection_limit != UINT64_MAX &&
           server->client_count + server->parked_count >= server->ample_count;
}

void wr_server_arm(weir_server *server)
{
    const uint64_t taken = server->client_count + server->parked_count;
    const uint64_t room =
        server->connection_limit > taken ? server->connection_limit - taken : 0;

    if (server->state != SERVER_SERVING) {
        return;
    }
    if (room == 0) {
        wr_listener_set_disarm(&server->listeners);
        return;
    }
    if (wr_timer_is_armed(&server->retry)) {
        return;
    }
    if (!server->lacks_resources && !server_accept_is_near_limit(server)) {
        wr_listener_set_arm_multishot(&server->listeners);
        return;
    }
    wr_listener_set_end_multishot(&server->listeners);
    /* When an accept failed, the kernel may have woken only that accept. */
    wr_listener_set_arm(
        &server->listeners,
        server->lacks_resources ? WR_ACCEPT_ANOTHER : WR_ACCEPT_OPS, room);
}

/* Closes a connection of a stopping server if all its requests are answered. */
static void server_accept_end_if_idle(weir_transport *t)
{
    if (!t->is_below && !wr_loop_tells_stop(t->loop) &&
        wr_transport_is_idle(t)) {
        weir_transport_close(t);
    }
}

/* Called when the handshake of a client has ended. If its connection_made
 * started TLS inside TLS, the set has the inner transport instead of @t. */
static void server_accept_shaken(void *arg, int err, weir_transport *t)
{
    weir_server *server = arg;
    const struct weir_exception exception = {
        .message = "the TLS handshake of a client failed",
        .err = err,
        .transport = t,
        .server = server,
    };

    wr_assert(err == 0 || t->set == &server->set);
    if (err < 0 && weir_transport_get_end(t) == WEIR_END_BROKEN) {
        wr_loop_report(server->loop, &exception);
    }
}

static inline int server_accept_open(weir_server *server, int fd,
                                     const struct wr_sock_options *options,
                                     weir_transport **ret)
{
    if (WR_UNLIKELY(wr_secure_settings_are_set(&server->tls))) {
        const struct wr_secure_opener opener = {.factory = server->factory,
                                                .opened = server_accept_shaken,
                                                .arg = server};
        return wr_secure_open(server->loop, fd, options, &server->tls, &opener,
                              ret);
    }
    return wr_sock_open(server->loop, fd, &server->factory, options, ret);
}

/* Takes @fd. @is_foreign is as in struct wr_parked. */
static inline __attribute__((always_inline)) void
server_accept_open_client(weir_server *server, int fd, int family,
                          bool is_foreign)
{
    wr_assert(server->state >= SERVER_SERVING);
    wr_assert(server->client_count < server->connection_limit);
    if (is_foreign) {
        /* Fails if the connection is already broken, which its transport will
         * report. */
        wr_ignore(
            wr_sock_configure(server->loop, fd, family, &server->connection));
    }
    const struct wr_sock_options options = {
        .connection = &server->connection,
        .set = &server->set,
        .family = family,
    };
    weir_transport *t = NULL;
    server->pins++;
    int err = server_accept_open(server, fd, &options, &t);
    if (err < 0) {
        server_accept_report(server, "a new connection could not be set up",
                             err);
    } else if (server->state == SERVER_ENDING) { /* stopped by its factory */
        t->ops->abort(t); /* also ends a transport above it */
    } else if (server->state == SERVER_STOPPING) {
        server_accept_end_if_idle(t);
    }
    wr_assert(server->pins > 0);
    server->pins--;
}

void wr_server_open_parked(weir_server *server)
{
    struct wr_parked parked;

    wr_assert(server->state == SERVER_SERVING);
    /* A factory may close the server, which closes parked connections. */
    while (server->parked_count > 0 &&
           server->client_count < server->connection_limit &&
           server_accept_take_parked(server, &parked)) {
        server_accept_open_client(server, parked.fd, parked.family,
                                  parked.is_foreign);
    }
}

static void server_accept_park(weir_server *server,
                               const struct wr_listener *listener, int fd)
{
    const int err =
        server_accept_keep(server, fd, listener->family, listener->was_bare);

    wr_assert(server->state == SERVER_SERVING);
    if (err < 0) {
        wr_socket_turn_away(server->loop, fd, listener->family);
        server_accept_report(server, "no memory to keep a connection waiting",
                             err);
    }
}

/* True if the limit of descriptors has changed since the multishot accept was
 * armed. Checks once per iteration. With epoll each accept is a call under the
 * current limit. */
static bool server_accept_has_other_limit(struct wr_listener *listener)
{
    const weir_loop *loop = listener->loop;
    const uint64_t turn = loop->counts.turns;

    wr_assert(listener->multishot);
    if (listener->looked_turn == turn ||
        loop->uring.features.engine == WR_ENGINE_POLL) {
        return false;
    }
    listener->looked_turn = turn;
    return wr_sys_get_nofile() != listener->nofile;
}

static void server_accept_listener_accepted(struct wr_listener *listener,
                                            int fd)
{
    weir_server *server = listener->owner;

    wr_assert(server->state == SERVER_SERVING);
    server->lacks_resources = false;
    if (server->accepted) {
        /* The callback may free the server. */
        server->pins++;
        server->accepted(server->accepted_arg, server, fd);
        wr_loop_end_if_forked(server->loop);
        wr_assert(server->pins > 0);
        server->pins--;
    } else if (server->client_count < server->connection_limit) {
        /* The connection may be older than the options of the listener. */
        server_accept_open_client(server, fd, listener->family,
                                  listener->was_bare);
    } else {
        server_accept_park(server, listener, fd);
    }
    if (!listener->multishot) {
        wr_server_arm(server);
    } else if (server->connection_limit != UINT64_MAX) {
        /* A multishot accept that was armed with another limit of descriptors
         * is ended; its end arms a new one. */
        if (server_accept_is_near_limit(server)) {
            wr_server_arm(server);
        } else if (server_accept_has_other_limit(listener)) {
            wr_listener_end_multishot(listener);
        }
    }
    wr_debug_check(wr_server_check_invariants(server));
}

/* A stopping server serves the connection. A server that was only closed turns
 * it away. */
static void server_accept_listener_accepted_late(struct wr_listener *listener,
                                                 int fd)
{
    weir_server *server = listener->owner;

    wr_assert(wr_server_is_closed(server) && listener->is_closing);
    if (server->state == SERVER_STOPPING && !server->accepted &&
        !wr_loop_is_closing(server->loop) &&
        server->client_count < server->connection_limit) {
        server_accept_open_client(server, fd, listener->family,
                                  listener->was_bare);
    } else {
        wr_socket_turn_away(server->loop, fd, listener->family);
    }
}

/* True if the client's connection was not made, or if the accept was
 * interrupted or cancelled. */
static bool server_accept_is_harmless(int err)
{
    static const int harmless[] = {
        ECONNABORTED, EPROTO,       ENETDOWN,    EHOSTDOWN,
        ENONET,       EHOSTUNREACH, ENETUNREACH, ETIMEDOUT,
    };
    if (wr_res_is_transient(err)) {
        return true;
    }
    for (size_t i = 0; i < sizeof(harmless) / sizeof(harmless[0]); i++) {
        if (err == -harmless[i]) {
            return true;
        }
    }
    return false;
}

static void server_accept_listener_failed(struct wr_listener *listener, int err)
{
    weir_server *server = listener->owner;

    wr_server_check_invariants(server);
    wr_assert(server->state == SERVER_SERVING);
    wr_assert(err < 0);
    if (server_accept_is_harmless(err)) {
        wr_server_arm(server);
        return;
    }
    const bool is_news = !server->lacks_resources;
    server->lacks_resources = true;
    wr_listener_set_end_multishot(&server->listeners);
    if (!wr_timer_is_armed(&server->retry)) {
        wr_timer_arm(&server->loop->wheel, &server->retry,
                     wr_add_sat(server->loop->now_ns, ACCEPT_WAIT_NS));
    }
    if (is_news) { /* last: the hook may close the server */
        server_accept_report(server,
                             wr_sys_is_shortage(err)
                                 ? "accept is out of system resources"
                                 : "accept failed",
                             err);
    }
}

static void server_accept_listener_closed(struct wr_listener *listener)
{
    weir_server *server = listener->owner;

    wr_assert(wr_server_is_closed(server));
    wr_server_check_invariants(server);
    wr_server_push_work(server);
}

const struct wr_listener_ops wr_server_listener_ops = {
    .accepted = server_accept_listener_accepted,
    .accepted_late = server_accept_listener_accepted_late,
    .failed = server_accept_listener_failed,
    .closed = server_accept_listener_closed,
};

static void server_accept_adopt(struct wr_connection_set *set,
                                weir_transport *t)
{
    weir_server *server = wr_container_of(set, weir_server, set);

    wr_assert(server->client_count < server->connection_limit);
    wr_list_push_back(&server->clients, &t->set_link);
    server->client_count++;
}

int weir_server_add_transport(weir_server *server, weir_transport *t)
{
    const int err = wr_loop_check(server->loop);

    wr_require(err >= 0, err);
    wr_debug_check(wr_server_check_invariants(server));
    wr_require(wr_transport_is_connection(t) && t->state == WR_LIFE_NEW &&
                   !t->set && t->loop == server->loop,
               -EINVAL);
    wr_require(server->state == SERVER_SERVING, -ESHUTDOWN);
    wr_require(server->client_count < server->connection_limit, -EBUSY);
    wr_assert(!wr_list_is_linked(&t->set_link));
    t->set = &server->set;
    /* The transport is counted when its handshake begins. */
    wr_server_push_work(server);
    return 0;
}

/* Only makes the handlers' tasks ready, so the list does not change. */
static void server_accept_cancel_handlers(weir_server *server)
{
    wr_assert(server->state == SERVER_ENDING);
    wr_assert(server->client_count == 0);
    for (struct wr_list *link = server->handlers.next;
         link != &server->handlers; link = link->next) {
        struct wr_handler *handler =
            wr_container_of(link, struct wr_handler, link);
        handler->ops->cancel(handler);
    }
}

static void server_accept_forget(struct wr_connection_set *set,
                                 weir_transport *t)
{
    weir_server *server = wr_container_of(set, weir_server, set);

    wr_debug_check(wr_server_check_invariants(server));
    wr_assert(server->client_count > 0);
    wr_assert(wr_list_is_linked(&t->set_link));
    wr_list_remove(&t->set_link);
    server->client_count--;
    if (server->client_count == 0 && server->state == SERVER_ENDING) {
        server_accept_cancel_handlers(server);
    }
    if (server->parked_count > 0 || wr_server_is_quiet(server)) {
        wr_server_push_work(server);
    }
    if (server_accept_is_near_limit(server)) {
        wr_server_arm(server);
    }
}

static void server_accept_add_handler(struct wr_connection_set *set,
                                      struct wr_handler *handler)
{
    weir_server *server = wr_container_of(set, weir_server, set);

    wr_assert(server->state >= SERVER_SERVING);
    wr_assert(!wr_list_is_linked(&handler->link));
    wr_list_push_back(&server->handlers, &handler->link);
}

static void server_accept_remove_handler(struct wr_connection_set *set,
                                         struct wr_handler *handler)
{
    weir_server *server = wr_container_of(set, weir_server, set);

    wr_assert(wr_list_is_linked(&handler->link));
    wr_list_remove(&handler->link);
    if (wr_server_is_over(server)) {
        wr_server_push_work(server);
    }
}

static void server_accept_note_idle(struct wr_connection_set *set,
                                    weir_transport *t)
{
    weir_server *server = wr_container_of(set, weir_server, set);

    if (server->state >= SERVER_STOPPING) {
        server_accept_end_if_idle(t);
    }
}

const struct wr_connection_set_ops wr_server_set_ops = {
    .adopt = server_accept_adopt,
    .add_handler = server_accept_add_handler,
    .remove_handler = server_accept_remove_handler,
    .forget = server_accept_forget,
    .note_idle = server_accept_note_idle};

/* A client stays in the list until its step has run, so the list does not
 * change. */
void wr_server_end_clients(weir_server *server, int (*end)(weir_transport *t))
{
    wr_debug_assert(wr_list_count(&server->clients) == server->client_count);
    for (struct wr_list *link = server->clients.next; link != &server->clients;
         link = link->next) {
        weir_transport *t = wr_container_of(link, weir_transport, set_link);
        end(t);
    }
}

void wr_server_end_idle(weir_server *server)
{
    wr_assert(server->state >= SERVER_STOPPING);
    for (struct wr_list *link = server->clients.next; link != &server->clients;
         link = link->next) {
        server_accept_end_if_idle(
            wr_container_of(link, weir_transport, set_link));
    }
}

void wr_server_end_handlers(weir_server *server)
{
    wr_assert(server->state == SERVER_ENDING); /* the last loss checks it */
    if (server->client_count == 0) {
        server_accept_cancel_handlers(server);
    }
}

static int server_accept_check_adopted(const weir_server *server, int fd)
{
    struct weir_address peer;

    wr_server_check_invariants(server);
    wr_require(!wr_server_is_closed(server), -ESHUTDOWN);
    wr_require(server->factory.create, -EINVAL);
    const int family = wr_socket_check(fd, &peer);
    if (family == -EINVAL && wr_socket_get_option(fd, SO_ACCEPTCONN) == 0 &&
        wr_socket_get_option(fd, SO_TYPE) == SOCK_STREAM) {
        return -ENOTCONN;
    }
    return family;
}

int weir_server_add_fd(weir_server *server, int fd)
{
    int err = wr_loop_check(server->loop);
    const int family = err < 0 ? err : server_accept_check_adopted(server, fd);

    err = family < 0 ? family : server_accept_keep(server, fd, family, true);
    if (err < 0) {
        wr_socket_refuse(fd);
        return err;
    }
    wr_server_push_work(server);
    wr_server_check_invariants(server);
    return 0;
}
