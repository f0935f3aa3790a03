/*
 * Pipes over every type of file: which types are accepted and which refused.
 *
 * The library owns a descriptor from the call on, whatever the call returns.
 * The flags of the open file do not change for others that share it.
 */
#include "tests/contract/maker.h"

#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <weir/pipe.h>

static int read_pipe(struct maker *m, int fd)
{
    return weir_connect_read_pipe(m->loop, &m->factory, fd, NULL,
                                  maker_connect_done, m, NULL);
}

static int write_pipe(struct maker *m, int fd)
{
    return weir_connect_write_pipe(m->loop, &m->factory, fd, NULL,
                                   maker_connect_done, m, NULL);
}

static void expect_refused(struct maker *m, int fd, int err)
{
    expect_eq(read_pipe(m, fd), err);
    cr_assert(wait_closed(fd));
    maker_run_for(m, 0);
    expect_eq(m->done, 0);
    expect_eq(m->made, 0);
}

MAKER(pipe_kinds, files_without_a_stream_of_bytes_are_refused, m)
{
    expect_refused(m, open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC), -EINVAL);
    expect_refused(m, eventfd(1, EFD_CLOEXEC), -EINVAL);
    expect_refused(m, socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0), -EINVAL);
    expect_refused(m, open("/dev/zero", O_PATH | O_CLOEXEC), -EBADF);
}

MAKER(pipe_kinds, the_wrong_direction_is_refused, m)
{
    int fds[2];

    cr_assert(pipe2(fds, O_CLOEXEC) == 0);
    expect_eq(read_pipe(m, fds[1]), -EBADF);
    expect_eq(write_pipe(m, fds[0]), -EBADF);
    cr_assert(!is_open(fds[0]));
    cr_assert(!is_open(fds[1]));
}

MAKER(pipe_kinds, a_closed_descriptor_is_refused, m)
{
    int fd = dup(STDERR_FILENO);

    close(fd);
    expect_eq(read_pipe(m, fd), -EBADF);
    expect_eq(write_pipe(m, -1), -EBADF);
}

MAKER(pipe_kinds, bad_options_are_refused, m)
{
    struct weir_connect_options options = {.size = 0};
    weir_pending *connect;
    int fds[2];

    cr_assert(pipe2(fds, O_CLOEXEC) == 0);
    expect_eq(weir_connect_read_pipe(m->loop, &m->factory, fds[0], &options,
                                     maker_connect_done, m, NULL),
              WEIR_EOPTIONSIZE);
    cr_assert(!is_open(fds[0]));
    options.size = sizeof(options);
    expect_eq(weir_connect_write_pipe(m->loop, &m->factory, fds[1], &options,
                                      NULL, NULL, &connect),
              -EINVAL); /* a handle without done */
    cr_assert(!is_open(fds[1]));

    cr_assert(pipe2(fds, O_CLOEXEC) == 0);
    expect_eq(weir_connect_read_pipe(m->loop, NULL, fds[0], &options, NULL,
                                     NULL, NULL),
              -EINVAL);
    options.connection.read_limit_bytes = 4095;
    expect_eq(weir_connect_read_pipe(m->loop, &m->factory, fds[1], &options,
                                     maker_connect_done, m, NULL),
              -EINVAL);
}

MAKER(pipe_kinds, an_error_of_the_factory_closes_and_is_told, m)
{
    int fds[2];

    m->factory_result = -EPROTO;
    cr_assert(pipe2(fds, O_CLOEXEC) == 0);
    expect_eq(read_pipe(m, fds[0]), 0);
    maker_expect_done(m, -EPROTO);
    expect_eq(m->made, 0);
    maker_run_for(m, 0);
    cr_assert(wait_closed(fds[0]));
    close(fds[1]);
}

static int create_and_abort(void *arg, weir_transport *t,
                            struct weir_protocol_binding *ret)
{
    struct maker *m = arg;
    const int err = m->factory.create(m->factory.arg, t, ret);

    expect_eq(weir_transport_abort(t), 0);
    return err;
}

MAKER(pipe_kinds, an_abort_in_the_factory_changes_nothing, m)
{
    const struct weir_factory factory = {.create = create_and_abort, .arg = m};
    int fds[2];

    cr_assert(pipe2(fds, O_CLOEXEC) == 0);
    expect_ok(weir_connect_read_pipe(m->loop, &factory, fds[0], NULL,
                                     maker_connect_done, m, NULL));
    maker_expect_done(m, 0);
    expect_eq(m->made, 1);
    close(fds[1]);
    maker_expect_lost(m, 0);
}

