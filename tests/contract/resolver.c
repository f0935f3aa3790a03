/*
 * The program's own resolver, and the settings of the built-in one.
 *
 * The recorder is such a resolver: it records queries and notifications, and
 * answers at once, later or never.
 */
#include "tests/contract/names_rig.h"

#include <sys/wait.h>
#include <weir/connect.h>
#include <weir/server.h>
#include <weir/task.h>

struct recorder {
    struct names *n;
    char log[256];
    weir_lookup *lookup;
    int start_result;
    bool answers_at_once;
    void (*in_start)(struct recorder *recorder);
    void (*in_cancel)(weir_lookup *lookup);
};

static struct recorder recorder;

static void note(const char *what, const char *host, int family)
{
    const size_t len = strlen(recorder.log);
    snprintf(recorder.log + len, sizeof(recorder.log) - len, "%s %s %d ", what,
             host, family);
}

static const struct weir_address *two_addresses(void)
{
    static struct weir_address addresses[2];
    expect_eq(weir_address_parse("192.0.2.9", 1, &addresses[0]), 0);
    expect_eq(weir_address_parse("2001:db8::9", 1, &addresses[1]), 0);
    return addresses;
}

static int start(void *user, weir_lookup *lookup, const char *host, int family,
                 void **ret_data)
{
    expect_eq(user, &recorder);
    note("start", host, family);
    recorder.lookup = lookup;
    *ret_data = &recorder.log;
    if (recorder.in_start) {
        recorder.in_start(&recorder);
    }
    if (recorder.answers_at_once) {
        expect_eq(
            weir_resolver_reply_addresses(lookup, 0, 0, two_addresses(), 2), 0);
    }
    return recorder.start_result;
}

static void cancel(void *user, weir_lookup *lookup, void *data)
{
    expect_eq(user, &recorder);
    expect_eq(lookup, recorder.lookup);
    expect_eq(data, &recorder.log);
    note("cancel", "-", 0);
    recorder.lookup = NULL;
    if (recorder.in_cancel) {
        recorder.in_cancel(lookup);
    }
}

static const struct weir_resolver recording = {
    .size = sizeof(recording), .start = start, .cancel = cancel};

static void use_recorder(struct names *n)
{
    memset(&recorder, 0, sizeof(recorder));
    recorder.n = n;
    expect_eq(weir_loop_set_resolver(n->loop, &recording, &recorder), 0);
}

static void ask(struct names *n, const char *host,
                const struct weir_getaddrinfo_options *options)
{
    expect_eq(names_start(n, host, options), 0);
    names_run_for(n, MS);
}

static bool is_asked(void *unused)
{
    return recorder.lookup != NULL;
}

static void wait_until_asked(struct names *n)
{
    expect_eq(weir_loop_run_until(n->loop, is_asked, NULL), 0);
}

NAMES(resolver, names_are_asked_of_it_and_not_of_servers, n)
{
    use_recorder(n);
    recorder.answers_at_once = true;
    names_expect(n, "any.example.", NULL, "[2001:db8::9]:80 192.0.2.9:80 ");
    expect_str_eq(recorder.log, "start any.example. 0 ");
    expect_str_eq(dns_server_read_log(&n->server), "");
}

NAMES(resolver, what_needs_no_resolver_never_reaches_it, n)
{
    use_recorder(n);
    names_lookup(n, "localhost", NULL);
    names_lookup(n, "192.0.2.1", NULL);
    names_lookup(n, "a b", NULL);
    expect_str_eq(recorder.log, "");
}

NAMES(resolver, families_are_answered_one_by_one, n)
{
    const struct weir_address *addresses = two_addresses();
    use_recorder(n);
    ask(n, "any.example", NULL);
    expect_ok(weir_resolver_reply_addresses(recorder.lookup, AF_INET, 0,
                                            addresses, 2));
    names_run_for(n, MS);
    expect_eq(n->waiting, 1, "the other family is awaited");
    expect_eq(weir_resolver_reply_addresses(recorder.lookup, AF_INET, 0,
                                            addresses, 2),
              -ESTALE);
    expect_ok(weir_resolver_reply_addresses(recorder.lookup, AF_INET6, 0,
                                            addresses, 2));
    expect_eq(
        weir_resolver_reply_addresses(recorder.lookup, 0, 0, addresses, 2),
        -ESTALE);
    names_run_for(n, MS);
    expect_str_eq(names_text(n), "[2001:db8::9]:80 192.0.2.9:80 ");
    expect_str_eq(recorder.log, "start any.example 0 ", "no cancel");
}

