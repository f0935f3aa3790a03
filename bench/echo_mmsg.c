/*
 * A server of datagrams without a library.
 *
 * epoll reports datagrams, recvmmsg() receives up to 64 of them, and sendmmsg()
 * sends them back from the same memory. With --block recvmmsg() itself waits,
 * which is possible for a program with only one socket.
 *
 * With --trains the kernel joins datagrams that arrive together (UDP GRO), and
 * divides them again (UDP GSO) when they are sent.
 */
#define _GNU_SOURCE
#include "bench/bench.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#define BATCH         64
#define DATAGRAM_SIZE 2048
#define TRAIN_SIZE    65536

/* Control message with the segment size of a train. */
struct control {
    _Alignas(struct cmsghdr) char bytes[CMSG_SPACE(sizeof(int))];
};

struct server {
    struct bench_options options;
    int fd;
    int epoll_fd;
    size_t size; /* of the memory for a datagram or train */
    uint8_t *memory;
    struct mmsghdr in[BATCH];
    struct mmsghdr out[BATCH];
    struct iovec in_iov[BATCH];
    struct iovec out_iov[BATCH];
    struct sockaddr_in peers[BATCH];
    struct control in_control[BATCH];
    struct control out_control[BATCH];
};

static void prepare(struct server *s)
{
    s->size = s->options.has_trains ? TRAIN_SIZE : DATAGRAM_SIZE;
    s->memory = bench_alloc(BATCH * s->size);
    for (int i = 0; i < BATCH; i++) {
        s->in_iov[i].iov_base = s->memory + (size_t)i * s->size;
        s->in_iov[i].iov_len = s->size;
        s->in[i].msg_hdr.msg_iov = &s->in_iov[i];
        s->in[i].msg_hdr.msg_iovlen = 1;
        s->in[i].msg_hdr.msg_name = &s->peers[i];
        s->in[i].msg_hdr.msg_namelen = sizeof(s->peers[i]);
        s->out_iov[i].iov_base = s->in_iov[i].iov_base;
        s->out[i].msg_hdr.msg_iov = &s->out_iov[i];
        s->out[i].msg_hdr.msg_iovlen = 1;
        s->out[i].msg_hdr.msg_name = &s->peers[i];
        s->out[i].msg_hdr.msg_namelen = sizeof(s->peers[i]);
    }
}

static int receive(struct server *s)
{
    if (s->options.has_trains) {
        for (int i = 0; i < BATCH; i++) {
            s->in[i].msg_hdr.msg_control = &s->in_control[i];
            s->in[i].msg_hdr.msg_controllen = sizeof(s->in_control[i]);
        }
    }
    return recvmmsg(s->fd, s->in, BATCH,
                    s->options.blocks ? MSG_WAITFORONE : MSG_DONTWAIT, NULL);
}

/* Returns the length of each datagram in a train, or 0 for one datagram. */
static uint16_t segment_bytes(struct msghdr *header)
{
    struct cmsghdr *cmsg = CMSG_FIRSTHDR(header);
    int bytes = 0;

    if (cmsg != NULL && cmsg->cmsg_level == SOL_UDP &&
        cmsg->cmsg_type == UDP_GRO) {
        memcpy(&bytes, CMSG_DATA(cmsg), sizeof(bytes));
    }
    return (uint16_t)bytes;
}

static void ask_to_cut(struct msghdr *header, struct control *control,
                       uint16_t bytes)
{
    header->msg_control = control;
    header->msg_controllen = CMSG_SPACE(sizeof(bytes));
    struct cmsghdr *cmsg = CMSG_FIRSTHDR(header);
    cmsg->cmsg_level = SOL_UDP;
    cmsg->cmsg_type = UDP_SEGMENT;
    cmsg->cmsg_len = CMSG_LEN(sizeof(bytes));
    memcpy(CMSG_DATA(cmsg), &bytes, sizeof(bytes));
}

static void answer(struct server *s, int i)
{
    uint16_t bytes = 0;

    s->out_iov[i].iov_len = s->in[i].msg_len;
    if (!s->options.has_trains) {
        return;
    }
    bytes = segment_bytes(&s->in[i].msg_hdr);
    s->out[i].msg_hdr.msg_control = NULL;
    s->out[i].msg_hdr.msg_controllen = 0;
    if (bytes > 0 && bytes < s->in[i].msg_len) {
        ask_to_cut(&s->out[i].msg_hdr, &s->out_control[i], bytes);
    }
}

static void send_answers(struct server *s, int count)
{
    int sent = 0;

    while (sent < count) {
        int ret = sendmmsg(s->fd, s->out + sent, (unsigned)(count - sent), 0);

        /* Skips a datagram whose peer refuses it. */
        sent += ret > 0 ? ret : 1;
    }
}

static void serve(struct server *s)
{
    struct epoll_event event;

    for (;;) {
        int count;

        if (!s->options.blocks && epoll_wait(s->epoll_fd, &event, 1, -1) < 0 &&
            errno != EINTR) {
            bench_die("epoll_wait");
        }
        do {
            count = receive(s);
            for (int i = 0; i < count; i++) {
                answer(s, i);
            }
            send_answers(s, count);
        } while (count == BATCH);
    }
}

int main(int argc, char **argv)
{
    static struct server s;
    struct epoll_event event = {.events = EPOLLIN};

    s.options = bench_parse(argc, argv, "A server on bare recvmmsg.");
    s.fd = bench_bind_udp(&s.options, 0);
    s.epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (s.epoll_fd < 0 ||
        epoll_ctl(s.epoll_fd, EPOLL_CTL_ADD, s.fd, &event) < 0) {
        bench_die("epoll");
    }
    prepare(&s);
    bench_serving_udp(&s.options);
    serve(&s);
    return 0;
}
