/*
 * Descriptors that a peer sends unrequested over a Unix socket.
 *
 * weir accepts none: the kernel refuses them if it can (SO_PASSRIGHTS).
 * Otherwise weir must close them, however their bytes are received, or a peer
 * could fill the program's descriptor table.
 */
#define PAIRS_NEED RIG_BOTH_WAYS | RIG_IS_UNIX
#include "tests/contract/fds_rig.h"

enum { ROUNDS = 8, BULK = 300 << 10 };

static void send_descriptors(struct rig *rig, int fd, size_t count)
{
    int fds[WEIR_FDS_MAX];
    for (size_t i = 0; i < count; i++) {
        fds[i] = fd;
    }
    const ssize_t sent = peer_send_fds(rig, 1, fds, count);
    if (fds_are_refused(rig->loop)) {
        expect_eq(sent, -EPERM);
        rig_peer_send(rig, 1);
    } else {
        expect_eq(sent, 1);
    }
}

PAIRS(unix_fds, descriptors_beside_few_bytes_are_closed, rig)
{
    int ends[2];
    passed_pipe(ends);

    send_descriptors(rig, ends[1], 1);
    send_descriptors(rig, ends[1], WEIR_FDS_MAX);
    close(ends[1]);
    rig_peer_send(rig, 5);
    rig_wait_received(rig, 7);

    expect_pipe_closed(rig, ends[0]);
}

PAIRS(unix_fds, descriptors_beside_bulk_are_closed, rig)
{
    int ends[2];
    passed_pipe(ends);

    for (int i = 0; i < ROUNDS; i++) {
        rig_peer_send(rig, BULK);
        send_descriptors(rig, ends[1], WEIR_FDS_MAX);
        rig_peer_send(rig, BULK);
        rig_wait_received(rig, rig->peer_sent);
    }
    close(ends[1]);

    expect_pipe_closed(rig, ends[0]);
}

PAIRS(unix_fds, descriptors_that_were_not_read_are_closed_at_the_loss, rig)
{
    int ends[2];
    passed_pipe(ends);
    weir_transport_pause_reading(rig->t);
    rig_turns(rig, 2);

    send_descriptors(rig, ends[1], WEIR_FDS_MAX);
    close(ends[1]);
    weir_transport_abort(rig->t);
    rig_wait_lost(rig);
    rig_turns(rig, 2);

    expect_pipe_closed(rig, ends[0]);
}
