/*
 * A server with libuv, built twice. First as in libuv's examples: a buffer is
 * allocated for each read, a uv_write() is made for each answer, and both are
 * freed after the write. Then tuned (ECHO_UV_TUNED): one read buffer for all,
 * and uv_try_write() first, so that only unsent bytes need a request and a
 * copy.
 *
 * Reading stops while 1 MiB waits to be sent.
 */
#include "bench/bench.h"
#include "bench/lines.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#define READ_SIZE (64 * 1024)
#define HIGH_MARK (1024 * 1024)

#ifndef ECHO_UV_TUNED
#define ECHO_UV_TUNED 0
#endif

static const bool is_tuned = ECHO_UV_TUNED;

struct conn {
    uv_tcp_t tcp;
    uint32_t index;
    uint32_t held_len;
    bool is_stopped; /* reading is stopped until the queue is written */
    uint8_t *held;
    struct lines lines;
};

struct pending {
    uv_write_t request;
    uint8_t *data;
};

static struct bench_options options;
static struct conn **conns;
static uint32_t conn_count;
static uint32_t conn_capacity;
static uint8_t *read_buf;
static uint8_t *frame_buf;
static uint8_t *message;

static void on_closed(uv_handle_t *handle)
{
    struct conn *c = handle->data;

    free(c->held);
    lines_fini(&c->lines);
    free(c);
}

static void close_conn(struct conn *c)
{
    if (uv_is_closing((uv_handle_t *)&c->tcp)) {
        return;
    }
    conns[c->index] = conns[--conn_count];
    conns[c->index]->index = c->index;
    uv_close((uv_handle_t *)&c->tcp, on_closed);
}

static void on_read(uv_stream_t *stream, ssize_t len, const uv_buf_t *buf);

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *ret_buf)
{
    (void)handle;
    (void)suggested;
    *ret_buf = uv_buf_init(
        (char *)(is_tuned ? read_buf : bench_malloc(READ_SIZE)), READ_SIZE);
}

static void on_written(uv_write_t *request, int status)
{
    struct conn *c = request->handle->data;
    struct pending *p = request->data;

    free(p->data);
    free(p);
    if (status < 0) {
        close_conn(c);
    } else if (c->is_stopped && !uv_is_closing((uv_handle_t *)&c->tcp)) {
        c->is_stopped = false;
        uv_read_start((uv_stream_t *)&c->tcp, on_alloc, on_read);
    }
}

/* Takes ownership of @data. */
static void write_taken(struct conn *c, uint8_t *data, size_t len)
{
    uv_stream_t *stream = (uv_stream_t *)&c->tcp;
    struct pending *p = bench_malloc(sizeof(*p));
    uv_buf_t buf = uv_buf_init((char *)data, (unsigned int)len);
    int err;

    p->data = data;
    p->request.data = p;
    err = uv_write(&p->request, stream, &buf, 1, on_written);
    if (err < 0) {
        free(data);
        free(p);
        close_conn(c);
    } else if (uv_stream_get_write_queue_size(stream) >= HIGH_MARK) {
        c->is_stopped = true;
        uv_read_stop(stream);
    }
}

static void write_copy(struct conn *c, const uint8_t *data, size_t len)
{
    uint8_t *copy = bench_malloc(len);

    memcpy(copy, data, len);
    write_taken(c, copy, len);
}

static void write_bytes(struct conn *c, const uint8_t *data, size_t len)
{
    uv_buf_t buf = uv_buf_init((char *)(uintptr_t)data, (unsigned int)len);
    int sent = UV_EAGAIN;

    if (is_tuned) {
        sent = uv_try_write((uv_stream_t *)&c->tcp, &buf, 1);
    }
    if (sent < 0 && sent != UV_EAGAIN) {
        close_conn(c);
        return;
    }
    sent = sent < 0 ? 0 : sent;
    if ((size_t)sent < len) {
        write_copy(c, data + sent, len - (size_t)sent);
    }
}

static void on_shutdown(uv_shutdown_t *request, int status)
{
    struct conn *c = request->handle->data;

    (void)status;
    free(request);
    close_conn(c);
}

