/*
 * The makers of pipes.
 *
 * An anonymous pipe, a FIFO opened by name, and a socket that is used in one
 * direction. weir has the end that the maker's traits specify.
 */
#include "tests/contract/harness.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <weir/pipe.h>

#define SMALL_BUFFER 16384

/* weir reads from @fds[0], or writes to @fds[1]; the peer has the other end. */
static void open_pipe_of(struct rig *rig, const int fds[2])
{
    const struct weir_factory factory = {.create = rig_create, .arg = rig};
    const struct weir_connect_options options = {.size = sizeof(options),
                                                 .connection = rig->connection};
    if (rig_can(rig, RIG_RECEIVES)) {
        rig->peer = fds[1];
        expect_ok(weir_connect_read_pipe(rig->loop, &factory, fds[0], &options,
                                         NULL, NULL, NULL));
    } else {
        rig->peer = fds[0];
        expect_ok(weir_connect_write_pipe(rig->loop, &factory, fds[1], &options,
                                          NULL, NULL, NULL));
    }
}

void rig_open_pipe(struct rig *rig)
{
    int fds[2];

    expect_eq(pipe2(fds, O_CLOEXEC), 0);
    if (rig->small_buffers) {
        expect(fcntl(fds[1], F_SETPIPE_SZ, 4096) > 0);
    }
    open_pipe_of(rig, fds);
}

void rig_open_fifo(struct rig *rig)
{
    char path[64];
    int fds[2];

    snprintf(path, sizeof(path), "/tmp/weir-fifo-%d", (int)getpid());
    expect_eq(mkfifo(path, 0600), 0);
    int both = open(
        path, O_RDWR | O_CLOEXEC); /* otherwise the other opens would block */
    fds[0] = open(path, O_RDONLY | O_CLOEXEC);
    fds[1] = open(path, O_WRONLY | O_CLOEXEC);
    expect(both >= 0 && fds[0] >= 0 && fds[1] >= 0);
    close(both);
    unlink(path);
    if (rig->small_buffers) {
        expect(fcntl(fds[1], F_SETPIPE_SZ, 4096) > 0);
    }
    open_pipe_of(rig, fds);
}

void rig_open_socket_pipe(struct rig *rig)
{
    int fds[2];

    expect_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    if (rig->small_buffers) {
        set_socket_option(fds[1], SOL_SOCKET, SO_SNDBUF, SMALL_BUFFER);
    }
    open_pipe_of(rig, fds);
}
