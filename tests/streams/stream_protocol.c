/*
 * The stream protocol: put on transports by hand.
 *
 * Whatever happens to the connection, the loop, the memory and the references,
 * everything is given back.
 */
#include "handler.h"
#include "tests/bind.h"

static void end_by_hand(void (*end)(weir_reader *reader), int result)
{
    struct pair p;
    char text[8] = "";
    pair_open(&p);
    weir_loop_set_exception_handler(loop, hook, NULL);
    memset(&seen, 0, sizeof(seen));
    pair_peer_says(&p, "before");

    end(p.reader);
    pair_peer_says(&p, "after");
    expect_eq(weir_transport_get_error(p.t), 0);
    expect_eq(seen.reports, 0);
    pair_expect_read(&p, "before");
    expect_eq(weir_reader_read(p.reader, text, 1), result);
    expect_eq(weir_reader_feed_data(p.reader, "by hand", 7), -ESHUTDOWN);

    expect_eq(weir_writer_write(p.writer, "answer", 6), 0);
    expect_eq(weir_writer_flush(p.writer), 0);
    expect_eq(fake_peer_read(p.peer, text, sizeof(text)), 6);
    pair_close(&p);
}

static void fail_reader(weir_reader *reader)
{
    weir_reader_set_exception(reader, -EPROTO);
}

TASK(stream_protocol, a_reader_that_is_ended_by_hand_leaves_the_writer_alone)
{
    end_by_hand(fail_reader, -EPROTO);
    end_by_hand(weir_reader_feed_eof, 0);
}

TASK(stream_protocol, options_are_looked_at)
{
    struct weir_protocol_binding binding;
    weir_writer *writer;
    struct {
        struct weir_stream_options known;
        uint64_t unknown;
    } larger = {.known = {.size = sizeof(larger)}, .unknown = 1};
    struct weir_stream_options options = {.size = sizeof(options)};
    expect_eq(weir_stream_protocol_new(loop, NULL, &binding, NULL), -EINVAL,
              "without a handler the writer must be asked for");
    options.limit_bytes = UINT64_MAX;
    expect_eq(weir_stream_protocol_new(loop, &options, &binding, &writer),
              -EINVAL);
    options.limit_bytes = 0;
    options.stack_size_bytes = 1;
    expect_eq(weir_stream_protocol_new(loop, &options, &binding, &writer),
              -EINVAL);
    options.size = 0;
    expect_eq(weir_stream_protocol_new(loop, &options, &binding, &writer),
              WEIR_EOPTIONSIZE);
    expect_eq(weir_stream_protocol_new(loop, &larger.known, &binding, &writer),
              -E2BIG);
}

TASK(stream_protocol, a_second_connection_is_refused)
{
    struct weir_protocol_binding binding;
    struct pair first;
    struct pair second;
    memset(&first, 0, sizeof(first));
    memset(&seen, 0, sizeof(seen));
    weir_loop_set_exception_handler(loop, hook, NULL);
    expect_eq(weir_stream_protocol_new(loop, NULL, &binding, &first.writer), 0);
    expect_eq(adopt(&first, &binding), 0);
    nap();
    expect_eq(adopt(&second, &binding), 0);
    nap();
    expect_eq(seen.reports, 1);
    expect_eq(seen.err, -EBUSY);
    cr_assert(fake_peer_is_alone(second.peer));
    fake_peer_close(second.peer);

    first.reader = weir_writer_get_reader(first.writer);
    pair_peer_write(&first, "first");
    pair_expect_read(&first, "first");
    weir_writer_unref(first.writer);
    expect_over(&first);
}

/* A protocol that reads a greeting and is then replaced by a stream. */
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
    expect_ok(
        weir_stream_protocol_new(loop, NULL, &binding, &greeter->p.writer));
    expect_eq(weir_transport_set_protocol(t, &binding, &rest, 1), 0);
    binding.protocol->connection_made(binding.user, t);
    return 0;
}

