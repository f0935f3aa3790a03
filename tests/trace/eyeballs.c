/*
 * Concurrent attempts to connect on the fake machine: when each begins, which
 * of two simultaneous connections is used, and what happens to the others, at
 * exact times of the fake clock.
 *
 * The test's resolver answers names.
 */
#include "tests/contract/maker.h"
#include "tests/fake/fake.h"

#include <weir/connect.h>
#include <weir/resolver.h>

enum { PEERS_MAX = 8 };

static struct maker m;
static struct weir_address peers[PEERS_MAX];
static struct fake_listener *listeners[PEERS_MAX];
static size_t peer_count;
static uint64_t start_ns;
static uint32_t start_fds;

static void start(uint64_t seed)
{
    const struct fake_options options = {.seed = seed};
    peer_count = 0;
    fake_start(&options);
    maker_open(&m);
    maker_run_for(&m, 1 * MS);
    start_fds = fake_fd_count();
}

static void finish(void)
{
    maker_run_for(&m, 1 * MS);
    expect_eq(fake_fd_count(), start_fds, "nothing is left");
    expect_eq(fake_ops_in_flight(), 1, "but the loop's own");
    maker_close(&m);
    fake_stop();
}

/* A peer that answers so, the first of which is the first address. */
static void add_peer(const char *host, enum fake_answer answer,
                     uint64_t delay_ns)
{
    peers[peer_count] = peer_address(host, 80);
    listeners[peer_count] =
        fake_listen(&peers[peer_count].storage.any, peers[peer_count].len);
    fake_listener_set(listeners[peer_count], answer, delay_ns);
    peer_count++;
}

static struct weir_connect_options race_options(void)
{
    return (struct weir_connect_options){
        .size = sizeof(struct weir_connect_options)};
}

static weir_pending *race(const char *host,
                          const struct weir_connect_options *options)
{
    weir_pending *connect = NULL;
    start_ns = fake_now();
    expect_eq(host ? weir_create_connection(m.loop, &m.factory, host, 80,
                                            options, maker_connect_done, &m,
                                            &connect)
                   : weir_create_connection_at(
                         m.loop, &m.factory,
                         weir_endpoint_addresses(peers, peer_count), options,
                         maker_connect_done, &m, &connect),
              0);
    return connect;
}

/* Lets a race among all peers end; how long it took. */
static uint64_t run_race(void)
{
    const struct weir_connect_options options = race_options();
    race(NULL, &options);
    maker_run(&m, maker_is_done);
    return fake_now() - start_ns;
}

static void expect_time(uint64_t took_ns, uint64_t time_ns)
{
    expect_geq(took_ns, time_ns);
    expect_leq(took_ns, time_ns + MS / 100);
}

/* The peer at the index has a connection with weir, or had one. */
static void expect_connection(size_t index, bool is_used)
{
    struct fake_peer *peer = fake_listener_accept(listeners[index]);
    cr_assert_not_null(peer);
    expect_eq(fake_peer_is_alone(peer), !is_used);
    fake_peer_close(peer);
}

UNIT(race, a_second_address_is_tried_after_250_ms_and_the_first_is_closed)
{
    start(1);
    add_peer("2001:db8::1", FAKE_SILENT, 0);
    add_peer("192.0.2.1", FAKE_ACCEPT, 3 * MS);
    expect_time(run_race(), 253 * MS);
    expect_eq(m.done_err, 0);
    expect_eq(memcmp(&m.peername.storage, &peers[1].storage, peers[1].len), 0);
    expect_connection(1, true);
    finish();
}

UNIT(race, a_second_address_is_tried_at_once_when_the_first_refuses)
{
    start(1);
    add_peer("2001:db8::1", FAKE_REFUSE, 5 * MS);
    add_peer("192.0.2.1", FAKE_ACCEPT, 3 * MS);
    expect_time(run_race(), 8 * MS);
    expect_eq(m.done_err, 0);
    expect_connection(1, true);
    finish();
}

UNIT(race, an_early_address_may_win_late)
{
    start(1);
    add_peer("2001:db8::1", FAKE_ACCEPT, 600 * MS);
    add_peer("192.0.2.1", FAKE_SILENT, 0);
    add_peer("2001:db8::2", FAKE_SILENT, 0);
    add_peer("192.0.2.2", FAKE_SILENT, 0);
    expect_time(run_race(), 600 * MS);
    maker_run_for(&m, 1 * MS);
    expect_eq(fake_stats()->cancels, 2, "the fourth was not due");
    expect_connection(0, true);
    finish();
}

