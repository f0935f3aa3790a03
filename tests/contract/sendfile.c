/*
 * Files that stream transports send: which bytes arrive, in which order, and
 * what is reported, for files in the page cache or not, sparse files, and files
 * of unknown size.
 */
#define PAIRS_NEED RIG_SENDS
#include "tests/contract/scenes.h"
#include "tests/contract/sending_rig.h"
#include "tests/marks.h"

#include <fcntl.h>

enum {
    SIZE = 300000,
    LARGE = 3000000, /* more than all buffers on the path */
};

SCENE(sendfile, a_file_leaves_between_the_writes_around_it, "sends wide",
      "write 100000; file 300000; send-file; read-file; done 0; "
      "file-sent 200000; came 300000; usable")

PAIRS(sendfile, exactly_the_part_that_was_asked_for_is_sent, rig)
{
    static const struct {
        size_t written;
        uint64_t count;
    } parts[] = {{0, 1},      {0, 1},    {4093, 2},  {0, 4095},
                 {100, 4097}, {1, 9000}, {0, 65536}, {3000, 65537},
                 {0, 0},      {0, 100},  {7, 131072}};
    const int fd = own_file(rig, SIZE);

    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        expect_eq(rig_write(rig, parts[i].written), 0);
        begin_sending(rig, fd, parts[i].count);
        read_until_done(rig);
        expect_eq(sending.err, 0);
        expect_eq(sending.sent, parts[i].count);
        expect_eq(rig->peer_received, rig->written);
    }
    expect_eq(lseek(fd, 0, SEEK_CUR), 0);
    expect_usable(rig);
}

SCENE(sendfile, a_file_that_is_shorter_is_sent_as_far_as_it_goes, "sends wide",
      "file 5000; send-file 5001; read-file; done 0; file-sent 5000; "
      "write 1000; send-file 100; read-file; done 0; file-sent 0; send-file; "
      "read-file; file-sent 0; usable")
SCENE(sendfile, an_empty_file_sends_nothing, "sends wide",
      "file 0; send-file; done 0; file-sent 0; usable")
SCENE(sendfile, a_large_file_arrives_whole, "sends wide",
      "file 16M; send-file; read-file; file-sent 16M; came 16M; usable")
/* TLS has records around the bytes. */
SCENE(sendfile, a_file_that_is_not_sealed_is_counted_as_it_is,
      "sends plain wide",
      "note sent; file 16M; send-file; read-file; sent +16M")
SCENE(sendfile, a_slow_reader_gets_all_of_it, "sends",
      "file 3000000; send-file", "read 997; turn; again 19",
      "told-of 0; read-file; file-sent 3000000; usable")

PAIRS(sendfile, a_file_that_is_not_in_the_cache_is_sent, rig)
{
    const int fd = own_file(rig, 8u << 20);
    if (!make_cold(fd)) {
        return; /* a file system in memory */
    }

    begin_sending(rig, fd, WEIR_TO_END);
    read_until_done(rig);

    expect_eq(sending.err, 0);
    expect_eq(sending.sent, 8u << 20);
    /* Under memory pressure the kernel drops some of the pages that were read.
     */
    expect_gt(count_cached(fd), 0, "it was read past the cache");
    expect_usable(rig);
}

