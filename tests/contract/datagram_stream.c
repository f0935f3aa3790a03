/*
 * Datagram streams: tasks that receive from an endpoint with calls.
 *
 * Most tests have two streams on one loop, a client connected to a server, over
 * UDP on the loopback interface. Other suites test endpoints themselves.
 */
#define UNIT_RUN   run
#define UNIT_TAKES weir_loop *loop
#include "tests/statistics.h"
#include "tests/task.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <weir/datagram_stream.h>
#include <weir/error.h>

#define MS UINT64_C(1000000)

static weir_datagram_stream *open_stream(weir_loop *loop, const char *remote,
                                         uint16_t port, uint32_t queue_count)
{
    const struct weir_datagram_stream_options options = {
        .size = sizeof(options),
        .queue_count = queue_count,
        .endpoint = {.local_host = "127.0.0.1",
                     .remote_host = remote,
                     .remote_port = port}};
    weir_datagram_stream *stream = NULL;

    expect_eq(weir_open_datagram_stream(loop, &options, &stream), 0);
    cr_assert_not_null(stream);
    return stream;
}

static struct weir_address address_of(const weir_datagram_stream *stream)
{
    struct weir_address address;

    weir_transport_get_sockname(weir_datagram_stream_get_transport(stream),
                                &address);
    return address;
}

static uint16_t port_of(const weir_datagram_stream *stream)
{
    return ntohs(address_of(stream).storage.inet.sin_port);
}

struct two {
    weir_datagram_stream *server;
    weir_datagram_stream *client;
};

static struct two open_two(weir_loop *loop, uint32_t queue_count)
{
    struct two two = {.server = open_stream(loop, NULL, 0, queue_count)};

    two.client = open_stream(loop, "127.0.0.1", port_of(two.server), 0);
    return two;
}

static void free_two(struct two *two)
{
    weir_datagram_stream_free(two->client);
    weir_datagram_stream_free(two->server);
}

/* Runs on one CPU, so that datagrams keep their order: over the loopback
 * interface they pass through a queue of the sending CPU. */
static void run(task_body_fn *body)
{
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET((size_t)sched_getcpu(), &one);
    expect_eq(sched_setaffinity(0, sizeof(one), &one), 0);
    task_run(body);
}

UNIT(datagram_stream, two_tasks_talk)
{
    struct two two = open_two(loop, 0);
    struct weir_address peer;
    struct weir_address client;
    char text[16];

    expect_eq(weir_datagram_stream_send(two.client, "hello", 5, NULL), 0);
    expect_eq(weir_datagram_stream_recv(two.server, text, sizeof(text), &peer),
              5);
    expect_eq(memcmp(text, "hello", 5), 0);
    client = address_of(two.client);
    cr_assert(weir_address_is_equal(&peer, &client));
    expect_eq(weir_datagram_stream_send(two.server, "you", 3, &peer), 0);
    expect_eq(weir_datagram_stream_drain(two.server), 0);
    expect_eq(weir_datagram_stream_recv(two.client, text, sizeof(text), NULL),
              3);
    expect_eq(memcmp(text, "you", 3), 0);
    free_two(&two);
}

UNIT(datagram_stream, empty_long_and_leased_datagrams_arrive)
{
    struct two two = open_two(loop, 0);
    struct weir_datagram datagram = {.size = sizeof(datagram)};
    char text[4];

    expect_eq(weir_datagram_stream_send(two.client, NULL, 0, NULL), 0);
    expect_eq(weir_datagram_stream_send(two.client, "too long", 8, NULL), 0);
    expect_eq(weir_datagram_stream_send(two.client, "leased", 6, NULL), 0);
    expect_eq(weir_datagram_stream_send(two.client, "", 0, NULL), 0);
    expect_eq(weir_datagram_stream_recv(two.server, text, sizeof(text), NULL),
              0);
    expect_eq(weir_datagram_stream_recv(two.server, text, sizeof(text), NULL),
              8);
    expect_eq(memcmp(text, "too ", 4), 0);
    expect_eq(weir_datagram_stream_take(two.server, &datagram), 0);
    expect_eq(datagram.buf.len, 6);
    expect_eq(memcmp(datagram.buf.data, "leased", 6), 0);
    weir_buf_unref(datagram.buf.lease);
    expect_eq(weir_datagram_stream_take(two.server, &datagram), 0);
    expect_eq(datagram.buf.len, 0);
    cr_assert_null(datagram.buf.lease);
    free_two(&two);
}

