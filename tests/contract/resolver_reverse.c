/*
 * Names of addresses, looked up with the program's own resolver.
 *
 * It answers as a table's row says: with a name, with an error, or never. A
 * resolver without this function knows no names.
 */
#include "tests/unit.h"

#include <errno.h>
#include <weir/error.h>
#include <weir/resolver.h>
#include <weir/task.h>

#define MS UINT64_C(1000000)

static weir_loop *loop;

struct row {
    void (*answer)(weir_lookup *lookup);
    int start_result;
    int result;
};

static int start(void *user, weir_lookup *lookup, const char *host, int family,
                 void **ret_data)
{
    cr_assert_fail("no address is asked for");
    return WEIR_EDNSNOTFOUND;
}

static int start_reverse(void *user, weir_lookup *lookup,
                         const struct weir_address *address, void **ret_data)
{
    const struct row *row = *(const struct row **)user;
    char text[WEIR_ADDRESS_TEXT_SIZE];
    expect_str_eq(weir_address_format(address, text, sizeof(text)),
                  "192.0.2.9:1");
    if (row->answer) {
        row->answer(lookup);
    }
    return row->start_result;
}

static void cancel(void *user, weir_lookup *lookup, void *data)
{
}

static const struct weir_resolver without_names = {
    .size = sizeof(without_names), .start = start, .cancel = cancel};
static const struct weir_resolver with_names = {.size = sizeof(with_names),
                                                .start = start,
                                                .start_reverse = start_reverse,
                                                .cancel = cancel};

static const struct weir_address *one_address(void)
{
    static struct weir_address address;
    expect_eq(weir_address_parse("192.0.2.9", 1, &address), 0);
    return &address;
}

static void answer_with_a_name(weir_lookup *lookup)
{
    expect_eq(weir_resolver_reply_name(lookup, 0, NULL), -EINVAL);
    expect_eq(weir_resolver_reply_name(lookup, 1, "a"), -EINVAL);
    expect_eq(weir_resolver_reply_addresses(lookup, 0, 0, one_address(), 1),
              -EINVAL);
    expect_eq(weir_resolver_reply_srv(lookup, WEIR_EDNSREFUSED, NULL, 0),
              -EINVAL);
    expect_eq(weir_lookup_set_ttl(lookup, MS), -EINVAL);
    expect_eq(weir_lookup_set_canonical_name(lookup, "a"), -EINVAL);
    expect_eq(weir_resolver_reply_name(lookup, 0, "host.example"), 0);
    expect_eq(weir_resolver_reply_name(lookup, 0, "other.example"), -ESTALE);
}

static void answer_with_no_name(weir_lookup *lookup)
{
    expect_eq(weir_resolver_reply_name(lookup, 0, "a b"), 0);
}

static void answer_with_an_error(weir_lookup *lookup)
{
    expect_eq(weir_resolver_reply_name(lookup, WEIR_EDNSREFUSED, "a"), 0);
}

static const struct row rows[] = {
    {answer_with_a_name, 0, 0},
    {answer_with_no_name, 0, WEIR_EDNSBADANSWER},
    {answer_with_an_error, 0, WEIR_EDNSREFUSED},
    {NULL, -EHOSTDOWN, -EHOSTDOWN},
    {NULL, 0, WEIR_EDNSTIMEOUT},
};

static int ask_for_names(weir_loop *on, void *arg)
{
    const struct weir_getnameinfo_options required = {.size = sizeof(required),
                                                      .timeout_ns = 5000 * MS,
                                                      .name_required = true};
    const struct row **row = arg;
    for (*row = rows; *row < rows + sizeof(rows) / sizeof(rows[0]); ++*row) {
        struct weir_nameinfo info = {.size = sizeof(info)};
        expect_eq(weir_getnameinfo(on, one_address(), &required, &info),
                  (*row)->result, "%zu", (size_t)(*row - rows));
        expect_str_eq(info.host, (*row)->result == 0 ? "host.example" : "");
    }
    return 0;
}

UNIT(resolver_reverse, it_is_asked_for_names_of_addresses)
{
    const struct row *row = NULL;
    expect_eq(weir_loop_new(NULL, &loop), 0);
    expect_eq(weir_loop_set_resolver(loop, &with_names, &row), 0);
    expect_eq(weir_loop_run_task(loop, ask_for_names, &row, NULL), 0);
    expect_eq(weir_loop_free(loop), 0);
}

static int ask_without_names(weir_loop *on, void *arg)
{
    struct weir_nameinfo info = {.size = sizeof(info)};
    expect_eq(weir_getnameinfo(on, one_address(), NULL, &info), 0);
    expect_str_eq(info.host, "192.0.2.9");
    return 0;
}

UNIT(resolver_reverse, without_its_function_addresses_are_numbers)
{
    expect_eq(weir_loop_new(NULL, &loop), 0);
    expect_eq(weir_loop_set_resolver(loop, &without_names, NULL), 0);
    expect_eq(weir_loop_run_task(loop, ask_without_names, NULL, NULL), 0);
    expect_eq(weir_loop_free(loop), 0);
}
