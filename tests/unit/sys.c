/*
 * The wrappers of system calls: each returns the kernel's result, with errors
 * as negative numbers and descriptors that are closed on exec.
 *
 * Sockets are on the loopback interface.
 */
#include "uring/sys.h"

#include "tests/contract/fail_calls.h"
#include "tests/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <weir/address.h>

static bool is_close_on_exec(int fd)
{
    return fcntl(fd, F_GETFD) & FD_CLOEXEC;
}

static bool is_blocking(int fd)
{
    return !(fcntl(fd, F_GETFL) & O_NONBLOCK);
}

static struct sockaddr_in loopback(void)
{
    return (struct sockaddr_in){
        .sin_family = AF_INET,
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
}

UNIT(sys, the_clock_is_monotonic_time_in_nanoseconds)
{
    struct timespec before;
    struct timespec after;
    clock_gettime(CLOCK_MONOTONIC, &before);
    uint64_t now = wr_sys_now();
    clock_gettime(CLOCK_MONOTONIC, &after);

    expect_geq(now, (uint64_t)before.tv_sec * 1000000000u +
                        (uint64_t)before.tv_nsec);
    expect_leq(now,
               (uint64_t)after.tv_sec * 1000000000u + (uint64_t)after.tv_nsec);
}

/* Returns a socket that listens at a port chosen by the kernel; *ret is its
 * address. */
static int listen_anywhere(struct sockaddr_in *ret)
{
    struct sockaddr_in bound = loopback();
    socklen_t len = sizeof(*ret);
    int one = 1;
    int listener = wr_sys_socket(AF_INET, SOCK_STREAM, 0);
    expect_geq(listener, 0);
    cr_assert(is_close_on_exec(listener) && is_blocking(listener));
    expect_ok(wr_sys_setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one,
                                sizeof(one)));
    expect_ok(wr_sys_bind(listener, (struct sockaddr *)&bound, sizeof(bound)));
    expect_eq(wr_sys_listen(listener, 5), 0);
    expect_eq(wr_sys_getsockname(listener, (struct sockaddr *)ret, &len), 0);
    expect_neq(ret->sin_port, 0);
    return listener;
}

UNIT(sys, sockets_connect_tell_their_names_and_count_what_is_queued)
{
    struct sockaddr_in name;
    struct sockaddr *any = (struct sockaddr *)&name;
    socklen_t len = sizeof(name);
    int listener = listen_anywhere(&name);
    int client = wr_sys_socket(AF_INET, SOCK_STREAM, 0);
    expect_eq(wr_sys_getpeername(client, any, &len), -ENOTCONN);
    expect_eq(connect(client, any, len), 0);
    int server = accept(listener, NULL, NULL);
    expect_geq(server, 0);
    len = sizeof(name);
    expect_eq(wr_sys_getpeername(client, any, &len), 0);
    struct sockaddr_in6 peer;
    socklen_t peer_len = sizeof(peer);
    expect_ok(
        wr_sys_getpeername_ever(client, (struct sockaddr *)&peer, &peer_len));
    expect_eq(peer_len, len);
    expect_eq(memcmp(&peer, &name, len), 0);

    expect_eq(wr_sys_outq(client), 0);
    /* A peer that does not read: bytes beyond its window are queued. */
    const size_t much = 16 << 20;
    ssize_t sent = send(client, test_pages(much), much, MSG_DONTWAIT);
    expect_gt(sent, 0);
    expect_gt(wr_sys_outq(client), 0);
    expect_leq(wr_sys_outq(client), sent);

    expect_eq(wr_sys_shutdown(client, SHUT_WR), 0);
    expect_eq(wr_sys_close(client), 0);
    expect_eq(wr_sys_close(server), 0);
    expect_eq(wr_sys_close(listener), 0);
}

