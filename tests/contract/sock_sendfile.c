/*
 * Files that tasks send on the program's sockets: every byte arrives once, in
 * the cache or not; calls take turns; and an interrupted call reports how far
 * it came.
 */
#include "tests/contract/fail_calls.h"
#include "tests/contract/sock_rig.h"
#include "tests/unit/random.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/syscall.h>
#include <weir/sock.h>

enum { RACES = 60, SMALL = 100000, FEW = 30000 };

struct filing {
    int file;
    uint64_t offset;
    uint64_t count;
    int64_t result;
    int order;
};

static int send_file(weir_loop *on, void *arg)
{
    struct filing *filing = arg;
    filing->result = weir_sock_sendfile(on, ends[0], filing->file,
                                        &filing->offset, filing->count);
    filing->order = ++returned;
    return filing->result < 0 ? (int)filing->result : 0;
}

static int large_file(size_t len)
{
    const int fd = open(".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    cr_assert_geq(fd, 0, "no file without a name: %s", strerror(errno));
    fill_large();
    expect_eq(pwrite(fd, large, len, 0), len);
    return fd;
}

static void make_cold(int fd)
{
    expect_eq(fsync(fd), 0);
    expect_eq(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED), 0);
}

static void read_file(weir_loop *on, size_t at, size_t len)
{
    static char bytes[65536];
    size_t got = 0;
    while (got < len) {
        const size_t want =
            len - got < sizeof(bytes) ? len - got : sizeof(bytes);
        const ssize_t count = weir_sock_recv(on, ends[1], bytes, want);
        expect_gt(count, 0);
        expect_eq(memcmp(bytes, large + at + got, (size_t)count), 0);
        got += (size_t)count;
    }
}

static void expect_nothing_more(void)
{
    char byte;
    expect_eq(recv(ends[1], &byte, 1, MSG_DONTWAIT), -1);
    expect_eq(errno, EAGAIN);
}

TASK(sock_sendfile, exactly_the_part_that_was_asked_for_is_sent)
{
    static const struct {
        uint64_t offset;
        uint64_t count;
        int64_t sent;
    } parts[] = {
        {0, WEIR_TO_END, SMALL},
        {0, 1, 1},
        {4095, 2, 2},
        {1, 65537, 65537},
        {99999, 100, 1},
        {SMALL, 10, 0},
        {SMALL + 5, 10, 0},
        {70000, 0, 0},
        {SMALL, WEIR_TO_END, 0},
        {12345, 50000, 50000},
        {0, INT64_MAX, SMALL},
    };
    const int file = large_file(SMALL);
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        struct filing filing = {
            .file = file, .offset = parts[i].offset, .count = parts[i].count};
        weir_task *task = spawn(send_file, &filing);
        read_file(loop, parts[i].offset, (size_t)parts[i].sent);
        expect_eq(join(task), 0);
        expect_eq(filing.result, parts[i].sent);
        expect_eq(filing.offset, parts[i].offset + (uint64_t)parts[i].sent);
        expect_nothing_more();
    }
    expect_eq(lseek(file, 0, SEEK_CUR), 0);
    close(file);
}

static void send_whole(bool is_cold)
{
    const int file = large_file(LARGE);
    const int flags = fcntl(ends[0], F_GETFL);
    struct filing filing = {.file = file, .count = WEIR_TO_END};

    expect_eq(flags & O_NONBLOCK, 0);
    if (is_cold) {
        make_cold(file);
    }
    weir_task *task = spawn(send_file, &filing);
    read_file(loop, 0, LARGE);
    expect_eq(join(task), 0);
    expect_eq(filing.result, LARGE);
    expect_eq(fcntl(ends[0], F_GETFL), flags);
    expect_eq(statistics().queued_bytes, 0);
    close(file);
}

TASK(sock_sendfile, a_large_file_goes_as_fast_as_the_peer_reads)
{
    send_whole(false);
}

TASK(sock_sendfile, a_file_that_is_not_in_the_cache_is_read)
{
    send_whole(true);
}

/* Emulators of other processors lack the call that checks the cache. */
TASK(sock_sendfile, a_file_is_read_where_the_cache_cannot_be_asked)
{
    fail_calls(SYS_preadv2, ENOSYS);
    send_whole(false);
}

