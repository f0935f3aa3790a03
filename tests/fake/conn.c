/*
 * Connections of the fake machine: pipes, ends, listeners.
 *
 * A connection is two ends, each with the pipe that it reads from. As in
 * Linux's TCP, after a reset, a FIN or a shutdown an end first returns the
 * bytes that have arrived, then reports an error once, to the first call; later
 * receives return 0 and sends -EPIPE. One write to an end that has closed
 * succeeds and causes a reset.
 */
#include "tests/fake/world.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

struct fake_conn {
    struct wr_list link;
    struct fake_end ends[2];
};

/* ---- pipes ---- */

static uint32_t pipe_arrived(const struct fake_pipe *pipe)
{
    return pipe->len < pipe->recv_size ? pipe->len : pipe->recv_size;
}

static uint32_t pipe_pop(struct fake_pipe *pipe, uint8_t *buf, size_t len)
{
    uint32_t take = (uint32_t)wr_min_u64(pipe_arrived(pipe), len);
    uint32_t first = (uint32_t)wr_min_u64(take, pipe->size - pipe->head);
    if (take == 0) {
        return 0;
    }
    memcpy(buf, pipe->data + pipe->head, first);
    memcpy(buf + first, pipe->data, take - first);
    pipe->head = (pipe->head + take) % pipe->size;
    pipe->len -= take;
    pipe->popped += take;
    return take;
}

static uint32_t pipe_push(struct fake_pipe *pipe, const uint8_t *buf,
                          size_t len)
{
    uint32_t take = (uint32_t)wr_min_u64(pipe->size - pipe->len, len);
    if (!pipe->data) {
        pipe->data = malloc(pipe->size);
        wr_assert(pipe->data);
    }
    uint32_t tail = (pipe->head + pipe->len) % pipe->size;
    uint32_t first = (uint32_t)wr_min_u64(take, pipe->size - tail);
    memcpy(pipe->data + tail, buf, first);
    memcpy(pipe->data, buf + first, take - first);
    pipe->len += take;
    return take;
}

static struct fake_batch *pipe_batch(const struct fake_pipe *pipe)
{
    return wr_list_is_empty(&pipe->batches)
               ? NULL
               : wr_container_of(pipe->batches.next, struct fake_batch, link);
}

/* Returns the first batch if its byte was popped, else NULL. */
static struct fake_batch *pipe_pop_batch(struct fake_pipe *pipe)
{
    struct fake_batch *batch = pipe_batch(pipe);
    if (!batch || batch->at >= pipe->popped) {
        return NULL;
    }
    wr_list_remove(&batch->link);
    return batch;
}

/* Returns the number of bytes before the second batch. */
static size_t pipe_reach(const struct fake_pipe *pipe)
{
    const struct fake_batch *first = pipe_batch(pipe);
    if (!first || first->link.next == &pipe->batches) {
        return SIZE_MAX;
    }
    return (
        size_t)(wr_container_of(first->link.next, struct fake_batch, link)->at -
                pipe->popped);
}

static void pipe_free(struct fake_pipe *pipe)
{
    for (;;) {
        struct wr_list *link = wr_list_pop_front(&pipe->batches);
        if (!link) {
            break;
        }
        free(wr_container_of(link, struct fake_batch, link));
    }
    free(pipe->data);
}

/* ---- ends ---- */

struct fake_end *fake_conn_new(const struct fake_addr *local,
                               const struct fake_addr *remote)
{
    struct fake_conn *conn = calloc(1, sizeof(*conn));
    wr_assert(conn);
    for (int i = 0; i < 2; i++) {
        struct fake_end *end = &conn->ends[i];
        end->conn = conn;
        end->other = &conn->ends[1 - i];
        end->established = true;
        end->in.recv_size = fake.options.recv_size;
        end->in.size = fake.options.recv_size + fake.options.send_size;
        wr_list_init(&end->in.batches);
    }
    conn->ends[0].local = *local;
    conn->ends[1].local = *remote;
    wr_list_init(&conn->link);
    wr_list_push_back(&fake.conns, &conn->link);
    return &conn->ends[0];
}

static void conn_free(struct fake_conn *conn)
{
    wr_list_remove(&conn->link);
    pipe_free(&conn->ends[0].in);
    pipe_free(&conn->ends[1].in);
    free(conn);
}

void fake_conns_free(void)
{
    while (!wr_list_is_empty(&fake.listeners)) {
        fake_listener_free(
            wr_container_of(fake.listeners.next, struct fake_listener, link));
    }
    while (!wr_list_is_empty(&fake.conns)) {
        conn_free(wr_container_of(fake.conns.next, struct fake_conn, link));
    }
}

size_t fake_end_readable(const struct fake_end *end)
{
    return pipe_arrived(&end->in);
}

size_t fake_end_writable(const struct fake_end *end)
{
    return end->other->in.size - end->other->in.len;
}

/* Returns true if a FIN and all bytes before it have arrived. */
static bool fin_arrived(const struct fake_end *end)
{
    return end->in.fin && end->in.len <= end->in.recv_size;
}

