/*
 * Connections to upstreams are made like others: with socket options and a list
 * of attempts, and they outlive their set.
 *
 * A set cannot write with a SYN, because it may try several targets.
 */
#include "tests/contract/maker.h"

#include <weir/upstream.h>

static weir_upstreams *make_set(struct maker *m, int *ret_listener)
{
    struct weir_address address = {.len = 0};
    const struct weir_upstream_options target = {
        .size = sizeof(target),
        .endpoint = weir_endpoint_addresses(&address, 1)};
    weir_upstreams *set = NULL;

    *ret_listener = peer_listen(1, &address);
    expect_ok(weir_upstreams_new(m->loop, NULL, &set));
    expect_ok(weir_upstreams_add(set, &target, NULL));
    return set;
}

static void keep_slot(void *arg, int err,
                      const struct weir_upstreams_result *result)
{
    weir_upstream_slot **slot = arg;

    expect_eq(err, 0);
    *slot = result->slot;
}

MAKER(upstream_connect, a_connection_stays_when_its_set_ends, m)
{
    int listener;
    weir_upstreams *set = make_set(m, &listener);
    weir_upstream_slot *slot = NULL;
    char text[8];
    m->echo = true;
    expect_ok(
        weir_upstreams_connect(set, &m->factory, NULL, keep_slot, &slot, NULL));
    RUN_UNTIL(m->loop, slot);
    const int fd = accept(listener, NULL, NULL);

    weir_upstreams_free(set);

    expect_eq(send(fd, "still", 5, 0), 5);
    expect_eq(maker_read(m, fd, text, sizeof(text)), 5);
    expect_eq(m->lost, 0);
    weir_upstream_slot_release(slot, 0);
    expect_eq(send(fd, "still", 5, 0), 5);
    expect_eq(maker_read(m, fd, text, sizeof(text)), 5);
    close(fd);
    close(listener);
}

MAKER(upstream_connect, a_request_connects_to_a_host_of_its_own, m)
{
    struct weir_upstreams_connect_options options = {.size = sizeof(options),
                                                     .host = "127.0.0.1"};
    struct weir_upstream_statistics info = {.size = sizeof(info)};
    weir_upstream_slot *slot = NULL;
    struct weir_address at = {.len = 0};
    int unused;
    weir_upstreams *set = make_set(m, &unused);
    const int listener = peer_listen(1, &at);
    options.port = ntohs(at.storage.inet.sin_port);

    expect_ok(weir_upstreams_connect(set, &m->factory, &options, keep_slot,
                                     &slot, NULL));

    RUN_UNTIL(m->loop, slot);
    const int fd = accept(listener, NULL, NULL);
    expect_geq(fd, 0);
    expect_ok(weir_upstream_get_statistics(
        weir_upstream_slot_get_upstream(slot), &info));
    expect_eq(info.active_count, 1, "the chosen upstream counts it");
    weir_upstream_slot_release(slot, 0);
    weir_upstreams_free(set);
    close(fd);
    close(unused);
    close(listener);
}

/* The times are not whole seconds, so they are rounded up. */
MAKER(upstream_connect, keep_alive_and_its_times_reach_the_socket, m)
{
    struct weir_upstreams_connect_options options = {.size = sizeof(options)};
    struct weir_connection_options *asked = &options.connect.connection;
    weir_upstream_slot *slot = NULL;
    int listener;
    weir_upstreams *set = make_set(m, &listener);
    asked->keep_alive = true;
    asked->keep_alive_idle_ns = WEIR_SECONDS(300) + 1;
    asked->keep_alive_interval_ns = WEIR_SECONDS(31) - 1;
    asked->keep_alive_count = 5;

    expect_ok(weir_upstreams_connect(set, &m->factory, &options, keep_slot,
                                     &slot, NULL));

    RUN_UNTIL(m->loop, slot);
    const int fd = weir_transport_get_socket(m->t);
    expect_eq(get_option(fd, SOL_SOCKET, SO_KEEPALIVE), 1);
    expect_eq(get_option(fd, IPPROTO_TCP, TCP_KEEPIDLE), 301);
    expect_eq(get_option(fd, IPPROTO_TCP, TCP_KEEPINTVL), 31);
    expect_eq(get_option(fd, IPPROTO_TCP, TCP_KEEPCNT), 5);
    weir_upstream_slot_release(slot, 0);
    weir_upstreams_free(set);
    close(listener);
}

