/*
 * Datagram endpoints whose local address or peer is a host name.
 *
 * The tests check which of the name's addresses are used, and how a start that
 * waits for a name can end. The name server responds as the name says; see
 * dns_server.h.
 */
#include "tests/contract/names_rig.h"
#include "tests/dump.h"

#include <weir/datagram_stream.h>
#include <weir/task.h>

struct start {
    weir_loop *loop;
    weir_pending *endpoint;
    weir_transport *t;
    int done;
    int err;
    struct weir_attempt attempts[4];
    int tried;
};

static CALLBACKS(protocol, DATAGRAM);

static int create(void *arg, weir_transport *t,
                  struct weir_protocol_binding *ret)
{
    *ret = (struct weir_protocol_binding){&protocol, arg};
    return 0;
}

static const struct weir_factory factory = {.create = create};

static void started(void *arg, int err, weir_transport *t)
{
    struct start *start = arg;
    expect_eq(err == 0, t != NULL);
    start->done++;
    start->err = err;
    start->t = t;
    for (; start->tried < 4; start->tried++) {
        struct weir_attempt *attempt = &start->attempts[start->tried];
        attempt->size = sizeof(*attempt);
        if (!start->endpoint ||
            weir_pending_get_attempt(start->endpoint, (size_t)start->tried,
                                     attempt) < 0) {
            break;
        }
    }
    start->endpoint = NULL;
}

static int make(struct names *n, struct start *start,
                struct weir_datagram_options options)
{
    options.size = sizeof(options);
    *start = (struct start){.loop = n->loop};
    int err = weir_create_datagram_endpoint(n->loop, &factory, &options,
                                            started, start, &start->endpoint);
    expect_eq(start->done, 0, "never from inside the call");
    return err;
}

static int adopt(struct names *n, struct start *start, int fd,
                 struct weir_datagram_options options)
{
    options.size = sizeof(options);
    return weir_create_datagram_endpoint_at(
        n->loop, &factory, weir_endpoint_fd(fd), weir_endpoint_none(), &options,
        started, start, NULL);
}

static int finish(struct names *n, struct start *start)
{
    RUN_UNTIL(n->loop, start->done > 0);
    expect_eq(start->done, 1);
    return start->err;
}

static void end(struct names *n, struct start *start)
{
    if (start->t) {
        weir_transport_abort(start->t);
    }
    start->t = NULL;
    names_run_for(n, 2 * MS);
}

/* Leaves out local ports that the kernel chose. */
static const char *ends_of(const struct start *start, bool with_port)
{
    static char all[2 * WEIR_ADDRESS_TEXT_SIZE + 8];
    char own[WEIR_ADDRESS_TEXT_SIZE];
    char peer[WEIR_ADDRESS_TEXT_SIZE];
    struct weir_address address;
    weir_transport_get_sockname(start->t, &address);
    weir_address_format(&address, own, sizeof(own));
    if (!with_port) {
        *strrchr(own, ':') = '\0';
    }
    weir_transport_get_peername(start->t, &address);
    weir_address_format(&address, peer, sizeof(peer));
    snprintf(all, sizeof(all), "%s -> %s", own, peer);
    return all;
}

#define OPTIONS(...) ((struct weir_datagram_options){__VA_ARGS__})

static const char *made(struct names *n, struct weir_datagram_options options)
{
    struct start start;
    expect_eq(make(n, &start, options), 0);
    const int err = finish(n, &start);
    const char *text = err < 0 ? weir_err_name(err) : ends_of(&start, false);
    end(n, &start);
    return text;
}

NAMES(datagram_names, the_peer_has_a_name, n)
{
    expect_str_eq(
        made(n, OPTIONS(.remote_host = "self.example", .remote_port = 9)),
        "[::1] -> [::1]:9");
    expect_str_eq(
        made(n, OPTIONS(.remote_host = "localhost", .remote_port = 9)),
        "[::1] -> [::1]:9");
    expect_str_eq(made(n, OPTIONS(.remote_host = "self.example",
                                  .remote_port = 9, .family = AF_INET)),
                  "127.0.0.1 -> 127.0.0.1:9");
}

NAMES(datagram_names, the_own_address_has_a_name, n)
{
    expect_str_eq(made(n, OPTIONS(.local_host = "self.example")), "[::1] -> -");
    expect_str_eq(
        made(n, OPTIONS(.local_host = "self.example", .family = AF_INET)),
        "127.0.0.1 -> -");
}

NAMES(datagram_names, both_have_names_and_agree_on_a_family, n)
{
    expect_str_eq(
        made(n, OPTIONS(.local_host = "localhost",
                        .remote_host = "self.example", .remote_port = 9)),
        "[::1] -> [::1]:9");
    expect_str_eq(
        made(n, OPTIONS(.local_host = "127.0.0.2",
                        .remote_host = "self.example", .remote_port = 9)),
        "127.0.0.2 -> 127.0.0.1:9");
    expect_str_eq(made(n, OPTIONS(.local_host = "self.example",
                                  .remote_host = "::1", .remote_port = 9)),
                  "[::1] -> [::1]:9");
    expect_str_eq(
        made(n, OPTIONS(.local_host = "a6.example", .remote_host = "a4.example",
                        .remote_port = 9)),
        "EINVAL");
}

