/*
 * Readers and the memory of what they hold: when the transport is paused and
 * when it reads again, what is copied and what is not, and that no reader ever
 * waits for its own bytes, however small the budget.
 */
#include "tests/fake/alloc.h"
#include "tests/streams/pair.h"

/* ---- a stream with its limits, and a task that is its peer ---- */

static struct pair p;

static void open_limited(struct pair *pair, int64_t limit, uint64_t budget)
{
    struct weir_open_options options = {.size = sizeof(options),
                                        .limit_bytes = limit};
    memset(pair, 0, sizeof(*pair));
    pair->fd = fake_connected_fd(&pair->peer);
    options.connect = (struct weir_connect_options){
        .size = sizeof(options.connect), .use_sock = true, .sock = pair->fd};
    cr_assert_eq(weir_open_connection(loop, NULL, 0, &options, &pair->reader,
                                      &pair->writer),
                 0);
    pair->t = weir_writer_get_transport(pair->writer);
    cr_assert_eq(weir_transport_set_read_buffer_limit(pair->t, budget), 0);
}

/* The peer writes bytes of the pattern, in pieces, as fast as they go. */
struct sender {
    struct pair *pair;
    size_t total;
    size_t piece;
    size_t sent;
};

static int send_all(weir_loop *on, void *arg)
{
    static uint8_t bytes[64 * KIB];
    struct sender *sender = (struct sender *)arg;
    while (sender->sent < sender->total) {
        size_t len = sender->piece;
        if (len > sender->total - sender->sent) {
            len = sender->total - sender->sent;
        }
        for (size_t i = 0; i < len; i++) {
            bytes[i] = pair_byte(sender->sent + i);
        }
        const ssize_t done = fake_peer_write(sender->pair->peer, bytes, len);
        sender->sent += done > 0 ? (size_t)done : 0;
        int err = done > 0 ? weir_yield(on) : weir_sleep(on, MS);
        if (err < 0) {
            return err;
        }
    }
    return 0;
}

static weir_task *start_sender(struct sender *sender, struct pair *pair,
                               size_t total, size_t piece)
{
    *sender = (struct sender){.pair = pair, .total = total, .piece = piece};
    return rig_spawn(send_all, sender);
}

static void check_pattern(const uint8_t *data, size_t len, uint64_t from)
{
    for (size_t i = 0; i < len; i++) {
        if (data[i] != pair_byte(from + i)) {
            cr_assert_fail("byte %llu is wrong",
                           (unsigned long long)(from + i));
        }
    }
}

static void peer_writes(struct pair *pair, size_t len)
{
    static const uint8_t zeroes[64 * KIB];
    cr_assert_eq(fake_peer_write(pair->peer, zeroes, len), (ssize_t)len);
    nap();
}

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

/* ---- budgets ---- */

struct large {
    size_t len;
    uint64_t budget;
};

static int reads_large(weir_loop *on, void *arg)
{
    const struct large *large = (const struct large *)arg;
    struct sender sender;
    struct weir_buf view;
    (void)on;
    open_limited(&p, 64 * KIB, large->budget);
    weir_task *task = start_sender(&sender, &p, large->len, 64 * KIB);

    cr_assert_eq(weir_reader_readexactly_view(p.reader, large->len, &view),
                 (ssize_t)large->len);

    check_pattern(view.data, view.len, 0);
    const struct weir_loop_statistics after = rig_statistics();
    cr_assert_leq(after.copied_by_compaction, large->len, "moved once");
    cr_assert_leq(after.copied_by_view, large->len, "joined once");
    cr_assert_leq(after.memory_bytes, 3 * large->len + 8 * MIB);
    cr_assert_eq(rig_join(task), 0);
    pair_close(&p);
    return 0;
}

UNIT(reader_pressure, complaint_27__much_more_than_the_budget_can_be_awaited)
{
    const struct large large = {.len = 100 * MIB, .budget = MIB};
    cr_assert_eq(rig_run(reads_large, (void *)(uintptr_t)&large), 0);
}

UNIT(reader_pressure, the_smallest_budget_is_enough_to_wait_for_anything)
{
    const struct large large = {.len = MIB + 1, .budget = 4096};
    cr_assert_eq(rig_run(reads_large, (void *)(uintptr_t)&large), 0);
}

static int reads_large_into(weir_loop *on, void *arg)
{
    const size_t len = 3 * MIB;
    struct sender sender;
    uint8_t *buf = malloc(len);
    (void)on;
    (void)arg;
    cr_assert_not_null(buf);
    open_limited(&p, 10, 8192);
    weir_task *task = start_sender(&sender, &p, 2 * len, 5000);

    cr_assert_eq(weir_reader_readexactly(p.reader, buf, len), (ssize_t)len);
    check_pattern(buf, len, 0);
    cr_assert_eq(weir_reader_fill(p.reader, len) >= (ssize_t)len, true);
    cr_assert_eq(weir_reader_readexactly(p.reader, buf, len), (ssize_t)len);
    check_pattern(buf, len, len);

    free(buf);
    cr_assert_eq(rig_join(task), 0);
    pair_close(&p);
    return 0;
}

UNIT(reader_pressure, waiting_for_much_with_a_small_budget_works_in_every_call)
{
    cr_assert_eq(rig_run(reads_large_into, NULL), 0);
}