enum { MANY = 1000, PLACES = 4 };

UNIT(datagram_stream, a_full_queue_stops_reading_and_keeps_the_order)
{
    struct two two = open_two(loop, PLACES);
    uint32_t number;

    for (uint32_t i = 0; i < MANY; i++) {
        expect_ok(weir_datagram_stream_send(two.client, &i, sizeof(i), NULL));
        expect_eq(weir_datagram_stream_drain(two.client), 0);
    }
    while (weir_transport_is_reading(
        weir_datagram_stream_get_transport(two.server))) {
        expect_eq(weir_sleep(loop, MS), 0);
    }
    uint32_t expected = 0;
    while (expected < 100) { /* the kernel's queue has space for these */
        expect_eq(weir_datagram_stream_recv(two.server, &number, sizeof(number),
                                            NULL),
                  sizeof(number));
        expect_eq(number, expected);
        expected++;
    }
    free_two(&two);
}

static int received_count;

static int receive_one(weir_loop *loop, void *arg)
{
    weir_datagram_stream *stream = arg;
    char byte;

    const ssize_t len = weir_datagram_stream_recv(stream, &byte, 1, NULL);
    if (len == 1) {
        received_count++;
        return 0;
    }
    return (int)len;
}

static weir_task *spawn_receiver(weir_loop *loop, weir_datagram_stream *stream)
{
    weir_task *task = NULL;

    expect_eq(weir_task_spawn(loop, receive_one, stream, NULL, &task), 0);
    return task;
}

static int join(weir_task *task)
{
    int result = 0;
    const int err = weir_task_join(task, &result);

    return err < 0 ? err : result;
}

UNIT(datagram_stream, several_tasks_receive_and_a_cancelled_one_loses_nothing)
{
    struct two two = open_two(loop, 0);
    weir_task *tasks[8];

    received_count = 0;
    for (int i = 0; i < 8; i++) {
        tasks[i] = spawn_receiver(loop, two.server);
    }
    expect_eq(weir_sleep(loop, 0), 0);
    for (int i = 0; i < 7; i++) {
        expect_eq(weir_datagram_stream_send(two.client, "x", 1, NULL), 0);
    }
    weir_task_cancel(tasks[0]); /* takes no datagram with it */
    for (int i = 0; i < 8; i++) {
        const int err = join(tasks[i]);
        expect_eq(err, i == 0 ? -ECANCELED : 0);
    }
    expect_eq(received_count, 7);
    free_two(&two);
}

UNIT(datagram_stream, a_datagram_goes_to_the_next_task_when_one_is_cancelled)
{
    struct two two = open_two(loop, 0);

    received_count = 0;
    for (int i = 0; i < 200; i++) {
        weir_task *first = spawn_receiver(loop, two.server);
        weir_task *second = spawn_receiver(loop, two.server);
        expect_eq(weir_sleep(loop, 0), 0);
        expect_eq(weir_datagram_stream_send(two.client, "x", 1, NULL), 0);
        for (int turns = i % 4; turns > 0; turns--) {
            expect_eq(weir_sleep(loop, 0), 0);
        }
        weir_task_cancel(first);
        const int before = received_count;
        const int err = join(first);
        if (err == 0) {
            weir_task_cancel(second);
            expect_eq(join(second), -ECANCELED);
        } else {
            expect_eq(err, -ECANCELED);
            expect_eq(join(second), 0);
            expect_eq(received_count, before + 1);
        }
        expect_eq(received_count, i + 1);
    }
    free_two(&two);
}

UNIT(datagram_stream, a_refusal_is_told_once_and_the_stream_goes_on)
{
    struct two two = open_two(loop, 0);
    const uint16_t port = port_of(two.server);
    char byte;

    const int fd = weir_transport_get_socket(
        weir_datagram_stream_get_transport(two.server));
    weir_datagram_stream_free(two.server);
    while (fcntl(fd, F_GETFD) >= 0) {
        expect_eq(weir_sleep(loop, MS), 0);
    }
    expect_eq(weir_datagram_stream_send(two.client, "x", 1, NULL), 0);
    expect_eq(weir_datagram_stream_recv(two.client, &byte, 1, NULL),
              -ECONNREFUSED);
    weir_datagram_stream *server = NULL;
    const struct weir_datagram_stream_options options = {
        .size = sizeof(options),
        .endpoint = {.local_host = "127.0.0.1", .local_port = port}};
    expect_eq(weir_open_datagram_stream(loop, &options, &server), 0);
    expect_eq(weir_datagram_stream_send(two.client, "y", 1, NULL), 0);
    expect_eq(weir_datagram_stream_recv(server, &byte, 1, NULL), 1);
    expect_eq(byte, 'y');
    weir_datagram_stream_free(server);
    weir_datagram_stream_free(two.client);
}

