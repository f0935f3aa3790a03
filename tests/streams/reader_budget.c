/*
 * Readers that wait for more bytes than their connection or the loop may hold.
 *
 * Each gets them, because no reader may wait for its own bytes: they are moved
 * out of the receive pool if they keep the transport from receiving, or if
 * other connections need the memory. Every byte is compared.
 */
#define TASK_RUN close_after
#include "tests/streams/reader_pair.h"
#include "tests/task.h"

#include <weir/reader.h>
#include <weir/transport.h>

struct large {
    size_t len;
    uint64_t budget;
};

static int reads_large(weir_loop *on, void *arg)
{
    const struct large *large = (const struct large *)arg;
    struct sender sender;
    struct weir_buf view;
    open_limited(&p, 64 * KIB, large->budget);
    weir_task *task = start_sender(&sender, &p, large->len, 64 * KIB);

    expect_eq(weir_reader_readexactly_view(p.reader, large->len, &view),
              (ssize_t)large->len);

    check_pattern(view.data, view.len, 0);
    const struct weir_loop_statistics after = rig_statistics();
    expect_leq(after.copied_by_compaction, large->len, "moved once");
    expect_leq(after.copied_by_view, large->len, "joined once");
    expect_leq(after.memory_bytes, 3 * large->len + 8 * MIB);
    expect_eq(rig_join(task), 0);
    pair_close(&p);
    return 0;
}

UNIT(reader_budget, complaint_27__much_more_than_the_budget_can_be_awaited)
{
    const struct large large = {.len = 100 * MIB, .budget = MIB};
    expect_eq(rig_run(reads_large, (void *)(uintptr_t)&large), 0);
}

UNIT(reader_budget, the_smallest_budget_is_enough_to_wait_for_anything)
{
    const struct large large = {.len = MIB + 1, .budget = 4096};
    expect_eq(rig_run(reads_large, (void *)(uintptr_t)&large), 0);
}

TASK(reader_budget, waiting_for_much_with_a_small_budget_works_in_every_call)
{
    const size_t len = 3 * MIB;
    struct sender sender;
    uint8_t *buf = malloc(len);
    cr_assert_not_null(buf);
    open_limited(&p, 10, 8192);
    weir_task *task = start_sender(&sender, &p, 2 * len, 5000);

    expect_eq(weir_reader_readexactly(p.reader, buf, len), (ssize_t)len);
    check_pattern(buf, len, 0);
    expect_eq(weir_reader_fill(p.reader, len) >= (ssize_t)len, true);
    expect_eq(weir_reader_readexactly(p.reader, buf, len), (ssize_t)len);
    check_pattern(buf, len, len);

    free(buf);
    expect_eq(rig_join(task), 0);
}

TASK(reader_budget, asking_for_much_costs_nothing_until_it_comes)
{
    struct weir_buf view;
    struct weir_timeout limit;
    open_limited(&p, 64 * KIB, 0);
    peer_writes(&p, 100);
    const uint64_t before = rig_statistics().memory_bytes;
    expect_eq(weir_timeout_begin(loop, &limit, S), 0);
    const ssize_t result =
        weir_reader_readexactly_view(p.reader, (size_t)1 << 30, &view);
    expect_eq(weir_timeout_end(&limit, result), -ETIMEDOUT);
    expect_leq(rig_statistics().memory_bytes, before + 4096);

    fake_peer_shutdown(p.peer);
    expect_eq(weir_reader_readexactly_view(p.reader, (size_t)1 << 30, &view),
              WEIR_EINCOMPLETE);
    expect_eq(weir_reader_get_buffer_size(p.reader), 100);
}

#define CROWD     64
#define CROWD_LEN (100 * KIB)

static struct pair crowd[CROWD];
static struct sender senders[CROWD];

static int reads_one_of_many(weir_loop *on, void *arg)
{
    const int i = (int)(intptr_t)arg;
    uint8_t *bytes = test_pages(CROWD_LEN);
    expect_eq(weir_reader_readexactly(crowd[i].reader, bytes, CROWD_LEN),
              CROWD_LEN);
    check_pattern(bytes, CROWD_LEN, 0);
    return 0;
}

static void with_small_pool(uint32_t missing, task_body_fn *body)
{
    const struct fake_options machine = {.seed = 1, .missing = missing};
    const struct weir_loop_options options = {.size = sizeof(options),
                                              .held_limit_bytes = MIB};
    fake_start(&machine);
    expect_eq(weir_loop_new(&options, &loop), 0);
    expect_eq(rig_main(task_call, &body), 0);
    rig_stop();
}

