/*
 * The stream protocol: put on transports by hand, with and without a handler.
 *
 * A handler's failure is told, its return closes, and whatever happens to the
 * connection, the task and the references, everything is given back.
 */
#include "pair.h"
#include "tests/fake/alloc.h"

/* What the exception hook was told, and what the handler saw. */
static struct {
    int reports;
    int err;
    const char *callback;
    weir_transport *transport;
    char task_name[64];
    int calls;
    weir_writer *writer;
    int result;
    int read_result;
} seen;

static void hook(void *arg, weir_loop *on, const struct weir_exception *told)
{
    (void)arg;
    cr_assert_eq(on, loop);
    cr_assert_not_null(told->message);
    seen.reports++;
    seen.err = told->err;
    seen.callback = told->callback;
    seen.transport = told->transport;
    seen.task_name[0] = '\0';
    if (told->task) {
        snprintf(seen.task_name, sizeof(seen.task_name), "%s",
                 weir_task_get_name(told->task));
    }
}

static int create(void *arg, weir_transport *t,
                  struct weir_protocol_binding *ret)
{
    (void)t;
    *ret = *(const struct weir_protocol_binding *)arg;
    return 0;
}

/* Hands a connected socket over, for a protocol. */
static int adopt(struct pair *p, struct weir_protocol_binding *binding)
{
    const struct weir_factory factory = {create, binding};
    struct weir_connect_options options = {.size = sizeof(options),
                                           .use_sock = true};
    p->fd = options.sock = fake_connected_fd(&p->peer);
    return weir_create_connection(loop, &factory, NULL, 0, &options, NULL);
}

/* A connection for a handler; @options has the rest. */
static void serve(struct pair *p, weir_client_connected_fn *handler,
                  struct weir_stream_protocol_options *options)
{
    struct weir_stream_protocol_options own = {.size = sizeof(own)};
    struct weir_protocol_binding binding;

    memset(p, 0, sizeof(*p));
    memset(&seen, 0, sizeof(seen));
    weir_loop_set_exception_handler(loop, hook, NULL);
    options = options ? options : &own;
    options->client_connected = handler;
    options->arg = p;
    cr_assert_eq(weir_stream_protocol_new(loop, options, &binding, NULL), 0);
    cr_assert_eq(adopt(p, &binding), 0);
    nap();
}

static void expect_over(struct pair *p)
{
    nap();
    cr_assert(fake_peer_is_alone(p->peer));
    cr_assert_eq(rig_statistics().connections, 0);
    cr_assert_eq(rig_statistics().tasks, 1, "this one");
    fake_peer_close(p->peer);
}

/* ---- handlers ---- */

static int write_and_return(void *arg, weir_reader *reader, weir_writer *writer)
{
    struct pair *p = arg;
    cr_assert_eq(weir_writer_get_reader(writer), reader);
    seen.calls++;
    snprintf(seen.task_name, sizeof(seen.task_name), "%s",
             weir_task_get_name(weir_task_current(loop)));
    p->writer = writer;
    p->reader = reader;
    cr_assert_eq(pair_write(p, MIB), 0);
    return seen.result;
}

static int return_after_writing(weir_loop *on, void *arg)
{
    char name[64];
    struct pair p;
    (void)on;
    (void)arg;
    serve(&p, write_and_return, NULL);
    cr_assert_eq(seen.calls, 1);
    snprintf(name, sizeof(name), ":%u", fake_peer_port(p.peer));
    cr_assert_eq(strncmp(seen.task_name, "stream ", 7), 0);
    cr_assert_str_eq(strrchr(seen.task_name, ':'), name, "named by its peer");
    cr_assert_not(fake_peer_is_alone(p.peer), "a megabyte waits");
    cr_assert_eq(rig_statistics().tasks, 1, "the handler has returned");

    pair_peer_read_all(&p);
    cr_assert_eq(p.peer_read, MIB);
    cr_assert_eq(seen.reports, 0);
    expect_over(&p);
    return 0;
}

