/*
 * A server of one file over HTTP with bare epoll: the backend of proxies, whose
 * own cost does not count. The whole answer is in memory.
 *
 * With edge-triggered events each connection is read and written until EAGAIN.
 */
#define _GNU_SOURCE
#include "bench/bench.h"
#include "bench/http.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define MAX_EVENTS 512
#define MAX_ACCEPT 64
#define RECV_SIZE  (64 * 1024)

struct conn {
    int fd;
    int asked;   /* unwritten answers, including the current one */
    size_t sent; /* bytes of the current answer */
    struct http http;
};

struct server {
    struct bench_options options;
    int listen_fd;
    int epoll_fd;
    const uint8_t *answer;
    size_t answer_size;
    uint8_t *recv_buf;
};

static void accept_conns(struct server *s)
{
    for (int i = 0; i < MAX_ACCEPT; i++) {
        int fd =
            accept4(s->listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP |
                                              EPOLLET};

        if (fd < 0) {
            return;
        }
        struct conn *c = bench_alloc(sizeof(*c));
        c->fd = fd;
        event.data.ptr = c;
        if (epoll_ctl(s->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0) {
            bench_die("epoll_ctl");
        }
    }
}

/* Returns 1 to continue, 0 to wait, or -1 if the connection has ended. */
static int write_answers(const struct server *s, struct conn *c)
{
    while (c->asked > 0) {
        ssize_t len = send(c->fd, s->answer + c->sent, s->answer_size - c->sent,
                           MSG_NOSIGNAL);

        if (len < 0) {
            return errno == EAGAIN ? 0 : -1;
        }
        c->sent += (size_t)len;
        if (c->sent == s->answer_size) {
            c->sent = 0;
            c->asked--;
        }
    }
    return 1;
}

static int read_requests(const struct server *s, struct conn *c)
{
    ssize_t len = recv(c->fd, s->recv_buf, RECV_SIZE, 0);

    if (len <= 0) {
        return len < 0 && errno == EAGAIN ? 0 : -1;
    }
    int count = http_take(&c->http, s->recv_buf, (size_t)len);

    c->asked += count > 0 ? count : 0;
    return count < 0 ? -1 : 1;
}

static int step(const struct server *s, struct conn *c)
{
    int verdict = 1;

    while (verdict == 1) {
        verdict = write_answers(s, c);
        if (verdict == 1) {
            verdict = read_requests(s, c);
        }
    }
    return verdict;
}

static void run(struct server *s)
{
    static struct epoll_event events[MAX_EVENTS];

    for (;;) {
        int count = epoll_wait(s->epoll_fd, events, MAX_EVENTS, -1);

        for (int i = 0; i < count; i++) {
            struct conn *c = events[i].data.ptr;

            if (c == NULL) {
                accept_conns(s);
            } else if (step(s, c) < 0) {
                close(c->fd);
                free(c);
            }
        }
    }
}

int main(int argc, char **argv)
{
    struct server s = {
        .options = bench_parse(argc, argv,
                               "A server of a file over HTTP, bare epoll."),
    };
    struct epoll_event event = {.events = EPOLLIN};

    s.answer = http_answer(s.options.file, &s.answer_size);
    s.recv_buf = bench_alloc(RECV_SIZE);
    s.listen_fd = bench_listen(&s.options, SOCK_NONBLOCK);
    s.epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (s.epoll_fd < 0 ||
        epoll_ctl(s.epoll_fd, EPOLL_CTL_ADD, s.listen_fd, &event) < 0) {
        bench_die("epoll");
    }
    bench_serving(&s.options);
    run(&s);
    return 0;
}
