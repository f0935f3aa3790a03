/*
 * Subprocess transports: the child, its pipes and the protocol together.
 *
 * The pipes and the child end by themselves, each in its own time, and are told
 * apart to the protocol. The transport is lost with the last of them. All that
 * close and abort do is to hasten these ends, so the loss never comes from
 * inside a call of the program.
 */
#include "subprocess.h"

#include "lib/transport/pipe/pipe.h"

#include <signal.h>

void wr_subprocess_set_state(struct wr_subprocess *s,
                             enum wr_subprocess_state state)
{
    static const uint8_t allowed[WR_SUBPROCESS_STATES] = {
        [WR_SUBPROCESS_STARTING] =
            1u << WR_SUBPROCESS_DISCARDED | 1u << WR_SUBPROCESS_OPEN,
        [WR_SUBPROCESS_DISCARDED] = 1u << WR_SUBPROCESS_LOST,
        [WR_SUBPROCESS_OPEN] =
            1u << WR_SUBPROCESS_CLOSING | 1u << WR_SUBPROCESS_LOST,
        [WR_SUBPROCESS_CLOSING] = 1u << WR_SUBPROCESS_LOST,
    };
    wr_assert(state < WR_SUBPROCESS_STATES);
    wr_assert(allowed[s->state] >> state & 1u);
    s->state = state;
}

bool wr_subprocess_has_open_pipe(const struct wr_subprocess *s)
{
    for (int i = 0; i < WR_STDIO_COUNT; i++) {
        if (s->pipes[i].is_open) {
            return true;
        }
    }
    return false;
}

void wr_subprocess_check_invariants(const struct wr_subprocess *s)
{
    wr_transport_check_invariants(&s->t);
    wr_child_check_invariants(&s->child);
    wr_assert(s->cause <= 0);
    switch (s->state) {
    case WR_SUBPROCESS_STARTING:
        wr_assert(!wr_timer_is_armed(&s->grace_timer));
        break;
    case WR_SUBPROCESS_DISCARDED:
        wr_assert(s->cause < 0);
        wr_assert(!wr_timer_is_armed(&s->grace_timer));
        break;
    case WR_SUBPROCESS_OPEN:
        wr_assert(!wr_timer_is_armed(&s->grace_timer));
        wr_assert(s->t.end == WEIR_END_NONE);
        break;
    case WR_SUBPROCESS_CLOSING:
        wr_assert(s->t.end != WEIR_END_NONE);
        break;
    case WR_SUBPROCESS_LOST:
    case WR_SUBPROCESS_STATES:
        wr_assert(wr_child_has_ended(&s->child));
        wr_assert(!wr_subprocess_has_open_pipe(s));
        break;
    }
}

/* ---- the end ---- */

static void subprocess_call_done(struct wr_subprocess *s, int err,
                                 weir_transport *t)
{
    weir_connect_done_fn *done = s->done;

    wr_assert((err < 0) == !t);
    s->done = NULL;
    if (done) {
        done(s->done_arg, err, t);
        wr_loop_end_if_forked(s->t.loop);
    }
}

static void subprocess_lose(struct wr_subprocess *s)
{
    weir_loop *loop = s->t.loop;
    const bool was_made = s->state != WR_SUBPROCESS_DISCARDED;

    wr_timer_cancel(&loop->wheel, &s->grace_timer);
    wr_transport_set_end(&s->t, WEIR_END_EOF); /* unless it was ended here */
    wr_subprocess_set_state(s, WR_SUBPROCESS_LOST);
    wr_subprocess_check_invariants(s);
    if (was_made) {
        wr_protocol_lost(&s->t);
    } else {
        subprocess_call_done(s, s->cause, NULL);
    }
    wr_loop_remove_member(loop, &s->t.member);
    wr_transport_unref(&s->t);
}

/* Called when the child has ended or a pipe is lost. */
static void subprocess_end_if_over(struct wr_subprocess *s)
{
    wr_assert(s->state != WR_SUBPROCESS_STARTING);
    if (wr_child_has_ended(&s->child) && !wr_subprocess_has_open_pipe(s)) {
        subprocess_lose(s);
    }
}

static void subprocess_abort_pipes(struct wr_subprocess *s)
{
    for (int i = 0; i < WR_STDIO_COUNT; i++) {
        if (s->pipes[i].is_open) {
            wr_assert(s->pipes[i].t != NULL);
            weir_transport_abort(s->pipes[i].t);
        }
    }
}

/* A child that runs as another user cannot be killed, and is left. */
static void subprocess_kill(struct wr_subprocess *s)
{
    wr_assert(s->state == WR_SUBPROCESS_CLOSING ||
              s->state == WR_SUBPROCESS_DISCARDED);
    int err = wr_child_signal(&s->child, SIGKILL);
    if (err < 0 && err != -ESRCH) {
        wr_transport_set_error(&s->t, err, "kill");
        wr_child_leave(&s->child);
    }
}