UNIT(stream_protocol, a_handler_that_returns_has_its_stream_closed_gracefully)
{
    cr_assert_eq(rig_run(return_after_writing, NULL), 0);
}

static int fail(void *arg, weir_reader *reader, weir_writer *writer)
{
    (void)arg;
    (void)reader;
    (void)writer;
    seen.calls++;
    return -EPROTO;
}

static int fail_as_cancelled(void *arg, weir_reader *reader,
                             weir_writer *writer)
{
    (void)fail(arg, reader, writer);
    return -ECANCELED;
}

static int fail_both_ways(weir_loop *on, void *arg)
{
    struct pair p;
    (void)on;
    (void)arg;
    serve(&p, fail, NULL);
    cr_assert_eq(seen.reports, 1);
    cr_assert_eq(seen.err, -EPROTO);
    cr_assert_str_eq(seen.callback, "client_connected");
    cr_assert_not_null(seen.transport);
    cr_assert_eq(strncmp(seen.task_name, "stream ", 7), 0);
    expect_over(&p);

    serve(&p, fail_as_cancelled, NULL);
    cr_assert_eq(seen.calls, 1);
    cr_assert_eq(seen.reports, 0, "a cancellation is no failure");
    expect_over(&p);
    return 0;
}

UNIT(stream_protocol, the_hook_sees_that_a_handler_failed)
{
    cr_assert_eq(rig_run(fail_both_ways, NULL), 0);
}

static int close_itself(void *arg, weir_reader *reader, weir_writer *writer)
{
    char byte;
    (void)arg;
    seen.read_result = (int)weir_reader_read(reader, &byte, 1);
    weir_writer_close(writer);
    return weir_writer_wait_closed(writer);
}

static int peer_resets(weir_loop *on, void *arg)
{
    struct pair p;
    (void)on;
    (void)arg;
    serve(&p, close_itself, NULL);
    fake_peer_reset(p.peer);
    nap();
    cr_assert_eq(seen.read_result, -ECONNRESET);
    cr_assert_eq(seen.reports, 1);
    cr_assert_eq(seen.err, -ECONNRESET);
    expect_over(&p);

    serve(&p, close_itself, NULL);
    fake_peer_shutdown(p.peer);
    nap();
    cr_assert_eq(seen.read_result, 0);
    cr_assert_eq(seen.reports, 0);
    expect_over(&p);
    return 0;
}

UNIT(stream_protocol, a_handler_sees_how_its_peer_ends)
{
    cr_assert_eq(rig_run(peer_resets, NULL), 0);
}

static int keep_writer(void *arg, weir_reader *reader, weir_writer *writer)
{
    (void)arg;
    (void)reader;
    seen.writer = weir_writer_ref(writer);
    return 0;
}

static int keep_beyond_the_handler(weir_loop *on, void *arg)
{
    struct pair p;
    (void)on;
    (void)arg;
    serve(&p, keep_writer, NULL);
    cr_assert_eq(weir_writer_wait_closed(seen.writer), 0);
    cr_assert_eq(weir_transport_end(weir_writer_get_transport(seen.writer)),
                 WEIR_END_CLOSED);
    weir_writer_unref(seen.writer);
    expect_over(&p);
    return 0;
}

UNIT(stream_protocol, a_reference_keeps_the_stream_but_not_the_connection)
{
    cr_assert_eq(rig_run(keep_beyond_the_handler, NULL), 0);
}

/* ---- without a task ---- */

static int read_in_callback(void *arg, weir_reader *reader, weir_writer *writer)
{
    char byte;
    (void)arg;
    cr_assert_null(weir_task_current(loop));
    seen.calls++;
    seen.read_result = (int)weir_reader_read(reader, &byte, 1);
    seen.writer = seen.result == 1 ? weir_writer_ref(writer) : NULL;
    return seen.result == 1 ? 0 : seen.result;
}

