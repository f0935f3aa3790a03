/*
 * Every public call inside every callback, over every kind of connection.
 *
 * Every function of the headers that takes a transport is called at every
 * moment of a connection's life. None aborts the process, each returns what its
 * header lists, and the connection ends as it does without the call.
 * public_calls.py generates the calls and documents how results are checked. A
 * random walk makes several calls, at all moments of a connection.
 *
 * WEIR_PUBLIC_TELLS prints each call before it is made. WEIR_TEST_SEED is the
 * seed of the first walk, and WEIR_PUBLIC_WALKS the number of walks.
 */
#define UNIT_RUN public_run
#include "tests/contract/public.h"
#include "tests/unit/random.h"
#include <tests/contract/public_calls.h>

#ifdef UNIT_HAS_LSAN
#define WALKS 400
#else
#define WALKS 2000
#endif

enum {
    WALK_STEPS = 12,
    WALK_DEPTH = 3,
    CALL_COUNT = sizeof(public_calls) / sizeof(public_calls[0]),
};

static struct unit_random chance;

static size_t below(size_t bound)
{
    return (size_t)unit_random_below(&chance, bound);
}

static bool public_lists(const struct public_call *call, int64_t err)
{
    for (const int *listed = call->errors; *listed != 0; listed++) {
        if (*listed == err) {
            return true;
        }
    }
    return call->any_error || (!call->has_size && err == WEIR_EOPTIONSIZE);
}

int64_t public_make_call(const struct public_call *call, weir_transport *t)
{
    scene.call = call;
    if (public.tells) {
        fprintf(stderr, "%s\n", public_text());
    }
    public.calls++;
    const int64_t got = call->run(t);
    if (call->is_number && got < 0 && !public_lists(call, got)) {
        public_complain(call, weir_err_name((int)got));
    } else if (got == WEIR_ENOTTASK && scene.moment == PUBLIC_AT_WAITING) {
        public_complain(call, "WEIR_ENOTTASK in a task");
    } else if (call->is_number && got > call->most) {
        public_complain(call, "a number that its header does not name");
    }
    return got;
}

/* Makes calls until one has an effect; the others are left for the next scene.
 */
static void public_make_calls(weir_transport *t)
{
    size_t i = scene.next;

    while (i < CALL_COUNT) {
        const struct public_call *call = &public_calls[i++];
        if (call->suspends ? scene.moment == PUBLIC_AT_TASK
                           : scene.moment == PUBLIC_AT_WAITING) {
            continue; /* a waiting task makes the calls that suspend */
        }
        const int64_t got = public_make_call(call, t);
        if (call->is_number && !call->is_const && got >= 0) {
            break;
        }
    }
    scene.next = i;
}

static void walk_call(weir_transport *t)
{
    const struct public_call *call = &public_calls[below(CALL_COUNT)];

    if (scene.depth < WALK_DEPTH && !scene.is_still && !call->suspends) {
        scene.depth++;
        public_make_call(call, t);
        scene.depth--;
    }
}

static void walk_calls(weir_transport *t)
{
    if (public.pending && below(4) == 0) {
        weir_pending_cancel(public.pending);
    }
    if (below(3) == 0) {
        for (size_t count = 1 + below(3); count > 0; count--) {
            walk_call(t);
        }
    }
}

void public_reach(enum public_moment moment, weir_transport *t)
{
    if (scene.moment == PUBLIC_AT_ALL) {
        walk_calls(t);
    } else if (scene.moment == moment && !scene.is_reached) {
        scene.is_reached = true;
        public_make_calls(t);
    }
}

static void public_begin_scene(enum public_kind kind, enum public_moment moment,
                               size_t next)
{
    scene = (struct public_scene){.kind = kind,
                                  .moment = moment,
                                  .number = public.scenes++,
                                  .next = next,
                                  .peer_fd = -1};
    public.pending = NULL;
}

static uint64_t public_alive(void)
{
    uint64_t alive = 0;

    for (int i = 0; i < PUBLIC_SIDES; i++) {
        const struct public_side *side = &public.sides[i];
        alive += statistics_of(side->loop).connections;
        alive -= side->spare[0] ? 2 : 0;
    }
    return alive;
}

static bool public_is_over(void)
{
    for (int i = 0; i < PUBLIC_OPERATIONS; i++) {
        if (scene.done[i] != scene.begun[i]) {
            return false;
        }
    }
    return public_alive() == 0;
}

/* One iteration before the end. An aborted transport may be below another one.
 */
static void public_end_turn(void)
{
    for (size_t i = scene.known_count; i > 0; i--) {
        wr_ignore(weir_transport_abort(scene.known[i - 1]) != 0);
    }
    for (size_t i = public.sink_count; i > 0; i--) {
        wr_ignore(weir_transport_abort(public.sinks[i - 1]) != 0);
    }
    public_turn();
}

static void public_check_scene(void)
{
    if (scene.is_taken) {
        expect_leq(scene.lost + scene.moved, scene.made + 1);
        return;
    }
    cr_assert(scene.lost + scene.moved == scene.made,
              "%s: %u made, %u lost, %u moved", public_text(), scene.made,
              scene.lost, scene.moved);
}