UNIT(datagram_stream, what_arrived_before_a_close_can_be_received)
{
    struct two two = open_two(loop, 0);
    char byte;

    expect_eq(weir_datagram_stream_send(two.client, "x", 1, NULL), 0);
    while (statistics_of(loop).received_bytes == 0) {
        expect_eq(weir_sleep(loop, MS), 0);
    }
    weir_datagram_stream_close(two.server);
    weir_datagram_stream_close(two.server);
    expect_eq(weir_datagram_stream_wait_closed(two.server), 0);
    expect_eq(weir_datagram_stream_recv(two.server, &byte, 1, NULL), 1);
    expect_eq(weir_datagram_stream_recv(two.server, &byte, 1, NULL),
              -ESHUTDOWN);
    expect_eq(weir_datagram_stream_drain(two.server), -ESHUTDOWN);
    const struct weir_address peer = address_of(two.client);
    expect_eq(weir_datagram_stream_send(two.server, "x", 1, &peer), -ESHUTDOWN);
    free_two(&two);
}

UNIT(datagram_stream, a_stream_is_freed_while_a_task_waits)
{
    struct two two = open_two(loop, 0);

    weir_task *task = spawn_receiver(loop, two.server);
    expect_eq(weir_sleep(loop, 0), 0);
    expect_eq(weir_datagram_stream_send(two.client, "x", 1, NULL), 0);
    free_two(&two);
    expect_eq(join(task), -ECANCELED);
}

static weir_datagram_stream *left;

static int leave(weir_loop *loop, void *arg)
{
    left = open_stream(loop, NULL, 0, 0);
    weir_task_unref(spawn_receiver(loop, left));
    return 0;
}

UNIT_IN(datagram_stream, a_stream_outlives_its_loop, unit_alone, void)
{
    expect_eq(weir_run(NULL, leave, NULL), 0);
    weir_datagram_stream_free(left);
}

UNIT(datagram_stream, bad_options_are_refused_and_a_socket_is_adopted)
{
    int fds[2];
    weir_datagram_stream *stream = NULL;
    struct weir_datagram_stream_options options = {.size = sizeof(options)};

    expect_eq(weir_open_datagram_stream(loop, NULL, &stream), -EINVAL);
    expect_eq(weir_open_datagram_stream(loop, &options, &stream), -EINVAL);
    options.endpoint.family = AF_INET;
    expect_eq(weir_open_datagram_stream(loop, &options, NULL), -EINVAL);
    options.queue_count = 65537;
    expect_eq(weir_open_datagram_stream(loop, &options, &stream), -EINVAL);
    options.queue_count = 0;
    options.endpoint.family = AF_UNSPEC;
    expect_eq(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, fds), 0);
    expect_ok(weir_open_datagram_stream_at(loop, weir_endpoint_fd(fds[0]),
                                           weir_endpoint_none(), &options,
                                           &stream));
    expect_eq(write(fds[1], "hi", 2), 2);
    char text[2];
    expect_eq(weir_datagram_stream_recv(stream, text, 2, NULL), 2);
    expect_eq(weir_datagram_stream_recv(stream, NULL, 2, NULL), -EINVAL);
    expect_eq(weir_datagram_stream_take(stream, NULL), -EINVAL);
    struct weir_datagram sizeless = {.size = 0};
    expect_eq(weir_datagram_stream_take(stream, &sizeless), WEIR_EOPTIONSIZE);
    sizeless.size = sizeof(size_t); /* the struct has no space for the lease */
    expect_eq(weir_datagram_stream_take(stream, &sizeless), WEIR_EOPTIONSIZE);
    weir_datagram_stream_free(stream);
    weir_datagram_stream_free(NULL);
    close(fds[1]);
}

