/*
 * The rig of moves: two loops that one thread turns alternately without
 * waiting, and a non-blocking peer.
 *
 * Each side has a protocol that records its callbacks and checks the bytes.
 */
#include "tests/contract/move_rig.h"

#include <poll.h>
#include <sched.h>
#include <sys/socket.h>
#include <weir/connect.h>

enum { CLOG_BYTES = 1 << 20, TALK_BYTES = 5000 };

static void mover_note(struct mover_side *side, const char *event)
{
    const size_t len = strlen(side->events);
    if (strcmp(event, "data") == 0 && len >= 4 &&
        strcmp(side->events + len - 4, "data") == 0) {
        return; /* the kernel decides on the number of pieces */
    }
    snprintf(side->events + len, MOVER_TEXT - len, "%s%s", len ? " " : "",
             event);
}

static void mover_made(void *user, weir_transport *t)
{
    struct mover_side *side = user;
    weir_transport_unref(side->t);
    side->t = weir_transport_ref(t);
    side->mover->at = (int)(side - side->mover->sides);
    mover_note(side, "made");
}

static void mover_lost(void *user, weir_transport *t, int err)
{
    struct mover_side *side = user;
    side->lost_err = err;
    mover_note(side, "lost");
}

static void mover_moved(void *user, weir_transport *t)
{
    struct mover_side *side = user;
    expect_eq(weir_transport_get_end(t), WEIR_END_MOVED);
    expect_eq(weir_transport_get_error(t), 0);
    expect_eq(weir_transport_get_socket(t), -EBADF);
    mover_note(side, "moved");
}

static void mover_pause(void *user, weir_transport *t)
{
    mover_note(user, "pause");
}

static void mover_resume(void *user, weir_transport *t)
{
    mover_note(user, "resume");
}

static int mover_data(void *user, weir_transport *t, const struct weir_buf *buf)
{
    struct mover_side *side = user;
    struct mover *m = side->mover;
    expect(rig_is_pattern(buf->data, m->received, buf->len));
    m->received += buf->len;
    mover_note(side, "data");
    if (m->in_data) {
        m->in_data(m);
    }
    return 0;
}

static int mover_eof(void *user, weir_transport *t)
{
    struct mover_side *side = user;
    mover_note(side, "eof");
    return side->mover->eof_result;
}

CALLBACKS(mover_protocol, STREAM, .connection_made = mover_made,
          .connection_lost = mover_lost, .connection_moved = mover_moved,
          .pause_writing = mover_pause, .resume_writing = mover_resume,
          .data_received = mover_data, .eof_received = mover_eof);

static int mover_create(void *arg, weir_transport *t,
                        struct weir_protocol_binding *ret)
{
    struct mover_side *side = arg;
    struct mover *m = side->mover;
    expect(weir_transport_get_loop(t) == side->loop);
    if (m->in_factory) {
        m->in_factory(m, t);
    }
    *ret = (struct weir_protocol_binding){
        m->protocol ? m->protocol : &mover_protocol, side};
    return m->factory_err;
}

void mover_turn(struct mover *m, int count)
{
    for (int i = 0; i < count; i++) {
        for (int side = 0; side < SIDES; side++) {
            if (m->sides[side].loop && !m->sides[side].stands) {
                expect_geq(weir_loop_run_once(m->sides[side].loop), 0);
            }
        }
    }
}

void mover_step(struct mover *m)
{
    mover_turn(m, 1);
    sched_yield();
}

bool mover_is_done(const struct mover *m)
{
    return m->done_count > 0;
}

bool mover_is_lost(const struct mover *m)
{
    return strstr(m->sides[m->at].events, "lost") != NULL;
}

void mover_free_loop(struct mover *m, int number)
{
    struct mover_side *side = &m->sides[number];
    if (side->loop) {
        weir_transport_unref(side->t);
        side->t = NULL;
        expect_geq(weir_loop_free(side->loop), 0);
        side->loop = NULL;
    }
}

weir_transport *mover_t(const struct mover *m)
{
    return m->sides[m->at].t;
}

void mover_expect(const struct mover *m, int side, const char *events)
{
    cr_assert(strcmp(m->sides[side].events, events) == 0,
              "%s: events of side %d are '%s', not '%s'",
              m->is_unix ? "unix" : "tcp", side, m->sides[side].events, events);
}

static void mover_done(void *arg, int err)
{
    struct mover *m = arg;
    m->done_count++;
    m->done_err = err;
    m->pending = NULL;
}

int mover_begin(struct mover *m)
{
    struct mover_side *to = &m->sides[!m->at];
    const struct weir_factory factory = {mover_create, to};
    m->done_count = 0;
    return weir_transport_move(mover_t(m), to->mailbox, &factory, mover_done, m,
                               &m->pending);
}

static void mover_end(struct mover *m, int err)
{
    expect_eq(mover_begin(m), 0);
    expect_eq(m->done_count, 0, "never from inside the call");
    MOVER_UNTIL(m, mover_is_done(m));
    expect_eq(m->done_err, err);
    expect_eq(m->done_count, 1);
}

void mover_move(struct mover *m)
{
    mover_end(m, 0);
}

void mover_fail(struct mover *m, int err)
{
    mover_end(m, err);
}

