/*
 * The rig of the contract suites: bytes on the connection.
 *
 * Both sides send a pattern in which each byte depends on its position. The
 * peer is a non-blocking descriptor: when it has to wait, the loop turns.
 */
#include "tests/contract/harness.h"
#include "tests/pattern.h"

#include <poll.h>
#include <sys/ioctl.h>

#define CLOG_BYTES (1u << 20)

#define SMALL_BUFFER 16384

void rig_narrow(weir_transport *t)
{
    const int fd = weir_transport_get_socket(t);

    if (fd >= 0) {
        set_socket_option(fd, SOL_SOCKET, SO_SNDBUF, SMALL_BUFFER);
    }
}

void rig_pattern(void *buf, uint64_t offset, size_t len)
{
    pattern_fill(0, offset, buf, len);
}

bool rig_is_pattern(const void *buf, uint64_t offset, size_t len)
{
    return pattern_is(0, offset, buf, len);
}

int rig_write(struct rig *rig, size_t len)
{
    uint8_t *buf = malloc(len ? len : 1);
    expect(buf != NULL);
    rig_pattern(buf, rig->written, len);
    const uint64_t before = rig->written;
    rig->written += len; /* the write may call pause_writing, which reads it */
    int err = weir_transport_write(rig->t, buf, len);
    if (err < 0) {
        rig->written = before;
    }
    free(buf);
    return err;
}

void rig_clog(struct rig *rig)
{
    expect(rig->small_buffers);
    expect_eq(rig_write(rig, CLOG_BYTES), 0);
    size_t before;
    do { /* until no more completions arrive */
        before = rig_pending(rig);
        rig_turn_for(rig, 5 * RIG_MS);
    } while (rig_pending(rig) != before || before == CLOG_BYTES);
    expect(rig_pending(rig) > 0);
}

size_t rig_pending(const struct rig *rig)
{
    return weir_transport_get_write_buffer_size(rig->t);
}

/* Turns the loop until the peer can continue. Work that the loop can do at once
 * takes some iterations; only then may it wait for an event. */
static void peer_wait(struct rig *rig, short events, uint64_t until_ns)
{
    struct pollfd pollfd = {.fd = rig->peer, .events = events};
    for (int i = 0; i < RIG_TURNS_MIN; i++) {
        rig_turn(rig);
        if (poll(&pollfd, 1, 0) > 0) {
            return;
        }
    }
    poll(&pollfd, 1, 1);
    expect(rig_now_ns() < until_ns);
}

void rig_peer_send(struct rig *rig, size_t len)
{
    static uint8_t buf[65536];
    const uint64_t until_ns = rig_now_ns() + RIG_WAIT_NS;

    while (len > 0) {
        const size_t part = len < sizeof(buf) ? len : sizeof(buf);
        rig_pattern(buf, rig->peer_sent, part);
        ssize_t sent = rig_can(rig, RIG_IS_PIPE)
                           ? write(rig->peer, buf, part)
                           : send(rig->peer, buf, part, MSG_NOSIGNAL);
        if (sent < 0 && errno == EAGAIN) {
            peer_wait(rig, POLLOUT, until_ns);
            continue;
        }
        expect(sent > 0);
        rig->peer_sent += (uint64_t)sent;
        len -= (size_t)sent;
    }
}

void rig_peer_await(struct rig *rig, int bytes)
{
    const uint64_t until_ns = rig_now_ns() + RIG_WAIT_NS;
    int there = 0;

    for (;;) {
        expect_eq(ioctl(rig->peer, FIONREAD, &there), 0);
        if (there >= bytes) {
            return;
        }
        peer_wait(rig, POLLIN, until_ns);
    }
}

void rig_wait_arrived(struct rig *rig)
{
    const int fd = weir_transport_get_socket(rig->t);
    const uint64_t until_ns = rig_now_ns() + RIG_WAIT_NS;
    int here = 0;

    expect_eq(rig->received, 0);
    for (;;) {
        expect_eq(ioctl(fd, FIONREAD, &here), 0);
        if ((uint64_t)here == rig->peer_sent) {
            return;
        }
        expect(rig_now_ns() < until_ns);
        poll(NULL, 0, 1);
    }
}

static ssize_t peer_read_some(struct rig *rig, uint64_t max)
{
    static uint8_t buf[262144];
    const uint64_t until_ns = rig_now_ns() + RIG_WAIT_NS;
    const size_t want = max < sizeof(buf) ? (size_t)max : sizeof(buf);

    for (;;) {
        ssize_t got = read(rig->peer, buf, want);
        if (got >= 0) {
            expect(rig_is_pattern(buf, rig->peer_received, (size_t)got));
            rig->peer_received += (uint64_t)got;
            return got;
        }
        if (errno != EAGAIN) {
            return -errno;
        }
        peer_wait(rig, POLLIN, until_ns);
    }
}

void rig_peer_read_most(struct rig *rig, uint64_t len)
{
    const uint64_t left = rig->written - rig->peer_received;
    rig_peer_read(rig, len < left ? len : left);
}

void rig_peer_read(struct rig *rig, uint64_t len)
{
    while (len > 0) {
        const ssize_t got = peer_read_some(rig, len);
        expect(got > 0);
        len -= (uint64_t)got;
    }
}

int rig_peer_read_end(struct rig *rig)
{
    ssize_t got;
    do {
        got = peer_read_some(rig, UINT64_MAX);
    } while (got > 0);
    return (int)got;
}

void rig_peer_shutdown(struct rig *rig)
{
    if (rig_can(rig, RIG_IS_PIPE)) {
        rig_peer_close(rig);
    } else {
        expect_eq(shutdown(rig->peer, SHUT_WR), 0);
    }
}

void rig_peer_close(struct rig *rig)
{
    if (rig->peer >= 0) {
        close(rig->peer);
        rig->peer = -1;
    }
}

void rig_peer_reset(struct rig *rig)
{
    const struct linger linger = {.l_onoff = 1, .l_linger = 0};
    expect(rig_can(rig, RIG_CAN_RESET));
    rig_wait_way(rig->peer);
    expect_ok(
        setsockopt(rig->peer, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)));
    rig_peer_close(rig);
}
