/*
 * weir_writer_relay(): a task relays two streams and waits for their end.
 *
 * Bytes and ends in the readers are relayed, too; what the writers have written
 * before is sent first.
 */
#define TASK_RUN with_both
#include "pair.h"
#include "tests/tasks/moments_rig.h"

#include <string.h>
#include <weir/reader.h>
#include <weir/relay.h>

static struct pair a;
static struct pair b;
static struct weir_relay_record record;

static void open_both(void)
{
    pair_open(&a);
    pair_open(&b);
    memset(&record, 0, sizeof(record));
    record.size = sizeof(record);
}

static void close_both(void)
{
    weir_writer_unref(a.writer);
    weir_writer_unref(b.writer);
    nap();
    cr_assert(fake_peer_is_alone(a.peer));
    cr_assert(fake_peer_is_alone(b.peer));
    fake_peer_close(a.peer);
    fake_peer_close(b.peer);
}

static int relay_both(weir_loop *on, void *arg)
{
    (void)on;
    return weir_writer_relay(a.writer, b.writer, arg, &record);
}

/* Expects that the peer has received this text, and an end if there was one. */
static void expect_got(struct pair *p, const char *text, ssize_t then)
{
    char got[256];
    const size_t len = strlen(text);
    nap();
    expect_eq(fake_peer_read(p->peer, got, sizeof(got)), (ssize_t)len);
    expect_eq(memcmp(got, text, len), 0);
    expect_eq(fake_peer_read(p->peer, got, sizeof(got)), then);
}

static void with_both(void (*body)(void))
{
    open_both();
    body();
    close_both();
}

TASK(relay_streams, unread_bytes_of_both_go_first)
{
    char line[8];
    pair_peer_write(&a, "line\nof a ");
    pair_peer_says(&b, "of b ");
    expect_eq(weir_reader_readline(a.reader, line, sizeof(line)), 5);
    expect_eq(weir_writer_write(b.writer, "hello ", 6), 0);
    weir_task *task = rig_spawn(relay_both, NULL);
    nap();
    pair_peer_write(&a, "later");
    pair_peer_write(&b, "soon");
    expect_got(&b, "hello of a later", -EAGAIN);
    expect_got(&a, "of b soon", -EAGAIN);
    fake_peer_shutdown(a.peer);
    fake_peer_shutdown(b.peer);
    expect_eq(rig_join(task), 0);
    expect_eq(record.size, sizeof(record));
    expect_eq(record.a_bytes, 10);
    expect_eq(record.b_bytes, 9);
    expect_eq(record.cause, WEIR_RELAY_EOF);
}

TASK(relay_streams, an_end_that_the_reader_was_told_of_is_passed_on)
{
    pair_peer_write(&a, "all");
    fake_peer_shutdown(a.peer);
    nap();
    weir_task *task = rig_spawn(relay_both, NULL);
    expect_got(&b, "all", 0);
    pair_peer_write(&b, "answer");
    fake_peer_shutdown(b.peer);
    expect_got(&a, "answer", 0);
    expect_eq(rig_join(task), 0);
    expect_eq(record.ended_by, WEIR_RELAY_A);
}

TASK(relay_streams, both_may_have_ended_before)
{
    fake_peer_shutdown(a.peer);
    fake_peer_shutdown(b.peer);
    nap();
    expect_eq(weir_writer_relay(a.writer, b.writer, NULL, NULL), 0);
}

static void end_both_at_once(const char *text_of_b)
{
    struct weir_relay_options options = {.size = sizeof(options),
                                         .close_at_first_end = true};
    open_both();
    pair_peer_write(&b, text_of_b);
    fake_peer_shutdown(a.peer);
    fake_peer_shutdown(b.peer);
    nap();
    expect_eq(relay_both(loop, &options), 0);
    expect_eq(record.ended_by, WEIR_RELAY_A);
    expect_eq(record.b_bytes, 0);
    close_both();
}