TASK(stream_protocol, a_stream_takes_a_transport_over_with_what_was_read_ahead)
{
    static CALLBACKS(table, STREAM, .data_received = greeting_received);
    struct greeter greeter = {.p = {.peer = NULL}};
    struct weir_protocol_binding binding = {&table, &greeter};
    struct pair *p = &greeter.p;
    expect_eq(adopt(p, &binding), 0);
    nap();
    pair_peer_says(p, "HELLOread ahead");
    p->reader = weir_writer_get_reader(p->writer);
    p->t = weir_writer_get_transport(p->writer);
    pair_expect_read(p, "read ahead");
    pair_peer_write(p, "more");
    pair_expect_read(p, "more");
    pair_close(p);
}

/* A protocol that forwards all callbacks to a stream's protocol. */
struct wrapper {
    struct weir_protocol_binding inner;
    struct pair p;
    uint64_t received;
};

static void wrapper_made(void *user, weir_transport *t)
{
    const struct wrapper *wrapper = user;
    wrapper->inner.protocol->connection_made(wrapper->inner.user, t);
}

static void wrapper_lost(void *user, weir_transport *t, int err)
{
    const struct wrapper *wrapper = user;
    wrapper->inner.protocol->connection_lost(wrapper->inner.user, t, err);
}

static void wrapper_resume(void *user, weir_transport *t)
{
    const struct wrapper *wrapper = user;
    wrapper->inner.protocol->resume_writing(wrapper->inner.user, t);
}

static int wrapper_received(void *user, weir_transport *t,
                            const struct weir_buf *buf)
{
    struct wrapper *wrapper = user;
    wrapper->received += buf->len;
    return wrapper->inner.protocol->data_received(wrapper->inner.user, t, buf);
}

TASK(stream_protocol, a_protocol_can_be_built_around_it)
{
    static CALLBACKS(table, STREAM, .connection_made = wrapper_made,
                     .connection_lost = wrapper_lost,
                     .resume_writing = wrapper_resume,
                     .data_received = wrapper_received);
    struct wrapper wrapper = {.received = 0};
    struct weir_protocol_binding binding = {&table, &wrapper};
    struct pair *p = &wrapper.p;
    struct writer_call drain;
    struct writer_call flush;
    expect_ok(weir_stream_protocol_new(loop, NULL, &wrapper.inner, &p->writer));
    expect_eq(adopt(p, &binding), 0);
    nap();
    p->t = weir_writer_get_transport(p->writer);
    p->reader = weir_writer_get_reader(p->writer);
    pair_peer_write(p, "through");
    pair_expect_read(p, "through");
    expect_eq(wrapper.received, 7);
    expect_eq(pair_write(p, MIB), 0);
    call_start(&drain, p, weir_writer_drain);
    call_start(&flush, p, weir_writer_flush);
    pair_peer_read_all(p);
    expect_eq(call_end(&drain), 0);
    expect_eq(call_end(&flush), 0);
    weir_writer_unref(p->writer);
    expect_over(p);
}

static int read_in_callback(void *arg, weir_reader *reader, weir_writer *writer)
{
    char byte;
    seen.calls++;
    seen.read_result = (int)weir_reader_read(reader, &byte, 1);
    return 0;
}

/* A task calls connection_made, but a callback must not suspend. */
TASK(stream_protocol, a_callback_may_not_suspend_on_the_stack_of_a_task)
{
    const struct weir_stream_options options = {.size = sizeof(options),
                                                .client_connected =
                                                    read_in_callback,
                                                .no_task = true};
    struct weir_protocol_binding binding;
    struct pair p;
    pair_open(&p);
    const struct weir_protocol_binding old = weir_transport_get_protocol(p.t);
    expect_eq(weir_stream_protocol_new(loop, &options, &binding, NULL), 0);
    expect_eq(weir_transport_set_protocol(p.t, &binding, NULL, 0), 0);
    old.protocol->connection_lost(old.user, p.t, 0);
    weir_writer_unref(p.writer);
    binding.protocol->connection_made(binding.user, p.t);
    expect_eq(seen.calls, 1);
    expect_eq(seen.read_result, WEIR_ENOTTASK);
    cr_assert_not_null(weir_task_get_current(loop),
                       "the current task is as before");
    expect_over(&p); /* no reference is left */
}

