/*
 * What connects, datagram endpoints and servers have tried: each address, the
 * local address and the error, as a list and as a line of text.
 *
 * Attempts that were ended by a limit on the whole operation are included.
 */
#include "tests/contract/maker.h"

#include <weir/connect.h>
#include <weir/datagram.h>
#include <weir/pipe.h>

static weir_pending *pending;
static struct weir_attempt first;
static int tried;
static char text[512];

/* Reads the list inside done, where the handle is still valid. */
static void read_attempts(struct maker *m)
{
    struct weir_attempt attempt = {.size = sizeof(attempt)};

    tried = 0;
    while (weir_pending_get_attempt(pending, (size_t)tried, &attempt) == 0) {
        first = tried == 0 ? attempt : first;
        tried++;
    }
}

static int try_at(struct maker *m, struct weir_endpoint endpoint,
                  struct weir_connect_options *options)
{
    options->size = sizeof(*options);
    options->error_text = text;
    options->error_text_size = sizeof(text);
    memset(text, 'x', sizeof(text));
    m->in_done = read_attempts;
    expect_ok(weir_create_connection_at(m->loop, &m->factory, endpoint, options,
                                        maker_connect_done, m, &pending));
    maker_run(m, maker_is_done);
    return m->done_err;
}

static struct weir_address refusing(void)
{
    struct weir_address address;

    close(peer_listen(1, &address));
    return address;
}

MAKER(attempts, a_refused_one_has_its_address_and_the_own_one, m)
{
    struct weir_connect_options options = {.error_text = NULL};
    const struct weir_address peer = refusing();
    char wanted[100];
    char own[WEIR_ADDRESS_TEXT_SIZE];

    expect_eq(try_at(m, weir_endpoint_addresses(&peer, 1), &options),
              -ECONNREFUSED);

    expect_eq(tried, 1);
    cr_expect(weir_address_is_equal(&first.address, &peer));
    expect_eq(first.err, -ECONNREFUSED);
    snprintf(wanted, sizeof(wanted),
             "127.0.0.1:%u: Connection refused (from %s)", address_port(&peer),
             weir_address_format(&first.own_address, own, sizeof(own)));
    expect_str_eq(text, wanted);
    expect_eq(strncmp(own, "127.0.0.1:", 10), 0, "%s", own);
}

MAKER(attempts, an_own_address_that_was_asked_for_is_told, m)
{
    struct weir_connect_options options = {.error_text = NULL};
    const struct weir_address peer = refusing();
    const struct weir_address own = peer_address("127.0.0.9", 0);
    const struct weir_address none = peer_address("192.0.2.77", 0);

    options.local_address = &own;
    expect_eq(try_at(m, weir_endpoint_addresses(&peer, 1), &options),
              -ECONNREFUSED);
    expect_eq(first.own_address.storage.inet.sin_addr.s_addr,
              own.storage.inet.sin_addr.s_addr);

    m->done = 0;
    options.local_address = &none;
    expect_eq(try_at(m, weir_endpoint_addresses(&peer, 1), &options),
              -EADDRNOTAVAIL);
    cr_expect(weir_address_is_equal(&first.own_address, &none),
              "the one that this machine lacks");
}

MAKER(attempts, what_a_limit_of_the_whole_has_ended_is_listed, m)
{
    struct weir_connect_options options = {.timeout_ns = 50 * MS};
    struct weir_address peer;
    char wanted[100];
    const int listener = peer_listen(0, &peer);
    const int full = peer_connect_to(&peer); /* its queue is full */

    options.timeout_ns = 50 * MS;
    expect_geq(full, 0);
    expect_eq(try_at(m, weir_endpoint_addresses(&peer, 1), &options),
              -ETIMEDOUT);

    expect_eq(tried, 1);
    expect_eq(first.err, -ETIMEDOUT);
    cr_expect(address_port(&first.own_address) != 0);
    snprintf(wanted, sizeof(wanted),
             "127.0.0.1:%u: Connection timed out (from 127.0.0.1:%u)",
             address_port(&peer), address_port(&first.own_address));
    expect_str_eq(text, wanted);
    close(full);
    close(listener);
}

