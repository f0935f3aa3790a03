/*
 * A stream and its peer on the fake machine.
 *
 * The stream is opened on a descriptor that is handed over connected; the test
 * plays the peer, from the task that it is. Bytes are a pattern in which each
 * follows from its place. A nap lets happen all that can happen without the
 * peer doing anything.
 */
#ifndef WEIR_TESTS_STREAMS_PAIR_H
#define WEIR_TESTS_STREAMS_PAIR_H

#include "tests/tasks/rig.h"

#define KIB (1u << 10)
#define MIB (1u << 20)

struct pair {
    weir_reader *reader;
    weir_writer *writer;
    weir_transport *t;
    struct fake_peer *peer;
    int fd;
    uint64_t written;   /* by pair_write() */
    uint64_t peer_read; /* by the peer */
};

static inline uint8_t pair_byte(uint64_t offset)
{
    return (uint8_t)(offset * 31 + (offset >> 8) * 17 + (offset >> 16));
}

static inline void nap(void)
{
    cr_assert_eq(weir_sleep(loop, MS), 0);
}

static inline void pair_open(struct pair *p)
{
    struct weir_open_options options = {.size = sizeof(options)};

    memset(p, 0, sizeof(*p));
    p->fd = fake_connected_fd(&p->peer);
    options.connect = (struct weir_connect_options){
        .size = sizeof(options.connect), .use_sock = true, .sock = p->fd};
    cr_assert_eq(
        weir_open_connection(loop, NULL, 0, &options, &p->reader, &p->writer),
        0);
    p->t = weir_writer_get_transport(p->writer);
    cr_assert_not_null(p->t);
    cr_assert_eq(weir_writer_get_reader(p->writer), p->reader);
}

static inline void pair_close(struct pair *p)
{
    weir_writer_abort(p->writer);
    weir_writer_unref(p->writer);
    nap();
    fake_peer_close(p->peer);
}

/* Writes the next @len bytes of the pattern. */
static inline int pair_write(struct pair *p, size_t len)
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

/* The peer reads up to @len bytes, which are the pattern; how many. */
static inline size_t pair_peer_read(struct pair *p, size_t len)
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

/* The peer reads everything that comes, until nothing does any more. */
static inline void pair_peer_read_all(struct pair *p)
{
    do {
        nap();
    } while (pair_peer_read(p, MIB) > 0);
}

static inline void pair_peer_write(struct pair *p, const char *text)
{
    const ssize_t len = (ssize_t)strlen(text);
    cr_assert_eq(fake_peer_write(p->peer, text, (size_t)len), len);
}

/* What a read gives now is this text. */
static inline void pair_expect_read(struct pair *p, const char *text)
{
    char buf[64];
    ssize_t len = weir_reader_read(p->reader, buf, sizeof(buf));
    cr_assert_eq(len, (ssize_t)strlen(text), "read is %zd", len);
    cr_assert_arr_eq(buf, text, (size_t)len);
}

/* A task that makes one call on a writer. */
struct call {
    struct pair *p;
    int (*fn)(weir_writer *writer);
    weir_task *task;
    bool is_done;
    int result;
    uint64_t depth; /* when it returned */
    uint64_t taken; /* bytes that the kernel had taken then */
    uint64_t sends; /* and sends that it had completed, all in all */
};

static inline int run_call(weir_loop *on, void *arg)
{
    struct call *call = (struct call *)arg;
    cr_assert_eq(on, loop);
    call->result = call->fn(call->p->writer);
    call->is_done = true;
    call->depth = weir_writer_get_depth(call->p->writer).bytes;
    call->sends = fake_stats()->sends;
    if (weir_transport_get_socket(call->p->t) >= 0) {
        call->taken = fake_taken_bytes(call->p->fd);
    }
    return 0;
}

static inline void call_start(struct call *call, struct pair *p,
                              int (*fn)(weir_writer *writer))
{
    *call = (struct call){.p = p, .fn = fn, .result = 1};
    call->task = rig_spawn(run_call, call);
}

/* It has returned; what. */
static inline int call_end(struct call *call)
{
    cr_assert(call->is_done);
    cr_assert_eq(rig_join(call->task), 0);
    return call->result;
}

#endif
