/*
 * Files of the rig's pattern; see sending_rig.h.
 *
 * The bytes are on the disk before the test starts, so that they can be dropped
 * from the page cache.
 */
#include "tests/contract/sending_rig.h"

#include <fcntl.h>

enum { PART = 65536, CACHESTAT = 451 };

int pattern_file(uint64_t size)
{
    static uint8_t buf[PART];
    char path[64];
    const int fd = open(".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    cr_assert(fd >= 0, "no file without a name: %s", strerror(errno));
    for (uint64_t offset = 0; offset < size;) {
        const uint64_t left = size - offset;
        const size_t part = left < PART ? (size_t)left : PART;
        rig_pattern(buf, offset, part);
        expect_eq(pwrite(fd, buf, part, (off_t)offset), part);
        offset += part;
    }
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    const int reading = open(path, O_RDWR | O_CLOEXEC);
    expect(reading >= 0);
    close(fd);
    return reading;
}

int64_t count_cached(int fd)
{
    const uint64_t range[2] = {0, 0}; /* the whole file */
    uint64_t counts[5];
    return syscall(CACHESTAT, fd, range, counts, 0) == 0 ? (int64_t)counts[0]
                                                         : -1;
}

bool make_cold(int fd)
{
    expect_eq(fsync(fd), 0);
    expect_eq(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED), 0);
    return count_cached(fd) == 0;
}

struct sending sending;

static void note_done(void *arg, weir_transport *t, int err, uint64_t sent)
{
    struct rig *rig = sending.rig;

    expect(t == rig->t);
    expect_eq(sending.calls, 0);
    expect_eq(rig->depth, 0);
    sending.calls++;
    sending.err = err;
    sending.sent = sent;
    sending.before_loss = rig->lost_count == 0;
    rig->written += sent;
}

void begin_sending(struct rig *rig, int fd, uint64_t count)
{
    sending = (struct sending){.rig = rig};
    expect_ok(weir_transport_sendfile(rig->t, fd, rig->written, count,
                                      note_done, NULL));
    expect_eq(sending.calls, 0);
}

int own_file(struct rig *rig, uint64_t size)
{
    expect_eq(rig->file, 0);
    sending = (struct sending){.rig = rig};
    rig->file = pattern_file(size);
    return rig->file;
}

int send_own_file(struct rig *rig, uint64_t size)
{
    begin_sending(rig, own_file(rig, size), WEIR_TO_END);
    return rig->file;
}

void wait_done(struct rig *rig)
{
    RUN_UNTIL(rig->loop, sending.calls > 0);
}

void read_until_done(struct rig *rig)
{
    static uint8_t buf[262144];
    const uint64_t until_ns = rig_now_ns() + RIG_WAIT_NS;

    while (sending.calls == 0) {
        const ssize_t got = read(rig->peer, buf, sizeof(buf));
        if (got > 0) {
            expect(rig_is_pattern(buf, rig->peer_received, (size_t)got));
            rig->peer_received += (uint64_t)got;
        }
        rig_turn(rig);
        expect(rig_now_ns() < until_ns);
    }
    rig_peer_read(rig, rig->written - rig->peer_received);
}

void expect_usable(struct rig *rig)
{
    expect_eq(rig_write(rig, 3000), 0);
    expect_eq(weir_transport_close(rig->t), 0);
    expect_eq(rig_peer_read_end(rig), 0);
    expect_eq(rig->peer_received, rig->written);
    rig_expect_lost(rig, 0);
}
