/*
 * The life of the server: listen on every address, say so in one line on
 * standard output once all of them accept, serve until a signal comes, stop
 * with a time of grace, end with 0. A second signal ends the grace.
 *
 * What it does with connections is in modes.c and in serve_streams.c, with
 * datagrams in serve_datagrams.c.
 */
#include "serve.h"
#include "exits.h"

#include "modes.h"
#include "names.h"
#include "serve_datagrams.h"
#include "serve_options.h"
#include "tools/common/console.h"
#include "tools/common/limits.h"

#include "weir/error.h"
#include "weir/inspect.h"
#include "weir/loop.h"
#include "weir/server.h"
#include "weir/tls_connection.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Lines about trouble, a second; the rest is counted. */
#define TROUBLE_LINES 5U

struct serve {
    weir_loop *loop;
    struct serve_options options;
    /* NULL where no target has TLS. */
    weir_tls_context *tls;
    /* Each target has one of the two; servers are NULL for UDP. */
    weir_server *servers[SERVE_ADDRESSES_MAX];
    struct datagram_server datagram_servers[SERVE_ADDRESSES_MAX];
    /* Servers that do not listen yet, and those that are not closed yet. */
    size_t starting;
    size_t closing;
    bool stopping;
    /* The first error that ends the program. */
    int err;
    struct mode_counts counts;
    /* Lines of trouble in this second. */
    uint64_t trouble_second;
    uint64_t trouble_count;
};

/* ---- statistics ---- */

static void print_statistics(const struct serve *serve)
{
    char text[4096];
    uint64_t datagrams = 0;
    uint64_t failed = 0;

    for (size_t i = 0; i < serve->options.target_count; i++) {
        datagrams += serve->datagram_servers[i].received;
        failed += serve->datagram_servers[i].failed;
    }
    weir_loop_get_statistics_text(serve->loop, text, sizeof(text));
    fprintf(stderr,
            "served_connections %llu\nserved_open %llu\nserved_broken %llu\n"
            "served_received_bytes %llu\nserved_datagrams %llu\n"
            "served_datagrams_failed %llu\nserved_full_handshakes %llu\n"
            "served_resumed_handshakes %llu\n%s",
            (unsigned long long)serve->counts.opened,
            (unsigned long long)serve->counts.open_now,
            (unsigned long long)serve->counts.broken,
            (unsigned long long)serve->counts.received_bytes,
            (unsigned long long)datagrams, (unsigned long long)failed,
            (unsigned long long)serve->counts.full_handshakes,
            (unsigned long long)serve->counts.resumed_handshakes, text);
    fflush(stderr);
}

static void on_usr1(void *arg, int signum)
{
    const struct serve *serve = arg;

    (void)signum;
    print_statistics(serve);
    weir_loop_dump(serve->loop, stderr);
    fflush(stderr);
}

/* Trouble of one second is told in a few lines. */
static void on_exception(void *arg, weir_loop *loop,
                         const struct weir_exception *exception)
{
    struct serve *serve = arg;
    uint64_t second = weir_loop_get_time(loop) / UINT64_C(1000000000);

    if (second != serve->trouble_second) {
        serve->trouble_second = second;
        serve->trouble_count = 0;
    }
    serve->trouble_count++;
    if (serve->trouble_count > TROUBLE_LINES) {
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
        serve->trouble_count == TROUBLE_LINES ? " (and more of the kind)" : "");
}

/* ---- the end ---- */

static void count_closed(struct serve *serve)
{
    serve->closing--;
    if (serve->closing == 0) {
        weir_loop_stop(serve->loop);
    }
}

static void on_closed(void *arg, weir_server *server)
{
    (void)server;
    count_closed(arg);
}

static void stop(struct serve *serve, uint64_t grace_ns)
{
    bool first = !serve->stopping;

    serve->stopping = true;
    for (size_t i = 0; i < serve->options.target_count; i++) {
        serve->closing +=
            datagram_server_stop(&serve->datagram_servers[i], grace_ns == 0);
        if (!serve->servers[i]) {
            continue;
        }
        int err = weir_server_stop(serve->servers[i], grace_ns,
                                   first ? on_closed : NULL, serve);
        if (err < 0) {
            say("stopping: %s", weir_strerror(err));
            serve->err = err;
            weir_loop_stop(serve->loop);
            return;
        }
        serve->closing += first;
    }
    if (serve->closing == 0) {
        weir_loop_stop(serve->loop);
    }
}

