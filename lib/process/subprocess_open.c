/*
 * Making a subprocess: descriptors, program and child, in one call.
 *
 * The child is made before the call returns, so that nothing of the caller's
 * has to be copied and an error of the program is the call's own result. The
 * protocol follows at once, or in the next turn if it is the program's.
 */
#include "subprocess.h"

#include "lib/base/options.h"
#include "program.h"

#include <unistd.h>

#define GRACE_DEFAULT_NS UINT64_C(5000000000)

int wr_spawn_options_read(const void *outer, struct weir_spawn_options *spawn)
{
    return wr_options_read_inner(outer, spawn, sizeof(*spawn));
}

static int subprocess_open_check(const struct weir_factory *factory,
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

static struct wr_spawn
subprocess_open_plan(const struct weir_spawn_options *options,
                     const char *const *argv, const struct wr_stdio *stdio)
{
    static const char *const none[] = {NULL};
    const char *const *own = environ ? (const char *const *)environ : none;
    struct wr_spawn spawn = {
        .argv = argv,
        .env = options->env ? options->env : own, /* clearenv() sets NULL */
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
    memcpy(spawn.stdio, stdio->theirs, sizeof(spawn.stdio));
    return spawn;
}

/* Looks the program up and makes the child. */
static int subprocess_open_child(struct wr_subprocess *s,
                                 const char *const *argv,
                                 const struct weir_spawn_options *options,
                                 const char **ret_step)
{
    const struct weir_allocator *allocator = &s->t.loop->counting;
    struct wr_spawn spawn = subprocess_open_plan(options, argv, &s->stdio);
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

/* Opens the descriptors and makes the child; leaves nothing when it fails. */
static int subprocess_open_all(struct wr_subprocess *s, const char *const *argv,
                               const struct weir_spawn_options *options)
{
    const char *step = "pipes";

    wr_assert(s->state == WR_SUBPROCESS_STARTING);
    int err = wr_stdio_open(&s->stdio, options);
    if (err == 0) {
        err = subprocess_open_child(s, argv, options, &step);
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

static uint64_t
subprocess_open_get_grace(const struct weir_spawn_options *options)
{
    if (options->kill_at_close) {
        return 0;
    }
    return options->close_grace_ns ? options->close_grace_ns : GRACE_DEFAULT_NS;
}

/* Makes the transport and its child; the protocol follows. */
static int subprocess_open_begin(weir_loop *loop,
                                 const struct weir_factory *factory,
                                 const char *const *argv,
                                 const struct weir_spawn_options *options,
                                 struct wr_subprocess **ret)
{
    int err = subprocess_open_check(factory, argv, options);
    wr_require(err >= 0, err);
    wr_require(!wr_loop_is_closing(loop), -ESHUTDOWN);
    struct wr_subprocess *s = wr_subprocess_new(loop);
    wr_require(s, -ENOMEM);

    s->factory = *factory;
    s->grace_ns = subprocess_open_get_grace(options);
    err = subprocess_open_all(s, argv, options);
    if (err < 0) {
        wr_guard_free(&loop->counting, s, sizeof(*s));
        return err;
    }
    wr_subprocess_begin(s);
    *ret = s;
    return 0;
}

int wr_subprocess_open(weir_loop *loop, const struct weir_factory *factory,
                       const char *const *argv,
                       const struct weir_spawn_options *options,
                       const struct weir_protocol_binding sinks[WR_STDIO_COUNT])
{
    struct wr_subprocess *s;

    int err = subprocess_open_begin(loop, factory, argv, options, &s);
    wr_require(err >= 0, err);
    for (int i = 0; i < WR_STDIO_COUNT; i++) {
        s->pipes[i].sink = sinks[i];
    }
    return wr_subprocess_connect(s);
}

int weir_subprocess_exec(weir_loop *loop, const struct weir_factory *factory,
                         const char *const *argv,
                         const struct weir_spawn_options *options,
                         weir_connect_done_fn *done, void *done_arg,
                         weir_pending **ret)
{
    struct weir_spawn_options known;
    struct wr_subprocess *s;

    int err = wr_options_read(&known, sizeof(known), options);
    wr_require(err >= 0, err);
    wr_require_loop(loop);
    wr_require(!ret || done, -EINVAL); /* done ends the handle */
    err = subprocess_open_begin(loop, factory, argv, &known, &s);
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