NAMES(resolver, one_family_is_passed_on, n)
{
    use_recorder(n);
    recorder.answers_at_once = true;
    names_expect(n, "any.example",
                 SIZED(weir_getaddrinfo_options, .family = AF_INET6),
                 "[2001:db8::9]:80 ");
    cr_assert(strstr(recorder.log, "start any.example 10 "), "%s",
              recorder.log);
}

static void tell_names(struct recorder *own)
{
    weir_lookup *lookup = own->lookup;
    expect_eq(weir_lookup_set_canonical_name(lookup, "first.example"), 0);
    expect_eq(weir_lookup_set_canonical_name(lookup, "other.example."), 0);
    expect_eq(weir_lookup_set_canonical_name(lookup, "a b"),
              WEIR_EDNSBADANSWER);
    expect_eq(weir_lookup_set_canonical_name(lookup, NULL), -EINVAL);
    expect_ok(weir_resolver_reply_addresses(lookup, 0, 0, two_addresses(), 2));
    expect_eq(weir_lookup_set_canonical_name(lookup, "late.example"), -ESTALE);
}

NAMES(resolver, it_may_tell_the_canonical_name, n)
{
    char name[WEIR_HOST_SIZE];
    const struct weir_getaddrinfo_options options = {.size = sizeof(options),
                                                     .canonical_name = name,
                                                     .canonical_name_size =
                                                         sizeof(name)};
    use_recorder(n);
    recorder.answers_at_once = true;
    names_lookup(n, "Asked.example.", &options);
    expect_str_eq(name, "Asked.example");
    recorder.answers_at_once = false;
    recorder.in_start = tell_names;
    names_lookup(n, "asked.example", &options);
    expect_str_eq(name, "other.example");
    names_lookup(n, "asked.example", NULL);
    expect_eq(n->result, 2);
}

NAMES(resolver, its_error_is_the_lookups, n)
{
    use_recorder(n);
    recorder.start_result = -EHOSTDOWN;
    names_expect(n, "any.example", NULL, "EHOSTDOWN");
    recorder.start_result = 0;
    ask(n, "any.example", NULL);
    expect_ok(weir_resolver_reply_addresses(recorder.lookup, 0,
                                            WEIR_EDNSREFUSED, NULL, 0));
    names_run_for(n, MS);
    expect_eq(n->result, WEIR_EDNSREFUSED);
    ask(n, "any.example", NULL);
    expect_eq(weir_resolver_reply_addresses(recorder.lookup, 0, 0, NULL, 0), 0);
    names_run_for(n, MS);
    expect_eq(n->result, WEIR_EDNSNODATA, "no address is no success");
}

NAMES(resolver, it_is_told_of_cancellations_and_time_outs, n)
{
    use_recorder(n);
    ask(n, "any.example", NULL);
    weir_pending_cancel(n->lookup);
    expect_str_eq(recorder.log, "start any.example 0 cancel - 0 ");
    names_run_for(n, MS);
    expect_eq(n->result, -ECANCELED);
    names_expect(n, "any.example",
                 SIZED(weir_getaddrinfo_options, .timeout_ns = MS),
                 "WEIR_EDNSTIMEOUT");
    expect_eq(recorder.lookup, NULL);
}

NAMES(resolver, a_forked_child_cancels_nothing, n)
{
    use_recorder(n);
    ask(n, "any.example", NULL);
    const pid_t child = fork();
    if (child == 0) {
        weir_pending_cancel(n->lookup);
        _exit(strcmp(recorder.log, "start any.example 0 ") != 0);
    }

    expect_eq(end_of(child), 0, "the resolver was told in the child");
    weir_pending_cancel(n->lookup);
    names_run_for(n, MS);
    expect_eq(n->result, -ECANCELED);
}

NAMES(resolver, lookups_are_cancelled_at_the_loops_end, n)
{
    use_recorder(n);
    ask(n, "any.example", NULL);
    expect_eq(weir_loop_free(n->loop), 0);
    expect_eq(n->result, -ECANCELED);
    expect_eq(recorder.lookup, NULL);
    expect_eq(weir_loop_new(NULL, &n->loop), 0);
}

static void cancel_in_start(struct recorder *r)
{
    weir_pending_cancel(r->n->lookup);
}