MAKER(pipe_kinds, a_connection_can_be_given_up, m)
{
    weir_pending *connect;
    int fds[2];

    cr_assert(pipe2(fds, O_CLOEXEC) == 0);
    expect_ok(weir_connect_read_pipe(m->loop, &m->factory, fds[0], NULL,
                                     maker_connect_done, m, &connect));
    weir_pending_cancel(connect);
    maker_expect_done(m, -ECANCELED);
    expect_eq(m->made, 0);
    cr_assert(wait_closed(fds[0]));
    close(fds[1]);
}

MAKER(pipe_kinds, r1__done_comes_after_connection_made_and_from_the_loop, m)
{
    int fds[2];

    cr_assert(pipe2(fds, O_CLOEXEC) == 0);
    expect_eq(read_pipe(m, fds[0]), 0);
    expect_eq(m->made, 0);
    maker_expect_done(m, 0);
    expect_eq(m->made, 1);
    cr_assert(m->done_t == m->t);
    close(fds[1]);
    maker_expect_lost(m, 0);
}

static void expect_same_flags(struct maker *m, int fd, int peer, bool reads)
{
    const int other = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    const int before = fcntl(other, F_GETFL);
    const int lost = m->lost;
    char bytes[16];

    expect_eq(before & O_NONBLOCK, 0);
    m->done = 0;
    expect_eq(reads ? read_pipe(m, fd) : write_pipe(m, fd), 0);
    maker_run(m, maker_is_done);
    expect_eq(fcntl(other, F_GETFL), before);
    if (reads) {
        m->received = 0;
        expect_eq(write(peer, "abc\n", 4), 4);
        maker_run(m, maker_has_received);
    } else {
        expect_eq(weir_transport_write(m->t, "abc\n", 4), 0);
        RUN_UNTIL(m->loop, weir_transport_get_write_buffer_size(m->t) == 0);
    }
    if (!reads) {
        expect_geq(read(peer, bytes, sizeof(bytes)), 4);
    }
    expect_eq(fcntl(other, F_GETFL), before);
    weir_transport_close(m->t);
    while (m->lost == lost) {
        maker_run_for(m, MS);
    }
    expect_eq(fcntl(other, F_GETFL), before);
    close(other);
    close(peer);
}

MAKER(pipe_kinds, complaint_77__the_flags_of_a_pipe_stay_as_they_are, m)
{
    int fds[2];

    cr_assert(pipe2(fds, O_CLOEXEC) == 0);
    expect_same_flags(m, fds[0], fds[1], true);
    cr_assert(pipe2(fds, O_CLOEXEC) == 0);
    expect_same_flags(m, fds[1], fds[0], false);
}

MAKER(pipe_kinds, complaint_77__the_flags_of_a_socket_stay_as_they_are, m)
{
    int fds[2];

    cr_assert(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == 0);
    expect_same_flags(m, fds[0], fds[1], true);
    cr_assert(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == 0);
    expect_same_flags(m, fds[1], fds[0], false);
}

MAKER(pipe_kinds, complaint_77__the_flags_of_a_fifo_stay_as_they_are, m)
{
    char path[64];
    int fds[3];

    snprintf(path, sizeof(path), "/tmp/weir-kinds-%d", (int)getpid());
    expect_eq(mkfifo(path, 0600), 0);
    for (int reads = 0; reads < 2; reads++) {
        fds[2] = open(path, O_RDWR | O_CLOEXEC);
        fds[0] = open(path, O_RDONLY | O_CLOEXEC);
        fds[1] = open(path, O_WRONLY | O_CLOEXEC);
        close(fds[2]);
        expect_same_flags(m, fds[reads ? 0 : 1], fds[reads ? 1 : 0], reads);
    }
    unlink(path);
}

