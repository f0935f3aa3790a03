/*
 * Servers on several threads: one accepts and hands each connection to the next
 * thread, whose server has no socket.
 *
 * The servers run tasks, which are cancelled when they must end.
 */
#include "tests/contract/maker.h"

#include <semaphore.h>
#include <stdlib.h>
#include <weir/stream.h>
#include <weir/task.h>
#include <weir/threads.h>

enum { THREADS = 3, EACH = 5, ALL = THREADS * EACH };

struct service {
    weir_threads *threads;
    weir_server
        *servers[THREADS]; /* each used only by its thread; may be NULL */
    struct weir_address address;
    int next;                  /* used only by the first thread */
    int served_count[THREADS]; /* each used only by its thread */
    sem_t serving;
};

static struct service service;

struct handed {
    int index;
    int fd;
};

static void drop_handed(void *arg)
{
    struct handed *handed = arg;
    close(handed->fd);
    free(handed);
}

/* Runs on the other thread, whose server may be closed or gone. */
static void take_handed(void *arg)
{
    struct handed *handed = arg;
    weir_server *server = service.servers[handed->index];
    if (!server) {
        drop_handed(arg);
        return;
    }
    const int err = weir_server_add_fd(server, handed->fd);
    cr_assert(err == 0 || err == -ESHUTDOWN, "%d", err);
    free(handed);
}

static void hand_over(void *arg, weir_server *server, int fd)
{
    struct handed *handed = malloc(sizeof(*handed));
    weir_threads *threads = weir_thread_get_group(
        weir_loop_get_thread(weir_server_get_loop(server)));
    cr_assert_not_null(handed);
    *handed = (struct handed){.index = service.next++ % THREADS, .fd = fd};
    const int err = weir_thread_call_soon(
        weir_threads_get(threads, (uint32_t)handed->index), take_handed, handed,
        drop_handed);
    cr_assert(err == 0 || err == -ESHUTDOWN, "%d", err);
    if (err < 0) {
        drop_handed(handed);
    }
}

static int answer(void *arg, weir_reader *reader, weir_writer *writer)
{
    int *count = arg;
    char byte;
    const char number = (char)('0' + (count - service.served_count));
    ++*count;
    while (weir_reader_read(reader, &byte, 1) > 0) {
        const int err = weir_writer_write(writer, &number, 1);
        if (err < 0) {
            return err;
        }
    }
    return 0;
}

static int serve_thread(weir_thread *thread, void *arg)
{
    const uint32_t index = weir_thread_get_index(thread);
    const bool is_first = index == 0;
    struct weir_start_server_options options = {
        .size = sizeof(options), .arg = &service.served_count[index]};
    options.server.no_sockets = !is_first;
    options.server.accepted = is_first ? hand_over : NULL;
    int err = weir_start_server(weir_thread_get_loop(thread), answer,
                                is_first ? "127.0.0.1" : NULL, 0, &options,
                                &service.servers[index]);
    expect_eq(err, 0);
    if (is_first) {
        expect_geq(
            weir_server_get_socket(service.servers[0], 0, &service.address), 0);
    }
    expect_eq(sem_post(&service.serving), 0);
    err = weir_server_serve_forever(service.servers[index]);
    weir_server_free(service.servers[index]);
    service.servers[index] = NULL;
    return err;
}

static void start_service(void)
{
    const struct weir_threads_options options = {.size = sizeof(options),
                                                 .thread_count = THREADS};
    memset(&service, 0, sizeof(service));
    expect_eq(sem_init(&service.serving, 0, 0), 0);
    expect_eq(
        weir_threads_start(&options, serve_thread, NULL, &service.threads), 0);
    for (int i = 0; i < THREADS; i++) {
        while (sem_wait(&service.serving) < 0) {
            expect_eq(errno, EINTR);
        }
    }
}