static int read_and_keep(void *arg, weir_reader *reader, weir_writer *writer)
{
    seen.result = 1;
    return read_in_callback(arg, reader, writer);
}

static int read_and_fail(void *arg, weir_reader *reader, weir_writer *writer)
{
    seen.result = -EPROTO;
    seen.writer = weir_writer_ref(writer);
    weir_writer *kept = seen.writer;
    int err = read_in_callback(arg, reader, writer);
    seen.writer = kept;
    return err;
}

static int serve_without_task(weir_loop *on, void *arg)
{
    struct weir_stream_protocol_options options = {.size = sizeof(options),
                                                   .no_task = true};
    struct pair p;
    (void)on;
    (void)arg;
    serve(&p, read_in_callback, &options);
    cr_assert_eq(seen.calls, 1);
    cr_assert_eq(seen.read_result, WEIR_ENOTTASK);
    expect_over(&p); /* nobody kept it */

    serve(&p, read_and_keep, &options);
    p.writer = seen.writer;
    p.reader = weir_writer_get_reader(seen.writer);
    pair_peer_write(&p, "alive");
    pair_expect_read(&p, "alive");
    weir_writer_unref(seen.writer);
    expect_over(&p);

    serve(&p, read_and_fail, &options);
    cr_assert_eq(seen.reports, 1);
    cr_assert_eq(seen.err, -EPROTO);
    cr_assert_str_eq(seen.task_name, "", "there was none");
    cr_assert_eq(weir_writer_wait_closed(seen.writer), 0, "it was closed");
    weir_writer_unref(seen.writer);
    expect_over(&p);
    return 0;
}

UNIT(stream_protocol, a_callback_keeps_the_stream_by_a_reference)
{
    cr_assert_eq(rig_run(serve_without_task, NULL), 0);
}

/* ---- life of the protocol ---- */

static int make_badly(weir_loop *on, void *arg)
{
    struct weir_protocol_binding binding;
    weir_writer *writer;
    struct {
        struct weir_stream_protocol_options known;
        uint64_t unknown;
    } larger = {.known = {.size = sizeof(larger)}, .unknown = 1};
    struct weir_stream_protocol_options options = {.size = sizeof(options)};
    (void)arg;
    cr_assert_eq(weir_stream_protocol_new(on, NULL, &binding, NULL), -EINVAL,
                 "nobody would have it");
    options.limit_bytes = -1;
    cr_assert_eq(weir_stream_protocol_new(on, &options, &binding, &writer),
                 -EINVAL);
    options.limit_bytes = 0;
    options.stack_size_bytes = 1;
    cr_assert_eq(weir_stream_protocol_new(on, &options, &binding, &writer),
                 -EINVAL);
    options.size = 0;
    cr_assert_eq(weir_stream_protocol_new(on, &options, &binding, &writer),
                 -EINVAL);
    cr_assert_eq(weir_stream_protocol_new(on, &larger.known, &binding, &writer),
                 -E2BIG);
    return 0;
}

UNIT(stream_protocol, options_are_looked_at)
{
    cr_assert_eq(rig_run(make_badly, NULL), 0);
}

static int use_twice(weir_loop *on, void *arg)
{
    struct weir_protocol_binding binding;
    struct pair first;
    struct pair second;
    (void)arg;
    memset(&first, 0, sizeof(first));
    memset(&seen, 0, sizeof(seen));
    weir_loop_set_exception_handler(on, hook, NULL);
    cr_assert_eq(weir_stream_protocol_new(on, NULL, &binding, &first.writer),
                 0);
    cr_assert_eq(adopt(&first, &binding), 0);
    nap();
    cr_assert_eq(adopt(&second, &binding), 0);
    nap();
    cr_assert_eq(seen.reports, 1);
    cr_assert_eq(seen.err, -EBUSY);
    cr_assert(fake_peer_is_alone(second.peer));
    fake_peer_close(second.peer);

    first.reader = weir_writer_get_reader(first.writer);
    pair_peer_write(&first, "first");
    pair_expect_read(&first, "first");
    weir_writer_unref(first.writer);
    expect_over(&first);
    return 0;
}