UNIT(race, the_delay_is_an_option_and_so_is_having_none)
{
    struct weir_connect_options options;
    start(1);
    add_peer("2001:db8::1", FAKE_SILENT, 0);
    add_peer("192.0.2.1", FAKE_ACCEPT, 0);
    options = race_options();
    options.happy_eyeballs_delay_ns = 20 * MS;
    race(NULL, &options);
    maker_run(&m, maker_is_done);
    expect_time(fake_now() - start_ns, 20 * MS);
    expect_connection(1, true);

    m.done = 0;
    options.happy_eyeballs_delay_ns = UINT64_MAX;
    options.timeout_ns = 5000 * MS;
    race(NULL, &options);
    maker_run(&m, maker_is_done);
    expect_eq(m.done_err, -ETIMEDOUT, "the first hangs for ever");
    expect_time(fake_now() - start_ns, 5000 * MS);
    finish();
}

UNIT(race, one_attempt_has_a_time_limit_of_its_own)
{
    struct weir_connect_options options;
    start(1);
    add_peer("2001:db8::1", FAKE_SILENT, 0);
    add_peer("192.0.2.1", FAKE_SILENT, 0);
    options = race_options();
    options.attempt_timeout_ns = 1000 * MS;
    race(NULL, &options);
    maker_run(&m, maker_is_done);
    expect_time(fake_now() - start_ns, 1250 * MS);
    expect_eq(m.done_err, -ETIMEDOUT);

    m.done = 0;
    options.happy_eyeballs_delay_ns = UINT64_MAX;
    race(NULL, &options);
    maker_run(&m, maker_is_done);
    expect_time(fake_now() - start_ns, 2000 * MS);
    finish();
}

/* Of one address there is one attempt, and both limits are its own. */
UNIT(race, the_shorter_of_two_time_limits_ends_the_attempt_at_one_address)
{
    static const uint64_t limits[][2] = {{20, 30}, {30, 20}, {20, 20}};
    struct weir_connect_options options;
    start(1);
    add_peer("192.0.2.1", FAKE_SILENT, 0);
    options = race_options();
    for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
        m.done = 0;
        options.timeout_ns = limits[i][0] * MS;
        options.attempt_timeout_ns = limits[i][1] * MS;
        race(NULL, &options);
        maker_run(&m, maker_is_done);
        expect_eq(m.done_err, -ETIMEDOUT);
        expect_time(fake_now() - start_ns, 20 * MS);
    }
    finish();
}

UNIT(race, the_time_limit_of_all_ends_all)
{
    struct weir_connect_options options;
    start(1);
    add_peer("2001:db8::1", FAKE_SILENT, 0);
    add_peer("2001:db8::2", FAKE_SILENT, 0);
    add_peer("192.0.2.1", FAKE_SILENT, 0);
    options = race_options();
    options.timeout_ns = 300 * MS;
    race(NULL, &options);
    maker_run(&m, maker_is_done);
    expect_time(fake_now() - start_ns, 300 * MS);
    expect_eq(m.done_err, -ETIMEDOUT);
    expect_eq(m.made, 0);
    finish();
}

/* A callback that takes long, so that both answers are there after it. */
static void be_slow(void *arg)
{
    fake_spend(10 * MS);
}

UNIT(race, of_two_that_are_made_at_the_same_moment_one_is_used_and_one_closed)
{
    for (uint64_t seed = 1; seed <= 50; seed++) {
        start(seed);
        fake_set_fault(FAKE_CANCEL_RACE, 1000);
        add_peer("2001:db8::1", FAKE_ACCEPT, 270 * MS);
        add_peer("192.0.2.1", FAKE_ACCEPT, 20 * MS);
        expect_ok(weir_loop_call_later(m.loop, 265 * MS, be_slow, NULL, NULL));
        run_race();
        expect_eq(m.done_err, 0);
        expect_eq(m.made, 1);
        maker_run_for(&m, 1 * MS);
        expect_eq(fake_stats()->connects, 2, "or this shows nothing");
        const int used = weir_address_is_equal(&m.peername, &peers[1]);
        expect_connection((size_t)used, true);
        expect_connection((size_t)!used, false);
        finish();
    }
}

