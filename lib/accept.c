/*
 * Letting clients in.
 *
 * A server whose accepts fail for want of descriptors or memory says so once
 * and tries again every 100 ms with one accept for each socket; the clients
 * wait in the kernel's queue meanwhile. A server at its connection limit arms
 * no more accepts than there is room for. With several sockets one accept is
 * armed on each all the same; what that brings too much is parked, not lost.
 */
#include "server.h"
#include "sock.h"

#define ACCEPT_WAIT_NS (100u * 1000000u)

/* An accepted descriptor for which there is no room yet. */
struct parked {
    struct wr_list link;
    struct wr_listener *listener;
    int fd;
    struct weir_address peer;
};

static void report(weir_server *server, const char *message, int err)
{
    const struct weir_exception exception = {
        .message = message,
        .err = err,
        .server = server,
    };
    wr_loop_report(server->loop, &exception);
}

static uint64_t room_for_clients(const weir_server *server)
{
    const uint64_t taken = server->client_count + server->parked_count;
    return server->connection_limit > taken ? server->connection_limit - taken
                                            : 0;
}

void wr_server_arm(weir_server *server)
{
    const uint64_t room = room_for_clients(server);

    if (server->state != SERVER_SERVING || room == 0 ||
        wr_timer_is_armed(&server->retry)) {
        return;
    }
    uint32_t goal = WR_ACCEPT_OPS;
    if (server->exhausted) {
        goal = 1;
    } else if (server->connection_limit == UINT64_MAX) {
        goal = WR_ACCEPT_ALL;
    }
    wr_listen_arm(&server->listen, goal, room);
}

/* A stopping server has nothing for a connection that is idle. */
static void end_if_idle(weir_transport *t)
{
    if (wr_transport_is_idle(t)) {
        wr_ignore(weir_transport_close(t)); /* what failed is told elsewhere */
    }
}

/* A factory may have called weir_server_stop(): the new one is a client too. */
static void end_if_stopping(weir_server *server, weir_transport *t)
{
    if (server->grace_over) {
        wr_ignore(weir_transport_abort(t)); /* right loop: cannot fail */
    } else if (server->stopping) {
        end_if_idle(t);
    }
}

static void open_client(weir_server *server, struct wr_listener *listener,
                        int fd, const struct weir_address *peer)
{
    if (listener->was_listening) {
        /* It may have waited since before the listener was configured. */
        wr_ignore(wr_sock_configure(fd, listener->family, &server->stream));
    }
    const bool is_known =
        listener->family == AF_UNIX || wr_listener_is_bound_to_one(listener);
    const struct wr_sock_options options = {
        .stream = &server->stream,
        .peername = peer,
        .owner = &server->owner,
        .may_ask_sockname = !is_known,
        .sockname = &listener->address,
    };
    weir_transport *t = NULL;
    server->pins++;
    int err = wr_sock_open(server->loop, fd, &server->factory, &options, &t);
    if (err < 0) {
        report(server, "a new connection could not be set up", err);
    } else {
        end_if_stopping(server, t);
    }
    server->pins--;
}

/* Keeps a descriptor until another connection is lost. */
static void park(weir_server *server, struct wr_listener *listener, int fd,
                 const struct weir_address *peer)
{
    struct parked *parked = wr_alloc(&server->loop->counting, sizeof(*parked));
    if (!parked) {
        wr_prep_close(&server->loop->uring, fd);
        report(server, "no memory to keep a connection waiting", -ENOMEM);
        return;
    }
    *parked = (struct parked){.listener = listener, .fd = fd, .peer = *peer};
    wr_list_init(&parked->link);
    wr_list_push_back(&server->parked, &parked->link);
    server->parked_count++;
}

/* The oldest that is parked, taken out; NULL when there is none. */
static struct parked *unpark(weir_server *server)
{
    struct wr_list *link = wr_list_pop_front(&server->parked);
    if (!link) {
        return NULL;
    }
    server->parked_count--;
    return wr_container_of(link, struct parked, link);
}

void wr_server_open_parked(weir_server *server)
{
    while (server->client_count < server->connection_limit) {
        struct parked *parked = unpark(server);
        if (!parked) {
            return;
        }
        open_client(server, parked->listener, parked->fd, &parked->peer);
        wr_free(&server->loop->counting, parked, sizeof(*parked));
    }
}

void wr_server_close_parked(weir_server *server)
{
    struct parked *parked;

    while ((parked = unpark(server))) {
        wr_ignore(wr_sys_close(parked->fd)); /* nobody to tell */
        wr_free(&server->loop->counting, parked, sizeof(*parked));
    }
}