bool fake_end_has_ended(const struct fake_end *end)
{
    return end->in.fin && end->in.len == 0;
}

bool fake_end_is_unix(const struct fake_end *end)
{
    return end->local.storage.ss_family == AF_UNIX;
}

static ssize_t end_recv(struct fake_end *end, void *buf, size_t len)
{
    uint32_t taken = pipe_pop(&end->in, buf, len);
    if (taken > 0) {
        end->given += taken;
        return (ssize_t)taken;
    }
    if (fin_arrived(end)) {
        return 0;
    }
    if (end->err != 0 && !end->err_is_taken) {
        int err = end->err;
        end->err = 0;
        return -err;
    }
    return end->read_shut || end->dead ? 0 : -EAGAIN;
}

ssize_t fake_end_recv(struct fake_end *end, void *buf, size_t len)
{
    const ssize_t taken = end_recv(end, buf, len);
    for (;;) {
        struct fake_batch *batch = pipe_pop_batch(&end->in);
        if (!batch) {
            return taken;
        }
        free(batch);
    }
}

ssize_t fake_end_recv_batch(struct fake_end *end, void *buf, size_t len,
                            struct fake_batch **ret)
{
    const size_t reach = pipe_reach(&end->in);
    const ssize_t taken = end_recv(end, buf, len < reach ? len : reach);
    *ret = pipe_pop_batch(&end->in);
    return taken;
}

/* Accepts bytes for an end that has closed, and answers with a reset. */
static ssize_t send_to_gone(struct fake_end *end, size_t len)
{
    size_t taken = (size_t)wr_min_u64(len, end->other->in.size);
    end->dead = true;
    end->lost = (uint32_t)taken;
    end->err = fin_arrived(end) ? EPIPE : ECONNRESET;
    end->taken += taken;
    return (ssize_t)taken;
}

ssize_t fake_end_send(struct fake_end *end, const void *buf, size_t len)
{
    if (end->err != 0) {
        int err = end->err;
        end->err = 0;
        return -err;
    }
    if (end->dead || end->write_shut) {
        return -EPIPE;
    }
    if (end->other->gone) {
        return send_to_gone(end, len);
    }
    uint32_t taken = pipe_push(&end->other->in, buf, len);
    end->taken += taken;
    return taken > 0 || len == 0 ? (ssize_t)taken : -EAGAIN;
}

ssize_t fake_end_send_batch(struct fake_end *end, const void *buf, size_t len,
                            struct fake_batch *batch)
{
    struct fake_pipe *pipe = &end->other->in;
    const uint64_t at = pipe->popped + pipe->len;
    const ssize_t taken = fake_end_send(end, buf, len);
    if (taken <= 0 || end->other->gone) {
        free(batch);
        return taken;
    }
    batch->at = at;
    wr_list_init(&batch->link);
    wr_list_push_back(&pipe->batches, &batch->link);
    return taken;
}

uint32_t fake_end_poll(const struct fake_end *end)
{
    bool ended = fin_arrived(end);
    bool told = end->err != 0 || end->dead;
    uint32_t events = 0;
    if (fake_end_readable(end) > 0 || ended || end->read_shut || told) {
        events |= POLLIN;
    }
    if (ended || end->read_shut || end->dead) {
        events |= POLLRDHUP;
    }
    if (told || end->write_shut || end->other->gone ||
        fake_end_writable(end) > 0) {
        events |= POLLOUT;
    }
    if (end->err != 0) {
        events |= POLLERR;
    }
    if (end->dead || (ended && end->write_shut)) {
        events |= POLLHUP;
    }
    return events;
}

uint32_t fake_end_unacked(const struct fake_end *end)
{
    if (end->dead || end->other->gone) {
        return end->lost;
    }
    const bool fin_waits = end->write_shut && !fin_arrived(end->other);
    return end->other->in.len - pipe_arrived(&end->other->in) + fin_waits;
}

int fake_end_shutdown(struct fake_end *end, int how)
{
    if (end->dead || !end->established) {
        return -ENOTCONN;
    }
    if (how == SHUT_RD || how == SHUT_RDWR) {
        end->read_shut = true;
    }
    if (how == SHUT_WR || how == SHUT_RDWR) {
        end->write_shut = true;
        end->other->in.fin = true;
    }
    return 0;
}

void fake_end_reset(struct fake_end *end)
{
    struct fake_end *other = end->other;
    if (!end->dead && !other->gone && !other->dead) {
        other->lost = fake_end_unacked(other);
        /* Bytes that had not arrived are lost with the sender's queue. Unix
         * sockets have no such queue. */
        other->in.fin = fin_arrived(other);
        if (!fake_end_is_unix(end)) {
            other->in.len = pipe_arrived(&other->in);
        }
        other->err = other->in.fin ? EPIPE : ECONNRESET;
        other->dead = true;
    }
    end->dead = true;
}

void fake_end_disconnect(struct fake_end *end)
{
    wr_assert(!end->dead);
    fake_end_reset(end);
    end->unnamed = true;
    end->in.fin = false;
    end->in.len = 0;
    end->err = ECONNRESET;
}

