/*
 * Lookups that end early: cancelled at every moment, by the program, a task's
 * end, the loop's end, and in a forked child.
 *
 * Responses that the name server still sends are ignored.
 */
#include "tests/contract/names_rig.h"
#include "tests/contract/quiet.h"

#include <sys/wait.h>
#include <weir/task.h>

/* The loop caches answers; answers not used between two trims are dropped. */
static void forget_answers(struct names *n)
{
    expect_eq(weir_loop_trim(n->loop), 0);
    expect_eq(weir_loop_trim(n->loop), 0);
}

static void expect_nothing_left(struct names *n, int fds, uint64_t memory)
{
    names_run_for(n, 2 * MS);
    forget_answers(n);
    names_wait_fds(fds);
    expect_eq(names_count_timers(n), 0, "timers");
    expect_eq(names_count_memory(n), memory, "memory");
}

NAMES(lookup_end, a_cancelled_lookup_is_told_from_the_loop_and_once, n)
{
    expect_eq(names_start(n, "a4.example", NULL), 0);
    struct weir_attempt attempt = {.size = sizeof(attempt)};
    expect_eq(weir_pending_get_attempt(n->lookup, 0, &attempt), -EINVAL,
              "it connects nothing");
    weir_pending_cancel(n->lookup);
    weir_pending_cancel(n->lookup);
    expect_eq(n->result, 0, "never from inside the call");
    names_run_for(n, 2 * MS);
    expect_eq(n->result, -ECANCELED);
    expect_eq(n->waiting, 0, "once");
}

static void one_turn(struct names *n)
{
    weir_loop_stop(n->loop);
    expect_eq(weir_loop_run(n->loop), 0);
}

/* Runs iterations during the lookup; the server responds after every second
 * one. */
static void some_turns(struct names *n, int turns)
{
    for (int turn = 0; turn < turns && n->waiting > 0; turn++) {
        one_turn(n);
        if (turn % 2 == 0) {
            dns_server_wait(&n->server);
        }
    }
}

NAMES(lookup_end, cancelling_at_every_moment_leaves_nothing, n)
{
    static const char *const hosts[] = {"silent.example", "a4-late6.example",
                                        "n200.example", "a4-a6.example",
                                        "localhost"};
    names_lookup(n, "a4.example", NULL);
    names_run_for(n, 2 * MS);
    forget_answers(n);
    const int fds = names_count_fds();
    const uint64_t memory = names_count_memory(n);
    for (size_t i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++) {
        for (int turns = 0; turns < 8; turns++) {
            expect_eq(names_start(n, hosts[i], NULL), 0);
            some_turns(n, turns);
            if (n->lookup) {
                weir_pending_cancel(n->lookup);
            }
            names_run_for(n, MS);
            expect_eq(n->waiting, 0);
            cr_assert(n->result == -ECANCELED || n->result > 0, "%s",
                      weir_err_name(n->result));
            expect_nothing_left(n, fds, memory);
        }
    }
}

NAMES(lookup_end, an_answer_after_the_cancellation_finds_nothing, n)
{
    names_expect_silence(n);
    names_lookup(n, "a4.example", NULL);
    /* Tries again if the machine was slower than the server. */
    for (int i = 0; !n->lookup; i++) {
        char host[64];
        char question[sizeof(host) + 2];
        snprintf(host, sizeof(host), "a4-a6-late4-late6.h%d.example", i);
        snprintf(question, sizeof(question), "A %s", host);
        expect_eq(names_start(n, host, NULL), 0);
        names_run_until_asked(n, question);
    }
    weir_pending_cancel(n->lookup);
    /* Another lookup keeps the socket open at which the late response arrives.
     */
    names_expect(n, "a4-silent6.example", NULL, "192.0.2.1:80 ");
    names_run_for(n, 2 * DNS_LATE_MS * MS);
    expect_eq(n->result, 1, "the other lookup's");
}

static void cancel_in_done(void *arg, int err,
                           const struct weir_address *addresses, size_t count)
{
    struct names *n = arg;
    weir_pending_cancel(n->lookup);
    n->result = err < 0 ? err : (int)count;
    n->waiting++;
}

