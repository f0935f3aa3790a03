/*
 * Datagram endpoints: the send queue, its marks and its limit, the functions
 * that write to it, what close and abort do with it, and calls that are refused
 * at once.
 */
#include "tests/contract/datagram_rig.h"
#include "tests/marks.h"

DATAGRAMS(datagram_send, r44__a_connected_one_sends_to_its_peer_alone, rig,
          .connected = true)
{
    const struct weir_address other = dg_fresh_address(rig);
    char text[8];

    expect_eq(weir_transport_sendto(rig->t, "x", 1, &other), -EINVAL);
    expect_eq(weir_transport_sendto(rig->t, "y", 1, &rig->peer_address), 0);
    expect_eq(weir_transport_sendto(rig->t, "z", 1, NULL), 0);
    expect_eq(dg_peer_recv(rig, text, sizeof(text)), 1);
    expect_eq(text[0], 'y');
    expect_eq(dg_peer_recv(rig, text, sizeof(text)), 1);
    expect_eq(text[0], 'z');

    weir_transport_close(rig->t);
    expect_eq(weir_transport_sendto(rig->t, "x", 1, &other), -EINVAL,
              "the check comes before that of the state");
    expect_eq(weir_transport_sendto(rig->t, "x", 1, NULL), -ESHUTDOWN);
}

DATAGRAMS(datagram_send, an_address_is_needed_and_looked_at, rig, 0)
{
    struct weir_address none = {.len = 0};
    struct weir_address other;
    struct weir_address no_port;

    expect_eq(weir_transport_sendto(rig->t, "x", 1, NULL), -EDESTADDRREQ);
    expect_eq(weir_transport_sendto(rig->t, "x", 1, &none), -EINVAL);
    expect_eq(weir_transport_sendto(rig->t, NULL, 1, &rig->peer_address),
              -EINVAL);
    const struct weir_message no_bytes = {
        .size = sizeof(no_bytes), .len = 1, .address = &rig->peer_address};
    expect_eq(weir_transport_sendmsg(rig->t, &no_bytes), -EINVAL);
    expect_eq(weir_transport_sendto(rig->t, NULL, 0, &rig->peer_address), 0);
    expect_eq(dg_peer_recv(rig, &other, sizeof(other)), 0);
    if (rig->family == AF_INET) {
        expect_eq(weir_address_parse("::1", 9, &other), 0);
        expect_eq(weir_address_parse("127.0.0.1", 0, &no_port), 0);
    } else {
        expect_eq(weir_address_parse("127.0.0.1", 9, &other), 0);
        expect_eq(weir_address_parse("::1", 0, &no_port), 0);
    }
    expect_eq(weir_transport_sendto(rig->t, "x", 1, &other), -EAFNOSUPPORT);
    if (rig->family != AF_UNIX) {
        expect_eq(weir_transport_sendto(rig->t, "x", 1, &no_port), -EINVAL);
    }
    expect_eq(rig->error_count, 0);
}

static int release_count;

static void count_release(void *arg)
{
    release_count++;
}

DATAGRAMS(datagram_send, bytes_of_the_caller_are_released_once_they_are_sent,
          rig, 0)
{
    const struct weir_message message = {
        .size = sizeof(message),
        .data = "by reference",
        .len = 12,
        .address = &rig->peer_address,
        .release = count_release,
    };
    char text[16];

    release_count = 0;
    expect_eq(weir_transport_sendmsg(rig->t, &message), 0);
    expect_eq(release_count, 0);
    expect_eq(dg_peer_recv(rig, text, sizeof(text)), 12);
    expect_eq(release_count, 1);
    weir_transport_abort(rig->t);
    expect_eq(weir_transport_sendmsg(rig->t, &message), -ESHUTDOWN);
    expect_eq(release_count, 1, "a call that fails releases nothing");
}

static int send_back(struct dg *rig, const struct weir_datagram *datagram)
{
    const struct weir_message message = {
        .size = sizeof(message),
        .data = datagram->buf.data,
        .len = datagram->buf.len,
        .lease = datagram->buf.lease,
        .address = &datagram->peer,
    };
    expect_eq(weir_transport_sendmsg(rig->t, &message), 0);
    return 0;
}