static void on_signal(void *arg, int signum)
{
    struct serve *serve = arg;

    (void)signum;
    stop(serve, serve->stopping ? 0 : serve->options.grace_ns);
}

/* ---- the start ---- */

static void print_address(const struct target *target,
                          const struct weir_address *address)
{
    const bool is_unix = address->storage.any.sa_family == AF_UNIX;
    const char *scheme = is_unix ? "" : "tcp://";
    char text[WEIR_ADDRESS_TEXT_SIZE];

    if (target->is_datagram) {
        scheme = "udp://";
    } else if (target->is_tls) {
        scheme = is_unix ? "tls+" : "tls://";
    }
    printf(" %s%s", scheme, weir_address_format(address, text, sizeof(text)));
}

static void print_addresses(const struct serve *serve)
{
    printf("serving %s on", serve->options.mode->name);
    for (size_t i = 0; i < serve->options.target_count; i++) {
        const struct target *target = &serve->options.targets[i];
        struct weir_address address = {0};
        if (target->is_datagram) {
            weir_transport_get_sockname(serve->datagram_servers[i].transport,
                                        &address);
            print_address(target, &address);
            continue;
        }
        size_t socket_count = weir_server_get_socket_count(serve->servers[i]);
        for (size_t j = 0; j < socket_count; j++) {
            if (weir_server_get_socket(serve->servers[i], j, &address) >= 0) {
                print_address(target, &address);
            }
        }
    }
    printf("\n");
    fflush(stdout);
}

static void fail(struct serve *serve, const struct target *target, int err)
{
    say("%s: %s (%s)", target->text, weir_strerror(err), weir_err_name(err));
    if (serve->err == 0) {
        serve->err = err;
    }
    stop(serve, 0);
}

static void on_listening(void *arg, int err, weir_server *server)
{
    struct serve *serve = arg;

    serve->starting--;
    if (err < 0) {
        for (size_t i = 0; i < serve->options.target_count; i++) {
            if (serve->servers[i] == server) {
                fail(serve, &serve->options.targets[i], err);
            }
        }
        return;
    }
    if (serve->starting == 0 && serve->err == 0) {
        print_addresses(serve);
    }
}

static void on_bound(void *arg, int err, struct datagram_server *server)
{
    struct serve *serve = arg;

    serve->starting--;
    if (err < 0) {
        fail(serve, &serve->options.targets[server - serve->datagram_servers],
             err);
        return;
    }
    if (serve->starting == 0 && serve->err == 0) {
        print_addresses(serve);
    }
}

static void on_ended(void *arg, int err, struct datagram_server *server)
{
    struct serve *serve = arg;

    if (serve->closing > 0) {
        count_closed(serve);
    } else if (err < 0) {
        fail(serve, &serve->options.targets[server - serve->datagram_servers],
             err);
    }
}

static int bind_datagrams(struct serve *serve, size_t i)
{
    struct datagram_server *server = &serve->datagram_servers[i];

    *server = (struct datagram_server){
        .on_bound = on_bound,
        .on_ended = on_ended,
        .arg = serve,
        .counts = &serve->counts,
    };
    return datagram_server_start(server, serve->loop, serve->options.mode,
                                 &serve->options.targets[i]);
}

static int listen_on(struct serve *serve, size_t i)
{
    const struct target *target = &serve->options.targets[i];
    const bool has_address = target->address.len > 0;
    struct weir_factory factory = {serve->options.mode->create, &serve->counts};
    const struct weir_tls_settings tls = {.size = sizeof(tls),
                                          .context = serve->tls};
    struct weir_server_options options = {.size = sizeof(options),
                                          .tls = target->is_tls ? &tls : NULL};

    if (has_address) {
        return weir_create_server_on(serve->loop, &factory, &target->address, 1,
                                     &options, on_listening, serve,
                                     &serve->servers[i]);
    }
    return weir_create_server(
        serve->loop, &factory, target->host[0] ? target->host : NULL,
        target->port, &options, on_listening, serve, &serve->servers[i]);
}

static bool add_target(struct serve *serve, const struct target *target)
{
    if (serve->options.target_count == SERVE_ADDRESSES_MAX) {
        say("%s: more than %u addresses", target->text, SERVE_ADDRESSES_MAX);
        return false;
    }
    serve->options.targets[serve->options.target_count] = *target;
    serve->options.target_count++;
    return true;
}

