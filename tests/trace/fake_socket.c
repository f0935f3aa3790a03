/*
 * The fake machine, continued: connections, cancelling, time, and mistakes.
 *
 * Like in fake_ring.c, each test is about one behaviour of the kernel. The last
 * ones show that the machine detects wrong operations.
 */
#define UNIT_RUN rig_test
#include "tests/death.h"
#include "tests/trace/ring_rig.h"
#include "tests/walk.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>

static int listen_loopback(struct sockaddr_in *ret_addr)
{
    struct sockaddr_in addr = {.sin_family = AF_INET,
                               .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(*ret_addr);
    int fd = wr_sys_socket(AF_INET, SOCK_STREAM, 0);
    expect_eq(wr_sys_bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
    expect_eq(wr_sys_listen(fd, 2), 0);
    expect_eq(wr_sys_getsockname(fd, (struct sockaddr *)ret_addr, &len), 0);
    expect_neq(ret_addr->sin_port, 0);
    return fd;
}

UNIT(fake_socket, accept_gives_connections_in_order_with_their_addresses)
{
    struct sockaddr_in addr;
    struct sockaddr_storage from;
    socklen_t from_len = sizeof(from);
    struct wr_op op;
    rig_start(&(struct fake_options){.fd_limit = 2});
    int fd = listen_loopback(&addr);
    struct fake_peer *one =
        fake_connect((struct sockaddr *)&addr, sizeof(addr));
    struct fake_peer *two =
        fake_connect((struct sockaddr *)&addr, sizeof(addr));
    wr_op_init(&op, note);

    wr_prep_accept(&rig.uring, &op, fd, false);
    rig_turn(1, UINT64_MAX);
    int accepted = results[0].res;
    expect_eq(accepted, fd + 1);
    wr_sys_getpeername(accepted, (struct sockaddr *)&from, &from_len);
    expect_eq(from_len, sizeof(struct sockaddr_in));
    expect_eq(((struct sockaddr_in *)&from)->sin_port, htons(40001));
    wr_prep_accept(&rig.uring, &op, fd, true);
    rig_turn(1, UINT64_MAX);
    expect_eq(results[0].res, -EMFILE);

    wr_sys_close(accepted);
    wr_sys_close(fd);
    char byte;
    expect_eq(fake_peer_read(one, &byte, 1), 0);
    expect_eq(fake_peer_read(two, &byte, 1), -ECONNRESET);
    fake_peer_close(one);
    fake_peer_close(two);
}

UNIT(fake_socket, connect_is_answered_refused_or_left_to_wait)
{
    struct sockaddr_in addr = {.sin_family = AF_INET,
                               .sin_port = htons(80),
                               .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct wr_op op;
    rig_start(&(struct fake_options){.seed = 1});
    int fd = wr_sys_socket(AF_INET, SOCK_STREAM, 0);
    wr_op_init(&op, note);
    wr_prep_connect(&rig.uring, &op, fd, (struct sockaddr *)&addr,
                    sizeof(addr));
    rig_turn(1, UINT64_MAX);
    expect_eq(results[0].res, -ECONNREFUSED);

    struct fake_listener *listener =
        fake_listen((struct sockaddr *)&addr, sizeof(addr));
    fake_listener_set(listener, FAKE_SILENT, 0);
    wr_prep_connect(&rig.uring, &op, fd, (struct sockaddr *)&addr,
                    sizeof(addr));
    expect_eq(rig_turn(1, 1000000), 0);
    wr_op_cancel(&rig.uring, &op);
    rig_turn(1, UINT64_MAX);
    expect_eq(results[0].res, -ECANCELED);

    fake_listener_set(listener, FAKE_ACCEPT, 5000);
    uint64_t before_ns = fake_now();
    wr_prep_connect(&rig.uring, &op, fd, (struct sockaddr *)&addr,
                    sizeof(addr));
    rig_turn(1, UINT64_MAX);
    expect_eq(results[0].res, 0);
    expect_eq(fake_now() - before_ns, 5000);
    struct fake_peer *peer = fake_listener_accept(listener);
    cr_assert_not_null(peer);
    fake_peer_close(peer);
    wr_sys_close(fd);
}

UNIT(fake_socket, cancelled_receive_may_still_bring_data)
{
    char buf[8];
    rig_begin(&(struct fake_options){.permille = {[FAKE_CANCEL_RACE] = 1000}},
              0);
    wr_prep_recv_into(&rig.uring, &rig.op, rig.fd, buf, sizeof(buf));
    rig_turn(0, 0);
    wr_op_cancel(&rig.uring, &rig.op);
    expect_eq(fake_peer_write(rig.peer, "abc", 3), 3);

    rig_turn(1, UINT64_MAX);

    expect_eq(result_count, 1);
    expect_eq(results[0].res, 3);
}

UNIT(fake_socket, poll_notices_a_peer_that_goes)
{
    rig_begin(&(struct fake_options){.seed = 1}, 0);
    wr_prep_poll(&rig.uring, &rig.op, rig.fd, POLLRDHUP, true);
    write_all(rig.peer, 1);
    expect_eq(rig_turn(1, 1000), 0);

    fake_peer_reset(rig.peer);
    rig_turn(1, UINT64_MAX);

    expect_eq(results[0].res, POLLRDHUP | POLLERR | POLLHUP);
    wr_op_cancel(&rig.uring, &rig.op);
    rig_turn(1, UINT64_MAX);
}

UNIT(fake_socket, an_eventfd_is_read_when_it_has_something)
{
    struct wr_op op;
    uint64_t count = 0;
    rig_start(&(struct fake_options){.seed = 1});
    int event = wr_sys_eventfd();
    wr_op_init(&op, note);
    wr_prep_read(&rig.uring, &op, event, &count, sizeof(count));
    expect_eq(rig_turn(1, 1000), 0);

    expect_eq(wr_sys_eventfd_write(event), 0);
    expect_eq(wr_sys_eventfd_write(event), 0);
    rig_turn(1, UINT64_MAX);

    expect_eq(result_count, 1);
    expect_eq(count, 2);
    wr_sys_close(event);
}

static void note_time(void *arg)
{
    *(uint64_t *)arg = fake_now();
}

UNIT(fake_socket, time_passes_only_while_waiting)
{
    uint64_t at = 0;
    rig_start(&(struct fake_options){.seed = 1});
    fake_at(fake_now() + 700, note_time, &at);
    uint64_t start = wr_sys_now();
    rig_turn(0, 0);
    expect_eq(wr_sys_now(), start);

    rig_turn(1, 1000);

    expect_eq(at, start + 700);
    expect_eq(wr_sys_now(), start + 1000);
}

UNIT_IN(fake_socket, same_seed_gives_the_same_run, unit_alone, void)
{
    char first[4096] = "";
    for (int run = 0; run < 2; run++) {
        struct fake_peer *peer;
        struct wr_op op;
        char buf[64];
        rig_start(&(struct fake_options){
            .seed = 42,
            .trace = true,
            .permille = {[FAKE_DELAY] = 500, [FAKE_SHORT_RECV] = 500}});
        int fd = rig_connect(&peer);
        wr_op_init(&op, note);
        write_all(peer, 200);
        for (int i = 0; i < 5; i++) {
            wr_prep_recv_into(&rig.uring, &op, fd, buf, 30);
            rig_turn(1, UINT64_MAX);
        }
        wr_sys_close(fd);
        fake_peer_close(peer);
        if (run == 0) {
            expect_lt(strlen(fake_text()), sizeof(first));
            strcpy(first, fake_text());
        }
        expect_str_eq(fake_text(), first);
        rig_stop();
    }
    expect_neq(strlen(first), 0);
}

UNIT_ABORTS(fake_socket, catches_a_descriptor_left_open,
            "descriptor 1000 was not closed")
{
    struct fake_peer *peer;
    rig_start(&(struct fake_options){.seed = 1});
    rig_connect(&peer);
    rig_stop();
}

UNIT_ABORTS(fake_socket, catches_a_close_under_an_operation,
            "descriptor 1000 is closed under 1 operations")
{
    char byte;
    rig_begin(&(struct fake_options){.seed = 1}, 0);
    wr_prep_recv_into(&rig.uring, &rig.op, rig.fd, &byte, 1);
    rig_turn(0, 0);
    wr_sys_close(rig.fd);
}

UNIT_ABORTS(
    fake_socket, catches_a_close_before_an_entry_was_submitted,
    "descriptor 1000 is closed before an entry that names it was submitted")
{
    rig_begin(&(struct fake_options){.seed = 1}, 0);
    rig_prep_send("x", 1);
    wr_sys_close(rig.fd);
}

UNIT_ABORTS(fake_socket, catches_an_operation_on_a_closed_descriptor,
            "send names descriptor 1000, which is not open")
{
    rig_begin(&(struct fake_options){.seed = 1}, 0);
    wr_sys_close(rig.fd);
    rig_prep_send("x", 1);
    rig_turn(0, 0);
}

UNIT_ABORTS(fake_socket, catches_a_second_send_on_a_socket,
            "a second send on descriptor 1000")
{
    struct wr_op ops[2];
    rig_begin(&(struct fake_options){.permille = {[FAKE_DELAY] = 1000}}, 0);
    for (int i = 0; i < 2; i++) {
        wr_op_init(&ops[i], note);
        wr_prep_send(&rig.uring, &ops[i], rig.fd, "x", 1);
    }
    rig_turn(0, 0);
}

UNIT_ABORTS(fake_socket, catches_a_loop_that_waits_for_ever,
            "the loop waits for ever: 0 of 1 completions, 0 operations in "
            "flight, and nothing can happen")
{
    rig_start(&(struct fake_options){.seed = 1});
    rig_turn(1, UINT64_MAX);
}

UNIT_ABORTS(fake_socket, catches_memory_that_is_freed_with_another_size,
            "block->size == size")
{
    struct test_allocator alloc;
    allocator_init(&alloc);
    void *ptr = wr_alloc(&alloc.hooks, 10);
    wr_free(&alloc.hooks, ptr, 11);
}
