/*
 * Readers and the memory of what they hold: when the transport is paused and
 * when it reads again, what is copied and what is not, and that no reader ever
 * waits for its own bytes, however small the budget (reader_budget.c).
 */
#include "tests/fake/alloc.h"
#include "tests/streams/reader_pair.h"

/* ---- back-pressure ---- */

static int pauses(weir_loop *on, void *arg)
{
    char buf[32];
    (void)on;
    (void)arg;
    open_limited(&p, 10, 0);
    peer_writes(&p, 20);
    cr_assert(weir_transport_is_reading(p.t));

    peer_writes(&p, 1);
    cr_assert_not(weir_transport_is_reading(p.t), "more than two limits");

    cr_assert_eq(weir_reader_read(p.reader, buf, 10), 10);
    cr_assert_not(weir_transport_is_reading(p.t), "more than one limit");
    cr_assert_eq(weir_reader_read(p.reader, buf, 1), 1);
    cr_assert(weir_transport_is_reading(p.t));
    pair_close(&p);
    return 0;
}

UNIT(reader_pressure, R27__reading_pauses_above_two_limits_and_resumes_at_one)
{
    cr_assert_eq(rig_run(pauses, NULL), 0);
}

static int resumes_to_wait(weir_loop *on, void *arg)
{
    char buf[64];
    (void)on;
    (void)arg;
    open_limited(&p, 10, 0);
    peer_writes(&p, 25);
    cr_assert_not(weir_transport_is_reading(p.t));
    struct sender sender;
    weir_task *task = start_sender(&sender, &p, 39, 5);

    cr_assert_eq(weir_reader_readexactly(p.reader, buf, 64), 64);

    cr_assert_eq(rig_join(task), 0);
    cr_assert(weir_transport_is_reading(p.t));
    pair_close(&p);
    return 0;
}

UNIT(reader_pressure, complaint_27__a_reader_that_has_to_wait_resumes_reading)
{
    cr_assert_eq(rig_run(resumes_to_wait, NULL), 0);
}

static int cancelled_after_resume(weir_loop *on, void *arg)
{
    struct weir_timeout limit;
    char buf[64];
    (void)on;
    (void)arg;
    open_limited(&p, 10, 0);
    peer_writes(&p, 25);
    cr_assert_eq(weir_timeout_begin(loop, &limit, MS), 0);
    const ssize_t result = weir_reader_readexactly(p.reader, buf, 64);
    cr_assert_eq(weir_timeout_end(&limit, result), -ETIMEDOUT);

    peer_writes(&p, 1);

    cr_assert_not(weir_transport_is_reading(p.t), "nobody waits any more");
    cr_assert_eq(weir_reader_get_buffer_size(p.reader), 26);
    pair_close(&p);
    return 0;
}

UNIT(reader_pressure, reading_pauses_again_when_the_one_who_waited_has_gone)
{
    cr_assert_eq(rig_run(cancelled_after_resume, NULL), 0);
}

static int stays_within(weir_loop *on, void *arg)
{
    struct sender sender;
    (void)on;
    (void)arg;
    open_limited(&p, 64 * KIB, 0);
    weir_task *task = start_sender(&sender, &p, 16 * MIB, 64 * KIB);
    cr_assert_eq(weir_sleep(loop, S), 0);

    const size_t kept = weir_reader_get_buffer_size(p.reader);
    cr_assert_gt(kept, 128 * KIB);
    cr_assert_leq(kept, 128 * KIB + MIB, "two limits and one receive");
    cr_assert(weir_task_cancel(task));
    cr_assert_eq(rig_join(task), -ECANCELED);
    pair_close(&p);
    return 0;
}

UNIT(reader_pressure, complaint_28__a_flood_is_kept_within_limits_and_a_receive)
{
    cr_assert_eq(rig_run(stays_within, NULL), 0);
}

/* ---- memory ---- */

