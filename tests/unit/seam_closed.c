/*
 * Descriptors whose files outlive their close, because another descriptor or
 * process has them too, on both engines of the kernel.
 *
 * The epoll set would continue to report such a file, so a new set is made.
 */
#include "tests/contract/fail_calls.h"
#include "tests/unit/seam_rig.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

/* Runs a receive of the accepted end that waits and ends, so that the set
 * contains it. */
static void receive_once(void)
{
    struct wr_op receive;
    char got[3];
    wr_op_init(&receive, note);
    wr_prep_recv_into(uring, &receive, ends[0], got, sizeof(got));
    turn(0);
    cr_assert(receive.in_flight);
    send_now("abc");
    expect_eq(ended(&receive), 3);
}

/* Returns another descriptor of the accepted end, which keeps its file open. */
static int keep_received_end(void)
{
    receive_once();
    const int kept = fcntl(ends[0], F_DUPFD_CLOEXEC, 0);
    expect_geq(kept, 0);
    return kept;
}

/* Closes the accepted end, whose file stays open. */
static int close_kept_end(void)
{
    const int kept = keep_received_end();
    wr_prep_close(uring, ends[0]);
    ends[0] = -1;
    turn(0);
    return kept;
}

UNIT(seam_closed, a_file_that_outlives_its_close_wakes_no_wait)
{
    struct wr_op other;
    char got = 0;
    const int kept = close_kept_end();
    wr_op_init(&other, note);
    wr_prep_recv_into(uring, &other, ends[1], &got, 1);
    turn(0);
    send_now("for nobody");
    expect_no_spin();
    cr_assert(other.in_flight);
    expect_eq(write(kept, "x", 1), 1);
    expect_eq(ended(&other), 1, "who waited before goes on waiting");
    expect_eq(close(kept), 0);
}

UNIT(seam_closed, files_closed_by_a_plain_call_wake_no_wait_either)
{
    for (int i = 0; i < 2; i++) {
        const int kept = keep_received_end();
        expect_eq(wr_sys_close(ends[0]), 0);
        turn(0);
        send_now("for nobody");
        expect_no_spin();
        expect_eq(close(kept), 0);
        expect_eq(wr_sys_close(ends[1]), 0);
        connect_ends();
    }
}

UNIT(seam_closed, a_file_comes_back_under_its_number)
{
    struct wr_op receive;
    const int number = ends[0];
    const int kept = close_kept_end();
    provide(BUF_COUNT);
    expect_eq(dup2(kept, number), number);
    expect_eq(close(kept), 0);
    ends[0] = number;
    wr_op_init(&receive, note);
    prep_recv(&receive, true);
    turn(0);
    send_now("again");
    expect_eq(ended(&receive), 5);
}

UNIT(seam_closed, the_signal_does_not_tell_of_a_file_that_was_closed)
{
    const int kept = close_kept_end();
    const int fd = wr_ring_open_signal(uring->ring);
    expect_geq(fd, 0);
    send_now("for nobody");
    wr_ring_enable_signal(uring->ring, fd, true);
    turn(0);
    expect_eq(is_readable(fd, 0), 0);

    wr_ring_enable_signal(uring->ring, fd, false);
    expect_eq(close(kept), 0);
    wr_prep_close_any(uring, fd);
    turn(WEIR_SECONDS(60));
}

/* The set has the number with the events that the receive waits for, but for a
 * closed file. */
UNIT(seam_closed, a_socket_takes_the_number_of_a_file_that_was_watched)
{
    struct wr_op receive;
    int fds[2];
    expect_eq(wr_sys_pipe(fds), 0);
    provide(BUF_COUNT);
    wr_prep_poll(uring, op, fds[0], POLLIN, false);
    turn(0);
    expect_eq(write(fds[1], "x", 1), 1);
    expect_eq(ended(op) & POLLIN, POLLIN);
    expect_eq(dup2(ends[0], fds[0]), fds[0]); /* the pipe is closed */
    expect_eq(close(ends[0]), 0);
    ends[0] = fds[0];
    wr_op_init(&receive, note);
    prep_recv(&receive, true);
    turn(0);
    send_now("abc");
    for (int turns = 0; receive.in_flight; turns++) {
        cr_assert_lt(turns, 30, "the set does not tell of its bytes");
        turn(WEIR_SECONDS(2));
    }
    expect_eq(close(fds[1]), 0);
}