/* Makes a listener and a connection to it. */
static int connect_pair(int family, int *ret_listener, int *ret_server)
{
    struct sockaddr_in6 own = {.sin6_family = (sa_family_t)family};
    socklen_t len = sizeof(own);
    struct sockaddr *any = (struct sockaddr *)&own;

    if (family == AF_INET6) {
        own.sin6_addr = in6addr_loopback;
    } else {
        ((struct sockaddr_in *)&own)->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        len = sizeof(struct sockaddr_in);
    }
    *ret_listener = wr_sys_socket(family, SOCK_STREAM, 0);
    expect_eq(wr_sys_bind(*ret_listener, any, len), 0);
    expect_eq(wr_sys_listen(*ret_listener, 1), 0);
    expect_eq(wr_sys_getsockname(*ret_listener, any, &len), 0);
    int client = wr_sys_socket(family, SOCK_STREAM, 0);
    expect_eq(connect(client, any, len), 0);
    *ret_server = accept(*ret_listener, NULL, NULL);
    return client;
}

UNIT(sys, a_peer_is_named_after_its_reset_but_not_after_ours)
{
    static const int families[] = {AF_INET, AF_INET6};
    static const socklen_t lens[] = {sizeof(struct sockaddr_in),
                                     sizeof(struct sockaddr_in6)};
    for (size_t i = 0; i < 2; i++) {
        const struct linger reset = {.l_onoff = 1, .l_linger = 0};
        struct sockaddr_in6 own = {0};
        struct sockaddr_in6 peer = {0};
        socklen_t len = sizeof(own);
        int listener;
        int server;
        int client = connect_pair(families[i], &listener, &server);
        expect_eq(wr_sys_getsockname(client, (struct sockaddr *)&own, &len), 0);
        expect_ok(wr_sys_setsockopt(client, SOL_SOCKET, SO_LINGER, &reset,
                                    sizeof(reset)));
        expect_eq(wr_sys_close(client), 0);
        /* The reset may still be in flight. */
        expect_eq(poll(&(struct pollfd){.fd = server}, 1, 60000), 1);

        expect_eq(wr_sys_getpeername(server, (struct sockaddr *)&peer, &len),
                  -ENOTCONN);
        len = sizeof(peer);
        expect_ok(
            wr_sys_getpeername_ever(server, (struct sockaddr *)&peer, &len));
        expect_eq(len, lens[i]);
        expect_eq(memcmp(&peer, &own, lens[i]), 0);

        expect_eq(wr_sys_disconnect(server), 0);
        len = sizeof(peer);
        expect_eq(
            wr_sys_getpeername_ever(server, (struct sockaddr *)&peer, &len),
            -ENOTCONN);
        expect_eq(wr_sys_close(server), 0);
        expect_eq(wr_sys_close(listener), 0);
    }
}

UNIT(sys, the_peer_of_a_unix_socket_is_named_when_it_has_gone)
{
    struct weir_address own = {.len = sizeof(own.storage)};
    struct weir_address peer = {.len = sizeof(peer.storage)};
    int listener = wr_sys_socket(AF_UNIX, SOCK_STREAM, 0);
    expect_ok(wr_sys_bind(listener, &(struct sockaddr){.sa_family = AF_UNIX},
                          sizeof(sa_family_t)));
    expect_eq(wr_sys_listen(listener, 1), 0);
    expect_eq(wr_sys_getsockname(listener, &own.storage.any, &own.len), 0);
    int client = wr_sys_socket(AF_UNIX, SOCK_STREAM, 0);
    expect_eq(connect(client, &own.storage.any, own.len), 0);
    int server = accept(listener, NULL, NULL);
    close(server);
    close(listener);

    expect_eq(wr_sys_getpeername_ever(client, &peer.storage.any, &peer.len), 0);
    cr_assert(weir_address_is_equal(&peer, &own));
    close(client);
}

UNIT(sys, the_peer_of_a_pair_has_a_family_and_no_name)
{
    struct weir_address peer = {.len = sizeof(peer.storage)};
    int ends[2];
    expect_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);

    expect_ok(wr_sys_getpeername_ever(ends[0], &peer.storage.any, &peer.len));
    expect_eq(peer.len, sizeof(sa_family_t));
    expect_eq(peer.storage.any.sa_family, AF_UNIX);
    close(ends[0]);
    close(ends[1]);
}