/* Files of the kernel have no known size. */
TASK(sock_sendfile, a_file_of_unknown_size_is_read_to_its_end)
{
    static char text[65536];
    static char got[65536];
    uint64_t offset = 3;
    const int file = open("/proc/filesystems", O_RDONLY | O_CLOEXEC);
    const ssize_t size = pread(file, text, sizeof(text), 3);
    expect_eq(weir_sock_sendfile(loop, ends[0], file, &offset, WEIR_TO_END),
              size);
    expect_eq(offset, size + 3);
    expect_eq(recv(ends[1], got, sizeof(got), 0), size);
    expect_eq(memcmp(text, got, (size_t)size), 0);
    close(file);
}

TASK(sock_sendfile, a_file_that_is_cut_meanwhile_ends_early)
{
    const int file = large_file(LARGE);
    struct filing filing = {.file = file, .count = LARGE};
    weir_task *task = spawn(send_file, &filing);
    settle();
    expect_eq(filing.order, 0, "the peer has not read");
    expect_eq(ftruncate(file, 3000000), 0);
    read_file(loop, 0, 3000000);
    expect_eq(join(task), 0);

    expect_eq(filing.result, 3000000);
    expect_nothing_more();
    close(file);
}

TASK(sock_sendfile, calls_that_send_wait_for_each_other)
{
    const int file = large_file(LARGE);
    struct filing first = {.file = file, .count = WEIR_TO_END};
    struct filing second = {.file = file, .count = 1000};
    struct sending bytes = {.data = large, .len = 500};
    weir_task *tasks[] = {spawn(send_file, &first), spawn(send_file, &second),
                          spawn(send_all, &bytes)};
    settle();
    expect_eq(returned, 0);
    weir_task_cancel(tasks[1]);
    expect_eq(join(tasks[1]), -ECANCELED);
    expect_eq(second.offset, 0);

    read_file(loop, 0, LARGE);
    expect_eq(join(tasks[0]), 0);
    read_file(loop, 0, 500);
    expect_eq(join(tasks[2]), 0);
    expect_nothing_more();
    close(file);
}

TASK(sock_sendfile, a_cancelled_call_says_how_far_the_file_was_sent)
{
    struct unit_random random;
    const int file = large_file(LARGE);
    uint64_t at = 0;
    int cancelled = 0;
    unit_random_seed(&random);
    for (int i = 0; i < RACES && at < LARGE; i++) {
        struct filing filing = {
            .file = file, .offset = at, .count = WEIR_TO_END};
        if (unit_random_below(&random, 2)) {
            make_cold(file);
        }
        weir_task *task = spawn(send_file, &filing);
        for (uint64_t j = unit_random_below(&random, 6); j > 0; j--) {
            expect_eq(weir_yield(loop), 0);
        }
        weir_task_cancel(task);
        const int err = join(task);
        cancelled += err == -ECANCELED;
        expect_eq(filing.result < 0, err < 0);
        cr_assert(err == 0 || err == -ECANCELED);
        cr_assert(err == -ECANCELED || filing.offset == LARGE);
        read_file(loop, at, filing.offset - at);
        expect_nothing_more();
        at = filing.offset;
    }
    expect_gt(cancelled, 0);
    expect_eq(statistics().queued_bytes, 0);
    close(file);
}

UNIT(sock_sendfile, a_loop_is_freed_while_a_file_is_being_sent)
{
    open_loop(NULL);
    expect_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    const int file = large_file(LARGE);
    struct filing filings[2] = {{.file = file, .count = WEIR_TO_END},
                                {.file = file, .count = WEIR_TO_END}};
    returned = 0;
    for (int i = 0; i < 2; i++) {
        make_cold(file);
        weir_task_unref(spawn(send_file, &filings[i]));
    }
    one_turn();
    close_loop();

    expect_eq(returned, 2);
    expect_eq(filings[0].result, -ECANCELED);
    expect_eq(filings[1].result, -ECANCELED);
    expect_eq(filings[1].offset, 0);
    close(file);
    close_ends(ends);
}

