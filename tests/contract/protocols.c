/*
 * Switching the protocol in mid-stream: rule R28.
 *
 * The new protocol gets the next callback. No byte is lost, whatever the kinds
 * of both protocols are, and wherever the bytes are: in the pool, kept while
 * paused, or in a buffered protocol's memory into which the kernel was
 * receiving.
 */
#define PAIRS_NEED RIG_RECEIVES
#include "tests/contract/buffered_rig.h"
#include "tests/unit/random.h"

static struct weir_protocol copying;   /* buffered */
static struct weir_protocol promising; /* buffered, keeps its memory */

static void switch_to(struct rig *rig, const struct weir_protocol *protocol)
{
    const struct weir_protocol_binding binding = {protocol, rig};
    expect_eq(weir_transport_set_protocol(rig->t, &binding, NULL, 0), 0);
    expect(weir_transport_get_protocol(rig->t).protocol == protocol);
    expect(weir_transport_get_protocol(rig->t).user == rig);
}

static void begin(struct rig *rig)
{
    copying = make_buffered(false);
    promising = make_buffered(true);
    reset_buffered(rig, sizeof(buffered.memory));
}

static void switch_between(const struct weir_protocol *from,
                           const struct weir_protocol *to)
{
    struct rig rig = {.hooks = {.connection_made = begin}, .protocol = from};
    while (rig_next(&rig)) {
        rig_receive(&rig, 1000);

        switch_to(&rig, to);
        rig_peer_send(&rig, 100000);
        rig_wait_received(&rig, 101000);

        switch_to(&rig, from);
        rig_peer_send(&rig, 1000);
        rig_wait_received(&rig, 102000);
        rig_peer_shutdown(&rig);
        rig_wait_lost(&rig);

        expect_events(&rig, "made data eof lost");
        expect(!buffered.out);
    }
}

UNIT(protocols, r28__plain_to_copied_and_back)
{
    copying = make_buffered(false);
    switch_between(&rig_protocol, &copying);
}

UNIT(protocols, r28__plain_to_received_in_place_and_back)
{
    promising = make_buffered(true);
    switch_between(&rig_protocol, &promising);
}

UNIT(protocols, r28__copied_to_plain_and_back)
{
    copying = make_buffered(false);
    switch_between(&copying, &rig_protocol);
}

UNIT(protocols, r28__received_in_place_to_plain_and_back)
{
    promising = make_buffered(true);
    switch_between(&promising, &rig_protocol);
}

static struct unit_random random_state;

static int switch_at_random(struct rig *rig, const struct weir_buf *buf)
{
    switch (unit_random_below(&random_state, 6)) {
    case 0:
        switch_to(rig, &rig_protocol);
        break;
    case 1:
        switch_to(rig, &copying);
        break;
    case 2:
        switch_to(rig, &promising);
        break;
    case 3:
        expect_eq(weir_transport_pause_reading(rig->t), 0);
        break;
    default:
        buffered.size = 1 + unit_random_below(&random_state, 30000);
    }
    return 0;
}

UNIT(protocols, r28__no_byte_is_lost_by_switching_inside_callbacks)
{
    const uint64_t total = 1500000;
    struct rig rig = {
        .hooks = {.connection_made = begin, .data_received = switch_at_random}};
    unit_random_seed(&random_state);
    while (rig_next(&rig)) {
        while (rig.received < total) {
            const uint64_t left = total - rig.peer_sent;
            const uint64_t part = unit_random_below(&random_state, 30000);
            if (rig.peer_sent - rig.received < 50000) {
                rig_peer_send(&rig, part < left ? part : left);
            }
            rig_turn(&rig);
            expect_eq(weir_transport_resume_reading(rig.t), 0);
        }

        expect_eq(rig.received, total);
        switch_to(&rig, &rig_protocol);
        weir_transport_abort(rig.t);
        rig_wait_lost(&rig);
        expect(!buffered.out);
    }
}

struct second {
    struct rig *rig;
    char events[128];
    uint64_t received;
};

