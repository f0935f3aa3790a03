/*
 * Tasks that make calls on the program's sockets; see sock_rig.h.
 *
 * Each task's function is one call, whose arguments and result are in the
 * struct that it gets.
 */
#include "tests/contract/sock_rig.h"

#include <weir/sock.h>

struct test_allocator memory;
int ends[2];

static int call_body(weir_loop *on, void *arg)
{
    void (*const *body)(void) = (void (*const *)(void))arg;
    expect_eq(on, loop);
    (*body)();
    return 0;
}

static void run_round(void *body)
{
    const struct weir_loop_options options = allocator_options(&memory);
    open_loop(&options);
    returned = 0;
    expect_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    expect_eq(weir_loop_run_task(loop, call_body, body, NULL), 0);
    close_loop();
    close_ends(ends);
}

void sock_run_body(void (*body)(void))
{
    allocator_init(&memory);
    run_round(&body);
    allocator_check(&memory);
}

uint64_t walk_main(void (*body)(void))
{
    return walk_allocations(&memory, run_round, &body);
}

weir_task *spawn(weir_task_fn *fn, void *arg)
{
    weir_task *task = NULL;
    expect_eq(weir_task_spawn(loop, fn, arg, NULL, &task), 0);
    return task;
}

int join(weir_task *task)
{
    int result = -1;
    const int err = weir_task_join(task, &result);
    return err < 0 ? err : result;
}

/* Lets the other tasks reach their wait, and the kernel know of it. */
void settle(void)
{
    for (int i = 0; i < 5; i++) {
        expect_eq(weir_yield(loop), 0);
    }
}

int returned;

int recv_once(weir_loop *on, void *arg)
{
    struct call *call = (struct call *)arg;
    call->result = weir_sock_recv(on, call->fd, call->bytes, 4);
    call->order = ++returned;
    return call->result < 0 ? (int)call->result : 0;
}

int accept_once(weir_loop *on, void *arg)
{
    struct call *call = (struct call *)arg;
    call->result = weir_sock_accept(on, call->fd, &call->address);
    call->order = ++returned;
    return call->result < 0 ? (int)call->result : 0;
}

int connect_once(weir_loop *on, void *arg)
{
    struct call *call = (struct call *)arg;
    call->result = weir_sock_connect(on, call->fd, &call->address);
    return (int)call->result;
}

void send_text(int fd, const char *text)
{
    expect_eq(write(fd, text, strlen(text)), strlen(text));
}

int send_all(weir_loop *on, void *arg)
{
    struct sending *sending = (struct sending *)arg;
    sending->result = weir_sock_sendall(on, ends[0], sending->data,
                                        sending->len, &sending->sent);
    return sending->result;
}

char large[LARGE];

void fill_large(void)
{
    for (size_t i = 0; i < LARGE; i++) {
        large[i] = (char)(i * 31 + i / 4096);
    }
}

struct weir_address loopback(void)
{
    struct weir_address address;
    expect_eq(weir_address_parse("127.0.0.1", 0, &address), 0);
    return address;
}

int bound(int type, struct weir_address *ret)
{
    const int fd = socket(AF_INET, type, 0);
    *ret = loopback();
    expect_eq(bind(fd, &ret->storage.any, ret->len), 0);
    expect_eq(getsockname(fd, &ret->storage.any, &ret->len), 0);
    return fd;
}

int listening(int backlog, struct weir_address *ret)
{
    const int fd = bound(SOCK_STREAM, ret);
    expect_eq(listen(fd, backlog), 0);
    return fd;
}
