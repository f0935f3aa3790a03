/*
 * A server of datagrams with libuv in its fastest form. It receives up to 20
 * datagrams with recvmmsg(), and tries to send each from the memory in which it
 * arrived. Only unsent datagrams are copied and queued. libuv has neither GRO
 * nor GSO.
 */
#include "bench/bench.h"

#include <stdlib.h>
#include <string.h>
#include <uv.h>

/* libuv divides the memory into at most 20 pieces of 64 KiB. */
#define READ_SIZE (20 * 64 * 1024)

struct pending {
    uv_udp_send_t request;
    uint8_t *data;
};

static char *read_buf;

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *ret_buf)
{
    (void)handle;
    (void)suggested;
    *ret_buf = uv_buf_init(read_buf, READ_SIZE);
}

static void on_sent(uv_udp_send_t *request, int status)
{
    struct pending *p = request->data;

    (void)status;
    free(p->data);
    free(p);
}

static void send_copy(uv_udp_t *udp, const uv_buf_t *buf,
                      const struct sockaddr *peer)
{
    struct pending *p = bench_malloc(sizeof(*p));

    p->data = bench_malloc(buf->len);
    memcpy(p->data, buf->base, buf->len);
    p->request.data = p;
    uv_buf_t copy = uv_buf_init((char *)p->data, (unsigned int)buf->len);
    if (uv_udp_send(&p->request, udp, &copy, 1, peer, on_sent) < 0) {
        on_sent(&p->request, 0);
    }
}

static void on_received(uv_udp_t *udp, ssize_t len, const uv_buf_t *buf,
                        const struct sockaddr *peer, unsigned flags)
{
    (void)flags;
    if (len < 0) {
        bench_die_err("receive", (int)len);
    }
    if (peer == NULL) {
        return; /* end of a batch */
    }
    uv_buf_t answer = uv_buf_init(buf->base, (unsigned int)len);
    if (uv_udp_try_send(udp, &answer, 1, peer) == UV_EAGAIN) {
        send_copy(udp, &answer, peer);
    }
}

int main(int argc, char **argv)
{
    struct bench_options options =
        bench_parse(argc, argv, "A server of datagrams on libuv.");
    uv_loop_t *loop = uv_default_loop();
    uv_udp_t udp;

    read_buf = bench_alloc(READ_SIZE);
    int err = uv_udp_init_ex(loop, &udp, AF_UNSPEC | UV_UDP_RECVMMSG);
    if (err == 0) {
        err = uv_udp_open(&udp, bench_bind_udp(&options, SOCK_NONBLOCK));
    }
    if (err == 0) {
        err = uv_udp_recv_start(&udp, on_alloc, on_received);
    }
    if (err < 0) {
        bench_die_err("uv_udp", err);
    }
    bench_serving_udp(&options);
    return uv_run(loop, UV_RUN_DEFAULT);
}