MAKER(attempts, a_unix_socket_has_no_own_address, m)
{
    struct weir_connect_options options = {.error_text = NULL};

    expect_eq(try_at(m, weir_endpoint_unix("@weir-nobody-is-here"), &options),
              -ECONNREFUSED);

    expect_eq(tried, 1);
    expect_eq(first.own_address.len, 0);
    expect_str_eq(text, "unix:@weir-nobody-is-here: Connection refused");
}

MAKER(attempts, one_that_succeeds_has_not_failed, m)
{
    struct weir_connect_options options = {.error_text = NULL};
    struct weir_address peers[2] = {refusing()};
    const int listener = peer_listen(1, &peers[1]);

    expect_eq(try_at(m, weir_endpoint_addresses(peers, 2), &options), 0);

    expect_eq(tried, 2);
    expect_eq(first.err, -ECONNREFUSED);
    close(listener);
}

/* Which one comes first depends on the order of the families. */
MAKER(attempts, the_text_names_all_that_have_failed_beside_one_that_succeeds, m)
{
    struct weir_connect_options options = {.error_text = NULL};
    struct weir_address peers[3] = {refusing()};
    char other[WEIR_ADDRESS_TEXT_SIZE];
    const int listener = peer_listen(1, &peers[1]);

    peers[2] = peer_address("::1", address_port(&peers[0]));
    expect_eq(try_at(m, weir_endpoint_addresses(peers, 3), &options), 0);

    expect_eq(tried, 3);
    weir_address_format(&peers[2], other, sizeof(other));
    expect_eq(strncmp(text, "127.0.0.1:", 10), 0, "%s", text);
    cr_expect_not_null(strstr(text, other), "%s", text);
    close(listener);
}

static int endpoint_create(void *arg, weir_transport *t,
                           struct weir_protocol_binding *ret)
{
    static CALLBACKS(protocol, DATAGRAM);

    *ret = (struct weir_protocol_binding){&protocol, arg};
    return 0;
}

static void begin_endpoint(struct maker *m, struct weir_endpoint local,
                           struct weir_endpoint remote)
{
    static const struct weir_factory factory = {.create = endpoint_create};

    m->in_done = read_attempts;
    expect_ok(weir_create_datagram_endpoint_at(m->loop, &factory, local, remote,
                                               NULL, maker_connect_done, m,
                                               &pending));
    first.size = sizeof(first);
    expect_eq(weir_pending_get_attempt(pending, 0, &first), -EINVAL, "not yet");
}

static int make_endpoint(struct maker *m, struct weir_endpoint local,
                         struct weir_endpoint remote)
{
    begin_endpoint(m, local, remote);
    maker_run(m, maker_is_done);
    if (m->done_t) {
        expect_ok(weir_transport_abort(m->done_t));
    }
    return m->done_err;
}

MAKER(attempts, of_an_endpoint_are_own_addresses_where_it_has_no_peer, m)
{
    const struct weir_address foreign = peer_address("192.0.2.77", 9000);
    const struct weir_address own = peer_address("127.0.0.9", 0);

    expect_eq(make_endpoint(m, weir_endpoint_addresses(&foreign, 1),
                            weir_endpoint_none()),
              -EADDRNOTAVAIL);
    expect_eq(tried, 1);
    cr_expect(weir_address_is_equal(&first.address, &foreign));
    expect_eq(first.err, -EADDRNOTAVAIL);
    m->done = 0;
    expect_ok(make_endpoint(m, weir_endpoint_addresses(&own, 1),
                            weir_endpoint_none()));
    expect_eq(tried, 1);
    expect_eq(first.err, 0);
    expect_gt(address_port(&first.own_address), 0, "the kernel's choice");
    cr_expect(weir_address_is_equal(&first.address, &first.own_address));
}