DATAGRAMS(datagram_send, a_lease_is_sent_without_a_copy, rig,
          .hooks = {.datagram_received = send_back})
{
    static uint8_t bytes[30000];
    static uint8_t got[30000];
    memset(bytes, 'w', sizeof(bytes));

    for (int i = 0; i < 3; i++) {
        dg_peer_send(rig, bytes, sizeof(bytes));
        expect_eq(dg_peer_recv(rig, got, sizeof(got)), sizeof(bytes));
        expect_eq(memcmp(bytes, got, sizeof(bytes)), 0);
    }

    const struct weir_loop_statistics statistics = statistics_of(rig->loop);
    expect_eq(statistics.copied_by_write, 0);
    expect_eq(weir_transport_get_read_buffer_size(rig->t), 0);
}

DATAGRAMS(datagram_send, a_message_is_looked_at, rig, 0)
{
    struct weir_message message = {
        .data = "x", .len = 1, .address = &rig->peer_address};

    expect_eq(weir_transport_sendmsg(rig->t, NULL), -EINVAL);
    expect_eq(weir_transport_sendmsg(rig->t, &message), WEIR_EOPTIONSIZE,
              "no size");
    message.size = sizeof(message);
    message.segment_bytes = 70000;
    expect_eq(weir_transport_sendmsg(rig->t, &message), -EINVAL);
    message.segment_bytes = 1;
    message.len = 65;
    expect_eq(weir_transport_sendmsg(rig->t, &message), -EINVAL);
    message.segment_bytes = 0;
    message.len = 1;
    struct weir_ancillary facts = {
        .size = sizeof(facts), .has = WEIR_ANCILLARY_TTL, .ttl = 0};
    message.ancillary = &facts;
    expect_eq(weir_transport_sendmsg(rig->t, &message), -EINVAL);
    facts = (struct weir_ancillary){.size = sizeof(struct weir_ancillary),
                                    .has = WEIR_ANCILLARY_TOS,
                                    .tos = 256};
    expect_eq(weir_transport_sendmsg(rig->t, &message), -EINVAL);
    facts = (struct weir_ancillary){.size = sizeof(struct weir_ancillary),
                                    .has = 1u << 20};
    expect_eq(weir_transport_sendmsg(rig->t, &message), -EINVAL);
    expect_eq(weir_transport_get_write_buffer_size(rig->t), 0);
}

DATAGRAMS(datagram_send, one_too_long_for_any_is_refused_at_once, rig, 0)
{
    static uint8_t bytes[66000];
    char text[4];

    if (rig->family == AF_UNIX) {
        return; /* it has no such limit */
    }
    expect_eq(dg_send(rig, bytes, sizeof(bytes)), -EMSGSIZE);
    expect_eq(dg_send(rig, bytes, rig->family == AF_INET ? 65508 : 65528),
              -EMSGSIZE);
    expect_eq(dg_send(rig, "x", 1), 0);
    expect_eq(dg_peer_recv(rig, text, sizeof(text)), 1);
    expect_eq(rig->error_count, 0);
}

DATAGRAMS(datagram_send, r22__the_marks_count_what_waits_and_its_cost, rig, 0)
{
    uint8_t bytes[100] = {0};

    expect_eq(set_marks(rig->t, 1000, 200), 0);
    for (int i = 0; i < 6; i++) {
        expect_eq(dg_send(rig, bytes, sizeof(bytes)), 0, "%d", i);
    }
    expect_eq(weir_transport_get_write_buffer_size(rig->t),
              6 * (sizeof(bytes) + WEIR_DATAGRAM_COST));
    expect_str_eq(rig->events, "made");
    expect_eq(dg_send(rig, bytes, sizeof(bytes)), 1, "above the mark");
    expect_str_eq(rig->events, "made pause");
    expect_eq(dg_send(rig, bytes, sizeof(bytes)), 1);
    dg_turns(rig, 1);

    expect_str_eq(rig->events, "made pause resume");
    expect_eq(weir_transport_get_write_buffer_size(rig->t), 0);
}

DATAGRAMS(datagram_send, complaint_63__the_queue_has_a_limit, rig, 0)
{
    uint8_t bytes[100] = {0};

    expect_eq(weir_transport_set_write_hard_limit(rig->t, 300), 0);
    expect_eq(dg_send(rig, bytes, sizeof(bytes)), 0);
    expect_eq(dg_send(rig, bytes, sizeof(bytes)), -ENOBUFS);
    expect_eq(dg_send(rig, bytes, 10), 0, "a shorter one has room");
    dg_turns(rig, 2);
    expect_eq(dg_send(rig, bytes, sizeof(bytes)), 0);

    expect_eq(dg_counts(rig).sent, 2);
}

