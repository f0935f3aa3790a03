/*
 * The client's downloads: each connection requests a file, reads it to its end,
 * and requests again (HTTP/1.1, keep-alive).
 *
 * The head of the answer must have status 200 and the file's length; the bytes
 * are read into memory and counted. With one file, a message is a MiB of it.
 * With many files, each request chooses one at random, a message is a whole
 * file, and each file begins with its name.
 */
#define _GNU_SOURCE
#include "bench/bench.h"
#include "bench/client.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define MAX_EVENTS   64
#define HEAD_MAX     8192
#define NAME_LEN     8 /* digits of the name, with many files */
#define MESSAGE_BITS 20

struct conn {
    int fd;
    bool in_head;
    size_t head_len;
    uint64_t left; /* bytes of the file not received yet */
    uint64_t start_ns;
    char name[16]; /* empty with one file */
    char head[HEAD_MAX + 1];
};

struct files {
    struct client *k;
    struct conn *conns;
    uint32_t alive;
    uint64_t random;
};

static void drop(struct files *f, struct conn *c, enum client_error error)
{
    f->k->errors[error]++;
    f->alive--;
    close(c->fd);
    c->fd = -1;
}

static void ask(struct files *f, struct conn *c)
{
    uint32_t count = f->k->options.file_count;
    char request[64];
    int len = 0;

    if (count > 0) {
        snprintf(c->name, sizeof(c->name), "%08u",
                 (uint32_t)((bench_random(&f->random) >> 20) % count));
    }
    len = snprintf(request, sizeof(request),
                   "GET /%s HTTP/1.1\r\nHost: bench\r\n\r\n",
                   count > 0 ? c->name : "file");
    c->in_head = true;
    c->head_len = 0;
    c->start_ns = bench_now_ns();
    if (send(c->fd, request, (size_t)len, MSG_NOSIGNAL) != len) {
        drop(f, c, CLIENT_BROKEN);
    }
}

static void count_bytes(struct files *f, struct conn *c, uint64_t len)
{
    struct client *k = f->k;

    if (len > c->left) {
        drop(f, c, CLIENT_SURPLUS);
        return;
    }
    k->bytes += len;
    c->left -= len;
    if (k->options.file_count == 0) {
        k->messages = k->bytes >> MESSAGE_BITS;
    } else if (c->left == 0) {
        k->messages++;
        if (k->is_measuring) {
            histogram_record(&k->latency, bench_now_ns() - c->start_ns);
        }
    }
    if (c->left == 0) {
        ask(f, c);
    }
}

/* Returns false if the @len bytes after the head begin another file. */
static bool is_right_file(const struct files *f, const struct conn *c,
                          const char *body, size_t len)
{
    size_t name_len = f->k->options.file_count > 0 ? NAME_LEN : 0;

    return memcmp(body, c->name, len < name_len ? len : name_len) == 0;
}

/* The bytes after the head are part of the file. */
static void read_head(struct files *f, struct conn *c, size_t len)
{
    static const char length[] = "Content-Length: ";
    const char *end = NULL;
    const char *value = NULL;
    size_t body_len = 0;

    c->head_len += len;
    c->head[c->head_len] = '\0';
    end = strstr(c->head, "\r\n\r\n");
    if (end == NULL) {
        if (c->head_len == HEAD_MAX) {
            drop(f, c, CLIENT_MISMATCH);
        }
        return;
    }
    value = strstr(c->head, length);
    c->left = value && value < end
                  ? strtoull(value + sizeof(length) - 1, NULL, 10)
                  : 0;
    if (strncmp(c->head, "HTTP/1.1 200 ", 13) != 0 || c->left == 0) {
        drop(f, c, CLIENT_MISMATCH);
        return;
    }
    end += 4;
    body_len = c->head_len - (size_t)(end - c->head);
    if (!is_right_file(f, c, end, body_len)) {
        drop(f, c, CLIENT_MISMATCH);
        return;
    }
    c->in_head = false;
    count_bytes(f, c, body_len);
}

static void receive(struct files *f, struct conn *c)
{
    void *where = c->in_head ? c->head + c->head_len : (char *)f->k->recv_buf;
    size_t room = c->in_head ? HEAD_MAX - c->head_len : CLIENT_CHUNK;
    ssize_t len = recv(c->fd, where, room, 0);

    if (len < 0 && errno == EAGAIN) {
        return;
    }
    if (len <= 0) {
        drop(f, c, len == 0 ? CLIENT_EOF : CLIENT_BROKEN);
    } else if (c->in_head) {
        read_head(f, c, (size_t)len);
    } else {
        count_bytes(f, c, (uint64_t)len);
    }
}

static void start(struct files *f)
{
    struct client *k = f->k;

    f->conns = bench_alloc(k->options.conn_count * sizeof(struct conn));
    for (uint32_t i = 0; i < k->options.conn_count; i++) {
        struct conn *c = &f->conns[i];

        c->fd = client_connect(k, i);
        if (c->fd >= 0) {
            f->alive++;
            client_wait_connected(k, c->fd);
            client_watch(k, EPOLL_CTL_ADD, c->fd, EPOLLIN, c);
            ask(f, c);
        }
    }
}

void client_run_file(struct client *k)
{
    static struct epoll_event events[MAX_EVENTS];
    struct files f = {.k = k, .random = 0x2545f4914f6cdd1dULL};

    start(&f);
    client_begin(k);
    while (f.alive > 0 && client_tick(k, bench_now_ns())) {
        int count = epoll_wait(k->epoll_fd, events, MAX_EVENTS, 10);

        for (int i = 0; i < count; i++) {
            receive(&f, events[i].data.ptr);
        }
    }
}
