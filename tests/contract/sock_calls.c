/*
 * Suspending calls that receive and send on the program's sockets.
 *
 * They wait, take turns, and a cancelled call has taken no byte that it does
 * not report.
 */
#include "tests/contract/sock_rig.h"

#include <weir/sock.h>
#include <weir/watch.h>

enum { READERS = 5, RACES = 300 };

TASK(sock_calls, recv_waits_for_bytes_and_tells_the_end)
{
    struct call call = {.fd = ends[0]};
    send_text(ends[1], "abc");
    expect_eq(weir_sock_recv(loop, ends[0], call.bytes, 64), 3, "at once");

    weir_task *task = spawn(recv_once, &call);
    settle();
    expect_eq(returned, 0);
    send_text(ends[1], "defgh");
    expect_eq(join(task), 0);
    expect_eq(call.result, 4);
    expect_eq(memcmp(call.bytes, "defg", 4), 0);
    expect_eq(weir_sock_recv(loop, ends[0], call.bytes, 64), 1);

    expect_eq(shutdown(ends[1], SHUT_WR), 0);
    expect_eq(weir_sock_recv(loop, ends[0], call.bytes, 64), 0);
}

TASK(sock_calls, complaint_57__several_readers_of_one_socket_take_turns)
{
    struct call calls[READERS];
    weir_task *tasks[READERS];
    for (int i = 0; i < READERS; i++) {
        calls[i] = (struct call){.fd = ends[0]};
        tasks[i] = spawn(recv_once, &calls[i]);
    }
    settle();
    weir_task_cancel(tasks[2]);
    send_text(ends[1], "aaaabbbbccccdddd");

    for (int i = 0; i < READERS; i++) {
        expect_eq(join(tasks[i]), i == 2 ? -ECANCELED : 0);
    }
    expect_eq(calls[2].result, -ECANCELED);
    expect_eq(memcmp(calls[0].bytes, "aaaa", 4), 0);
    expect_eq(memcmp(calls[1].bytes, "bbbb", 4), 0);
    expect_eq(memcmp(calls[3].bytes, "cccc", 4), 0);
    expect_eq(memcmp(calls[4].bytes, "dddd", 4), 0);
}

TASK(sock_calls, a_cancelled_recv_loses_no_byte)
{
    int got = 0;
    for (int i = 0; i < RACES; i++) {
        struct call call = {.fd = ends[0]};
        weir_task *task = spawn(recv_once, &call);
        for (int j = 0; j < i % 5; j++) {
            expect_eq(weir_yield(loop), 0);
        }
        send_text(ends[1], "x");
        for (int j = 0; j < i % 3; j++) {
            expect_eq(weir_yield(loop), 0);
        }
        weir_task_cancel(task);
        int err = join(task);
        expect_eq(call.result < 0, err == -ECANCELED);
        if (call.result < 0) {
            call.result = weir_sock_recv(loop, ends[0], call.bytes, 64);
        }
        got += (int)call.result;
    }
    expect_eq(got, RACES);
}

static void count_call(void *arg)
{
    ++*(int *)arg;
}

TASK(sock_calls, recv_works_beside_a_callback_that_watches)
{
    struct call call = {.fd = ends[0]};
    int calls = 0;
    expect_eq(weir_loop_add_reader(loop, ends[0], count_call, &calls), 0);
    weir_task *task = spawn(recv_once, &call);
    settle();
    send_text(ends[1], "abcd");
    expect_eq(join(task), 0);

    expect_eq(call.result, 4);
    cr_assert(weir_loop_remove_reader(loop, ends[0]));
}

static size_t read_large(weir_loop *on, size_t at, size_t len)
{
    static char bytes[65536];
    size_t got = 0;
    while (got < len) {
        const ssize_t count = weir_sock_recv(on, ends[1], bytes, sizeof(bytes));
        expect_gt(count, 0);
        expect_eq(memcmp(bytes, large + at + got, (size_t)count), 0);
        got += (size_t)count;
    }
    return got;
}

TASK(sock_calls, sendall_sends_all_as_fast_as_the_peer_reads)
{
    struct sending sending = {.data = large, .len = LARGE};
    fill_large();
    weir_task *task = spawn(send_all, &sending);
    expect_eq(read_large(loop, 0, LARGE), LARGE);
    expect_eq(join(task), 0);
    expect_eq(sending.sent, LARGE);

    close(ends[1]);
    ends[1] = dup(0);
    expect_eq(weir_sock_sendall(loop, ends[0], "x", 1, NULL), -EPIPE);
}

