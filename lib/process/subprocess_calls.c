/*
 * The calls on subprocess transports: those that all transports have, in a
 * table, and those that this kind alone has.
 *
 * They hasten what subprocess.c then sees to its end; none calls the protocol.
 */
#include "subprocess.h"

#include <signal.h>

static const char *const subprocess_calls_state_names[WR_SUBPROCESS_STATES] = {
    "starting", "discarded", "open", "closing", "lost"};

static const struct wr_transport_ops subprocess_calls_ops;

static struct wr_subprocess *subprocess_calls_of(weir_transport *t)
{
    wr_assert(t->ops == &subprocess_calls_ops);
    return wr_container_of(t, struct wr_subprocess, t);
}

static const struct wr_subprocess *
subprocess_calls_of_const(const weir_transport *t)
{
    wr_assert(t->ops == &subprocess_calls_ops);
    return wr_container_of(t, const struct wr_subprocess, t);
}

static bool subprocess_calls_is_closing(const weir_transport *t)
{
    return subprocess_calls_of_const(t)->state != WR_SUBPROCESS_OPEN;
}

static int
subprocess_calls_set_protocol(weir_transport *t,
                              const struct weir_protocol_binding *binding,
                              const struct weir_buf *initial, size_t count)
{
    (void)initial;
    wr_require(subprocess_calls_of(t)->state == WR_SUBPROCESS_OPEN, -ESHUTDOWN);
    wr_require(count == 0, -EINVAL); /* no bytes belong to it */
    t->binding = *binding;
    wr_protocol_bound(t);
    wr_subprocess_check_invariants(subprocess_calls_of(t));
    return 0;
}

/* Closes the pipes; the one to standard input may still have bytes to send. */
static void subprocess_calls_close_pipes(struct wr_subprocess *s)
{
    for (int i = 0; i < WR_STDIO_COUNT; i++) {
        if (s->pipes[i].is_open) {
            wr_assert(s->pipes[i].t != NULL);
            /* The pipe reports a refused write. */
            wr_ignore(weir_transport_close(s->pipes[i].t) < 0);
        }
    }
}

static void subprocess_calls_close(weir_transport *t)
{
    struct wr_subprocess *s = subprocess_calls_of(t);
    weir_loop *loop = t->loop;

    wr_subprocess_check_invariants(s);
    if (s->state != WR_SUBPROCESS_OPEN) {
        return;
    }
    wr_transport_set_end(t, WEIR_END_CLOSED);
    if (wr_child_has_ended(&s->child) || s->grace_ns == 0) {
        wr_subprocess_doom(s);
        return;
    }
    wr_subprocess_set_state(s, WR_SUBPROCESS_CLOSING);
    subprocess_calls_close_pipes(s);
    /* If the signal is refused, the child only sees its pipes close. */
    wr_ignore(wr_child_signal(&s->child, SIGTERM) < 0);
    wr_timer_arm(&loop->wheel, &s->grace_timer,
                 wr_add_sat(wr_sys_now(), s->grace_ns));
    wr_subprocess_check_invariants(s);
}

static void subprocess_calls_abort(weir_transport *t)
{
    struct wr_subprocess *s = subprocess_calls_of(t);

    wr_subprocess_check_invariants(s);
    if (s->state == WR_SUBPROCESS_STARTING) {
        s->cause = s->cause < 0 ? s->cause : -ECANCELED;
    } else if (s->state == WR_SUBPROCESS_OPEN ||
               s->state == WR_SUBPROCESS_CLOSING) {
        wr_transport_set_end(t, WEIR_END_ABORTED);
        wr_subprocess_doom(s);
    }
}

static int subprocess_calls_get_extra_info(const weir_transport *t,
                                           const char *name,
                                           struct weir_extra_info *ret)
{
    const struct wr_subprocess *s = subprocess_calls_of_const(t);

    wr_subprocess_check_invariants(s);
    wr_require(strcmp(name, "subprocess") == 0, -ENOENT);
    ret->fd = wr_child_has_ended(&s->child) ? -EBADF : s->child.pidfd;
    return 0;
}

/* The ring is closed: the child is reaped inside this call. */
static void subprocess_calls_abandon(weir_transport *t)
{
    struct wr_subprocess *s = subprocess_calls_of(t);

    wr_assert(wr_loop_is_closing(t->loop));
    if (s->state == WR_SUBPROCESS_STARTING) {
        wr_assert(s->cause < 0);
        wr_ready_cancel(&s->ready);
        wr_subprocess_discard(s, s->cause); /* the loop has aborted it */
    }
    wr_child_abandon(&s->child);
}

