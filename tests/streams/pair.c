/*
 * A stream and its peer on the fake machine; see pair.h.
 *
 * Both directions carry a pattern whose byte follows from its place, compared
 * as it is read.
 */
#include "tests/streams/pair.h"

#include <weir/stream.h>

uint8_t pair_byte(uint64_t offset)
{
    return (uint8_t)(offset * 31 + (offset >> 8) * 17 + (offset >> 16));
}

void nap(void)
{
    cr_assert_eq(weir_sleep(loop, MS), 0);
}

void pair_open(struct pair *p)
{
    memset(p, 0, sizeof(*p));
    p->fd = fake_connected_fd(&p->peer);
    expect_ok(weir_open_connection_at(loop, weir_endpoint_fd(p->fd), NULL,
                                      &p->reader, &p->writer));
    p->t = weir_writer_get_transport(p->writer);
    cr_assert_not_null(p->t);
    cr_assert_eq(weir_writer_get_reader(p->writer), p->reader);
}

void pair_close(struct pair *p)
{
    weir_writer_abort(p->writer);
    weir_writer_unref(p->writer);
    nap();
    fake_peer_close(p->peer);
}

static void (*pair_body)(struct pair *p);

static void run_body(void)
{
    struct pair p;
    pair_open(&p);
    pair_body(&p);
    pair_close(&p);
}

void pair_test(void (*body)(struct pair *p))
{
    pair_body = body;
    rig_run_body(run_body);
}

int pair_write(struct pair *p, size_t len)
{
    uint8_t *bytes = malloc(len ? len : 1);
    cr_assert_not_null(bytes);
    for (size_t i = 0; i < len; i++) {
        bytes[i] = pair_byte(p->written + i);
    }
    int err = weir_writer_write(p->writer, bytes, len);
    p->written += err == 0 ? len : 0;
    free(bytes);
    return err;
}

size_t pair_peer_read(struct pair *p, size_t len)
{
    uint8_t *bytes = malloc(len);
    cr_assert_not_null(bytes);
    ssize_t got = fake_peer_read(p->peer, bytes, len);
    size_t count = got > 0 ? (size_t)got : 0;
    for (size_t i = 0; i < count; i++) {
        cr_assert_eq(bytes[i], pair_byte(p->peer_read + i));
    }
    p->peer_read += count;
    free(bytes);
    return count;
}

void pair_peer_read_all(struct pair *p)
{
    do {
        nap();
    } while (pair_peer_read(p, MIB) > 0);
}

void pair_peer_write(struct pair *p, const char *text)
{
    const ssize_t len = (ssize_t)strlen(text);
    cr_assert_eq(fake_peer_write(p->peer, text, (size_t)len), len);
}

void pair_peer_says(struct pair *p, const char *text)
{
    pair_peer_write(p, text);
    nap();
}

void pair_expect_read(struct pair *p, const char *text)
{
    char buf[64];
    ssize_t len = weir_reader_read(p->reader, buf, sizeof(buf));
    cr_assert_eq(len, (ssize_t)strlen(text), "read is %zd", len);
    cr_assert_arr_eq(buf, text, (size_t)len);
}

static int run_call(weir_loop *on, void *arg)
{
    struct writer_call *call = (struct writer_call *)arg;
    cr_assert_eq(on, loop);
    call->result = call->fn(call->p->writer);
    call->is_done = true;
    call->depth = weir_writer_get_write_buffer_size(call->p->writer);
    call->sends = fake_stats()->sends;
    if (weir_transport_get_socket(call->p->t) >= 0) {
        call->taken = fake_taken_bytes(call->p->fd);
    }
    return 0;
}

void call_start(struct writer_call *call, struct pair *p,
                int (*fn)(weir_writer *writer))
{
    *call = (struct writer_call){.p = p, .fn = fn, .result = 1};
    call->task = rig_spawn(run_call, call);
}

int call_end(struct writer_call *call)
{
    cr_assert(call->is_done);
    cr_assert_eq(rig_join(call->task), 0);
    return call->result;
}