NAMES(datagram_names, an_address_that_cannot_be_had_is_passed_over, n)
{
    expect_str_eq(made(n, OPTIONS(.local_host = "a6-self.example")),
                  "[::1] -> -", "the first one is of another machine");
    expect_str_eq(made(n, OPTIONS(.local_host = "a4-a6.example")),
                  "EADDRNOTAVAIL");
}

NAMES(datagram_names, each_address_that_was_tried_is_told_with_its_error, n)
{
    struct start start;
    char text[WEIR_ADDRESS_TEXT_SIZE];

    expect_ok(make(n, &start,
                   OPTIONS(.local_host = "a4-a6.example", .local_port = 9)));
    expect_eq(finish(n, &start), -EADDRNOTAVAIL);
    expect_eq(start.tried, 2);
    weir_address_format(&start.attempts[0].address, text, sizeof(text));
    expect_str_eq(text, "[2001:db8::1]:9");
    weir_address_format(&start.attempts[1].address, text, sizeof(text));
    expect_str_eq(text, "192.0.2.1:9");
    expect_eq(start.attempts[0].err, -EADDRNOTAVAIL);
    expect_eq(start.attempts[1].err, -EADDRNOTAVAIL);
    expect_ok(make(n, &start, OPTIONS(.local_host = "nx.example")));
    expect_eq(finish(n, &start), WEIR_EDNSNOTFOUND);
    expect_eq(start.tried, 0, "there is no address");
}

NAMES(datagram_names, an_own_port_goes_with_the_family_that_was_found, n)
{
    struct start first;
    struct start second;
    struct weir_address own;
    expect_eq(make(n, &first, OPTIONS(.local_host = "localhost")), 0);
    expect_eq(finish(n, &first), 0);
    weir_transport_get_sockname(first.t, &own);
    const uint16_t port = ntohs(own.storage.inet6.sin6_port);
    end(n, &first);

    expect_ok(make(n, &second,
                   OPTIONS(.local_port = port, .remote_host = "self.example",
                           .remote_port = 9)));
    expect_eq(finish(n, &second), 0);
    weir_transport_get_sockname(second.t, &own);
    expect_eq(ntohs(own.storage.inet6.sin6_port), port);
    end(n, &second);
}

NAMES(datagram_names, a_broadcast_is_sent_to_an_address_of_IPv4, n)
{
    struct start start;
    expect_ok(make(n, &start,
                   OPTIONS(.remote_host = "self.example", .remote_port = 9,
                           .allow_broadcast = true)));
    expect_eq(finish(n, &start), 0);
    expect_str_eq(strchr(ends_of(&start, false), '-'), "-> 127.0.0.1:9");
    expect_geq(weir_transport_sendto(start.t, "x", 1, NULL), 0);
    end(n, &start);
}

NAMES(datagram_names, a_name_that_is_not_found_is_told_by_done, n)
{
    expect_str_eq(
        made(n, OPTIONS(.remote_host = "nx.example", .remote_port = 9)),
        "WEIR_EDNSNOTFOUND");
    expect_str_eq(
        made(n, OPTIONS(.local_host = "fail.example",
                        .remote_host = "self.example", .remote_port = 9)),
        "WEIR_EDNSSERVFAIL");
    names_expect_silence(n);
    expect_str_eq(
        made(n, OPTIONS(.local_host = "localhost",
                        .remote_host = "silent.example", .remote_port = 9)),
        "WEIR_EDNSTIMEOUT");
}

NAMES(datagram_names, what_is_no_name_is_refused_by_the_call, n)
{
    struct start start;
    expect_eq(make(n, &start, OPTIONS(.remote_host = "127.1")),
              WEIR_EDNSBADNAME);
    expect_eq(
        make(n, &start,
             OPTIONS(.local_host = "self.example", .remote_host = "a..b")),
        WEIR_EDNSBADNAME);
    expect_eq(
        make(n, &start, OPTIONS(.local_host = "localhost", .family = AF_UNIX)),
        -EINVAL);
    expect_eq(adopt(n, &start, dup(0), OPTIONS(.local_host = "localhost")),
              -EINVAL);
    expect_eq(adopt(n, &start, socket(AF_INET, SOCK_DGRAM, 0),
                    OPTIONS(.local_port = 80)),
              -EINVAL);
    names_run_for(n, 2 * MS);
    expect_eq(start.done, 0);
}

static void make_silent(struct names *n, struct start *start, int turns)
{
    expect_ok(make(n, start,
                   OPTIONS(.local_host = "silent.h.example",
                           .remote_host = "self.example", .remote_port = 9)));
    for (int i = 0; i < turns; i++) {
        weir_loop_stop(n->loop);
        expect_eq(weir_loop_run(n->loop), 0);
    }
}

