/*
 * An in-memory pair of transports, as used in a test of a program's protocol.
 *
 * The first test is an example: a protocol and its peer, without port or
 * descriptor. Other suites run over each kind of transport, including pairs;
 * the tests here are only about pairs.
 */
#include "tests/contract/harness.h"

#include <weir/pair.h>
#include <weir/sendfile.h>

/* Answers each line with its length in bytes. */
static int count_line(void *user, weir_transport *t, const struct weir_buf *buf)
{
    char answer[16];
    size_t *line_len = user;

    for (size_t i = 0; i < buf->len; i++) {
        if (buf->data[i] != '\n') {
            ++*line_len;
            continue;
        }
        const int len = snprintf(answer, sizeof(answer), "%zu\n", *line_len);
        *line_len = 0;
        const int err = weir_transport_write(t, answer, (size_t)len);
        if (err < 0) {
            return err;
        }
    }
    return 0;
}

static CALLBACKS(counter, STREAM, .data_received = count_line);

struct end {
    weir_transport *t;
    char notes[256];
    char text[256];
    int lost_err;
    size_t received;
    bool keeps;
    bool stays_paused;
};

static void note(struct end *end, const char *what)
{
    const size_t len = strlen(end->notes);

    snprintf(end->notes + len, sizeof(end->notes) - len, "%s%s",
             len > 0 ? " " : "", what);
}

static void end_made(void *user, weir_transport *t)
{
    struct end *end = user;
    end->t = weir_transport_ref(t);
    if (end->stays_paused) {
        weir_transport_pause_reading(t);
    }
    note(end, "made");
}

static int end_received(void *user, weir_transport *t,
                        const struct weir_buf *buf)
{
    struct end *end = user;
    end->received += buf->len;
    strncat(end->text, (const char *)buf->data, buf->len < 64 ? buf->len : 0);
    return 0;
}

static int end_ended(void *user, weir_transport *t)
{
    struct end *end = user;
    note(end, "eof");
    return end->keeps;
}

static void end_lost(void *user, weir_transport *t, int err)
{
    struct end *end = user;
    note(end, "lost");
    end->lost_err = err;
}

static void end_pauses(void *user, weir_transport *t)
{
    note(user, "pause");
}

static void end_resumes(void *user, weir_transport *t)
{
    note(user, "resume");
}

static CALLBACKS(peer, STREAM, .connection_made = end_made,
                 .connection_lost = end_lost, .data_received = end_received,
                 .eof_received = end_ended, .pause_writing = end_pauses,
                 .resume_writing = end_resumes);

static weir_loop *loop;
static struct end ends[2];
static weir_transport *pair[2];

static void open_pair(const struct weir_pair_options *options)
{
    const struct weir_protocol_binding bindings[2] = {
        {.protocol = &peer, .user = &ends[0]},
        {.protocol = &peer, .user = &ends[1]},
    };
    expect_eq(weir_loop_new(NULL, &loop), 0);
    expect_eq(weir_transport_pair(loop, bindings, options, pair), 0);
}

static void run_turns(void)
{
    for (int i = 0; i < 6; i++) {
        weir_loop_stop(loop);
        expect_eq(weir_loop_run(loop), 0);
    }
}

static void close_pair(void)
{
    weir_transport_unref(ends[0].t);
    weir_transport_unref(ends[1].t);
    expect_eq(weir_loop_free(loop), 0);
}

static bool both_are_lost(void)
{
    return strstr(ends[0].notes, "lost") && strstr(ends[1].notes, "lost");
}

UNIT(pair, a_protocol_is_tested_without_a_descriptor)
{
    size_t line_len = 0;
    struct end end = {.lost_err = 0};
    const struct weir_protocol_binding bindings[2] = {
        {.protocol = &counter, .user = &line_len},
        {.protocol = &peer, .user = &end},
    };
    expect_eq(weir_loop_new(NULL, &loop), 0);
    expect_eq(weir_transport_pair(loop, bindings, NULL, pair), 0);

    expect_eq(weir_transport_write(pair[1], "four\n\nseven", 11), 0);
    run_turns();
    expect_str_eq(end.text, "4\n0\n");
    expect_eq(weir_transport_write(pair[1], "ty\n", 3), 0);
    run_turns();
    expect_str_eq(end.text, "4\n0\n7\n");

    expect_eq(weir_transport_write_eof(pair[1]), 0);
    run_turns();
    expect_str_eq(end.notes, "made eof lost");
    expect_eq(end.lost_err, 0);
    weir_transport_unref(end.t);
    expect_eq(weir_loop_free(loop), 0);
}