NAMES(resolver, a_lookup_may_be_cancelled_inside_its_start, n)
{
    use_recorder(n);
    recorder.in_start = cancel_in_start;
    names_expect(n, "any.example", NULL, "ECANCELED");
    recorder.start_result = -EIO;
    names_expect(n, "any.example", NULL, "ECANCELED");
}

static void answer_all(weir_lookup *lookup)
{
    expect_eq(weir_resolver_reply_addresses(lookup, 0, 0, two_addresses(), 2),
              -ESTALE);
}

static void cancel_again(weir_lookup *lookup)
{
    weir_pending_cancel(recorder.n->lookup);
}

NAMES(resolver, an_answer_inside_its_cancel_is_refused, n)
{
    use_recorder(n);
    recorder.in_cancel = answer_all;
    ask(n, "any.example", NULL);
    weir_pending_cancel(n->lookup);
    names_run_for(n, MS);
    expect_eq(n->result, -ECANCELED);
    names_expect(n, "any.example",
                 SIZED(weir_getaddrinfo_options, .timeout_ns = MS),
                 "WEIR_EDNSTIMEOUT");
}

NAMES(resolver, a_lookup_may_be_cancelled_inside_its_cancel, n)
{
    use_recorder(n);
    recorder.in_cancel = cancel_again;
    ask(n, "any.example", NULL);
    weir_pending_cancel(n->lookup);
    names_run_for(n, MS);
    expect_eq(n->result, -ECANCELED);
    expect_str_eq(recorder.log, "start any.example 0 cancel - 0 ");
    names_expect(n, "any.example",
                 SIZED(weir_getaddrinfo_options, .timeout_ns = MS),
                 "ECANCELED");
}

static weir_task *waiting_task;

static void cancel_task(weir_lookup *lookup)
{
    weir_task_cancel(waiting_task);
}

static int wait_for_addresses(weir_loop *loop, void *arg)
{
    const struct weir_getaddrinfo_options *options = arg;
    struct weir_address address;
    return weir_getaddrinfo(loop, "any.example", 80, options, &address, 1);
}

static int cancel_waiting_tasks(weir_loop *loop, void *arg)
{
    struct weir_getaddrinfo_options options = {.size = sizeof(options)};
    int result = 0;
    expect_ok(weir_task_spawn(loop, wait_for_addresses, &options, NULL,
                              &waiting_task));
    while (!is_asked(NULL)) {
        expect_eq(weir_yield(loop), 0);
    }
    weir_task_cancel(waiting_task);
    expect_eq(weir_task_join(waiting_task, &result), 0);
    expect_eq(result, -ECANCELED);
    options.timeout_ns = MS;
    expect_ok(weir_task_spawn(loop, wait_for_addresses, &options, NULL,
                              &waiting_task));
    expect_eq(weir_task_join(waiting_task, &result), 0);
    expect_eq(result, -ECANCELED, "the time-out was not told yet");
    return 0;
}

NAMES(resolver, a_task_may_be_cancelled_inside_its_cancel, n)
{
    int result = 1;
    use_recorder(n);
    recorder.in_cancel = cancel_task;
    expect_ok(weir_loop_run_task(n->loop, cancel_waiting_tasks, NULL, &result));
    expect_eq(result, 0);
}

static weir_pending *connecting;

static void cancel_connect(weir_lookup *lookup)
{
    weir_pending_cancel(connecting);
}

static int refuse(void *arg, weir_transport *t,
                  struct weir_protocol_binding *ret)
{
    return -EIO;
}

static void note_connect(void *arg, int err, weir_transport *t)
{
    expect_eq(t, NULL);
    *(int *)arg = err;
}

NAMES(resolver, a_connection_may_be_given_up_inside_its_cancel, n)
{
    const struct weir_factory factory = {refuse, NULL};
    int err = 0;
    struct weir_connect_options options = {.size = sizeof(options)};
    use_recorder(n);
    recorder.in_cancel = cancel_connect;
    expect_ok(weir_create_connection(n->loop, &factory, "any.example", 80,
                                     &options, note_connect, &err,
                                     &connecting));
    wait_until_asked(n);
    weir_pending_cancel(connecting);
    names_run_for(n, MS);
    expect_eq(err, -ECANCELED);
    options.timeout_ns = MS;
    expect_ok(weir_create_connection(n->loop, &factory, "any.example", 80,
                                     &options, note_connect, &err,
                                     &connecting));
    while (err == -ECANCELED) {
        names_run_for(n, MS);
    }
    expect_eq(err, -ETIMEDOUT);
    options.timeout_ns = 0;
    expect_ok(weir_create_connection(n->loop, &factory, "any.example", 80,
                                     &options, note_connect, &err,
                                     &connecting));
    wait_until_asked(n);
    expect_eq(weir_loop_free(n->loop), 0);
    expect_eq(err, -ECANCELED);
    expect_eq(weir_loop_new(NULL, &n->loop), 0);
}

