/*
 * start_tls without memory: each allocation of an upgrade fails once, on either
 * side.
 *
 * A call that returns the error has changed nothing, and is made again. A later
 * failure ends the connection, and is reported by done and connection_lost.
 * Nothing is left, neither the loop's memory nor a reference to a context
 * (starting_close()), and no accepted byte is missing unless a side got an
 * error.
 */
#include "tests/contract/starting_rig.h"

/* More than a block of leases. */
enum { PIECE_BYTES = 1, PIECES_MAX = 256 };

static struct test_allocator memory;
static unsigned refusals;

static void upgrade_once_more(struct side *side, const struct weir_buf *initial,
                              size_t count)
{
    const size_t notes = strlen(side->notes);
    weir_transport *t = side->t;
    const bool is_reading = weir_transport_is_reading(t);
    int err = starting_try(side, initial, count);
    if (err == -EPIPE) { /* it has failed to receive */
        expect_eq(weir_transport_get_error(side->t), -ENOMEM);
        return;
    }
    if (err < 0) {
        expect_eq(err, -ENOMEM);
        expect(side->t == t);
        expect(!weir_transport_is_closing(t));
        expect_eq(weir_transport_is_reading(t), is_reading);
        expect_eq(weir_transport_get_error(t), 0);
        expect_eq(strlen(side->notes), notes);
        refusals++;
        err = starting_try(side, initial, count);
    }
    expect_eq(err, 0);
}

/* Passes the bytes after the command in pieces, every second one without its
 * lease, so that each way of keeping them fails once. */
static int upgrade_at_the_newline(struct side *side, const struct weir_buf *buf)
{
    struct weir_buf rest[PIECES_MAX];
    const uint8_t *end = memchr(buf->data, '\n', buf->len);
    size_t count = 0;
    expect(end != NULL);
    size_t at = (size_t)(end + 1 - buf->data);
    while (at < buf->len) {
        const size_t left = buf->len - at;
        const bool is_last = count + 1 == PIECES_MAX;
        const size_t len = is_last || left < PIECE_BYTES ? left : PIECE_BYTES;
        rest[count] = (struct weir_buf){.data = buf->data + at, .len = len};
        rest[count].lease = count % 2 == 0 ? buf->lease : NULL;
        at += len;
        count++;
    }
    side->data_received = NULL;
    upgrade_once_more(side, rest, count);
    return 0;
}

static bool has_settled(const struct side *side)
{
    return side->is_lost || (side->done_count > 0 && side->done_err == 0);
}

static bool have_settled(const struct starting *s)
{
    return has_settled(&s->client) && has_settled(&s->server);
}

static bool have_talked(const struct starting *s)
{
    return s->client.is_lost || s->server.is_lost ||
           (s->client.received_len >= strlen("saysthat") &&
            s->server.received_len >= strlen("early asks."));
}

static bool is_told(const struct side *side)
{
    expect(side->done_count == 1 || side->lost_err == -ENOMEM);
    expect(side->done_err == 0 || side->lost_err == side->done_err);
    return side->lost_err < 0 || weir_transport_get_error(side->t) < 0;
}

static int write_text(struct side *side, const char *text)
{
    int err = 0;
    if (!side->is_lost && !weir_transport_is_closing(side->t)) {
        err = weir_transport_write(side->t, text, strlen(text));
        expect(err == 0 || err == -ENOMEM);
    }
    return err;
}

/* close reports a refused write. */
static void end_side(struct side *side)
{
    if (!side->is_lost) {
        const int err = weir_transport_close(side->t);
        expect(err == 0 || err == -ENOMEM);
    }
}