UNIT(pair, the_first_end_is_made_first_and_both_from_the_loop)
{
    open_pair(NULL);
    expect_str_eq(ends[0].notes, "");
    expect_eq(weir_transport_write(pair[1], "early", 5), 0);

    run_turns();

    expect_str_eq(ends[0].notes, "made");
    expect_str_eq(ends[0].text, "early");
    expect_str_eq(ends[1].notes, "made");
    expect_eq(weir_transport_get_socket(pair[0]), -EOPNOTSUPP);
    expect_eq(weir_loop_free(loop), 2);
    weir_transport_unref(ends[0].t);
    weir_transport_unref(ends[1].t);
}

UNIT(pair, one_that_is_closed_before_it_is_made_is_made_and_lost)
{
    open_pair(NULL);
    expect_eq(weir_transport_close(pair[0]), 0);

    RUN_UNTIL(loop, both_are_lost());

    expect_str_eq(ends[0].notes, "made lost");
    expect_str_eq(ends[1].notes, "made eof lost");
    close_pair();
}

UNIT(pair, what_cannot_be_made_is_refused)
{
    struct weir_protocol_binding bindings[2] = {
        {.protocol = &peer, .user = &ends[0]},
        {.protocol = NULL},
    };
    struct weir_pair_options options = {.size = sizeof(options)};
    struct weir_protocol datagrams = peer;
    datagrams.kind = WEIR_PROTOCOL_DATAGRAM;
    expect_eq(weir_loop_new(NULL, &loop), 0);

    expect_eq(weir_transport_pair(loop, bindings, NULL, pair), -EINVAL);
    bindings[1].protocol = &datagrams;
    expect_eq(weir_transport_pair(loop, bindings, NULL, pair), -EINVAL);
    bindings[1].protocol = &peer;
    options.connection.read_limit_bytes = 1;
    expect_eq(weir_transport_pair(loop, bindings, &options, pair), -EINVAL);
    expect_eq(weir_transport_pair(loop, NULL, NULL, pair), -EINVAL);

    expect_eq(weir_loop_free(loop), 0);
}

UNIT(pair, a_close_waits_until_the_other_end_has_all)
{
    ends[1].stays_paused = true;
    open_pair(NULL);
    expect_eq(weir_transport_write(pair[0], "all", 3), 0);
    run_turns();
    expect_eq(weir_transport_close(pair[0]), 0);
    run_turns();
    expect_str_eq(ends[0].notes, "made");

    weir_transport_resume_reading(pair[1]);
    RUN_UNTIL(loop, both_are_lost());

    expect_str_eq(ends[1].text, "all");
    expect_eq(ends[0].lost_err, 0);
    expect_str_eq(ends[1].notes, "made eof lost");
    close_pair();
}

UNIT(pair, a_limit_for_closing_ends_the_wait_and_resets_the_other_end)
{
    ends[1].stays_paused = true;
    open_pair(
        SIZED(weir_pair_options, .connection.timeouts = {.close_ns = RIG_MS}));
    expect_eq(weir_transport_write(pair[0], "all", 3), 0);
    expect_eq(weir_transport_close(pair[0]), 0);

    RUN_UNTIL(loop, both_are_lost());

    expect_eq(ends[0].lost_err, WEIR_ECLOSETIMEOUT);
    expect_eq(ends[1].lost_err, -ECONNRESET);
    expect_str_eq(ends[1].text, "");
    close_pair();
}

UNIT(pair, two_ends_that_close_with_bytes_for_each_other_come_to_an_end)
{
    open_pair(NULL);
    run_turns();
    expect_eq(weir_transport_write(pair[0], "one", 3), 0);
    expect_eq(weir_transport_write(pair[1], "two", 3), 0);
    expect_eq(weir_transport_close(pair[0]), 0);
    expect_eq(weir_transport_close(pair[1]), 0);

    RUN_UNTIL(loop, both_are_lost());

    expect_eq(ends[0].lost_err, 0);
    expect_eq(ends[1].lost_err, 0);
    expect_str_eq(ends[0].text, "");
    close_pair();
}

