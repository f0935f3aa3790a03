/*
 * Relays in thousands of random schedules.
 *
 * A run has relays between sockets of the fake machine, whose sends and
 * receives are short, late and out of order at random. The two peers of each
 * write, stall, read, half-close, close and reset, and the program cancels some
 * relays, also from the tap. A peer must read what the other peer has written;
 * an end of stream must come after all of it, and only if the other peer has
 * ended; done must be called once, with an error if a byte is missing. Bytes
 * that a peer sent before a reset must arrive before the reset.
 *
 * WEIR_SIM_COUNT is the number of seeds (5 000; 500 with sanitizers),
 * WEIR_SIM_FIRST the first one; WEIR_SIM_SEED runs one. Every fourth seed has
 * the features of the engine on epoll.
 */
#include "tests/fake/fake.h"
#include "tests/pattern.h"
#include "tests/walk.h"

#include <errno.h>
#include <string.h>
#include <weir/connect.h>
#include <weir/inspect.h>
#include <weir/relay.h>

#ifdef UNIT_HAS_LSAN
#define COUNT_DEFAULT 500u
#else
#define COUNT_DEFAULT 5000u
#endif

#define MS UINT64_C(1000000)
#define S  UINT64_C(1000000000)

enum { RELAYS_MAX = 4, STEPS_MAX = 20000, PATIENCE = 400 };
enum { PIECE_MAX = 20000, SCALE_MAX = 20, SPLICE_PIECE = 256 << 10 };

enum ending { END_FIN, END_CLOSE, END_RESET, END_NEVER };

struct end {
    struct fake_peer *peer; /* NULL: it has closed */
    weir_transport *t;
    uint32_t id;
    uint64_t planned; /* bytes that it writes */
    uint64_t written;
    uint64_t arrived; /* of `written`, when it reset the connection */
    uint64_t seen;    /* by the tap */
    uint64_t read;
    enum ending ending;
    bool is_slow;
    bool has_fin; /* it has ended its stream after all bytes */
    bool has_broken;
    bool has_read_end;
    int read_err; /* of a read; 0: none */
};

struct run {
    struct end ends[2];
    weir_pending *pending;
    struct weir_relay_record record;
    uint64_t buffer_bytes;
    bool closes_at_once;
    bool has_limits;
    bool is_endless; /* by its peers or its rate: it has to be cancelled */
    bool taps;
    bool splices;
    bool was_cancelled;
    int done_count;
};

static struct {
    uint64_t seed;
    weir_loop *loop;
    struct test_allocator memory;
    struct run runs[RELAYS_MAX];
    uint32_t count;
    uint32_t scale; /* of the machine's queues, and of what peers write */
} sim;

/* What the runs came to, so that a test of nothing is seen. */
static struct {
    uint64_t clean;
    uint64_t reset;
    uint64_t drained; /* all bytes came before the reset, and there were some */
    uint64_t cancelled;
    uint64_t limited;
    uint64_t bytes;
    uint64_t spliced;
    uint64_t splices_short;
} total;

static void dump_runs(void)
{
    for (uint32_t i = 0; i < 2 * sim.count; i++) {
        const struct end *end = &sim.runs[i / 2].ends[i % 2];
        fprintf(stderr,
                "end %u: ending %d, written %llu of %llu, read %llu%s%s%s "
                "err %d, done %d\n",
                end->id, end->ending, (unsigned long long)end->written,
                (unsigned long long)end->planned, (unsigned long long)end->read,
                end->has_fin ? " fin" : "", end->has_broken ? " broken" : "",
                end->has_read_end ? " end" : "", end->read_err,
                sim.runs[i / 2].done_count);
    }
}

static void require(bool holds, const char *what)
{
    if (!holds) {
        weir_loop_dump(sim.loop, stderr);
        dump_runs();
        fake_fail("%s", what);
    }
}