static void cancel(void *arg)
{
    if (m.done == 0) {
        weir_pending_cancel(arg);
    }
}

/* At every millisecond of a race of three, with and without connections that
 * are made in spite of it. */
UNIT(race, cancelling_at_any_time_closes_all_sockets_and_tells_once)
{
    for (uint64_t time_ns = 0; time_ns < 560 * MS; time_ns += 10 * MS) {
        for (uint32_t fault = 0; fault <= 1000; fault += 1000) {
            start(1);
            fake_set_fault(FAKE_CANCEL_RACE, fault);
            add_peer("2001:db8::1", FAKE_REFUSE, 30 * MS);
            add_peer("192.0.2.1", FAKE_ACCEPT, 600 * MS);
            add_peer("2001:db8::2", FAKE_ACCEPT, 270 * MS);
            const struct weir_connect_options options = race_options();
            weir_pending *connect = race(NULL, &options);
            expect_ok(
                weir_loop_call_later(m.loop, time_ns, cancel, connect, NULL));
            maker_run(&m, maker_is_done);
            expect_eq(m.done_err, time_ns < 550 * MS ? -ECANCELED : 0);
            expect_eq(m.done, 1);
            if (m.done_err == 0) {
                weir_transport_abort(m.t);
            }
            finish();
        }
    }
}

UNIT(race, a_loop_is_freed_at_any_time)
{
    for (uint64_t time_ns = MS; time_ns < 560 * MS; time_ns += 50 * MS) {
        start(1);
        add_peer("2001:db8::1", FAKE_REFUSE, 30 * MS);
        add_peer("192.0.2.1", FAKE_SILENT, 0);
        add_peer("2001:db8::2", FAKE_SILENT, 0);
        const struct weir_connect_options options = race_options();
        race(NULL, &options);
        maker_run_for(&m, time_ns);
        maker_close(&m);
        expect_eq(m.done, 1);
        expect_eq(m.done_err, -ECANCELED);
        fake_stop();
    }
}

UNIT(race, a_ring_that_breaks_ends_all_attempts)
{
    start(1);
    add_peer("2001:db8::1", FAKE_SILENT, 0);
    add_peer("192.0.2.1", FAKE_SILENT, 0);
    const struct weir_connect_options options = race_options();
    race(NULL, &options);
    maker_run_for(&m, 300 * MS);
    fake_break_ring(-EFAULT);
    maker_close(&m);
    expect_eq(m.done, 1);
    fake_stop();
}

/* It has no operation in flight. */
UNIT(race, a_ring_that_breaks_ends_an_attempt_that_waits_for_room)
{
    start(1);
    expect_ok(weir_address_parse_unix("/full", &peers[0]));
    listeners[0] = fake_listen(&peers[0].storage.any, peers[0].len);
    fake_listener_set(listeners[0], FAKE_FULL, 0);
    peer_count = 1;
    const struct weir_connect_options options = race_options();
    race(NULL, &options);
    maker_run_for(&m, 100 * MS);
    expect_eq(m.done, 0);
    fake_break_ring(-EFAULT);
    maker_close(&m);
    expect_eq(m.done, 1);
    expect_eq(m.done_err, -ECANCELED);
    fake_stop();
}

UNIT(race, a_second_attempt_without_a_descriptor_fails_alone)
{
    start(1);
    add_peer("2001:db8::1", FAKE_ACCEPT, 300 * MS);
    add_peer("192.0.2.1", FAKE_ACCEPT, 0);
    fake_set_fd_limit(start_fds + 1);
    expect_time(run_race(), 300 * MS);
    expect_eq(m.done_err, 0);
    fake_set_fd_limit(0);
    expect_connection(0, true);
    finish();
}

static char told[256];

static void read_errors(struct maker *maker)
{
    struct weir_attempt attempt = {.size = sizeof(attempt)};
    char text[WEIR_ADDRESS_TEXT_SIZE];
    weir_pending *connect = (weir_pending *)(uintptr_t)maker->received;
    told[0] = '\0';
    for (size_t i = 0; weir_pending_get_attempt(connect, i, &attempt) == 0;
         i++) {
        weir_address_format(&attempt.address, text, sizeof(text));
        strcat(strcat(strcat(told, text), " "), weir_err_name(attempt.err));
        strcat(told, " ");
    }
    expect_eq(weir_pending_get_attempt(connect, 99, &attempt), -EINVAL);
}