TASK(sock_sendfile, a_peer_that_is_gone_raises_no_signal)
{
    const int file = large_file(LARGE);
    struct filing filing = {.file = file, .count = WEIR_TO_END};
    signal(SIGPIPE, SIG_DFL); /* whatever the test program inherited */
    weir_task *task = spawn(send_file, &filing);
    read_file(loop, 0, 1); /* a thread may have to read the file first */
    close(ends[1]);
    ends[1] = dup(0);
    expect_eq(join(task), -EPIPE);
    expect_gt(filing.offset, 0);
    expect_lt(filing.offset, LARGE);

    make_cold(file);
    filing.offset = 0;
    expect_eq(send_file(loop, &filing), -EPIPE);
    expect_eq(filing.offset, 0);
    close(file);
}

static void refuse_file(weir_loop *on, int file, int err)
{
    uint64_t offset = 5;
    expect_eq(weir_sock_sendfile(on, ends[0], file, &offset, 1), err);
    expect_eq(offset, 5);
    close(file);
}

TASK(sock_sendfile, what_cannot_be_sent_is_refused)
{
    uint64_t offset = 0;
    int pipes[2];
    int packets[2];
    const int file = large_file(100);
    expect_eq(pipe(pipes), 0);
    expect_eq(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, packets), 0);
    expect_eq(weir_sock_sendfile(loop, ends[0], file, NULL, 1), -EINVAL);
    expect_eq(weir_sock_sendfile(loop, -1, file, &offset, 1), -EBADF);
    expect_eq(weir_sock_sendfile(loop, 12345, file, &offset, 1), -EBADF);
    expect_eq(weir_sock_sendfile(loop, pipes[1], file, &offset, 1), -ENOTSOCK);
    expect_eq(weir_sock_sendfile(loop, packets[0], file, &offset, 1),
              -EOPNOTSUPP);
    expect_eq(weir_sock_sendfile(loop, ends[0], 12345, &offset, 1), -EBADF);
    refuse_file(loop, open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), -EISDIR);
    refuse_file(loop, pipes[0], -ESPIPE);
    refuse_file(loop, open("/dev/zero", O_RDONLY | O_CLOEXEC), -ESPIPE);
    refuse_file(loop, open("/proc/self/exe", O_PATH | O_CLOEXEC), -EBADF);
    refuse_file(loop, open(".", O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600),
                -EBADF);
    offset = (uint64_t)INT64_MAX + 1;
    expect_eq(weir_sock_sendfile(loop, ends[0], file, &offset, 0), -EINVAL);
    offset = 10;
    expect_eq(weir_sock_sendfile(loop, ends[0], file, &offset, INT64_MAX),
              -EINVAL);
    expect_nothing_more();
    close(file);
    close(pipes[1]);
    close_ends(packets);
}

TASK(sock_sendfile, r62__the_descriptor_of_a_transport_is_refused)
{
    CALLBACKS(silent, STREAM, .connection_made = keep_connection);
    uint64_t offset = 0;
    const int file = large_file(100);
    const int peer = adopt_pair(&silent, NULL);
    settle();
    expect_eq(weir_sock_sendfile(loop, weir_transport_get_socket(connection),
                                 file, &offset, 1),
              -EBUSY);
    expect_eq(weir_transport_abort(connection), 0);
    settle();
    close(peer);
    close(file);
}

UNIT(sock_sendfile, only_tasks_may_call)
{
    uint64_t offset = 0;
    open_loop(NULL);
    one_turn();
    expect_eq(weir_sock_sendfile(loop, 0, 0, &offset, 1), WEIR_ENOTTASK);
    close_loop();
}

/* A second call continues after the first, which may have sent a part of the
 * file before it ran out of memory: a file that is not in the cache is sent in
 * pieces. Some allocations of pieces are optional. */
static void send_without(void)
{
    static char got[FEW];
    const int file = large_file(FEW);
    uint64_t offset = 0;

    make_cold(file);
    walk_begin(&memory);
    const int64_t result =
        weir_sock_sendfile(loop, ends[0], file, &offset, WEIR_TO_END);
    if (walk_end(&memory) && result != FEW) {
        const uint64_t sent = offset;
        expect_eq(result, -ENOMEM);
        expect_eq(weir_sock_sendfile(loop, ends[0], file, &offset, WEIR_TO_END),
                  FEW - sent);
    }
    expect_eq(offset, FEW);
    expect_eq(recv(ends[1], got, FEW, MSG_WAITALL), FEW);
    expect_eq(memcmp(got, large, FEW), 0);
    close(file);
}

UNIT(sock_sendfile, without_memory_a_call_fails_and_sends_no_byte_twice)
{
    expect_geq(walk_main(send_without), 2);
}