UNIT(stream_protocol, a_second_connection_is_refused)
{
    cr_assert_eq(rig_run(use_twice, NULL), 0);
}

/* A protocol that reads a greeting and then puts a stream in its place. */
struct greeter {
    struct pair p;
};

static int greeting_received(void *user, weir_transport *t,
                             const struct weir_buf *buf)
{
    struct greeter *greeter = user;
    struct weir_protocol_binding binding;
    struct weir_buf rest = *buf;

    cr_assert_arr_eq(buf->data, "HELLO", 5);
    rest.data += 5;
    rest.len -= 5;
    weir_lease_ref(rest.lease);
    cr_assert_eq(
        weir_stream_protocol_new(loop, NULL, &binding, &greeter->p.writer), 0);
    cr_assert_eq(weir_transport_set_protocol(t, &binding, &rest, 1), 0);
    binding.protocol->connection_made(binding.user, t);
    return 0;
}

static int switch_to_stream(weir_loop *on, void *arg)
{
    static const struct weir_protocol table = {.size = sizeof(table),
                                               .kind = WEIR_PROTOCOL_STREAM,
                                               .data_received =
                                                   greeting_received};
    struct greeter greeter = {.p = {.peer = NULL}};
    struct weir_protocol_binding binding = {&table, &greeter};
    struct pair *p = &greeter.p;
    (void)on;
    (void)arg;
    cr_assert_eq(adopt(p, &binding), 0);
    nap();
    pair_peer_write(p, "HELLOread ahead");
    nap();
    p->reader = weir_writer_get_reader(p->writer);
    p->t = weir_writer_get_transport(p->writer);
    pair_expect_read(p, "read ahead");
    pair_peer_write(p, "more");
    pair_expect_read(p, "more");
    pair_close(p);
    return 0;
}

UNIT(stream_protocol, a_stream_takes_a_transport_over_with_what_was_read_ahead)
{
    cr_assert_eq(rig_run(switch_to_stream, NULL), 0);
}

static int small_limit(void *arg, weir_reader *reader, weir_writer *writer)
{
    char line[64];
    (void)arg;
    (void)writer;
    seen.read_result = (int)weir_reader_readline(reader, line, sizeof(line));
    return 0;
}

static int limit_the_reader(weir_loop *on, void *arg)
{
    struct weir_stream_protocol_options options = {.size = sizeof(options),
                                                   .limit_bytes = 10};
    struct pair p;
    (void)on;
    (void)arg;
    serve(&p, small_limit, &options);
    pair_peer_write(&p, "more than ten\n");
    nap();
    cr_assert_eq(seen.read_result, WEIR_ELIMIT);
    expect_over(&p);
    return 0;
}

UNIT(stream_protocol, the_limit_is_the_readers)
{
    cr_assert_eq(rig_run(limit_the_reader, NULL), 0);
}

static int read_one(weir_writer *writer)
{
    char byte;
    return (int)weir_reader_read(weir_writer_get_reader(writer), &byte, 1);
}

static int read_twice(weir_loop *on, void *arg)
{
    struct call first;
    struct call second;
    struct pair p;
    (void)on;
    (void)arg;
    pair_open(&p);
    call_start(&first, &p, read_one);
    call_start(&second, &p, read_one);
    nap();
    cr_assert_eq(call_end(&second), -EBUSY);
    pair_peer_write(&p, "x");
    nap();
    cr_assert_eq(call_end(&first), 1);
    pair_close(&p);
    return 0;
}

