/*
 * Readers compared with a model: asyncio's StreamReader on a plain array. Only
 * documented differences are allowed: bytes come before the error, a failed
 * call consumes nothing, readline fails like readuntil, and the caller's memory
 * limits a call, too.
 *
 * Bytes come in random pieces, copied or as leases, a few per iteration; calls
 * of all kinds wait, are cancelled, and get the end or an error.
 */
#include "lib/loop/loop.h"

#include "tests/streams/reader_rig.h"
#include "tests/unit/random.h"

#define BYTES_MAX 8192

enum outcome { WAITS, GIVES, FAILS };

static struct unit_random random_numbers;
static struct wr_account account;
static struct reader_call call;

static struct {
    uint8_t buffer[BYTES_MAX];
    size_t len;
    size_t limit;
    bool eof;
    int exception;
    size_t offset;   /* where the search continues */
    size_t consumed; /* consumed of the last LimitOverrunError */
    size_t expected; /* expected of the last IncompleteReadError */
} model;

static uint64_t below(uint64_t bound)
{
    return unit_random_below(&random_numbers, bound);
}

static enum outcome model_fails(ssize_t error, ssize_t *ret)
{
    *ret = error;
    return FAILS;
}

static enum outcome model_overrun(size_t consumed, ssize_t *ret)
{
    model.consumed = consumed;
    return model_fails(WEIR_ELIMIT, ret);
}

/* bytearray.find() */
static ssize_t model_index(const struct weir_separator *separator, size_t from)
{
    for (size_t i = from; i + separator->len <= model.len; i++) {
        if (memcmp(model.buffer + i, separator->data, separator->len) == 0) {
            return (ssize_t)i;
        }
    }
    return -1;
}

/* Finds the match that ends first, and of these the shortest separator. */
static bool model_match(size_t count, size_t *ret_begin, size_t *ret_end)
{
    bool found = false;
    for (size_t i = 0; i < count; i++) {
        const ssize_t at = model_index(&separators[i], model.offset);
        if (at < 0) {
            continue;
        }
        const size_t end = (size_t)at + separators[i].len;
        if (!found || end < *ret_end ||
            (end == *ret_end && (size_t)at > *ret_begin)) {
            *ret_begin = (size_t)at;
            *ret_end = end;
            found = true;
        }
    }
    return found;
}

/* StreamReader.readuntil() with a limit of @size. */
static enum outcome model_until(size_t count, size_t size, bool is_line,
                                ssize_t *ret)
{
    size_t begin = 0;
    size_t end = 0;
    size_t longest = 0;

    for (size_t i = 0; i < count; i++) {
        longest = separators[i].len > longest ? separators[i].len : longest;
    }
    if (model_match(count, &begin, &end)) {
        if (begin > model.limit || end > size) {
            return model_overrun(begin, ret);
        }
        *ret = (ssize_t)end;
        return GIVES;
    }
    model.offset = model.len + 1 > longest ? model.len + 1 - longest : 0;
    if (model.offset > model.limit) {
        return model_overrun(model.offset, ret);
    }
    if (model.exception) {
        return model_fails(model.exception, ret);
    }
    if (model.eof) {
        if (is_line && model.len <= size) { /* the partial line */
            *ret = (ssize_t)model.len;
            return GIVES;
        }
        model.expected = is_line ? model.expected : 0;
        return is_line ? model_overrun(model.offset, ret)
                       : model_fails(WEIR_EINCOMPLETE, ret);
    }
    return model.len >= size ? model_overrun(model.offset, ret) : WAITS;
}

static enum outcome model_some(size_t len, ssize_t *ret)
{
    if (len == 0 || model.len > 0) {
        *ret = (ssize_t)(len < model.len ? len : model.len);
        return GIVES;
    }
    if (model.exception) {
        return model_fails(model.exception, ret);
    }
    *ret = 0;
    return model.eof ? GIVES : WAITS;
}

static enum outcome model_exactly(size_t len, size_t gives, ssize_t *ret)
{
    if (model.len >= len) {
        *ret = (ssize_t)gives;
        return GIVES;
    }
    if (model.exception) {
        return model_fails(model.exception, ret);
    }
    if (model.eof) {
        model.expected = len;
        return model_fails(WEIR_EINCOMPLETE, ret);
    }
    return WAITS;
}

static enum outcome model_to_end(size_t max, ssize_t *ret)
{
    if (model.len > max) {
        return model_overrun(0, ret);
    }
    if (model.exception) {
        return model_fails(model.exception, ret);
    }
    *ret = (ssize_t)model.len;
    return model.eof ? GIVES : WAITS;
}

/* The model's result for the call. */
static enum outcome model_call(ssize_t *ret)
{
    switch (call.how) {
    case READ:
    case READ_VIEW:
    case TAKE:
        return model_some(call.len, ret);
    case EXACTLY:
    case EXACTLY_VIEW:
        return model_exactly(call.len, call.len, ret);
    case FILL:
        return model_exactly(call.len, model.len, ret);
    case LINE:
        return model_until(1, call.len, true, ret);
    case LINE_VIEW:
        return model_until(1, SIZE_MAX, true, ret);
    case UNTIL:
        return model_until(separator_count, call.len, false, ret);
    case UNTIL_VIEW:
        return model_until(separator_count, SIZE_MAX, false, ret);
    case TO_END:
        return model_to_end(call.len, ret);
    case HOW_COUNT:
        break;
    }
    return WAITS;
}

