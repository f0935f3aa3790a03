/*
 * Names when no thread can be created: the built-in resolver needs none.
 *
 * A program's resolver that runs jobs on the executor, for example with
 * getaddrinfo(3), gets the executor's -EAGAIN, and works again once threads are
 * possible.
 */
#include "tests/bind.h"
#include "tests/contract/dns_server.h"
#include "tests/contract/shortage_rig.h"

#include <errno.h>
#include <netdb.h>
#include <weir/error.h>
#include <weir/executor.h>
#include <weir/resolver.h>

/* The name server starts its thread before the shortage begins. */
static void with_server(weir_loop *loop, void (*body)(weir_loop *loop))
{
    static struct dns_server server;
    dns_server_start(&server);
    const int err = weir_loop_set_dns_options(
        loop, SIZED(weir_dns_options, .servers = server.address, .search = "",
                    .try_timeout_ns = WEIR_SECONDS(30), .tries = 1));
    if (err == 0) {
        body(loop);
    }
    dns_server_stop(&server);
    cr_assert(err == 0 || err == WEIR_ENONAMES);
}

static int look_up(weir_loop *loop, const char *host)
{
    return weir_getaddrinfo(loop, host, 80, NULL, NULL, 0);
}

static void ask_all(weir_loop *loop)
{
    for (int is_short = 1; is_short >= 0; is_short--) {
        if (is_short) {
            shortage_begin();
        }
        expect_gt(look_up(loop, "localhost"), 0, "from a file");
        expect_eq(look_up(loop, is_short ? "a4-a6.example" : "a4-a6.again"), 2,
                  "by UDP");
        expect_eq(look_up(loop, is_short ? "n200.example" : "n200.again"),
                  2 * WEIR_ADDRESSES_MAX, "by TCP");
        expect_eq(look_up(loop, is_short ? "nx.example" : "nx.again"),
                  WEIR_EDNSNOTFOUND);
        if (is_short) {
            shortage_end();
        }
    }
}

static void ask_server(weir_loop *loop)
{
    with_server(loop, ask_all);
}

UNIT_OF(no_thread_names, the_resolver_needs_no_thread, shortage_run,
        OF_PROCESSES, weir_loop *loop)
{
    ask_server(loop);
}

UNIT_OF(no_thread_names, the_resolver_needs_none_in_a_group_either,
        shortage_run, OF_A_GROUP, weir_loop *loop)
{
    ask_server(loop);
}

struct question {
    weir_lookup *lookup;
    struct weir_address found;
};

static int job(void *arg)
{
    struct question *question = arg;
    struct addrinfo *first;
    const struct addrinfo hints = {.ai_family = AF_INET,
                                   .ai_socktype = SOCK_STREAM,
                                   .ai_flags = AI_NUMERICHOST};
    if (getaddrinfo("127.0.0.1", NULL, &hints, &first) != 0) {
        return WEIR_EDNSNOTFOUND;
    }
    memcpy(&question->found.storage, first->ai_addr, first->ai_addrlen);
    question->found.len = first->ai_addrlen;
    freeaddrinfo(first);
    return 0;
}

static void job_done(void *arg, int result)
{
    struct question *question = arg;
    if (question->lookup) {
        expect_ok(weir_resolver_reply_addresses(question->lookup, 0, result,
                                                &question->found, result == 0));
    }
}

static int ask_by_job(void *user, weir_lookup *lookup, const char *host,
                      int family, void **ret_data)
{
    struct question *question = user;
    weir_loop *loop = weir_get_running_loop();
    *question = (struct question){.lookup = lookup};
    *ret_data = question;
    return weir_executor_submit(loop, job, question, job_done, NULL);
}

static void forget(void *user, weir_lookup *lookup, void *data)
{
    ((struct question *)data)->lookup = NULL;
}

UNIT_OF(no_thread_names, a_resolver_of_jobs_tells_the_lack, shortage_run,
        OF_PROCESSES, weir_loop *loop)
{
    static const struct weir_resolver resolver = {
        .size = sizeof(resolver), .start = ask_by_job, .cancel = forget};
    static struct question question;
    expect_eq(weir_loop_set_resolver(loop, &resolver, &question), 0);
    shortage_begin();
    expect_eq(look_up(loop, "some.example"), -EAGAIN);
    shortage_end();
    expect_eq(look_up(loop, "some.example"), 1);
}
