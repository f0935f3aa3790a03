/*
 * Connections to upstreams are made as others are: with the options of their
 * sockets, and they outlive the set that gave them. A set cannot write with a
 * SYN, as it may try one target after the other.
 */
#include "tests/contract/maker.h"

#include <weir/upstream.h>

/* A set with one target, the address of a listener. */
static weir_upstreams *make_set(struct maker *m, int *ret_listener)
{
    struct weir_address address;
    const struct weir_upstream_options target = {.size = sizeof(target),
                                                 .address = &address};
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
    weir_upstream_slot_end(slot, 0);
    expect_eq(send(fd, "still", 5, 0), 5);
    expect_eq(maker_read(m, fd, text, sizeof(text)), 5);
    close(fd);
    close(listener);
}

/* The times are not whole seconds: they are rounded up. */
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
    weir_upstream_slot_end(slot, 0);
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