/* Zeros for which the disk has no block. */
PAIRS(sendfile, holes_are_sent_as_zeros, rig)
{
    const size_t size = 1u << 20;
    const int fd = open(".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    expect_eq(ftruncate(fd, (off_t)size), 0);
    expect_eq(pwrite(fd, "x", 1, 500000), 1);

    begin_sending(rig, fd, WEIR_TO_END);
    size_t got = 0;
    while (got < size) {
        static uint8_t buf[65536];
        const ssize_t ret = read(rig->peer, buf, sizeof(buf));
        rig_turn(rig);
        for (ssize_t i = 0; i < ret; i++) {
            expect_eq(buf[i], got + (size_t)i == 500000 ? 'x' : 0);
        }
        got += ret > 0 ? (size_t)ret : 0;
    }
    wait_done(rig);

    expect_eq(sending.sent, size);
    rig->peer_received = rig->written;
    expect_usable(rig);
    close(fd);
}

PAIRS(sendfile, a_file_that_is_cut_meanwhile_ends_early, rig,
      .small_buffers = true)
{
    const int fd = own_file(rig, LARGE);
    begin_sending(rig, fd, LARGE);
    rig_turns(rig, 10);
    expect_eq(sending.calls, 0);

    expect_eq(ftruncate(fd, LARGE - 50000), 0);
    read_until_done(rig);

    expect_eq(sending.err, 0);
    expect_eq(sending.sent, LARGE - 50000);
    expect_usable(rig);
}

PAIRS(sendfile, a_file_that_grows_meanwhile_is_sent_up_to_the_count, rig,
      .small_buffers = true)
{
    const int whole = pattern_file(LARGE);
    const int fd = own_file(rig, LARGE / 2);
    begin_sending(rig, fd, LARGE);
    rig_turns(rig, 10);
    expect_eq(sending.calls, 0);

    static uint8_t buf[LARGE / 2];
    expect_eq(pread(whole, buf, sizeof(buf), LARGE / 2), sizeof(buf));
    expect_eq(pwrite(fd, buf, sizeof(buf), LARGE / 2), sizeof(buf));
    read_until_done(rig);

    expect_eq(sending.sent, LARGE);
    expect_usable(rig);
    close(whole);
}

static void read_raw(struct rig *rig, uint8_t *buf, size_t len)
{
    const uint64_t until_ns = rig_now_ns() + RIG_WAIT_NS;

    for (size_t got = 0; got < len;) {
        const ssize_t ret = read(rig->peer, buf + got, len - got);
        got += ret > 0 ? (size_t)ret : 0;
        rig_turn(rig);
        expect(rig_now_ns() < until_ns);
    }
}

/* Files of the kernel have no known size. */
PAIRS(sendfile, a_file_of_unknown_size_is_read_to_its_end, rig)
{
    uint8_t text[65536];
    uint8_t got[65536];
    const int fd = open("/proc/filesystems", O_RDONLY | O_CLOEXEC);
    const ssize_t size = pread(fd, text, sizeof(text), 0);
    expect(size > 10);

    begin_sending(rig, fd, WEIR_TO_END);
    wait_done(rig);

    expect_eq(sending.err, 0);
    expect_eq(sending.sent, size);
    read_raw(rig, got, (size_t)size);
    expect_eq(memcmp(text, got, (size_t)size), 0);
    close(fd);
    rig->peer_received = rig->written;
}

PAIRS(sendfile, writes_are_refused_meanwhile_and_accepted_afterwards, rig,
      .small_buffers = true)
{
    char byte = 'x';
    const struct iovec iov = {.iov_base = &byte, .iov_len = 1};
    const int fd = own_file(rig, LARGE);
    begin_sending(rig, fd, WEIR_TO_END);

    for (int i = 0; i < 2; i++) {
        expect_eq(rig_write(rig, 1), -EBUSY);
        expect_eq(rig_write(rig, 0), -EBUSY);
        expect_eq(weir_transport_writelines(rig->t, &iov, 1), -EBUSY);
        expect_eq(weir_transport_write_ref(rig->t, "x", 1, NULL, NULL), -EBUSY);
        expect_eq(weir_transport_sendfile(rig->t, fd, 0, 1, NULL, NULL),
                  -EINVAL);
        rig_turns(rig, 20);
    }
    expect_eq(sending.calls, 0);
    expect_eq(weir_transport_take_write_error(rig->t), 0);
    read_until_done(rig);

    expect_usable(rig);
}

static void start_second(void *arg, weir_transport *t, int err, uint64_t sent)
{
    struct rig *rig = arg;
    expect_eq(err, 0);
    rig->written += sent;
    expect(weir_transport_get_error(t) == 0);
    begin_sending(rig, rig->count, 1000);
    expect_eq(weir_transport_sendfile(t, rig->count, 0, 1, start_second, rig),
              -EBUSY);
}

PAIRS(sendfile, one_file_at_a_time_and_the_next_from_done, rig)
{
    const int fd = own_file(rig, SIZE);
    rig->count = fd;
    expect_ok(weir_transport_sendfile(rig->t, fd, 0, 5000, start_second, rig));
    expect_eq(weir_transport_sendfile(rig->t, fd, 0, 5000, start_second, rig),
              -EBUSY);

    sending.calls = 0;
    read_until_done(rig);

    expect_eq(rig->written, 6000);
    expect_usable(rig);
}

static void refuse(struct rig *rig, int fd, int err)
{
    expect(fd >= 0);
    expect_eq(
        weir_transport_sendfile(rig->t, fd, 0, WEIR_TO_END, start_second, rig),
        err);
    expect_eq(rig_write(rig, 10), 0);
    close(fd);
}

PAIRS(sendfile, what_is_not_a_file_to_read_is_refused, rig)
{
    int pipe_fds[2];
    const int file = pattern_file(100);
    expect_eq(pipe2(pipe_fds, O_CLOEXEC), 0);

    refuse(rig, open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), -EISDIR);
    refuse(rig, pipe_fds[0], -ESPIPE);
    refuse(rig, open("/dev/zero", O_RDONLY | O_CLOEXEC), -ESPIPE);
    refuse(rig, open("/proc/self/exe", O_PATH | O_CLOEXEC), -EBADF);
    refuse(rig, open(".", O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600), -EBADF);
    const int direct = open("/proc/self/exe", O_RDONLY | O_DIRECT | O_CLOEXEC);
    if (direct >= 0) { /* not every file system has it */
        refuse(rig, direct, -EINVAL);
    }
    expect_eq(weir_transport_sendfile(rig->t, 12345, 0, 1, start_second, rig),
              -EBADF);
    expect_eq(weir_transport_sendfile(rig->t, file, UINT64_C(1) << 63, 1,
                                      start_second, rig),
              -EINVAL);
    expect_eq(
        weir_transport_sendfile(rig->t, file, INT64_MAX, 1, start_second, rig),
        -EINVAL);
    expect_eq(weir_transport_sendfile(rig->t, file, 0, 1, NULL, NULL), -EINVAL);

    rig_peer_read(rig, rig->written);
    expect_usable(rig);
    close(file);
    close(pipe_fds[1]);
}

