/*
 * Services: their records from the built-in resolver, from the name server on
 * the loopback interface (dns_server.h), and from the program's own resolver.
 *
 * tests/unit/srv_answer.c has hostile responses.
 */
#include "tests/contract/names_rig.h"

#include <weir/task.h>

static struct weir_srv found[WEIR_SRV_MAX];

struct asking {
    struct names *n;
    const char *name;
    const struct weir_resolve_srv_options *options;
    size_t capacity;
};

static int ask(weir_loop *loop, void *arg)
{
    const struct asking *asking = arg;
    memset(found, 0, sizeof(found));
    asking->n->result = weir_resolve_srv(loop, asking->name, asking->options,
                                         found, asking->capacity);
    return 0;
}

static int lookup_srv(struct names *n, const char *name,
                      const struct weir_resolve_srv_options *options,
                      size_t capacity)
{
    struct asking asking = {n, name, options, capacity};
    expect_eq(weir_loop_run_task(n->loop, ask, &asking, NULL), 0);
    return n->result;
}

static int look(struct names *n, const char *name)
{
    return lookup_srv(n, name, NULL, WEIR_SRV_MAX);
}

static const char *text(size_t index)
{
    static char buf[512];
    const struct weir_srv *one = &found[index];
    snprintf(buf, sizeof(buf), "%u %u %u %s", one->priority, one->weight,
             one->port, one->host);
    return buf;
}

NAMES(srv, the_best_host_comes_first, n)
{
    expect_eq(look(n, "s3._tcp.example"), 3, "%s", weir_err_name(n->result));
    expect_str_eq(text(0), "10 5 3 self.example");
    expect_str_eq(text(1), "10 1 2 a4-a6.example");
    expect_str_eq(text(2), "20 0 1 a4.example");
    expect_str_eq(dns_server_read_log(&n->server), "SRV s3._tcp.example. ");
}

NAMES(srv, what_has_no_room_is_not_written, n)
{
    expect_eq(lookup_srv(n, "s3.example", NULL, 1), 3);
    expect_str_eq(text(0), "10 5 3 self.example");
    expect_str_eq(text(1), "0 0 0 ");
    expect_eq(weir_resolve_srv(n->loop, "s3.example", NULL, found, 1),
              WEIR_ENOTTASK);
}

NAMES(srv, an_answer_that_is_cut_is_asked_for_by_tcp, n)
{
    expect_eq(look(n, "s99.example"), WEIR_SRV_MAX);
    expect_str_eq(text(0), "1 1 1 h1.example");
    expect_eq(n->server.tcp_count, 1);
    expect_eq(look(n, "cut-s3.example"), WEIR_EDNSUNREACHABLE);
}

NAMES(srv, errors_are_told_apart, n)
{
    static const struct {
        const char *name;
        int err;
    } rows[] = {
        {"nx.example", WEIR_EDNSNOTFOUND},
        {"none.example", WEIR_EDNSNODATA},
        {"a4.example", WEIR_EDNSNODATA},
        {"sdot.example", WEIR_EDNSNOSERVICE},
        {"sodd.example", WEIR_EDNSBADANSWER},
        {"fail.example", WEIR_EDNSSERVFAIL},
        {"refused.example", WEIR_EDNSREFUSED},
        {"a b", WEIR_EDNSBADNAME},
        {NULL, -EINVAL},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        expect_eq(look(n, rows[i].name), rows[i].err, "%s: %s", rows[i].name,
                  weir_err_name(n->result));
    }
    const struct weir_resolve_srv_options brief = {.size = sizeof(brief),
                                                   .timeout_ns = 5 * MS};
    expect_eq(lookup_srv(n, "silent.example", &brief, 1), WEIR_EDNSTIMEOUT);
    const struct weir_resolve_srv_options odd = {.size = 1};
    expect_eq(lookup_srv(n, "s3.example", &odd, 1), WEIR_EOPTIONSIZE);
}

static int interrupt(weir_loop *loop, void *arg)
{
    struct asking *asking = arg;
    weir_task *task;
    int result = 1;
    expect_eq(weir_task_spawn(loop, ask, asking, NULL, &task), 0);
    expect_eq(weir_sleep(loop, 1 * MS), 0);
    weir_task_cancel(task);
    expect_eq(weir_task_join(task, &result), 0);
    expect_eq(result, 0);
    return 0;
}