static CALLBACKS(protocol, STREAM);

/* One family is connected while the other is being looked up: the resolver is
 * told to cancel that lookup when the connection is almost made. */
NAMES(resolver, a_connection_may_be_given_up_when_its_other_family_is_forgotten,
      n)
{
    const struct weir_factory factory = bind_to(&protocol, NULL);
    struct weir_address address;
    int err = 1;
    weir_server *server = NULL;

    expect_ok(weir_create_server(n->loop, &factory, "127.0.0.1", 0, NULL, NULL,
                                 NULL, &server));
    while (!weir_server_is_serving(server)) {
        names_run_for(n, MS);
    }
    cr_assert_geq(weir_server_get_socket(server, 0, &address), 0);
    use_recorder(n);
    recorder.in_cancel = cancel_connect;
    expect_ok(weir_create_connection(n->loop, &factory, "any.example",
                                     ntohs(address.storage.inet.sin_port), NULL,
                                     note_connect, &err, &connecting));
    wait_until_asked(n);
    expect_ok(weir_resolver_reply_addresses(recorder.lookup, AF_INET, 0,
                                            &address, 1));
    while (err == 1) {
        names_run_for(n, MS);
    }
    expect_eq(err, -ECANCELED);
    weir_server_free(server);
}

static weir_server *starting;

static void free_server(weir_lookup *lookup)
{
    weir_server_free(starting);
    starting = NULL;
}

NAMES(resolver, a_server_may_be_freed_inside_its_cancel, n)
{
    const struct weir_factory factory = {refuse, NULL};
    use_recorder(n);
    recorder.in_cancel = free_server;
    expect_ok(weir_create_server(n->loop, &factory, "any.example", 0, NULL,
                                 NULL, NULL, &starting));
    wait_until_asked(n);
    weir_server_close(starting);
    expect_eq(starting, NULL);
    names_run_for(n, MS);
    expect_eq(weir_loop_free(n->loop), 0);
    expect_eq(weir_loop_new(NULL, &n->loop), 0);
}

NAMES(resolver, answers_are_checked, n)
{
    use_recorder(n);
    ask(n, "any.example", SIZED(weir_getaddrinfo_options, .family = AF_INET));
    weir_lookup *lookup = recorder.lookup;
    expect_eq(weir_resolver_reply_addresses(lookup, AF_INET6, 0, NULL, 0),
              -EINVAL);
    expect_eq(weir_resolver_reply_addresses(lookup, AF_UNIX, 0, NULL, 0),
              -EINVAL);
    expect_eq(weir_resolver_reply_addresses(lookup, 0, 1, NULL, 0), -EINVAL);
    expect_eq(weir_resolver_reply_addresses(lookup, 0, 0, NULL, 1), -EINVAL);
    expect_eq(weir_resolver_reply_name(lookup, 0, "a"), -EINVAL);
    expect_eq(weir_lookup_set_ttl(lookup, MS), 0);
    expect_ok(weir_resolver_reply_addresses(lookup, 0, 0, two_addresses(), 2));
    expect_eq(weir_lookup_set_ttl(lookup, MS), -ESTALE);
    names_run_for(n, MS);
    expect_str_eq(names_text(n), "192.0.2.9:80 ");
}

NAMES(resolver, the_same_address_twice_counts_once, n)
{
    struct weir_address addresses[3];
    use_recorder(n);
    ask(n, "any.example", NULL);
    expect_eq(weir_address_parse("192.0.2.9", 1, &addresses[0]), 0);
    expect_eq(weir_address_parse("192.0.2.8", 2, &addresses[1]), 0);
    expect_eq(weir_address_parse("192.0.2.9", 3, &addresses[2]), 0);
    expect_eq(
        weir_resolver_reply_addresses(recorder.lookup, 0, 0, addresses, 3), 0);
    names_run_for(n, MS);
    expect_str_eq(names_text(n), "192.0.2.9:80 192.0.2.8:80 ");
}

NAMES(resolver, it_may_be_taken_away_while_a_lookup_waits, n)
{
    use_recorder(n);
    ask(n, "any.example", NULL);
    expect_eq(weir_loop_set_resolver(n->loop, NULL, NULL), 0);
    weir_pending_cancel(n->lookup);
    expect_eq(recorder.lookup, NULL, "it was told");
    names_run_for(n, MS);
    names_expect(n, "a4.example", NULL, "192.0.2.1:80 ");
}