DATAGRAMS(datagram_send, the_queue_has_no_limit_from_4_gib_less_1_on, rig, 0)
{
    static const uint8_t bytes[60000];
    const struct weir_message message = {.size = sizeof(message),
                                         .data = bytes,
                                         .len = sizeof(bytes),
                                         .address = &rig->peer_address,
                                         .release = count_release};
    uint64_t before;
    uint64_t depth = 0;
    int err;

    expect_eq(weir_transport_set_write_hard_limit(rig->t, UINT32_MAX - 1), 0);
    do {
        before = depth;
        err = weir_transport_sendmsg(rig->t, &message);
        depth = weir_transport_get_write_buffer_size(rig->t);
    } while (depth > before);
    expect_eq(err, -ENOBUFS);
    expect_leq(depth, UINT32_MAX - 1);

    expect_eq(weir_transport_set_write_hard_limit(rig->t, UINT32_MAX), 0);
    expect_geq(weir_transport_sendmsg(rig->t, &message), 0);
    depth = weir_transport_get_write_buffer_size(rig->t);
    expect_gt(depth, (uint64_t)UINT32_MAX);
    weir_transport_abort(rig->t);
}

/* Sends until the kernel accepts no more, if a full receiver blocks the sender.
 * Returns how many were accepted. */
static uint32_t fill_up(struct dg *rig)
{
    const uint32_t before = rig->next_number;
    for (int i = 0; i < 200; i++) {
        dg_send_numbered(rig, 10, 400);
        dg_turns(rig, 1);
        if (weir_transport_get_write_buffer_size(rig->t) > 20 * 400) {
            return rig->next_number - before;
        }
    }
    return rig->next_number - before;
}

static void expect_all_from_peer(struct dg *rig, uint32_t count)
{
    uint8_t bytes[1000];
    for (uint32_t i = 0; i < count; i++) {
        uint32_t number;
        expect_eq(dg_peer_recv(rig, bytes, sizeof(bytes)), 400);
        memcpy(&number, bytes, sizeof(number));
        expect_eq(number, i);
    }
}

DATAGRAMS(datagram_send, want_of_room_makes_datagrams_wait_and_loses_none, rig,
          0)
{
    if (rig->family != AF_UNIX) {
        return; /* over the loopback interface the receiver drops them instead
                 */
    }
    const uint32_t count = fill_up(rig);
    cr_assert_gt(weir_transport_get_write_buffer_size(rig->t), 0);
    expect_all_from_peer(rig, count);

    expect_eq(rig->error_count, 0);
    expect_eq(dg_counts(rig).sent, count);
}

DATAGRAMS(datagram_send, room_wakes_a_connected_one, rig, .connected = true)
{
    if (rig->family != AF_UNIX) {
        return;
    }
    const uint32_t count = fill_up(rig);
    cr_assert_gt(weir_transport_get_write_buffer_size(rig->t), 0);
    expect_all_from_peer(rig, count);

    expect_eq(dg_counts(rig).sent, count);
}

DATAGRAMS(datagram_send, r47__close_sends_what_waits, rig, .connected = true)
{
    if (rig->family != AF_UNIX) {
        dg_send_numbered(rig, 20, 400);
        weir_transport_close(rig->t);
        expect_all_from_peer(rig, 20);
        dg_wait_lost(rig);
        return;
    }
    const uint32_t count = fill_up(rig);
    weir_transport_close(rig->t);
    cr_assert(weir_transport_is_closing(rig->t));
    dg_turn_for(rig, 3 * DG_MS);
    expect_eq(rig->lost_count, 0, "it waits for room");
    expect_eq(dg_send(rig, "x", 1), -ESHUTDOWN);
    expect_all_from_peer(rig, count);
    dg_wait_lost(rig);

    expect_eq(rig->lost_err, 0);
    expect_eq(weir_transport_get_end(rig->t), WEIR_END_CLOSED);
}

