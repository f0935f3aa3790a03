/*
 * Processes: starting a child from a task, waiting for its end, freeing it. The
 * protocols here call no code of the program, so a start need not wait for
 * anything. But it blocks the loop, so the call yields before it: other tasks
 * run first, and a cancellation finds no child. A task waits for the child and
 * not for its pipes, because a grandchild may hold them for ever.
 */
#include "process.h"

#include "lib/base/options.h"

#include <signal.h>

void wr_process_check_invariants(const weir_process *process)
{
    wr_assert(process->refs > 0);
    wr_assert(process->transport != NULL);
    for (int i = WR_STDIO_OUT; i < WR_STDIO_COUNT; i++) {
        const struct wr_output *output = &process->outputs[i];
        wr_assert((output->data != NULL) == (output->size > 0));
        wr_assert(output->len < output->size || output->size == 0);
    }
}

static void process_connection_made(void *user, weir_transport *t)
{
    weir_process *process = user;

    wr_assert(!process->transport);
    wr_assert(process->refs == 1); /* held by the call that makes it */
    process->transport = weir_transport_ref(t);
    wr_process_hold(process);
}

static void process_connection_lost(void *user, weir_transport *t, int err)
{
    weir_process *process = user;
    (void)err;

    wr_assert(t == process->transport);
    wr_assert(wr_list_is_empty(&process->waiters)); /* it has exited */
    wr_process_release(process);
}

static void process_process_exited(void *user, weir_transport *t)
{
    weir_process *process = user;

    wr_assert(t == process->transport);
    wr_process_check_invariants(process);
    wr_waiters_wake_all(&process->waiters, 0);
}

static const struct weir_protocol process_protocol = {
    .size = sizeof(process_protocol),
    .kind = WEIR_PROTOCOL_SUBPROCESS,
    .connection_made = process_connection_made,
    .connection_lost = process_connection_lost,
    .process_exited = process_process_exited,
};

/* Frees a process that has no child, or whose child has ended or is killed. */
static void process_destroy(weir_process *process)
{
    weir_loop *loop = process->loop;

    wr_assert(process->refs <= 1);
    wr_assert(wr_list_is_empty(&process->waiters));
    wr_assert(!process->is_communicating);
    for (int i = 0; i < WR_STDIO_COUNT; i++) {
        weir_writer *stream = process->streams[i];
        weir_writer_unref(stream);
        process->streams[i] = NULL;
    }
    for (int i = 0; i < WR_STDIO_COUNT; i++) {
        struct wr_output *output = &process->outputs[i];
        wr_free(&loop->counting, output->data, output->size);
    }
    wr_transport_unref(process->transport);
    wr_free(&loop->counting, process, sizeof(*process));
    wr_loop_unpin(loop);
}

void wr_process_hold(weir_process *process)
{
    wr_assert(process->refs < UINT32_MAX);
    process->refs++;
}

void wr_process_release(weir_process *process)
{
    wr_process_check_invariants(process);
    if (--process->refs == 0) {
        process_destroy(process);
    }
}

/* Makes a stream for each descriptor that is a pipe. */
static int process_open_streams(weir_process *process,
                                struct weir_process_options *options,
                                struct weir_protocol_binding *ret)
{
    const struct weir_stream_options stream = {
        .size = sizeof(stream), .limit_bytes = options->limit_bytes};
    int err = 0;

    for (int i = 0; i < WR_STDIO_COUNT && err == 0; i++) {
        struct weir_stdio *const all[WR_STDIO_COUNT] = {
            &options->spawn.in, &options->spawn.out, &options->spawn.err};
        struct weir_stdio *wanted = all[i];
        if (wanted->kind == WEIR_STDIO_DEFAULT) {
            wanted->kind = WEIR_STDIO_INHERIT;
        }
        wr_assert(!process->streams[i]);
        if (wanted->kind == WEIR_STDIO_PIPE) {
            err = weir_stream_protocol_new(process->loop, &stream, &ret[i],
                                           &process->streams[i]);
        }
    }
    return err;
}

static int process_make(weir_loop *loop, struct weir_process_options *options,
                        struct weir_protocol_binding *ret_sinks,
                        weir_process **ret)
{
    weir_process *process = wr_alloc(&loop->counting, sizeof(*process));

    if (!process) {
        return -ENOMEM;
    }
    memset(process, 0, sizeof(*process));
    process->loop = loop;
    process->refs = 1;
    wr_list_init(&process->waiters);
    wr_loop_pin(loop);
    int err = process_open_streams(process, options, ret_sinks);
    wr_assert(!process->transport);
    if (err < 0) {
        process_destroy(process);
        return err;
    }
    *ret = process;
    return 0;
}

