/*
 * The exception hook that prints: weir_print_exception().
 *
 * Each test reads back what the hook wrote to a file in memory: the program's
 * own exceptions, and those that the library reports.
 */
#include "tests/contract/loop_rig.h"

#include <weir/stream.h>
#include <weir/task.h>

static FILE *out;
static char *text;
static size_t size;

/* Ignores the notice that io_uring is refused, which must not be printed. */
static void hear_nothing(void *arg, weir_loop *l,
                         const struct weir_exception *exception)
{
    expect_eq(exception->notice, WEIR_NOTICE_ENGINE);
}

static void open_printing(uint64_t slow_callback_ns)
{
    const struct weir_loop_options options = {
        .size = sizeof(options), .slow_callback_ns = slow_callback_ns};
    text = NULL;
    out = open_memstream(&text, &size);
    cr_assert_not_null(out);
    open_loop(&options);
    weir_loop_set_exception_handler(loop, hear_nothing, NULL);
    one_turn();
    weir_loop_set_exception_handler(loop, weir_print_exception, out);
}

static void close_printing(void)
{
    weir_loop_set_exception_handler(loop, NULL, NULL);
    close_loop();
    fclose(out);
    free(text);
}

static const char *printed(void)
{
    fflush(out);
    return text;
}

UNIT(exception_print, an_error_has_its_message_its_text_and_its_callback)
{
    const struct weir_exception failed = {.size = sizeof(failed),
                                          .message = "it failed",
                                          .err = -EIO,
                                          .callback = "my_callback"};
    const struct weir_exception bare = {.size = sizeof(bare), .message = NULL};
    open_printing(0);
    expect_eq(weir_loop_call_exception_handler(loop, &failed), 0);
    expect_str_eq(printed(), "weir: it failed: Input/output error (EIO); in "
                             "my_callback\n");
    expect_eq(weir_loop_call_exception_handler(loop, &bare), 0);
    cr_assert(strstr(printed(), "my_callback\nweir: exception\n"), "%s", text);
    const struct weir_exception positive = {.size = sizeof(positive), .err = 5};
    expect_eq(weir_loop_call_exception_handler(loop, &positive), 0);
    cr_assert(strstr(printed(), "weir: exception: error 5\n"), "%s", text);
    close_printing();
}

static int fail(weir_loop *l, void *arg)
{
    return -EPROTO;
}

UNIT(exception_print, a_task_that_fails_is_named)
{
    const struct weir_task_options named = {.size = sizeof(named),
                                            .name = "worker 7"};
    open_printing(0);
    expect_eq(weir_task_spawn(loop, fail, NULL, &named, NULL), 0);
    expect_eq(weir_task_spawn(loop, fail, NULL, NULL, NULL), 0);
    one_turn();
    expect_str_eq(printed(),
                  "weir: a task that nobody waits for has failed: Protocol "
                  "error (EPROTO); task worker 7\n"
                  "weir: a task that nobody waits for has failed: Protocol "
                  "error (EPROTO)\n");
    close_printing();
}

static void spin_2_ms(void *arg)
{
    spin(2 * MS);
}

UNIT(exception_print, a_slow_callback_has_its_time)
{
    open_printing(1 * MS);
    soon(spin_2_ms, NULL);
    one_turn();
    cr_assert(strstr(printed(), "weir: slow callback; in call_soon; took "),
              "%s", text);
    cr_assert(strstr(text, " ms\n"), "%s", text);
    close_printing();
}

static int leave(void *arg, weir_reader *reader, weir_writer *writer)
{
    return 0;
}

static void expect_end(const char *before, const struct weir_address *address)
{
    char peer[WEIR_ADDRESS_TEXT_SIZE];
    char end[WEIR_ADDRESS_TEXT_SIZE + 64];
    snprintf(end, sizeof(end), "%s%s", before,
             weir_address_format(address, peer, sizeof(peer)));
    cr_assert(strstr(printed(), end), "%s", text);
}

static int report_both(weir_loop *l, void *arg)
{
    struct weir_exception what = {
        .size = sizeof(what), .message = "trouble", .err = -EMFILE};
    struct weir_address address;
    weir_reader *reader;
    weir_writer *writer;
    expect_ok(weir_start_server(l, leave, "127.0.0.1", 0, NULL, &what.server));
    cr_assert_geq(weir_server_get_socket(what.server, 0, &address), 0);
    expect_eq(weir_loop_call_exception_handler(l, &what), 0);
    expect_end("weir: trouble: Too many open files (EMFILE); server ",
               &address);
    expect_ok(weir_open_connection(l, "127.0.0.1",
                                   ntohs(address.storage.inet.sin_port), NULL,
                                   &reader, &writer));
    what.transport = weir_writer_get_transport(writer);
    expect_eq(weir_loop_call_exception_handler(l, &what), 0);
    expect_end("(EMFILE); connection tcp ", &address);
    weir_writer_close(writer);
    cr_assert_leq(weir_writer_wait_closed(writer), 0);
    weir_writer_unref(writer);
    weir_server_close(what.server);
    expect_eq(weir_server_wait_closed(what.server), 0);
    weir_server_free(what.server);
    return 0;
}

UNIT(exception_print, a_server_and_a_connection_have_their_addresses)
{
    int result = 1;
    open_printing(0);
    expect_eq(weir_loop_run_task(loop, report_both, NULL, &result), 0);
    expect_eq(result, 0);
    close_printing();
}

UNIT(exception_print, without_a_file_it_is_stderr)
{
    const struct weir_exception failed = {.size = sizeof(failed),
                                          .message = "shown on stderr"};
    open_printing(0);
    weir_print_exception(NULL, loop, &failed);
    expect_eq(strlen(printed()), 0);
    close_printing();
}