/* A child of fork() has all descriptors, including those closed here. */
UNIT(seam_closed, a_forked_child_that_lives_on_wakes_no_wait)
{
    char byte;
    int life[2];
    receive_once();
    expect_eq(pipe(life), 0);
    const pid_t child = fork();
    expect_geq(child, 0);
    if (child == 0) {
        close(life[1]);
        _exit(read(life[0], &byte, 1) != 0);
    }
    wr_prep_close(uring, ends[0]);
    ends[0] = -1;
    turn(0);
    send_now("for nobody");
    expect_no_spin();

    int status = -1;
    expect_eq(close(life[0]), 0);
    expect_eq(close(life[1]), 0);
    expect_eq(waitpid(child, &status, 0), child);
    expect_eq(status, 0);
}

/* Makes another connection; both ends are returned in @ret. */
static void connect_more(int ret[2])
{
    memcpy(ret, ends, sizeof(ends));
    connect_ends();
}

static void close_both(const int fds[2])
{
    wr_prep_close(uring, fds[0]);
    wr_prep_close(uring, fds[1]);
    turn(0);
}

static void send_block(int fd)
{
    static char block[BUF_SIZE];
    struct iovec piece = {block, sizeof(block)};
    expect_eq(wr_sys_send(fd, &piece, 1), BUF_SIZE);
}

static void prep_recv_from(struct wr_op *op, int fd)
{
    const struct wr_recv_limits limits = {
        .credit = BUF_SIZE, .buf_size = BUF_SIZE, .once = true};
    wr_prep_recv(uring, op, fd, &limits);
}

/* The first receive uses the only buffer, so over epoll the event of the second
 * is postponed, and meanwhile a new set is made. */
UNIT(seam_closed, a_receive_that_was_put_off_goes_on_with_the_next_set)
{
    int pairs[2][2];
    struct wr_op receives[2];
    provide(1);
    connect_more(pairs[0]);
    connect_more(pairs[1]);
    const int kept = close_kept_end();
    for (int i = 0; i < 2; i++) {
        wr_op_init(&receives[i], note);
        prep_recv_from(&receives[i], pairs[i][0]);
    }
    turn(0);
    send_block(pairs[0][1]);
    send_block(pairs[1][1]);
    send_now("for nobody");
    expect_eq(ended(&receives[0]), BUF_SIZE);
    if (!receives[1].in_flight) { /* a ring reports that there is no buffer */
        prep_recv_from(&receives[1], pairs[1][0]);
    }
    wr_ring_provide_buffer(uring->ring, bufs[1], BUF_SIZE, 1);
    wr_ring_commit_buffers(uring->ring);

    expect_eq(ended(&receives[1]), BUF_SIZE);
    expect_no_spin();
    expect_eq(close(kept), 0);
    close_both(pairs[0]);
    close_both(pairs[1]);
}