MAKER(pipe_kinds, the_null_device_is_at_its_end_and_takes_everything, m)
{
    static char bytes[200000];

    expect_eq(read_pipe(m, open("/dev/null", O_RDONLY | O_CLOEXEC)), 0);
    maker_expect_lost(m, 0);
    expect_eq(m->received, 0);

    m->lost = 0;
    m->done = 0;
    expect_eq(write_pipe(m, open("/dev/null", O_WRONLY | O_CLOEXEC)), 0);
    maker_run(m, maker_is_done);
    for (int i = 0; i < 20; i++) {
        expect_eq(weir_transport_write(m->t, bytes, sizeof(bytes)), 0);
    }
    expect_eq(weir_transport_close(m->t), 0);
    maker_expect_lost(m, 0);
}

MAKER(pipe_kinds, a_full_device_is_told, m)
{
    expect_eq(write_pipe(m, open("/dev/full", O_WRONLY | O_CLOEXEC)), 0);
    maker_run(m, maker_is_done);
    expect_eq(weir_transport_write(m->t, "abc", 3), 0);
    maker_expect_lost(m, -ENOSPC);
}

static size_t take(int fd)
{
    static char bytes[64 << 10];
    size_t taken = 0;
    ssize_t len;
    while ((len = recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT)) > 0) {
        taken += (size_t)len;
    }
    return taken;
}

MAKER(pipe_kinds, a_socket_whose_peer_sends_no_more_takes_everything, m)
{
    static const char bytes[1 << 20];
    size_t taken = 0;
    int fds[2];

    cr_assert(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == 0);
    expect_eq(write_pipe(m, fds[0]), 0);
    maker_run(m, maker_is_done);
    expect_geq(weir_transport_write(m->t, bytes, sizeof(bytes)), 0);
    maker_run_for(m, MS);
    expect_gt(weir_transport_get_write_buffer_size(m->t), 0);
    cr_assert(shutdown(fds[1], SHUT_WR) == 0);
    maker_run_for(m, MS);

    RUN_UNTIL(m->loop, (taken += take(fds[1])) == sizeof(bytes));

    close(fds[1]);
    maker_expect_lost(m, 0);
}

/* Each iteration receives at most one window, and other work continues. */
MAKER(pipe_kinds, a_device_that_floods_leaves_others_their_turns, m)
{
    expect_eq(read_pipe(m, open("/dev/zero", O_RDONLY | O_CLOEXEC)), 0);
    maker_run(m, maker_is_made);
    const struct weir_loop_statistics before = statistics_of(m->loop);
    const uint64_t received = m->received;
    RUN_UNTIL(m->loop, m->received > 64u << 20);
    const struct weir_loop_statistics after = statistics_of(m->loop);

    cr_assert((m->received - received) / (after.turns - before.turns) <=
              1u << 20);
    weir_transport_close(m->t);
    maker_expect_lost(m, 0);
}

MAKER(pipe_kinds, complaint_82__regular_files_are_read_and_written, m)
{
    char path[64];
    static char bytes[300000];

    snprintf(path, sizeof(path), "/tmp/weir-kinds-%d", (int)getpid());
    expect_ok(write_pipe(
        m, open(path, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600)));
    maker_run(m, maker_is_done);
    memset(bytes, 'x', sizeof(bytes));
    expect_eq(weir_transport_write(m->t, bytes, sizeof(bytes)), 0);
    expect_eq(weir_transport_close(m->t), 0);
    maker_expect_lost(m, 0);

    m->lost = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    cr_assert(lseek(fd, 1000, SEEK_SET) ==
              1000); /* reading starts at the current offset */
    expect_eq(read_pipe(m, fd), 0);
    maker_expect_lost(m, 0);
    expect_eq(m->received, sizeof(bytes) - 1000);
    unlink(path);
}

/* A FIFO that has had no writer yet is not at its end. */
MAKER(pipe_kinds, a_fifo_waits_for_its_first_writer, m)
{
    char path[64];

    snprintf(path, sizeof(path), "/tmp/weir-kinds-%d", (int)getpid());
    expect_eq(mkfifo(path, 0600), 0);
    expect_eq(read_pipe(m, open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC)), 0);
    maker_run(m, maker_is_made);
    maker_run_for(m, 20 * MS);
    expect_eq(m->lost, 0);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    expect_eq(write(fd, "abc", 3), 3);
    close(fd);
    maker_run(m, maker_is_lost);
    expect_eq(m->received, 3);
    expect_eq(m->lost_err, 0);
    unlink(path);
}

