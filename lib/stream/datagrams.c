/*
 * Datagram streams: the protocol of an endpoint for tasks. A ring of slots,
 * made with the stream, keeps received datagrams, so receiving allocates
 * nothing. A full ring pauses the endpoint; a half-empty ring resumes it. Each
 * datagram and each error wakes one waiting task, which waits again if another
 * task has taken the datagram. The program, suspended calls and, until its
 * loss, the endpoint hold references.
 */
#include "lib/base/options.h"
#include "lib/net/datagram_endpoint.h"
#include "lib/sync/sync.h"
#include "lib/transport/transport.h"
#include "weir/datagram_stream.h"

#include <string.h>

#define QUEUE_COUNT_MAX 65536u

struct place {
    struct weir_datagram datagram; /* owns a reference to its lease */
    struct weir_ancillary ancillary;
};

struct weir_datagram_stream {
    struct wr_sync sync;
    /* A reference; NULL before the endpoint is made and after the free. */
    weir_transport *t;
    struct wr_list receivers;
    struct wr_list drainers;
    struct wr_list closers;
    int error; /* the first error, until a call returns it */
    int end;   /* error of the endpoint's end; 0 until it is lost */
    uint32_t capacity;
    uint32_t first;
    uint32_t count;
    bool is_full;
    bool writing_paused;
    /* Ancillary data of the datagram that was taken last. */
    struct weir_ancillary ancillary;
    struct place places[];
};

static void datagrams_check_invariants(const weir_datagram_stream *stream)
{
    wr_sync_check_invariants(&stream->sync);
    wr_assert(stream->count <= stream->capacity);
    wr_assert(stream->first < stream->capacity);
    wr_assert(stream->error <= 0);
    wr_assert(stream->end <= 0);
    wr_assert(stream->is_full || stream->count < stream->capacity);
}

static struct place *datagrams_place(weir_datagram_stream *stream,
                                     uint32_t index)
{
    uint32_t at = stream->first + index;

    wr_assert(index < stream->capacity);
    return &stream->places[at < stream->capacity ? at : at - stream->capacity];
}

/* Removes the oldest datagram. The caller owns its lease. */
static void datagrams_pop(weir_datagram_stream *stream,
                          struct weir_datagram *ret)
{
    struct place *place = datagrams_place(stream, 0);

    wr_assert(stream->count > 0);
    *ret = place->datagram;
    if (ret->ancillary) {
        stream->ancillary = place->ancillary;
        ret->ancillary = &stream->ancillary;
    }
    stream->first = (stream->first + 1) % stream->capacity;
    stream->count--;
    if (stream->is_full && stream->count <= stream->capacity / 2) {
        stream->is_full = false;
        if (stream->t) {
            wr_ignore(weir_transport_resume_reading(stream->t));
        }
    }
}

static void datagrams_drop(const struct weir_datagram *datagram)
{
    wr_assert(datagram->buf.lease || datagram->buf.len == 0);
    if (datagram->buf.lease) {
        wr_lease_unref(datagram->buf.lease);
    }
}

static void datagrams_connection_made(void *user, weir_transport *t)
{
    weir_datagram_stream *stream = user;

    wr_assert(!stream->t);
    wr_assert(!stream->sync.is_freed);
    stream->t = weir_transport_ref(t);
    wr_sync_ref(&stream->sync);
}

static void datagrams_connection_lost(void *user, weir_transport *t, int err)
{
    weir_datagram_stream *stream = user;
    (void)t;

    wr_assert(stream->end == 0);
    stream->end = err < 0 ? err : -ESHUTDOWN;
    wr_waiters_wake_all(&stream->receivers, 0);
    wr_waiters_wake_all(&stream->drainers, 0);
    wr_waiters_wake_all(&stream->closers, 0);
    wr_sync_unref(&stream->sync);
}

static void datagrams_pause_writing(void *user, weir_transport *t)
{
    weir_datagram_stream *stream = user;
    (void)t;

    wr_assert(!stream->writing_paused);
    stream->writing_paused = true;
}

static void datagrams_resume_writing(void *user, weir_transport *t)
{
    weir_datagram_stream *stream = user;
    (void)t;

    wr_assert(stream->writing_paused);
    stream->writing_paused = false;
    wr_waiters_wake_all(&stream->drainers, 0);
}

static void datagrams_note_error(weir_datagram_stream *stream, int err)
{
    wr_assert(err < 0);
    if (stream->error == 0) {
        stream->error = err;
    }
    wr_ignore(wr_waiters_wake_first(&stream->receivers, 0));
}