static int gets_single_bytes(weir_loop *on, void *arg)
{
    const size_t count = 100000;
    struct weir_buf view;
    (void)on;
    (void)arg;
    open_limited(&p, MIB, 0);
    peer_writes(&p, 1);
    const uint64_t before = rig_statistics().memory_bytes;
    for (size_t i = 1; i < count; i++) {
        cr_assert_eq(fake_peer_write(p.peer, "", 1), 1);
        while (weir_reader_get_buffer_size(p.reader) <= i) {
            cr_assert_eq(weir_yield(loop), 0);
        }
    }
    cr_assert_eq(weir_sleep(loop, 20 * MS), 0);

    cr_assert_leq(rig_statistics().memory_bytes, before + 2 * count + 64 * KIB);
    cr_assert_eq(weir_transport_get_read_buffer_size(p.t), 0,
                 "nothing is charged for them");
    cr_assert_eq(weir_reader_readexactly_view(p.reader, count, &view),
                 (ssize_t)count);
    pair_close(&p);
    return 0;
}

UNIT(reader_pressure, complaint_24__many_single_bytes_cost_about_their_bytes)
{
    cr_assert_eq(rig_run(gets_single_bytes, NULL), 0);
}

static struct fake_alloc scarce;

static int finds_no_memory(weir_loop *on, void *arg)
{
    struct sender sender;
    struct weir_buf view;
    (void)on;
    (void)arg;
    open_limited(&p, 10, 4096);
    weir_task *task = start_sender(&sender, &p, 200000, 1000);
    while (weir_reader_get_buffer_size(p.reader) == 0) {
        cr_assert_eq(weir_yield(loop), 0);
    }
    scarce.fail_at = scarce.count + 1;
    scarce.fail_after = true;

    const ssize_t result =
        weir_reader_readexactly_view(p.reader, 200000, &view);
    cr_assert_eq(result, -ENOMEM, "%zd", result);

    scarce.fail_at = 0;
    scarce.fail_after = false;
    cr_assert_gt(weir_reader_get_buffer_size(p.reader), 0);
    cr_assert_eq(weir_reader_readexactly_view(p.reader, 200000, &view), 200000);
    check_pattern(view.data, view.len, 0);
    cr_assert_eq(rig_join(task), 0);
    pair_close(&p);
    return 0;
}

UNIT(reader_pressure, without_memory_to_keep_so_much_a_wait_fails)
{
    const struct fake_options machine = {.seed = 1};
    fake_alloc_init(&scarce);
    const struct weir_loop_options options = {.size = sizeof(options),
                                              .allocator = &scarce.hooks};
    fake_start(&machine);
    cr_assert_eq(weir_loop_new(&options, &loop), 0);
    cr_assert_eq(rig_main(finds_no_memory, NULL), 0);
    rig_stop();
    fake_alloc_check(&scarce);
}

/* ---- copies ---- */

static uint64_t copied_bytes(void)
{
    const struct weir_loop_statistics now = rig_statistics();
    return now.copied_by_view + now.copied_to_protocol +
           now.copied_by_compaction + now.copied_by_write;
}

static int echoes_views(weir_loop *on, void *arg)
{
    struct weir_buf view;
    char message[301] = {0};
    memset(message, 'm', 300); /* fewer than 256 bytes would be copied */
    (void)on;
    (void)arg;
    pair_open(&p);
    for (int i = 0; i < 500; i++) {
        pair_peer_write(&p, message);
        cr_assert_eq(weir_reader_read_view(p.reader, 1000, &view), 300);
        cr_assert_eq(weir_writer_write_buf(p.writer, &view), 0);
        pair_peer_write(&p, "another");
        cr_assert_eq(weir_reader_readexactly_view(p.reader, 7, &view), 7);
        pair_peer_write(&p, "a line\nand more\n");
        cr_assert_eq(weir_reader_readline_view(p.reader, &view), 7);
        cr_assert_eq(weir_reader_readline_view(p.reader, &view), 9);
    }
    cr_assert_eq(copied_bytes(), 0);
    pair_close(&p);
    return 0;
}

UNIT(reader_pressure, complaint_24__views_of_what_came_together_copy_nothing)
{
    cr_assert_eq(rig_run(echoes_views, NULL), 0);
}