static void public_end_scene(void)
{
    public_turns(3);
    if (public.pending && scene.number % 2) {
        weir_pending_cancel(public.pending);
    }
    public_peer_leave();
    public_turns(3);
    scene.is_still = true;
    TURN_UNTIL(public_end_turn(), public_is_over());
    if (scene.writer) { /* after a switch the program has to report the loss */
        scene.stream.protocol->connection_lost(scene.stream.user,
                                               scene.known[0], 0);
        weir_writer_unref(scene.writer);
    }
    weir_transport_unref(scene.child);
    for (size_t i = 0; i < scene.known_count; i++) {
        weir_transport_unref(scene.known[i]);
    }
    weir_transport_unref(scene.t);
    public_check_scene();
    public_make_spares();
}

static void public_play(enum public_kind kind, enum public_moment moment)
{
    size_t next = 0;

    while (next < CALL_COUNT) {
        public_begin_scene(kind, moment, next);
        if (!public_open()) {
            return;
        }
        public_stimulate();
        PUBLIC_UNTIL(scene.is_reached);
        public_end_scene();
        expect_gt(scene.next, next);
        next = scene.next;
    }
}

static void public_play_all(enum public_kind kind)
{
    for (int i = 0; i < PUBLIC_MOMENT_COUNT; i++) {
        if (public_has_moment(kind, (enum public_moment)i)) {
            public_play(kind, (enum public_moment)i);
        }
    }
}

UNIT(public, every_call_on_a_tcp_connection)
{
    public_play_all(PUBLIC_KIND_TCP);
}

UNIT(public, every_call_on_a_unix_connection)
{
    public_play_all(PUBLIC_KIND_UNIX);
}

UNIT(public, every_call_on_a_pair_in_memory)
{
    public_play_all(PUBLIC_KIND_MEMORY);
}

UNIT(public, every_call_on_pipes)
{
    public_play_all(PUBLIC_KIND_READ_PIPE);
    public_play_all(PUBLIC_KIND_WRITE_PIPE);
}

UNIT(public, every_call_on_datagram_endpoints)
{
    public_play_all(PUBLIC_KIND_DATAGRAM);
    public_play_all(PUBLIC_KIND_UNIX_DATAGRAM);
}

UNIT(public, every_call_on_a_tls_connection)
{
    public_play_all(PUBLIC_KIND_TLS);
}

UNIT(public, every_call_on_tls_over_a_unix_socket)
{
    public_play_all(PUBLIC_KIND_UNIX_TLS);
}

UNIT(public, every_call_on_a_connection_of_tls_1_2)
{
    public_play_all(PUBLIC_KIND_OLD_TLS);
}

UNIT(public, every_call_on_tls_over_tls)
{
    public_play_all(PUBLIC_KIND_INNER_TLS);
}

UNIT(public, every_call_on_a_transport_below_tls)
{
    public_play_all(PUBLIC_KIND_BELOW_TLS);
}

UNIT(public, every_call_on_a_side_of_a_relay)
{
    public_play_all(PUBLIC_KIND_RELAYED);
}

UNIT(public, every_call_on_the_connection_of_a_stream)
{
    public_play_all(PUBLIC_KIND_STREAM);
}

UNIT(public, every_call_on_a_child_process)
{
    public_play_all(PUBLIC_KIND_CHILD);
    public_play_all(PUBLIC_KIND_CHILD_PIPE);
}

static void walk_step(void *arg)
{
    walk_calls(scene.t);
}

static void public_walk(uint64_t seed)
{
    static const enum public_kind kinds[] = {
        PUBLIC_KIND_TCP,           PUBLIC_KIND_UNIX,       PUBLIC_KIND_MEMORY,
        PUBLIC_KIND_READ_PIPE,     PUBLIC_KIND_WRITE_PIPE, PUBLIC_KIND_DATAGRAM,
        PUBLIC_KIND_UNIX_DATAGRAM, PUBLIC_KIND_STREAM,     PUBLIC_KIND_RELAYED,
        PUBLIC_KIND_CHILD,         PUBLIC_KIND_TLS,        PUBLIC_KIND_UNIX_TLS,
        PUBLIC_KIND_OLD_TLS,       PUBLIC_KIND_INNER_TLS,
    };

    chance.state = seed;
    public_begin_scene(kinds[below(sizeof(kinds) / sizeof(kinds[0]))],
                       PUBLIC_AT_ALL, 0);
    scene.number = below(1000);
    scene.seed = seed;
    scene.is_still = scene.kind == PUBLIC_KIND_STREAM ||
                     scene.kind == PUBLIC_KIND_RELAYED ||
                     scene.kind == PUBLIC_KIND_INNER_TLS;
    if (!public_open()) {
        return;
    }
    scene.is_still = false;
    for (size_t steps = below(WALK_STEPS); steps > 0; steps--) {
        expect_ok(weir_loop_call_soon(public.sides[PUBLIC_HERE].loop, walk_step,
                                      NULL, NULL));
        if (below(3) == 0) {
            public_peer_send(1 + below(3000));
        } else if (below(8) == 0) {
            public_peer_leave();
        }
        public_turns((int)below(4));
    }
    public_end_scene();
}

UNIT(public, random_calls_at_all_moments)
{
    const char *text = getenv("WEIR_PUBLIC_WALKS");
    const uint64_t walks = text ? strtoull(text, NULL, 0) : WALKS;
    const uint64_t seed = unit_random_seed(&chance);

    for (uint64_t i = 0; i < walks; i++) {
        public_walk(seed + i);
    }
}