static int datagrams_datagram_received(void *user, weir_transport *t,
                                       const struct weir_datagram *datagram)
{
    weir_datagram_stream *stream = user;

    datagrams_check_invariants(stream);
    if (stream->sync.is_freed) {
        return 0;
    }
    /* A full ring has paused the endpoint, so the program has resumed it. */
    if (stream->count == stream->capacity) {
        wr_ignore(weir_transport_pause_reading(t));
        datagrams_note_error(stream, -ENOBUFS);
        return 0;
    }
    struct place *place = datagrams_place(stream, stream->count);
    place->datagram = *datagram;
    if (datagram->buf.len > 0) {
        int err = weir_buf_ref(&place->datagram.buf);
        if (err < 0) { /* the datagram is lost; the endpoint stays open */
            datagrams_note_error(stream, err);
            return 0;
        }
    } else {
        place->datagram.buf.lease = NULL;
    }
    if (datagram->ancillary) {
        place->ancillary = *datagram->ancillary;
    }
    stream->count++;
    if (stream->count == stream->capacity) {
        stream->is_full = true;
        wr_ignore(weir_transport_pause_reading(t));
    }
    wr_ignore(wr_waiters_wake_first(&stream->receivers, 0));
    return 0;
}

static void datagrams_error_received(void *user, weir_transport *t, int err,
                                     const struct weir_address *peer)
{
    weir_datagram_stream *stream = user;
    (void)t;
    (void)peer;

    if (!stream->sync.is_freed) {
        datagrams_note_error(stream, err);
    }
}

static const struct weir_protocol datagrams_protocol = {
    .size = sizeof(datagrams_protocol),
    .kind = WEIR_PROTOCOL_DATAGRAM,
    .connection_made = datagrams_connection_made,
    .connection_lost = datagrams_connection_lost,
    .pause_writing = datagrams_pause_writing,
    .resume_writing = datagrams_resume_writing,
    .datagram_received = datagrams_datagram_received,
    .error_received = datagrams_error_received,
};

static int datagrams_create(void *arg, weir_transport *t,
                            struct weir_protocol_binding *ret)
{
    (void)t;

    wr_assert(arg != NULL);
    *ret = (struct weir_protocol_binding){.protocol = &datagrams_protocol,
                                          .user = arg};
    return 0;
}

static int
datagrams_read_options(const struct weir_datagram_stream_options *options,
                       struct weir_datagram_stream_options *ret)
{
    int err = wr_options_read(ret, sizeof(*ret), options);
    if (err == 0) {
        err = wr_options_read_inner(ret, &ret->endpoint, sizeof(ret->endpoint));
    }
    wr_require(err >= 0, err);
    wr_require(ret->queue_count <= QUEUE_COUNT_MAX, -EINVAL);
    return 0;
}

static int datagrams_make(weir_loop *loop, uint32_t queue_count,
                          weir_datagram_stream **ret)
{
    const uint32_t capacity = queue_count ? queue_count : WEIR_DATAGRAM_QUEUE;
    const size_t places = capacity * sizeof(struct place);
    struct wr_sync *sync;

    wr_require(!wr_loop_is_closing(loop), -ESHUTDOWN);
    int err = wr_sync_new(loop, sizeof(weir_datagram_stream) + places, &sync);
    wr_require(err >= 0, err);
    weir_datagram_stream *stream =
        wr_container_of(sync, weir_datagram_stream, sync);
    wr_list_init(&stream->receivers);
    wr_list_init(&stream->drainers);
    wr_list_init(&stream->closers);
    stream->capacity = capacity;
    datagrams_check_invariants(stream);
    *ret = stream;
    return 0;
}

/* Takes the socket of @call. */
static int datagrams_open(weir_loop *loop,
                          struct wr_datagram_endpoint_call *call,
                          const struct weir_datagram_stream_options *options,
                          weir_datagram_stream **ret)
{
    struct weir_datagram_stream_options known;
    weir_datagram_stream *stream = NULL;
    weir_transport *t;

    int err = datagrams_read_options(options, &known);
    if (err == 0 && !ret) {
        err = -EINVAL;
    }
    if (err == 0) {
        err = wr_task_enter(loop);
    }
    if (err == 0) {
        err = datagrams_make(loop, known.queue_count, &stream);
    }
    if (err < 0) {
        wr_datagram_endpoint_refuse(loop, call);
        return err;
    }
    const struct weir_factory factory = {.create = datagrams_create,
                                         .arg = stream};
    call->options = &known.endpoint;
    err = wr_datagram_endpoint_open(loop, &factory, call, &t);
    if (err < 0) {
        weir_datagram_stream_free(stream);
        return err;
    }
    wr_assert(!stream->t || stream->t == t);
    wr_transport_unref(t); /* the stream has its own reference */
    *ret = stream;
    return 0;
}

int weir_open_datagram_stream(
    weir_loop *loop, const struct weir_datagram_stream_options *options,
    weir_datagram_stream **ret)
{
    struct wr_datagram_endpoint_call call = {.has_sides = false};

    return datagrams_open(loop, &call, options, ret);
}

int weir_open_datagram_stream_at(
    weir_loop *loop, struct weir_endpoint local, struct weir_endpoint remote,
    const struct weir_datagram_stream_options *options,
    weir_datagram_stream **ret)
{
    struct wr_datagram_endpoint_call call = {
        .has_sides = true, .local = local, .remote = remote};

    return datagrams_open(loop, &call, options, ret);
}