UNIT(race, the_errors_of_all_addresses_are_kept)
{
    struct weir_connect_options options;
    char text[256];
    char part[sizeof(text) + 1];
    start(1);
    add_peer("2001:db8::1", FAKE_REFUSE, 0);
    add_peer("192.0.2.1", FAKE_SILENT, 0);
    options = race_options();
    options.attempt_timeout_ns = 10 * MS;
    options.error_text = text;
    options.error_text_size = sizeof(text);
    m.in_done = read_errors;
    m.received = (uintptr_t)race(NULL, &options);
    maker_run(&m, maker_is_done);
    expect_eq(m.done_err, -ECONNREFUSED, "the first");
    expect_str_eq(told, "[2001:db8::1]:80 ECONNREFUSED "
                        "192.0.2.1:80 ETIMEDOUT ");
    expect_str_eq(text, "[2001:db8::1]:80: Connection refused (from [::1]:0); "
                        "192.0.2.1:80: Connection timed out (from "
                        "127.0.0.1:0)");

    /* It is cut where the program's memory ends. */
    options.error_text = part;
    for (size_t size = 1; size <= strlen(text); size++) {
        m.done = 0;
        memset(part, '#', sizeof(part));
        options.error_text_size = size;
        m.received = (uintptr_t)race(NULL, &options);
        maker_run(&m, maker_is_done);
        expect_eq(strlen(part), size - 1);
        expect_eq(memcmp(part, text, size - 1), 0);
        expect_eq(part[size], '#', "%zu bytes", size);
    }
    m.received = 0;
    finish();
}

static weir_lookup *asked;
static int resolver_calls;

static int remember(void *user, weir_lookup *lookup, const char *host,
                    int family, void **ret_data)
{
    expect_str_eq(host, "host.example");
    asked = lookup;
    resolver_calls++;
    return 0;
}

static void forget(void *user, weir_lookup *lookup, void *data)
{
    expect_eq(lookup, asked);
    asked = NULL;
}

static const struct weir_resolver resolver = {
    .size = sizeof(resolver), .start = remember, .cancel = forget};

static void answer(int family)
{
    cr_assert_not_null(asked);
    expect_eq(
        weir_resolver_reply_addresses(asked, family, 0, peers, peer_count), 0);
}

static void answer_inet(void *arg)
{
    answer(AF_INET);
}

static void answer_inet6(void *arg)
{
    answer(AF_INET6);
}

static void start_named(void)
{
    start(1);
    asked = NULL;
    expect_eq(weir_loop_set_resolver(m.loop, &resolver, NULL), 0);
    add_peer("2001:db8::1", FAKE_ACCEPT, 1 * MS);
    add_peer("192.0.2.1", FAKE_ACCEPT, 1 * MS);
}

static void later(uint64_t delay_ns, weir_callback_fn *cb)
{
    expect_eq(weir_loop_call_later(m.loop, delay_ns, cb, NULL, NULL), 0);
}

/* Races to host.example, whose families are answered at these times; 0: never.
 */
static uint64_t run_named(uint64_t inet6_ns, uint64_t inet_ns)
{
    const struct weir_connect_options options = {.size = sizeof(options)};
    if (inet6_ns > 0) {
        later(inet6_ns, answer_inet6);
    }
    if (inet_ns > 0) {
        later(inet_ns, answer_inet);
    }
    race("host.example", &options);
    maker_run(&m, maker_is_done);
    return fake_now() - start_ns;
}

UNIT(race, an_IPv6_address_is_tried_before_the_other_lookup_has_ended)
{
    start_named();
    expect_time(run_named(10 * MS, 0), 11 * MS);
    expect_eq(asked, NULL, "the lookup was cancelled");
    expect_connection(0, true);
    finish();
}

UNIT(race, an_IPv4_address_waits_50_ms_for_a_slow_lookup_of_the_other)
{
    start_named();
    expect_time(run_named(0, 10 * MS), 61 * MS);
    expect_connection(1, true);
    finish();
}

UNIT(race, an_IPv6_address_that_comes_within_50_ms_goes_first)
{
    start_named();
    expect_time(run_named(40 * MS, 10 * MS), 41 * MS);
    expect_connection(0, true);
    finish();
}

UNIT(race, an_address_that_comes_late_is_tried_beside_the_first)
{
    start_named();
    fake_listener_set(listeners[1], FAKE_SILENT, 0);
    expect_time(run_named(100 * MS, 10 * MS), (10 + 50 + 250 + 1) * MS);
    expect_connection(0, true);
    finish();
}

