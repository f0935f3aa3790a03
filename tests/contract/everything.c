/*
 * All that tasks can do, done at once on real sockets and threads.
 *
 * Every module has a storm of its own; here they meet. Tasks open streams to a
 * server of the same loop and read and write in all ways, run jobs on threads,
 * which post back, nest groups, time-outs and waits for futures, share locks
 * and queues, and cancel each other; in some rounds allocations fail. A round
 * ends in calm, when all tasks are told to end and must; or the loop is freed
 * with everything alive. Either way echoed bytes were right as far as they
 * came, every task and handler ended, every job came back once, and neither
 * memory, a descriptor nor a thread is left.
 *
 * Each round has a seed of its own, one more than that of the round before;
 * WEIR_TEST_SEED is that of the first, WEIR_EVERYTHING_ROUNDS their number.
 */
#include "tests/contract/everything_world.h"

#include <weir/stream.h>

/* ---- jobs ---- */

static void run_post(void *arg)
{
    struct errand *errand = arg;
    errand->posted++;
}

static int run_errand(void *arg)
{
    struct errand *errand = arg;

    for (uint32_t i = 0; i < errand->spins; i++) {
        sched_yield();
    }
    if (errand->posts) {
        int err =
            weir_mailbox_call_soon(everything.mailbox, run_post, errand, NULL);
        errand->posts = err == 0;
        check(err == 0 || err == -ESHUTDOWN || err == -ENOMEM);
    }
    return 100;
}

static void take_errand_back(void *arg, int result)
{
    struct errand *errand = arg;

    check(result == 100 || result == -ECANCELED);
    errand->abandoned++;
}

static int send_errand(weir_loop *on, int depth)
{
    struct errand *errand;
    int result = 0;
    int err;

    if (everything.errand_count == JOBS) {
        return 0;
    }
    errand = &everything.errands[everything.errand_count++];
    *errand =
        (struct errand){.spins = (uint32_t)chance(20), .posts = one_in(2)};
    err =
        weir_run_in_executor(on, run_errand, errand, take_errand_back, &result);
    if (err == 0) {
        check(result == 100);
        errand->returned++;
        everything.errands_done++;
    }
    return err;
}

/* ---- locks and queues ---- */

static int share_lock(weir_loop *on, int depth)
{
    int err = weir_lock_acquire(everything.lock);

    if (err < 0) {
        return err;
    }
    check(!everything.is_locked);
    everything.is_locked = true;
    err = sleep_or_yield(on, depth);
    everything.is_locked = false;
    if (err == 0 && one_in(4)) {
        err = weir_condition_wait(everything.condition);
    } else if (one_in(2)) {
        weir_condition_notify(everything.condition, 2);
    }
    weir_lock_release(everything.lock);
    return err;
}

static int share_semaphore(weir_loop *on, int depth)
{
    int err = weir_semaphore_acquire(everything.semaphore);

    if (err < 0) {
        return err;
    }
    err = sleep_or_yield(on, depth);
    weir_semaphore_release(everything.semaphore);
    return err;
}

static int share_event(weir_loop *on, int depth)
{
    if (one_in(2)) {
        return weir_event_wait(everything.event);
    }
    weir_event_set(everything.event);
    if (one_in(2)) {
        weir_event_clear(everything.event);
    }
    return 0;
}

static int share_queue(weir_loop *on, int depth)
{
    void *item;

    return one_in(2) ? weir_queue_put(everything.queue, &everything)
                     : weir_queue_get(everything.queue, &item);
}

/* Waits for others that may never come to it: with a limit. */
static int share(weir_loop *on, int depth)
{
    static act_fn *const shared[] = {share_lock, share_semaphore, share_event,
                                     share_queue};
    struct weir_timeout limit;

    check(weir_timeout_begin(on, &limit, some_time()) == 0);
    return (int)weir_timeout_end(&limit, shared[chance(4)](on, depth));
}

/* ---- streams ---- */

struct talk {
    weir_reader *reader;
    weir_writer *writer;
    uint64_t key;
    uint64_t sent;
    uint64_t heard;
    weir_lease *kept[4];
    size_t kept_count;
    bool has_ended;
};

