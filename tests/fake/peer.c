/*
 * The far ends of connections, which the test plays, and queries of tests about
 * connections. A test listens, connects, reads and writes like a program with
 * non-blocking sockets.
 */
#include "tests/fake/world.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static struct fake_end *end_of(struct fake_peer *peer)
{
    return (struct fake_end *)(void *)peer;
}

static struct fake_peer *peer_of(struct fake_end *end)
{
    return (struct fake_peer *)(void *)end;
}

struct fake_listener *fake_listen(const struct sockaddr *addr, socklen_t len)
{
    struct fake_addr own = fake_addr_of(addr, len);
    if (fake_listener_find(&own)) {
        fake_fail("the test listens where somebody listens already");
    }
    return fake_listener_new(&own, NULL, 4096);
}

void fake_listener_set(struct fake_listener *listener, enum fake_answer answer,
                       uint64_t delay_ns)
{
    listener->answer = answer;
    listener->delay_ns = delay_ns;
}

struct fake_peer *fake_listener_accept(struct fake_listener *listener)
{
    return peer_of(fake_listener_pop(listener));
}

struct fake_peer *fake_connect(const struct sockaddr *addr, socklen_t len)
{
    struct fake_addr to = fake_addr_of(addr, len);
    struct fake_listener *listener = fake_listener_find(&to);
    if (!listener || listener->queue_len > listener->backlog) {
        return NULL;
    }
    struct fake_addr from = fake_addr_fresh(to.storage.ss_family);
    struct fake_end *end = fake_conn_new(&from, &to);
    bool pushed = fake_listener_push(listener, end->other);
    wr_assert(pushed);
    return peer_of(end);
}

static int connected_fd(int family, struct fake_peer **ret_peer)
{
    struct fake_addr local = {.len = sizeof(sa_family_t)}; /* no name */
    struct fake_addr remote = local;
    struct fake_file *file = fake_file_open(FAKE_STREAM, family);
    if (!file) {
        return -EMFILE;
    }
    local.storage.ss_family = AF_UNIX;
    remote.storage.ss_family = AF_UNIX;
    if (family != AF_UNIX) {
        local = fake_addr_fresh(family);
        remote = fake_addr_fresh(family);
    }
    file->end = fake_conn_new(&local, &remote);
    *ret_peer = peer_of(file->end->other);
    return file->fd;
}

int fake_connected_fd(struct fake_peer **ret_peer)
{
    return connected_fd(AF_INET, ret_peer);
}

int fake_connected_unix_fd(struct fake_peer **ret_peer)
{
    return connected_fd(AF_UNIX, ret_peer);
}

ssize_t fake_peer_write_tokens(struct fake_peer *peer, const void *buf,
                               size_t len, uint64_t first, uint32_t count)
{
    struct fake_batch *batch = calloc(1, sizeof(*batch));
    wr_assert(batch);
    wr_assert(count > 0 && count <= FAKE_TOKENS_MAX);
    for (batch->count = 0; batch->count < count; batch->count++) {
        batch->tokens[batch->count] = first + batch->count;
    }
    return fake_end_send_batch(end_of(peer), buf, len, batch);
}

ssize_t fake_peer_read_tokens(struct fake_peer *peer, void *buf, size_t len,
                              uint64_t *tokens, uint32_t *ret_count)
{
    struct fake_batch *batch;
    const ssize_t taken = fake_end_recv_batch(end_of(peer), buf, len, &batch);
    *ret_count = batch ? batch->count : 0;
    if (batch) {
        memcpy(tokens, batch->tokens, batch->count * sizeof(*tokens));
    }
    free(batch);
    return taken;
}

ssize_t fake_peer_read(struct fake_peer *peer, void *buf, size_t len)
{
    return fake_end_recv(end_of(peer), buf, len);
}

ssize_t fake_peer_write(struct fake_peer *peer, const void *buf, size_t len)
{
    return fake_end_send(end_of(peer), buf, len);
}

size_t fake_peer_readable(const struct fake_peer *peer)
{
    return fake_end_readable((const struct fake_end *)(const void *)peer);
}

void fake_peer_shutdown(struct fake_peer *peer)
{
    wr_ignore(fake_end_shutdown(end_of(peer), SHUT_WR)); /* may be dead */
}

size_t fake_peer_unacked(const struct fake_peer *peer)
{
    return fake_end_unacked((const struct fake_end *)(const void *)peer);
}

void fake_peer_reset(struct fake_peer *peer)
{
    fake_end_reset(end_of(peer));
}

void fake_peer_reset_send(struct fake_peer *peer)
{
    fake_end_reset(end_of(peer));
    end_of(peer)->other->err_is_taken = true;
}

bool fake_peer_is_alone(const struct fake_peer *peer)
{
    return ((const struct fake_end *)(const void *)peer)->other->gone;
}

uint16_t fake_peer_port(const struct fake_peer *peer)
{
    return fake_addr_port(
        &((const struct fake_end *)(const void *)peer)->local);
}

uint16_t fake_peer_remote_port(const struct fake_peer *peer)
{
    return fake_addr_port(
        &((const struct fake_end *)(const void *)peer)->other->local);
}

static const struct fake_end *end_at(int fd)
{
    const struct fake_file *file = fake_file_get(fd, "the test");
    wr_assert(file->kind == FAKE_STREAM);
    return file->end;
}

uint16_t fake_remote_port(int fd)
{
    return fake_addr_port(&end_at(fd)->other->local);
}

uint64_t fake_given_bytes(int fd)
{
    return end_at(fd)->given;
}

uint64_t fake_taken_bytes(int fd)
{
    return end_at(fd)->taken;
}

size_t fake_waiting_bytes(int fd)
{
    return fake_end_readable(end_at(fd));
}

size_t fake_room_bytes(int fd)
{
    return fake_end_writable(end_at(fd));
}

uint64_t fake_fin_polls(int fd)
{
    return fake_file_get(fd, "the test")->fin_polls;
}

bool fake_has_shut(int fd)
{
    return end_at(fd)->write_shut;
}

bool fake_has_ended(int fd)
{
    return fake_end_has_ended(end_at(fd));
}

void fake_peer_close(struct fake_peer *peer)
{
    fake_end_close(end_of(peer), false);
}
