/*
 * TLS on both ends of an in-memory pair of transports.
 *
 * Both sides are on one loop, so the test determines the order of their steps,
 * and no step waits for a socket.
 */
#include "tests/contract/starting_rig.h"

#include <weir/pair.h>
#include <weir/start_tls.h>

struct tls_end {
    weir_transport *t;
    char text[64];
    int done_err;
    bool is_done;
    bool is_made;
    bool is_lost;
    int lost_err;
};

static struct tls_end ends[2];
static weir_loop *loop;
static weir_tls_context *contexts[2];

static void end_made(void *user, weir_transport *t)
{
    struct tls_end *end = user;
    end->is_made = true;
}

static int end_received(void *user, weir_transport *t,
                        const struct weir_buf *buf)
{
    struct tls_end *end = user;
    strncat(end->text, (const char *)buf->data,
            buf->len < sizeof(end->text) / 2 ? buf->len : 0);
    return 0;
}

static void end_lost(void *user, weir_transport *t, int err)
{
    struct tls_end *end = user;
    end->is_lost = true;
    end->lost_err = err;
}

static CALLBACKS(protocol, STREAM, .connection_made = end_made,
                 .connection_lost = end_lost, .data_received = end_received);

static void end_done(void *arg, int err, weir_transport *t)
{
    struct tls_end *end = arg;
    end->is_done = true;
    end->done_err = err;
    if (t) {
        end->t = weir_transport_ref(t);
    }
}

static int start(int i, weir_transport *t)
{
    const struct weir_tls_settings tls = {.size = sizeof(tls),
                                          .context = contexts[i],
                                          .server_hostname =
                                              i == 0 ? "localhost" : NULL};
    return weir_transport_start_tls(t, &tls, NULL, end_done, &ends[i], NULL);
}

static void open_ends(void)
{
    const struct weir_protocol_binding bindings[2] = {
        {.protocol = &protocol, .user = &ends[0]},
        {.protocol = &protocol, .user = &ends[1]},
    };
    weir_transport *pair[2];
    expect_eq(weir_loop_new(NULL, &loop), 0);
    for (int i = 0; i < 2; i++) {
        contexts[i] = tls_context_of(i == 1, 0);
    }
    expect_eq(weir_transport_pair(loop, bindings, NULL, pair), 0);
    expect_eq(start(0, pair[0]), -EBUSY);
    RUN_UNTIL(loop, ends[0].is_made && ends[1].is_made);
    expect_eq(start(0, pair[0]), 0);
    expect_eq(start(1, pair[1]), 0);
    RUN_UNTIL(loop, ends[0].is_done && ends[1].is_done);
    for (int i = 0; i < 2; i++) {
        expect_eq(ends[i].done_err, 0);
        expect(ends[i].t != NULL);
    }
}

static void end_pair(uint64_t alive)
{
    expect_eq(weir_loop_free(loop), alive);
    for (int i = 0; i < 2; i++) {
        weir_transport_unref(ends[i].t);
        weir_tls_context_unref(contexts[i]);
    }
}

UNIT(pair_tls, both_ends_talk_and_a_close_is_clean_for_both)
{
    open_ends();
    expect_eq(weir_transport_write(ends[0].t, "hello", 5), 0);
    RUN_UNTIL(loop, ends[1].text[0] != 0);
    expect_str_eq(ends[1].text, "hello");
    expect_eq(weir_transport_write(ends[1].t, "good bye", 8), 0);
    RUN_UNTIL(loop, ends[0].text[0] != 0);
    expect_str_eq(ends[0].text, "good bye");

    expect_eq(weir_transport_close(ends[0].t), 0);
    RUN_UNTIL(loop, ends[0].is_lost && ends[1].is_lost);

    expect_eq(ends[0].lost_err, 0);
    expect_eq(ends[1].lost_err, 0);
    end_pair(0);
}

UNIT(pair_tls, an_abort_is_an_error_of_the_other_end)
{
    open_ends();
    expect_eq(weir_transport_abort(ends[1].t), 0);

    RUN_UNTIL(loop, ends[0].is_lost && ends[1].is_lost);

    expect_eq(ends[1].lost_err, 0);
    expect_eq(ends[0].lost_err, -ECONNRESET);
    end_pair(0);
}

UNIT(pair_tls, the_end_of_the_loop_ends_both)
{
    open_ends();
    expect_eq(weir_transport_write(ends[0].t, "hello", 5), 0);

    end_pair(2);

    expect(ends[0].is_lost && ends[1].is_lost);
}