TASK(sock_calls, a_cancelled_sendall_says_how_much_was_sent)
{
    struct sending sending = {.data = large, .len = LARGE};
    fill_large();
    weir_task *task = spawn(send_all, &sending);
    settle();
    weir_task_cancel(task);
    expect_eq(join(task), -ECANCELED);

    expect_eq(sending.result, -ECANCELED);
    expect_gt(sending.sent, 0);
    expect_lt(sending.sent, LARGE);
    expect_eq(read_large(loop, 0, sending.sent), sending.sent);
    expect_eq(recv(ends[1], large, 1, MSG_DONTWAIT), -1, "and not one more");
}

TASK(sock_calls, datagrams_tell_where_they_came_from)
{
    struct weir_address from;
    struct weir_address addresses[2];
    char bytes[8];
    const int fds[2] = {bound(SOCK_DGRAM, &addresses[0]),
                        bound(SOCK_DGRAM, &addresses[1])};
    expect_eq(weir_sock_sendto(loop, fds[0], "hello", 5, &addresses[1]), 5);
    expect_eq(weir_sock_recvfrom(loop, fds[1], bytes, 8, &from), 5);
    expect_eq(memcmp(bytes, "hello", 5), 0);
    cr_assert(weir_address_is_equal(&from, &addresses[0]));
    expect_eq(weir_sock_sendto(loop, fds[1], "", 0, &from), 0);
    expect_eq(weir_sock_recvfrom(loop, fds[0], bytes, 8, NULL), 0);

    expect_eq(weir_sock_sendto(loop, fds[0], "x", 1, NULL), -EDESTADDRREQ);
    expect_eq(weir_sock_connect(loop, fds[0], &addresses[1]), 0);
    expect_eq(weir_sock_sendto(loop, fds[0], "x", 1, NULL), 1);
    expect_eq(weir_sock_recv(loop, fds[1], bytes, 8), 1);
    close_ends(fds);
}