static void check_bytes(uint32_t id, uint64_t offset, const uint8_t *data,
                        size_t len)
{
    require(pattern_is(id, offset, data, len), "a wrong byte");
}

static void made(void *user, weir_transport *t)
{
    ((struct end *)user)->t = t;
}

static int create(void *arg, weir_transport *t,
                  struct weir_protocol_binding *ret)
{
    static const struct weir_protocol first = {.size = sizeof(first),
                                               .kind = WEIR_PROTOCOL_STREAM,
                                               .connection_made = made};
    (void)t;
    *ret = (struct weir_protocol_binding){&first, arg};
    return 0;
}

static void done(void *arg, int err, const struct weir_relay_record *record)
{
    struct run *run = arg;
    require(run->done_count == 0, "done came twice");
    require(record->err == err, "done and the record differ");
    require((err == 0) == (record->cause == WEIR_RELAY_EOF), "a wrong cause");
    run->done_count++;
    run->record = *record;
    run->pending = NULL;
}

static void cancel(struct run *run)
{
    if (run->pending) {
        run->was_cancelled = true;
        weir_pending_cancel(run->pending);
    }
}

static void tap(void *arg, enum weir_relay_party from,
                const struct weir_buf *buf)
{
    struct run *run = arg;
    struct end *end = &run->ends[from];
    check_bytes(end->id, end->seen, buf->data, buf->len);
    end->seen += buf->len;
    if (fake_chance(2)) {
        cancel(run);
    }
}

static void begin(struct run *run)
{
    struct weir_relay_options options = {.size = sizeof(options)};
    options.buffer_bytes = run->buffer_bytes;
    run->closes_at_once = fake_chance(100);
    options.close_at_first_end = run->closes_at_once;
    run->has_limits = fake_chance(200);
    if (run->has_limits) {
        options.idle_ns = fake_random(3) * 10 * MS;
        options.half_closed_ns = fake_random(3) * 5 * MS;
        options.lifetime_ns = fake_random(3) * 20 * MS;
    }
    run->is_endless = run->ends[0].ending == END_NEVER ||
                      run->ends[1].ending == END_NEVER ||
                      run->ends[0].is_slow || run->ends[1].is_slow;
    if (fake_chance(100)) {
        options.a_rate_bytes = 100000 + fake_random(10000000);
        run->is_endless = true;
    }
    run->taps = fake_chance(300);
    run->splices = fake_chance(600);
    options.splice = run->splices;
    options.tap = run->taps ? tap : NULL;
    options.tap_arg = run;
    require(weir_relay(run->ends[0].t, run->ends[1].t, &options, done, run,
                       &run->pending) == 0,
            "no relay");
}

static void plan_end(struct end *end, uint32_t id, uint64_t buffer_bytes)
{
    const struct weir_connect_options options = {
        .size = sizeof(options), .connection.read_limit_bytes = buffer_bytes};
    static const enum ending endings[] = {END_FIN,   END_FIN,   END_FIN,
                                          END_CLOSE, END_RESET, END_NEVER};
    static const uint64_t sizes[] = {0, 1, 1000, 50000, 400000};
    const struct weir_factory factory = {create, end};
    *end = (struct end){.id = id};
    end->planned = fake_random(sizes[fake_random(5)] + 1) * sim.scale;
    end->ending = endings[fake_random(6)];
    end->is_slow = fake_chance(200);
    require(weir_create_connection_at(
                sim.loop, &factory,
                weir_endpoint_fd(fake_connected_fd(&end->peer)), &options, NULL,
                NULL, NULL) == 0,
            "no connection");
}

static void peer_end(struct end *end)
{
    end->has_fin = end->ending == END_FIN || end->ending == END_CLOSE;
    end->has_broken = end->ending == END_RESET;
    if (end->ending == END_FIN) {
        fake_peer_shutdown(end->peer);
    } else if (end->ending == END_RESET) {
        end->arrived = end->written - fake_peer_unacked(end->peer);
        fake_peer_reset(end->peer);
    } else if (end->ending == END_CLOSE) {
        end->has_broken = !end->has_read_end; /* if bytes are unread, or come */
        fake_peer_close(end->peer);
        end->peer = NULL;
    }
}

