/*
 * The client's requests over TLS: each connection sends a GET request
 * (HTTP/1.1), reads the whole answer, compares the body with the expected file,
 * and repeats this.
 */
#define _GNU_SOURCE
#include "bench/bench.h"
#include "bench/client_tls.h"

#include <errno.h>
#include <openssl/err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#define MAX_EVENTS 64
#define HEAD_MAX   4096

struct conn {
    struct tls_conn tls;
    bool in_head;
    size_t head_len;
    size_t body_len; /* received */
    uint64_t start_ns;
    char head[HEAD_MAX + 1];
};

struct requests {
    struct client *k;
    struct conn *conns;
    uint32_t alive;
    uint8_t *body;
    size_t body_size;
};

static bool fail(struct requests *r, enum client_error error)
{
    r->k->errors[error]++;
    return false;
}

static bool ask(struct requests *r, struct conn *c)
{
    static const char request[] = "GET /file HTTP/1.1\r\nHost: bench\r\n\r\n";

    c->in_head = true;
    c->head_len = 0;
    c->body_len = 0;
    c->start_ns = bench_now_ns();
    if (SSL_write(c->tls.ssl, request, sizeof(request) - 1) !=
        (int)sizeof(request) - 1) {
        return fail(r, CLIENT_BROKEN);
    }
    return tls_flush(&c->tls);
}

static bool take_body(struct requests *r, struct conn *c, const void *data,
                      size_t len)
{
    struct client *k = r->k;

    if (len > r->body_size - c->body_len) {
        return fail(r, CLIENT_SURPLUS);
    }
    if (memcmp(data, r->body + c->body_len, len) != 0) {
        return fail(r, CLIENT_MISMATCH);
    }
    c->body_len += len;
    k->bytes += len;
    if (c->body_len < r->body_size) {
        return true;
    }
    k->messages++;
    if (k->is_measuring) {
        histogram_record(&k->latency, bench_now_ns() - c->start_ns);
    }
    return ask(r, c);
}

/* The bytes after the head are part of the body. */
static bool take_head(struct requests *r, struct conn *c, size_t len)
{
    static const char length[] = "\r\ncontent-length: ";
    const char *end = NULL;
    const char *value = NULL;

    c->head_len += len;
    c->head[c->head_len] = '\0';
    end = strstr(c->head, "\r\n\r\n");
    if (end == NULL) {
        return c->head_len < HEAD_MAX || fail(r, CLIENT_MISMATCH);
    }
    value = strcasestr(c->head, length);
    if (strncmp(c->head, "HTTP/1.1 200 ", 13) != 0 || value == NULL ||
        value > end ||
        strtoull(value + sizeof(length) - 1, NULL, 10) != r->body_size) {
        return fail(r, CLIENT_MISMATCH);
    }
    c->in_head = false;
    end += 4;
    return take_body(r, c, end, c->head_len - (size_t)(end - c->head));
}

static bool receive(struct requests *r, struct conn *c, bool *ret_again)
{
    void *where = c->in_head ? c->head + c->head_len : (char *)r->k->recv_buf;
    size_t room = c->in_head ? HEAD_MAX - c->head_len : CLIENT_CHUNK;
    int ret = SSL_read(c->tls.ssl, where, (int)room);

    *ret_again = ret > 0;
    if (ret > 0) {
        return c->in_head ? take_head(r, c, (size_t)ret)
                          : take_body(r, c, where, (size_t)ret);
    }
    switch (SSL_get_error(c->tls.ssl, ret)) {
    case SSL_ERROR_WANT_READ:
        return true;
    case SSL_ERROR_ZERO_RETURN:
        return fail(r, CLIENT_EOF);
    default:
        ERR_print_errors_fp(stderr);
        return fail(r, CLIENT_BROKEN);
    }
}

static bool step(struct requests *r, struct conn *c)
{
    bool again = true;

    if (!c->tls.is_done) {
        if (!tls_shake(&c->tls)) {
            return false;
        }
        if (!c->tls.is_done) {
            return tls_flush(&c->tls);
        }
        if (!ask(r, c)) {
            return false;
        }
    }
    while (again) {
        if (!receive(r, c, &again)) {
            return false;
        }
    }
    return true;
}

static void load_body(struct requests *r)
{
    FILE *file =
        fopen(r->k->options.file == NULL ? "" : r->k->options.file, "rb");

    r->body_size = r->k->options.size_bytes;
    r->body = bench_alloc(r->body_size + 1);
    if (file == NULL ||
        fread(r->body, 1, r->body_size + 1, file) != r->body_size) {
        fprintf(stderr, "--file: not a file of --size bytes\n");
        exit(2);
    }
    fclose(file);
}

static void start(struct requests *r)
{
    SSL_CTX *context = tls_context_new(r->k);

    r->conns = bench_alloc(r->k->options.conn_count * sizeof(struct conn));
    for (uint32_t i = 0; i < r->k->options.conn_count; i++) {
        struct conn *c = &r->conns[i];

        c->tls.k = r->k;
        if (tls_open(&c->tls, context, i)) {
            r->alive++;
            client_watch(r->k, EPOLL_CTL_ADD, c->tls.fd,
                         EPOLLIN | EPOLLOUT | EPOLLET, c);
        }
    }
}

void client_run_requests(struct client *k)
{
    static struct epoll_event events[MAX_EVENTS];
    struct requests r = {.k = k};

    load_body(&r);
    start(&r);
    client_begin(k);
    while (r.alive > 0 && client_tick(k, bench_now_ns())) {
        int count = epoll_wait(k->epoll_fd, events, MAX_EVENTS, 10);

        for (int i = 0; i < count; i++) {
            struct conn *c = events[i].data.ptr;

            if (c->tls.fd >= 0 && !step(&r, c)) {
                tls_close(&c->tls);
                r.alive--;
            }
        }
    }
}
