/*
 * Children and the callbacks of their protocol; see child_rig.h.
 *
 * The protocol itself checks the rules for every child: one loss of each kind,
 * and no bytes after a pipe was lost.
 */
#include "tests/contract/child_rig.h"

#include <sys/wait.h>
#include <weir/task.h>

int children_left;

static void child_note(struct child *child, const char *format, int number)
{
    const size_t len = strlen(child->notes);

    cr_assert_lt(len + 32, sizeof(child->notes));
    if (len > 0) {
        child->notes[len] = ' ';
    }
    snprintf(child->notes + len + (len > 0), 31, format, number);
}

static void made(void *user, weir_transport *t)
{
    struct child *child = user;

    child->t = weir_transport_ref(t);
    child_note(child, "made", 0);
    if (child->made) {
        child->made(child);
    }
}

static int pipe_data_received(void *user, weir_transport *t, int fd,
                              const struct weir_buf *buf)
{
    struct child *child = user;
    const size_t have = child->byte_count[fd];

    cr_assert(fd == 1 || fd == 2);
    expect_eq(child->pipe_err[fd], 1, "bytes after pipe_connection_lost");
    cr_assert(!child->is_lost);
    if (have < CHILD_BYTES_MAX - 1) {
        const size_t room = CHILD_BYTES_MAX - 1 - have;
        memcpy(child->bytes[fd] + have, buf->data,
               buf->len < room ? buf->len : room);
    }
    child->byte_count[fd] += buf->len;
    return child->data_result;
}

static void pipe_connection_lost(void *user, weir_transport *t, int fd, int err)
{
    struct child *child = user;

    expect_eq(child->pipe_err[fd], 1, "pipe_connection_lost came twice");
    child->pipe_err[fd] = err;
    child_note(child, "lost%d", fd);
}

static void process_exited(void *user, weir_transport *t)
{
    struct child *child = user;

    cr_assert(!child->has_exited);
    child->has_exited = true;
    child_note(child, "exited", 0);
    if (child->exited) {
        child->exited(child);
    }
    if (child->stops_at_exit) {
        weir_loop_stop(loop);
    }
}

static void paused(void *user, weir_transport *t)
{
    child_note(user, "pause", 0);
}

static void resumed(void *user, weir_transport *t)
{
    struct child *child = user;

    child_note(child, "resume", 0);
    if (child->resumed) {
        child->resumed(child);
    }
}

static void lost(void *user, weir_transport *t, int err)
{
    struct child *child = user;

    cr_assert(!child->is_lost);
    child->is_lost = true;
    child->lost_err = err;
    child_note(child, "lost", 0);
    weir_loop_stop(loop);
}

CALLBACKS(child_protocol, SUBPROCESS, .connection_made = made,
          .connection_lost = lost, .pause_writing = paused,
          .resume_writing = resumed, .pipe_data_received = pipe_data_received,
          .pipe_connection_lost = pipe_connection_lost,
          .process_exited = process_exited);

static int create(void *arg, weir_transport *t,
                  struct weir_protocol_binding *ret)
{
    struct child *child = arg;

    cr_assert_gt(weir_transport_get_pid(t), 0);
    *ret = (struct weir_protocol_binding){&child_protocol, child};
    return child->factory_result;
}

struct weir_factory child_factory(struct child *child)
{
    return (struct weir_factory){.create = create, .arg = child};
}

void child_done(void *arg, int err, weir_transport *t)
{
    struct child *child = arg;

    cr_assert(!child->is_done);
    cr_assert_eq(err < 0, t == NULL);
    child->is_done = true;
    child->done_err = err;
    if (err < 0) {
        weir_loop_stop(loop);
    } else {
        cr_assert_eq(child->t, t, "done before connection_made");
    }
}

void child_exec(struct child *child, const char *const *argv,
                const struct weir_spawn_options *spawn)
{
    const struct weir_factory factory = child_factory(child);
    struct weir_spawn_options own = {.size = 0};

    if (spawn) {
        own = *spawn;
    }
    own.size = sizeof(own);
    for (int fd = 0; fd < 3; fd++) {
        child->pipe_err[fd] = 1;
    }
    expect_ok(weir_subprocess_exec(loop, &factory, argv, &own, child_done,
                                   child, &child->handle));
    expect_str_eq(child->notes, ""); /* no callback inside the call */
}

void child_shell(struct child *child, const char *command,
                 const struct weir_spawn_options *spawn)
{
    const char *const argv[] = {"bash", "-c", command, NULL};

    child_exec(child, argv, spawn);
}

void child_wait(struct child *child)
{
    while (!child->is_lost && child->done_err == 0) {
        run_until_stopped();
    }
}

void child_wait_exit(struct child *child)
{
    child->stops_at_exit = true;
    while (!child->has_exited) {
        run_until_stopped();
    }
}

weir_transport *child_pipe(const struct child *child, int fd)
{
    weir_transport *t = weir_transport_get_pipe_transport(child->t, fd);

    cr_assert_not_null(t);
    return t;
}

void child_write_much(struct child *child)
{
    static const char bytes[1 << 20];

    expect_ok(weir_transport_write(child_pipe(child, 0), bytes, sizeof(bytes)));
}

void child_forget(struct child *child)
{
    weir_transport_unref(child->t);
    child->t = NULL;
}

int child_returncode(const struct child *child)
{
    int code = -1000;

    expect_eq(weir_transport_get_returncode(child->t, &code), 0);
    return code;
}

const char *child_output(struct child *child, const char *command,
                         const struct weir_spawn_options *spawn)
{
    child_shell(child, command, spawn);
    child_wait(child);
    expect_eq(child->done_err, 0);
    expect_eq(child_returncode(child), 0, "%s", child->bytes[2]);
    child_forget(child);
    return child->bytes[1];
}

void child_expect_none(void)
{
    expect_eq(waitpid(-1, NULL, WNOHANG | __WALL), -1);
    expect_eq(errno, ECHILD);
}

void children_run(void (*body)(void))
{
    open_loop(NULL);
    body();
    expect_eq(weir_loop_free(loop), children_left);
    child_expect_none();
}

void child_test(void (*body)(struct child *child))
{
    struct child child = {.t = NULL};
    open_loop(NULL);
    body(&child);
    child_forget(&child);
    expect_eq(weir_loop_free(loop), children_left);
    child_expect_none();
}

static void (*task_body)(void);

static int run_body(weir_loop *on, void *arg)
{
    cr_assert_eq(on, loop);
    task_body();
    while (statistics().connections > 0) { /* given up, but not ended yet */
        expect_eq(weir_sleep(loop, MS), 0);
    }
    return 0;
}

static void run_task(void)
{
    int result = -1;

    expect_eq(weir_loop_run_task(loop, run_body, NULL, &result), 0);
    expect_eq(result, 0);
}

void rig_run_body(void (*body)(void))
{
    task_body = body;
    children_run(run_task);
}