/* The most that a peer writes and reads at once. */
static uint64_t piece_max(void)
{
    return (uint64_t)PIECE_MAX * sim.scale;
}

static void peer_write(struct end *end)
{
    static uint8_t bytes[PIECE_MAX * SCALE_MAX];
    const uint64_t left = end->planned - end->written;
    const uint64_t most = left < piece_max() ? left : piece_max();
    const size_t len = left > 0 ? 1 + (size_t)fake_random(most) : 0;

    if (end->has_fin || end->has_broken) {
        return;
    }
    if (left == 0) {
        peer_end(end);
        return;
    }
    pattern_fill(end->id, end->written, bytes, len);
    const ssize_t ret = fake_peer_write(end->peer, bytes, len);
    if (ret > 0) {
        end->written += (uint64_t)ret;
    } else if (ret < 0 && ret != -EAGAIN) { /* the machine tells it once */
        end->has_broken = true;
        end->has_read_end = true;
        end->read_err = (int)ret;
    }
}

static void peer_read(struct run *run, struct end *end)
{
    static uint8_t bytes[PIECE_MAX * SCALE_MAX];
    const struct end *other = &run->ends[end == &run->ends[0]];

    if (end->has_read_end || (end->ending == END_RESET && end->has_broken) ||
        (end->is_slow && !fake_chance(100))) {
        return;
    }
    const ssize_t ret =
        fake_peer_read(end->peer, bytes, 1 + (size_t)fake_random(piece_max()));
    if (ret > 0) {
        check_bytes(other->id, end->read, bytes, (size_t)ret);
        end->read += (uint64_t)ret;
        require(end->read <= other->written, "more than was written");
    } else if (ret == 0) {
        end->has_read_end = true;
        require(other->has_fin || run->closes_at_once, "an end of nobody's");
        require(end->read == other->written || run->closes_at_once,
                "an end before the last byte");
    } else if (ret != -EAGAIN) {
        end->has_read_end = true;
        end->read_err = (int)ret;
    }
}

static void peers_act(struct run *run)
{
    for (int i = 0; i < 2; i++) {
        struct end *end = &run->ends[i];
        if (end->peer && fake_chance(600)) {
            peer_write(end);
        }
        if (end->peer && fake_chance(600)) {
            peer_read(run, end);
        }
    }
}

static bool is_over(void *arg)
{
    return fake_now() >= *(const uint64_t *)arg;
}

static void nothing(void *arg)
{
    (void)arg;
}

static void run_for(uint64_t time_ns)
{
    uint64_t end_ns = fake_now() + time_ns;
    struct weir_handle handle;

    fake_at(end_ns, nothing, NULL);
    require(weir_loop_call_later(sim.loop, time_ns, nothing, NULL, &handle) ==
                0,
            "no timer");
    require(weir_loop_run_until(sim.loop, is_over, &end_ns) == 0, "no run");
}

static void plan_machine(struct fake_options *machine)
{
    static const uint32_t often[] = {0, 0, 20, 200};
    static const uint32_t sizes[] = {600, 5000, 65536};
    static const uint32_t large[] = {200000, 300000, 1000000};
    fake_start(&(struct fake_options){.seed = ~sim.seed});
    *machine = (struct fake_options){.seed = sim.seed};
    for (int i = 0; i <= FAKE_NO_BUFFER; i++) {
        machine->permille[i] = often[fake_random(4)];
    }
    machine->permille[FAKE_CANCEL_RACE] = often[fake_random(4)];
    machine->permille[FAKE_VAIN_POLL] = often[fake_random(4)];
    sim.scale = fake_chance(100) ? SCALE_MAX : 1;
    const uint32_t *of = sim.scale > 1 ? large : sizes;
    machine->send_size = of[fake_random(3)];
    machine->recv_size = of[fake_random(3)];
    fake_stop();
}