/* Ends everything at once. */
void wr_subprocess_doom(struct wr_subprocess *s)
{
    wr_assert(s->t.end != WEIR_END_NONE);
    if (s->state == WR_SUBPROCESS_OPEN) {
        wr_subprocess_set_state(s, WR_SUBPROCESS_CLOSING);
    }
    wr_timer_cancel(&s->t.loop->wheel, &s->grace_timer);
    subprocess_abort_pipes(s);
    subprocess_kill(s);
}

static void subprocess_grace_expired(struct wr_timer *timer)
{
    struct wr_subprocess *s =
        wr_container_of(timer, struct wr_subprocess, grace_timer);

    wr_subprocess_check_invariants(s);
    wr_assert(s->state == WR_SUBPROCESS_CLOSING);
    subprocess_kill(s);
}

/* ---- the child and the pipes ---- */

static void subprocess_child_ended(struct wr_child *child)
{
    struct wr_subprocess *s =
        wr_container_of(child, struct wr_subprocess, child);

    wr_assert(wr_child_has_ended(child));
    wr_timer_cancel(&s->t.loop->wheel, &s->grace_timer);
    wr_subprocess_check_invariants(s);
    if (s->state != WR_SUBPROCESS_DISCARDED) {
        wr_protocol_exited(&s->t);
    }
    if (s->state == WR_SUBPROCESS_CLOSING) {
        subprocess_abort_pipes(s); /* what they wait for is not coming */
    }
    subprocess_end_if_over(s);
}

/* The number of the child's descriptor. */
static int subprocess_fd_of(const struct wr_subprocess_pipe *pipe)
{
    const ptrdiff_t fd = pipe - pipe->subprocess->pipes;

    wr_assert(fd >= 0);
    wr_assert(fd < WR_STDIO_COUNT);
    return (int)fd;
}

static void subprocess_pipe_made(void *user, weir_transport *t)
{
    struct wr_subprocess_pipe *pipe = user;
    const struct weir_protocol *sink = pipe->sink.protocol;

    wr_assert(!pipe->is_open);
    wr_assert(pipe->subprocess->state == WR_SUBPROCESS_STARTING);
    pipe->t = weir_transport_ref(t);
    pipe->is_open = true;
    if (sink) {
        sink->connection_made(pipe->sink.user, t);
    }
}

static void subprocess_pipe_lost(void *user, weir_transport *t, int err)
{
    struct wr_subprocess_pipe *pipe = user;
    struct wr_subprocess *s = pipe->subprocess;

    wr_assert(pipe->is_open);
    wr_assert(pipe->t == t);
    wr_subprocess_check_invariants(s);
    pipe->is_open = false;
    if (pipe->sink.protocol) {
        pipe->sink.protocol->connection_lost(pipe->sink.user, t, err);
    } else if (s->state != WR_SUBPROCESS_DISCARDED) {
        wr_protocol_pipe_lost(&s->t, subprocess_fd_of(pipe), err);
    }
    subprocess_end_if_over(s);
}

static int subprocess_pipe_data(void *user, weir_transport *t,
                                const struct weir_buf *buf)
{
    struct wr_subprocess_pipe *pipe = user;
    struct wr_subprocess *s = pipe->subprocess;

    wr_assert(pipe->is_open);
    if (pipe->sink.protocol) {
        return pipe->sink.protocol->data_received(pipe->sink.user, t, buf);
    }
    int err = wr_protocol_pipe_data(&s->t, subprocess_fd_of(pipe), buf);
    if (err < 0) {
        wr_transport_set_error(&s->t, err, "pipe_data_received");
        wr_subprocess_doom(s);
    }
    return err;
}

static int subprocess_pipe_eof(void *user, weir_transport *t)
{
    const struct wr_subprocess_pipe *pipe = user;
    const struct weir_protocol *sink = pipe->sink.protocol;

    wr_assert(pipe->is_open);
    return sink ? sink->eof_received(pipe->sink.user, t) : 0;
}

/* Only the pipe to the child's standard input can be written. */
static void subprocess_pipe_pause(void *user, weir_transport *t)
{
    const struct wr_subprocess_pipe *pipe = user;
    (void)t;
    wr_assert(subprocess_fd_of(pipe) == WR_STDIO_IN);
    if (!pipe->sink.protocol) {
        wr_transport_pause(&pipe->subprocess->t);
    }
}

static void subprocess_pipe_resume(void *user, weir_transport *t)
{
    const struct wr_subprocess_pipe *pipe = user;
    const struct weir_protocol *sink = pipe->sink.protocol;

    wr_assert(subprocess_fd_of(pipe) == WR_STDIO_IN);
    if (!sink) {
        wr_transport_notify(&pipe->subprocess->t, 0);
    } else if (sink->resume_writing) {
        sink->resume_writing(pipe->sink.user, t);
    }
}