UNIT(stream_protocol, a_second_reader_is_told_that_there_is_one)
{
    cr_assert_eq(rig_run(read_twice, NULL), 0);
}

/* ---- the loop's end ---- */

static struct pair left;
static int drain_result;

static int wait_for_ever(void *arg, weir_reader *reader, weir_writer *writer)
{
    char byte;
    (void)arg;
    left.writer = weir_writer_ref(writer);
    left.reader = reader;
    seen.read_result = (int)weir_reader_read(reader, &byte, 1);
    drain_result = weir_writer_drain(writer);
    return seen.read_result;
}

static int leave_a_stream(weir_loop *on, void *arg)
{
    (void)on;
    (void)arg;
    serve(&left, wait_for_ever, NULL);
    return 0;
}

UNIT(stream_protocol, a_stream_outlives_its_loop_and_says_how_it_ended)
{
    static const struct fake_options machine = {.seed = 1};
    int result;
    fake_start(&machine);
    cr_assert_eq(weir_loop_new(NULL, &loop), 0);
    cr_assert_eq(weir_loop_run_task(loop, leave_a_stream, NULL, &result), 0);

    cr_assert_eq(weir_loop_free(loop), 1, "one connection was alive");

    cr_assert_eq(seen.read_result, -ECANCELED);
    cr_assert_eq(drain_result, -ECANCELED, "every suspending call");
    cr_assert_eq(weir_reader_exception(left.reader), -ECONNABORTED);
    cr_assert_lt(weir_writer_write(left.writer, "x", 1), 0);
    cr_assert(weir_writer_is_closing(left.writer));
    weir_writer_unref(left.writer);
    fake_peer_close(left.peer);
    fake_stop();
}

/* ---- no memory ---- */

static struct fake_alloc memory;

static int write_little(void *arg, weir_reader *reader, weir_writer *writer)
{
    (void)arg;
    (void)reader;
    return weir_writer_write(writer, "hello", 5);
}

/* The allocation that comes as number @arg fails; has any? */
static int serve_without_memory(weir_loop *on, void *arg)
{
    const struct weir_stream_protocol_options options = {
        .size = sizeof(options),
        .client_connected = write_little,
        .stack_size_bytes = 256 * KIB}; /* a size that nobody had yet */
    struct weir_protocol_binding binding;
    struct pair p = {.peer = NULL};

    memset(&seen, 0, sizeof(seen));
    weir_loop_set_exception_handler(on, hook, NULL);
    const uint64_t failed = memory.failed;
    memory.fail_at = memory.count + *(uint64_t *)arg;
    int err = weir_stream_protocol_new(on, &options, &binding, &p.writer);
    if (err == 0) {
        err = adopt(&p, &binding);
        nap();
        weir_writer_unref(p.writer);
    }
    memory.fail_at = 0;
    cr_assert(err == 0 || err == -ENOMEM);
    nap();
    if (p.peer) {
        expect_over(&p);
    }
    cr_assert_leq(seen.reports, 1);
    cr_assert(seen.reports == 0 || seen.err == -ENOMEM);
    return memory.failed > failed ? 1 : 0;
}

UNIT(stream_protocol, without_memory_a_connection_ends_and_nothing_is_left)
{
    static const struct fake_options machine = {.seed = 1};
    const struct weir_loop_options options = {.size = sizeof(options),
                                              .allocator = &memory.hooks};
    uint64_t count = 0;
    int has_failed = 1;
    int reports = 0;

    while (has_failed) {
        count++;
        fake_start(&machine);
        fake_alloc_init(&memory);
        cr_assert_eq(weir_loop_new(&options, &loop), 0);
        has_failed = rig_main(serve_without_memory, &count);
        reports += seen.reports;
        rig_stop();
        fake_alloc_check(&memory);
    }
    cr_assert_geq(count, 6, "only %d", (int)count);
    cr_assert_geq(reports, 1, "a handler without a task is told of");
}