static void note(struct second *second, const char *event)
{
    const size_t len = strlen(second->events);
    if (len < 5 || strcmp(second->events + len - 5, event) != 0) {
        snprintf(second->events + len, sizeof(second->events) - len, "%s%s",
                 len ? " " : "", event);
    }
}

static void second_made(void *user, weir_transport *t)
{
    note(user, "made ");
}

static void second_lost(void *user, weir_transport *t, int err)
{
    struct second *second = user;
    note(user, "lost ");
    second->rig->lost_count++; /* the rig waits for this */
    second->rig->lost_err = err;
}

static void second_resume(void *user, weir_transport *t)
{
    note(user, "resum");
}

static int second_data(void *user, weir_transport *t,
                       const struct weir_buf *buf)
{
    struct second *second = user;
    expect(rig_is_pattern(buf->data, second->received, buf->len));
    second->received += buf->len;
    note(user, "data ");
    return 0;
}

static int second_eof(void *user, weir_transport *t)
{
    note(user, "eof  ");
    return 0;
}

static CALLBACKS(second_protocol, STREAM, .connection_made = second_made,
                 .connection_lost = second_lost,
                 .resume_writing = second_resume, .data_received = second_data,
                 .eof_received = second_eof);

PAIRS(protocols, r28__all_further_callbacks_go_to_the_new_protocol, rig,
      .needs = RIG_BOTH_WAYS, .small_buffers = true)
{
    struct second second = {.rig = rig};
    const struct weir_protocol_binding binding = {&second_protocol, &second};
    rig_receive(rig, 10);
    rig_clog(rig); /* the old protocol's pause_writing is called */

    expect_eq(weir_transport_set_protocol(rig->t, &binding, NULL, 0), 0);
    second.received = 10;
    rig_peer_read(rig, rig->written);
    rig_turns(rig, 3);
    rig_peer_send(rig, 10);
    rig_turn_for(rig, 5 * RIG_MS);
    rig_peer_shutdown(rig);
    rig_wait_lost(rig);

    expect_events(rig, "made data pause");
    expect(strcmp(second.events, "resum data  eof   lost ") == 0);
    expect_eq(second.received, 20);
}

static struct second to_second;

/* Uses 3 bytes and hands over the rest, in two buffers. */
static int hand_over(struct rig *rig, const struct weir_buf *buf)
{
    const struct weir_protocol_binding binding = {&second_protocol, &to_second};
    const struct weir_buf rest[] = {
        {.data = buf->data + 3, .len = 2, .lease = buf->lease},
        {.data = buf->data + 5, .len = buf->len - 5, .lease = buf->lease},
    };
    to_second = (struct second){.rig = rig, .received = 3};
    rig->count = (int)buf->len;
    expect_eq(weir_transport_set_protocol(rig->t, &binding, rest, 2), 0);
    expect_eq(to_second.received, 3); /* called by the loop, not from here */
    return 0;
}

PAIRS(protocols, r28__initial_buffers_come_first_and_from_the_loop, rig,
      .hooks = {.data_received = hand_over})
{
    rig->bytes = 300000;
    to_second.received = 0;
    rig_peer_send(rig, 300000);

    RUN_UNTIL(rig->loop, to_second.received == rig->bytes);

    expect_events(rig, "made data");
    expect(strcmp(to_second.events, "data ") == 0);
    rig_turn(rig);
    expect_eq(rig_statistics(rig).leases, 0);
}

PAIRS(protocols, r28__initial_buffers_come_before_the_end_of_stream, rig,
      .hooks = {.data_received = hand_over})
{
    to_second.received = 0;
    rig_peer_send(rig, 1000); /* no iteration between these */
    rig_peer_shutdown(rig);

    rig_wait_lost(rig);

    expect_eq(to_second.received, 1000);
    expect(strcmp(to_second.events, "data  eof   lost ") == 0);
}

static int hand_over_paused(struct rig *rig, const struct weir_buf *buf)
{
    expect_eq(weir_transport_pause_reading(rig->t), 0);
    return hand_over(rig, buf);
}

