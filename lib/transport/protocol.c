/*
 * Calls the protocol of a transport. Every call skips a missing entry, reports
 * a slow callback, and ends a child process that was forked inside the
 * callback. wr_protocol_bound() chooses the function for data_received, the
 * most frequent call.
 */
#include "transport.h"
#include "weir/datagram.h"
#include "weir/error.h"

/* Minimum size of the table of each kind. Entries that follow are optional. */
static const size_t protocol_least_sizes[] = {
    [WEIR_PROTOCOL_STREAM] = offsetof(struct weir_protocol, datagram_received),
    [WEIR_PROTOCOL_BUFFERED] =
        offsetof(struct weir_protocol, datagram_received),
    [WEIR_PROTOCOL_DATAGRAM] =
        offsetof(struct weir_protocol, pipe_data_received),
    [WEIR_PROTOCOL_SUBPROCESS] = offsetof(struct weir_protocol, fds_received),
};

#define PROTOCOL_HAS(table, entry)                                             \
    ((table)->size >=                                                          \
         offsetof(struct weir_protocol, entry) + sizeof((table)->entry) &&     \
     (table)->entry)

bool wr_protocol_fits(const weir_transport *t,
                      const struct weir_protocol_binding *binding)
{
    const struct weir_protocol *protocol = binding->protocol;
    wr_assert(t->ops->protocol_kinds != 0);
    if (!protocol ||
        protocol->size < protocol_least_sizes[WEIR_PROTOCOL_STREAM]) {
        return false;
    }
    const unsigned int kind = protocol->kind;
    if (kind > WEIR_PROTOCOL_SUBPROCESS ||
        !(t->ops->protocol_kinds & WR_PROTOCOL_BIT(kind)) ||
        protocol->size < protocol_least_sizes[kind]) {
        return false;
    }
    return kind != WEIR_PROTOCOL_BUFFERED ||
           (protocol->get_buffer && protocol->buffer_updated);
}

static inline uint64_t protocol_start_timing(const weir_transport *t)
{
    return WR_UNLIKELY(t->loop->slow_callback_ns) ? wr_sys_now() : 0;
}

static inline void protocol_end_timing(weir_transport *t, uint64_t start_ns,
                                       const char *callback)
{
    wr_loop_end_if_forked(t->loop);
    if (WR_UNLIKELY(start_ns != 0)) {
        wr_loop_report_slow(
            t->loop, start_ns,
            &(struct weir_exception){.callback = callback, .transport = t});
    }
}

/* A task that writes may call this, so pause_writing must not suspend. */
void wr_protocol_pause(weir_transport *t)
{
    wr_assert(t->writing_paused);
    if (t->binding.protocol->pause_writing) {
        weir_task *task = wr_loop_begin_callback(t->loop);
        const uint64_t start_ns = protocol_start_timing(t);
        t->binding.protocol->pause_writing(t->binding.user, t);
        protocol_end_timing(t, start_ns, "pause_writing");
        wr_loop_end_callback(t->loop, task);
    }
}

void wr_protocol_resume(weir_transport *t)
{
    wr_assert(!t->writing_paused);
    if (t->binding.protocol->resume_writing) {
        const uint64_t start_ns = protocol_start_timing(t);
        t->binding.protocol->resume_writing(t->binding.user, t);
        protocol_end_timing(t, start_ns, "resume_writing");
    }
}

void wr_protocol_made(weir_transport *t)
{
    if (t->binding.protocol->connection_made) {
        const uint64_t start_ns = protocol_start_timing(t);
        t->binding.protocol->connection_made(t->binding.user, t);
        protocol_end_timing(t, start_ns, "connection_made");
    }
}

void wr_protocol_lost(weir_transport *t)
{
    wr_assert(t->end != WEIR_END_NONE);
    wr_assert(t->error <= 0);
    if (t->binding.protocol->connection_lost) {
        const uint64_t start_ns = protocol_start_timing(t);
        t->binding.protocol->connection_lost(t->binding.user, t, t->error);
        protocol_end_timing(t, start_ns, "connection_lost");
    }
}

bool wr_protocol_may_move(const weir_transport *t)
{
    const struct weir_protocol *protocol = t->binding.protocol;

    wr_assert(protocol);
    return PROTOCOL_HAS(protocol, connection_moved);
}

void wr_protocol_moved(weir_transport *t)
{
    wr_assert(t->end == WEIR_END_MOVED);
    const uint64_t start_ns = protocol_start_timing(t);
    t->binding.protocol->connection_moved(t->binding.user, t);
    protocol_end_timing(t, start_ns, "connection_moved");
}

static int protocol_ignore_data(void *user, weir_transport *t,
                                const struct weir_buf *buf)
{
    (void)user;
    (void)t;
    (void)buf;
    return 0;
}

static int protocol_time_data(void *user, weir_transport *t,
                              const struct weir_buf *buf)
{
    const uint64_t start_ns = protocol_start_timing(t);
    int ret = t->binding.protocol->data_received(user, t, buf);
    protocol_end_timing(t, start_ns, "data_received");
    return ret;
}