UNIT(datagram_stream, a_full_one_bears_that_its_transport_is_resumed)
{
    struct two two = open_two(loop, 1);
    weir_transport *t = weir_datagram_stream_get_transport(two.server);
    char text[4];

    for (int i = 0; i < 3; i++) {
        expect_eq(weir_datagram_stream_send(two.client, "abc", 3, NULL), 0);
    }
    while (weir_transport_is_reading(t)) {
        expect_eq(weir_yield(loop), 0);
    }
    expect_eq(weir_transport_resume_reading(t), 0);
    expect_eq(weir_sleep(loop, 20 * MS), 0);
    expect_eq(weir_datagram_stream_recv(two.server, text, sizeof(text), NULL),
              3);
    free_two(&two);
}

UNIT(datagram_stream, r50__a_stale_file_is_removed_before_the_bind)
{
    char dir[] = "/tmp/weir-datagrams-XXXXXX";
    char path[sizeof(dir) + 2];
    struct weir_address address = {.len = 0};
    const struct weir_datagram_stream_options options = {.size =
                                                             sizeof(options)};
    weir_datagram_stream *stream = NULL;
    weir_datagram_stream *other = NULL;

    cr_assert_not_null(mkdtemp(dir));
    snprintf(path, sizeof(path), "%s/s", dir);
    expect_eq(weir_address_parse_unix(path, &address), 0);
    const int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    expect_eq(bind(fd, &address.storage.any, address.len), 0);
    const int live =
        weir_open_datagram_stream_at(loop, weir_endpoint_addresses(&address, 1),
                                     weir_endpoint_none(), &options, &stream);
    close(fd);
    const int stale =
        weir_open_datagram_stream_at(loop, weir_endpoint_addresses(&address, 1),
                                     weir_endpoint_none(), &options, &stream);
    const int second =
        weir_open_datagram_stream_at(loop, weir_endpoint_addresses(&address, 1),
                                     weir_endpoint_none(), &options, &other);
    weir_datagram_stream_free(stream);
    const bool stays = access(path, F_OK) == 0;
    unlink(path);
    rmdir(dir);
    expect_eq(live, -EADDRINUSE);
    expect_eq(stale, 0);
    expect_eq(second, -EADDRINUSE);
    cr_assert(stays, "after the close");
}

/* Binds a plain socket to a path that fills sun_path, so that @path has no
 * terminating zero. */
static int bind_full_path(const char *dir, struct sockaddr_un *ret)
{
    const size_t len = strlen(dir);
    const int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    *ret = (struct sockaddr_un){.sun_family = AF_UNIX};
    memset(ret->sun_path, 'a', sizeof(ret->sun_path));
    memcpy(ret->sun_path, dir, len);
    ret->sun_path[len] = '/';
    expect_eq(bind(fd, (const struct sockaddr *)ret, sizeof(*ret)), 0);
    return fd;
}

UNIT(datagram_stream, a_peer_may_have_a_path_that_fills_its_address)
{
    char dir[] = "/tmp/weir-datagrams-XXXXXX";
    char path[sizeof(((struct sockaddr_un *)NULL)->sun_path) + 1];
    struct weir_address own = {.len = 0};
    struct weir_address peer;
    struct sockaddr_un full;
    const struct weir_datagram_stream_options options = {.size =
                                                             sizeof(options)};
    weir_datagram_stream *stream = NULL;
    char text[WEIR_ADDRESS_TEXT_SIZE];

    cr_assert_not_null(mkdtemp(dir));
    snprintf(path, sizeof(path), "%s/s", dir);
    expect_eq(weir_address_parse_unix(path, &own), 0);
    expect_ok(
        weir_open_datagram_stream_at(loop, weir_endpoint_addresses(&own, 1),
                                     weir_endpoint_none(), &options, &stream));
    const int fd = bind_full_path(dir, &full);
    expect_eq(sendto(fd, "abc", 3, 0, &own.storage.any, own.len), 3);
    expect_eq(weir_datagram_stream_recv(stream, text, sizeof(text), &peer), 3);
    weir_datagram_stream_free(stream);
    close(fd);
    unlink(path);
    memcpy(path, full.sun_path, sizeof(full.sun_path));
    path[sizeof(full.sun_path)] = '\0';
    unlink(path);
    rmdir(dir);
    cr_assert_leq(peer.len, sizeof(peer.storage.local));
    weir_address_format(&peer, text, sizeof(text));
    expect_str_eq(text + strlen("unix:"), path);
}