/* Closes after the queued writes, which uv_close() would drop. */
static void end_conn(struct conn *c)
{
    uv_stream_t *stream = (uv_stream_t *)&c->tcp;
    uv_shutdown_t *request;

    if (uv_stream_get_write_queue_size(stream) == 0) {
        close_conn(c);
        return;
    }
    request = bench_malloc(sizeof(*request));
    uv_read_stop(stream);
    if (uv_shutdown(request, stream, on_shutdown) < 0) {
        free(request);
        close_conn(c);
    }
}

static void answer_frames(struct conn *c, const uint8_t *data, size_t len)
{
    size_t size = options.frame_size;
    size_t offset = 0;

    for (; len - offset >= size; offset += size) {
        write_bytes(c, data + offset, size);
        if (options.mode == BENCH_CLOSE) {
            end_conn(c);
            return;
        }
    }
    c->held_len = (uint32_t)(len - offset);
    if (c->held_len > 0) {
        c->held = c->held == NULL ? bench_alloc(size) : c->held;
        memcpy(c->held, data + offset, c->held_len);
    }
}

static int answer_line(void *conn, const struct lines_answer *answer)
{
    write_bytes(conn, (const uint8_t *)answer, sizeof(*answer));
    return 0;
}

static void send_to_all(void)
{
    for (uint32_t i = conn_count; i > 0; i--) {
        write_bytes(conns[i - 1], message, options.message_size);
    }
}

static void handle_bytes(struct conn *c, const uint8_t *data, size_t len)
{
    size_t held = c->held_len;

    switch (options.mode) {
    case BENCH_ECHO:
        write_bytes(c, data, len);
        return;
    case BENCH_FANOUT:
        for (size_t i = 0; i < len; i++) {
            send_to_all();
        }
        return;
    case BENCH_LINES:
        if (lines_cut(&c->lines, data, len, answer_line, c) < 0) {
            close_conn(c);
        }
        return;
    case BENCH_FRAMED:
    case BENCH_CLOSE:
        break;
    }
    if (held == 0) {
        answer_frames(c, data, len);
        return;
    }
    memcpy(frame_buf, c->held, held);
    memcpy(frame_buf + held, data, len);
    answer_frames(c, frame_buf, held + len);
}

static void on_read(uv_stream_t *stream, ssize_t len, const uv_buf_t *buf)
{
    struct conn *c = stream->data;
    uint8_t *data = (uint8_t *)buf->base;

    if (len > 0 && !is_tuned && options.mode == BENCH_ECHO) {
        write_taken(c, data, (size_t)len);
        return;
    }
    if (len > 0) {
        handle_bytes(c, data, (size_t)len);
    } else if (len < 0) {
        close_conn(c);
    }
    if (!is_tuned) {
        free(data);
    }
}

static void on_connection(uv_stream_t *server, int status)
{
    struct conn *c;

    if (status < 0) {
        bench_die_err("accept", status);
    }
    c = bench_alloc(sizeof(*c));
    uv_tcp_init(server->loop, &c->tcp);
    c->tcp.data = c;
    if (uv_accept(server, (uv_stream_t *)&c->tcp) < 0) {
        uv_close((uv_handle_t *)&c->tcp, on_closed);
        return;
    }
    if (conn_count == conn_capacity) {
        conn_capacity = conn_capacity * 2 + 64;
        conns = bench_realloc(conns, conn_capacity * sizeof(struct conn *));
    }
    c->index = conn_count;
    conns[conn_count++] = c;
    uv_read_start((uv_stream_t *)&c->tcp, on_alloc, on_read);
}

int main(int argc, char **argv)
{
    uv_loop_t *loop = uv_default_loop();
    uv_tcp_t listener;
    int err;

    options = bench_parse(argc, argv, "A server on libuv.");
    read_buf = bench_alloc(READ_SIZE);
    frame_buf = bench_alloc(options.frame_size + READ_SIZE);
    message = bench_alloc(options.message_size);
    uv_tcp_init(loop, &listener);
    err = uv_tcp_open(&listener, bench_listen(&options, 0));
    if (err == 0) {
        err = uv_listen((uv_stream_t *)&listener, 4096, on_connection);
    }
    if (err < 0) {
        bench_die_err("listen", err);
    }
    bench_serving(&options);
    return uv_run(loop, UV_RUN_DEFAULT);
}
