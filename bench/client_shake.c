/*
 * The client's handshakes: connect, handshake, send close_notify, wait for the
 * server's end. Any application data is an error.
 *
 * close_notify leaves together with the last message of the handshake. A server
 * that rejects this message sends an alert, so a clean end shows that both
 * sides have finished. In TLS 1.3 tickets arrive before the end; each slot
 * resumes its newest session.
 */
#include "bench/bench.h"
#include "bench/client_tls.h"

#include <errno.h>
#include <openssl/err.h>
#include <sys/epoll.h>

#define MAX_EVENTS 512

struct slot {
    struct tls_conn tls;
    uint64_t start_ns;
};

static SSL_CTX *context;
static uint32_t next_index;

static void open_slot(struct slot *s)
{
    s->start_ns = bench_now_ns();
    if (tls_open(&s->tls, context, next_index++)) {
        client_watch(s->tls.k, EPOLL_CTL_ADD, s->tls.fd,
                     EPOLLIN | EPOLLOUT | EPOLLET, s);
    }
}

static void finish(struct slot *s)
{
    struct client *k = s->tls.k;

    k->messages++;
    if (k->is_measuring) {
        histogram_record(&k->latency, bench_now_ns() - s->start_ns);
    }
    tls_close(&s->tls);
    open_slot(s);
}

/* Reads tickets, then the end. Counts an error and returns false. */
static bool read_end(struct slot *s)
{
    struct client *k = s->tls.k;
    int ret = SSL_read(s->tls.ssl, k->recv_buf, CLIENT_CHUNK);
    int error = SSL_get_error(s->tls.ssl, ret);

    if (ret > 0) {
        k->errors[CLIENT_SURPLUS]++;
        return false;
    }
    if (error == SSL_ERROR_ZERO_RETURN) {
        finish(s);
        return true;
    }
    if (error != SSL_ERROR_WANT_READ) {
        ERR_print_errors_fp(stderr);
        k->errors[CLIENT_BROKEN]++;
        return false;
    }
    return true;
}

static bool step(struct slot *s)
{
    if (!s->tls.is_done) {
        if (!tls_shake(&s->tls)) {
            return false;
        }
        if (s->tls.is_done && SSL_shutdown(s->tls.ssl) < 0) {
            s->tls.k->errors[CLIENT_BROKEN]++;
            return false;
        }
        if (!tls_flush(&s->tls)) {
            return false;
        }
    }
    return !s->tls.is_done || read_end(s);
}

static void handle(struct slot *s, const struct epoll_event *event)
{
    if (s->tls.fd < 0) {
        return;
    }
    if (!s->tls.is_done && (event->events & EPOLLERR) != 0) {
        s->tls.k->errors[CLIENT_CONNECT]++;
        tls_close(&s->tls);
    } else if (!step(s)) {
        tls_close(&s->tls); /* the slot stays closed */
    }
}

void client_run_handshakes(struct client *k)
{
    static struct epoll_event events[MAX_EVENTS];
    struct slot *slots =
        bench_alloc(k->options.conn_count * sizeof(struct slot));

    context = tls_context_new(k);
    client_begin(k);
    for (uint32_t i = 0; i < k->options.conn_count; i++) {
        slots[i].tls.k = k;
        open_slot(&slots[i]);
    }
    while (client_tick(k, bench_now_ns())) {
        int count = epoll_wait(k->epoll_fd, events, MAX_EVENTS, 10);

        if (count < 0 && errno != EINTR) {
            bench_die("epoll_wait");
        }
        for (int i = 0; i < count; i++) {
            handle(events[i].data.ptr, &events[i]);
        }
    }
}