static int relays(weir_loop *on, void *arg)
{
    static struct pair to;
    uint64_t sum = 0;
    struct sender sender;
    (void)on;
    (void)arg;
    open_limited(&p, MIB, 0); /* so that it is never paused */
    pair_open(&to);
    weir_task *task = start_sender(&sender, &p, 4 * MIB, 10000);
    while (sum < 4 * MIB) {
        struct weir_buf buf;
        const ssize_t len = weir_reader_take(p.reader, 7000, &buf);
        cr_assert_gt(len, 0);
        sum += (uint64_t)len;
        cr_assert_eq(weir_writer_write_buf(to.writer, &buf), 0);
        weir_lease_unref(buf.lease);
        while (weir_writer_get_depth(to.writer).bytes > 0) {
            cr_assert_eq(weir_yield(loop), 0);
            pair_peer_read(&to, MIB);
        }
    }
    pair_peer_read_all(&to);
    cr_assert_eq(to.peer_read, 4 * MIB);
    /* Nor were tails packed meanwhile, but tiny ones are copied when taken. */
    cr_assert_leq(copied_bytes(), 4 * MIB / 1000);
    cr_assert_eq(rig_join(task), 0);
    pair_close(&to);
    pair_close(&p);
    return 0;
}

UNIT(reader_pressure, complaint_24__a_relay_by_take_copies_tiny_tails_only)
{
    cr_assert_eq(rig_run(relays, NULL), 0);
}

static int takes(weir_loop *on, void *arg)
{
    struct weir_buf buf;
    (void)on;
    (void)arg;
    pair_open(&p);
    peer_writes(&p, 7000);
    cr_assert_eq(weir_reader_take(p.reader, 6000, &buf), 6000);
    cr_assert_eq(weir_reader_consume(p.reader, 1000), 0);
    cr_assert_eq(weir_transport_get_read_buffer_size(p.t), 6000);

    weir_lease_unref(buf.lease);

    cr_assert_eq(weir_transport_get_read_buffer_size(p.t), 0);
    pair_close(&p);
    return 0;
}

UNIT(reader_pressure, what_was_taken_counts_until_it_is_given_back)
{
    cr_assert_eq(rig_run(takes, NULL), 0);
}

/* ---- errors ---- */

static int breaks(weir_loop *on, void *arg)
{
    char buf[64];
    (void)on;
    (void)arg;
    pair_open(&p);
    pair_peer_write(&p, "last words");
    nap();
    fake_peer_reset(p.peer);
    nap();
    pair_expect_read(&p, "last words");
    for (int i = 0; i < 3; i++) {
        cr_assert_eq(weir_reader_read(p.reader, buf, 64), -ECONNRESET);
    }
    pair_close(&p);
    return 0;
}

UNIT(reader_pressure, complaint_21__what_came_before_a_reset_is_read_first)
{
    cr_assert_eq(rig_run(breaks, NULL), 0);
}

static int has_a_transport(weir_loop *on, void *arg)
{
    static struct pair other;
    (void)on;
    (void)arg;
    pair_open(&p);
    pair_open(&other);
    cr_assert_eq(weir_reader_set_transport(p.reader, p.t), 0);
    cr_assert_eq(weir_reader_set_transport(p.reader, other.t), -EBUSY);
    cr_assert_eq(weir_reader_set_transport(p.reader, NULL), 0);
    cr_assert_eq(weir_reader_set_transport(p.reader, p.t), 0);
    pair_close(&other);
    pair_close(&p);
    return 0;
}

UNIT(reader_pressure, a_reader_has_one_transport_at_a_time)
{
    cr_assert_eq(rig_run(has_a_transport, NULL), 0);
}

static int keeps_a_little(weir_loop *on, void *arg)
{
    struct weir_buf view;
    (void)arg;
    open_limited(&p, 64 * KIB, MIB);
    peer_writes(&p, 9000);
    cr_assert_eq(weir_reader_read_view(p.reader, 8900, &view), 8900);
    cr_assert_eq(weir_sleep(on, 5 * MS), 0);
    cr_assert_eq(rig_statistics().copied_by_compaction, 0, "not at once");
    cr_assert_geq(weir_transport_get_read_buffer_size(p.t), 9000);
    cr_assert_eq(weir_reader_read_view(p.reader, 50, &view), 50);
    cr_assert_eq(weir_sleep(on, 20 * MS), 0);
    /* What is shown stays; with the next call only the rest is there. */
    cr_assert_eq(weir_reader_get_buffer_size(p.reader), 50);
    cr_assert_eq(weir_reader_read_view(p.reader, 10, &view), 10);
    cr_assert_eq(weir_reader_read_view(p.reader, 10, &view), 10);
    cr_assert_eq(weir_sleep(on, 20 * MS), 0);
    cr_assert_eq(weir_reader_peek(p.reader, 0, &view), 30);
    cr_assert_eq(weir_sleep(on, 20 * MS), 0);
    cr_assert_eq(weir_reader_read_view(p.reader, 30, &view), 30);
    pair_close(&p);
    return 0;
}

