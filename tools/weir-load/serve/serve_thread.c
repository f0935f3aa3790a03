/*
 * The servers and UDP sockets of a thread. A server listens on all addresses of
 * its target. The thread ends when all servers and sockets have ended and no
 * connection is open.
 */
#include "serve_thread.h"

#include "tools/common/console.h"
#include "tools/common/engine.h"

#include "weir/error.h"
#include "weir/tls_connection.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Limit of error messages per second. */
#define TROUBLE_LINES 5U

/* Length of the TCP Fast Open queue. The library's backlog limits it. */
#define FAST_OPEN_LIMIT 4096U

void serve_thread_add(const struct serve_thread *thread,
                      struct serve_sums *sums)
{
    const struct mode_counts *counts = &thread->counts;

    sums->counts.opened += counts->opened;
    sums->counts.open_now += counts->open_now;
    sums->counts.broken += counts->broken;
    sums->counts.received_bytes += counts->received_bytes;
    sums->counts.full_handshakes += counts->full_handshakes;
    sums->counts.resumed_handshakes += counts->resumed_handshakes;
    for (size_t i = 0; i < thread->target_count; i++) {
        sums->datagrams += thread->datagram_servers[i].received;
        sums->datagrams_failed += thread->datagram_servers[i].failed;
    }
}

void serve_thread_report(void *arg, weir_loop *loop,
                         const struct weir_exception *exception)
{
    struct serve_thread *thread = arg;
    uint64_t second = weir_loop_get_time(loop) / UINT64_C(1000000000);

    if (engine_tell(exception)) {
        return;
    }
    if (second != thread->trouble_second) {
        thread->trouble_second = second;
        thread->trouble_count = 0;
    }
    thread->trouble_count++;
    if (thread->trouble_count > TROUBLE_LINES) {
        return;
    }
    const weir_transport *t = exception->transport;
    char text[256] = "";
    if (t && weir_transport_get_error(t) < 0) {
        weir_transport_get_error_text(t, text, sizeof(text));
    } else if (exception->err < 0) {
        snprintf(text, sizeof(text), "%s", weir_strerror(exception->err));
    }
    say("%s%s%s%s", exception->message, text[0] ? ": " : "", text,
        thread->trouble_count == TROUBLE_LINES ? " (and more of the kind)"
                                               : "");
}

/* Reports the end when no connection is open. Connections end slightly later
 * than their server. */
static void check_over(void *arg)
{
    struct serve_thread *thread = arg;

    if (!thread->stopping || thread->open > 0) {
        return;
    }
    if (thread->counts.open_now > 0 && !thread->has_failed &&
        weir_loop_call_soon(thread->loop, check_over, thread, NULL) >= 0) {
        return;
    }
    thread->ops->ended(thread);
}

static void count_closed(struct serve_thread *thread)
{
    thread->open--;
    check_over(thread);
}

static void on_closed(void *arg, weir_server *server)
{
    count_closed(arg);
}

void serve_thread_stop(struct serve_thread *thread, uint64_t grace_ns)
{
    const bool is_first = !thread->stopping;

    thread->stopping = true;
    for (size_t i = 0; i < thread->target_count; i++) {
        datagram_server_stop(&thread->datagram_servers[i], grace_ns == 0);
        if (thread->servers[i]) {
            /* Without a callback this cannot fail. */
            (void)!weir_server_stop(thread->servers[i], grace_ns, NULL, NULL);
        }
    }
    if (is_first) {
        check_over(thread);
    }
}

void serve_thread_free_servers(struct serve_thread *thread)
{
    for (size_t i = 0; i < thread->target_count; i++) {
        weir_server_free(thread->servers[i]);
        thread->servers[i] = NULL;
    }
}

static void fail(struct serve_thread *thread, const struct target *target,
                 int err)
{
    thread->has_failed = true;
    thread->ops->failed(thread, target, err);
}

static void count_listening(struct serve_thread *thread)
{
    thread->starting--;
    if (thread->starting == 0 && !thread->has_failed) {
        thread->ops->listening(thread);
    }
}

static void on_listening(void *arg, int err, weir_server *server)
{
    struct serve_thread *thread = arg;

    if (err >= 0) {
        count_listening(thread);
        return;
    }
    thread->starting--;
    for (size_t i = 0; i < thread->target_count; i++) {
        if (thread->servers[i] == server) {
            fail(thread, &thread->targets[i], err);
        }
    }
}

static const struct target *target_of(const struct serve_thread *thread,
                                      const struct datagram_server *server)
{
    return &thread->targets[server - thread->datagram_servers];
}

