/*
 * The calls from a transport up to its protocol.
 *
 * A transport calls its protocol only here: a missing entry is skipped, a slow
 * callback is reported, and a child that was forked inside a callback leaves.
 * Which function data_received is, the call that matters most, is chosen when
 * the protocol is bound.
 */
#include "transport.h"

bool wr_protocol_is_valid(const struct weir_protocol_binding *binding)
{
    const struct weir_protocol *protocol = binding->protocol;
    if (!protocol || protocol->size < sizeof(*protocol)) {
        return false;
    }
    if (protocol->kind == WEIR_PROTOCOL_BUFFERED) {
        return protocol->get_buffer && protocol->buffer_updated;
    }
    return protocol->kind == WEIR_PROTOCOL_STREAM;
}

/* When a callback began, if anybody wants to know. */
static inline uint64_t start_timing(const weir_transport *t)
{
    return WR_UNLIKELY(t->loop->slow_callback_ns) ? wr_sys_now() : 0;
}

static void report_if_slow(weir_transport *t, uint64_t start_ns,
                           const char *callback)
{
    const uint64_t took_ns = wr_sys_now() - start_ns;
    if (took_ns > t->loop->slow_callback_ns) {
        const struct weir_exception slow = {.message = "slow callback",
                                            .callback = callback,
                                            .duration_ns = took_ns,
                                            .transport = t};
        wr_loop_report(t->loop, &slow);
    }
}

static inline void end_timing(weir_transport *t, uint64_t start_ns,
                              const char *callback)
{
    wr_loop_leave_if_forked(t->loop);
    if (WR_UNLIKELY(start_ns != 0)) {
        report_if_slow(t, start_ns, callback);
    }
}

/* From inside a write, which may be a task's: it must not suspend in here. */
void wr_protocol_pause(weir_transport *t)
{
    if (t->binding.protocol->pause_writing) {
        weir_task *task = wr_loop_forbid(t->loop);
        const uint64_t start_ns = start_timing(t);
        t->binding.protocol->pause_writing(t->binding.user, t);
        end_timing(t, start_ns, "pause_writing");
        wr_loop_allow(t->loop, task);
    }
}

void wr_protocol_resume(weir_transport *t)
{
    if (t->binding.protocol->resume_writing) {
        const uint64_t start_ns = start_timing(t);
        t->binding.protocol->resume_writing(t->binding.user, t);
        end_timing(t, start_ns, "resume_writing");
    }
}

void wr_protocol_made(weir_transport *t)
{
    if (t->binding.protocol->connection_made) {
        const uint64_t start_ns = start_timing(t);
        t->binding.protocol->connection_made(t->binding.user, t);
        end_timing(t, start_ns, "connection_made");
    }
}

void wr_protocol_lost(weir_transport *t)
{
    if (t->binding.protocol->connection_lost) {
        const uint64_t start_ns = start_timing(t);
        t->binding.protocol->connection_lost(t->binding.user, t, t->error);
        end_timing(t, start_ns, "connection_lost");
    }
}

static int ignore_data(void *user, weir_transport *t,
                       const struct weir_buf *buf)
{
    (void)user;
    (void)t;
    (void)buf;
    return 0;
}

static int time_data(void *user, weir_transport *t, const struct weir_buf *buf)
{
    const uint64_t start_ns = start_timing(t);
    int ret = t->binding.protocol->data_received(user, t, buf);
    end_timing(t, start_ns, "data_received");
    return ret;
}

void wr_protocol_bound(weir_transport *t)
{
    const struct weir_protocol *protocol = t->binding.protocol;

    if (!protocol->data_received) {
        t->data_received = ignore_data;
    } else if (t->loop->slow_callback_ns) {
        t->data_received = time_data;
    } else {
        t->data_received = protocol->data_received;
    }
}

int wr_protocol_eof(weir_transport *t)
{
    if (!t->binding.protocol->eof_received) {
        return 0;
    }
    const uint64_t start_ns = start_timing(t);
    int ret = t->binding.protocol->eof_received(t->binding.user, t);
    end_timing(t, start_ns, "eof_received");
    return ret;
}

int wr_protocol_get_buffer(weir_transport *t, size_t hint, void **ret_buf,
                           size_t *ret_size)
{
    *ret_buf = NULL;
    *ret_size = 0;
    const uint64_t start_ns = start_timing(t);
    int ret = t->binding.protocol->get_buffer(t->binding.user, t, hint, ret_buf,
                                              ret_size);
    end_timing(t, start_ns, "get_buffer");
    if (ret < 0) {
        return ret;
    }
    return *ret_buf && *ret_size > 0 ? 0 : WEIR_ENOBUFFER;
}

int wr_protocol_updated(weir_transport *t, size_t len)
{
    const uint64_t start_ns = start_timing(t);
    int ret = t->binding.protocol->buffer_updated(t->binding.user, t, len);
    end_timing(t, start_ns, "buffer_updated");
    return ret;
}