NAMES(lookup_end, cancelling_in_done_is_harmless, n)
{
    expect_ok(weir_resolve_start(n->loop, "192.0.2.1", 80, NULL, cancel_in_done,
                                 n, &n->lookup));
    names_run_for(n, 2 * MS);
    expect_eq(n->result, 1);
    expect_eq(n->waiting, 1, "once");
}

NAMES(lookup_end, a_loop_is_freed_while_a_hundred_lookups_are_under_way, n)
{
    char host[64];
    for (int i = 0; i < 100; i++) {
        snprintf(host, sizeof(host), "%s.h%d.example",
                 i % 2 ? "silent" : "n200", i);
        expect_eq(names_start(n, host, NULL), 0);
    }
    names_run_for(n, MS);
    expect_eq(names_start(n, "fresh.example", NULL), 0);

    expect_eq(weir_loop_free(n->loop), 0);

    expect_eq(n->waiting, 0);
    expect_eq(n->result, -ECANCELED);
    expect_eq(weir_loop_new(NULL, &n->loop), 0);
}

static void start_another(void *arg, int err,
                          const struct weir_address *addresses, size_t count)
{
    struct names *n = arg;
    expect_eq(err, -ECANCELED);
    expect_eq(names_start(n, "a4.example", NULL), -ESHUTDOWN);
    expect_eq(weir_loop_set_dns_options(n->loop, NULL), -ESHUTDOWN);
    expect_eq(weir_loop_set_resolver(n->loop, NULL, NULL), -ESHUTDOWN);
}

NAMES(lookup_end, a_loop_that_is_being_freed_starts_none, n)
{
    expect_ok(weir_resolve_start(n->loop, "silent.example", 80, NULL,
                                 start_another, n, NULL));
    expect_eq(weir_loop_free(n->loop), 0);
    expect_eq(weir_loop_new(NULL, &n->loop), 0);
}

NAMES(lookup_end, a_forked_child_can_use_none_of_it, n)
{
    const struct weir_dns_options dns = names_dns_options(n);
    char host[64];
    for (int i = 0; n->waiting == 0;
         i++) { /* or the late response was received */
        snprintf(host, sizeof(host), "a4-late6.h%d.example", i);
        expect_eq(names_start(n, host, NULL), 0);
        names_run_for(n, 5 * MS);
    }
    const pid_t child = fork();
    if (child == 0) {
        int wrong = 0;
        wrong |= names_start(n, "a4.example", NULL) != -ECHILD;
        wrong |= weir_loop_set_dns_options(n->loop, &dns) != -ECHILD;
        wrong |= weir_loop_set_resolver(n->loop, NULL, NULL) != -ECHILD;
        weir_pending_cancel(n->lookup);
        wrong |= n->waiting != 1;
        _exit(wrong);
    }

    expect_eq(end_of(child), 0);
    while (n->waiting > 0) {
        one_turn(n);
    }
    expect_eq(n->result, 1, "the parent's lookup goes on");
}

struct asking {
    struct names *n;
    weir_task *task;
    int result;
    bool has_returned;
};

static int ask(weir_loop *loop, void *arg)
{
    struct asking *asking = arg;
    struct weir_address address;
    asking->result =
        weir_getaddrinfo(loop, "silent.example", 80, NULL, &address, 1);
    asking->has_returned = true;
    return 0;
}

static int cancel_soon(weir_loop *loop, void *arg)
{
    struct asking *asking = arg;
    for (int turns = 0; turns < 6; turns++) {
        asking->has_returned = false;
        expect_eq(weir_task_spawn(loop, ask, asking, NULL, &asking->task), 0);
        for (int i = 0; i < turns; i++) {
            expect_eq(weir_yield(loop), 0);
        }
        weir_task_cancel(asking->task);
        expect_eq(weir_task_join(asking->task, NULL), 0);
        expect_eq(asking->has_returned, true);
        expect_eq(asking->result, -ECANCELED);
    }
    return 0;
}

NAMES(lookup_end, a_task_is_cancelled_while_it_waits_for_an_address, n)
{
    struct asking asking = {.n = n};
    names_lookup(n, "a4.example", NULL);
    names_run_for(n, 2 * MS);
    const int fds = names_count_fds();

    expect_eq(weir_loop_run_task(n->loop, cancel_soon, &asking, NULL), 0);

    names_run_for(n, 2 * MS);
    expect_eq(names_count_fds(), fds);
    expect_eq(names_count_timers(n), 0);
}