/* Called after wr_sync_enter(). */
static int datagrams_await(weir_datagram_stream *stream)
{
    static const struct wr_wait_kind kind = {.name = "datagram"};
    struct wr_waiter waiter = {.kind = &kind};
    int err = 0;

    while (err == 0 && stream->count == 0) {
        if (stream->sync.is_freed) {
            return -ECANCELED;
        }
        if (stream->error < 0) {
            err = stream->error;
            stream->error = 0;
            return err;
        }
        if (stream->end < 0) {
            return stream->end;
        }
        err = wr_task_wait(stream->sync.loop, &waiter, &stream->receivers);
    }
    return err;
}

int weir_datagram_stream_take(weir_datagram_stream *stream,
                              struct weir_datagram *ret)
{
    struct weir_datagram datagram;

    int err = wr_answer_check(ret);
    wr_require(err >= 0, err);
    /* A caller with a smaller struct could not release the lease. */
    wr_require(ret->size >= sizeof(datagram), WEIR_EOPTIONSIZE);
    err = wr_sync_enter(&stream->sync);
    wr_require(err >= 0, err);
    datagrams_check_invariants(stream);
    err = datagrams_await(stream);
    if (err == 0) {
        datagrams_pop(stream, &datagram);
        wr_answer_write(ret, &datagram, sizeof(datagram));
    }
    wr_sync_unref(&stream->sync);
    return err;
}

ssize_t weir_datagram_stream_recv(weir_datagram_stream *stream, void *buf,
                                  size_t size, struct weir_address *ret_peer)
{
    struct weir_datagram datagram = {.size = sizeof(datagram)};

    wr_require(buf || size == 0, -EINVAL);
    int err = weir_datagram_stream_take(stream, &datagram);
    wr_require(err >= 0, err);
    wr_assert(datagram.size_bytes >= datagram.buf.len);
    if (size > 0 && datagram.buf.len > 0) {
        memcpy(buf, datagram.buf.data,
               datagram.buf.len < size ? datagram.buf.len : size);
    }
    if (ret_peer) {
        *ret_peer = datagram.peer;
    }
    datagrams_drop(&datagram);
    return (ssize_t)datagram.size_bytes;
}

int weir_datagram_stream_send(weir_datagram_stream *stream, const void *data,
                              size_t len, const struct weir_address *addr)
{
    int err = wr_loop_check(stream->sync.loop);
    wr_require(err >= 0, err);
    datagrams_check_invariants(stream);
    err = weir_transport_sendto(stream->t, data, len, addr);
    return err > 0 ? 0 : err; /* weir_datagram_stream_drain() waits */
}

int weir_datagram_stream_drain(weir_datagram_stream *stream)
{
    static const struct wr_wait_kind kind = {.name = "datagram write"};
    struct wr_waiter waiter = {.kind = &kind};

    int err = wr_sync_enter(&stream->sync);
    wr_require(err >= 0, err);
    datagrams_check_invariants(stream);
    while (err == 0 && !stream->sync.is_freed && stream->end == 0 &&
           stream->writing_paused) {
        err = wr_task_wait(stream->sync.loop, &waiter, &stream->drainers);
    }
    if (err == 0) {
        err = stream->sync.is_freed ? -ECANCELED : stream->end;
    }
    wr_sync_unref(&stream->sync);
    return err;
}

void weir_datagram_stream_close(weir_datagram_stream *stream)
{
    if (!wr_loop_admits(stream->sync.loop)) {
        return;
    }
    wr_sync_check_invariants(&stream->sync);
    wr_ignore(weir_transport_close(stream->t)); /* wait_closed returns errors */
}

int weir_datagram_stream_wait_closed(weir_datagram_stream *stream)
{
    static const struct wr_wait_kind kind = {.name = "stream end"};
    struct wr_waiter waiter = {.kind = &kind};

    int err = wr_sync_enter(&stream->sync);
    wr_require(err >= 0, err);
    datagrams_check_invariants(stream);
    while (err == 0 && !stream->sync.is_freed && stream->end == 0) {
        err = wr_task_wait(stream->sync.loop, &waiter, &stream->closers);
    }
    if (err == 0 && stream->sync.is_freed) {
        err = -ECANCELED;
    } else if (err == 0) {
        err = weir_transport_get_error(stream->t);
    }
    wr_sync_unref(&stream->sync);
    return err;
}

weir_transport *
weir_datagram_stream_get_transport(const weir_datagram_stream *stream)
{
    return stream->t;
}

void weir_datagram_stream_free(weir_datagram_stream *stream)
{
    if (!stream || !wr_loop_admits(stream->sync.loop)) {
        return;
    }
    datagrams_check_invariants(stream);
    weir_transport *t = stream->t;

    stream->t = NULL;
    struct weir_datagram datagram;

    while (stream->count > 0) {
        datagrams_pop(stream, &datagram);
        datagrams_drop(&datagram);
    }
    wr_waiters_wake_all(&stream->receivers, 0);
    wr_waiters_wake_all(&stream->drainers, 0);
    wr_waiters_wake_all(&stream->closers, 0);
    if (t) {
        wr_ignore(weir_transport_close(t)); /* queued datagrams are sent */
        wr_transport_unref(t);
    }
    wr_sync_free(&stream->sync);
}