UNIT(reader_pressure,
     complaint_24__a_small_rest_pins_a_large_buffer_for_a_while)
{
    cr_assert_eq(rig_run(keeps_a_little, NULL), 0);
}

static int packs_a_little(weir_loop *on, void *arg)
{
    (void)arg;
    open_limited(&p, 64 * KIB, MIB);
    peer_writes(&p, 9000);
    cr_assert_eq(weir_reader_consume(p.reader, 8900), 0);
    cr_assert_eq(weir_sleep(on, 20 * MS), 0);
    cr_assert_eq(rig_statistics().copied_by_compaction, 100);
    cr_assert_geq(rig_statistics().kept_bytes, 100);
    cr_assert_eq(weir_transport_get_read_buffer_size(p.t), 0);
    cr_assert_eq(weir_reader_get_buffer_size(p.reader), 100);
    pair_close(&p);
    return 0;
}

UNIT(reader_pressure, complaint_24__a_small_rest_that_stays_is_packed)
{
    cr_assert_eq(rig_run(packs_a_little, NULL), 0);
}

static int peeks_and_waits(weir_loop *on, void *arg)
{
    struct weir_buf first;
    struct weir_buf again;
    (void)arg;
    open_limited(&p, 64 * KIB, MIB);
    peer_writes(&p, 100);
    cr_assert_eq(weir_reader_fill(p.reader, 100), 100);
    cr_assert_eq(weir_reader_peek(p.reader, 10, &first), 90);
    peer_writes(&p, 100);
    cr_assert_eq(weir_sleep(on, 50 * MS), 0);
    peer_writes(&p, 100);
    cr_assert_eq(first.data[89], 0, "it is still there");
    cr_assert_eq(weir_reader_peek(p.reader, 10, &again), 90);
    cr_assert_eq(again.data, first.data, "and was not packed meanwhile");
    cr_assert_eq(weir_reader_consume(p.reader, 300), 0);
    pair_close(&p);
    return 0;
}

UNIT(reader_pressure, what_was_peeked_at_stays_where_it_is)
{
    cr_assert_eq(rig_run(peeks_and_waits, NULL), 0);
}

static int fills_and_waits(weir_loop *on, void *arg)
{
    (void)arg;
    open_limited(&p, 64 * KIB, MIB);
    cr_assert_eq(fake_peer_write(p.peer, "a", 1), 1);
    cr_assert_eq(weir_reader_fill(p.reader, 1), 1);
    cr_assert_eq(weir_transport_get_read_buffer_size(p.t), 1);
    cr_assert_eq(weir_sleep(on, 50 * MS), 0);
    cr_assert_eq(weir_transport_get_read_buffer_size(p.t), 0);
    cr_assert_eq(weir_reader_get_buffer_size(p.reader), 1);
    pair_close(&p);
    return 0;
}

UNIT(reader_pressure, what_was_waited_for_and_not_read_is_packed_too)
{
    cr_assert_eq(rig_run(fills_and_waits, NULL), 0);
}

static int consumes_now_and_then(weir_loop *on, void *arg)
{
    (void)arg;
    open_limited(&p, 64 * KIB, MIB);
    peer_writes(&p, 9000);
    cr_assert_eq(weir_reader_consume(p.reader, 8900), 0);
    for (int i = 0; i < 5; i++) {
        cr_assert_eq(weir_sleep(on, 6 * MS), 0);
        cr_assert_eq(weir_reader_consume(p.reader, 10), 0);
        cr_assert_eq(rig_statistics().copied_by_compaction, 0);
    }
    cr_assert_eq(weir_sleep(on, 30 * MS), 0);
    cr_assert_eq(rig_statistics().copied_by_compaction, 50);
    pair_close(&p);
    return 0;
}

UNIT(reader_pressure, complaint_24__a_rest_that_is_being_read_is_not_packed)
{
    cr_assert_eq(rig_run(consumes_now_and_then, NULL), 0);
}
