/*
 * Moves of every kind of connection: sockets can move, and all other kinds
 * stay.
 *
 * Sockets whose protocol lends memory to the kernel, or that are sending a file
 * or descriptors, stay until that is over.
 */
#define UNIT_RUN   mover_test
#define UNIT_TAKES struct mover *m
#include "tests/contract/move_rig.h"
#include "tests/contract/rights.h"

#include <sys/mman.h>
#include <weir/sendfile.h>

static int refuse(void *arg, weir_transport *t,
                  struct weir_protocol_binding *ret)
{
    ++*(int *)arg;
    return -EPROTO;
}

static void note_done(void *arg, int err)
{
    struct rig *rig = arg;
    expect_eq(err, -EPROTO);
    rig->step++;
}

static void never_moved(void *user, weir_transport *t)
{
    cr_assert_fail("the factory has refused");
}

PAIRS(move_kinds, sockets_move_and_all_other_kinds_stay, rig,
      .needs = RIG_SENDS)
{
    static struct weir_protocol movable;
    const bool is_socket = !rig_can(rig, RIG_IS_PIPE) &&
                           !rig_can(rig, RIG_IS_TLS) &&
                           !rig_can(rig, RIG_IS_MEMORY);
    const struct weir_protocol_binding binding = {&movable, rig};
    const struct weir_factory factory = {refuse, &rig->count};
    weir_loop *other;
    movable = rig_protocol;
    movable.connection_moved = never_moved;
    expect_eq(weir_transport_set_protocol(rig->t, &binding, NULL, 0), 0);
    expect_eq(weir_loop_new(NULL, &other), 0);
    weir_mailbox *mailbox = weir_loop_get_mailbox(other);

    expect_eq(
        weir_transport_move(rig->t, mailbox, &factory, note_done, rig, NULL),
        is_socket ? 0 : -EOPNOTSUPP);
    if (is_socket) {
        const uint64_t end_ns = rig_now_ns() + RIG_WAIT_NS;
        while (rig->step == 0) {
            rig_turn(rig);
            expect_geq(weir_loop_run_once(other), 0);
            expect(rig_now_ns() < end_ns);
        }
    }

    expect_eq(rig->count, is_socket ? 1 : 0);
    expect_eq(rig_write(rig, 1000), 0);
    rig_peer_read(rig, 1000);
    weir_mailbox_unref(mailbox);
    expect_eq(weir_loop_free(other), 0);
}

static struct {
    uint8_t memory[64];
    bool is_lent;
    int released_count;
} lent[SIDES];

static int lend(void *user, weir_transport *t, size_t hint, void **ret_buf,
                size_t *ret_size)
{
    const struct mover_side *side = user;
    const int at = (int)(side - side->mover->sides);
    expect(!lent[at].is_lent);
    lent[at].is_lent = true;
    *ret_buf = lent[at].memory;
    *ret_size = sizeof(lent[at].memory);
    return 0;
}

static int updated(void *user, weir_transport *t, size_t len)
{
    const struct mover_side *side = user;
    const int at = (int)(side - side->mover->sides);
    expect(lent[at].is_lent);
    lent[at].is_lent = false;
    expect(rig_is_pattern(lent[at].memory, side->mover->received, len));
    side->mover->received += len;
    return 0;
}

static void released(void *user, void *buf)
{
    const struct mover_side *side = user;
    const int at = (int)(side - side->mover->sides);
    expect(buf == lent[at].memory && lent[at].is_lent);
    lent[at].is_lent = false;
    lent[at].released_count++;
}

UNIT(move_kinds, lent_memory_is_given_back_before_the_connection_leaves)
{
    struct weir_protocol buffered = mover_protocol;
    buffered.kind = WEIR_PROTOCOL_BUFFERED;
    buffered.get_buffer = lend;
    buffered.buffer_updated = updated;
    buffered.release_buffer = released;
    memset(lent, 0, sizeof(lent));
    m->protocol = &buffered;
    mover_move(m);
    for (int i = 0; i < 10; i++) {
        const int before = m->at;
        mover_receive(m, 1000);
        mover_send(
            m, 100); /* bytes may be in lent memory, or on their way there */
        mover_move(m);
        cr_assert_not(lent[before].is_lent);
        mover_receive(m, 1000);
    }
    cr_assert_gt(lent[HERE].released_count + lent[THERE].released_count, 0);
    mover_move(
        m); /* the protocol is released when this returns: no memory is lent */
    m->protocol = NULL;
    mover_move(m);
    mover_move(m);
}

static void sent(void *arg, weir_transport *t, int err, uint64_t bytes)
{
    expect_eq(err, 0);
    ++*(int *)arg;
}

UNIT(move_kinds, a_connection_that_sends_a_file_stays_until_it_is_sent)
{
    enum { FILE_BYTES = 300000 };
    static uint8_t bytes[FILE_BYTES];
    int count = 0;
    const int fd = memfd_create("file", MFD_CLOEXEC);
    rig_pattern(bytes, 0, sizeof(bytes));
    expect_eq(write(fd, bytes, sizeof(bytes)), FILE_BYTES);
    expect_ok(
        weir_transport_sendfile(mover_t(m), fd, 0, FILE_BYTES, sent, &count));
    expect_eq(mover_begin(m), -EBUSY);
    mover_read(m, FILE_BYTES);
    m->written = FILE_BYTES;
    while (count == 0) {
        mover_turn(m, 1);
    }
    close(fd);
    mover_move(m);
    mover_talk(m);
}

UNIT(move_kinds, a_connection_that_sends_descriptors_stays_until_then)
{
    const int fd = STDERR_FILENO;
    uint8_t byte;
    if (!m->is_unix) {
        return;
    }
    rig_pattern(&byte, 0, 1);
    expect_eq(weir_transport_send_fds(mover_t(m), &byte, 1, &fd, 1), 0);
    expect_eq(mover_begin(m), -EBUSY);
    m->written = 1;
    mover_read(m, 1); /* without space for it, the descriptor is closed */
    mover_turn(m, 5);
    mover_move(m);
    mover_talk(m);
}

static int taken_count;

static int take_fds(void *user, weir_transport *t, const int *fds, size_t count,
                    bool lost)
{
    expect(!lost);
    for (size_t i = 0; i < count; i++) {
        close(fds[i]);
    }
    taken_count += (int)count;
    return 0;
}

UNIT(move_kinds, a_connection_that_takes_descriptors_goes_on_to)
{
    const struct weir_connect_options options = {.size = sizeof(options),
                                                 .connection.fd_limit = 2};
    static struct weir_protocol taker;
    const int fds[2] = {STDOUT_FILENO, STDERR_FILENO};
    uint8_t bytes[2];
    if (!m->is_unix) {
        return;
    }
    taker = mover_protocol;
    taker.fds_received = take_fds;
    m->protocol = &taker;
    taken_count = 0;
    mover_connect_anew(m, &options);
    rig_pattern(bytes, 0, sizeof(bytes));

    expect_eq(rights_send(m->peer, &bytes[0], 1, fds, 2, 0), 1);
    MOVER_UNTIL(m, m->received == 1);
    mover_move(m);
    expect_eq(rights_send(m->peer, &bytes[1], 1, fds, 2, 0), 1);
    MOVER_UNTIL(m, m->received == 2);

    expect_eq(taken_count, 4);
    m->peer_sent = 2;
    mover_talk(m);
}