MAKER(attempts, of_an_endpoint_are_addresses_of_its_peer_and_its_own, m)
{
    const struct weir_address own = peer_address("127.0.0.9", 0);
    const struct weir_address far = peer_address("192.0.2.77", 9000);
    const struct weir_address near = peer_address("127.0.0.1", 9000);
    const struct weir_address all = peer_address("255.255.255.255", 9000);

    expect_lt(make_endpoint(m, weir_endpoint_addresses(&own, 1),
                            weir_endpoint_addresses(&far, 1)),
              0, "not from the loopback");
    expect_eq(tried, 1);
    expect_eq(first.err, m->done_err);
    cr_expect(weir_address_is_equal(&first.address, &far));
    cr_expect(weir_address_is_equal(&first.own_address, &own));
    m->done = 0;
    expect_lt(make_endpoint(m, weir_endpoint_none(),
                            weir_endpoint_addresses(&all, 1)),
              0, "without allow_broadcast");
    expect_eq(first.own_address.len, 0, "none was asked for");
    m->done = 0;
    expect_ok(make_endpoint(m, weir_endpoint_none(),
                            weir_endpoint_addresses(&near, 1)));
    expect_eq(tried, 1);
    cr_expect(weir_address_is_equal(&first.address, &near));
    expect_eq(first.own_address.storage.inet.sin_addr.s_addr,
              near.storage.inet.sin_addr.s_addr);
}

MAKER(attempts, of_an_endpoint_whose_address_is_in_use_are_told_meanwhile, m)
{
    struct weir_attempt attempt = {.size = sizeof(attempt)};
    struct weir_address own = peer_address("127.0.0.1", 0);
    const int taken = socket(AF_INET, SOCK_DGRAM, 0);

    expect_ok(bind(taken, &own.storage.any, own.len));
    expect_ok(getsockname(taken, &own.storage.any, &own.len));
    begin_endpoint(m, weir_endpoint_addresses(&own, 1), weir_endpoint_none());
    RUN_UNTIL(m->loop, weir_pending_get_attempt(pending, 0, &attempt) == 0);
    expect_eq(attempt.err, -EADDRINUSE);
    cr_expect(weir_address_is_equal(&attempt.address, &own));
    expect_eq(m->done, 0, "it is tried again");
    weir_pending_cancel(pending);
    maker_run(m, maker_is_done);
    expect_eq(m->done_err, -ECANCELED);
    close(taken);
}

MAKER(attempts, of_an_endpoint_are_the_latest_when_it_is_made_at_last, m)
{
    struct weir_attempt attempt = {.size = sizeof(attempt)};
    struct weir_address own = peer_address("127.0.0.1", 0);
    const int taken = socket(AF_INET, SOCK_DGRAM, 0);

    expect_ok(bind(taken, &own.storage.any, own.len));
    expect_ok(getsockname(taken, &own.storage.any, &own.len));
    begin_endpoint(m, weir_endpoint_addresses(&own, 1), weir_endpoint_none());
    RUN_UNTIL(m->loop, weir_pending_get_attempt(pending, 0, &attempt) == 0);
    close(taken);
    maker_run(m, maker_is_done);
    expect_eq(m->done_err, 0);
    expect_eq(tried, 1);
    expect_eq(first.err, 0);
    expect_ok(weir_transport_abort(m->done_t));
}

static int listen_at(struct maker *m, const struct weir_address *at,
                     size_t count)
{
    expect_ok(weir_create_server_at(m->loop, &m->factory,
                                    weir_endpoint_addresses(at, count), NULL,
                                    maker_server_done, m, &m->server));
    expect_eq(weir_server_get_attempt(m->server, 0, &first), -EINVAL, "none");
    maker_run(m, maker_is_done);
    return m->done_err;
}

static struct weir_attempt attempt_of(const struct maker *m, size_t index)
{
    struct weir_attempt attempt = {.size = sizeof(attempt)};

    expect_ok(weir_server_get_attempt(m->server, index, &attempt));
    return attempt;
}