PAIRS(protocols, r28__initial_buffers_wait_while_paused, rig,
      .hooks = {.data_received = hand_over_paused})
{
    rig->bytes = 1000;
    to_second.received = 0;
    rig_peer_send(rig, 1000);
    rig_wait_event(rig, "data");
    rig_turn_for(rig, 5 * RIG_MS);
    expect_eq(to_second.received, 3);
    expect(weir_transport_get_read_buffer_size(rig->t) >= 997);

    expect_eq(weir_transport_resume_reading(rig->t), 0);
    RUN_UNTIL(rig->loop, to_second.received == rig->bytes);
}

static struct weir_buf kept;

static int keep_and_pause(struct rig *rig, const struct weir_buf *buf)
{
    kept = *buf;
    expect_eq(weir_buf_ref(&kept), 0);
    expect_eq(weir_transport_pause_reading(rig->t), 0);
    return 0;
}

UNIT(protocols, r28__initial_buffers_come_before_bytes_kept_while_paused)
{
    const struct weir_protocol_binding binding = {&second_protocol, &to_second};
    struct rig rig = {.hooks = {.data_received = keep_and_pause}};
    while (rig_next(&rig)) {
        to_second = (struct second){.rig = &rig};
        rig.bytes = 3000;
        rig_peer_send(&rig, 1000);
        rig_wait_event(&rig, "data");
        rig_peer_send(&rig, 2000);
        rig_turn_for(&rig, 5 * RIG_MS);

        expect_eq(weir_transport_set_protocol(rig.t, &binding, &kept, 1), 0);
        weir_buf_unref(kept.lease);
        expect_eq(weir_transport_resume_reading(rig.t), 0);
        RUN_UNTIL(rig.loop, to_second.received == rig.bytes);

        expect_events(&rig, "made data");
        rig_turn(&rig);
        expect_eq(rig_statistics(&rig).leases, 0);
    }
}

static int hand_over_to_buffered(struct rig *rig, const struct weir_buf *buf)
{
    const struct weir_protocol_binding binding = {&copying, rig};
    const struct weir_buf rest = {
        .data = buf->data + 3, .len = buf->len - 3, .lease = buf->lease};
    rig->hooks.data_received = NULL;
    rig->received -= rest.len;
    expect_eq(weir_transport_set_protocol(rig->t, &binding, &rest, 1), 0);
    return 0;
}

PAIRS(protocols, r28__initial_buffers_may_go_to_a_buffered_protocol, rig,
      .hooks = {.connection_made = begin})
{
    rig->hooks.data_received = hand_over_to_buffered;
    rig_receive(rig, 100000);

    expect(buffered.updated_count > 0);
}

static struct {
    uint8_t bytes[64];
    size_t len;
} noted;

static int note_bytes(void *user, weir_transport *t, const struct weir_buf *buf)
{
    cr_assert_leq(noted.len + buf->len, sizeof(noted.bytes));
    memcpy(noted.bytes + noted.len, buf->data, buf->len);
    noted.len += buf->len;
    return 0;
}

static struct weir_protocol
    noting; /* the recorder's table, except for its bytes */

/* Keeps the first bytes. The others go to a buffered protocol, 4 at a time,
 * which hands over after the first 4, with the first bytes in two pieces. */
static int keep_then_hand_over(struct rig *rig, const struct weir_buf *buf)
{
    const struct weir_protocol_binding binding = {&noting, rig};
    if (buf->lease) {
        keep_and_pause(rig, buf);
        reset_buffered(rig, 4);
        switch_to(rig, &copying);
        return 0;
    }
    expect_eq(buf->len, 4);
    struct weir_buf pieces[2] = {kept, kept};
    pieces[0].len = 3;
    pieces[1].data += 3;
    pieces[1].len -= 3;
    expect_eq(weir_transport_set_protocol(rig->t, &binding, pieces, 2), 0);
    return 0;
}