UNIT(sys, a_peer_is_named_where_the_kernel_lacks_the_option)
{
    const int families[] = {AF_INET, AF_INET6};
    int ends[2];
    int listeners[2];
    int servers[2];

    for (int i = 0; i < 2; i++) {
        ends[i] = connect_pair(families[i], &listeners[i], &servers[i]);
    }
    fail_calls(SYS_getsockopt, ENOPROTOOPT);
    for (int i = 0; i < 2; i++) {
        struct weir_address peer = {.len = sizeof(peer.storage)};
        struct weir_address own = {.len = sizeof(own.storage)};
        expect_ok(wr_sys_getsockname(servers[i], &own.storage.any, &own.len));
        expect_ok(
            wr_sys_getpeername_ever(ends[i], &peer.storage.any, &peer.len));
        cr_assert(weir_address_is_equal(&peer, &own));
        close(ends[i]);
        close(servers[i]);
        close(listeners[i]);
    }
}

UNIT(sys, a_ring_that_is_not_enabled_is_not_passed_on_either)
{
    struct io_uring ring;
    if (io_uring_queue_init(1, &ring, IORING_SETUP_R_DISABLED) == -ENOSYS) {
        cr_skip_test("no io_uring; runs where the kernel allows it");
    }
    expect_eq(wr_sys_dup_to_pass(ring.ring_fd), -EINVAL);
    io_uring_queue_exit(&ring);
}

/* Refused by filters, for example of containers, or not available. */
UNIT(sys, descriptors_are_passed_on_where_io_uring_is_refused)
{
    const uint32_t errors[] = {EPERM, EACCES, ENOSYS};
    for (int i = 0; i < 3; i++) {
        fail_calls(SYS_io_uring_enter, errors[i]);
        const int copy = wr_sys_dup_to_pass(STDIN_FILENO);
        expect_gt(copy, STDERR_FILENO);
        close(copy);
    }
}

UNIT(sys, a_limit_of_the_standard_descriptors_leaves_none_to_pass)
{
    struct rlimit before;
    expect_eq(getrlimit(RLIMIT_NOFILE, &before), 0);
    const struct rlimit few = {STDERR_FILENO + 1, before.rlim_max};
    expect_eq(setrlimit(RLIMIT_NOFILE, &few), 0);
    const int copy = wr_sys_dup_to_pass(STDIN_FILENO);
    expect_eq(setrlimit(RLIMIT_NOFILE, &before), 0);
    expect_eq(copy, -EMFILE);
}

UNIT(sys, a_receive_fills_several_pieces_and_never_waits)
{
    int ends[2];
    char first[4] = "";
    char second[8] = "";
    struct iovec iov[] = {{first, sizeof(first)}, {second, sizeof(second)}};
    expect_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    cr_assert(is_blocking(ends[0]));

    expect_eq(wr_sys_recv(ends[0], iov, 2), -EAGAIN);
    expect_eq(write(ends[1], "abcdef", 6), 6);
    expect_eq(wr_sys_recv(ends[0], iov, 2), 6);
    expect_eq(memcmp(first, "abcd", 4), 0);
    expect_eq(memcmp(second, "ef", 2), 0);
    expect_eq(wr_sys_close(ends[1]), 0);

    expect_eq(wr_sys_recv(ends[0], iov, 1), 0);
    expect_eq(wr_sys_close(ends[0]), 0);
    expect_eq(wr_sys_recv(-1, iov, 1), -EBADF);
}

UNIT(sys, an_empty_datagram_can_be_read)
{
    int ends[2];
    expect_eq(socketpair(AF_UNIX, SOCK_DGRAM, 0, ends), 0);

    expect_eq(wr_sys_is_readable(ends[0]), 0);
    expect_eq(send(ends[1], "", 0, 0), 0);
    expect_eq(wr_sys_is_readable(ends[0]), 1);

    expect_eq(wr_sys_close(ends[0]), 0);
    expect_eq(wr_sys_close(ends[1]), 0);
}