static int small_limit(void *arg, weir_reader *reader, weir_writer *writer)
{
    char line[64];
    seen.read_result = (int)weir_reader_readline(reader, line, sizeof(line));
    return 0;
}

TASK(stream_protocol, the_limit_is_the_readers)
{
    struct weir_stream_options options = {.size = sizeof(options),
                                          .limit_bytes = 10};
    struct pair p;
    serve(&p, small_limit, &options);
    pair_peer_says(&p, "more than ten\n");
    expect_eq(seen.read_result, WEIR_ELIMIT);
    expect_over(&p);
}

static int read_one(weir_writer *writer)
{
    char byte;
    return (int)weir_reader_read(weir_writer_get_reader(writer), &byte, 1);
}

UNIT_IN(stream_protocol, a_second_reader_is_told_that_there_is_one, pair_test,
        struct pair *p)
{
    struct writer_call first;
    struct writer_call second;
    call_start(&first, p, read_one);
    call_start(&second, p, read_one);
    nap();
    expect_eq(call_end(&second), -EBUSY);
    pair_peer_says(p, "x");
    expect_eq(call_end(&first), 1);
}

static struct pair left;
static int drain_result;

static int wait_for_ever(void *arg, weir_reader *reader, weir_writer *writer)
{
    char byte;
    left.writer = weir_writer_ref(writer);
    left.reader = reader;
    seen.read_result = (int)weir_reader_read(reader, &byte, 1);
    drain_result = weir_writer_drain(writer);
    return seen.read_result;
}

static int leave_a_stream(weir_loop *on, void *arg)
{
    serve(&left, wait_for_ever, NULL);
    return 0;
}

UNIT(stream_protocol, a_stream_outlives_its_loop_and_says_how_it_ended)
{
    static const struct fake_options machine = {.seed = 1};
    int result;
    fake_start(&machine);
    expect_eq(weir_loop_new(NULL, &loop), 0);
    expect_eq(weir_loop_run_task(loop, leave_a_stream, NULL, &result), 0);

    expect_eq(weir_loop_free(loop), 1, "one connection was alive");

    expect_eq(seen.read_result, -ECANCELED);
    expect_eq(drain_result, -ECANCELED, "every suspending call is cancelled");
    expect_eq(weir_reader_get_exception(left.reader), -ECONNABORTED);
    expect_lt(weir_writer_write(left.writer, "x", 1), 0);
    cr_assert(weir_writer_is_closing(left.writer));
    weir_writer_unref(left.writer);
    fake_peer_close(left.peer);
    fake_stop();
}

static int write_little(void *arg, weir_reader *reader, weir_writer *writer)
{
    return weir_writer_write(writer, "hello", 5);
}

static int serve_without_memory(weir_loop *on, void *arg)
{
    const struct weir_stream_options options = {
        .size = sizeof(options),
        .client_connected = write_little,
        .stack_size_bytes = 512 * KIB}; /* a size of which no block is cached */
    struct weir_protocol_binding binding;
    struct pair p = {.peer = NULL};

    memset(&seen, 0, sizeof(seen));
    weir_loop_set_exception_handler(on, hook, NULL);
    walk_begin(&rig_memory);
    int err = weir_stream_protocol_new(on, &options, &binding, &p.writer);
    if (err == 0) {
        err = adopt(&p, &binding);
        nap();
        weir_transport *t = weir_writer_get_transport(p.writer);
        cr_assert(seen.reports == 0 ||
                  weir_transport_get_end(t) == WEIR_END_ABORTED);
        weir_writer_unref(p.writer);
    }
    cr_assert(err == 0 || (walk_end(&rig_memory) && err == -ENOMEM));
    nap();
    if (p.peer) {
        expect_over(&p);
    }
    expect_leq(seen.reports, 1);
    cr_assert(seen.reports == 0 || seen.err == -ENOMEM);
    *(int *)arg += seen.reports;
    return 0;
}

UNIT(stream_protocol, without_memory_a_connection_ends_and_nothing_is_left)
{
    int reports = 0;

    expect_geq(rig_walk(serve_without_memory, &reports), 5);
    expect_geq(reports, 1, "a handler without a task is told of");
}