UNIT(protocols, r28__initial_buffers_come_before_what_was_not_copied)
{
    struct rig rig = {.hooks = {.data_received = keep_then_hand_over}};
    copying = make_buffered(false);
    noting = rig_protocol;
    noting.data_received = note_bytes;
    while (rig_next(&rig)) {
        uint8_t wanted[26];
        noted.len = 0;
        rig_receive(&rig, 10);
        rig_peer_send(&rig, 20);
        rig_turn_for(&rig, 5 * RIG_MS);
        expect_eq(weir_transport_resume_reading(rig.t), 0);
        RUN_UNTIL(rig.loop, noted.len >= 26);

        rig_pattern(wanted, 0, 10);
        rig_pattern(wanted + 10, 14, 16);
        expect_eq(memcmp(noted.bytes, wanted, sizeof(wanted)), 0);
        weir_buf_unref(kept.lease);
    }
}

static int hand_over_and_close(struct rig *rig, const struct weir_buf *buf)
{
    hand_over(rig, buf);
    expect_eq(weir_transport_close(rig->t), 0);
    return 0;
}

PAIRS(protocols, r28__initial_buffers_are_dropped_by_close, rig,
      .hooks = {.data_received = hand_over_and_close})
{
    rig_peer_send(rig, 1000);
    rig_wait_lost(rig);

    expect_eq(to_second.received, 3);
    expect_eq(rig_statistics(rig).leases, 0);
}

static int switch_when_closing(struct rig *rig, const struct weir_buf *buf)
{
    const struct weir_protocol_binding binding = {&second_protocol, &to_second};
    expect_eq(weir_transport_close(rig->t), 0);
    expect_eq(weir_transport_set_protocol(rig->t, &binding, buf, 1),
              -ESHUTDOWN);
    return 0;
}

PAIRS(protocols, a_switch_is_refused_while_closing, rig,
      .hooks = {.data_received = switch_when_closing})
{
    rig_peer_send(rig, 1000);
    rig_wait_lost(rig);

    expect_events(rig, "made data lost");
    expect(weir_transport_get_protocol(rig->t).user == rig);
}

PAIRS(protocols, a_switch_to_no_valid_table_is_refused, rig)
{
    struct weir_protocol table = rig_protocol;
    const struct weir_protocol_binding none = {NULL, rig};
    const struct weir_protocol_binding binding = {&table, rig};
    weir_transport *t = rig->t;

    expect_eq(weir_transport_set_protocol(t, NULL, NULL, 0), -EINVAL);
    expect_eq(weir_transport_set_protocol(t, &none, NULL, 0), -EINVAL);
    table.size = 8;
    expect_eq(weir_transport_set_protocol(t, &binding, NULL, 0), -EINVAL);
    table.size = sizeof(table);
    table.kind = WEIR_PROTOCOL_BUFFERED;
    expect_eq(weir_transport_set_protocol(t, &binding, NULL, 0), -EINVAL);

    expect(weir_transport_get_protocol(t).protocol == &rig_protocol);
}

PAIRS(protocols, a_stream_takes_no_table_of_another_kind, rig)
{
    struct weir_protocol protocol = {.size = sizeof(protocol)};
    const struct weir_protocol_binding binding = {&protocol, rig};

    for (int kind = -1; kind < 100; kind++) {
        const bool fits = kind == WEIR_PROTOCOL_STREAM;
        protocol.kind = (enum weir_protocol_kind)kind;
        expect_eq(weir_transport_set_protocol(rig->t, &binding, NULL, 0),
                  fits ? 0 : -EINVAL);
    }
    switch_to(rig, &rig_protocol);
}

PAIRS(protocols, a_table_needs_the_entries_of_its_kind_alone, rig)
{
    const size_t least = offsetof(struct weir_protocol, datagram_received);
    struct weir_protocol protocol = rig_protocol;
    const struct weir_protocol_binding binding = {&protocol, rig};

    protocol.size = least - 1;
    expect_eq(weir_transport_set_protocol(rig->t, &binding, NULL, 0), -EINVAL);
    protocol.size = least;
    expect_eq(weir_transport_set_protocol(rig->t, &binding, NULL, 0), 0);
    rig_receive(rig, 1000);

    switch_to(rig, &rig_protocol);
}