static void start(void)
{
    struct fake_options machine;
    plan_machine(&machine);
    fake_start(&machine);
    allocator_init(&sim.memory);
    struct weir_loop_options options = allocator_options(&sim.memory);
    options.engine = sim.seed % 4 == 0 ? WEIR_ENGINE_POLL : WEIR_ENGINE_AUTO;
    require(weir_loop_new(&options, &sim.loop) == 0, "no loop");
    sim.count = 1 + (uint32_t)fake_random(RELAYS_MAX);
    memset(sim.runs, 0, sizeof(sim.runs));
    for (uint32_t i = 0; i < sim.count; i++) {
        struct run *run = &sim.runs[i];
        run->buffer_bytes = 4096u << fake_random(6);
        plan_end(&run->ends[0], 2 * i, run->buffer_bytes);
        plan_end(&run->ends[1], 2 * i + 1, run->buffer_bytes);
    }
    run_for(S);
    for (uint32_t i = 0; i < sim.count; i++) {
        begin(&sim.runs[i]);
    }
}

/* Bytes that wait are bounded, copied ones and those under leases. What is
 * spliced and not taken comes besides. */
static void check_bound(const struct run *run)
{
    const uint64_t rest = run->splices ? SPLICE_PIECE : 0;

    for (int i = 0; run->done_count == 0 && i < 2; i++) {
        const weir_transport *t = run->ends[i].t;
        require(weir_transport_get_read_buffer_size(t) <=
                    run->buffer_bytes + rest,
                "too much is held");
        require(weir_transport_get_write_buffer_size(t) <=
                    2 * run->buffer_bytes + rest,
                "too much is queued");
    }
}

/* True if all have ended. Those that need not end are cancelled by and by. */
static bool step(uint32_t number)
{
    bool all_over = true;
    for (uint32_t i = 0; i < sim.count; i++) {
        struct run *run = &sim.runs[i];
        peers_act(run);
        check_bound(run);
        if (fake_chance(run->is_endless && number > PATIENCE ? 20 : 0) ||
            (number < PATIENCE && fake_chance(1))) {
            cancel(run);
        }
        all_over &= run->done_count > 0;
    }
    run_for(fake_random(2) * MS / 10 + fake_random(3) * MS / 100 + 1);
    return all_over;
}

/* What is in the machine is still read. */
static void read_the_rest(struct run *run)
{
    for (int i = 0; i < 2; i++) {
        struct end *end = &run->ends[i];
        end->is_slow = false;
        for (int j = 0; end->peer && !end->has_read_end && j < 10000 &&
                        !(end->ending == END_RESET && end->has_broken);
             j++) {
            const uint64_t before = end->read;
            peer_read(run, end);
            if (end->read == before && !end->has_read_end) {
                run_for(MS);
            }
        }
    }
}

/* True if the relay was ended by a reset of this peer and the other peer was
 * intact until then. */
static bool has_reset(const struct run *run, int i)
{
    const struct end *end = &run->ends[i];
    const struct end *other = &run->ends[!i];

    return end->ending == END_RESET && end->has_broken &&
           run->record.ended_by == (enum weir_relay_party)i &&
           run->record.cause == WEIR_RELAY_RESET && !run->has_limits &&
           !run->closes_at_once && !run->was_cancelled && other->peer &&
           !other->has_broken;
}

static void check_reset(const struct run *run, int i)
{
    const struct end *other = &run->ends[!i];

    if (!has_reset(run, i)) {
        return;
    }
    require(other->read == run->ends[i].arrived, "a reset has overtaken bytes");
    require(other->read_err == -ECONNRESET, "no reset after a reset");
    total.drained += other->read > 0;
}

