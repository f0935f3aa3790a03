/*
 * A connection of a socket to itself.
 *
 * If a port in the kernel's ephemeral range has no listener, a connecting
 * socket may get that very port as its local port. Its SYN then reaches itself,
 * and TCP connects it with itself (a simultaneous open). Programs should see a
 * refused connection. The tests request the local port, so that this happens
 * each time.
 */
#include "tests/contract/maker.h"

#include <weir/connect.h>

static uint16_t free_port(const char *host)
{
    struct weir_address address = peer_address("127.0.0.1", 0);
    expect_eq(weir_address_parse(host, 0, &address), 0);
    const int fd = socket(address.storage.any.sa_family, SOCK_STREAM, 0);
    expect_eq(bind(fd, &address.storage.any, address.len), 0);
    expect_eq(getsockname(fd, &address.storage.any, &address.len), 0);
    close(fd);
    return address_port(&address);
}

static void expect_refused(struct maker *m, const char *host, uint16_t port,
                           const struct weir_connect_options *options)
{
    expect_ok(weir_create_connection(m->loop, &m->factory, host, port, options,
                                     maker_connect_done, m, NULL));
    maker_expect_done(m, -ECONNREFUSED);
    expect_eq(m->made, 0, "no protocol sees it");
}

static void refuse_from(struct maker *m, const char *host,
                        struct weir_connect_options options)
{
    struct weir_address local;
    options.size = sizeof(options);
    const uint16_t port = free_port(host);
    expect_eq(weir_address_parse(host, port, &local), 0);
    options.local_address = &local;
    expect_refused(m, host, port, &options);
}

MAKER(connect_self, it_is_refused_over_ipv4, m)
{
    refuse_from(m, "127.0.0.1", (struct weir_connect_options){.size = 0});
}

MAKER(connect_self, it_is_refused_over_ipv6, m)
{
    refuse_from(m, "::1", (struct weir_connect_options){.size = 0});
}

MAKER(connect_self, it_is_refused_before_the_first_bytes_go_with_the_syn, m)
{
    refuse_from(m, "127.0.0.1",
                (struct weir_connect_options){.fast_open = true});
}

MAKER(connect_self, it_is_refused_by_each_address_of_a_name, m)
{
    char text[256];
    const uint16_t port = free_port("::");
    expect_refused(m, "localhost", port,
                   SIZED(weir_connect_options, .local_port = port,
                         .error_text = text, .error_text_size = sizeof(text)));
    cr_assert(strstr(text, "[::1]:"), "%s", text);
    cr_assert(strstr(text, "; 127.0.0.1:"), "%s", text);
}

MAKER(connect_self, the_port_is_free_again_at_once, m)
{
    const uint16_t port = free_port("127.0.0.1");
    const struct weir_address local = peer_address("127.0.0.1", port);
    expect_refused(m, "127.0.0.1", port,
                   SIZED(weir_connect_options, .local_address = &local));

    const int fd = socket(AF_INET, SOCK_STREAM, 0);
    expect_eq(bind(fd, &local.storage.any, local.len), 0);
    expect_eq(listen(fd, 1), 0);
    close(fd);
}

MAKER(connect_self, another_socket_at_the_same_address_is_none, m)
{
    struct weir_address address;
    const int listener = peer_listen(1, &address);
    const struct weir_address local = peer_address("127.0.0.1", 0);
    expect_ok(weir_create_connection(
        m->loop, &m->factory, "127.0.0.1", address_port(&address),
        SIZED(weir_connect_options, .local_address = &local),
        maker_connect_done, m, NULL));
    maker_expect_done(m, 0);
    close(listener);
}

MAKER(connect_self, another_socket_with_the_same_port_is_none, m)
{
    struct weir_address address;
    const int listener = peer_listen(1, &address);
    const uint16_t port = address_port(&address);
    /* An address from which no other test connects. */
    const struct weir_address local = peer_address("127.7.7.7", port);
    expect_ok(weir_create_connection(
        m->loop, &m->factory, "127.0.0.1", port,
        SIZED(weir_connect_options, .local_address = &local),
        maker_connect_done, m, NULL));
    maker_expect_done(m, 0);
    close(listener);
}