MAKER(attempts, of_a_server_are_told_with_those_that_it_has_skipped, m)
{
    const struct weir_address at[] = {peer_address("192.0.2.77", 0),
                                      peer_address("127.0.0.1", 0)};
    struct weir_address bound;

    first.size = sizeof(first);
    expect_eq(listen_at(m, at, 2), 0);
    expect_eq(attempt_of(m, 0).err, -EADDRNOTAVAIL);
    expect_eq(attempt_of(m, 0).own_address.len, 0);
    first = attempt_of(m, 0);
    cr_expect(weir_address_is_equal(&first.address, &at[0]));
    first = attempt_of(m, 1);
    expect_eq(first.err, 0);
    expect_geq(weir_server_get_socket(m->server, 0, &bound), 0);
    cr_expect(weir_address_is_equal(&first.own_address, &bound));
    expect_eq(weir_server_get_attempt(m->server, 2, &first), -EINVAL);
    first.size = 0;
    expect_eq(weir_server_get_attempt(m->server, 0, &first), WEIR_EOPTIONSIZE);
}

MAKER(attempts, of_a_server_say_which_address_is_in_use_while_it_starts, m)
{
    struct weir_address at[2];
    struct weir_attempt attempt = {.size = sizeof(attempt)};
    const int taken = peer_listen(1, &at[1]);

    at[0] = peer_address("127.0.0.2", address_port(&at[1]));
    expect_ok(weir_create_server_at(m->loop, &m->factory,
                                    weir_endpoint_addresses(at, 2), NULL,
                                    maker_server_done, m, &m->server));
    RUN_UNTIL(m->loop,
              weir_server_get_attempt(m->server, 1, &attempt) == 0 || m->done);
    expect_eq(m->done, 0, "it is tried again");
    expect_eq(attempt.err, -EADDRINUSE);
    cr_expect(weir_address_is_equal(&attempt.address, &at[1]));
    expect_eq(attempt_of(m, 0).err, 0);
    weir_server_close(m->server);
    maker_run(m, maker_is_done);
    expect_eq(m->done_err, -ECANCELED);
    expect_eq(attempt_of(m, 1).err, -EADDRINUSE, "it has not gone on");
    close(taken);
}

/* Its first address is in use, so the second is tried later. */
MAKER(attempts, of_a_server_are_the_latest_when_it_has_started_at_last, m)
{
    struct weir_address at[2];
    struct weir_address bound;
    struct weir_attempt attempt = {.size = sizeof(attempt)};
    const int taken = peer_listen(1, &at[0]);

    at[1] = peer_address("127.0.0.2", address_port(&at[0]));
    expect_ok(weir_create_server_at(m->loop, &m->factory,
                                    weir_endpoint_addresses(at, 2), NULL,
                                    maker_server_done, m, &m->server));
    RUN_UNTIL(m->loop,
              weir_server_get_attempt(m->server, 0, &attempt) == 0 || m->done);
    expect_eq(attempt.err, -EADDRINUSE);
    expect_eq(weir_server_get_attempt(m->server, 1, &attempt), -EINVAL,
              "it was not tried");
    close(taken);
    maker_expect_done(m, 0);
    for (size_t i = 0; i < 2; i++) {
        first = attempt_of(m, i);
        expect_eq(first.err, 0);
        expect_geq(weir_server_get_socket(m->server, i, &bound), 0);
        cr_expect(weir_address_is_equal(&first.own_address, &bound));
    }
    expect_eq(weir_server_get_attempt(m->server, 2, &attempt), -EINVAL);
}

MAKER(attempts, an_operation_that_tries_no_address_has_none, m)
{
    struct weir_attempt attempt = {.size = sizeof(attempt)};
    int ends[2];

    expect_eq(pipe(ends), 0);
    expect_ok(weir_connect_read_pipe(m->loop, &m->factory, ends[0], NULL,
                                     maker_connect_done, m, &pending));
    expect_eq(weir_pending_get_attempt(pending, 0, &attempt), -EINVAL);
    attempt.size = 0;
    expect_eq(weir_pending_get_attempt(pending, 0, &attempt), WEIR_EOPTIONSIZE);
    weir_pending_cancel(pending);
    maker_run(m, maker_is_done);
    close(ends[1]);
}