UNIT(sys, options_are_read_back)
{
    int value = 0;
    socklen_t len = sizeof(value);
    int fd = wr_sys_socket(AF_INET6, SOCK_DGRAM, 0);
    expect_geq(fd, 0);

    expect_eq(wr_sys_getsockopt(fd, SOL_SOCKET, SO_TYPE, &value, &len), 0);
    expect_eq(value, SOCK_DGRAM);
    expect_eq(wr_sys_close(fd), 0);
}

UNIT(sys, errors_are_negative_numbers)
{
    struct sockaddr_in addr = loopback();
    struct sockaddr *any = (struct sockaddr *)&addr;
    socklen_t len = sizeof(addr);
    int value = 0;

    expect_eq(wr_sys_socket(AF_INET, 12345, 0), -EINVAL);
    expect_eq(wr_sys_bind(-1, any, len), -EBADF);
    expect_eq(wr_sys_listen(-1, 1), -EBADF);
    expect_eq(wr_sys_getsockname(-1, any, &len), -EBADF);
    expect_eq(wr_sys_getpeername(-1, any, &len), -EBADF);
    struct sockaddr_in6 peer;
    len = sizeof(peer);
    expect_eq(wr_sys_getpeername_ever(-1, (struct sockaddr *)&peer, &len),
              -EBADF);
    expect_eq(wr_sys_setsockopt(-1, 0, 0, &value, sizeof(value)), -EBADF);
    expect_eq(wr_sys_getsockopt(-1, 0, 0, &value, &len), -EBADF);
    expect_eq(wr_sys_connect(-1, any, len), -EBADF);
    expect_eq(wr_sys_set_blocking(-1), -EBADF);
    expect_eq(wr_sys_fchmod(-1, 0600), -EBADF);
    expect_eq(wr_sys_chmod("/nonexistent/file", 0600), -ENOENT);
    expect_eq(wr_sys_unlink("/nonexistent/file"), -ENOENT);
    expect_eq(wr_sys_lstat("/nonexistent/file", &(struct stat){0}), -ENOENT);
    expect_eq(wr_sys_shutdown(-1, SHUT_WR), -EBADF);
    expect_eq(wr_sys_close(-1), -EBADF);
    expect_eq(wr_sys_outq(-1), -EBADF);
    expect_eq(wr_sys_eventfd_write(-1), -EBADF);
}

/* Like rsync --inplace --times: time, size and inode are as before. */
UNIT(sys, a_file_that_is_rewritten_with_its_old_time_has_another_stamp)
{
    char path[] = "/tmp/weir-stamp-XXXXXX";
    struct stat before;
    struct stat after;
    const int fd = mkstemp(path);
    expect_geq(fd, 0);
    expect_eq(wr_sys_file_stamp("/nonexistent/file"), 0);
    expect_eq(pwrite(fd, "one", 3, 0), 3);
    expect_eq(fstat(fd, &before), 0);
    const uint64_t stamp = wr_sys_file_stamp(path);
    expect_eq(wr_sys_file_stamp(path), stamp);
    const struct timespec times[] = {before.st_atim, before.st_mtim};
    do { /* until the clock of the file system advances */
        expect_eq(pwrite(fd, "two", 3, 0), 3);
        expect_eq(futimens(fd, times), 0);
        expect_eq(fstat(fd, &after), 0);
    } while (after.st_ctim.tv_sec == before.st_ctim.tv_sec &&
             after.st_ctim.tv_nsec == before.st_ctim.tv_nsec);
    expect_neq(wr_sys_file_stamp(path), stamp);
    expect_eq(close(fd), 0);
    expect_eq(unlink(path), 0);
}

