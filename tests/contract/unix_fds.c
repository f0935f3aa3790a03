/*
 * Descriptors that a peer sends along over a Unix socket. weir takes none: they
 * must be closed, whichever way the bytes beside them are received, or a peer
 * could fill the program's table.
 */
#include "tests/contract/harness.h"

#include <poll.h>
#include <sys/socket.h>

enum { SENT_MAX = 253, ROUNDS = 8, BULK = 300 << 10 };

/* Sends the next byte of the pattern with @count times @fd. */
static void send_descriptors(struct rig *rig, int fd, size_t count)
{
    uint8_t control[CMSG_SPACE(SENT_MAX * sizeof(int))];
    uint8_t byte;
    struct iovec iov = {.iov_base = &byte, .iov_len = 1};
    struct msghdr msg = {.msg_iov = &iov,
                         .msg_iovlen = 1,
                         .msg_control = control,
                         .msg_controllen = CMSG_SPACE(count * sizeof(int))};
    memset(control, 0, sizeof(control));
    struct cmsghdr *head = CMSG_FIRSTHDR(&msg);
    head->cmsg_level = SOL_SOCKET;
    head->cmsg_type = SCM_RIGHTS;
    head->cmsg_len = CMSG_LEN(count * sizeof(int));
    for (size_t i = 0; i < count; i++) {
        memcpy(CMSG_DATA(head) + i * sizeof(int), &fd, sizeof(fd));
    }
    rig_pattern(&byte, rig->peer_sent, 1);
    expect_eq(sendmsg(rig->peer, &msg, 0), 1);
    rig->peer_sent++;
}

/* Expects that no writing end of the pipe is open anywhere. */
static void expect_closed(int reading_end)
{
    struct pollfd wait = {.fd = reading_end, .events = POLLIN};
    expect_eq(poll(&wait, 1, 10000), 1);
    expect_eq(wait.revents & POLLHUP, POLLHUP);
    close(reading_end);
}

PAIRS_THAT(unix_fds, descriptors_beside_few_bytes_are_closed, RIG_IS_UNIX, 0)
{
    int ends[2];
    expect_eq(pipe(ends), 0);

    send_descriptors(rig, ends[1], 1);
    send_descriptors(rig, ends[1], SENT_MAX);
    close(ends[1]);
    rig_peer_send(rig, 5);
    rig_wait_received(rig, 7);

    expect_closed(ends[0]);
}

PAIRS_THAT(unix_fds, descriptors_beside_bulk_are_closed, RIG_IS_UNIX, 0)
{
    int ends[2];
    expect_eq(pipe(ends), 0);

    for (int i = 0; i < ROUNDS; i++) {
        rig_peer_send(rig, BULK);
        send_descriptors(rig, ends[1], SENT_MAX);
        rig_peer_send(rig, BULK);
        rig_wait_received(rig, rig->peer_sent);
    }
    close(ends[1]);

    expect_closed(ends[0]);
}

PAIRS_THAT(unix_fds, descriptors_that_were_not_read_are_closed_at_the_loss,
           RIG_IS_UNIX, 0)
{
    int ends[2];
    expect_eq(pipe(ends), 0);
    weir_transport_pause_reading(rig->t);
    rig_turns(rig, 2);

    send_descriptors(rig, ends[1], SENT_MAX);
    close(ends[1]);
    weir_transport_abort(rig->t);
    rig_wait_lost(rig);
    rig_turns(rig, 2);

    expect_closed(ends[0]);
}