UNIT(pair, an_abort_is_a_reset_for_the_other_end_and_sends_nothing)
{
    open_pair(NULL);
    run_turns();
    expect_eq(weir_transport_write(pair[0], "none", 4), 0);
    expect_eq(weir_transport_abort(pair[0]), 0);

    RUN_UNTIL(loop, both_are_lost());

    expect_eq(ends[0].lost_err, 0);
    expect_eq(ends[1].lost_err, -ECONNRESET);
    expect_str_eq(ends[1].text, "");
    expect_str_eq(ends[1].notes, "made lost");
    close_pair();
}

UNIT(pair, bytes_that_are_written_to_nobody_break_the_connection)
{
    ends[1].keeps = true;
    open_pair(NULL);
    run_turns();
    expect_eq(weir_transport_close(pair[0]), 0);
    run_turns();
    expect_str_eq(ends[0].notes, "made lost");
    expect_str_eq(ends[1].notes, "made eof");

    expect_eq(weir_transport_write(pair[1], "late", 4), 0);
    RUN_UNTIL(loop, both_are_lost());

    expect_eq(ends[1].lost_err, -EPIPE);
    close_pair();
}

UNIT(pair, an_abort_after_the_end_of_the_stream_is_a_reset_too)
{
    ends[1].keeps = true;
    open_pair(NULL);
    run_turns();
    expect_eq(weir_transport_write_eof(pair[0]), 0);
    run_turns();
    expect_eq(weir_transport_abort(pair[0]), 0);

    RUN_UNTIL(loop, both_are_lost());

    expect_eq(ends[1].lost_err, -ECONNRESET);
    expect_str_eq(ends[1].notes, "made eof lost");
    close_pair();
}

UNIT(pair, an_end_that_is_paused_takes_nothing_and_its_peer_feels_it)
{
    static uint8_t bytes[256 << 10];
    ends[1].stays_paused = true;
    open_pair(NULL);
    expect_eq(weir_transport_write(pair[0], bytes, sizeof(bytes)), 0);
    run_turns();

    expect_eq(weir_transport_get_write_buffer_size(pair[0]), sizeof(bytes));
    expect_eq(weir_transport_get_read_buffer_size(pair[1]), 0);

    weir_transport_resume_reading(pair[1]);
    run_turns();
    expect_eq(weir_transport_get_write_buffer_size(pair[0]), 0);
    expect_eq(weir_loop_free(loop), 2);
    weir_transport_unref(ends[0].t);
    weir_transport_unref(ends[1].t);
}

UNIT(pair, nothing_but_a_pause_comes_before_connection_made)
{
    static uint8_t bytes[256 << 10];
    open_pair(NULL);
    expect_eq(weir_transport_write(pair[1], bytes, sizeof(bytes)), 0);
    expect_str_eq(ends[1].notes, "pause");

    run_turns();

    expect_str_eq(ends[1].notes, "pause made resume");
    expect_eq(ends[0].received, sizeof(bytes));
    expect_eq(weir_loop_free(loop), 2);
    weir_transport_unref(ends[0].t);
    weir_transport_unref(ends[1].t);
}

UNIT(pair, much_is_taken_in_several_turns)
{
    static const uint8_t bytes[1 << 20];
    open_pair(NULL);
    run_turns();
    expect_geq(weir_transport_write(pair[0], bytes, sizeof(bytes)), 0);
    weir_loop_stop(loop);
    expect_eq(weir_loop_run(loop), 0);
    weir_loop_stop(loop);
    expect_eq(weir_loop_run(loop), 0);

    expect_leq(ends[1].received, 768 << 10);
    RUN_UNTIL(loop, ends[1].received == sizeof(bytes));
    expect_eq(weir_loop_free(loop), 2);
    weir_transport_unref(ends[0].t);
    weir_transport_unref(ends[1].t);
}

/* Pending bytes that the peer does not accept stop the echo. */
static int echo_received(void *user, weir_transport *t,
                         const struct weir_buf *buf)
{
    struct end *end = user;
    end->received += buf->len;
    const int err = weir_transport_write(t, buf->data, buf->len);
    return err < 0 ? err : 0;
}

static CALLBACKS(echo, STREAM, .connection_made = end_made,
                 .connection_lost = end_lost, .data_received = echo_received);