UNIT(sys, the_permissions_behind_a_symbolic_link_stay_as_they_are)
{
    char directory[] = "/tmp/weir-test-XXXXXX";
    char path[64];
    char link[64];
    struct stat found;
    cr_assert_not_null(mkdtemp(directory));
    snprintf(path, sizeof(path), "%s/file", directory);
    snprintf(link, sizeof(link), "%s/link", directory);
    const int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    cr_assert_geq(fd, 0);
    expect_eq(symlink(path, link), 0);

    expect_lt(wr_sys_chmod(link, 0666), 0);
    expect_eq(fstat(fd, &found), 0);
    expect_eq(found.st_mode & WR_MODE_BITS, 0600);
    expect_eq(wr_sys_chmod(path, 0640), 0);
    expect_eq(fstat(fd, &found), 0);
    expect_eq(found.st_mode & WR_MODE_BITS, 0640);

    close(fd);
    unlink(link);
    unlink(path);
    rmdir(directory);
}

UNIT(sys, a_directory_is_locked_until_the_descriptor_is_closed)
{
    char directory[] = "/tmp/weir-test-XXXXXX";
    char path[64];
    cr_assert_not_null(mkdtemp(directory));
    snprintf(path, sizeof(path), "%s/file", directory);

    int lock = wr_sys_lock_directory(path);
    expect_geq(lock, 0);
    cr_assert(is_close_on_exec(lock));
    expect_eq(wr_sys_lock_directory(path), -EAGAIN);
    wr_sys_close(lock);
    lock = wr_sys_lock_directory(path);
    expect_geq(lock, 0);
    wr_sys_close(lock);

    snprintf(path, sizeof(path), "%s/none/file", directory);
    expect_eq(wr_sys_lock_directory(path), -ENOENT);
    cr_assert_eq(chdir(directory), 0);
    lock = wr_sys_lock_directory("file");
    expect_geq(lock, 0, "the directory that we are in");
    wr_sys_close(lock);
    do { /* another run of this test may have it */
        lock = wr_sys_lock_directory("/file");
    } while (lock == -EAGAIN);
    expect_geq(lock, 0);
    wr_sys_close(lock);
    cr_assert_eq(rmdir(directory), 0);
}

UNIT(sys, an_eventfd_adds_up_what_is_written)
{
    uint64_t count = 0;
    int fd = wr_sys_eventfd();
    expect_geq(fd, 0);
    cr_assert(is_close_on_exec(fd) && is_blocking(fd));
    expect_eq(wr_sys_eventfd_write(fd), 0);
    expect_eq(wr_sys_eventfd_write(fd), 0);

    expect_eq(read(fd, &count, sizeof(count)), 8);
    expect_eq(count, 2);
    expect_eq(wr_sys_close(fd), 0);
}

/* Makes a file of @size bytes, 'a' to 'z' repeatedly. */
static int letters(size_t size)
{
    const int fd = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    expect_geq(fd, 0);
    for (size_t i = 0; i < size; i++) {
        const char letter = (char)('a' + i % 26);
        expect_eq(pwrite(fd, &letter, 1, (off_t)i), 1);
    }
    return fd;
}

UNIT(sys, a_file_is_sent_as_far_as_there_is_room_and_never_waits)
{
    int pair[2];
    char buf[8] = "";
    const int fd = letters(10000);
    expect_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);

    expect_eq(wr_sys_sendfile(pair[0], fd, 3, 5), 5);
    expect_eq(recv(pair[1], buf, sizeof(buf), 0), 5);
    expect_eq(strcmp(buf, "defgh"), 0);
    expect_eq(wr_sys_sendfile(pair[0], fd, 9990, 100), 10);
    expect_eq(wr_sys_sendfile(pair[0], fd, 10000, 100), 0);
    int64_t sent;
    do {
        sent = wr_sys_sendfile(pair[0], fd, 0, 10000);
    } while (sent > 0);

    expect_eq(sent, -EAGAIN);
    cr_assert(is_blocking(pair[0]));
    expect_eq(lseek(fd, 0, SEEK_CUR), 0);
    expect_eq(wr_sys_sendfile(pair[0], -1, 0, 1), -EBADF);
    close(pair[0]);
    close(pair[1]);
    close(fd);
}

