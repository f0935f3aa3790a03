/*
 * Datagram sockets of the fake machine: the system calls, and queries of tests.
 *
 * As in Linux one call sends or receives many datagrams. A stored error of the
 * socket is reported first and alone; an error after datagrams is not reported.
 * The length of a truncated datagram is its original length. There is no
 * ancillary data.
 */
#include "tests/fake/world.h"
#include "uring/sys.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#define UDP_MAX 65507u

/* ---- weir's sockets ---- */

static struct fake_box *box_at(int fd, const char *what)
{
    const struct fake_file *file = fake_file_get(fd, what);
    if (file->kind != FAKE_DATAGRAM) {
        fake_fail("%s on descriptor %d, which is no datagram socket", what, fd);
    }
    return file->box;
}

/* Returns the error of sending @len bytes now, or 0. */
static int refuse_to_send(struct fake_box *box, size_t len)
{
    const size_t most =
        fake.options.datagram_max ? fake.options.datagram_max : UDP_MAX;

    if (len > most) {
        fake.stats.datagrams_too_long++;
        return -EMSGSIZE;
    }
    if (box->err != 0) {
        return -fake_box_take_error(box);
    }
    if (fake_chance(fake.options.permille[FAKE_NO_MEMORY])) {
        return -ENOBUFS;
    }
    return fake_box_is_full(box) ? -EAGAIN : 0;
}

static int send_one(struct fake_box *box, const struct msghdr *message)
{
    size_t len = 0;
    for (size_t i = 0; i < message->msg_iovlen; i++) {
        len += message->msg_iov[i].iov_len;
    }
    if (message->msg_controllen != 0) {
        fake_fail("ancillary data are sent");
    }
    int err = refuse_to_send(box, len);
    if (err < 0) {
        return err;
    }
    struct fake_addr to = box->remote;
    if (message->msg_name) {
        to = fake_addr_of(message->msg_name, message->msg_namelen);
    }
    if (to.len == 0) {
        return -EDESTADDRREQ;
    }
    if (box->local.len == 0 && box->family != AF_UNIX) {
        box->local = fake_box_fresh_name(box->family);
    }
    struct fake_packet *packet =
        fake_packet_new(box, &to, message->msg_iov, message->msg_iovlen);
    err = fake_packet_send(packet, box->family);
    box->taken += err == 0;
    return err;
}

int wr_sys_sendmmsg(int fd, struct mmsghdr *messages, uint32_t count)
{
    struct fake_box *box = box_at(fd, "sendmmsg");
    uint32_t sent = 0;
    int err = 0;

    if (count > 1 && fake_chance(fake.options.permille[FAKE_SHORT_SEND])) {
        count = 1 + (uint32_t)fake_random(count);
    }
    while (sent < count && err == 0) {
        err = send_one(box, &messages[sent].msg_hdr);
        sent += err == 0;
    }
    fake.stats.datagrams_sent += sent;
    fake.stats.datagrams_short += sent == 0 && err == -ENOBUFS;
    fake.stats.datagrams_full += sent == 0 && err == -EAGAIN;
    fake_trace("sendmmsg fd=%d count=%u = %d", fd, count,
               sent > 0 ? (int)sent : err);
    return sent > 0 ? (int)sent : err;
}

/* Copies as many bytes as fit. */
static void scatter(const struct fake_packet *packet, struct mmsghdr *message)
{
    struct msghdr *header = &message->msg_hdr;
    size_t at = 0;

    for (size_t i = 0; i < header->msg_iovlen && at < packet->len; i++) {
        const size_t part =
            (size_t)wr_min_u64(header->msg_iov[i].iov_len, packet->len - at);
        memcpy(header->msg_iov[i].iov_base, packet->data + at, part);
        at += part;
    }
    message->msg_len = (unsigned int)packet->len; /* as with MSG_TRUNC */
    header->msg_flags = at < packet->len ? MSG_TRUNC : 0;
    header->msg_controllen = 0;
    if (header->msg_name) {
        memcpy(header->msg_name, &packet->from.storage,
               wr_min_u64(header->msg_namelen, packet->from.len));
        header->msg_namelen = packet->from.len;
    }
    fake.stats.datagrams_truncated += at < packet->len;
    fake.stats.datagrams_empty += packet->len == 0;
}

static void note_given(struct fake_box *box, uint64_t tag)
{
    if (box->given_count % 64 == 0) {
        const size_t size = (size_t)(box->given_count + 64) * sizeof(tag);
        box->given = realloc(box->given, size);
        wr_assert(box->given);
    }
    box->given[box->given_count++] = tag;
}