static void on_bound(void *arg, int err, struct datagram_server *server)
{
    struct serve_thread *thread = arg;

    if (err < 0) {
        thread->starting--;
        thread->open--;
        fail(thread, target_of(thread, server), err);
        return;
    }
    if (thread->stopping) {
        datagram_server_stop(server, true);
    }
    count_listening(thread);
}

static void on_ended(void *arg, int err, struct datagram_server *server)
{
    struct serve_thread *thread = arg;

    count_closed(thread);
    if (err < 0 && !thread->stopping) {
        fail(thread, target_of(thread, server), err);
    }
}

static int bind_datagrams(struct serve_thread *thread, size_t i)
{
    struct datagram_server *server = &thread->datagram_servers[i];

    *server = (struct datagram_server){
        .on_bound = on_bound,
        .on_ended = on_ended,
        .arg = thread,
        .why = thread->why[i],
        .counts = &thread->counts,
        .reuse_port = thread->options->thread_count > 1,
    };
    return datagram_server_start(server, thread->loop, thread->options->mode,
                                 &thread->targets[i]);
}

static struct weir_endpoint place_of(const struct target *target)
{
    if (target->address_count > 0) { /* addresses of another thread */
        return weir_endpoint_addresses(target->addresses,
                                       target->address_count);
    }
    return target->address.len > 0
               ? weir_endpoint_addresses(&target->address, 1)
               : weir_endpoint_host(target->host, target->port);
}

static int create_server(struct serve_thread *thread, size_t i)
{
    const struct target *target = &thread->targets[i];
    weir_server **ret = &thread->servers[i];
    struct weir_factory factory = {thread->options->mode->create,
                                   &thread->counts};
    const struct weir_tls_settings tls = {.size = sizeof(tls),
                                          .context = thread->tls};
    struct weir_server_options options = {
        .size = sizeof(options),
        .tls = target->is_tls ? &tls : NULL,
        .reuse_port = thread->options->thread_count > 1,
        .error_text = thread->why[i],
        .error_text_size = SERVE_WHY_SIZE,
        .fast_open_limit = thread->options->fast_open ? FAST_OPEN_LIMIT : 0};

    const int err =
        weir_create_server_at(thread->loop, &factory, place_of(target),
                              &options, on_listening, thread, ret);
    return err < 0 ? err
                   : weir_server_add_closed_callback(*ret, on_closed, thread);
}

int serve_thread_listen(struct serve_thread *thread,
                        const struct target **ret_failed)
{
    thread->counts.have_tls = thread->tls != NULL;
    thread->counts.mode = thread->options->mode;
    thread->counts.settings = &thread->options->settings;
    pace_init(&thread->counts.pace, &thread->options->settings.pace);
    thread->starting = 1; /* counts this call until its end */
    for (size_t i = 0; i < thread->target_count; i++) {
        const struct target *target = &thread->targets[i];
        if (thread->is_further &&
            target->address.storage.any.sa_family == AF_UNIX) {
            continue;
        }
        int err = target->is_datagram ? bind_datagrams(thread, i)
                                      : create_server(thread, i);
        if (err < 0) {
            *ret_failed = target;
            return err;
        }
        thread->starting++;
        thread->open++;
    }
    count_listening(thread);
    return 0;
}

static int get_server_places(weir_server *server, struct target *ret)
{
    const size_t count = weir_server_get_socket_count(server);

    ret->addresses = calloc(count, sizeof(*ret->addresses));
    if (!ret->addresses) {
        return -ENOMEM;
    }
    for (size_t i = 0; i < count; i++) {
        if (weir_server_get_socket(server, i,
                                   &ret->addresses[ret->address_count]) >= 0) {
            ret->address_count++;
        }
    }
    return 0;
}

/* Gets the address of a UDP socket. A socket for all addresses of both families
 * has only a port. */
static int get_datagram_endpoint(const weir_transport *t, struct target *ret)
{
    ret->addresses = calloc(1, sizeof(*ret->addresses));
    if (!ret->addresses) {
        return -ENOMEM;
    }
    weir_transport_get_sockname(t, ret->addresses);
    ret->address_count = 1;
    if (ret->address.len > 0) {
        ret->address = *ret->addresses;
    } else {
        ret->port = ntohs(ret->addresses->storage.inet6.sin6_port);
    }
    return 0;
}

int serve_thread_get_places(const struct serve_thread *thread,
                            struct target *ret)
{
    int err = 0;

    memcpy(ret, thread->targets, thread->target_count * sizeof(*ret));
    for (size_t i = 0; i < thread->target_count && err == 0; i++) {
        err = ret[i].is_datagram
                  ? get_datagram_endpoint(thread->datagram_servers[i].transport,
                                          &ret[i])
                  : get_server_places(thread->servers[i], &ret[i]);
    }
    return err;
}