static const struct weir_protocol subprocess_pipe_protocol = {
    .size = sizeof(subprocess_pipe_protocol),
    .kind = WEIR_PROTOCOL_STREAM,
    .connection_made = subprocess_pipe_made,
    .connection_lost = subprocess_pipe_lost,
    .pause_writing = subprocess_pipe_pause,
    .resume_writing = subprocess_pipe_resume,
    .data_received = subprocess_pipe_data,
    .eof_received = subprocess_pipe_eof,
};

/* ---- the start ---- */

static int subprocess_bind_pipe(void *arg, weir_transport *t,
                                struct weir_protocol_binding *ret)
{
    wr_assert(arg != NULL);
    t->is_part = true;
    *ret = (struct weir_protocol_binding){.protocol = &subprocess_pipe_protocol,
                                          .user = arg};
    return 0;
}

static int subprocess_open_pipe(struct wr_subprocess *s, int index)
{
    const struct weir_factory factory = {.create = subprocess_bind_pipe,
                                         .arg = &s->pipes[index]};
    const int fd = s->stdio.ours[index];
    weir_transport *t;

    if (fd < 0) {
        return 0;
    }
    wr_assert(!s->pipes[index].t);
    s->stdio.ours[index] = -1; /* taken, also by a failure */
    return wr_pipe_open(s->t.loop, fd,
                        index == WR_STDIO_IN ? WR_PIPE_WRITE : WR_PIPE_READ,
                        &factory, NULL, &t);
}

static int subprocess_open_pipes(struct wr_subprocess *s)
{
    int err = 0;

    wr_assert(s->state == WR_SUBPROCESS_STARTING);
    for (int i = 0; i < WR_STDIO_COUNT && err == 0; i++) {
        err = subprocess_open_pipe(s, i);
    }
    return err;
}

static int subprocess_find_protocol(struct wr_subprocess *s)
{
    wr_assert(s->state == WR_SUBPROCESS_STARTING);
    const int err = wr_protocol_find(&s->t, &s->factory);

    wr_require(err >= 0, err);
    return s->cause;
}

/* No protocol is connected: nothing reports the child's end. */
void wr_subprocess_discard(struct wr_subprocess *s, int err)
{
    wr_assert(err < 0);
    wr_assert(!wr_ready_is_pending(&s->ready));
    s->cause = err;
    wr_subprocess_set_state(s, WR_SUBPROCESS_DISCARDED);
    wr_transport_set_end(&s->t, WEIR_END_ABORTED);
    wr_stdio_close_ours(&s->stdio);
    wr_subprocess_doom(s);
    wr_subprocess_check_invariants(s);
}

int wr_subprocess_connect(struct wr_subprocess *s)
{
    wr_subprocess_check_invariants(s);
    wr_assert(s->state == WR_SUBPROCESS_STARTING);
    wr_child_watch(&s->child);
    int err = s->cause;
    if (err == 0) {
        err = subprocess_open_pipes(s);
    }
    if (err == 0) {
        err = subprocess_find_protocol(s);
    }
    if (err < 0) {
        wr_subprocess_discard(s, err);
        return err;
    }
    wr_subprocess_set_state(s, WR_SUBPROCESS_OPEN);
    wr_protocol_made(&s->t);
    return 0;
}

static void subprocess_ready(struct wr_ready *ready)
{
    struct wr_subprocess *s =
        wr_container_of(ready, struct wr_subprocess, ready);

    wr_assert(s->state == WR_SUBPROCESS_STARTING);
    if (wr_subprocess_connect(s) < 0) {
        return; /* the child's end calls done */
    }
    if (s->cause < 0) { /* given up by its own callbacks */
        weir_transport_abort(&s->t);
    }
    subprocess_call_done(s, s->cause, s->cause < 0 ? NULL : &s->t);
    wr_subprocess_check_invariants(s);
}

void wr_subprocess_init(struct wr_subprocess *s, weir_loop *loop,
                        const struct wr_transport_ops *ops)
{
    memset(s, 0, sizeof(*s));
    wr_transport_init(&s->t, loop, ops);
    s->state = WR_SUBPROCESS_STARTING;
    wr_child_init(&s->child, loop, subprocess_child_ended);
    wr_ready_init(&s->ready, subprocess_ready);
    wr_timer_init(&s->grace_timer, subprocess_grace_expired);
    for (int i = 0; i < WR_STDIO_COUNT; i++) {
        s->pipes[i].subprocess = s;
    }
}

void wr_subprocess_begin(struct wr_subprocess *s)
{
    weir_loop *loop = s->t.loop;

    wr_assert(s->child.state == WR_CHILD_SPAWNED);
    wr_loop_pin(loop);
    wr_loop_add_member(loop, &s->t.member);
    wr_subprocess_check_invariants(s);
}