void mover_write(struct mover *m, size_t len)
{
    uint8_t *bytes = malloc(len);
    expect(bytes != NULL);
    rig_pattern(bytes, m->written, len);
    m->written += len;
    expect_eq(weir_transport_write(mover_t(m), bytes, len), 0);
    free(bytes);
}

void mover_clog(struct mover *m)
{
    uint64_t before;
    rig_narrow(mover_t(m));
    mover_write(m, CLOG_BYTES);
    do {
        before = weir_transport_get_write_buffer_size(mover_t(m));
        mover_turn(m, 20);
    } while (before != weir_transport_get_write_buffer_size(mover_t(m)));
    expect_gt(before, 0);
}

void mover_send(struct mover *m, size_t len)
{
    uint8_t bytes[4096];
    while (len > 0) {
        const size_t part = len < sizeof(bytes) ? len : sizeof(bytes);
        rig_pattern(bytes, m->peer_sent, part);
        const ssize_t sent = send(m->peer, bytes, part, MSG_NOSIGNAL);
        if (sent < 0 && errno == EAGAIN) {
            mover_turn(m, 1);
            continue;
        }
        expect_gt(sent, 0);
        m->peer_sent += (uint64_t)sent;
        len -= (size_t)sent;
    }
}

void mover_receive(struct mover *m, uint64_t len)
{
    mover_send(m, len);
    MOVER_UNTIL(m, m->received == m->peer_sent);
}

ssize_t mover_read_some(struct mover *m)
{
    static uint8_t bytes[1 << 16];
    const ssize_t len = recv(m->peer, bytes, sizeof(bytes), 0);
    if (len < 0) {
        const int err = errno;
        mover_turn(m, err == EAGAIN);
        return -err;
    }
    expect(rig_is_pattern(bytes, m->peer_received, (size_t)len));
    m->peer_received += (uint64_t)len;
    return len;
}

void mover_read(struct mover *m, uint64_t len)
{
    const uint64_t until = m->peer_received + len;
    const uint64_t end_ns = rig_now_ns() + RIG_WAIT_NS;
    while (m->peer_received < until) {
        const ssize_t got = mover_read_some(m);
        expect(got > 0 || got == -EAGAIN);
        expect(rig_now_ns() < end_ns);
    }
    expect_eq(m->peer_received, until);
}

int mover_read_end(struct mover *m)
{
    const uint64_t end_ns = rig_now_ns() + RIG_WAIT_NS;
    for (;;) {
        const ssize_t got = mover_read_some(m);
        if (got <= 0 && got != -EAGAIN) {
            return (int)got;
        }
        expect(rig_now_ns() < end_ns);
    }
}

void mover_talk(struct mover *m)
{
    mover_receive(m, TALK_BYTES);
    mover_write(m, TALK_BYTES);
    mover_read(m, m->written - m->peer_received);
}

static void mover_connect(struct mover *m,
                          const struct weir_connect_options *options)
{
    int fds[2];
    m->peer = -1;
    if (m->is_unix) {
        expect_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    } else {
        uint16_t port;
        const int listener = listen_tcp(&port, 0);
        struct sockaddr_in to = {.sin_family = AF_INET,
                                 .sin_port = htons(port),
                                 .sin_addr = {htonl(INADDR_LOOPBACK)}};
        fds[1] = socket(AF_INET, SOCK_STREAM, 0);
        expect_eq(connect(fds[1], (struct sockaddr *)&to, sizeof(to)), 0);
        fds[0] = accept(listener, NULL, NULL);
        close(listener);
    }
    const struct weir_factory factory = {mover_create, &m->sides[HERE]};
    set_nonblocking(fds[1]);
    m->peer = fds[1];
    expect_ok(weir_create_connection_at(m->sides[HERE].loop, &factory,
                                        weir_endpoint_fd(fds[0]), options, NULL,
                                        NULL, NULL));
    MOVER_UNTIL(m, m->sides[HERE].t != NULL);
}

struct test_allocator mover_memory;

static void mover_open(struct mover *m)
{
    const struct weir_loop_options options = allocator_options(&mover_memory);
    allocator_init(&mover_memory);
    for (int i = 0; i < SIDES; i++) {
        struct mover_side *side = &m->sides[i];
        side->mover = m;
        expect_eq(weir_loop_new(&options, &side->loop), 0);
        side->mailbox = weir_loop_get_mailbox(side->loop);
    }
    mover_connect(m, NULL);
}

void mover_connect_anew(struct mover *m,
                        const struct weir_connect_options *options)
{
    struct mover_side *side = &m->sides[HERE];
    expect_eq(m->at, HERE);
    weir_transport_abort(side->t);
    MOVER_UNTIL(m, mover_is_lost(m));
    weir_transport_unref(side->t);
    close(m->peer);
    side->t = NULL;
    side->events[0] = '\0';
    mover_connect(m, options);
}

static void mover_close(struct mover *m)
{
    for (int i = 0; i < SIDES; i++) {
        mover_free_loop(m, i);
        weir_mailbox_unref(m->sides[i].mailbox);
    }
    if (m->peer >= 0) {
        close(m->peer);
    }
    allocator_check(&mover_memory);
}

void mover_test(void (*body)(struct mover *m))
{
    for (int i = 0; i < 2; i++) {
        static struct mover m;
        m = (struct mover){.is_unix = i == 1};
        mover_open(&m);
        body(&m);
        mover_close(&m);
    }
}