static void check_buffered(void)
{
    struct weir_buf buf;
    size_t offset = 0;
    expect_eq(weir_reader_get_buffer_size(reader), model.len);
    while (weir_reader_peek(reader, offset, &buf) > 0) {
        expect_leq(offset + buf.len, model.len);
        cr_assert_arr_eq(buf.data, model.buffer + offset, buf.len);
        offset += buf.len;
    }
    expect_eq(offset, model.len);
}

/* Compares the bytes of the call with the model. */
static void check_given(ssize_t result)
{
    const bool piece = call.how == READ_VIEW || call.how == TAKE;
    size_t len = (size_t)result;

    cr_assert(call.result == result ||
                  (piece && call.result > 0 && call.result <= result),
              "call %d gave %zd, the model %zd", (int)call.how, call.result,
              result);
    if (call.how == FILL || call.result == 0) {
        return;
    }
    len = (size_t)call.result;
    cr_assert_arr_eq(call.buf, model.buffer, len);
    memmove(model.buffer, model.buffer + len, model.len - len);
    model.len -= len;
}

/* Compares the call with the model. Returns true after the last call. */
static bool compare(void)
{
    ssize_t result = 0;
    const enum outcome outcome = model_call(&result);

    if (outcome == WAITS) {
        cr_assert_not(call.is_done, "call %d (%zu) gave %zd and should wait",
                      (int)call.how, call.len, call.result);
        return false;
    }
    cr_assert(call.is_done, "call %d (%zu) waits, the model gave %zd",
              (int)call.how, call.len, result);
    expect_eq(read_end(&call), call.result);
    if (outcome == GIVES) {
        check_given(result);
    } else {
        expect_eq(call.result, result, "call %d: %zd, the model %zd",
                  (int)call.how, call.result, result);
    }
    expect_eq(weir_reader_get_consumed(reader), model.consumed);
    expect_eq(weir_reader_get_expected(reader), model.expected);
    check_buffered();
    return true;
}

static void feed_some(void)
{
    uint8_t bytes[64];
    const size_t len = 1 + below(below(4) == 0 ? sizeof(bytes) : 6);

    if (model.eof || model.exception || model.len + len > BYTES_MAX) {
        return;
    }
    for (size_t i = 0; i < len; i++) {
        bytes[i] = (uint8_t) "aaaaabbbc\n"[below(10)];
    }
    memcpy(model.buffer + model.len, bytes, len);
    model.len += len;
    if (below(2)) {
        expect_eq(weir_reader_feed_data(reader, bytes, len), 0);
        return;
    }
    weir_lease *lease = wr_lease_copy(&loop->pool, &account, bytes, len);
    cr_assert_not_null(lease);
    const struct weir_buf buf = {
        .data = lease->data, .len = len, .lease = lease};
    expect_eq(weir_reader_feed_buf(reader, &buf), 0);
    wr_lease_unref(lease);
}

static void choose_separators(void)
{
    static const char *const some[] = {"\n",  "ab", "ba",  "aab",  "b",  "bb",
                                       "abb", "c",  "bab", "ca\n", "aa", "cc"};
    separator_count = 1 + below(4);
    for (size_t i = 0; i < separator_count; i++) {
        const char *text = some[below(12)];
        separators[i] =
            (struct weir_separator){.data = text, .len = strlen(text)};
    }
}

static void start_call(void)
{
    call.how = (enum how)below(HOW_COUNT);
    call.len = below(below(4) == 0 ? 200 : 12);
    model.offset = 0;
    if (call.how == LINE || call.how == LINE_VIEW) {
        separators[0] = (struct weir_separator){"\n", 1};
    } else {
        choose_separators();
    }
    read_start(&call, call.how, call.len);
}

static void cancel_call(void)
{
    cr_assert(weir_task_cancel(call.task));
    expect_eq(read_end(&call), -ECANCELED);
    check_buffered();
}

/* Plays a stream from its first byte to its end. */
static void one_stream(void)
{
    bool waits = false;

    memset(&model, 0, sizeof(model));
    model.limit = 1 + below(below(2) ? 10 : 100);
    expect_eq(weir_reader_new(loop, model.limit, &reader), 0);
    for (int i = 0; i < 120; i++) {
        for (uint64_t pieces = below(4); pieces > 0; pieces--) {
            feed_some();
        }
        if (below(80) == 0) {
            weir_reader_feed_eof(reader);
            model.eof = true;
        }
        if (below(120) == 0 && model.exception == 0) {
            weir_reader_set_exception(reader, -ECONNRESET);
            model.exception = -ECONNRESET;
        }
        if (waits && below(6) == 0) {
            turn_over();
            waits = !compare();
        }
        if (waits && below(6) == 0) {
            turn_over();
            waits = !compare();
            if (waits) {
                cancel_call();
                waits = false;
            }
        }
        if (!waits) {
            start_call();
            waits = true;
        }
        turn_over();
        waits = !compare();
    }
    if (waits) {
        cancel_call();
    }
    weir_reader_free(reader);
}

static int many_streams(weir_loop *on, void *arg)
{
    for (int i = 0; i < 2000; i++) {
        one_stream();
    }
    expect_eq(account.lease_count, 0);
    return 0;
}

UNIT(reader_model, every_call_does_what_asyncios_does_but_for_what_is_said)
{
    unit_random_seed(&random_numbers);
    account = (struct wr_account){0};
    expect_eq(rig_run(many_streams, NULL), 0);
}
