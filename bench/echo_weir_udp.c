/*
 * A server of datagrams on a datagram endpoint of weir.
 *
 * With --trains the kernel joins datagrams that arrive together, and each train
 * is sent back as one. SIGTERM ends the server.
 */
#include "bench/bench.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <weir/datagram.h>
#include <weir/error.h>
#include <weir/loop.h>

static void check(const char *what, int err)
{
    if (err < 0) {
        fprintf(stderr, "%s: %s\n", what, weir_strerror(err));
        exit(1);
    }
}

static int echo_received(void *user, weir_transport *t,
                         const struct weir_datagram *datagram)
{
    const struct weir_message answer = {
        .size = sizeof(answer),
        .data = datagram->buf.data,
        .len = datagram->buf.len,
        .lease = datagram->buf.lease,
        .address = &datagram->peer,
        .segment_bytes = datagram->segment_bytes,
    };

    (void)user;
    /* An answer that is refused is lost, as any datagram may be. */
    (void)weir_transport_sendmsg(t, &answer);
    return 0;
}

static void pause_writing(void *user, weir_transport *t)
{
    (void)user;
    weir_transport_pause_reading(t);
}

static void resume_writing(void *user, weir_transport *t)
{
    (void)user;
    weir_transport_resume_reading(t);
}

static const struct weir_protocol protocol = {
    .size = sizeof(struct weir_protocol),
    .kind = WEIR_PROTOCOL_DATAGRAM,
    .pause_writing = pause_writing,
    .resume_writing = resume_writing,
    .datagram_received = echo_received,
};

static int make_protocol(void *arg, weir_transport *t,
                         struct weir_protocol_binding *ret)
{
    (void)arg;
    (void)t;
    ret->protocol = &protocol;
    return 0;
}

static void on_made(void *options, int err, weir_transport *t)
{
    (void)t;
    check("bind", err);
    bench_serving_udp(options);
}

static void on_terminate(void *arg, int signum)
{
    (void)signum;
    weir_loop_stop(arg);
}

int main(int argc, char **argv)
{
    struct bench_options options =
        bench_parse(argc, argv, "A server on a datagram endpoint of weir.");
    struct weir_factory factory = {.create = make_protocol};
    struct weir_datagram_options endpoint = {.size = sizeof(endpoint),
                                             .local_host = "127.0.0.1",
                                             .local_port = options.port,
                                             .join_segments =
                                                 options.has_trains};
    weir_loop *loop = NULL;

    check("weir_loop_new", weir_loop_new(NULL, &loop));
    check("SIGTERM",
          weir_loop_add_signal_handler(loop, SIGTERM, on_terminate, loop));
    check("weir_create_datagram_endpoint",
          weir_create_datagram_endpoint(loop, &factory, &endpoint, on_made,
                                        &options, NULL));
    check("weir_loop_run", weir_loop_run(loop));
    check("weir_loop_free", weir_loop_free(loop));
    return 0;
}