static int process_create(void *arg, weir_transport *t,
                          struct weir_protocol_binding *ret)
{
    weir_process *process = arg;
    (void)t;

    wr_assert(process->refs == 1); /* held by the call that makes it */
    wr_assert(!process->transport);
    *ret = (struct weir_protocol_binding){.protocol = &process_protocol,
                                          .user = process};
    return 0;
}

static int process_read_options(const struct weir_process_options *options,
                                struct weir_process_options *ret)
{
    int err = wr_options_read(ret, sizeof(*ret), options);
    if (err == 0) {
        err = wr_spawn_options_read(ret, &ret->spawn);
    }
    wr_require(err >= 0, err);
    wr_require(ret->limit_bytes <= INT64_MAX, -EINVAL);
    return 0;
}

int weir_create_subprocess_exec(weir_loop *loop, const char *const *argv,
                                const struct weir_process_options *options,
                                weir_process **ret)
{
    struct weir_process_options known;
    struct weir_protocol_binding sinks[WR_STDIO_COUNT] = {{.protocol = NULL}};
    weir_process *process = NULL;

    const int unread = process_read_options(options, &known);
    int err = wr_stream_enter(loop, unread, ret != NULL);
    if (err == 0) {
        err = weir_yield(loop); /* a start blocks the loop */
    }
    if (err == 0) {
        err = process_make(loop, &known, sinks, &process);
    }
    wr_require(err >= 0, err);
    const struct weir_factory factory = {.create = process_create,
                                         .arg = process};
    err = wr_subprocess_open(loop, &factory, argv, &known.spawn, sinks);
    if (err < 0) {
        process_destroy(process);
        return err;
    }
    wr_process_check_invariants(process);
    *ret = process;
    return 0;
}

int weir_create_subprocess_shell(weir_loop *loop, const char *command,
                                 const struct weir_process_options *options,
                                 weir_process **ret)
{
    wr_require(command, -EINVAL);
    return weir_create_subprocess_exec(loop, WR_SHELL_ARGV(command), options,
                                       ret);
}

weir_writer *weir_process_get_stdin(const weir_process *process)
{
    return process->streams[WR_STDIO_IN];
}

static weir_reader *process_reader(const weir_process *process, int index)
{
    weir_writer *stream = process->streams[index];

    wr_process_check_invariants(process);
    return stream ? &stream->reader : NULL;
}

weir_reader *weir_process_get_stdout(const weir_process *process)
{
    return process_reader(process, WR_STDIO_OUT);
}

weir_reader *weir_process_get_stderr(const weir_process *process)
{
    return process_reader(process, WR_STDIO_ERR);
}

weir_transport *weir_process_get_transport(const weir_process *process)
{
    return process->transport;
}

pid_t weir_process_get_pid(const weir_process *process)
{
    return weir_transport_get_pid(process->transport);
}

int weir_process_get_returncode(const weir_process *process, int *ret)
{
    return weir_transport_get_returncode(process->transport, ret);
}

int wr_process_await(weir_process *process)
{
    static const struct wr_wait_kind kind = {.name = "process"};
    struct wr_waiter waiter = {.kind = &kind};
    int code;

    wr_process_check_invariants(process);
    if (weir_process_get_returncode(process, &code) != -EAGAIN) {
        return 0;
    }
    return wr_task_wait(process->loop, &waiter, &process->waiters);
}

int weir_process_wait(weir_process *process, int *ret)
{
    int code = 0;

    int err = wr_task_enter(process->loop);
    if (err < 0) {
        return err;
    }
    wr_process_hold(process);
    err = wr_process_await(process);
    if (err == 0) {
        err = weir_process_get_returncode(process, &code);
        wr_assert(err != -EAGAIN);
    }
    wr_process_release(process);
    if (err == 0 && ret) {
        *ret = code;
    }
    return err;
}

int weir_process_send_signal(weir_process *process, int signum)
{
    return weir_transport_send_signal(process->transport, signum);
}

int weir_process_terminate(weir_process *process)
{
    return weir_process_send_signal(process, SIGTERM);
}

int weir_process_kill(weir_process *process)
{
    return weir_process_send_signal(process, SIGKILL);
}

int weir_process_killpg(weir_process *process, int signum)
{
    return weir_transport_killpg(process->transport, signum);
}

void weir_process_free(weir_process *process)
{
    if (!process || !wr_loop_admits(process->loop)) {
        return;
    }
    wr_process_check_invariants(process);
    /* The streams return errors of the pipes. */
    wr_ignore(weir_transport_close(process->transport) < 0);
    wr_process_release(process);
}