void fake_end_close(struct fake_end *end, bool reset)
{
    wr_assert(!end->gone);
    if (reset || end->in.len > 0) {
        fake_end_reset(end);
    } else if (!end->dead) {
        end->other->in.fin = true;
    }
    end->gone = true;
    if (end->other->gone) {
        conn_free(end->conn);
    }
}

/* ---- addresses ---- */

struct fake_addr fake_addr_of(const struct sockaddr *addr, socklen_t len)
{
    struct fake_addr copy = {.len = len};
    wr_assert(len <= sizeof(copy.storage));
    memcpy(&copy.storage, addr, len);
    return copy;
}

uint16_t fake_addr_port(const struct fake_addr *addr)
{
    if (addr->storage.ss_family == AF_INET6) {
        return ntohs(((const struct sockaddr_in6 *)&addr->storage)->sin6_port);
    }
    return ntohs(((const struct sockaddr_in *)&addr->storage)->sin_port);
}

void fake_addr_set_port(struct fake_addr *addr, uint16_t port)
{
    if (addr->storage.ss_family == AF_INET6) {
        ((struct sockaddr_in6 *)&addr->storage)->sin6_port = htons(port);
        return;
    }
    ((struct sockaddr_in *)&addr->storage)->sin_port = htons(port);
}

struct fake_addr fake_addr_fresh(int family)
{
    struct fake_addr addr = {.len = sizeof(struct sockaddr_in)};
    addr.storage.ss_family = (sa_family_t)family;
    if (family == AF_INET6) {
        struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&addr.storage;
        addr.len = sizeof(*in6);
        in6->sin6_addr = in6addr_loopback;
    } else {
        struct sockaddr_in *in = (struct sockaddr_in *)&addr.storage;
        in->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    }
    fake_addr_set_port(&addr, (uint16_t)fake.port_next++);
    if (fake.port_next > 65000) {
        fake.port_next = 40000;
    }
    return addr;
}

static bool addr_answers(const struct fake_addr *bound,
                         const struct fake_addr *to)
{
    if (bound->storage.ss_family != to->storage.ss_family ||
        fake_addr_port(bound) != fake_addr_port(to)) {
        return false;
    }
    if (to->storage.ss_family == AF_INET6) {
        const struct in6_addr *own =
            &((const struct sockaddr_in6 *)&bound->storage)->sin6_addr;
        const struct in6_addr *want =
            &((const struct sockaddr_in6 *)&to->storage)->sin6_addr;
        return IN6_IS_ADDR_UNSPECIFIED(own) || memcmp(own, want, 16) == 0;
    }
    uint32_t own =
        ((const struct sockaddr_in *)&bound->storage)->sin_addr.s_addr;
    uint32_t want = ((const struct sockaddr_in *)&to->storage)->sin_addr.s_addr;
    return own == htonl(INADDR_ANY) || own == want;
}

/* ---- listeners ---- */

struct fake_listener *fake_listener_new(const struct fake_addr *addr,
                                        struct fake_file *file,
                                        uint32_t backlog)
{
    struct fake_listener *listener = calloc(1, sizeof(*listener));
    wr_assert(listener);
    listener->addr = *addr;
    listener->file = file;
    listener->backlog = backlog;
    wr_list_init(&listener->link);
    wr_list_push_back(&fake.listeners, &listener->link);
    return listener;
}

/* If several listeners share the port, returns the least recently used one. */
struct fake_listener *fake_listener_find(const struct fake_addr *addr)
{
    struct fake_listener *best = NULL;
    for (struct wr_list *link = fake.listeners.next; link != &fake.listeners;
         link = link->next) {
        struct fake_listener *listener =
            wr_container_of(link, struct fake_listener, link);
        if (addr_answers(&listener->addr, addr) &&
            (!best || listener->turn < best->turn)) {
            best = listener;
        }
    }
    return best;
}

bool fake_listener_push(struct fake_listener *listener, struct fake_end *end)
{
    if (listener->queue_len > listener->backlog) {
        return false;
    }
    size_t size = (listener->queue_len + 1u) * sizeof(*listener->queue);
    listener->queue = realloc(listener->queue, size);
    wr_assert(listener->queue);
    listener->queue[listener->queue_len++] = end;
    listener->turn++;
    return true;
}

struct fake_end *fake_listener_pop(struct fake_listener *listener)
{
    if (listener->queue_len == 0) {
        return NULL;
    }
    struct fake_end *end = listener->queue[0];
    listener->queue_len--;
    memmove(listener->queue, listener->queue + 1,
            listener->queue_len * sizeof(*listener->queue));
    return end;
}

void fake_listener_free(struct fake_listener *listener)
{
    for (;;) {
        struct fake_end *end = fake_listener_pop(listener);
        if (!end) {
            break;
        }
        fake_end_close(end, true);
    }
    wr_list_remove(&listener->link);
    free(listener->queue);
    free(listener);
}
