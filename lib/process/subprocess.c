/*
 * Subprocess transports: a child, its pipes and its protocol.
 *
 *     STARTING --> OPEN --> CLOSING --> LOST
 *         |          '--------------------^
 *         '--> DISCARDED -----------------'
 *
 * A transport is made with its child inside the program's call, so that the
 * arguments need not be copied and the call can return errors. It is STARTING
 * until its pipes are opened and the factory was called: in the same call if a
 * task makes it, else in the next loop iteration. If this fails or is
 * cancelled, it is DISCARDED: the child is killed, and done is called when the
 * child has ended. An OPEN transport is lost when its child has ended and all
 * pipes are closed. CLOSING has closed the pipes and signalled the child.
 *
 * Each pipe is a transport whose protocol is in this file and calls the
 * subprocess's protocol, or the pipe's sink.
 */
#include "subprocess.h"

#include "lib/base/options.h"
#include "lib/loop/pending.h"
#include "lib/transport/pipe/pipe.h"
#include "lib/transport/transport.h"

#include <signal.h>
#include <unistd.h>

#define GRACE_DEFAULT_NS UINT64_C(5000000000)

enum subprocess_state {
    SUBPROCESS_STARTING,
    SUBPROCESS_DISCARDED,
    SUBPROCESS_OPEN,
    SUBPROCESS_CLOSING,
    SUBPROCESS_LOST,
    SUBPROCESS_STATES,
};

struct subprocess_pipe {
    struct subprocess *subprocess;
    weir_transport *t; /* holds a reference; NULL without a pipe */
    /* If its protocol is not NULL, it is called instead of the subprocess's. */
    struct weir_protocol_binding sink;
    bool is_open;
};

struct subprocess {
    weir_transport t;
    struct weir_pending pending; /* handle of the call, until done returns */
    enum subprocess_state state;
    struct wr_child child;
    struct wr_stdio stdio; /* used until the pipes are opened */
    struct subprocess_pipe pipes[WR_STDIO_COUNT];
    struct wr_ready ready;
    struct wr_timer grace_timer; /* between SIGTERM and SIGKILL */
    uint64_t grace_ns;           /* 0 sends SIGKILL immediately */
    struct weir_factory factory;
    weir_connect_done_fn *done;
    void *done_arg;
    /* The error of a start that failed or was cancelled, or 0. */
    int cause;
};

static void subprocess_set_state(struct subprocess *s,
                                 enum subprocess_state state)
{
    static const uint8_t allowed[SUBPROCESS_STATES] = {
        [SUBPROCESS_STARTING] =
            1u << SUBPROCESS_DISCARDED | 1u << SUBPROCESS_OPEN,
        [SUBPROCESS_DISCARDED] = 1u << SUBPROCESS_LOST,
        [SUBPROCESS_OPEN] = 1u << SUBPROCESS_CLOSING | 1u << SUBPROCESS_LOST,
        [SUBPROCESS_CLOSING] = 1u << SUBPROCESS_LOST,
    };
    wr_assert(state < SUBPROCESS_STATES);
    wr_assert(allowed[s->state] >> state & 1u);
    s->state = state;
}

static bool subprocess_has_open_pipe(const struct subprocess *s)
{
    for (int i = 0; i < WR_STDIO_COUNT; i++) {
        if (s->pipes[i].is_open) {
            return true;
        }
    }
    return false;
}

static void subprocess_check_invariants(const struct subprocess *s)
{
    wr_transport_check_invariants(&s->t);
    wr_child_check_invariants(&s->child);
    wr_assert(s->cause <= 0);
    switch (s->state) {
    case SUBPROCESS_STARTING:
        wr_assert(!wr_timer_is_armed(&s->grace_timer));
        break;
    case SUBPROCESS_DISCARDED:
        wr_assert(s->cause < 0);
        wr_assert(!wr_timer_is_armed(&s->grace_timer));
        break;
    case SUBPROCESS_OPEN:
        wr_assert(!wr_timer_is_armed(&s->grace_timer));
        wr_assert(s->t.end == WEIR_END_NONE);
        break;
    case SUBPROCESS_CLOSING:
        wr_assert(s->t.end != WEIR_END_NONE);
        break;
    case SUBPROCESS_LOST:
    case SUBPROCESS_STATES:
        wr_assert(wr_child_has_ended(&s->child));
        wr_assert(!subprocess_has_open_pipe(s));
        break;
    }
}