static void refused(void *arg, int err,
                    const struct weir_upstreams_result *result)
{
    cr_assert_fail("done of a call that was refused");
}

MAKER(upstream_connect, fast_open_is_refused, m)
{
    struct weir_upstreams_connect_options options = {.size = sizeof(options)};
    int listener;
    weir_upstreams *set = make_set(m, &listener);
    options.connect.fast_open = true;

    expect_eq(
        weir_upstreams_connect(set, &m->factory, &options, refused, m, NULL),
        -EINVAL);

    weir_upstreams_free(set);
    close(listener);
}

struct listed {
    weir_pending *request;
    int err;
    weir_upstream_slot *slot;
    struct weir_attempt attempts[4];
    int count;
};

/* The handle is valid until done returns. */
static void read_list(void *arg, int err,
                      const struct weir_upstreams_result *result)
{
    struct listed *listed = arg;
    struct weir_attempt attempt = {.size = sizeof(attempt)};

    listed->err = err;
    listed->slot = result->slot;
    while (weir_pending_get_attempt(listed->request, (size_t)listed->count,
                                    &attempt) == 0) {
        expect_lt(listed->count, 4);
        listed->attempts[listed->count++] = attempt;
    }
    expect_eq(weir_pending_get_attempt(listed->request, SIZE_MAX, &attempt),
              -EINVAL);
}

static void ask_listed(weir_upstreams *set, struct maker *m,
                       const struct weir_upstreams_connect_options *options,
                       struct listed *listed)
{
    *listed = (struct listed){.err = 1};
    expect_ok(weir_upstreams_connect(set, &m->factory, options, read_list,
                                     listed, &listed->request));
}

static void add_address(weir_upstreams *set, const struct weir_address *address)
{
    const struct weir_upstream_options target = {
        .size = sizeof(target),
        .endpoint = weir_endpoint_addresses(address, 1)};
    expect_ok(weir_upstreams_add(set, &target, NULL));
}

static struct weir_address refusing(void)
{
    struct weir_address address;

    close(peer_listen(1, &address));
    return address;
}

static void expect_attempt(const struct weir_attempt *attempt,
                           const struct weir_address *address, int err)
{
    cr_expect(weir_address_is_equal(&attempt->address, address));
    expect_eq(attempt->err, err);
    if (err < 0) {
        expect_eq(attempt->own_address.storage.inet.sin_addr.s_addr,
                  htonl(INADDR_LOOPBACK));
        cr_expect(address_port(&attempt->own_address) != 0);
    }
}

MAKER(upstream_connect, a_request_lists_what_was_tried_before_it_succeeds, m)
{
    const struct weir_address first = refusing();
    struct weir_address last;
    struct listed listed;
    weir_upstreams *set = NULL;
    const int listener = peer_listen(1, &last);
    expect_ok(weir_upstreams_new(m->loop, NULL, &set));
    add_address(set, &first);
    add_address(set, &last);

    ask_listed(set, m, NULL, &listed);
    RUN_UNTIL(m->loop, listed.err <= 0);

    expect_eq(listed.err, 0);
    expect_eq(listed.count, 2);
    expect_attempt(&listed.attempts[0], &first, -ECONNREFUSED);
    expect_attempt(&listed.attempts[1], &last, 0);
    weir_upstream_slot_release(listed.slot, 0);
    weir_upstreams_free(set);
    close(listener);
}