NAMES(datagram_names, it_is_given_up_at_every_moment_and_leaves_nothing, n)
{
    names_lookup(n, "nx.example", NULL);
    names_run_for(n, 2 * MS);
    const int fds = names_count_fds();
    for (int turns = 0; turns < 6; turns++) {
        struct start start;
        make_silent(n, &start, turns);
        weir_pending_cancel(start.endpoint);
        weir_pending_cancel(start.endpoint);
        expect_eq(finish(n, &start), -ECANCELED);
        names_run_for(n, 2 * MS);
        expect_eq(names_count_fds(), fds);
        expect_eq(names_count_timers(n), 0);
    }
}

NAMES(datagram_names, it_is_given_up_at_every_moment_before_it_has_failed, n)
{
    struct start start = {.done = 0};
    int turns = 0;

    names_lookup(n, "nx.example", NULL); /* its response is cached */
    names_run_for(n, 2 * MS);
    for (; start.done == 0; turns++) {
        const struct weir_datagram_options options =
            OPTIONS(.remote_host = "nx.example", .remote_port = 9);
        expect_ok(make(n, &start, options));
        for (int i = 0; i < turns && start.done == 0; i++) {
            weir_loop_stop(n->loop);
            expect_eq(weir_loop_run(n->loop), 0);
        }
        if (start.done == 0) {
            weir_pending_cancel(start.endpoint);
            expect_eq(finish(n, &start), -ECANCELED);
            start.done = 0;
        }
    }
    expect_eq(start.err, WEIR_EDNSNOTFOUND);
    expect_gt(turns, 2);
}

NAMES(datagram_names, a_dump_names_both_ends_while_they_are_looked_up, n)
{
    struct start start;

    make_silent(n, &start, 2);
    expect_dumped(n->loop, "task datagram endpoint waiting for name lookup");
    expect_dumped(n->loop, " silent.h.example -> self.example\n");
    weir_pending_cancel(start.endpoint);
    expect_eq(finish(n, &start), -ECANCELED);
    expect_ok(make(n, &start,
                   OPTIONS(.local_host = "127.0.0.1", .local_port = 9000,
                           .remote_host = "127.0.0.1", .remote_port = 9)));
    expect_dumped(n->loop, " 127.0.0.1:9000 -> 127.0.0.1:9\n");
    expect_eq(finish(n, &start), 0);
    end(n, &start);
}

NAMES(datagram_names, a_loop_is_freed_while_names_are_looked_up, n)
{
    struct start start;
    make_silent(n, &start, 3);
    expect_eq(weir_loop_free(n->loop), 0);
    expect_eq(start.done, 1);
    expect_eq(start.err, -ECANCELED);
    expect_eq(weir_loop_new(NULL, &n->loop), 0);
}

static int keep_silent(void *user, weir_lookup *lookup, const char *host,
                       int family, void **ret_data)
{
    return 0;
}

static void give_up(void *user, weir_lookup *lookup, void *data)
{
    struct start *start = user;
    weir_pending_cancel(start->endpoint);
}

NAMES(datagram_names, it_may_be_given_up_inside_the_cancel_of_a_resolver, n)
{
    static const struct weir_resolver resolver = {
        .size = sizeof(resolver), .start = keep_silent, .cancel = give_up};
    struct start start;
    expect_eq(weir_loop_set_resolver(n->loop, &resolver, &start), 0);
    make_silent(n, &start, 3);
    weir_pending_cancel(start.endpoint);
    expect_eq(finish(n, &start), -ECANCELED);
    expect_eq(weir_loop_set_resolver(n->loop, NULL, NULL), 0);
}

static int open_in_task(weir_loop *loop, void *arg)
{
    const struct weir_datagram_stream_options options = {
        .size = sizeof(options),
        .endpoint = {.size = sizeof(options.endpoint),
                     .remote_host = arg,
                     .remote_port = 9}};
    weir_datagram_stream *stream = NULL;
    int err = weir_open_datagram_stream(loop, &options, &stream);
    weir_datagram_stream_free(stream);
    return err;
}

static int open_for_a_while(weir_loop *loop, void *arg)
{
    struct weir_timeout timeout;
    expect_eq(weir_timeout_begin(loop, &timeout, 5 * MS), 0);
    const int err = open_in_task(loop, arg);
    return (int)weir_timeout_end(&timeout, err);
}

static int opened(struct names *n, weir_task_fn *open, const char *host)
{
    char copy[64];
    int result = 1;
    snprintf(copy, sizeof(copy), "%s", host);
    expect_eq(weir_loop_run_task(n->loop, open, copy, &result), 0);
    return result;
}

NAMES(datagram_names, a_task_opens_a_stream_to_a_name, n)
{
    expect_eq(opened(n, open_in_task, "self.example"), 0);
    expect_eq(opened(n, open_in_task, "nx.example"), WEIR_EDNSNOTFOUND);
    expect_eq(opened(n, open_for_a_while, "silent.example"), -ETIMEDOUT);
}
