/*
 * Options of servers that the kernel implements: how they reach the listening
 * socket, and a start in which one is refused.
 *
 * server.c and keep_alive.c have options that accepted connections inherit.
 */
#include "tests/contract/fail_calls.h"
#include "tests/contract/maker.h"

#include <sys/syscall.h>

/* The kernel converts the times to numbers of retransmissions, and reports how
 * long these take. */
MAKER(server_options, defer_accept_is_rounded_up_to_seconds, m)
{
    static const struct {
        uint64_t time_ns;
        int seconds;
    } rows[] = {{1, 1}, {1000 * MS, 1}, {1000 * MS + 1, 3}, {3000 * MS, 3}};

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct weir_server_options options = {.size = sizeof(options)};
        options.defer_accept_ns = rows[i].time_ns;
        m->done = 0;
        maker_serve(m, "127.0.0.1", &options);
        const int fd = weir_server_get_socket(m->server, 0, NULL);
        expect_eq(get_option(fd, IPPROTO_TCP, TCP_DEFER_ACCEPT),
                  rows[i].seconds);
        weir_server_free(m->server);
        m->server = NULL;
    }
}

MAKER(server_options, defer_accept_waits_for_the_first_byte, m)
{
    struct weir_server_options options = {.size = sizeof(options)};
    options.defer_accept_ns = WEIR_SECONDS(5);
    maker_serve(m, "127.0.0.1", &options);
    int fd = peer_connect(m);

    maker_run_for(m, 30 * MS);
    expect_eq(m->made, 0);
    expect_eq(send(fd, "x", 1, 0), 1);
    maker_run(m, maker_is_made);

    close(fd);
}

MAKER(server_options, an_option_that_is_refused_is_an_error_of_the_start, m)
{
    const struct weir_server_options options = {.size = sizeof(options),
                                                .defer_accept_ns = 1000 * MS};
    fail_calls_of(SYS_setsockopt, 2, TCP_DEFER_ACCEPT, EPERM);
    maker_begin_server(m, "127.0.0.1", 0, &options);
    maker_expect_done(m, -EPERM);
    weir_server_free(m->server);

    fail_calls_of(SYS_setsockopt, 2, SO_REUSEADDR, EPERM);
    m->done = 0;
    maker_begin_server(m, "127.0.0.1", 0, NULL);
    maker_expect_done(m, -EPERM);
}
