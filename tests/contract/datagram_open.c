/*
 * Datagram endpoints with a protocol of the program that a task waits for.
 *
 * The protocol counts its calls and received bytes, and may abort the endpoint
 * in connection_made.
 */
#define UNIT_RUN   task_run
#define UNIT_TAKES weir_loop *loop
#include "tests/bind.h"
#include "tests/task.h"

#include <errno.h>
#include <fcntl.h>
#include <weir/datagram_stream.h>
#include <weir/error.h>

struct counter {
    weir_loop *loop;
    int made;
    int lost;
    size_t received;
    bool aborts;           /* in connection_made */
    weir_task *interrupts; /* in connection_made; may be NULL */
};

static void counter_made(void *user, weir_transport *t)
{
    struct counter *counter = user;
    counter->made++;
    if (counter->aborts) {
        expect_eq(weir_transport_abort(t), 0);
    }
    if (counter->interrupts) {
        cr_expect(weir_task_cancel(counter->interrupts));
    }
}

static void counter_lost(void *user, weir_transport *t, int err)
{
    struct counter *counter = user;
    counter->lost++;
}

static int counter_received(void *user, weir_transport *t,
                            const struct weir_datagram *datagram)
{
    struct counter *counter = user;
    counter->received += datagram->buf.len;
    return 0;
}

static CALLBACKS(counter_protocol, DATAGRAM, .connection_made = counter_made,
                 .connection_lost = counter_lost,
                 .datagram_received = counter_received);

UNIT(datagram_open, a_task_may_wait_for_an_endpoint_with_a_protocol)
{
    struct counter server = {.loop = loop};
    struct counter client = {.loop = loop};
    const struct weir_factory servers = bind_to(&counter_protocol, &server);
    const struct weir_factory clients = bind_to(&counter_protocol, &client);
    const struct weir_datagram_options options = {.size = sizeof(options),
                                                  .local_host = "127.0.0.1"};
    const struct weir_datagram_options none = {.size = sizeof(none)};
    struct weir_address address;
    weir_transport *t = NULL;
    weir_transport *other = NULL;

    expect_eq(weir_open_datagram_endpoint(loop, &servers, &options, NULL),
              -EINVAL);
    expect_eq(weir_open_datagram_endpoint(loop, &servers, &none, &t), -EINVAL);
    expect_eq(weir_open_datagram_endpoint(loop, &servers, &options, &t), 0);
    expect_eq(server.made, 1);
    weir_transport_get_sockname(t, &address);
    expect_ok(weir_open_datagram_endpoint_at(
        loop, &clients, weir_endpoint_none(),
        weir_endpoint_addresses(&address, 1), NULL, &other));
    expect_eq(weir_transport_sendto(other, "abc", 3, NULL), 0);
    while (server.received == 0) {
        expect_eq(weir_yield(loop), 0);
    }
    expect_eq(server.received, 3);
    expect_eq(weir_transport_close(t), 0);
    expect_eq(weir_transport_close(other), 0);
    weir_transport_unref(t);
    weir_transport_unref(other);
    while (server.lost + client.lost < 2) {
        expect_eq(weir_yield(loop), 0);
    }
}

UNIT(datagram_open, an_endpoint_that_its_protocol_ends_is_given_all_the_same)
{
    struct counter counter = {.loop = loop, .aborts = true};
    const struct weir_factory factory = bind_to(&counter_protocol, &counter);
    const struct weir_datagram_options options = {.size = sizeof(options),
                                                  .family = AF_INET};
    weir_transport *t = NULL;

    expect_eq(weir_open_datagram_endpoint(loop, &factory, &options, &t), 0);
    cr_assert(weir_transport_is_closing(t), "the reference keeps it");
    weir_transport_unref(t);
    while (counter.lost == 0) {
        expect_eq(weir_yield(loop), 0);
    }
}

UNIT(datagram_open, an_endpoint_whose_protocol_interrupts_the_task_is_gone)
{
    struct counter counter = {.loop = loop,
                              .interrupts = weir_task_get_current(loop)};
    const struct weir_factory factory = bind_to(&counter_protocol, &counter);
    const struct weir_datagram_options options = {.size = sizeof(options),
                                                  .family = AF_INET};
    weir_transport *t = NULL;

    expect_eq(weir_open_datagram_endpoint(loop, &factory, &options, &t),
              -ECANCELED);
    cr_assert_null(t);
    while (counter.lost == 0) {
        expect_eq(weir_yield(loop), 0, "it was told once");
    }
    expect_eq(counter.made, 1);
}

/* The call owns the socket at once, whatever it returns. */
static void expect_refused(weir_loop *loop, const struct weir_factory *factory,
                           struct weir_endpoint remote,
                           const struct weir_datagram_options *options, int err)
{
    const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    weir_transport *t = NULL;

    expect_geq(fd, 0);
    expect_eq(weir_open_datagram_endpoint_at(
                  loop, factory, weir_endpoint_fd(fd), remote, options, &t),
              err);
    cr_assert_null(t);
    expect_eq(fcntl(fd, F_GETFD), -1, "it is closed");
}

UNIT(datagram_open, a_call_that_cannot_be_says_why_and_closes_its_socket)
{
    struct counter counter = {.loop = loop};
    const struct weir_factory factory = bind_to(&counter_protocol, &counter);
    const struct weir_factory empty = {.create = NULL};
    const struct weir_datagram_options unsized = {.size = 0};
    struct weir_address peer;

    expect_ok(weir_address_parse("127.0.0.1", 9000, &peer));
    expect_refused(loop, &factory, weir_endpoint_addresses(&peer, 1), NULL,
                   -EINVAL);
    expect_refused(loop, &factory, weir_endpoint_none(), &unsized,
                   WEIR_EOPTIONSIZE);
    expect_refused(loop, NULL, weir_endpoint_none(), NULL, -EINVAL);
    expect_refused(loop, &empty, weir_endpoint_none(), NULL, -EINVAL);
    expect_eq(counter.made, 0);
}

static int open_and_wait(weir_loop *loop, void *arg)
{
    const struct weir_factory factory = bind_to(&counter_protocol, arg);
    const struct weir_datagram_options options = {.size = sizeof(options),
                                                  .family = AF_INET};
    weir_transport *t = NULL;

    const int err = weir_open_datagram_endpoint(loop, &factory, &options, &t);
    if (err == 0) {
        expect_eq(weir_transport_abort(t), 0);
        weir_transport_unref(t);
    }
    return err;
}

UNIT(datagram_open, an_endpoint_that_was_cancelled_at_any_turn_is_gone)
{
    struct counter counter = {.loop = loop};
    int result = -ECANCELED;
    int cancelled = 0;

    for (int turns = 0; result == -ECANCELED; turns++) {
        weir_task *task;
        expect_lt(turns, 50);
        expect_ok(weir_task_spawn(loop, open_and_wait, &counter, NULL, &task));
        for (int i = 0; i < turns; i++) {
            expect_eq(weir_yield(loop), 0);
        }
        weir_task_cancel(task);
        expect_eq(weir_task_join(task, &result), 0);
        cr_assert(result == 0 || result == -ECANCELED);
        cancelled += result == -ECANCELED;
    }
    expect_geq(cancelled, 2, "before it ran, and while it waited");
    while (counter.lost < counter.made) {
        expect_eq(weir_yield(loop), 0);
    }
}
