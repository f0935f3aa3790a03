/*
 * A server of one file over TLS with bare epoll and OpenSSL: the cost of
 * OpenSSL without a library around it.
 *
 * Edge-triggered events. OpenSSL reads ahead, so that a record costs one
 * receive, and writes records of 16 KiB, each with a separate send.
 */
#define _GNU_SOURCE
#include "bench/bench.h"
#include "bench/http.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define MAX_EVENTS 512
#define MAX_ACCEPT 64
#define RECV_SIZE  (64 * 1024)
#define READ_AHEAD (64 * 1024)

struct conn {
    SSL *ssl;
    int fd;
    bool is_done; /* the handshake has ended */
    int asked;    /* unwritten answers, including the current one */
    size_t sent;  /* bytes of the current answer */
    struct http http;
};

struct server {
    struct bench_options options;
    SSL_CTX *context;
    int listen_fd;
    int epoll_fd;
    const uint8_t *answer;
    size_t answer_size;
    uint8_t *recv_buf;
};

static void die(const char *what)
{
    fprintf(stderr, "%s: ", what);
    ERR_print_errors_fp(stderr);
    exit(1);
}

static SSL_CTX *make_context(const struct bench_options *options)
{
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());

    if (context == NULL || options->identity == NULL ||
        SSL_CTX_use_certificate_chain_file(context, options->identity) != 1 ||
        SSL_CTX_use_PrivateKey_file(context, options->identity,
                                    SSL_FILETYPE_PEM) != 1) {
        die("--identity");
    }
    SSL_CTX_set_read_ahead(context, options->is_lean ? 0 : 1);
    SSL_CTX_set_default_read_buffer_len(context, READ_AHEAD);
    if (options->is_lean) {
        SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
    }
    SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE |
                                  SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    /* Like weir, sends one ticket. */
    SSL_CTX_set_num_tickets(context, options->has_tickets ? 1 : 0);
    if (!options->has_tickets) {
        SSL_CTX_set_options(context, SSL_OP_NO_TICKET);
    }
    return context;
}

static void close_conn(struct conn *c)
{
    SSL_free(c->ssl);
    close(c->fd);
    free(c);
}

static void accept_conns(struct server *s)
{
    for (int i = 0; i < MAX_ACCEPT; i++) {
        int fd =
            accept4(s->listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        struct conn *c = NULL;
        struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP |
                                              EPOLLET};

        if (fd < 0) {
            return;
        }
        c = bench_alloc(sizeof(*c));
        c->fd = fd;
        c->ssl = SSL_new(s->context);
        event.data.ptr = c;
        if (c->ssl == NULL || SSL_set_fd(c->ssl, fd) != 1 ||
            epoll_ctl(s->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0) {
            die("accept");
        }
        SSL_set_accept_state(c->ssl);
    }
}

/* Returns 1 to continue, 0 to wait, or -1 if the connection has ended. */
static int judge(const struct conn *c, int ret)
{
    int error = SSL_get_error(c->ssl, ret);

    if (ret > 0) {
        return 1;
    }
    if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE) {
        return 0;
    }
    ERR_clear_error();
    if (error == SSL_ERROR_ZERO_RETURN) {
        (void)SSL_shutdown(c->ssl);
    }
    return -1;
}

static int write_answers(const struct server *s, struct conn *c)
{
    while (c->asked > 0) {
        int ret = SSL_write(c->ssl, s->answer + c->sent,
                            (int)(s->answer_size - c->sent));
        int verdict = judge(c, ret);

        if (verdict <= 0) {
            return verdict;
        }
        c->sent += (size_t)ret;
        if (c->sent == s->answer_size) {
            c->sent = 0;
            c->asked--;
        }
    }
    return 1;
}

static int read_requests(const struct server *s, struct conn *c)
{
    int ret = SSL_read(c->ssl, s->recv_buf, RECV_SIZE);
    int verdict = judge(c, ret);
    int count = 0;

    if (verdict <= 0) {
        return verdict;
    }
    count = http_take(&c->http, s->recv_buf, (size_t)ret);
    c->asked += count > 0 ? count : 0;
    return count < 0 ? -1 : 1;
}

static int step(const struct server *s, struct conn *c)
{
    int verdict = 1;

    if (!c->is_done) {
        verdict = judge(c, SSL_do_handshake(c->ssl));
        c->is_done = verdict == 1;
    }
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
                close_conn(c);
            }
        }
    }
}

int main(int argc, char **argv)
{
    struct server s = {
        .options = bench_parse(argc, argv,
                               "A server of a file over TLS, "
                               "OpenSSL."),
    };
    struct epoll_event event = {.events = EPOLLIN};

    s.context = make_context(&s.options);
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
