/*
 * The plain sockets of a round of random calls; see calls_peers.h.
 *
 * Each step is one thing done to one of them: it reads, sends, half-closes,
 * closes or resets, and never waits.
 */
#include "tests/contract/calls_peers.h"

#include <weir/server.h>

bool find_server(struct weir_address *ret)
{
    return calls.server && weir_server_get_socket_count(calls.server) > 0 &&
           weir_server_get_socket(calls.server, 0, ret) >= 0 && ret->len > 0;
}

int pair_with_peer(void)
{
    int fds[2];

    if (calls.peer_count == PEERS_MAX) {
        return -1;
    }
    check(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0,
                     fds) == 0);
    calls.peers[calls.peer_count++] = fds[1];
    return fds[0];
}

void connect_peer(void)
{
    struct weir_address address;

    if (calls.peer_count == PEERS_MAX || !find_server(&address)) {
        return;
    }
    const int fd =
        socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    check(fd >= 0);
    const int err =
        connect(fd, &address.storage.any, address.len) < 0 ? errno : 0;
    check(err == 0 || err == EINPROGRESS);
    calls.peers[calls.peer_count++] = fd;
}

static void read_as_peer(int fd)
{
    static uint8_t buf[65536];

    do {
        const ssize_t len = recv(fd, buf, sizeof(buf), MSG_DONTWAIT);
        if (len <= 0) {
            return;
        }
        check_bytes(buf, (size_t)len);
    } while (!calls_one_in(5));
}

static void end_peer(size_t index, bool reset)
{
    const struct linger linger = {.l_onoff = 1, .l_linger = 0};
    const int fd = calls.peers[index];

    if (reset) {
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
    }
    close(fd);
    calls.peers[index] = calls.peers[--calls.peer_count];
}

void end_all_peers(void)
{
    while (calls.peer_count > 0) {
        end_peer(calls.peer_count - 1, false);
    }
}

static void step_peer(size_t index)
{
    const int fd = calls.peers[index];
    const size_t mood = below(27);

    if (mood < 10) {
        read_as_peer(fd);
    } else if (mood < 22) {
        send(fd, bytes, below(calls_one_in(2) ? 300 : 150000),
             MSG_DONTWAIT | MSG_NOSIGNAL);
    } else if (mood == 22) {
        shutdown(fd, SHUT_WR);
    } else if (mood == 23) {
        end_peer(index, calls_one_in(2));
    }
}

void step_peers(void)
{
    for (int i = 0; i < 20 && calls.peer_count > 0; i++) {
        step_peer(below(calls.peer_count));
    }
}