static void check_run(struct run *run)
{
    const struct weir_relay_record *record = &run->record;
    const uint64_t passed[2] = {record->a_bytes, record->b_bytes};
    const uint64_t spliced = record->a_spliced_bytes + record->b_spliced_bytes;

    require(spliced == 0 || (run->splices && !run->taps), "spliced unasked");
    require(record->a_spliced_bytes <= record->a_bytes, "a's splices");
    require(record->b_spliced_bytes <= record->b_bytes, "b's splices");
    read_the_rest(run);
    for (int i = 0; i < 2; i++) {
        const struct end *end = &run->ends[i];
        const struct end *other = &run->ends[!i];
        require(passed[!i] >= end->read, "more was read than passed on");
        require(passed[i] <= end->written, "more was passed on than written");
        require(!run->taps || end->seen >= passed[i], "the tap saw less");
        if (record->err == 0 && !run->closes_at_once && end->peer &&
            end->ending == END_FIN) {
            require(end->read == other->written, "bytes are missing");
            require(end->read_err == 0, "a reset after a clean relay");
        }
    }
    check_reset(run, 0);
    check_reset(run, 1);
    require(run->was_cancelled || record->err != -ECANCELED,
            "cancelled by nobody");
    require(run->has_limits || record->ended_by != WEIR_RELAY_LIMIT,
            "a limit that was not set");
    total.clean += record->err == 0;
    total.reset += record->cause == WEIR_RELAY_RESET;
    total.cancelled += record->cause == WEIR_RELAY_CANCELED;
    total.limited += record->ended_by == WEIR_RELAY_LIMIT;
    total.bytes += record->a_bytes + record->b_bytes;
    total.spliced += spliced;
}

static void play(uint64_t seed)
{
    sim.seed = seed;
    start();
    const bool frees_early = fake_chance(50);
    const uint32_t last =
        frees_early ? (uint32_t)fake_random(200) : (uint32_t)STEPS_MAX;
    bool is_done = false;
    for (uint32_t i = 0; i < last && !is_done; i++) {
        is_done = step(i);
    }
    require(is_done || frees_early, "a relay does not end");
    for (uint32_t i = 0; is_done && i < sim.count; i++) {
        check_run(&sim.runs[i]);
    }
    wr_assert(weir_loop_free(sim.loop) >= 0);
    for (uint32_t i = 0; i < sim.count; i++) {
        wr_assert(sim.runs[i].done_count == 1);
        for (int j = 0; j < 2; j++) {
            if (sim.runs[i].ends[j].peer) {
                fake_peer_close(sim.runs[i].ends[j].peer);
            }
        }
    }
    wr_assert(sim.memory.live_count == 0);
    total.splices_short += fake_stats()->splices_short;
    fake_stop();
}

static uint64_t number_from(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text && *text ? strtoull(text, NULL, 10) : otherwise;
}

UNIT(relays_sim, every_byte_comes_or_an_error_does)
{
    const uint64_t alone = number_from("WEIR_SIM_SEED", 0);
    const uint64_t first = alone ? alone : number_from("WEIR_SIM_FIRST", 1);
    const uint64_t count =
        alone ? 1 : number_from("WEIR_SIM_COUNT", COUNT_DEFAULT);

    memset(&total, 0, sizeof(total));
    for (uint64_t i = 0; i < count; i++) {
        play(first + i);
    }
    if (count >= 100) {
        expect_gt(total.clean, count / 20);
        expect_gt(total.reset, count / 20);
        expect_gt(total.drained, count / 50);
        expect_gt(total.cancelled, count / 20);
        expect_gt(total.limited, count / 50);
        expect_gt(total.bytes, count * 10000);
        expect_gt(total.spliced, total.bytes / 20);
    }
    if (count >= 500) { /* too rare to be counted among fewer */
        expect_gt(total.splices_short, count / 100);
    }
}
