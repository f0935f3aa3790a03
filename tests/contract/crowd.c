/*
 * Many connections on one loop; see crowd.h.
 *
 * The protocol behaves as each member's conduct says. The other ends are plain
 * sockets, which are served while the loop turns.
 */
#include "tests/contract/crowd.h"

#include <weir/connect.h>

struct crowd crowd;

static void connection_made(void *user, weir_transport *t)
{
    struct crowd_member *member = user;
    member->t = t;
    member->crowd->made_count++;
}

static void connection_lost(void *user, weir_transport *t, int err)
{
    struct crowd_member *member = user;
    member->lost = true;
}

void crowd_keep(const struct weir_buf *buf, size_t len)
{
    struct weir_buf kept = {.data = buf->data, .len = len, .lease = buf->lease};
    expect(crowd.lease_count < LEASES_MAX);
    expect_eq(weir_buf_ref(&kept), 0);
    crowd.leases[crowd.lease_count++] = kept.lease;
}

static int data_received(void *user, weir_transport *t,
                         const struct weir_buf *buf)
{
    struct crowd_member *member = user;

    expect(rig_is_pattern(buf->data, member->received, buf->len));
    member->received += buf->len;
    switch (member->conduct) {
    case CONDUCT_READS:
        break;
    case CONDUCT_PAUSES:
        weir_transport_pause_reading(t);
        break;
    case CONDUCT_KEEPS:
        crowd_keep(buf, buf->len);
        break;
    case CONDUCT_KEEPS_ONE:
        crowd_keep(buf, 1);
        break;
    case CONDUCT_COPIES:
        expect_eq(weir_transport_write(t, buf->data, buf->len), 0);
        break;
    case CONDUCT_ECHOES:
        expect_eq(weir_transport_write_buf(t, buf), 0);
        break;
    }
    return 0;
}

static CALLBACKS(crowd_protocol, STREAM, .connection_made = connection_made,
                 .connection_lost = connection_lost,
                 .data_received = data_received);

void crowd_turn(void)
{
    weir_loop_stop(crowd.loop);
    expect_eq(weir_loop_run(crowd.loop), 0);
}

struct weir_loop_statistics crowd_statistics(void)
{
    return statistics_of(crowd.loop);
}

void crowd_begin_with(const struct weir_loop_options *options)
{
    struct rlimit limit;
    expect_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = limit.rlim_max;
    expect_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
    if (limit.rlim_cur < 2 * CROWD_MAX + 100) {
        cr_skip_test(
            "no more than %llu descriptors; runs with a higher ulimit -n",
            (unsigned long long)limit.rlim_cur);
    }
    memset(&crowd, 0, sizeof(crowd));
    expect_eq(weir_loop_new(options, &crowd.loop), 0);
}

void crowd_begin(uint64_t held_limit_bytes)
{
    const struct weir_loop_options options = {
        .size = sizeof(options), .held_limit_bytes = held_limit_bytes};
    crowd_begin_with(&options);
}

struct crowd_member *crowd_add(bool is_tcp, enum conduct conduct)
{
    struct crowd_member *member = &crowd.members[crowd.count++];
    const struct weir_factory factory = bind_to(&crowd_protocol, member);
    int fds[2];
    if (!is_tcp) {
        expect_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    } else {
        tcp_pair(fds, 0, SMALL_BUFFER);
    }
    set_socket_option(fds[0], SOL_SOCKET, SO_SNDBUF, SMALL_BUFFER);
    set_nonblocking(fds[0]);
    member->crowd = &crowd;
    member->conduct = conduct;
    member->peer = fds[0];
    expect_ok(weir_create_connection_at(crowd.loop, &factory,
                                        weir_endpoint_fd(fds[1]), NULL, NULL,
                                        NULL, NULL));
    return member;
}

void crowd_wait_made(void)
{
    RUN_UNTIL(crowd.loop, crowd.made_count == crowd.count);
}

bool crowd_push(struct crowd_member *member, uint64_t most)
{
    uint8_t buf[4096];
    bool some = false;
    while (most > 0) {
        const size_t part = most < sizeof(buf) ? (size_t)most : sizeof(buf);
        rig_pattern(buf, member->peer_sent, part);
        const ssize_t sent = send(member->peer, buf, part, MSG_NOSIGNAL);
        if (sent <= 0) {
            expect_eq(errno, EAGAIN);
            break;
        }
        member->peer_sent += (uint64_t)sent;
        most -= (uint64_t)sent;
        some = true;
    }
    return some;
}

void crowd_expect_served(struct crowd_member *member)
{
    uint8_t buf[100];
    size_t got = 0;
    const uint64_t from = member->peer_sent;

    expect(crowd_push(member, sizeof(buf)));
    expect_eq(member->peer_sent, from + sizeof(buf));
    for (int i = 0; i < 60000 && got < sizeof(buf); i++) {
        crowd_turn();
        const ssize_t more = recv(member->peer, buf, sizeof(buf) - got, 0);
        if (more > 0) {
            expect(rig_is_pattern(buf, from + got, (size_t)more));
            got += (size_t)more;
        } else {
            poll(NULL, 0, 1);
        }
    }
    expect_eq(got, sizeof(buf));
}

void crowd_flood(int from, int count, struct crowd_member *served)
{
    int idle = 0;
    for (int round = 0; round < 300 && idle < 10; round++) {
        idle++;
        for (int i = from; i < from + count; i++) {
            if (crowd_push(&crowd.members[i], 1u << 20)) {
                idle = 0;
            }
        }
        crowd_turn();
        if (served) {
            crowd_expect_served(served);
        }
    }
}

uint64_t crowd_sum(uint64_t (*of)(const struct crowd_member *member))
{
    uint64_t total = 0;
    for (int i = 0; i < crowd.count; i++) {
        total += of(&crowd.members[i]);
    }
    return total;
}

uint64_t sent_by(const struct crowd_member *member)
{
    return member->peer_sent;
}

uint64_t received_by(const struct crowd_member *member)
{
    return member->received;
}

void crowd_give_leases_back(void)
{
    for (int i = 0; i < crowd.lease_count; i++) {
        weir_buf_unref(crowd.leases[i]);
    }
    crowd.lease_count = 0;
}

bool crowd_all_delivered(void)
{
    crowd_give_leases_back();
    return crowd_sum(received_by) == crowd_sum(sent_by);
}

void crowd_end(void)
{
    crowd_give_leases_back();
    expect_eq(weir_loop_free(crowd.loop), crowd.count);
    for (int i = 0; i < crowd.count; i++) {
        expect(crowd.members[i].lost);
        close(crowd.members[i].peer);
    }
}