/* Returns a datagram socket of the loopback interface, and its address. */
static int open_datagrams(struct sockaddr_in *ret)
{
    socklen_t len = sizeof(*ret);
    const int fd = wr_sys_socket(AF_INET, SOCK_DGRAM, 0);
    *ret = (struct sockaddr_in){.sin_family = AF_INET,
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    expect_eq(wr_sys_bind(fd, (struct sockaddr *)ret, len), 0);
    expect_eq(wr_sys_getsockname(fd, (struct sockaddr *)ret, &len), 0);
    return fd;
}

static void await_event(const struct wr_op *op, int32_t event)
{
    bool is_told = false;
    for (int turns = 0; !is_told; turns++) {
        cr_assert_lt(turns, 30, "the poll tells nothing");
        turn(WEIR_SECONDS(2));
        for (int i = 0; i < result_count; i++) {
            is_told |= results[i].op == op && results[i].res & event;
        }
    }
}

/* A permanent error is reported once: over epoll the set is then
 * edge-triggered. */
UNIT(seam_closed, what_is_told_by_edges_is_told_by_the_next_set_too)
{
    struct sockaddr_in here;
    struct sockaddr_in there;
    const int fd = open_datagrams(&here);
    const int peer = open_datagrams(&there);
    expect_eq(connect(fd, (struct sockaddr *)&there, sizeof(there)), 0);
    wr_prep_poll(uring, op, fd, POLLIN, true);
    turn(0);
    expect_eq(close(peer), 0);
    expect_eq(send(fd, "x", 1, 0), 1);
    await_event(op, POLLERR);

    const int kept = close_kept_end();
    send_now("for nobody");
    expect_no_spin();
    const int next = open_datagrams(&there);
    expect_eq(connect(fd, (struct sockaddr *)&there, sizeof(there)), 0);
    expect_eq(sendto(next, "x", 1, 0, (struct sockaddr *)&here, sizeof(here)),
              1);
    await_event(op, POLLIN);

    wr_op_cancel(uring, op);
    expect_eq(ended(op), -ECANCELED);
    expect_eq(close(kept), 0);
    close_both((int[2]){fd, next});
}

/* A new set is made while @refused waits, which is not added to it; on a ring
 * it continues, because there is no set. Another operation continues in any
 * case. */
static void renew_without(struct wr_op *refused, int error, const int closed[2])
{
    struct wr_op other;
    char got = 0;
    const int kept = close_kept_end();
    for (int i = 0; closed && i < 2; i++) {
        expect_eq(close(closed[i]), 0);
    }
    wr_op_init(&other, note);
    wr_prep_recv_into(uring, &other, ends[1], &got, 1);
    turn(0);
    send_now("for nobody");
    if (uring->features.engine == WR_ENGINE_POLL) {
        expect_eq(ended(refused), error);
    }
    expect_eq(write(kept, "x", 1), 1);
    expect_eq(ended(&other), 1);
    if (uring->features.engine != WR_ENGINE_POLL) {
        wr_op_cancel(uring, refused);
        expect_eq(ended(refused), -ECANCELED);
    }
    expect_no_spin();
    expect_eq(close(kept), 0);
}

UNIT(seam_closed, what_the_next_set_has_no_room_for_ends)
{
    uint64_t count;
    const int fd = wr_sys_eventfd();
    wr_prep_read(uring, op, fd, &count, sizeof(count));
    turn(0);
    if (uring->features.engine == WR_ENGINE_POLL) {
        fail_calls_of(SYS_epoll_ctl, 2, (uint32_t)fd, ENOSPC);
    }
    renew_without(op, -ENOSPC, NULL);
    wr_prep_close(uring, fd);
}

/* The next set has the lower number, so the other one is free. */
UNIT(seam_closed, what_was_closed_while_it_waited_ends)
{
    uint64_t count;
    const int lower = wr_sys_eventfd();
    const int fd = wr_sys_eventfd();
    wr_prep_read(uring, op, fd, &count, sizeof(count));
    turn(0);
    renew_without(op, -EBADF, (int[2]){lower, fd});
}

static void limit_descriptors(rlim_t limit)
{
    struct rlimit files;
    expect_eq(getrlimit(RLIMIT_NOFILE, &files), 0);
    files.rlim_cur = limit;
    expect_eq(setrlimit(RLIMIT_NOFILE, &files), 0);
}

/* Waits are short then, but most of the time they sleep; events are reported.
 */
static void go_on_with_the_old_set(int kept)
{
    struct wr_op other;
    char got = 0;
    wr_op_init(&other, note);
    wr_prep_recv_into(uring, &other, ends[1], &got, 1);
    turn(0);
    send_now("for nobody");
    expect_waits(100);
    cr_assert(other.in_flight);
    expect_eq(write(kept, "x", 1), 1);
    expect_eq(ended(&other), 1);
}

UNIT(seam_closed, waits_rest_while_there_is_no_descriptor_for_another_set)
{
    struct rlimit files;
    expect_eq(getrlimit(RLIMIT_NOFILE, &files), 0);
    const int kept = close_kept_end();
    limit_descriptors(0);
    go_on_with_the_old_set(kept);

    limit_descriptors(files.rlim_cur);
    expect_no_spin();
    expect_eq(close(kept), 0);
}

UNIT(seam_closed, waits_rest_while_there_is_no_memory_for_another_set)
{
    const int kept = close_kept_end();
    if (uring->features.engine == WR_ENGINE_POLL) {
        fail_calls(SYS_epoll_create1, ENOMEM);
    }
    go_on_with_the_old_set(kept);
    expect_eq(close(kept), 0);
    expect_no_spin();
}