static int ask_in_time(weir_loop *loop, void *arg)
{
    struct weir_address address;
    struct weir_timeout timeout;
    expect_eq(weir_timeout_begin(loop, &timeout, 20 * MS), 0);
    expect_eq(weir_getaddrinfo(loop, "silent.example", 80, NULL, &address, 1),
              -ECANCELED);
    expect_eq(weir_timeout_end(&timeout, -ECANCELED), -ETIMEDOUT);
    return 0;
}

NAMES(lookup_end, a_time_out_of_a_task_ends_its_lookup, n)
{
    expect_eq(weir_loop_run_task(n->loop, ask_in_time, n, NULL), 0);
    names_run_for(n, 2 * MS);
    expect_eq(names_count_timers(n), 0);
}

enum { ASKED_MAX = 8192, BATCH = 100 };

static void note_end(void *arg, int err, const struct weir_address *addresses,
                     size_t count)
{
    struct names *n = arg;
    expect_eq(err, -ECANCELED);
    n->waiting--;
}

static weir_pending *start_silent(struct names *n, int number)
{
    const struct weir_getaddrinfo_options patient = {.size = sizeof(patient),
                                                     .timeout_ns = UINT64_MAX};
    char host[64];
    weir_pending *lookup;
    snprintf(host, sizeof(host), "silent.s%d.example", number);
    expect_ok(
        weir_resolve_start(n->loop, host, 80, &patient, note_end, n, &lookup));
    n->waiting++;
    return lookup;
}

/* c-ares cannot cancel a query: queries of cancelled lookups stay until they
 * are over, and the next lookup waits for space. */
NAMES(lookup_end, a_lookup_that_waits_for_room_does_not_make_the_loop_spin, n)
{
    struct weir_dns_options dns = names_dns_options(n);
    weir_pending *batch[BATCH];
    dns.try_timeout_ns = 20000 * MS;
    expect_eq(weir_loop_set_dns_options(n->loop, &dns), 0);
    weir_pending *kept = start_silent(n, 0);
    for (int asked = 0; asked < ASKED_MAX; asked += BATCH) {
        for (int i = 0; i < BATCH; i++) {
            batch[i] = start_silent(n, asked + i);
        }
        names_run_for(n, MS);
        for (int i = 0; i < BATCH; i++) {
            weir_pending_cancel(batch[i]);
        }
    }
    weir_pending *late = start_silent(n, ASKED_MAX);
    names_run_for(n, MS);

    expect_leq(names_count_turns(n, 50 * MS), 20);
    weir_pending_cancel(late);
    weir_pending_cancel(kept);
    names_run_for(n, MS);
    expect_eq(n->waiting, 0);
}

static int find_question_socket(struct sockaddr_storage *ret, socklen_t *len)
{
    int type = 0;
    socklen_t size = sizeof(type);
    struct sockaddr_storage peer;
    socklen_t peer_len = sizeof(peer);
    int fd = 0;
    while (fd < NAMES_FDS_MAX &&
           (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) < 0 ||
            type != SOCK_DGRAM ||
            getpeername(fd, (struct sockaddr *)&peer, &peer_len) < 0)) {
        fd++;
    }
    expect_lt(fd, NAMES_FDS_MAX);
    expect_eq(getsockname(fd, (struct sockaddr *)ret, len), 0);
    return fd;
}

NAMES(lookup_end, a_socket_that_lives_on_does_not_wake_a_host, n)
{
    struct sockaddr_storage here;
    socklen_t len = sizeof(here);
    expect_geq(weir_loop_get_fd(n->loop), 0);
    expect_eq(names_start(n, "a4-late4-late6.example", NULL), 0);
    names_run_until_asked(n, "A a4-late4-late6.example");
    const int kept = keep_file_of(find_question_socket(&here, &len));
    expect_eq(weir_loop_run_until(n->loop, names_is_over, n), 0);
    names_run_for(n, 2 * MS);
    expect_eq(
        sendto(n->server.udp, "late", 4, 0, (struct sockaddr *)&here, len), 4);

    expect_guest_rests(n->loop);
    close(kept);
}
