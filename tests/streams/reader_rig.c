/*
 * A call on a reader without a connection; see reader_rig.h.
 *
 * The test adds bytes to the reader; a call is made at once or in a separate
 * task, and its bytes are copied to one place, whatever the call.
 */
#include "tests/streams/reader_rig.h"

weir_reader *reader;
struct weir_separator separators[16] = {{"\n", 1}};
size_t separator_count = 1;

static ssize_t make_call(struct reader_call *call)
{
    switch (call->how) {
    case READ:
        return weir_reader_read(reader, call->buf, call->len);
    case READ_VIEW:
        return weir_reader_read_view(reader, call->len, &call->got);
    case TAKE:
        return weir_reader_take(reader, call->len, &call->got);
    case EXACTLY:
        return weir_reader_readexactly(reader, call->buf, call->len);
    case EXACTLY_VIEW:
        return weir_reader_readexactly_view(reader, call->len, &call->got);
    case LINE:
        return weir_reader_readline(reader, call->buf, call->len);
    case LINE_VIEW:
        return weir_reader_readline_view(reader, &call->got);
    case UNTIL:
        return weir_reader_readuntil(reader, separators, separator_count,
                                     call->buf, call->len);
    case UNTIL_VIEW:
        return weir_reader_readuntil_view(reader, separators, separator_count,
                                          &call->got);
    case FILL:
        return weir_reader_fill(reader, call->len);
    case TO_END:
        return weir_reader_read_to_end(reader, call->len, &call->got);
    case HOW_COUNT:
        break;
    }
    return -EINVAL;
}

static bool gives_lease(enum how how)
{
    return how == TAKE || how == TO_END;
}

/* Makes the call, and copies its bytes to buf. */
static ssize_t call_now(struct reader_call *call)
{
    call->got = (struct weir_buf){0};
    call->result = make_call(call);
    if (call->result > 0 && call->got.data) {
        cr_assert_eq(call->got.len, (size_t)call->result);
        cr_assert_leq(call->got.len, sizeof(call->buf));
        memcpy(call->buf, call->got.data, call->got.len);
        if (gives_lease(call->how)) {
            weir_buf_unref(call->got.lease);
        }
    }
    call->is_done = true;
    return call->result;
}

static int run_call(weir_loop *on, void *arg)
{
    struct reader_call *call = (struct reader_call *)arg;
    cr_assert_eq(on, loop);
    call_now(call);
    return 0;
}

void turn_over(void)
{
    cr_assert_eq(weir_yield(loop), 0);
    cr_assert_eq(weir_yield(loop), 0);
}

void read_start(struct reader_call *call, enum how how, size_t len)
{
    call->how = how;
    call->len = len;
    call->is_done = false;
    call->result = 1;
    call->task = rig_spawn(run_call, call);
    turn_over();
}

ssize_t read_end(struct reader_call *call)
{
    cr_assert_eq(rig_join(call->task), 0);
    return call->result;
}

void feed(const char *text)
{
    cr_assert_eq(weir_reader_feed_data(reader, text, strlen(text)), 0);
}

void feed_now(const char *text)
{
    feed(text);
    turn_over();
}

void expect(enum how how, size_t len, const char *text)
{
    static struct reader_call call;
    call.how = how;
    call.len = len;
    const ssize_t result = call_now(&call);
    cr_assert_eq(result, (ssize_t)strlen(text), "%zd for \"%s\"", result, text);
    cr_assert_arr_eq(call.buf, text, strlen(text));
}

void expect_error(enum how how, size_t len, ssize_t error)
{
    static struct reader_call call;
    call.how = how;
    call.len = len;
    const ssize_t result = call_now(&call);
    cr_assert_eq(result, error, "%zd, not %zd", result, error);
}

void expect_buffered(const char *text)
{
    struct weir_buf buf;
    size_t offset = 0;
    while (weir_reader_peek(reader, offset, &buf) > 0) {
        cr_assert_leq(offset + buf.len, strlen(text));
        cr_assert_arr_eq(buf.data, text + offset, buf.len);
        offset += buf.len;
    }
    cr_assert_eq(offset, strlen(text));
    cr_assert_eq(weir_reader_get_buffer_size(reader), offset);
}

void with_reader(uint64_t limit, void (*body)(void))
{
    rig_start();
    separators[0] = (struct weir_separator){"\n", 1};
    separator_count = 1;
    cr_assert_eq(weir_reader_new(loop, limit, &reader), 0);
    cr_assert_eq(rig_main(rig_call, &body), 0);
    weir_reader_free(reader);
    rig_stop();
}