DATAGRAMS(datagram_send, r47__abort_drops_what_waits, rig, .connected = true)
{
    release_count = 0;
    const struct weir_message message = {.size = sizeof(message),
                                         .data = "x",
                                         .len = 1,
                                         .release = count_release};

    if (rig->family == AF_UNIX) {
        fill_up(rig);
    }
    expect_geq(weir_transport_sendmsg(rig->t, &message), 0);
    weir_transport_abort(rig->t);
    expect_eq(release_count, 1);
    expect_eq(weir_transport_get_write_buffer_size(rig->t), 0);
    dg_wait_lost(rig);

    expect_eq(rig->lost_err, 0);
    expect_eq(weir_transport_get_end(rig->t), WEIR_END_ABORTED);
}

static int pass_on(struct dg *rig, const struct weir_datagram *datagram)
{
    const struct weir_message message = {.size = sizeof(message),
                                         .data = datagram->buf.data,
                                         .len = datagram->buf.len,
                                         .lease = datagram->buf.lease};
    expect_geq(weir_transport_sendmsg(rig->t, &message), 0);
    return 0;
}

DATAGRAMS(datagram_send, few_bytes_that_wait_pin_no_buffer, rig,
          .connected = true, .hooks = {.datagram_received = pass_on})
{
    if (rig->family != AF_UNIX) {
        return; /* there is always space */
    }
    fill_up(rig);
    dg_peer_send(rig, "x", 1);
    dg_peer_send(rig, "", 0);
    dg_wait_received(rig, 2);
    dg_turns(rig, 2);

    expect_gt(weir_transport_get_write_buffer_size(rig->t), 0);
    const struct weir_loop_statistics statistics = statistics_of(rig->loop);
    expect_eq(statistics.leases, 0);
}

static void send_more(struct dg *rig)
{
    if (rig->step++ == 0) {
        expect_geq(dg_send(rig, "last", 4), 0);
    }
}

DATAGRAMS(datagram_send, resume_writing_may_send_while_a_close_sends, rig,
          .connected = true, .hooks = {.resume_writing = send_more})
{
    uint8_t bytes[100] = {0};
    char text[128];

    expect_eq(set_marks(rig->t, 0, 0), 0);
    expect_eq(dg_send(rig, bytes, sizeof(bytes)), 1);
    weir_transport_close(rig->t);
    expect_eq(dg_peer_recv(rig, text, sizeof(text)), 100);
    expect_eq(dg_peer_recv(rig, text, sizeof(text)), 4);
    dg_wait_lost(rig);

    expect_eq(dg_send(rig, "x", 1), -ESHUTDOWN);
}

static void close_at_resume(struct dg *rig)
{
    weir_transport_close(rig->t);
}

DATAGRAMS(datagram_send, r19__resume_writing_that_closes_loses_it_once, rig,
          .connected = true, .hooks = {.resume_writing = close_at_resume})
{
    expect_eq(set_marks(rig->t, 0, 0), 0);
    expect_eq(dg_send(rig, "x", 1), 1);
    dg_wait_lost(rig);

    expect_str_eq(rig->events, "made pause resume lost");
}

static weir_transport *to_abort;

static void abort_at_release(void *arg)
{
    release_count++;
    weir_transport_abort(to_abort);
}

DATAGRAMS(datagram_send, a_release_callback_may_abort, rig, 0)
{
    struct weir_message message = {
        .size = sizeof(message),
        .data = "x",
        .len = 1,
        .address = &rig->peer_address,
        .release = abort_at_release,
    };

    release_count = 0;
    to_abort = rig->t;
    for (int i = 0; i < 5; i++) {
        expect_eq(weir_transport_sendmsg(rig->t, &message), 0);
    }
    dg_wait_lost(rig);

    expect_eq(release_count, 5);
}

DATAGRAMS(datagram_send, r47__sending_after_the_loss_is_a_status, rig, 0)
{
    weir_transport_abort(rig->t);
    weir_transport_abort(rig->t);
    weir_transport_close(rig->t);
    dg_wait_lost(rig);

    expect_eq(dg_send(rig, "x", 1), -ESHUTDOWN);
    expect_eq(weir_transport_get_socket(rig->t), -EBADF);
    expect_eq(dg_counts(rig).dropped_by_kernel, 0);
    struct weir_address own;
    weir_transport_get_sockname(rig->t, &own);
    cr_assert(weir_address_is_equal(&own, &rig->address),
              "the getters still answer");
}