static uint8_t byte_at(const struct talk *talk, uint64_t position)
{
    uint64_t mixed = (position + talk->key) * UINT64_C(0x9e3779b97f4a7c15);

    return (uint8_t)(mixed >> 56);
}

static void hear(struct talk *talk, const void *data, size_t len)
{
    const uint8_t *bytes = data;

    for (size_t i = 0; i < len; i++) {
        check(bytes[i] == byte_at(talk, talk->heard + i));
    }
    talk->heard += len;
    check(talk->heard <= talk->sent);
    everything.bytes += len;
}

static void released(void *arg)
{
    everything.references_due--;
    free(arg);
}

static int say(struct talk *talk)
{
    size_t len = 1 + (size_t)chance(one_in(4) ? 60000 : 500);
    uint8_t *bytes = malloc(len);
    int err;

    cr_assert_not_null(bytes);
    for (size_t i = 0; i < len; i++) {
        bytes[i] = byte_at(talk, talk->sent + i);
    }
    if (one_in(3)) {
        everything.references_due++;
        err = weir_writer_write_ref(talk->writer, bytes, len, released, bytes);
    } else {
        err = weir_writer_write(talk->writer, bytes, len);
        free(bytes);
    }
    talk->sent += err == 0 ? len : 0;
    return err;
}

static int take_view(struct talk *talk)
{
    struct weir_buf buf;
    ssize_t len = weir_reader_take(talk->reader, 1 + chance(5000), &buf);

    if (len > 0) {
        hear(talk, buf.data, buf.len);
        if (talk->kept_count < 4) {
            talk->kept[talk->kept_count++] = buf.lease;
        } else {
            weir_buf_unref(buf.lease);
        }
    }
    return (int)len;
}

static int listen_somehow(struct talk *talk)
{
    struct weir_buf buf;
    uint8_t bytes[3000];
    ssize_t len;

    switch (chance(4)) {
    case 0:
        len = weir_reader_read(talk->reader, bytes, 1 + chance(3000));
        if (len > 0) {
            hear(talk, bytes, (size_t)len);
        }
        return (int)len;
    case 1:
        len = weir_reader_readexactly(talk->reader, bytes, 1 + chance(3000));
        if (len > 0) {
            hear(talk, bytes, (size_t)len);
        }
        return (int)len;
    case 2:
        return take_view(talk);
    default:
        len = weir_reader_read_view(talk->reader, 1 + chance(70000), &buf);
        if (len > 0) {
            hear(talk, buf.data, buf.len);
        }
        return (int)len;
    }
}

static int talk_once(weir_loop *on, struct talk *talk, int depth)
{
    struct weir_timeout limit;
    int err = 0;

    switch (chance(8)) {
    case 0:
    case 1:
        err = say(talk);
        return err == -ECANCELED ? -EPIPE : err;
    case 2:
        return weir_writer_drain(talk->writer);
    case 3:
        return one_in(4) ? weir_writer_flush(talk->writer) : act(on, depth + 1);
    case 4:
        talk->has_ended = one_in(6);
        return talk->has_ended ? weir_writer_write_eof(talk->writer) : 0;
    default:
        check(weir_timeout_begin(on, &limit, some_time()) == 0);
        err = listen_somehow(talk);
        err = (int)weir_timeout_end(&limit, err);
        return err == -ETIMEDOUT ? 0 : err < 0 ? err : 0;
    }
}

static int end_talk(struct talk *talk)
{
    int err = 0;

    while (talk->kept_count > 0) {
        weir_buf_unref(talk->kept[--talk->kept_count]);
    }
    if (one_in(3)) {
        weir_writer_abort(talk->writer);
    } else if (one_in(2)) {
        weir_writer_close(talk->writer);
    }
    if (weir_writer_is_closing(talk->writer) && one_in(2)) {
        err = weir_writer_wait_closed(talk->writer);
    }
    weir_writer_unref(talk->writer);
    return err;
}