static void subprocess_call_done(struct subprocess *s, int err,
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

static void subprocess_lose(struct subprocess *s)
{
    weir_loop *loop = s->t.loop;
    const bool was_made = s->state != SUBPROCESS_DISCARDED;

    wr_timer_cancel(&loop->wheel, &s->grace_timer);
    /* without effect if an end was set before */
    wr_transport_set_end(&s->t, WEIR_END_EOF);
    subprocess_set_state(s, SUBPROCESS_LOST);
    subprocess_check_invariants(s);
    if (was_made) {
        wr_protocol_lost(&s->t);
    } else {
        subprocess_call_done(s, s->cause, NULL);
    }
    wr_loop_remove_member(loop, &s->t.member);
    wr_transport_unref(&s->t);
}

static void subprocess_end_if_over(struct subprocess *s)
{
    wr_assert(s->state != SUBPROCESS_STARTING);
    if (wr_child_has_ended(&s->child) && !subprocess_has_open_pipe(s)) {
        subprocess_lose(s);
    }
}

static void subprocess_abort_pipes(struct subprocess *s)
{
    for (int i = 0; i < WR_STDIO_COUNT; i++) {
        if (s->pipes[i].is_open) {
            wr_assert(s->pipes[i].t != NULL);
            weir_transport_abort(s->pipes[i].t);
        }
    }
}

/* The child cannot be killed if it runs as another user. Then its end is not
 * awaited. */
static void subprocess_kill(struct subprocess *s)
{
    wr_assert(s->state == SUBPROCESS_CLOSING ||
              s->state == SUBPROCESS_DISCARDED);
    int err = wr_child_signal(&s->child, SIGKILL);
    if (err < 0 && err != -ESRCH) {
        wr_transport_set_error(&s->t, err, "kill");
        wr_child_leave(&s->child);
    }
}

static void subprocess_doom(struct subprocess *s)
{
    wr_assert(s->t.end != WEIR_END_NONE);
    if (s->state == SUBPROCESS_OPEN) {
        subprocess_set_state(s, SUBPROCESS_CLOSING);
    }
    wr_timer_cancel(&s->t.loop->wheel, &s->grace_timer);
    subprocess_abort_pipes(s);
    subprocess_kill(s);
}

static void subprocess_grace_expired(struct wr_timer *timer)
{
    struct subprocess *s =
        wr_container_of(timer, struct subprocess, grace_timer);

    subprocess_check_invariants(s);
    wr_assert(s->state == SUBPROCESS_CLOSING);
    subprocess_kill(s);
}

static void subprocess_child_ended(struct wr_child *child)
{
    struct subprocess *s = wr_container_of(child, struct subprocess, child);

    wr_assert(wr_child_has_ended(child));
    wr_timer_cancel(&s->t.loop->wheel, &s->grace_timer);
    subprocess_check_invariants(s);
    if (s->state != SUBPROCESS_DISCARDED) {
        wr_protocol_exited(&s->t);
    }
    if (s->state == SUBPROCESS_CLOSING) {
        subprocess_abort_pipes(s);
    }
    subprocess_end_if_over(s);
}

static int subprocess_fd_of(const struct subprocess_pipe *pipe)
{
    const ptrdiff_t fd = pipe - pipe->subprocess->pipes;

    wr_assert(fd >= 0);
    wr_assert(fd < WR_STDIO_COUNT);
    return (int)fd;
}

static void subprocess_pipe_made(void *user, weir_transport *t)
{
    struct subprocess_pipe *pipe = user;
    const struct weir_protocol *sink = pipe->sink.protocol;

    wr_assert(!pipe->is_open);
    wr_assert(pipe->subprocess->state == SUBPROCESS_STARTING);
    pipe->t = weir_transport_ref(t);
    pipe->is_open = true;
    if (sink) {
        sink->connection_made(pipe->sink.user, t);
    }
}

static void subprocess_pipe_lost(void *user, weir_transport *t, int err)
{
    struct subprocess_pipe *pipe = user;
    struct subprocess *s = pipe->subprocess;

    wr_assert(pipe->is_open);
    wr_assert(pipe->t == t);
    subprocess_check_invariants(s);
    pipe->is_open = false;
    if (pipe->sink.protocol) {
        pipe->sink.protocol->connection_lost(pipe->sink.user, t, err);
    } else if (s->state != SUBPROCESS_DISCARDED) {
        wr_protocol_pipe_lost(&s->t, subprocess_fd_of(pipe), err);
    }
    subprocess_end_if_over(s);
}

static int subprocess_pipe_data(void *user, weir_transport *t,
                                const struct weir_buf *buf)
{
    struct subprocess_pipe *pipe = user;
    struct subprocess *s = pipe->subprocess;

    wr_assert(pipe->is_open);
    if (pipe->sink.protocol) {
        return pipe->sink.protocol->data_received(pipe->sink.user, t, buf);
    }
    int err = wr_protocol_pipe_data(&s->t, subprocess_fd_of(pipe), buf);
    if (err < 0) {
        wr_transport_set_error(&s->t, err, "pipe_data_received");
        subprocess_doom(s);
    }
    return err;
}

/* Only the pipe to the child's standard input is written. */
static void subprocess_pipe_pause(void *user, weir_transport *t)
{
    const struct subprocess_pipe *pipe = user;
    (void)t;
    wr_assert(subprocess_fd_of(pipe) == WR_STDIO_IN);
    if (!pipe->sink.protocol) {
        wr_transport_pause(&pipe->subprocess->t);
    }
}

static void subprocess_pipe_resume(void *user, weir_transport *t)
{
    const struct subprocess_pipe *pipe = user;
    const struct weir_protocol *sink = pipe->sink.protocol;

    wr_assert(subprocess_fd_of(pipe) == WR_STDIO_IN);
    if (!sink) {
        wr_transport_notify(&pipe->subprocess->t, 0);
    } else if (sink->resume_writing) {
        sink->resume_writing(pipe->sink.user, t);
    }
}

/* There is no eof_received: the end of a pipe is its loss. */
static const struct weir_protocol subprocess_pipe_protocol = {
    .size = sizeof(subprocess_pipe_protocol),
    .kind = WEIR_PROTOCOL_STREAM,
    .connection_made = subprocess_pipe_made,
    .connection_lost = subprocess_pipe_lost,
    .pause_writing = subprocess_pipe_pause,
    .resume_writing = subprocess_pipe_resume,
    .data_received = subprocess_pipe_data,
};

static int subprocess_bind_pipe(void *arg, weir_transport *t,
                                struct weir_protocol_binding *ret)
{
    wr_assert(arg != NULL);
    t->is_part = true;
    *ret = (struct weir_protocol_binding){.protocol = &subprocess_pipe_protocol,
                                          .user = arg};
    return 0;
}

static int subprocess_open_pipe(struct subprocess *s, int index)
{
    const struct weir_factory factory = {.create = subprocess_bind_pipe,
                                         .arg = &s->pipes[index]};
    const int fd = s->stdio.ours[index];
    weir_transport *t;

    if (fd < 0) {
        return 0;
    }
    wr_assert(!s->pipes[index].t);
    s->stdio.ours[index] = -1; /* wr_pipe_open() takes it, even on failure */
    return wr_pipe_open(s->t.loop, fd,
                        index == WR_STDIO_IN ? WR_PIPE_WRITE : WR_PIPE_READ,
                        &factory, NULL, &t);
}

/* No protocol is connected, so nothing reports the child's end. */
static void subprocess_discard(struct subprocess *s, int err)
{
    wr_assert(err < 0);
    wr_assert(!wr_ready_is_pending(&s->ready));
    s->cause = err;
    subprocess_set_state(s, SUBPROCESS_DISCARDED);
    wr_transport_set_end(&s->t, WEIR_END_ABORTED);
    wr_stdio_close_ours(&s->stdio);
    subprocess_doom(s);
    subprocess_check_invariants(s);
}

static int subprocess_connect(struct subprocess *s)
{
    subprocess_check_invariants(s);
    wr_assert(s->state == SUBPROCESS_STARTING);
    wr_assert(!wr_ready_is_pending(&s->ready));
    wr_child_watch(&s->child);
    int err = s->cause;
    if (err == 0) {
        for (int i = 0; i < WR_STDIO_COUNT && err == 0; i++) {
            err = subprocess_open_pipe(s, i);
        }
    }
    if (err == 0) {
        err = wr_protocol_find(&s->t, &s->factory);
        err = err < 0 ? err : s->cause;
    }
    if (err < 0) {
        subprocess_discard(s, err);
        return err;
    }
    subprocess_set_state(s, SUBPROCESS_OPEN);
    wr_protocol_made(&s->t);
    return 0;
}

static void subprocess_ready(struct wr_ready *ready)
{
    struct subprocess *s = wr_container_of(ready, struct subprocess, ready);

    wr_assert(s->state == SUBPROCESS_STARTING);
    if (subprocess_connect(s) < 0) {
        return; /* done is called at the child's end */
    }
    if (s->cause < 0) { /* cancelled by the callbacks above */
        weir_transport_abort(&s->t);
    }
    subprocess_call_done(s, s->cause, s->cause < 0 ? NULL : &s->t);
    subprocess_check_invariants(s);
}

static const char *const subprocess_state_names[SUBPROCESS_STATES] = {
    "starting", "discarded", "open", "closing", "lost"};

static const struct wr_transport_ops subprocess_ops;

static struct subprocess *subprocess_of(weir_transport *t)
{
    wr_assert(t->ops == &subprocess_ops);
    return wr_container_of(t, struct subprocess, t);
}

static const struct subprocess *subprocess_of_const(const weir_transport *t)
{
    wr_assert(t->ops == &subprocess_ops);
    return wr_container_of(t, const struct subprocess, t);
}

static bool subprocess_is_closing(const weir_transport *t)
{
    return subprocess_of_const(t)->state != SUBPROCESS_OPEN;
}

static int subprocess_set_protocol(weir_transport *t,
                                   const struct weir_protocol_binding *binding,
                                   const struct weir_buf *initial, size_t count)
{
    (void)initial;
    wr_require(subprocess_of(t)->state == SUBPROCESS_OPEN, -ESHUTDOWN);
    wr_require(count == 0, -EINVAL); /* has no bytes to receive */
    t->binding = *binding;
    subprocess_check_invariants(subprocess_of(t));
    return 0;
}

static void subprocess_close(weir_transport *t)
{
    struct subprocess *s = subprocess_of(t);
    weir_loop *loop = t->loop;

    subprocess_check_invariants(s);
    if (s->state != SUBPROCESS_OPEN) {
        return;
    }
    wr_transport_set_end(t, WEIR_END_CLOSED);
    if (wr_child_has_ended(&s->child) || s->grace_ns == 0) {
        subprocess_doom(s);
        return;
    }
    subprocess_set_state(s, SUBPROCESS_CLOSING);
    /* Standard input may still have bytes to send. */
    for (int i = 0; i < WR_STDIO_COUNT; i++) {
        if (s->pipes[i].is_open) {
            wr_assert(s->pipes[i].t != NULL);
            /* An error of the last write is reported by the pipe. */
            wr_ignore(weir_transport_close(s->pipes[i].t) < 0);
        }
    }
    /* If the signal fails, the child only sees the end of its pipes. */
    wr_ignore(wr_child_signal(&s->child, SIGTERM) < 0);
    wr_timer_arm(&loop->wheel, &s->grace_timer,
                 wr_add_sat(wr_sys_now(), s->grace_ns));
    subprocess_check_invariants(s);
}

static void subprocess_abort(weir_transport *t)
{
    struct subprocess *s = subprocess_of(t);

    subprocess_check_invariants(s);
    if (s->state == SUBPROCESS_STARTING) {
        s->cause = s->cause < 0 ? s->cause : -ECANCELED;
    } else if (s->state == SUBPROCESS_OPEN || s->state == SUBPROCESS_CLOSING) {
        wr_transport_set_end(t, WEIR_END_ABORTED);
        subprocess_doom(s);
    }
}

static int subprocess_get_extra_info(const weir_transport *t, const char *name,
                                     struct weir_extra_info *ret)
{
    const struct subprocess *s = subprocess_of_const(t);

    subprocess_check_invariants(s);
    wr_require(strcmp(name, "subprocess") == 0, -ENOENT);
    ret->fd = wr_child_has_ended(&s->child) ? -EBADF : s->child.pidfd;
    return 0;
}

/* Called after the ring was closed. Reaps the child. */
static void subprocess_abandon(weir_transport *t)
{
    struct subprocess *s = subprocess_of(t);

    wr_assert(wr_loop_is_closing(t->loop));
    if (s->state == SUBPROCESS_STARTING) {
        wr_assert(s->cause < 0);
        wr_ready_cancel(&s->ready);
        subprocess_discard(s, s->cause); /* the loop has aborted the start */
    }
    wr_child_abandon(&s->child);
}

static void subprocess_dump(const weir_transport *t, FILE *out)
{
    const struct subprocess *s = subprocess_of_const(t);

    fprintf(out, "subprocess %s pid=%d child=%s pipes=%d%d%d\n",
            subprocess_state_names[s->state], (int)s->child.pid,
            wr_child_has_ended(&s->child) ? "ended" : "running",
            s->pipes[WR_STDIO_IN].is_open, s->pipes[WR_STDIO_OUT].is_open,
            s->pipes[WR_STDIO_ERR].is_open);
}

static void subprocess_check(const weir_transport *t)
{
    const struct subprocess *s = subprocess_of_const(t);

    subprocess_check_invariants(s);
    wr_assert(wr_ready_is_pending(&s->ready) ==
              (s->state == SUBPROCESS_STARTING));
    wr_assert(s->state == SUBPROCESS_STARTING ||
              !wr_child_has_ended(&s->child) || subprocess_has_open_pipe(s));
}

static void subprocess_free(weir_transport *t)
{
    struct subprocess *s = subprocess_of(t);

    wr_assert(s->state == SUBPROCESS_LOST);
    wr_assert(!s->done);
    wr_child_fini(&s->child);
    for (int i = 0; i < WR_STDIO_COUNT; i++) {
        wr_transport_unref(s->pipes[i].t);
    }
    wr_guard_free(&t->loop->counting, s, sizeof(*s));
}

static const struct wr_transport_ops subprocess_ops = {
    .name = "subprocess",
    .protocol_kinds = WR_PROTOCOL_BIT(WEIR_PROTOCOL_SUBPROCESS),
    .write = wr_refuse_write,
    .writelines = wr_refuse_writelines,
    .write_ref = wr_refuse_write_ref,
    .write_lease = wr_refuse_write_lease,
    .is_closing = subprocess_is_closing,
    .set_protocol = subprocess_set_protocol,
    .close = subprocess_close,
    .abort = subprocess_abort,
    .get_extra_info = subprocess_get_extra_info,
    .abandon = subprocess_abandon,
    .dump = subprocess_dump,
    .check = subprocess_check,
    .free = subprocess_free,
};

static void subprocess_give_up(struct weir_pending *pending)
{
    struct subprocess *s = wr_container_of(pending, struct subprocess, pending);

    if (s->cause == 0) {
        s->cause = -ECANCELED;
    }
}

static struct subprocess *subprocess_new(weir_loop *loop)
{
    struct subprocess *s = wr_guard_alloc(&loop->counting, sizeof(*s));

    if (!s) {
        return NULL;
    }
    memset(s, 0, sizeof(*s));
    wr_transport_init(&s->t, loop, &subprocess_ops);
    s->state = SUBPROCESS_STARTING;
    s->pending = (struct weir_pending){loop, subprocess_give_up, NULL};
    wr_child_init(&s->child, loop, subprocess_child_ended);
    wr_ready_init(&s->ready, subprocess_ready);
    wr_timer_init(&s->grace_timer, subprocess_grace_expired);
    for (int i = 0; i < WR_STDIO_COUNT; i++) {
        s->pipes[i].subprocess = s;
    }
    return s;
}

static int subprocess_check_call(const struct weir_factory *factory,
                                 const char *const *argv,
                                 const struct weir_spawn_options *spawn)
{
    wr_require(factory && factory->create, -EINVAL);
    wr_require(argv && argv[0], -EINVAL);
    wr_require(spawn->pass_fds || spawn->pass_fd_count == 0, -EINVAL);
    for (size_t i = 0; i < spawn->pass_fd_count; i++) {
        wr_require(spawn->pass_fds[i] >= WR_STDIO_COUNT, -EINVAL);
    }
    wr_require(spawn->use_process_group || spawn->process_group == 0, -EINVAL);
    return wr_stdio_check(spawn);
}

static struct wr_spawn subprocess_plan(const struct weir_spawn_options *options,
                                       const char *const *argv,
                                       const struct wr_stdio *stdio)
{
    static const char *const none[] = {NULL};
    const char *const *own = environ ? (const char *const *)environ : none;
    struct wr_spawn spawn = {
        .argv = argv,
        /* environ is NULL after clearenv() */
        .env = options->env ? options->env : own,
        .cwd = options->cwd,
        .pass_fds = options->pass_fds,
        .pass_fd_count = options->pass_fd_count,
        .new_session = options->start_new_session,
        .set_group = options->use_process_group,
        .group = options->process_group,
        .set_umask = options->use_umask,
        .umask = options->umask,
    };
    wr_assert(spawn.env != NULL);
    wr_assert(spawn.argv[0] != NULL);
    memcpy(spawn.stdio, stdio->theirs, sizeof(spawn.stdio));
    return spawn;
}

static int subprocess_spawn(struct subprocess *s, const char *const *argv,
                            const struct weir_spawn_options *options,
                            const char **ret_step)
{
    const struct weir_allocator *allocator = &s->t.loop->counting;
    struct wr_spawn spawn = subprocess_plan(options, argv, &s->stdio);
    const char *file = options->executable ? options->executable : argv[0];
    struct wr_program program;

    wr_assert(s->child.state == WR_CHILD_NONE);
    *ret_step = "program";
    int err = wr_program_init(&program, allocator, file, spawn.env);
    if (err < 0) {
        return err;
    }
    spawn.paths = program.paths;
    err = wr_child_spawn(&s->child, &spawn, ret_step);
    wr_program_fini(&program, allocator);
    return err;
}

static int subprocess_make_child(struct subprocess *s, const char *const *argv,
                                 const struct weir_spawn_options *options)
{
    const char *step = "pipes";

    wr_assert(s->state == SUBPROCESS_STARTING);
    int err = wr_stdio_open(&s->stdio, options);
    if (err == 0) {
        err = subprocess_spawn(s, argv, options, &step);
        wr_stdio_close_theirs(&s->stdio);
        wr_assert((err < 0) == (s->child.state == WR_CHILD_NONE));
        if (err < 0) {
            wr_stdio_close_ours(&s->stdio);
        }
    }
    if (err < 0 && options->ret_step) {
        *options->ret_step = step;
    }
    return err;
}

static int subprocess_make(weir_loop *loop, const struct weir_factory *factory,
                           const char *const *argv,
                           const struct weir_spawn_options *options,
                           struct subprocess **ret)
{
    int err = subprocess_check_call(factory, argv, options);
    wr_require(err >= 0, err);
    wr_require(!wr_loop_is_closing(loop), -ESHUTDOWN);
    struct subprocess *s = subprocess_new(loop);
    wr_require(s, -ENOMEM);

    s->factory = *factory;
    s->grace_ns = options->kill_at_close        ? 0
                  : options->close_grace_ns > 0 ? options->close_grace_ns
                                                : GRACE_DEFAULT_NS;
    err = subprocess_make_child(s, argv, options);
    if (err < 0) {
        wr_guard_free(&loop->counting, s, sizeof(*s));
        return err;
    }
    wr_assert(s->child.state == WR_CHILD_SPAWNED);
    wr_loop_pin(loop);
    wr_loop_add_member(loop, &s->t.member);
    subprocess_check_invariants(s);
    *ret = s;
    return 0;
}

int wr_spawn_options_read(const void *outer, struct weir_spawn_options *spawn)
{
    return wr_options_read_inner(outer, spawn, sizeof(*spawn));
}

int wr_subprocess_open(weir_loop *loop, const struct weir_factory *factory,
                       const char *const *argv,
                       const struct weir_spawn_options *options,
                       const struct weir_protocol_binding sinks[WR_STDIO_COUNT])
{
    struct subprocess *s;

    wr_assert(loop->current != NULL);
    int err = subprocess_make(loop, factory, argv, options, &s);
    wr_require(err >= 0, err);
    wr_assert(!s->done); /* the call returns the result */
    for (int i = 0; i < WR_STDIO_COUNT; i++) {
        s->pipes[i].sink = sinks[i];
    }
    return subprocess_connect(s);
}

int weir_subprocess_exec(weir_loop *loop, const struct weir_factory *factory,
                         const char *const *argv,
                         const struct weir_spawn_options *options,
                         weir_connect_done_fn *done, void *done_arg,
                         weir_pending **ret)
{
    struct weir_spawn_options known;
    struct subprocess *s;

    int err = wr_options_read(&known, sizeof(known), options);
    wr_require(err >= 0, err);
    wr_require_loop(loop);
    wr_require(!ret || done, -EINVAL); /* done ends the handle */
    err = subprocess_make(loop, factory, argv, &known, &s);
    wr_require(err >= 0, err);
    s->done = done;
    s->done_arg = done_arg;
    wr_ready_push(&loop->ready, &s->ready);
    if (ret) {
        *ret = &s->pending;
    }
    return 0;
}

int weir_subprocess_shell(weir_loop *loop, const struct weir_factory *factory,
                          const char *command,
                          const struct weir_spawn_options *options,
                          weir_connect_done_fn *done, void *done_arg,
                          weir_pending **ret)
{
    wr_require(command, -EINVAL);
    return weir_subprocess_exec(loop, factory, WR_SHELL_ARGV(command), options,
                                done, done_arg, ret);
}

pid_t weir_transport_get_pid(const weir_transport *t)
{
    wr_require_loop(t->loop);
    wr_require(t->ops == &subprocess_ops, -EOPNOTSUPP);
    const pid_t pid = subprocess_of_const(t)->child.pid;
    wr_assert(pid > 0);
    return pid;
}

int weir_transport_get_returncode(const weir_transport *t, int *ret)
{
    wr_require_loop(t->loop);
    wr_require(t->ops == &subprocess_ops, -EOPNOTSUPP);
    wr_require(ret, -EINVAL);
    return wr_child_returncode(&subprocess_of_const(t)->child, ret);
}

weir_transport *weir_transport_get_pipe_transport(const weir_transport *t,
                                                  int fd)
{
    if (wr_loop_check(t->loop) < 0 || t->ops != &subprocess_ops || fd < 0 ||
        fd >= WR_STDIO_COUNT) {
        return NULL;
    }
    const struct subprocess *s = subprocess_of_const(t);
    /* A pipe may call the protocol, which the factory has not chosen yet. */
    return s->state == SUBPROCESS_STARTING ? NULL : s->pipes[fd].t;
}

int weir_transport_send_signal(weir_transport *t, int signum)
{
    wr_require_loop(t->loop);
    wr_require(t->ops == &subprocess_ops, -EOPNOTSUPP);
    return wr_child_signal(&subprocess_of(t)->child, signum);
}

int weir_transport_terminate(weir_transport *t)
{
    return weir_transport_send_signal(t, SIGTERM);
}

int weir_transport_kill(weir_transport *t)
{
    return weir_transport_send_signal(t, SIGKILL);
}

int weir_transport_killpg(weir_transport *t, int signum)
{
    wr_require_loop(t->loop);
    wr_require(t->ops == &subprocess_ops, -EOPNOTSUPP);
    return wr_child_signal_group(&subprocess_of(t)->child, signum);
}