static void listener_accepted(struct wr_listener *listener, int fd,
                              const struct weir_address *peer)
{
    weir_server *server = listener->owner;

    server->exhausted = false;
    if (server->client_count < server->connection_limit) {
        open_client(server, listener, fd, peer);
    } else {
        park(server, listener, fd, peer);
    }
    wr_server_arm(server);
    wr_server_release_if_over(server);
}

/* Errors of one connection that never came to be, or of nobody. */
static bool is_harmless(int err)
{
    static const int harmless[] = {
        ECONNABORTED, EINTR,  EAGAIN,       EPROTO,      ENETDOWN,
        EHOSTDOWN,    ENONET, EHOSTUNREACH, ENETUNREACH, ETIMEDOUT,
    };
    for (size_t i = 0; i < sizeof(harmless) / sizeof(harmless[0]); i++) {
        if (err == -harmless[i]) {
            return true;
        }
    }
    return false;
}

static bool is_shortage(int err)
{
    return err == -EMFILE || err == -ENFILE || err == -ENOBUFS ||
           err == -ENOMEM;
}

static void listener_failed(struct wr_listener *listener, int err)
{
    weir_server *server = listener->owner;

    if (is_harmless(err)) {
        wr_server_arm(server);
        return;
    }
    const bool is_news = !server->exhausted;
    server->exhausted = true;
    if (!wr_timer_is_armed(&server->retry)) {
        wr_timer_arm(&server->loop->wheel, &server->retry,
                     wr_add_sat(server->loop->now_ns, ACCEPT_WAIT_NS));
    }
    if (is_news) { /* last: the hook may close the server */
        report(server,
               is_shortage(err) ? "accept is out of system resources"
                                : "accept failed",
               err);
    }
}

static void listener_closed(struct wr_listener *listener)
{
    weir_server *server = listener->owner;
    wr_server_push_work(server);
}

const struct wr_listener_ops wr_server_listener_ops = {
    .accepted = listener_accepted,
    .failed = listener_failed,
    .closed = listener_closed,
};

static void adopt(struct wr_owner *owner, weir_transport *t)
{
    weir_server *server = wr_container_of(owner, weir_server, owner);

    wr_list_push_back(&server->clients, &t->owner_link);
    server->client_count++;
}

static void forget(struct wr_owner *owner, weir_transport *t)
{
    weir_server *server = wr_container_of(owner, weir_server, owner);
    wr_assert(server->client_count > 0);
    wr_list_remove(&t->owner_link);
    server->client_count--;
    if (server->client_count == 0 && server->ends_handlers) {
        wr_server_cancel_handlers(server);
    }
    if (server->parked_count > 0 || wr_server_is_quiet(server)) {
        wr_server_push_work(server);
    }
    wr_server_arm(server);
}

static void hold(struct wr_owner *owner, struct wr_holder *holder)
{
    weir_server *server = wr_container_of(owner, weir_server, owner);
    wr_list_push_back(&server->holders, &holder->link);
}

static void let_go(struct wr_owner *owner, struct wr_holder *holder)
{
    weir_server *server = wr_container_of(owner, weir_server, owner);

    wr_list_remove(&holder->link);
    if (wr_server_is_over(server)) {
        wr_server_push_work(server);
    }
}

static void rests(struct wr_owner *owner, weir_transport *t)
{
    weir_server *server = wr_container_of(owner, weir_server, owner);

    if (server->stopping) {
        end_if_idle(t);
    }
}

const struct wr_owner_ops wr_server_owner_ops = {.adopt = adopt,
                                                 .hold = hold,
                                                 .let_go = let_go,
                                                 .forget = forget,
                                                 .rests = rests};

/* Neither close nor abort unlinks anything before the loop goes on, whatever
 * the exception hook does: the list holds still. */
void wr_server_end_clients(weir_server *server, int (*end)(weir_transport *t))
{
    for (struct wr_list *link = server->clients.next; link != &server->clients;
         link = link->next) {
        weir_transport *t = wr_container_of(link, weir_transport, owner_link);
        wr_ignore(end(t)); /* right thread: cannot fail */
    }
}

void wr_server_end_idle(weir_server *server)
{
    for (struct wr_list *link = server->clients.next; link != &server->clients;
         link = link->next) {
        end_if_idle(wr_container_of(link, weir_transport, owner_link));
    }
}

/* Cancelling makes tasks ready and calls nobody: the list holds still. */
void wr_server_cancel_handlers(weir_server *server)
{
    for (struct wr_list *link = server->holders.next; link != &server->holders;
         link = link->next) {
        struct wr_holder *holder =
            wr_container_of(link, struct wr_holder, link);
        holder->ops->cancel(holder);
    }
}

void wr_server_end_handlers(weir_server *server)
{
    server->ends_handlers = true;
    if (server->client_count == 0) {
        wr_server_cancel_handlers(server);
    }
}
