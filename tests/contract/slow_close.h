/*
 * A descriptor whose last close blocks.
 *
 * It is a TCP socket with SO_LINGER and bytes that its peer does not read: the
 * last close waits until they are read, or for an hour.
 */
#ifndef WEIR_TESTS_CONTRACT_SLOW_CLOSE_H
#define WEIR_TESTS_CONTRACT_SLOW_CLOSE_H

#include "tests/unit.h"

#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

static uint8_t slow_close_bytes[65536];

static inline int slow_close_open(int *ret_far)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const struct linger linger = {.l_onoff = 1, .l_linger = 3600};
    socklen_t len = sizeof(address);
    const int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const int few = 4096;
    const int more = sizeof(slow_close_bytes);

    /* The unsent bytes must never fit into the peer's buffer, and must not be
     * megabytes. */
    expect_eq(setsockopt(listener, SOL_SOCKET, SO_RCVBUF, &few, sizeof(few)),
              0);
    expect_eq(bind(listener, (struct sockaddr *)&address, len), 0);
    expect_eq(listen(listener, 1), 0);
    expect_eq(getsockname(listener, (struct sockaddr *)&address, &len), 0);
    const int near = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    expect_eq(setsockopt(near, SOL_SOCKET, SO_SNDBUF, &more, sizeof(more)), 0);
    expect_eq(connect(near, (struct sockaddr *)&address, len), 0);
    *ret_far = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    expect_geq(*ret_far, 0);
    close(listener);
    expect_eq(setsockopt(near, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)),
              0);
    while (send(near, slow_close_bytes, sizeof(slow_close_bytes),
                MSG_DONTWAIT) > 0) {
    }
    return near;
}

/* Returns true at the end of the stream, which shows that the close ended. */
static inline bool slow_close_read(int far)
{
    if (read(far, slow_close_bytes, sizeof(slow_close_bytes)) > 0) {
        return false;
    }
    close(far);
    return true;
}

/* The loop's own completions may interrupt the wait of a close on its thread,
 * but not of this many. */
enum { SLOW = 8 };

struct slow {
    int fars[SLOW];
};

static inline void slow_open(struct slow *slow, int ret[SLOW])
{
    for (int i = 0; i < SLOW; i++) {
        ret[i] = slow_close_open(&slow->fars[i]);
    }
}

static inline void slow_let_end(struct slow *slow)
{
    struct pollfd waits[SLOW];
    for (int i = 0; i < SLOW; i++) {
        waits[i] = (struct pollfd){.fd = slow->fars[i], .events = POLLIN};
    }
    for (int left = SLOW; left > 0;) {
        expect_gt(poll(waits, SLOW, -1), 0);
        for (int i = 0; i < SLOW; i++) {
            if (waits[i].revents && slow_close_read(waits[i].fd)) {
                waits[i].fd = -1;
                left--;
            }
        }
    }
}

#endif