static void subprocess_calls_dump(const weir_transport *t, FILE *out)
{
    const struct wr_subprocess *s = subprocess_calls_of_const(t);

    fprintf(out, "subprocess %s pid=%d child=%s pipes=%d%d%d\n",
            subprocess_calls_state_names[s->state], (int)s->child.pid,
            wr_child_has_ended(&s->child) ? "ended" : "running",
            s->pipes[WR_STDIO_IN].is_open, s->pipes[WR_STDIO_OUT].is_open,
            s->pipes[WR_STDIO_ERR].is_open);
}

static void subprocess_calls_check(const weir_transport *t)
{
    const struct wr_subprocess *s = subprocess_calls_of_const(t);

    wr_subprocess_check_invariants(s);
    wr_assert(wr_ready_is_pending(&s->ready) ==
              (s->state == WR_SUBPROCESS_STARTING));
    wr_assert(s->state == WR_SUBPROCESS_STARTING ||
              !wr_child_has_ended(&s->child) || wr_subprocess_has_open_pipe(s));
}

static void subprocess_calls_free(weir_transport *t)
{
    struct wr_subprocess *s = subprocess_calls_of(t);

    wr_assert(s->state == WR_SUBPROCESS_LOST);
    wr_assert(!s->done);
    wr_child_fini(&s->child);
    for (int i = 0; i < WR_STDIO_COUNT; i++) {
        wr_transport_unref(s->pipes[i].t);
    }
    wr_guard_free(&t->loop->counting, s, sizeof(*s));
}

static const struct wr_transport_ops subprocess_calls_ops = {
    .name = "subprocess",
    .protocol_kinds = WR_PROTOCOL_BIT(WEIR_PROTOCOL_SUBPROCESS),
    .write = wr_refuse_write,
    .writelines = wr_refuse_writelines,
    .write_ref = wr_refuse_write_ref,
    .write_lease = wr_refuse_write_lease,
    .is_closing = subprocess_calls_is_closing,
    .set_protocol = subprocess_calls_set_protocol,
    .close = subprocess_calls_close,
    .abort = subprocess_calls_abort,
    .get_extra_info = subprocess_calls_get_extra_info,
    .abandon = subprocess_calls_abandon,
    .dump = subprocess_calls_dump,
    .check = subprocess_calls_check,
    .free = subprocess_calls_free,
};

static void subprocess_calls_give_up(struct weir_pending *pending)
{
    struct wr_subprocess *s =
        wr_container_of(pending, struct wr_subprocess, pending);

    if (s->cause == 0) {
        s->cause = -ECANCELED;
    }
}

struct wr_subprocess *wr_subprocess_new(weir_loop *loop)
{
    struct wr_subprocess *s = wr_guard_alloc(&loop->counting, sizeof(*s));

    if (s) {
        wr_subprocess_init(s, loop, &subprocess_calls_ops);
        s->pending =
            (struct weir_pending){loop, subprocess_calls_give_up, NULL};
    }
    return s;
}

/* ---- the public functions ---- */

pid_t weir_transport_get_pid(const weir_transport *t)
{
    wr_require_loop(t->loop);
    wr_require(t->ops == &subprocess_calls_ops, -EOPNOTSUPP);
    const pid_t pid = subprocess_calls_of_const(t)->child.pid;
    wr_assert(pid > 0);
    return pid;
}

int weir_transport_get_returncode(const weir_transport *t, int *ret)
{
    wr_require_loop(t->loop);
    wr_require(t->ops == &subprocess_calls_ops, -EOPNOTSUPP);
    wr_require(ret, -EINVAL);
    return wr_child_returncode(&subprocess_calls_of_const(t)->child, ret);
}

weir_transport *weir_transport_get_pipe_transport(const weir_transport *t,
                                                  int fd)
{
    if (wr_loop_check(t->loop) < 0 || t->ops != &subprocess_calls_ops ||
        fd < 0 || fd >= WR_STDIO_COUNT) {
        return NULL;
    }
    const struct wr_subprocess *s = subprocess_calls_of_const(t);
    /* A pipe may call the protocol, which the factory has not chosen yet. */
    return s->state == WR_SUBPROCESS_STARTING ? NULL : s->pipes[fd].t;
}

int weir_transport_send_signal(weir_transport *t, int signum)
{
    wr_require_loop(t->loop);
    wr_require(t->ops == &subprocess_calls_ops, -EOPNOTSUPP);
    return wr_child_signal(&subprocess_calls_of(t)->child, signum);
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
    wr_require(t->ops == &subprocess_calls_ops, -EOPNOTSUPP);
    return wr_child_signal_group(&subprocess_calls_of(t)->child, signum);
}