UNIT(server_hand_over, threads_serve_evenly_what_one_of_them_accepts)
{
    int fds[ALL];
    start_service();
    for (int i = 0; i < ALL; i++) {
        char byte;
        fds[i] = peer_connect_to(&service.address);
        expect_geq(fds[i], 0);
        expect_eq(send(fds[i], "x", 1, 0), 1);
        expect_eq(peer_read(fds[i], &byte, 1), 1);
        expect_eq(byte, '0' + i % THREADS, "in turn");
    }
    weir_threads_stop(service.threads, UINT64_MAX);
    expect_eq(weir_threads_join(service.threads), 0);
    for (int i = 0; i < ALL; i++) {
        char byte;
        expect_eq(peer_read(fds[i], &byte, 1), 0, "each server ends its own");
        close(fds[i]);
    }
    for (int i = 0; i < THREADS; i++) {
        expect_eq(service.served_count[i], EACH);
    }
}

UNIT(server_hand_over, no_connection_is_left_open_when_threads_end)
{
    for (int round = 0; round < 10; round++) {
        int fds[ALL];
        start_service();
        for (int i = 0; i < ALL; i++) {
            fds[i] = peer_connect_to(&service.address);
            expect_geq(fds[i], 0);
        }
        weir_threads_stop(service.threads, UINT64_MAX);
        expect_eq(weir_threads_join(service.threads), 0);
        for (int i = 0; i < ALL; i++) {
            char byte;
            expect_leq(peer_read(fds[i], &byte, 1), 0);
            close(fds[i]);
        }
    }
}

static int only_give(weir_loop *l, void *arg)
{
    const struct weir_start_server_options options = {
        .size = sizeof(options), .server.accepted = hand_over};
    weir_server *server = NULL;
    int fds[2];
    expect_eq(weir_start_server(l, NULL, "127.0.0.1", 0, NULL, &server),
              -EINVAL);
    expect_eq(weir_start_server(l, NULL, "127.0.0.1", 0, &options, &server), 0);
    expect_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    expect_eq(weir_server_add_fd(server, fds[0]), -EINVAL, "nobody serves it");
    close(fds[1]);
    weir_server_free(server);
    return 0;
}

UNIT(server_hand_over, a_server_may_have_no_function_to_serve_with)
{
    expect_eq(weir_run(NULL, only_give, NULL), 0);
}

static int serve_task(weir_loop *l, void *server)
{
    return weir_server_serve_forever(server);
}

static int stop_tasks(weir_loop *l, void *arg)
{
    struct weir_start_server_options options = {.size = sizeof(options),
                                                .arg = &service.served_count[0],
                                                .server.no_sockets = true};
    weir_server *server = NULL;
    weir_task *task = NULL;
    int fds[2];
    int result = 0;
    char byte;
    service.served_count[0] = 0;
    expect_eq(weir_start_server(l, answer, NULL, 0, &options, &server), 0);
    expect_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    expect_eq(weir_server_add_fd(server, fds[0]), 0);
    expect_eq(weir_task_spawn(l, serve_task, server, NULL, &task), 0);
    expect_eq(send(fds[1], "x", 1, 0), 1);
    while (recv(fds[1], &byte, 1, MSG_DONTWAIT) < 0) {
        expect_eq(weir_sleep(l, MS), 0);
    }
    expect_eq(weir_server_get_connection_count(server), 1);
    weir_task_cancel(task);
    expect_eq(weir_task_join(task, &result), 0);
    expect_eq(result, -ECANCELED);
    expect_eq(weir_server_get_connection_count(server), 0, "it was idle");
    expect_eq(peer_read(fds[1], &byte, 1), 0);
    expect_eq(service.served_count[0], 1);
    close(fds[1]);
    weir_server_free(server);
    return 0;
}

UNIT(server_hand_over, a_task_that_serves_an_adopted_connection_is_ended)
{
    expect_eq(weir_run(NULL, stop_tasks, NULL), 0);
}