static void talk(struct starting *s)
{
    int err = write_text(&s->server, "says");
    err = err < 0 ? err : write_text(&s->client, "asks.");
    err = err < 0 ? err : write_text(&s->server, "that");
    RUN_UNTIL(s->loop, err < 0 ? have_settled(s) : have_talked(s));
    end_side(&s->client);
    end_side(&s->server);
    RUN_UNTIL(s->loop, s->client.is_lost && s->server.is_lost);
    const bool client_is_told = is_told(&s->client);
    const bool server_is_told = is_told(&s->server);
    if (!client_is_told && !server_is_told && err == 0) {
        expect(starting_has(&s->client, "saysthat"));
        expect(starting_has(&s->server, "early asks."));
    }
}

static void upgrade_and_talk(struct starting *s)
{
    upgrade_once_more(&s->client, NULL, 0);
    const int err = write_text(&s->client, "early ");
    upgrade_once_more(&s->server, NULL, 0);
    RUN_UNTIL(s->loop, have_settled(s));
    if (err < 0) {
        weir_transport_abort(s->client.t);
        weir_transport_abort(s->server.t);
        RUN_UNTIL(s->loop, s->client.is_lost && s->server.is_lost);
        return;
    }
    talk(s);
}

struct variant {
    bool over_unix;
    bool has_tls;
    bool is_paused;   /* the server, while the ClientHello arrives */
    bool has_initial; /* the ClientHello arrives with the command, and is passed
                         along */
    bool is_tls12;
};

static void begin(struct starting *s, const struct variant *variant)
{
    *s = (struct starting){.peer = -1, .allocator = &memory.hooks};
    starting_open(s, variant->over_unix);
    if (variant->is_tls12) {
        weir_tls_context_unref(s->client_context);
        s->client_context = tls_context_of(false, 12);
        s->client_tls.context = s->client_context;
    }
    if (variant->has_tls) {
        starting_upgrade_both(s);
        s->client.done_count = s->server.done_count = 0;
    }
}

static void upgrade_late(struct starting *s, const struct variant *variant)
{
    upgrade_once_more(&s->client, NULL, 0);
    starting_turns(s, 3);
    expect_eq(write_text(&s->client, "early ") & ~-ENOMEM, 0);
    if (!variant->has_initial) {
        upgrade_once_more(&s->server, NULL, 0);
    }
    expect_eq(weir_transport_resume_reading(s->server.t), 0);
    RUN_UNTIL(s->loop, have_settled(s));
    talk(s);
}

static void upgrade(void *arg)
{
    const struct variant *variant = arg;
    struct starting s;
    begin(&s, variant);
    if (variant->is_paused) {
        expect_eq(weir_transport_pause_reading(s.server.t), 0);
    }
    if (variant->has_initial) {
        s.server.data_received = upgrade_at_the_newline;
        starting_write(&s.client, "STARTTLS\n");
    }
    walk_begin(&memory);
    if (variant->is_paused) {
        upgrade_late(&s, variant);
    } else {
        upgrade_and_talk(&s);
    }
    walk_end(&memory);
    starting_close(&s);
}

static void fail_each(struct variant variant)
{
    refusals = 0;
    expect_geq(walk_allocations(&memory, upgrade, &variant), 5);
    expect_gt(refusals, 0);
}

UNIT(start_tls_memory, each_allocation_of_an_upgrade_may_fail)
{
    fail_each((struct variant){.over_unix = false});
}

UNIT(start_tls_memory, each_allocation_of_tls_1_2_may_fail)
{
    fail_each((struct variant){.over_unix = true, .is_tls12 = true});
}

UNIT(start_tls_memory, each_allocation_of_tls_in_tls_may_fail)
{
    fail_each((struct variant){.has_tls = true});
}

UNIT(start_tls_memory, each_allocation_may_fail_when_the_hello_is_there)
{
    fail_each((struct variant){.is_paused = true});
}

/* A filter makes up to three allocations; the other failures were for the bytes
 * passed along. */
UNIT(start_tls_memory, each_allocation_may_fail_for_bytes_that_are_handed_over)
{
    fail_each((struct variant){.is_paused = true, .has_initial = true});
    expect_gt(refusals, 3);
}
