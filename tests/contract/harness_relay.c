/*
 * A relay between two transports: what one receives the other sends.
 *
 * Events of one side are repeated on the other: ends of the stream, resets, and
 * a side that accepts no more bytes.
 */
#include "tests/contract/harness_relay.h"
#include "tests/marks.h"

#include <arpa/inet.h>

#define SMALL_BUFFER 16384

static void relay_made(void *user, weir_transport *t)
{
    struct relay_side *side = user;
    const bool takes_much = side->other->is_kernel && !side->small_buffers;
    const int64_t high = takes_much ? 2 << 20 : 4096;
    side->t = weir_transport_ref(t);
    expect_eq(set_marks(t, high, high / 4), 0);
    if (side->small_buffers) {
        rig_narrow(t);
    }
    if (!side->other->t) {
        weir_transport_pause_reading(t);
    } else {
        weir_transport_resume_reading(side->other->t);
    }
}

static void relay_lost(void *user, weir_transport *t, int err)
{
    struct relay_side *side = user;
    struct relay_side *other = side->other;
    const bool is_kept = side->is_kernel && side->has_ended;
    side->was_lost = true;
    if (other->t && !other->was_lost) {
        if (!is_kept &&
            (err < 0 || weir_transport_get_end(t) == WEIR_END_ABORTED)) {
            weir_transport_abort(other->t);
        } else {
            weir_transport_close(other->t);
        }
    }
    if (other->was_lost || !other->t) {
        side->over(side->arg);
    }
}

static int relay_received(void *user, weir_transport *t,
                          const struct weir_buf *buf)
{
    struct relay_side *side = user;
    if (!side->other->was_lost) {
        weir_transport_write(side->other->t, buf->data, buf->len);
    }
    return 0;
}

static int relay_ended(void *user, weir_transport *t)
{
    struct relay_side *side = user;
    side->has_ended = true;
    if (side->other->has_ended) {
        weir_transport_close(side->other->t);
        return 0;
    }
    if (!side->other->was_lost) {
        weir_transport_write_eof(side->other->t);
    }
    return 1;
}

static void relay_pause(void *user, weir_transport *t)
{
    struct relay_side *side = user;
    if (side->other->t && !side->other->was_lost) {
        weir_transport_pause_reading(side->other->t);
    }
}

static void relay_resume(void *user, weir_transport *t)
{
    struct relay_side *side = user;
    if (side->other->t && !side->other->was_lost) {
        weir_transport_resume_reading(side->other->t);
    }
}

static CALLBACKS(relay_protocol, STREAM, .connection_made = relay_made,
                 .connection_lost = relay_lost, .data_received = relay_received,
                 .eof_received = relay_ended, .pause_writing = relay_pause,
                 .resume_writing = relay_resume);

int relay_side_create(void *arg, weir_transport *t,
                      struct weir_protocol_binding *ret)
{
    ret->protocol = &relay_protocol;
    ret->user = arg;
    return 0;
}

void relay_sides_init(struct relay_side *a, struct relay_side *b,
                      void (*over)(void *arg), void *arg)
{
    *a = (struct relay_side){.over = over, .arg = arg, .other = b};
    *b = (struct relay_side){.over = over, .arg = arg, .other = a};
}

void tcp_pair(int ret[2], int connected_buffer, int accepted_buffer)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    uint16_t port;
    int fd = listen_tcp(&port, accepted_buffer);
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    ret[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    expect(ret[0] >= 0);
    if (connected_buffer) {
        set_socket_option(ret[0], SOL_SOCKET, SO_RCVBUF, connected_buffer);
    }
    expect_eq(connect(ret[0], (struct sockaddr *)&address, sizeof(address)), 0);
    ret[1] = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
    expect(ret[1] >= 0);
    close(fd);
}

void rig_open_peer(struct rig *rig, int ret[2])
{
    if (rig_can(rig, RIG_CAN_RESET)) {
        const int buffer = rig->small_buffers ? SMALL_BUFFER : 0;
        tcp_pair(ret, buffer, buffer);
    } else {
        expect_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ret), 0);
    }
}
