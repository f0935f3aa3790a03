/*
 * Suspending calls that connect and accept on the program's sockets: they take
 * turns, and a cancellation loses no connection and no descriptor.
 *
 * The loop ends while tasks wait in each call.
 */
#include "tests/contract/sock_rig.h"

#include <fcntl.h>
#include <weir/sock.h>

enum { READERS = 5, RACES = 300 };

TASK(sock_accept, connect_and_accept_meet_on_sockets_that_block_and_others)
{
    struct weir_address address;
    struct weir_address peer;
    struct weir_address own = {.len = sizeof(own.storage)};
    const int listener = listening(10, &address);
    for (int flags = 0; flags <= SOCK_NONBLOCK; flags += SOCK_NONBLOCK) {
        const int client = socket(AF_INET, SOCK_STREAM | flags, 0);
        expect_eq(fcntl(listener, F_SETFL, flags ? O_NONBLOCK : 0), 0);
        expect_eq(weir_sock_connect(loop, client, &address), 0);
        const int fd = weir_sock_accept(loop, listener, &peer);
        expect_geq(fd, 0);
        expect_eq(fcntl(fd, F_GETFD), FD_CLOEXEC);
        expect_eq(getsockname(client, &own.storage.any, &own.len), 0);
        cr_assert(weir_address_is_equal(&peer, &own));
        close(fd);
        close(client);
    }
    close(listener);
    const int client = socket(AF_INET, SOCK_STREAM, 0);
    expect_eq(weir_sock_connect(loop, client, &address), -ECONNREFUSED);
    close(client);
}

TASK(sock_accept, complaint_57__several_tasks_accept_on_one_socket)
{
    struct weir_address address;
    struct call calls[READERS];
    weir_task *tasks[READERS];
    int clients[READERS];
    const int listener = listening(10, &address);
    for (int i = 0; i < READERS; i++) {
        calls[i] = (struct call){.fd = listener};
        tasks[i] = spawn(accept_once, &calls[i]);
    }
    settle();
    for (int i = 0; i < READERS; i++) {
        clients[i] = socket(AF_INET, SOCK_STREAM, 0);
        expect_eq(weir_sock_connect(loop, clients[i], &address), 0);
    }
    for (int i = 0; i < READERS; i++) {
        expect_eq(join(tasks[i]), 0);
        expect_geq(calls[i].result, 0);
        expect_eq(calls[i].order, i + 1);
        close((int)calls[i].result);
        close(clients[i]);
    }
    close(listener);
}

TASK(sock_accept, a_cancelled_accept_loses_no_connection)
{
    struct weir_address address;
    const int listener = listening(10, &address);
    for (int i = 0; i < RACES; i++) {
        struct call call = {.fd = listener};
        const int client = socket(AF_INET, SOCK_STREAM, 0);
        char byte;
        weir_task *task = spawn(accept_once, &call);
        for (int j = 0; j < i % 5; j++) {
            expect_eq(weir_yield(loop), 0);
        }
        expect_eq(connect(client, &address.storage.any, address.len), 0);
        for (int j = 0; j < i % 3; j++) {
            expect_eq(weir_yield(loop), 0);
        }
        weir_task_cancel(task);
        int err = join(task);
        expect_eq(call.result < 0, err == -ECANCELED);
        int fd = call.result >= 0 ? (int)call.result
                                  : weir_sock_accept(loop, listener, NULL);
        expect_geq(fd, 0);
        send_text(fd, "x");
        expect_eq(read(client, &byte, 1), 1);
        close(fd);
        close(client);
    }
    close(listener);
}

/* There is no response: the listener's queue is full. */
TASK(sock_accept,
     complaint_51__a_cancelled_connect_leaves_nothing_in_the_kernel)
{
    struct weir_address address;
    int clients[4];
    const int listener = listening(0, &address);
    for (int i = 0; i < 4; i++) {
        clients[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        expect_neq(connect(clients[i], &address.storage.any, address.len), 1);
    }
    struct call call = {.fd = socket(AF_INET, SOCK_STREAM, 0),
                        .address = address};
    weir_task *task = spawn(connect_once, &call);
    settle();
    weir_task_cancel(task);
    expect_eq(join(task), -ECANCELED);
    expect_eq(call.result, -ECANCELED);

    close(call.fd);
    for (int i = 0; i < 4; i++) {
        close(clients[i]);
    }
    close(listener);
    expect_eq(weir_yield(loop), 0);
}

UNIT(sock_accept, a_loop_is_freed_while_tasks_wait_in_each_call)
{
    struct weir_address address;
    struct call calls[6];
    struct sending sending[2] = {{.data = large, .len = LARGE},
                                 {.data = large, .len = LARGE}};
    int clients[4];
    open_loop(NULL);
    expect_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    const int listener = listening(0, &address);
    const int idle = listening(10, &(struct weir_address){.len = 0});
    for (int i = 0; i < 4; i++) {
        clients[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        expect_neq(connect(clients[i], &address.storage.any, address.len), 1);
    }
    const int client = socket(AF_INET, SOCK_STREAM, 0);
    for (int i = 0; i < 6; i++) {
        const int fds[] = {ends[0], idle, client};
        weir_task_fn *const fns[] = {recv_once, accept_once, connect_once};
        calls[i] = (struct call){.fd = fds[i % 3], .address = address};
        weir_task_unref(spawn(fns[i % 3], &calls[i]));
    }
    weir_task_unref(spawn(send_all, &sending[0]));
    weir_task_unref(spawn(send_all, &sending[1]));
    later(20 * MS, stop_loop, NULL);
    run_until_stopped();

    close_loop();

    for (int i = 0; i < 6; i++) {
        expect_eq(calls[i].result, -ECANCELED, "call %d", i);
    }
    expect_eq(sending[0].result, -ECANCELED);
    expect_eq(sending[1].result, -ECANCELED);
    for (int i = 0; i < 4; i++) {
        close(clients[i]);
    }
    close(client);
    close(idle);
    close(listener);
    close_ends(ends);
}