void wr_protocol_bound(weir_transport *t)
{
    const struct weir_protocol *protocol = t->binding.protocol;

    wr_debug_assert(wr_protocol_fits(t, &t->binding));
    if (!protocol->data_received) {
        t->data_received = protocol_ignore_data;
    } else if (t->loop->slow_callback_ns) {
        t->data_received = protocol_time_data;
    } else {
        t->data_received = protocol->data_received;
    }
}

int wr_protocol_eof(weir_transport *t)
{
    if (!t->binding.protocol->eof_received) {
        return 0;
    }
    const uint64_t start_ns = protocol_start_timing(t);
    int ret = t->binding.protocol->eof_received(t->binding.user, t);
    protocol_end_timing(t, start_ns, "eof_received");
    return ret;
}

int wr_protocol_get_buffer(weir_transport *t, size_t hint, void **ret_buf,
                           size_t *ret_size)
{
    wr_assert(t->binding.protocol->kind == WEIR_PROTOCOL_BUFFERED);
    *ret_buf = NULL;
    *ret_size = 0;
    const uint64_t start_ns = protocol_start_timing(t);
    int ret = t->binding.protocol->get_buffer(t->binding.user, t, hint, ret_buf,
                                              ret_size);
    protocol_end_timing(t, start_ns, "get_buffer");
    if (ret < 0) {
        return ret;
    }
    return *ret_buf && *ret_size > 0 ? 0 : WEIR_ENOBUFFER;
}

int wr_protocol_updated(weir_transport *t, size_t len)
{
    wr_assert(len > 0);
    wr_assert(t->binding.protocol->kind == WEIR_PROTOCOL_BUFFERED);
    const uint64_t start_ns = protocol_start_timing(t);
    int ret = t->binding.protocol->buffer_updated(t->binding.user, t, len);
    protocol_end_timing(t, start_ns, "buffer_updated");
    return ret;
}

void wr_protocol_give_back(weir_transport *t,
                           const struct weir_protocol_binding *from, void *buf)
{
    wr_assert(buf);
    if (from->protocol->release_buffer) {
        from->protocol->release_buffer(from->user, buf);
        wr_loop_end_if_forked(t->loop);
    }
}

int wr_protocol_pipe_data(weir_transport *t, int fd, const struct weir_buf *buf)
{
    wr_assert(t->binding.protocol->kind == WEIR_PROTOCOL_SUBPROCESS);
    if (!t->binding.protocol->pipe_data_received) {
        return 0;
    }
    const uint64_t start_ns = protocol_start_timing(t);
    int ret =
        t->binding.protocol->pipe_data_received(t->binding.user, t, fd, buf);
    protocol_end_timing(t, start_ns, "pipe_data_received");
    return ret;
}

void wr_protocol_pipe_lost(weir_transport *t, int fd, int err)
{
    wr_assert(t->binding.protocol->kind == WEIR_PROTOCOL_SUBPROCESS);
    wr_assert(err <= 0);
    if (t->binding.protocol->pipe_connection_lost) {
        const uint64_t start_ns = protocol_start_timing(t);
        t->binding.protocol->pipe_connection_lost(t->binding.user, t, fd, err);
        protocol_end_timing(t, start_ns, "pipe_connection_lost");
    }
}

void wr_protocol_exited(weir_transport *t)
{
    wr_assert(t->binding.protocol->kind == WEIR_PROTOCOL_SUBPROCESS);
    if (t->binding.protocol->process_exited) {
        const uint64_t start_ns = protocol_start_timing(t);
        t->binding.protocol->process_exited(t->binding.user, t);
        protocol_end_timing(t, start_ns, "process_exited");
    }
}

bool wr_protocol_takes_fds(const weir_transport *t)
{
    const struct weir_protocol *protocol = t->binding.protocol;

    return PROTOCOL_HAS(protocol, fds_received);
}

int wr_protocol_fds(weir_transport *t, const int *fds, size_t count, bool lost)
{
    wr_assert(wr_protocol_takes_fds(t));
    wr_assert(count > 0 || lost);
    const uint64_t start_ns = protocol_start_timing(t);
    int ret =
        t->binding.protocol->fds_received(t->binding.user, t, fds, count, lost);
    protocol_end_timing(t, start_ns, "fds_received");
    return ret;
}

int wr_protocol_datagram(weir_transport *t,
                         const struct weir_datagram *datagram)
{
    wr_debug_assert(t->binding.protocol->kind == WEIR_PROTOCOL_DATAGRAM);
    if (!t->binding.protocol->datagram_received) {
        return 0;
    }
    const uint64_t start_ns = protocol_start_timing(t);
    int ret =
        t->binding.protocol->datagram_received(t->binding.user, t, datagram);
    protocol_end_timing(t, start_ns, "datagram_received");
    return ret;
}

void wr_protocol_error(weir_transport *t, int err,
                       const struct weir_address *peer)
{
    wr_assert(err < 0);
    if (t->binding.protocol->error_received) {
        const uint64_t start_ns = protocol_start_timing(t);
        t->binding.protocol->error_received(t->binding.user, t, err, peer);
        protocol_end_timing(t, start_ns, "error_received");
    }
}