static bool blocks_sigpipe(void)
{
    sigset_t mask;
    expect_eq(pthread_sigmask(SIG_BLOCK, NULL, &mask), 0);
    return sigismember(&mask, SIGPIPE) == 1;
}

/* The socket is non-blocking while pieces follow each other, and not while the
 * file waits for space. */
PAIRS(sendfile, the_socket_is_left_as_it_was, rig,
      .needs = RIG_BOTH_WAYS | RIG_IS_PLAIN, .small_buffers = true)
{
    const int flags = fcntl(weir_transport_get_socket(rig->t), F_GETFL);
    send_own_file(rig, SIZE);
    rig_turns(rig, 10);
    expect_eq(fcntl(weir_transport_get_socket(rig->t), F_GETFL), flags);

    rig_peer_send(rig, 100000);
    rig_wait_received(rig, 100000);
    read_until_done(rig);

    expect_eq(fcntl(weir_transport_get_socket(rig->t), F_GETFL), flags);
    expect(!blocks_sigpipe());
    expect_usable(rig);
}

PAIRS(sendfile, its_bytes_are_not_part_of_the_write_buffer, rig,
      .needs = RIG_BOTH_WAYS | RIG_IS_PLAIN, .small_buffers = true)
{
    const int cold = pattern_file(SIZE);
    const bool is_on_disk = make_cold(cold);
    close(cold);
    if (!is_on_disk) {
        return; /* a thread reads files of an in-memory file system */
    }
    expect_eq(set_marks(rig->t, 0, 0), 0);

    send_own_file(rig, SIZE);
    rig_turns(rig, 20);
    expect_eq(rig_pending(rig), 0);
    expect_eq(rig_statistics(rig).queued_bytes, 0);
    read_until_done(rig);

    expect_events(rig, "made");
    expect_usable(rig);
}