UNIT_OF(reader_budget, many_who_wait_for_more_than_the_pool_has_all_get_it,
        with_small_pool, 0, weir_loop *on)
{
    weir_task *tasks[2 * CROWD];
    for (int i = 0; i < CROWD; i++) {
        open_limited(&crowd[i], 1000, 0);
        tasks[i] = rig_spawn(reads_one_of_many, (void *)(intptr_t)i);
        tasks[CROWD + i] =
            start_sender(&senders[i], &crowd[i], CROWD_LEN, 3000);
    }
    for (int i = 0; i < 2 * CROWD; i++) {
        expect_eq(rig_join(tasks[i]), 0);
    }
    for (int i = 0; i < CROWD; i++) {
        pair_close(&crowd[i]);
    }
}

static uint8_t patient_bytes[60000];

static int waits_patiently(weir_loop *on, void *arg)
{
    expect_eq(weir_reader_readexactly(p.reader, patient_bytes, 60000), 60000);
    check_pattern(patient_bytes, 60000, 0);
    return 0;
}

/* Takes until the pool is almost used up. Returns the number of calls. */
static int take_pool(struct pair *from, struct weir_buf *kept, int max)
{
    struct sender sender;
    size_t sum = 0;
    int count = 0;
    weir_task *task = start_sender(&sender, from, 4 * MIB, 8192);
    while (sum < 900 * KIB && count < max) {
        struct weir_timeout limit;
        expect_eq(weir_timeout_begin(loop, &limit, 100 * MS), 0);
        const ssize_t len = weir_reader_take(from->reader, 8192, &kept[count]);
        if (weir_timeout_end(&limit, len) <= 0) {
            break;
        }
        sum += kept[count++].len;
    }
    expect_eq(rig_cancel(task), -ECANCELED);
    return count;
}

/* The bytes of one connection were within its share when they arrived. Then
 * others keep so much that the share shrinks, and its receive ends without
 * bytes. */
UNIT_OF(reader_budget, one_who_waits_gets_on_while_others_keep_what_there_is,
        with_small_pool, 0, weir_loop *on)
{
    static struct pair others[32];
    static struct weir_buf kept[32][256];
    int counts[32];
    struct sender mine;
    open_limited(&p, 1000, 0);
    weir_task *patient = rig_spawn(waits_patiently, NULL);
    expect_eq(rig_join(start_sender(&mine, &p, 20000, 10000)), 0);
    nap();
    expect_eq(weir_transport_get_read_buffer_size(p.t), 20000);
    for (int i = 0; i < 32; i++) {
        open_limited(&others[i], MIB, 0);
        counts[i] = take_pool(&others[i], kept[i], 256);
    }
    fake_set_fault(FAKE_NO_BUFFER, 1000);
    mine.total = 60000;
    weir_task *task = rig_spawn(send_all, &mine);
    for (int i = 0; i < 20; i++) {
        expect_eq(weir_yield(loop), 0);
    }
    fake_set_fault(FAKE_NO_BUFFER, 0);

    expect_eq(rig_join(patient), 0);

    expect_eq(rig_join(task), 0);
    for (int i = 0; i < 32; i++) {
        while (counts[i] > 0) {
            weir_buf_unref(kept[i][--counts[i]].lease);
        }
        pair_close(&others[i]);
    }
    pair_close(&p);
}

/* Checks once, when the budget is used up. */
static void looks_once(void *arg)
{
    struct weir_buf view;
    if (weir_transport_get_read_buffer_size(p.t) < 4096) {
        expect_eq(weir_loop_call_soon(loop, looks_once, NULL, NULL), 0);
        return;
    }
    expect_gt(weir_reader_peek(p.reader, 0, &view), 0);
    check_pattern(view.data, view.len, 0);
}

TASK(reader_budget, a_callback_that_peeks_keeps_no_others_waiting)
{
    const size_t len = 200000;
    struct sender sender;
    struct weir_timeout limit;
    struct weir_buf view;
    open_limited(&p, 64 * KIB, 4096);
    expect_eq(weir_loop_call_soon(loop, looks_once, NULL, NULL), 0);
    weir_task *task = start_sender(&sender, &p, len, 60000);

    expect_eq(weir_timeout_begin(loop, &limit, 100 * S), 0);
    const ssize_t got = weir_reader_readexactly_view(p.reader, len, &view);
    expect_eq(weir_timeout_end(&limit, got), (ssize_t)len);

    check_pattern(view.data, len, 0);
    expect_eq(rig_join(task), 0);
}

TASK(reader_budget, bytes_that_a_failed_read_left_do_not_stay_in_the_pool)
{
    char small[4];
    open_limited(&p, 64 * KIB, MIB);
    pair_peer_write(&p, "too long"); /* arrives while the task waits */
    expect_eq(weir_reader_readline(p.reader, small, sizeof(small)),
              WEIR_ELIMIT);

    expect_eq(weir_sleep(loop, S), 0);

    expect_eq(weir_transport_get_read_buffer_size(p.t), 0, "it was moved");
    pair_expect_read(&p, "too long");
}