NAMES(srv, a_task_that_waits_can_be_interrupted, n)
{
    struct asking asking = {n, "silent.example", NULL, 1};
    expect_eq(weir_loop_run_task(n->loop, interrupt, &asking, NULL), 0);
    expect_eq(n->result, -ECANCELED);
}

static int start(void *user, weir_lookup *lookup, const char *host, int family,
                 void **ret_data)
{
    cr_assert_fail("no address is asked for");
    return WEIR_EDNSNOTFOUND;
}

static void forget(void *user, weir_lookup *lookup, void *data)
{
}

static int start_srv(void *user, weir_lookup *lookup, const char *name,
                     void **ret_data)
{
    static const struct weir_srv records[] = {
        {.priority = 2, .port = 1, .host = "b.example"},
        {.priority = 1, .port = 0, .host = "no.port"},
        {.priority = 1, .port = 1, .host = "a b"},
        {.priority = 1, .port = 9, .host = "a.example."}};
    const int *err = user;
    expect_str_eq(name, "_x._tcp.example");
    expect_eq(weir_resolver_reply_srv(lookup, 0, NULL, 0), -EINVAL);
    expect_eq(weir_resolver_reply_srv(lookup, 1, records, 1), -EINVAL);
    expect_eq(weir_resolver_reply_name(lookup, 0, "a"), -EINVAL);
    if (*err == 1) {
        return -EHOSTDOWN;
    }
    expect_eq(weir_resolver_reply_srv(lookup, *err, records, *err == 0 ? 4 : 0),
              0);
    expect_eq(weir_resolver_reply_srv(lookup, 0, records, 1), -ESTALE);
    return 0;
}

NAMES(srv, a_resolver_of_the_program_is_asked, n)
{
    static const struct weir_resolver with = {.size = sizeof(with),
                                              .start = start,
                                              .cancel = forget,
                                              .start_srv = start_srv};
    int err = 0;
    expect_eq(weir_loop_set_resolver(n->loop, &with, &err), 0);
    expect_eq(look(n, "_x._tcp.example"), 2);
    expect_str_eq(text(0), "1 0 9 a.example");
    expect_str_eq(text(1), "2 0 1 b.example");
    err = WEIR_EDNSREFUSED;
    expect_eq(look(n, "_x._tcp.example"), WEIR_EDNSREFUSED);
    err = 1;
    expect_eq(look(n, "_x._tcp.example"), -EHOSTDOWN);
}

static weir_lookup *late;

static int keep_srv(void *user, weir_lookup *lookup, const char *name,
                    void **ret_data)
{
    late = lookup;
    return 0;
}

static int answer_late(weir_loop *loop, void *arg)
{
    static const struct weir_srv record = {
        .priority = 1, .port = 9, .host = "a.example"};
    while (!late) {
        const int err = weir_sleep(loop, 1 * MS);
        if (err < 0) {
            return err;
        }
    }
    return weir_resolver_reply_srv(late, 0, &record, 1);
}

NAMES(srv, an_answer_needs_no_large_stack, n)
{
    static const struct weir_resolver keeping = {.size = sizeof(keeping),
                                                 .start = start,
                                                 .cancel = forget,
                                                 .start_srv = keep_srv};
    const struct weir_task_options small = {.size = sizeof(small),
                                            .stack_size_bytes = 16384};
    weir_task *task;
    late = NULL;
    expect_eq(weir_loop_set_resolver(n->loop, &keeping, NULL), 0);
    expect_eq(weir_task_spawn(n->loop, answer_late, NULL, &small, &task), 0);
    expect_eq(look(n, "_x._tcp.example"), 1);
    expect_str_eq(text(0), "1 0 9 a.example");
    weir_task_unref(task);
}

NAMES(srv, a_resolver_without_its_function_knows_no_service, n)
{
    static const struct weir_resolver without = {
        .size = offsetof(struct weir_resolver, start_srv),
        .start = start,
        .cancel = forget};
    expect_eq(weir_loop_set_resolver(n->loop, &without, NULL), 0);
    expect_eq(look(n, "_x._tcp.example"), WEIR_EDNSNOTFOUND);
}
