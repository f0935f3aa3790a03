/*
 * The client of the line service. Each connection sends a block of lines of 40
 * bytes, the last of which requests an answer, and the next block after the
 * answer. A message is one line.
 *
 * Connections send different blocks, so that an answer on the wrong connection
 * is noticed. Blocks are made before the window.
 */
#define _GNU_SOURCE
#include "bench/bench.h"
#include "bench/client.h"
#include "bench/lines.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define MAX_EVENTS  512
#define LINE_SIZE   40
#define BLOCK_COUNT 7 /* number of different blocks */

struct block {
    uint8_t *data;
    struct lines_answer answer; /* the correct answer */
};

struct conn {
    int fd;
    bool wants_write;
    const struct block *block;
    uint32_t sent_bytes; /* of the current block */
    uint32_t to_send;    /* blocks, including the current one */
    uint32_t answer_len;
    uint8_t answer[sizeof(struct lines_answer)];
    uint64_t stamp_ns;
};

struct lines_client {
    struct client *k;
    struct conn *conns;
    struct block blocks[BLOCK_COUNT];
    uint32_t block_size;
    uint32_t alive;
};

static void make_block(struct lines_client *e, struct block *block,
                       uint64_t *state)
{
    uint32_t count = e->block_size / LINE_SIZE;

    block->data = bench_alloc(e->block_size);
    for (uint32_t i = 0; i < e->block_size; i++) {
        block->data[i] = (uint8_t)('a' + (bench_random(state) >> 32) % 26);
    }
    for (uint32_t i = 0; i < count; i++) {
        uint8_t *line = block->data + (size_t)i * LINE_SIZE;

        line[0] = i + 1 == count ? LINES_ASKS : line[0];
        line[LINE_SIZE - 1] = '\n';
        lines_take(&block->answer, line, LINE_SIZE);
    }
}

static void drop(struct lines_client *e, struct conn *c,
                 enum client_error error)
{
    e->k->errors[error]++;
    e->alive--;
    close(c->fd);
    c->fd = -1;
}

static void set_wants_write(struct lines_client *e, struct conn *c, bool wanted)
{
    if (c->wants_write != wanted) {
        c->wants_write = wanted;
        client_watch(e->k, EPOLL_CTL_MOD, c->fd,
                     wanted ? EPOLLIN | EPOLLOUT : EPOLLIN, c);
    }
}

static void flush(struct lines_client *e, struct conn *c)
{
    while (c->to_send > 0) {
        ssize_t sent = send(c->fd, c->block->data + c->sent_bytes,
                            e->block_size - c->sent_bytes, MSG_NOSIGNAL);

        if (sent < 0 && errno == EAGAIN) {
            set_wants_write(e, c, true);
            return;
        }
        if (sent < 0) {
            drop(e, c, CLIENT_BROKEN);
            return;
        }
        c->sent_bytes += (uint32_t)sent;
        if (c->sent_bytes == e->block_size) {
            c->sent_bytes = 0;
            c->to_send--;
        }
    }
    set_wants_write(e, c, false);
}

/* Handles a whole answer, after which the next block is sent. */
static void complete(struct lines_client *e, struct conn *c)
{
    struct client *k = e->k;
    uint64_t now = bench_now_ns();

    k->messages += c->block->answer.count;
    if (k->is_measuring) {
        histogram_record(&k->latency, now - c->stamp_ns);
    }
    c->answer_len = 0;
    c->stamp_ns = now;
    c->to_send++;
}

static void receive(struct lines_client *e, struct conn *c)
{
    const size_t size = sizeof(c->answer);
    uint8_t buf[64 * sizeof(struct lines_answer)];
    ssize_t len = recv(c->fd, buf, sizeof(buf), 0);
    size_t part;

    if (len < 0 && errno == EAGAIN) {
        return;
    }
    if (len <= 0) {
        drop(e, c, len == 0 ? CLIENT_EOF : CLIENT_BROKEN);
        return;
    }
    e->k->bytes += (uint64_t)len;
    for (size_t from = 0; from < (size_t)len; from += part) {
        part = size - c->answer_len;
        part = part < (size_t)len - from ? part : (size_t)len - from;
        memcpy(c->answer + c->answer_len, buf + from, part);
        c->answer_len += (uint32_t)part;
        if (c->answer_len < size) {
            return;
        }
        if (c->to_send == e->k->options.depth) {
            drop(e, c, CLIENT_SURPLUS);
            return;
        }
        if (memcmp(c->answer, &c->block->answer, size) != 0) {
            drop(e, c, CLIENT_MISMATCH);
            return;
        }
        complete(e, c);
    }
}

static void start(struct lines_client *e)
{
    struct client *k = e->k;
    uint64_t state = 0x9e3779b97f4a7c15ULL;

    e->block_size = k->options.size_bytes / LINE_SIZE * LINE_SIZE;
    if (e->block_size == 0) {
        bench_die_err("a block has at least one line", EINVAL);
    }
    for (uint32_t i = 0; i < BLOCK_COUNT; i++) {
        make_block(e, &e->blocks[i], &state);
    }
    e->conns = bench_alloc(k->options.conn_count * sizeof(struct conn));
    for (uint32_t i = 0; i < k->options.conn_count; i++) {
        struct conn *c = &e->conns[i];

        c->fd = client_connect(k, i);
        if (c->fd < 0) {
            continue;
        }
        c->block = &e->blocks[i % BLOCK_COUNT];
        c->to_send = k->options.depth;
        c->stamp_ns = bench_now_ns();
        client_watch(k, EPOLL_CTL_ADD, c->fd, EPOLLIN | EPOLLOUT, c);
        c->wants_write = true;
        e->alive++;
    }
}

void client_run_lines(struct client *k)
{
    static struct epoll_event events[MAX_EVENTS];
    struct lines_client e = {.k = k};

    start(&e);
    client_begin(k);
    while (e.alive > 0 && client_tick(k, bench_now_ns())) {
        int count = epoll_wait(k->epoll_fd, events, MAX_EVENTS, 10);

        for (int i = 0; i < count; i++) {
            struct conn *c = events[i].data.ptr;

            if (c->fd >= 0 && (events[i].events & ~(uint32_t)EPOLLOUT) != 0) {
                receive(&e, c);
            }
            if (c->fd >= 0) {
                flush(&e, c);
            }
        }
    }
}