UNIT_IN(relay_streams, both_may_have_ended_where_one_end_is_enough,
        rig_run_body, void)
{
    end_both_at_once("");
    end_both_at_once("dropped");
}

static char bytes[256 * KIB];

/* The peer of @p sends until the reader has paused. Returns the number of
 * bytes. */
static uint64_t fill_reader(struct pair *p)
{
    uint64_t given = 0;
    for (int i = 0; i < 20; i++) {
        for (size_t j = 0; j < sizeof(bytes); j++) {
            bytes[j] = (char)pair_byte(given + j);
        }
        const ssize_t len = fake_peer_write(p->peer, bytes, sizeof(bytes));
        given += len > 0 ? (uint64_t)len : 0;
        nap();
    }
    cr_assert_not(weir_transport_is_reading(p->t));
    return given;
}

TASK(relay_streams, a_full_reader_goes_on)
{
    const uint64_t given = fill_reader(&a);
    weir_task *task = rig_spawn(relay_both, NULL);
    fake_peer_shutdown(a.peer);
    for (int i = 0; i < 1000 && b.peer_read < given; i++) {
        nap();
        pair_peer_read_all(&b);
    }
    expect_eq(b.peer_read, given);
    fake_peer_shutdown(b.peer);
    expect_eq(rig_join(task), 0);
    expect_eq(record.a_bytes, given);
}

/* The unread bytes of one side wait until the other side has space for them.
 * No more are read until then. */
static void wait_for_room(struct pair *from, struct pair *to)
{
    expect_eq(pair_write(to, MIB), 0);
    fill_reader(from);
    const uint64_t held = weir_transport_get_read_buffer_size(from->t);
    const uint64_t queued = weir_transport_get_write_buffer_size(to->t);
    weir_task *task = rig_spawn(relay_both, NULL);
    nap();
    nap();
    cr_assert_not(weir_transport_is_reading(from->t));
    expect_leq(weir_transport_get_read_buffer_size(from->t), held);
    expect_leq(weir_transport_get_write_buffer_size(to->t), queued);
    expect_eq(rig_cancel(task), -ECANCELED);
}

TASK(relay_streams, a_full_reader_waits_for_a_full_writer)
{
    wait_for_room(&a, &b);
}

TASK(relay_streams, a_full_reader_of_the_second_stream_waits_as_well)
{
    wait_for_room(&b, &a);
}

TASK(relay_streams, a_full_reader_stays_paused_after_a_refusal)
{
    const struct weir_relay_options small = {.size = sizeof(small),
                                             .buffer_bytes = 4095};
    fill_reader(&a);
    expect_eq(weir_writer_relay(a.writer, b.writer, &small, NULL), -EINVAL);
    nap();
    cr_assert_not(weir_transport_is_reading(a.t));
    weir_writer_abort(a.writer);
    weir_writer_abort(b.writer);
}

/* No bytes wait in the kernel that would pause the reader again. */
TASK(relay_streams, a_reader_that_is_just_full_stays_paused_after_a_refusal)
{
    const struct weir_relay_options small = {.size = sizeof(small),
                                             .buffer_bytes = 4095};
    while (weir_transport_is_reading(a.t)) {
        expect_eq(fake_peer_write(a.peer, bytes, KIB), KIB);
        nap();
    }
    expect_eq(weir_writer_relay(a.writer, b.writer, &small, NULL), -EINVAL);
    nap();
    cr_assert_not(weir_transport_is_reading(a.t));
    weir_writer_abort(a.writer);
    weir_writer_abort(b.writer);
}

TASK(relay_streams, a_reset_is_the_tasks_error)
{
    weir_task *task = rig_spawn(relay_both, NULL);
    nap();
    fake_peer_reset(b.peer);
    expect_eq(rig_join(task), -ECONNRESET);
    expect_eq(record.ended_by, WEIR_RELAY_B);
    char byte;
    expect_eq(fake_peer_read(a.peer, &byte, 1), -ECONNRESET);
}