DATAGRAMS(datagram_send, of_another_kind_of_transport_it_is_refused, rig, 0)
{
    struct weir_datagram_counts counts = {.size = sizeof(counts)};
    int fds[2];
    CALLBACKS(stream, STREAM);
    (void)counts;
    (void)stream;
    expect_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    struct weir_datagram_options options = dg_options(rig);
    expect_eq(dg_adopt(rig, fds[0], &options), -EINVAL);
    dg_wait_closed(fds[0]); /* R63: closed even so */
    close(fds[1]);
}

/* Sends until a datagram has to wait for the peer that does not read. UDP drops
 * datagrams instead, and always has space for a few. */
static bool fill_queue(struct dg *rig)
{
    static uint8_t bytes[1000];
    const bool can_wait = rig->family == AF_UNIX;
    for (int i = 0; i < (can_wait ? 2000 : 20); i++) {
        expect_geq(weir_transport_sendto(rig->t, bytes, sizeof(bytes),
                                         &rig->peer_address),
                   0);
        dg_turns(rig, 1);
        if (weir_transport_get_write_buffer_size(rig->t) > 0) {
            return true;
        }
    }
    return false;
}

DATAGRAMS(datagram_send, a_close_that_takes_too_long_is_ended, rig,
          .options = {.close_timeout_ns = 20 * DG_MS})
{
    const bool waits = fill_queue(rig);
    expect_eq(waits, rig->family == AF_UNIX);

    weir_transport_close(rig->t);
    dg_wait_lost(rig);

    expect_eq(rig->lost_err, waits ? WEIR_ECLOSETIMEOUT : 0);
}

DATAGRAMS(datagram_send, a_close_in_time_is_no_error, rig, .connected = true,
          .options = {.close_timeout_ns = 20 * DG_S})
{
    static uint8_t bytes[1000];
    const bool waits = fill_queue(rig);

    weir_transport_close(rig->t);
    dg_turn_for(rig, 5 * DG_MS);
    expect_eq(rig->lost_count, waits ? 0 : 1);
    while (rig->lost_count == 0) {
        const ssize_t len = dg_peer_recv_now(rig, bytes, sizeof(bytes));
        cr_assert(len == (ssize_t)sizeof(bytes) || len == -EAGAIN);
        dg_turns(rig, 1);
    }

    expect_eq(rig->lost_err, 0);
}

static int open_other(struct dg *rig, struct weir_address *ret)
{
    const int fd = socket(rig->family, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    *ret = dg_fresh_address(rig);
    expect_eq(bind(fd, &ret->storage.any, ret->len), 0);
    return fd;
}

static bool other_has_one(const struct dg *rig)
{
    char byte;
    return recv(rig->step, &byte, 1, MSG_DONTWAIT) == 1;
}

DATAGRAMS(datagram_send, a_peer_that_does_not_read_holds_up_others_no_longer,
          rig, .options = {.peer_wait_ns = 20 * DG_MS})
{
    struct weir_address other;
    if (rig->family != AF_UNIX) {
        return;
    }
    rig->step = open_other(rig, &other);
    const uint32_t count = fill_up(rig);
    expect_geq(weir_transport_sendto(rig->t, "x", 1, &other), 0);

    RUN_UNTIL(rig->loop, other_has_one(rig));

    expect_eq(weir_transport_get_write_buffer_size(rig->t), 0);
    expect_eq(rig->error, -ETIMEDOUT);
    cr_assert_gt(rig->error_count, 0);
    expect_eq(dg_counts(rig).sent, count + 1 - (uint32_t)rig->error_count);
    expect_eq(dg_counts(rig).errors, rig->error_count);
    close(rig->step);
}

DATAGRAMS(datagram_send, a_peer_that_reads_in_time_loses_none, rig,
          .options = {.peer_wait_ns = DG_WAIT_S * DG_S})
{
    if (rig->family != AF_UNIX) {
        return;
    }
    const uint32_t count = fill_up(rig);
    dg_turn_for(rig, 3 * DG_MS);
    expect_all_from_peer(rig, count);

    expect_eq(rig->error_count, 0);
    expect_eq(dg_counts(rig).sent, count);
}

DATAGRAMS(datagram_send, a_close_drops_what_has_waited_for_a_peer_too_long, rig,
          .options = {.peer_wait_ns = 5 * DG_MS})
{
    if (rig->family != AF_UNIX) {
        return;
    }
    cr_assert_gt(fill_up(rig), 0);
    weir_transport_close(rig->t);

    dg_wait_lost(rig);

    expect_eq(rig->error, -ETIMEDOUT);
    expect_eq(rig->lost_err, 0);
}