static int converse(weir_loop *on, int depth)
{
    struct talk talk = {.key = chance(1000)};
    int err;
    int end;

    err = weir_open_connection(on, "127.0.0.1",
                               ntohs(everything.address.storage.inet.sin_port),
                               NULL, &talk.reader, &talk.writer);
    if (err < 0) {
        return err;
    }
    everything.connections++;
    for (uint64_t left = 2 + chance(12); left > 0; left--) {
        err = talk_once(on, &talk, depth);
        if (gives_up(err) || weir_writer_is_closing(talk.writer)) {
            break;
        }
    }
    end = end_talk(&talk);
    return err == -ECANCELED ? err : end;
}

/* Echoes by copies or by the leases themselves, until the client ends. */
static int serve(void *arg, weir_reader *reader, weir_writer *writer)
{
    weir_loop *on = weir_writer_get_loop(writer);
    struct weir_buf buf;
    ssize_t len;
    int err = 0;

    everything.handlers_live++;
    while (err >= 0 || (err == -ECANCELED && !everything.ending)) {
        bool takes = one_in(2);
        len = takes ? weir_reader_take(reader, SIZE_MAX, &buf)
                    : weir_reader_read_view(reader, SIZE_MAX, &buf);
        err = len < 0 ? (int)len : 0;
        if (len == 0) {
            break;
        }
        if (len > 0) {
            err = takes ? weir_writer_write_buf(writer, &buf)
                        : weir_writer_write(writer, buf.data, buf.len);
        }
        if (len > 0 && takes) {
            weir_buf_unref(buf.lease);
        }
        if (err == 0) {
            err = one_in(8) ? sleep_or_yield(on, 0) : weir_writer_drain(writer);
        }
    }
    everything.handlers_live--;
    return 0;
}

/* ---- rounds ---- */

int act(weir_loop *on, int depth)
{
    static act_fn *const acts[] = {
        sleep_or_yield, complete_future, cancel_somebody, send_errand, share,
        await_future, await_several, complete_future, share,
        /* these nest */
        limit_time, start_child, make_group, converse, converse};

    return acts[chance(depth < DEPTH_MAX ? 14 : 9)](on, depth);
}

static int work(weir_loop *on, void *arg)
{
    while (!gives_up(act_a_few(on, 0)) && !everything.ending) {
        /* Bounded work without a wait lets others run, too. */
        if (gives_up(weir_yield(on))) {
            break;
        }
    }
    everything.workers_live--;
    return 0;
}

static int set_up(weir_loop *on, void *arg)
{
    const struct weir_executor_options threads = {
        .size = sizeof(threads), .thread_limit = 3, .queue_limit = 20};

    check(weir_loop_set_executor(on, &threads) == 0);
    check(weir_lock_new(on, &everything.lock) == 0);
    check(weir_condition_new(everything.lock, &everything.condition) == 0);
    check(weir_bounded_semaphore_new(on, 2, &everything.semaphore) == 0);
    check(weir_event_new(on, &everything.event) == 0);
    check(weir_queue_new(on, 3, WEIR_QUEUE_FIFO, &everything.queue) == 0);
    check(weir_start_server(on, serve, "127.0.0.1", 0, NULL,
                            &everything.server) == 0);
    check(weir_server_get_socket(everything.server, 0, &everything.address) >=
          0);
    for (int i = 0; i < WORKERS; i++) {
        check(weir_task_spawn(on, work, NULL, NULL, &everything.workers[i]) ==
              0);
        everything.workers_live++;
    }
    if (one_in(3)) {
        let_fail(UINT64_C(3) << chance(10));
    }
    check(weir_sleep(on, 1 + chance(12 * MS)) == 0);
    let_fail(0);
    return 0;
}

static void cancel_all_futures(void)
{
    for (int i = 0; i < SLOTS; i++) {
        if (everything.slots[i]) {
            weir_future_cancel(everything.slots[i]);
        }
    }
}