int wr_sys_recvmmsg(int fd, struct mmsghdr *messages, uint32_t count)
{
    struct fake_box *box = box_at(fd, "recvmmsg");
    uint32_t got = 0;

    if (box->err != 0) {
        box->received_errors++;
        return -fake_box_take_error(box);
    }
    if (fake_chance(fake.options.permille[FAKE_NO_MEMORY])) {
        fake.stats.datagrams_no_memory++;
        return -ENOMEM;
    }
    if (fake_chance(fake.options.permille[FAKE_VAIN_POLL])) {
        return -EAGAIN;
    }
    /* Datagrams that are left here look as if they arrived a moment later. */
    while (got < count && !wr_list_is_empty(&box->queue) &&
           !(got > 0 && fake_chance(fake.options.permille[FAKE_SHORT_RECV]))) {
        struct fake_packet *packet = fake_box_pop(box);
        scatter(packet, &messages[got++]);
        note_given(box, packet->tag);
        fake_packet_free(packet);
    }
    fake.stats.datagrams_received += got;
    fake_trace("recvmmsg fd=%d count=%u = %u", fd, count, got);
    return got > 0 ? (int)got : -EAGAIN;
}

int wr_sys_is_readable(int fd)
{
    const struct fake_file *file = fake_file_get(fd, "is_readable");

    if (file->kind == FAKE_LISTENER) {
        return file->listener->queue_len > 0;
    }
    return (fake_box_poll(box_at(fd, "is_readable")) & (POLLIN | POLLERR)) != 0;
}

/* The error queue is not used here. */
int wr_sys_recv_error(int fd, struct msghdr *message)
{
    wr_ignore(box_at(fd, "recv_error") == NULL);
    return -EAGAIN;
}

uint64_t fake_given_count(int fd)
{
    return box_at(fd, "the test")->given_count;
}

uint64_t fake_given_tag(int fd, uint64_t index)
{
    const struct fake_box *box = box_at(fd, "the test");
    wr_assert(index < box->given_count);
    return box->given[index];
}

uint64_t fake_taken_datagrams(int fd)
{
    return box_at(fd, "the test")->taken;
}

uint64_t fake_received_errors(int fd)
{
    return box_at(fd, "the test")->received_errors;
}

uint64_t fake_sent_errors(int fd)
{
    const struct fake_box *box = box_at(fd, "the test");
    return box->told_errors - box->received_errors;
}

bool fake_has_datagrams(int fd)
{
    return (fake_box_poll(box_at(fd, "the test")) & (POLLIN | POLLERR)) != 0;
}

bool fake_has_datagram_room(int fd)
{
    return fake_box_has_room(box_at(fd, "the test"));
}

uint64_t fake_datagram_drops(int fd)
{
    return box_at(fd, "the test")->drops;
}

/* ---- the test's boxes ---- */

struct fake_box *fake_box_open(int family)
{
    struct fake_box *box = fake_box_new(family);
    box->local = fake_box_fresh_name(family);
    return box;
}

bool fake_box_has_place(const struct fake_box *box)
{
    return box->family != AF_UNIX || box->queue_len <= FAKE_UNIX_QUEUE;
}

socklen_t fake_box_name(const struct fake_box *box,
                        struct sockaddr_storage *ret)
{
    *ret = box->local.storage;
    return box->local.len;
}

void fake_box_close(struct fake_box *box)
{
    fake_box_free(box);
}

bool fake_box_send(struct fake_box *box, int fd, uint64_t tag, const void *data,
                   size_t len)
{
    const struct fake_box *other = box_at(fd, "the test");
    const struct iovec iov = {(void *)(uintptr_t)data, len};

    if (fake_box_is_full(box) || other->local.len == 0) {
        return false;
    }
    struct fake_packet *packet = fake_packet_new(box, &other->local, &iov, 1);
    packet->tag = tag;
    return fake_packet_send(packet, box->family) == 0;
}

ssize_t fake_box_receive(struct fake_box *box, void *buf, size_t size,
                         bool *ret_is_copy)
{
    if (wr_list_is_empty(&box->queue)) {
        return -EAGAIN;
    }
    struct fake_packet *packet = fake_box_pop(box);
    const size_t len = packet->len;
    wr_assert(len <= size);
    memcpy(buf, packet->data, len);
    *ret_is_copy = packet->is_copy;
    fake_packet_free(packet);
    return (ssize_t)len;
}