static int asks_too_much(weir_loop *on, void *arg)
{
    struct weir_buf view;
    struct weir_timeout limit;
    (void)on;
    (void)arg;
    open_limited(&p, 64 * KIB, 0);
    peer_writes(&p, 100);
    const uint64_t before = rig_statistics().memory_bytes;
    cr_assert_eq(weir_timeout_begin(loop, &limit, S), 0);
    const ssize_t result =
        weir_reader_readexactly_view(p.reader, (size_t)1 << 30, &view);
    cr_assert_eq(weir_timeout_end(&limit, result), -ETIMEDOUT);
    cr_assert_leq(rig_statistics().memory_bytes, before + 4096);

    fake_peer_shutdown(p.peer);
    cr_assert_eq(weir_reader_readexactly_view(p.reader, (size_t)1 << 30, &view),
                 WEIR_EINCOMPLETE);
    cr_assert_eq(weir_reader_get_buffer_size(p.reader), 100);
    pair_close(&p);
    return 0;
}

UNIT(reader_pressure, asking_for_much_costs_nothing_until_it_comes)
{
    cr_assert_eq(rig_run(asks_too_much, NULL), 0);
}

#define CROWD     64
#define CROWD_LEN (100 * KIB)

static struct pair crowd[CROWD];
static struct sender senders[CROWD];
static uint8_t crowd_bytes[CROWD][CROWD_LEN];

static int reads_one_of_many(weir_loop *on, void *arg)
{
    const int i = (int)(intptr_t)arg;
    (void)on;
    cr_assert_eq(
        weir_reader_readexactly(crowd[i].reader, crowd_bytes[i], CROWD_LEN),
        CROWD_LEN);
    check_pattern(crowd_bytes[i], CROWD_LEN, 0);
    return 0;
}

static int reads_many(weir_loop *on, void *arg)
{
    weir_task *tasks[2 * CROWD];
    (void)on;
    (void)arg;
    for (int i = 0; i < CROWD; i++) {
        open_limited(&crowd[i], 1000, 0);
        tasks[i] = rig_spawn(reads_one_of_many, (void *)(intptr_t)i);
        tasks[CROWD + i] =
            start_sender(&senders[i], &crowd[i], CROWD_LEN, 3000);
    }
    for (int i = 0; i < 2 * CROWD; i++) {
        cr_assert_eq(rig_join(tasks[i]), 0);
    }
    for (int i = 0; i < CROWD; i++) {
        pair_close(&crowd[i]);
    }
    return 0;
}

static void with_small_pool(uint32_t missing, weir_task_fn *body)
{
    const struct fake_options machine = {.seed = 1, .missing = missing};
    const struct weir_loop_options options = {.size = sizeof(options),
                                              .held_limit_bytes = MIB};
    fake_start(&machine);
    cr_assert_eq(weir_loop_new(&options, &loop), 0);
    cr_assert_eq(rig_main(body, NULL), 0);
    rig_stop();
}

UNIT(reader_pressure, many_who_wait_for_more_than_the_pool_has_all_get_it)
{
    with_small_pool(0, reads_many);
}

/* Another keeps so much that the bytes in hand are above everybody's share. */
static int hoards(weir_loop *on, void *arg)
{
    static struct pair keeper;
    struct sender mine;
    struct sender theirs;
    static struct weir_buf kept[256];
    static uint8_t buf[60000];
    int count = 0;
    size_t sum = 0;
    (void)on;
    (void)arg;
    open_limited(&p, 1000, 0);
    open_limited(&keeper, MIB, 0);
    weir_task *first = start_sender(&mine, &p, 30000, 10000);
    cr_assert_eq(rig_join(first), 0);
    weir_task *other = start_sender(&theirs, &keeper, 4 * MIB, 8192);
    while (sum < 900 * KIB && count < 256) {
        struct weir_timeout limit;
        cr_assert_eq(weir_timeout_begin(loop, &limit, 100 * MS), 0);
        const ssize_t len = weir_reader_take(keeper.reader, 8192, &kept[count]);
        if (weir_timeout_end(&limit, len) <= 0) {
            break;
        }
        sum += kept[count++].len;
    }
    mine.total = 60000;
    weir_task *second = rig_spawn(send_all, &mine);

    cr_assert_eq(weir_reader_readexactly(p.reader, buf, sizeof(buf)), 60000);

    check_pattern(buf, 30000, 0);
    cr_assert_eq(rig_join(second), 0);
    cr_assert(weir_task_cancel(other));
    cr_assert_eq(rig_join(other), -ECANCELED);
    while (count > 0) {
        weir_lease_unref(kept[--count].lease);
    }
    pair_close(&keeper);
    pair_close(&p);
    return 0;
}

UNIT(reader_pressure, one_who_waits_gets_on_while_others_keep_what_there_is)
{
    with_small_pool(0, hoards);
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
    cr_assert_eq(weir_yield(loop), 0);

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
    (void)on;
    (void)arg;
    pair_open(&p);
    for (int i = 0; i < 1000; i++) {
        pair_peer_write(&p, "one message that is not copied");
        cr_assert_eq(weir_reader_read_view(p.reader, 1000, &view), 30);
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
    pair_open(&p);
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
    cr_assert_eq(rig_statistics().copied_by_view, 0);
    cr_assert_eq(rig_statistics().copied_to_protocol, 0);
    cr_assert_eq(rig_join(task), 0);
    pair_close(&to);
    pair_close(&p);
    return 0;
}

UNIT(reader_pressure, complaint_24__a_relay_by_take_copies_no_byte_for_it)
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
    cr_assert_eq(weir_transport_get_read_buffer_size(p.t), 7000);

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