/* All tasks are told to end, and do. */
static int calm_down(weir_loop *on, void *arg)
{
    everything.ending = true;
    while (everything.workers_live + everything.children_live > 0) {
        for (int i = 0; i < WORKERS; i++) {
            weir_task_cancel(everything.workers[i]);
        }
        cancel_all_futures();
        check(weir_sleep(on, MS / 10) == 0);
    }
    cancel_all_futures();
    check(weir_sleep(on, MS / 10) == 0);
    check(everything.callbacks_due == 0);
    weir_server_close(everything.server);
    weir_server_close_clients(everything.server);
    check(weir_server_wait_closed(everything.server) == 0);
    check(everything.handlers_live == 0);
    return weir_loop_shutdown_executor(on, UINT64_MAX);
}

/* After the loop has gone: nothing of it is alive. */
static void give_all_back(void)
{
    for (int i = 0; i < WORKERS; i++) {
        weir_task_unref(everything.workers[i]);
    }
    for (int i = 0; i < SLOTS; i++) {
        weir_future_unref(everything.slots[i]);
        everything.slots[i] = NULL;
    }
    weir_condition_free(everything.condition);
    weir_lock_free(everything.lock);
    weir_semaphore_free(everything.semaphore);
    weir_event_free(everything.event);
    weir_queue_free(everything.queue);
    wait_for_threads(0);
    weir_mailbox_unref(everything.mailbox);
}

static void check_errands(bool was_calm)
{
    for (size_t i = 0; i < everything.errand_count; i++) {
        const struct errand *errand = &everything.errands[i];
        check(errand->returned + errand->abandoned <= 1);
        check(errand->posted <= 1);
        check(!was_calm || !errand->posts || errand->returned == 0 ||
              errand->posted == 1);
    }
}

static void begin_round(uint64_t seed)
{
    static const struct weir_allocator allocator = {
        .alloc = alloc_perhaps, .free = allocator_give, .arg = &counter};
    struct weir_loop_options options = {.size = sizeof(options)};

    allocator_init(&counter);
    everything.seed = seed;
    everything.random.state = seed;
    everything.failing.state = seed;
    everything.ending = false;
    everything.is_locked = false;
    everything.errand_count = 0;
    everything.callbacks_due = 0; /* what a freed loop had to call it did not */
    options.allocator = &allocator;
    options.sq_entries = one_in(2) ? 16 : 0;
    options.held_limit_bytes = one_in(2) ? 1 << 20 : 0;
    check(weir_loop_new(&options, &everything.loop) == 0);
    everything.mailbox = weir_loop_get_mailbox(everything.loop);
    check(everything.mailbox != NULL);
}

static void play_round(uint64_t seed)
{
    int result = -1;
    bool calm;

    begin_round(seed);
    calm = one_in(2);
    check(weir_loop_run_task(everything.loop, set_up, NULL, &result) == 0);
    check(result == 0);
    if (calm) {
        check(weir_loop_run_task(everything.loop, calm_down, NULL, &result) ==
              0);
        check(result == 0);
    }
    everything.ending = true;
    weir_server_free(everything.server);
    check(weir_loop_free(everything.loop) >= 0);
    check(everything.workers_live == 0);
    check(everything.children_live == 0);
    check(everything.handlers_live == 0);
    check(everything.references_due == 0);
    give_all_back();
    check_errands(calm);
    check(live_bytes() == 0);
}

static uint64_t rounds(void)
{
    const char *text = getenv("WEIR_EVERYTHING_ROUNDS");
    return text ? strtoull(text, NULL, 0) : 100;
}

UNIT(everything, at_once_ends_once_and_leaves_nothing)
{
    const uint64_t seed = unit_random_seed(&everything.random);

    for (uint64_t i = 0; i < rounds(); i++) {
        play_round(seed + i);
    }

    fprintf(stderr,
            "%llu connections, %llu bytes, %llu jobs, %llu told, "
            "%llu allocations failed\n",
            (unsigned long long)everything.connections,
            (unsigned long long)everything.bytes,
            (unsigned long long)everything.errands_done,
            (unsigned long long)everything.interruptions,
            (unsigned long long)everything.failed);
    expect_gt(everything.connections, 0);
    expect_gt(everything.bytes, 0);
    expect_gt(everything.interruptions, 0);
    if (rounds() >= 50) { /* few rounds may go without these */
        expect_gt(everything.errands_done, 0);
        expect_gt(everything.failed, 0);
    }
}