/* A target for each address of a name. */
static bool add_addresses(struct serve *serve, struct target *name)
{
    bool added = names_find(serve->loop, name, 1) >= 0;

    for (size_t i = 0; i < name->address_count && added; i++) {
        struct target target = {
            .text = name->text,
            .is_datagram = true,
            .address = name->addresses[i],
        };
        added = add_target(serve, &target);
    }
    names_forget(name, 1);
    return added;
}

/* A server listens on all addresses of a name. An endpoint is bound to one of
 * them alone: the names of datagram targets are looked up here, and each
 * address gets an endpoint. */
static bool find_datagram_names(struct serve *serve)
{
    struct target given[SERVE_ADDRESSES_MAX];
    const size_t given_count = serve->options.target_count;
    bool added = true;

    memcpy(given, serve->options.targets, sizeof(given));
    serve->options.target_count = 0;
    for (size_t i = 0; i < given_count && added; i++) {
        const bool is_name = given[i].host[0] && given[i].address.len == 0;
        added = given[i].is_datagram && is_name
                    ? add_addresses(serve, &given[i])
                    : add_target(serve, &given[i]);
    }
    return added;
}

static int listen_on_all(struct serve *serve)
{
    for (size_t i = 0; i < serve->options.target_count; i++) {
        const struct target *target = &serve->options.targets[i];
        serve->starting++;
        int err = target->is_datagram ? bind_datagrams(serve, i)
                                      : listen_on(serve, i);
        if (err < 0) {
            say("%s: %s (%s)", target->text, weir_strerror(err),
                weir_err_name(err));
            return err;
        }
    }
    return 0;
}

static int handle_signals(struct serve *serve)
{
    static const struct {
        int signum;
        weir_signal_fn *cb;
    } handlers[] = {
        {SIGINT, on_signal},
        {SIGTERM, on_signal},
        {SIGUSR1, on_usr1},
    };

    for (size_t i = 0; i < sizeof(handlers) / sizeof(handlers[0]); i++) {
        int err = weir_loop_add_signal_handler(serve->loop, handlers[i].signum,
                                               handlers[i].cb, serve);
        if (err < 0) {
            say("signal handler: %s", weir_strerror(err));
            return err;
        }
    }
    return 0;
}

/* Tasks see the end of their connection a little later than the server. */
static bool has_none_open(void *arg)
{
    const struct serve *serve = arg;

    return serve->counts.open_now == 0;
}

/* Until a signal came and the last connection is over. */
static int run(struct serve *serve)
{
    int err = weir_loop_run(serve->loop);

    if (err == 0 && serve->err == 0) {
        err = weir_loop_run_until(serve->loop, has_none_open, serve);
    }
    return err;
}

/* Returns the exit code. */
static int serve_until_signal(struct serve *serve)
{
    int err = weir_loop_new(NULL, &serve->loop);
    if (err < 0) {
        say("io_uring: %s (%s)", weir_strerror(err), weir_err_name(err));
        return LOAD_USAGE;
    }
    if (serve->options.verbose) {
        char text[4096];
        weir_loop_get_features_text(serve->loop, text, sizeof(text));
        fputs(text, stderr);
    }
    weir_loop_set_exception_handler(serve->loop, on_exception, serve);
    int exit_code = LOAD_USAGE;
    if (find_datagram_names(serve) && handle_signals(serve) >= 0 &&
        listen_on_all(serve) >= 0) {
        err = run(serve);
        exit_code = serve->err < 0 ? LOAD_USAGE : LOAD_OK;
        if (err < 0) {
            say("the loop broke: %s (%s)", weir_strerror(err),
                weir_err_name(err));
            exit_code = LOAD_INTERNAL;
        }
    }
    if (serve->options.stats) {
        print_statistics(serve);
    }
    for (size_t i = 0; i < serve->options.target_count; i++) {
        weir_server_free(serve->servers[i]);
    }
    weir_loop_free(serve->loop);
    return exit_code;
}

int serve_main(int argc, char **argv, int first)
{
    static struct serve serve;

    enum options_result parsed =
        serve_options_parse(argc, argv, first, &serve.options);
    if (parsed != OPTIONS_READY) {
        return parsed == OPTIONS_DONE ? LOAD_OK : LOAD_USAGE;
    }
    const struct serve_options *options = &serve.options;
    if (tls_make_context(&options->tls, true, options->targets,
                         options->target_count, &serve.tls) < 0) {
        return LOAD_USAGE;
    }
    serve.counts.have_tls = serve.tls != NULL;
    limits_raise_fds_to_hard();
    int exit_code = serve_until_signal(&serve);
    tls_drop_context(serve.tls);
    return exit_code;
}