MAKER(upstream_connect, a_request_that_fails_lists_all_tries, m)
{
    const struct weir_address peers[3] = {refusing(), refusing(), refusing()};
    struct listed listed;
    weir_upstreams *set = NULL;
    expect_ok(weir_upstreams_new(m->loop, NULL, &set));
    for (int i = 0; i < 3; i++) {
        add_address(set, &peers[i]);
    }

    ask_listed(set, m, NULL, &listed);
    RUN_UNTIL(m->loop, listed.err <= 0);

    expect_eq(listed.err, -ECONNREFUSED);
    expect_eq(listed.count, 3);
    for (int i = 0; i < 3; i++) {
        expect_attempt(&listed.attempts[i], &peers[i], -ECONNREFUSED);
    }
    weir_upstreams_free(set);
}

MAKER(upstream_connect, what_the_time_of_a_request_has_ended_is_listed, m)
{
    const struct weir_upstreams_connect_options options = {
        .size = sizeof(options), .timeout_ns = 50 * MS};
    struct weir_address peer;
    struct listed listed;
    weir_upstreams *set = NULL;
    const int listener = peer_listen(0, &peer);
    const int full = peer_connect_to(&peer); /* its queue is full */
    expect_geq(full, 0);
    expect_ok(weir_upstreams_new(m->loop, NULL, &set));
    add_address(set, &peer);

    ask_listed(set, m, &options, &listed);
    RUN_UNTIL(m->loop, listed.err <= 0);

    expect_eq(listed.err, -ETIMEDOUT);
    expect_eq(listed.count, 1);
    expect_attempt(&listed.attempts[0], &peer, -ETIMEDOUT);
    weir_upstreams_free(set);
    close(full);
    close(listener);
}

MAKER(upstream_connect, the_text_of_a_request_has_all_tries, m)
{
    char text[512] = "xx";
    const struct weir_upstreams_connect_options options = {
        .size = sizeof(options),
        .connect = {.error_text = text, .error_text_size = sizeof(text)}};
    const struct weir_address peers[2] = {refusing(), refusing()};
    struct listed listed;
    weir_upstreams *set = NULL;
    expect_ok(weir_upstreams_new(m->loop, NULL, &set));
    add_address(set, &peers[0]);
    add_address(set, &peers[1]);

    ask_listed(set, m, &options, &listed);
    RUN_UNTIL(m->loop, listed.err <= 0);

    for (int i = 0; i < 2; i++) {
        char address[WEIR_ADDRESS_TEXT_SIZE];
        weir_address_format(&peers[i], address, sizeof(address));
        cr_expect_not_null(strstr(text, address), "%s", text);
    }
    cr_expect_not_null(strstr(text, "; "));
    weir_upstreams_free(set);
}

static void copy_text(void *arg, int err,
                      const struct weir_upstreams_result *result)
{
    if (result->error_text) {
        snprintf(arg, 256, "%d %s", err, result->error_text);
    }
    weir_upstream_slot_release(result->slot, 0);
}

MAKER(upstream_connect, the_text_beside_a_success_has_what_failed_before, m)
{
    char none = 'x';
    const struct weir_upstreams_connect_options options = {
        .size = sizeof(options), .connect = {.error_text = &none}};
    const struct weir_address first = refusing();
    struct weir_address last;
    weir_upstreams *set = NULL;
    char text[256] = "";
    const int listener = peer_listen(1, &last);
    expect_ok(weir_upstreams_new(m->loop, NULL, &set));
    add_address(set, &first);
    add_address(set, &last);

    expect_ok(weir_upstreams_connect(set, &m->factory, &options, copy_text,
                                     text, NULL));
    RUN_UNTIL(m->loop, text[0] != '\0');

    const size_t len = strlen(text);
    expect_eq(strncmp(text, "0 127.0.0.1:", 12), 0, "%s", text);
    cr_expect_null(strstr(text, "; "), "%s", text);
    expect_eq(text[len - 1], ')', "%s", text);
    expect_eq(none, 'x');
    weir_upstreams_free(set);
    close(listener);
}