static bool is_pending(int signum)
{
    sigset_t set;
    expect_eq(sigpending(&set), 0);
    return sigismember(&set, signum);
}

/* Returns true if it was blocked before. */
static bool block_pipe_signal(void)
{
    sigset_t set;
    sigset_t before;
    sigemptyset(&set);
    sigaddset(&set, SIGPIPE);
    expect_eq(pthread_sigmask(SIG_BLOCK, &set, &before), 0);
    return sigismember(&before, SIGPIPE) == 1;
}

/* A signal that was pending before belongs to the program, and stays. */
UNIT(sys, sending_a_file_to_a_peer_that_is_gone_raises_no_signal)
{
    int pair[2];
    const int fd = letters(10);
    expect_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    close(pair[1]);

    expect_eq(wr_sys_sendfile(pair[0], fd, 0, 10), -EPIPE);
    cr_assert(!is_pending(SIGPIPE));
    cr_assert_not(block_pipe_signal());
    expect_eq(wr_sys_sendfile(pair[0], fd, 0, 10), -EPIPE);
    cr_assert(!is_pending(SIGPIPE));
    expect_eq(raise(SIGPIPE), 0);
    expect_eq(wr_sys_sendfile(pair[0], fd, 0, 10), -EPIPE);

    cr_assert(is_pending(SIGPIPE));
    cr_assert(block_pipe_signal(), "it is blocked as before");
    close(pair[0]);
    close(fd);
}

static volatile sig_atomic_t pipe_signals;

static void note_pipe_signal(int signum)
{
    pipe_signals++;
}

/* Sent to the whole process, like by kill in a shell. */
UNIT(sys, a_signal_of_another_process_is_not_taken_for_a_raised_one)
{
    struct wr_sys_signals signals;
    struct sigaction before;
    const struct sigaction noting = {.sa_handler = note_pipe_signal};
    int status = -1;

    expect_eq(sigaction(SIGPIPE, &noting, &before), 0);
    expect_eq(wr_sys_block_signals(&signals), 0);
    const pid_t child = fork();
    expect_geq(child, 0);
    if (child == 0) {
        _exit(kill(getppid(), SIGPIPE) != 0);
    }
    expect_eq(waitpid(child, &status, 0), child);
    expect_eq(status, 0);
    cr_assert(is_pending(SIGPIPE));
    wr_sys_restore_signals(&signals, true);

    expect_eq(pipe_signals, 1);
    cr_assert(!is_pending(SIGPIPE));
    expect_eq(sigaction(SIGPIPE, &before, NULL), 0);
}

/* The first bytes of the call are accepted, and answered by a reset; the next
 * ones fail. The call returns the accepted count. */
UNIT(sys, a_part_of_a_file_that_is_cut_short_by_a_reset_raises_no_signal)
{
    struct sockaddr_in addr = loopback();
    socklen_t len = sizeof(addr);
    const int fd = letters(26);
    expect_eq(ftruncate(fd, 4 << 20), 0);
    const int listener = wr_sys_socket(AF_INET, SOCK_STREAM, 0);
    const int sender = wr_sys_socket(AF_INET, SOCK_STREAM, 0);
    expect_eq(bind(listener, (struct sockaddr *)&addr, len), 0);
    expect_eq(listen(listener, 1), 0);
    expect_eq(getsockname(listener, (struct sockaddr *)&addr, &len), 0);
    expect_eq(connect(sender, (struct sockaddr *)&addr, len), 0);
    close(accept(listener, NULL, NULL));

    const int64_t sent = wr_sys_sendfile(sender, fd, 0, 4 << 20);

    cr_assert(sent > 0 && sent < 4 << 20, "%lld", (long long)sent);
    cr_assert(!is_pending(SIGPIPE));
    close(sender);
    close(listener);
    close(fd);
}