static int bound_alone(int type, struct weir_address *ret)
{
    const int fd = socket(AF_INET, type, 0);
    ret->len = sizeof(ret->storage);
    ret->storage.inet = (struct sockaddr_in){
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    expect_eq(bind(fd, &ret->storage.any, sizeof(ret->storage.inet)), 0);
    expect_eq(getsockname(fd, &ret->storage.any, &ret->len), 0);
    return fd;
}

TASK(sock_calls, a_stream_socket_is_refused_by_itself)
{
    struct weir_address own;
    struct weir_address peer = {.len = sizeof(peer.storage)};
    const int flags[] = {0, SOCK_NONBLOCK};
    for (size_t i = 0; i < 2; i++) {
        const int fd = bound_alone(SOCK_STREAM | flags[i], &own);
        expect_eq(weir_sock_connect(loop, fd, &own), -ECONNREFUSED);
        expect_eq(getpeername(fd, &peer.storage.any, &peer.len), -1,
                  "it is not connected");
        close(fd);
    }
}

TASK(sock_calls, a_datagram_socket_may_be_its_own_peer)
{
    struct weir_address own;
    char byte;
    const int fd = bound_alone(SOCK_DGRAM, &own);
    expect_eq(weir_sock_connect(loop, fd, &own), 0);
    expect_eq(weir_sock_sendall(loop, fd, "x", 1, NULL), 0);
    expect_eq(weir_sock_recv(loop, fd, &byte, 1), 1);
    close(fd);
}

TASK(sock_calls, what_makes_no_sense_is_refused)
{
    struct weir_address none = {.len = 0};
    char byte;
    int pipes[2];
    expect_eq(pipe(pipes), 0);
    expect_eq(weir_sock_recv(loop, -1, &byte, 1), -EBADF);
    expect_eq(weir_sock_recv(loop, 12345, &byte, 1), -EBADF);
    expect_eq(weir_sock_recv(loop, pipes[0], &byte, 1), -ENOTSOCK);
    expect_eq(weir_sock_recv(loop, ends[0], NULL, 1), -EINVAL);
    expect_eq(weir_sock_sendall(loop, ends[0], NULL, 1, NULL), -EINVAL);
    expect_eq(weir_sock_accept(loop, ends[0], NULL), -EINVAL);
    expect_eq(weir_sock_connect(loop, ends[0], NULL), -EINVAL);
    expect_eq(weir_sock_connect(loop, ends[0], &none), -EINVAL);
    expect_eq(weir_sock_sendto(loop, ends[0], "x", 1, &none), -EINVAL);
    close_ends(pipes);
}

TASK(sock_calls, r62__the_descriptor_of_a_transport_is_refused)
{
    CALLBACKS(silent, STREAM, .connection_made = keep_connection);
    char byte;
    const int peer = adopt_pair(&silent, NULL);
    settle();
    const int fd = weir_transport_get_socket(connection);
    expect_eq(weir_sock_recv(loop, fd, &byte, 1), -EBUSY);
    expect_eq(weir_sock_sendall(loop, fd, "x", 1, NULL), -EBUSY);
    expect_eq(weir_transport_abort(connection), 0);
    settle();
    close(peer);
}

UNIT(sock_calls, only_tasks_may_call)
{
    char byte;
    open_loop(NULL);
    one_turn();
    expect_eq(weir_sock_recv(loop, 0, &byte, 1), WEIR_ENOTTASK);
    expect_eq(weir_sock_accept(loop, 0, NULL), WEIR_ENOTTASK);
    close_loop();
}

static void send_one(void *arg)
{
    send_text(ends[1], "x");
}

static void recv_without(void)
{
    char byte;
    expect_eq(weir_loop_call_later(loop, MS, send_one, NULL, NULL), 0);

    walk_begin(&memory);
    const ssize_t result = weir_sock_recv(loop, ends[0], &byte, 1);
    if (walk_end(&memory)) {
        expect_eq(result, -ENOMEM);
        expect_eq(weir_sock_recv(loop, ends[0], &byte, 1), 1);
    } else {
        expect_eq(result, 1);
    }
}

UNIT(sock_calls, without_memory_a_call_fails_and_takes_nothing)
{
    expect_geq(walk_main(recv_without), 4);
}

TASK(sock_calls, a_peer_may_have_a_path_that_fills_its_address)
{
    struct weir_address own = {.len = sizeof(own.storage.local)};
    struct weir_address peer;
    struct sockaddr_un full = {.sun_family = AF_UNIX};
    char dir[] = "/tmp/weir-sock-XXXXXX";
    char path[sizeof(full.sun_path) + 1] = "";
    char text[WEIR_ADDRESS_TEXT_SIZE];
    const int to = socket(AF_UNIX, SOCK_DGRAM, 0);
    const int from = socket(AF_UNIX, SOCK_DGRAM, 0);

    own.storage.any.sa_family = AF_UNIX;
    expect_eq(bind(to, &own.storage.any, sizeof(sa_family_t)), 0);
    expect_eq(getsockname(to, &own.storage.any, &own.len), 0);
    cr_assert_not_null(mkdtemp(dir));
    memset(path, 'a', sizeof(full.sun_path));
    memcpy(path, dir, strlen(dir));
    path[strlen(dir)] = '/';
    memcpy(full.sun_path, path, sizeof(full.sun_path));
    expect_eq(bind(from, (const struct sockaddr *)&full, sizeof(full)), 0);
    unlink(path);
    rmdir(dir);
    expect_eq(sendto(from, "abc", 3, 0, &own.storage.any, own.len), 3);
    expect_eq(weir_sock_recvfrom(loop, to, text, sizeof(text), &peer), 3);
    close(to);
    close(from);
    cr_assert_leq(peer.len, sizeof(peer.storage.local));
    weir_address_format(&peer, text, sizeof(text));
    expect_str_eq(text + strlen("unix:"), path);
}

static int send_to_peer(weir_loop *on, void *arg)
{
    struct call *call = (struct call *)arg;
    call->result = weir_sock_sendto(on, call->fd, "x", 1, &call->address);
    return (int)call->result;
}

/* On an unconnected socket the kernel always reports space. */
TASK(sock_calls, a_unix_peer_that_does_not_read_costs_few_turns)
{
    struct call call = {.fd = socket(AF_UNIX, SOCK_DGRAM, 0)};
    struct weir_address *own = &call.address;
    const int to = socket(AF_UNIX, SOCK_DGRAM, 0);
    char byte;

    own->storage.any.sa_family = AF_UNIX;
    expect_eq(bind(to, &own->storage.any, sizeof(sa_family_t)), 0);
    own->len = sizeof(own->storage.local);
    expect_eq(getsockname(to, &own->storage.any, &own->len), 0);
    while (sendto(call.fd, "x", 1, MSG_DONTWAIT, &own->storage.any, own->len) ==
           1) {
    }
    weir_task *task = spawn(send_to_peer, &call);
    const uint64_t before = turns();
    expect_eq(weir_sleep(loop, 200 * MS), 0);
    cr_assert_lt(turns() - before, 1000);
    expect_eq(read(to, &byte, 1), 1);
    expect_eq(join(task), 1);
    close(to);
    close(call.fd);
}
