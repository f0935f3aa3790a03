/*
 * Files sent when TLS starts on a connection in use: during the handshake, and
 * with TLS inside TLS.
 *
 * In all cases writes and another start_tls are refused while the file is being
 * sent.
 */
#include "tests/contract/sending_rig.h"
#include "tests/contract/starting_rig.h"

enum { SIZE = 1000000 }; /* more than a side has space for */

struct result {
    int calls;
    int err;
    uint64_t sent;
};

static void note_result(void *arg, weir_transport *t, int err, uint64_t sent)
{
    struct result *result = arg;

    expect(weir_transport_get_error(t) == 0);
    result->calls++;
    result->err = err;
    result->sent = sent;
}

static void begin(struct side *side, int fd, struct result *result)
{
    *result = (struct result){.calls = 0};
    expect_ok(
        weir_transport_sendfile(side->t, fd, 0, SIZE, note_result, result));
    expect_eq(weir_transport_write(side->t, "x", 1), -EBUSY);
    expect_eq(starting_try(side, NULL, 0), -EBUSY);
}

static void expect_whole(struct starting *s, struct side *to,
                         struct result *result)
{
    RUN_UNTIL(s->loop, result->calls > 0);
    expect_eq(result->err, 0);
    expect_eq(result->sent, SIZE);
    starting_wait_received(to, SIZE);
    expect_eq(to->received_len, SIZE);
    expect(rig_is_pattern(to->received, 0, SIZE));
}

STARTING(sendfile_tls, a_file_waits_for_the_handshake, s)
{
    struct result result;
    const int fd = pattern_file(SIZE);
    starting_upgrade(&s->client);

    starting_upgrade(&s->server);
    begin(&s->client, fd, &result);
    expect_eq(s->client.done_count, 0);
    expect_whole(s, &s->server, &result);

    starting_end(s);
    close(fd);
}

STARTING(sendfile_tls, a_file_goes_through_two_of_them, s)
{
    struct result result;
    struct result back;
    const int fd = pattern_file(SIZE);
    starting_upgrade_both(s);
    starting_upgrade_both(s);

    begin(&s->client, fd, &result);
    begin(&s->server, fd, &back);
    expect_whole(s, &s->server, &result);
    expect_whole(s, &s->client, &back);

    starting_end(s);
    expect_eq(s->client.lost_err, 0);
    expect_eq(s->server.lost_err, 0);
    close(fd);
}

STARTING(sendfile_tls, a_handshake_that_is_cut_ends_it, s)
{
    struct result result = {.calls = 0};
    const int fd = pattern_file(SIZE);
    starting_upgrade(&s->client);
    expect_ok(weir_transport_sendfile(s->client.t, fd, 0, SIZE, note_result,
                                      &result));

    starting_turns(s, 20);
    expect_eq(weir_transport_close(s->client.t), 0);
    starting_wait_lost(&s->client);

    expect_eq(result.calls, 1);
    expect_eq(result.err, -ECONNABORTED);
    expect_eq(result.sent, 0);
    starting_end(s);
    close(fd);
}