TASK(relay_streams, the_streams_have_no_connection)
{
    char byte;
    weir_task *task = rig_spawn(relay_both, NULL);
    nap();
    expect_eq(weir_writer_write(a.writer, "stray", 5), -ENOTCONN);
    expect_eq(weir_reader_read(b.reader, &byte, 1), 0);
    expect_eq(weir_writer_relay(a.writer, b.writer, NULL, NULL), -ENOTCONN);
    expect_eq(rig_cancel(task), -ECANCELED);
    expect_eq(record.cause, WEIR_RELAY_CANCELED);
}

static int read_one(weir_loop *on, void *arg)
{
    char byte;
    (void)on;
    return (int)weir_reader_read(arg, &byte, 1);
}

TASK(relay_streams, a_refusal_changes_nothing)
{
    const struct weir_relay_options options = {
        .size = sizeof(options), .b_initial = NULL, .b_initial_count = 1};
    const struct weir_relay_options small = {.size = sizeof(small),
                                             .buffer_bytes = 4095};
    struct weir_relay_record sizeless = {.size = 0};
    pair_peer_says(&a, "some");
    expect_eq(weir_writer_relay(a.writer, a.writer, NULL, NULL), -EINVAL);
    expect_eq(weir_writer_relay(a.writer, b.writer, &options, NULL), -EINVAL);
    expect_eq(weir_writer_relay(a.writer, b.writer, &small, NULL), -EINVAL);
    expect_eq(weir_writer_relay(a.writer, b.writer, NULL, &sizeless),
              WEIR_EOPTIONSIZE);
    weir_task *task = rig_spawn(read_one, b.reader);
    nap();
    expect_eq(weir_writer_relay(a.writer, b.writer, NULL, NULL), -EBUSY);
    expect_eq(weir_writer_relay(b.writer, a.writer, NULL, NULL), -EBUSY);
    pair_peer_write(&b, "x");
    expect_eq(rig_join(task), 1);
    weir_writer_close(b.writer);
    expect_eq(weir_writer_relay(a.writer, b.writer, NULL, NULL), -ESHUTDOWN);

    expect_eq(weir_reader_read(a.reader, bytes, sizeof(bytes)), 4);
    expect_eq(memcmp(bytes, "some", 4), 0);
    weir_writer_close(a.writer);
    nap();
}

static int call(weir_loop *on)
{
    return relay_both(on, NULL);
}

static void give(void)
{
    fake_peer_shutdown(a.peer);
    fake_peer_shutdown(b.peer);
}

static void unmake(void)
{
    weir_writer_abort(a.writer);
    weir_writer_abort(b.writer);
    close_both();
}

UNIT_IN(relay_streams, it_is_interrupted_at_every_moment, rig_run_body, void)
{
    static const struct row rows[] = {
        {"weir_writer_relay", open_both, call, give, unmake}};
    play_rows(rows, 1);
}

static int walk_relay(weir_loop *on, void *arg)
{
    walk_begin(&rig_memory);
    return relay_both(on, arg);
}

static int relay_without_memory(weir_loop *on, void *arg)
{
    static const char text[] = "bytes that wait in the reader";
    (void)arg;
    open_both();
    pair_peer_says(&a, "bytes that ");
    pair_peer_says(&a, "wait in the reader");
    pair_peer_says(&b, text);
    weir_task *task = rig_spawn(walk_relay, NULL);
    (void)on;
    nap();
    const bool has_failed = walk_end(&rig_memory);
    fake_peer_shutdown(a.peer);
    fake_peer_shutdown(b.peer);
    const int err = rig_join(task);
    if (err == -ENOMEM && has_failed) {
        weir_writer_abort(a.writer);
        weir_writer_abort(b.writer);
    } else {
        expect_eq(err, 0);
        expect_got(&b, text, 0);
        expect_got(&a, text, 0);
    }
    close_both();
    return 0;
}

UNIT(relay_streams, without_memory_it_is_refused_or_whole)
{
    expect_gt(rig_walk(relay_without_memory, NULL), 1);
}