UNIT(pair, an_end_whose_bytes_are_not_taken_takes_few_more)
{
    static const uint8_t bytes[64 << 10];
    const struct weir_protocol_binding bindings[2] = {
        {.protocol = &peer, .user = &ends[0]},
        {.protocol = &echo, .user = &ends[1]},
    };
    ends[0].stays_paused = true;
    expect_eq(
        weir_loop_new(SIZED(weir_loop_options, .queued_limit_bytes = 4 << 20),
                      &loop),
        0);
    expect_eq(weir_transport_pair(loop, bindings, NULL, pair), 0);
    run_turns();

    for (int i = 0; i < 64; i++) {
        expect_geq(weir_transport_write(pair[0], bytes, sizeof(bytes)), 0);
        run_turns();
    }

    expect_leq(weir_transport_get_write_buffer_size(pair[1]), 2 << 20);
    expect_eq(weir_transport_resume_reading(pair[0]), 0);
    RUN_UNTIL(loop, ends[0].received == 64 * sizeof(bytes));
    expect_eq(weir_loop_free(loop), 2);
    weir_transport_unref(ends[0].t);
    weir_transport_unref(ends[1].t);
}

UNIT(pair, two_ends_with_more_than_their_share_for_each_other_both_go_on)
{
    size_t bytes = 12u << 20;
    uint8_t *data = calloc(1, bytes);
    expect(data != NULL);
    open_pair(NULL);
    run_turns();
    expect_eq(weir_transport_write(pair[0], data, bytes), 0);
    expect_eq(weir_transport_write(pair[1], data, bytes), 0);

    RUN_UNTIL(loop, ends[0].received == bytes && ends[1].received == bytes);

    free(data);
    expect_eq(weir_loop_free(loop), 2);
    weir_transport_unref(ends[0].t);
    weir_transport_unref(ends[1].t);
}

UNIT(pair, an_end_that_is_lost_takes_a_late_write_eof_and_may_be_freed)
{
    open_pair(NULL);
    run_turns();
    expect_eq(weir_transport_abort(pair[0]), 0);
    RUN_UNTIL(loop, both_are_lost());

    expect_eq(weir_transport_write_eof(ends[0].t), 0);
    weir_transport_unref(ends[0].t);
    run_turns();
    expect_eq(weir_loop_free(loop), 0);

    expect_eq(weir_transport_write_eof(ends[1].t), 0);
    weir_transport_unref(ends[1].t);
}

struct sent {
    int calls;
    int err;
    uint64_t bytes;
};

static void file_sent(void *arg, weir_transport *t, int err, uint64_t bytes)
{
    struct sent *sent = arg;
    sent->calls++;
    sent->err = err;
    sent->bytes = bytes;
}

UNIT(pair, a_file_that_the_other_end_never_took_was_not_sent)
{
    struct sent sent = {.calls = 0};
    FILE *file = tmpfile();
    expect(file != NULL);
    expect_eq(ftruncate(fileno(file), 200 << 10), 0);
    ends[1].stays_paused = true;
    open_pair(NULL);
    run_turns();
    expect_ok(weir_transport_sendfile(pair[0], fileno(file), 0, 200 << 10,
                                      file_sent, &sent));
    run_turns();
    expect_eq(sent.calls, 0);
    expect_eq(weir_transport_abort(pair[1]), 0);

    RUN_UNTIL(loop, both_are_lost());

    expect_eq(sent.calls, 1);
    expect_eq(sent.err, -ECONNRESET);
    expect_eq(sent.bytes, 0);
    expect_eq(ends[0].lost_err, -ECONNRESET);
    fclose(file);
    close_pair();
}

static void hold_the_loop_up(void *arg)
{
    const uint64_t until_ns = rig_now_ns() + 40 * RIG_MS;
    while (rig_now_ns() < until_ns) {
    }
}

UNIT(pair, a_loop_that_is_held_up_blames_no_end)
{
    struct weir_handle handle;
    open_pair(SIZED(weir_pair_options,
                    .connection.timeouts = {.close_ns = 20 * RIG_MS}));
    run_turns();
    expect_eq(weir_transport_write(pair[0], "all", 3), 0);
    expect_eq(weir_transport_close(pair[0]), 0);
    expect_eq(weir_loop_call_soon(loop, hold_the_loop_up, NULL, &handle), 0);
    hold_the_loop_up(NULL);

    RUN_UNTIL(loop, both_are_lost());

    expect_eq(ends[0].lost_err, 0);
    expect_str_eq(ends[1].text, "all");
    close_pair();
}