static bool workers_splice(const struct maker *m)
{
    char features[4096];

    weir_loop_get_features_text(m->loop, features, sizeof(features));
    return !strstr(features, "async_retry      6.3   yes");
}

static void open_fifo(int ret_fds[2])
{
    char path[64];

    snprintf(path, sizeof(path), "/tmp/weir-kinds-%d", (int)getpid());
    expect_eq(mkfifo(path, 0600), 0);
    ret_fds[0] = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    ret_fds[1] = open(path, O_WRONLY | O_CLOEXEC);
    expect_eq(fcntl(ret_fds[0], F_SETFL, 0), 0);
    unlink(path);
}

/* A read of a pipe ends with a packet, so a splice may bring several. */
MAKER(pipe_kinds, packets_are_read_one_behind_the_other, m)
{
    int fds[2];

    open_fifo(fds);
    cr_assert(fcntl(fds[1], F_SETFL, O_DIRECT) == 0);
    expect_eq(write(fds[1], "abc", 3), 3);
    expect_eq(write(fds[1], "defg", 4), 4);
    close(fds[1]);
    expect_eq(read_pipe(m, fds[0]), 0);
    maker_expect_lost(m, 0);
    expect_eq(m->received, 7);
}

MAKER(pipe_kinds, a_write_that_the_stage_refuses_is_told, m)
{
    const int stage = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0);
    int fds[2];

    if (!workers_splice(m)) {
        close(stage);
        cr_skip_test("worker threads write here; runs in --setup mask_all");
    }
    open_fifo(fds);
    expect_eq(write_pipe(m, fds[1]), 0);
    maker_run(m, maker_is_done);
    close(stage); /* the number of its reading end */
    const int stage_write = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, stage + 1);
    close(stage_write);
    expect_eq(weir_transport_write(m->t, "abc", 3), 0);
    RUN_UNTIL(m->loop, weir_transport_get_write_buffer_size(m->t) == 0);

    const int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
    expect_eq(dup3(full, stage_write, O_CLOEXEC), stage_write);
    close(full);
    expect_eq(weir_transport_write(m->t, "abc", 3), 0);
    maker_expect_lost(m, -ENOSPC);
    close(fds[0]);
}

MAKER(pipe_kinds, without_descriptors_for_the_stage_the_end_says_so, m)
{
    struct rlimit limit;
    int fds[2];

    if (!workers_splice(m)) {
        cr_skip_test("worker threads read here; runs in --setup mask_all");
    }
    open_fifo(fds);
    cr_assert(getrlimit(RLIMIT_NOFILE, &limit) == 0);
    const rlim_t before = limit.rlim_cur;
    limit.rlim_cur = 0;
    cr_assert(setrlimit(RLIMIT_NOFILE, &limit) == 0);
    expect_eq(read_pipe(m, fds[0]), 0);
    expect_eq(write(fds[1], "abc", 3), 3);
    maker_expect_lost(m, -EMFILE);
    limit.rlim_cur = before;
    cr_assert(setrlimit(RLIMIT_NOFILE, &limit) == 0);
    close(fds[1]);
}

/* Creating a pipe needs no descriptor, so it works in a process that has none
 * left; but if workers have to splice, it needs two. */
MAKER(pipe_kinds, no_other_descriptor_is_needed, m)
{
    struct rlimit limit;
    char features[4096];
    int fds[2];

    weir_loop_get_features_text(m->loop, features, sizeof(features));
    if (!strstr(features, "pipe_nowait      6.4   yes") && workers_splice(m)) {
        cr_skip_test("worker threads splice here; runs in --setup mask_all");
    }
    cr_assert(pipe2(fds, O_CLOEXEC) == 0);
    cr_assert(getrlimit(RLIMIT_NOFILE, &limit) == 0);
    const rlim_t before = limit.rlim_cur;
    limit.rlim_cur = 0;
    cr_assert(setrlimit(RLIMIT_NOFILE, &limit) == 0);
    expect_eq(read_pipe(m, fds[0]), 0);
    maker_expect_done(m, 0);
    expect_eq(write(fds[1], "abc", 3), 3);
    close(fds[1]);
    maker_run(m, maker_is_lost);
    expect_eq(m->received, 3);
    limit.rlim_cur = before;
    cr_assert(setrlimit(RLIMIT_NOFILE, &limit) == 0);
}