static void answer_not_found(void *arg)
{
    expect_eq(
        weir_resolver_reply_addresses(asked, 0, WEIR_EDNSNOTFOUND, NULL, 0), 0);
}

UNIT(race, an_error_of_the_lookup_is_the_connections)
{
    char text[128];
    struct weir_connect_options options;
    start_named();
    options = race_options();
    options.error_text = text;
    options.error_text_size = sizeof(text);
    later(5 * MS, answer_not_found);
    race("host.example", &options);
    maker_run(&m, maker_is_done);
    expect_eq(m.done_err, WEIR_EDNSNOTFOUND);
    expect_str_eq(text, "host.example: No such host name");
    finish();
}

/* Each is tried once, though the lookup has news twice. */
UNIT(race, families_that_are_answered_one_after_the_other_may_both_refuse)
{
    char text[256];
    struct weir_connect_options options;
    start_named();
    fake_listener_set(listeners[0], FAKE_REFUSE, MS);
    fake_listener_set(listeners[1], FAKE_REFUSE, MS);
    options = race_options();
    options.error_text = text;
    options.error_text_size = sizeof(text);
    later(10 * MS, answer_inet6);
    later(20 * MS, answer_inet);
    race("host.example", &options);
    maker_run(&m, maker_is_done);
    expect_eq(m.done_err, -ECONNREFUSED);
    expect_str_eq(text, "[2001:db8::1]:80: Connection refused (from [::1]:0); "
                        "192.0.2.1:80: Connection refused (from 127.0.0.1:0)");
    finish();
}

UNIT(race, the_error_that_counts_comes_first_and_the_text_is_cut)
{
    static const char *const text = "host.example: Connection timed out; "
                                    "192.0.2.1:80: Connection refused (from "
                                    "127.0.0.1:0)";
    char part[256];
    struct weir_connect_options options;
    start_named();
    fake_listener_set(listeners[1], FAKE_REFUSE, MS);
    options = race_options();
    options.timeout_ns = 200 * MS;
    options.error_text = part;
    for (size_t size = 1; size <= strlen(text) + 1; size++) {
        m.done = 0;
        memset(part, '#', sizeof(part));
        options.error_text_size = size;
        later(10 * MS, answer_inet);
        race("host.example", &options);
        maker_run(&m, maker_is_done);
        expect_eq(m.done_err, -ETIMEDOUT);
        expect_eq(strlen(part), size - 1, "%s", part);
        expect_eq(memcmp(part, text, size - 1), 0);
        expect_eq(part[size], '#', "%zu bytes", size);
    }
    finish();
}

UNIT(race, a_lookup_without_an_answer_ends_after_10_s_or_the_connect_time_out)
{
    struct weir_connect_options options;
    char text[128];
    start_named();
    expect_time(run_named(0, 0), 10000 * MS);
    expect_eq(m.done_err, WEIR_EDNSTIMEOUT);
    m.done = 0;
    options = race_options();
    options.timeout_ns = 15000 * MS;
    options.error_text = text;
    options.error_text_size = sizeof(text);
    race("host.example", &options);
    maker_run(&m, maker_is_done);
    expect_time(fake_now() - start_ns, 15000 * MS);
    expect_eq(m.done_err, -ETIMEDOUT);
    expect_str_eq(text, "host.example: Connection timed out");
    finish();
}

UNIT(race, cancelling_while_a_name_is_looked_up_cancels_the_lookup)
{
    for (uint64_t time_ns = 0; time_ns < 80 * MS; time_ns += 7 * MS) {
        start_named();
        const struct weir_connect_options options = {.size = sizeof(options)};
        later(10 * MS, answer_inet);
        weir_pending *connect = race("host.example", &options);
        expect_ok(weir_loop_call_later(m.loop, time_ns, cancel, connect, NULL));
        if (time_ns < 10 * MS) {
            maker_run_for(&m, 5 * MS);
        }
        if (time_ns < 5 * MS) {
            expect_eq(asked, NULL);
            maker_close(&m);
            fake_stop();
            continue;
        }
        maker_run(&m, maker_is_done);
        if (m.done_err == 0) {
            weir_transport_abort(m.t);
        }
        expect_eq(asked, NULL);
        finish();
    }
}