NAMES(resolver, a_table_without_its_functions_is_refused, n)
{
    struct weir_resolver table = recording;
    table.size = 0;
    expect_eq(weir_loop_set_resolver(n->loop, &table, NULL), -EINVAL);
    table = recording;
    table.start = NULL;
    expect_eq(weir_loop_set_resolver(n->loop, &table, NULL), -EINVAL);
    table = recording;
    table.cancel = NULL;
    expect_eq(weir_loop_set_resolver(n->loop, &table, NULL), -EINVAL);
}

NAMES(resolver, settings_that_make_no_sense_change_nothing, n)
{
    struct weir_dns_options dns = names_dns_options(n);
    dns.servers = "not a server";
    expect_eq(weir_loop_set_dns_options(n->loop, &dns), -EINVAL);
    dns = names_dns_options(n);
    dns.tries = 101;
    expect_eq(weir_loop_set_dns_options(n->loop, &dns), -EINVAL);
    dns = names_dns_options(n);
    dns.ndots = 128;
    expect_eq(weir_loop_set_dns_options(n->loop, &dns), -EINVAL);
    dns = names_dns_options(n);
    dns.try_timeout_ns = UINT64_MAX;
    expect_eq(weir_loop_set_dns_options(n->loop, &dns), -EINVAL);
    dns.size = 0;
    expect_eq(weir_loop_set_dns_options(n->loop, &dns), WEIR_EOPTIONSIZE);
    names_expect(n, "a4.example", NULL, "192.0.2.1:80 ");
}

NAMES(resolver, settings_cannot_change_under_a_lookup, n)
{
    const struct weir_dns_options dns = names_dns_options(n);
    ask(n, "silent.example", NULL);
    expect_eq(weir_loop_set_dns_options(n->loop, &dns), -EBUSY);
    weir_pending_cancel(n->lookup);
    expect_eq(weir_loop_set_dns_options(n->loop, &dns), 0);
    names_run_for(n, MS);
    names_expect(n, "a4.example", NULL, "192.0.2.1:80 ");
}

/* The channel is closed for the new settings, which are refused. */
NAMES(resolver, settings_may_be_refused_when_a_lookup_was_just_cancelled, n)
{
    struct weir_dns_options dns = names_dns_options(n);
    expect_eq(names_start(n, "silent.example", NULL), 0);
    names_run_for(n, 3 * MS); /* its time-out is armed */
    weir_pending_cancel(n->lookup);
    dns.servers = "not a server";
    expect_eq(weir_loop_set_dns_options(n->loop, &dns), -EINVAL);
    names_run_for(n, 2 * MS);
    names_expect(n, "a4.example", NULL, "192.0.2.1:80 ");
}

static void trim_in_done(void *arg, int err,
                         const struct weir_address *addresses, size_t count)
{
    struct names *n = arg;
    expect_eq(err, 0);
    expect_eq(count, 1);
    weir_loop_trim(n->loop);
    n->waiting--;
}

NAMES(resolver, a_loop_may_be_trimmed_when_a_lookup_has_ended, n)
{
    n->waiting = 1;
    expect_ok(weir_resolve_start(n->loop, "a4.example", 80, NULL, trim_in_done,
                                 n, NULL));
    expect_eq(weir_loop_run_until(n->loop, names_is_over, n), 0);
    names_run_for(n, 2 * MS);
    names_expect(n, "a4.example", NULL, "192.0.2.1:80 ");
}

NAMES(resolver, a_file_of_settings_is_read_again_when_it_changes, n)
{
    char path[] = "/tmp/weir-resolv-conf-XXXXXX";
    struct weir_dns_options dns = names_dns_options(n);
    dns.search = NULL;
    dns.resolv_conf = path;
    close(mkstemp(path));
    expect_eq(weir_loop_set_dns_options(n->loop, &dns), 0);
    names_lookup(n, "a4", NULL);
    FILE *file = fopen(path, "we");
    fputs("search one.example\n", file);
    fclose(file);
    names_run_for(n, 1010 * MS); /* it is checked once a second */
    names_lookup(n, "a4", NULL);
    unlink(path);
    cr_assert(strstr(dns_server_read_log(&n->server), "A a4.one.example. "),
              "%s", dns_server_read_log(&n->server));
}
