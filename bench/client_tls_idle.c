/*
 * The client's idle connections over TLS. Each makes a handshake, sends one
 * request, reads the answer and stays open, so that the server's memory for
 * used connections can be measured.
 *
 * The connections are made one after the other, so that no queue of a server
 * overflows. The client prints a line when all are open, and ends at the end of
 * its standard input.
 */
#include "bench/bench.h"
#include "bench/client_tls.h"

#include <poll.h>
#include <stdio.h>
#include <unistd.h>

#define WAIT_MS 10000

static bool wait_input(const struct tls_conn *c)
{
    struct pollfd poller = {.fd = c->fd, .events = POLLIN};

    return poll(&poller, 1, WAIT_MS) == 1;
}

static bool shake(struct tls_conn *c)
{
    client_wait_connected(c->k, c->fd);
    for (;;) {
        if (!tls_shake(c) || !tls_flush(c)) {
            return false;
        }
        if (c->is_done) {
            return true;
        }
        if (!wait_input(c)) {
            return false;
        }
    }
}

/* Sends a request and reads the answer: a head, and as many bytes as the file.
 */
static bool ask(struct tls_conn *c)
{
    static const char request[] = "GET /file HTTP/1.1\r\nHost: bench\r\n\r\n";
    size_t taken = 0;

    if (SSL_write(c->ssl, request, sizeof(request) - 1) <= 0 || !tls_flush(c)) {
        return false;
    }
    while (taken <= c->k->options.size_bytes) {
        int ret = SSL_read(c->ssl, c->k->recv_buf, CLIENT_CHUNK);

        if (ret > 0) {
            taken += (size_t)ret;
        } else if (SSL_get_error(c->ssl, ret) != SSL_ERROR_WANT_READ ||
                   !wait_input(c)) {
            return false;
        }
    }
    return true;
}

/* A closed connection would not count in the memory of the server. */
static bool has_ended(const struct tls_conn *c)
{
    struct pollfd poller = {.fd = c->fd, .events = POLLRDHUP};

    return poll(&poller, 1, 0) == 1;
}

static void hold(void)
{
    struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};

    while (poll(&input, 1, -1) != 1) {
    }
}

void client_run_tls_idle(struct client *k)
{
    SSL_CTX *context = tls_context_new(k);
    struct tls_conn *conns =
        bench_alloc(k->options.conn_count * sizeof(struct tls_conn));

    /* The client, too, has thousands of connections. */
    SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_read_ahead(context, 0);
    for (uint32_t i = 0; i < k->options.conn_count; i++) {
        conns[i].k = k;
        if (!tls_open(&conns[i], context, i) || !shake(&conns[i]) ||
            !ask(&conns[i])) {
            k->errors[CLIENT_BROKEN]++;
        }
    }
    printf("ready %u\n", k->options.conn_count);
    fflush(stdout);
    hold();
    for (uint32_t i = 0; i < k->options.conn_count; i++) {
        if (has_ended(&conns[i])) {
            k->errors[CLIENT_BROKEN]++;
        }
    }
    client_begin(k);
    k->window_start_ns = k->window_end_ns = bench_now_ns();
    while (client_tick(k, bench_now_ns())) {
    }
}
