/*
 * Processes: starting a child from a task, waiting for its end, freeing it. A
 * start blocks the loop, so other tasks run first, and a cancellation finds no
 * child. A task waits for the child, not for its pipes, because a grandchild
 * may hold the pipes open for ever.
 */
#include "weir/process.h"
#include "lib/base/options.h"
#include "lib/process/subprocess.h"
#include "writer.h"

#include <signal.h>

#define COMMUNICATE_MAX_DEFAULT (64u << 20)
/* Maximum bytes of the input that are written at once. */
#define COMMUNICATE_SLICE (64u << 10)
#define COMMUNICATE_ROOM  4096u

struct wr_output {
    char *data;
    size_t len;
    size_t size;
};

struct weir_process {
    weir_loop *loop;
    weir_transport *transport;            /* a reference */
    weir_writer *streams[WR_STDIO_COUNT]; /* NULL if not a pipe, or freed */
    struct wr_list waiters;
    struct wr_output outputs[WR_STDIO_COUNT];
    size_t input_count; /* bytes that communicate has written */
    uint32_t refs;
    bool is_communicating;
};

static void process_check_invariants(const weir_process *process)
{
    wr_assert(process->refs > 0);
    wr_assert(process->transport != NULL);
    for (int i = WR_STDIO_OUT; i < WR_STDIO_COUNT; i++) {
        const struct wr_output *output = &process->outputs[i];
        wr_assert((output->data != NULL) == (output->size > 0));
        wr_assert(output->len < output->size || output->size == 0);
    }
}

/* The process has no child, or its child has ended or was killed. */
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

static void process_hold(weir_process *process)
{
    wr_assert(process->refs < UINT32_MAX);
    process->refs++;
}

static void process_release(weir_process *process)
{
    process_check_invariants(process);
    if (--process->refs == 0) {
        process_destroy(process);
    }
}

static void process_connection_made(void *user, weir_transport *t)
{
    weir_process *process = user;

    wr_assert(!process->transport);
    wr_assert(process->refs == 1); /* held by the call that makes it */
    process->transport = weir_transport_ref(t);
    process_hold(process);
}

static void process_connection_lost(void *user, weir_transport *t, int err)
{
    weir_process *process = user;
    (void)err;

    wr_assert(t == process->transport);
    wr_assert(wr_list_is_empty(&process->waiters)); /* the process has exited */
    process_release(process);
}

static void process_process_exited(void *user, weir_transport *t)
{
    weir_process *process = user;

    wr_assert(t == process->transport);
    process_check_invariants(process);
    wr_waiters_wake_all(&process->waiters, 0);
}

static const struct weir_protocol process_protocol = {
    .size = sizeof(process_protocol),
    .kind = WEIR_PROTOCOL_SUBPROCESS,
    .connection_made = process_connection_made,
    .connection_lost = process_connection_lost,
    .process_exited = process_process_exited,
};

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

    wr_assert(process->refs == 1);
    wr_assert(!process->transport);
    *ret = (struct weir_protocol_binding){.protocol = &process_protocol,
                                          .user = process};
    return 0;
}

int weir_create_subprocess_exec(weir_loop *loop, const char *const *argv,
                                const struct weir_process_options *options,
                                weir_process **ret)
{
    struct weir_process_options known;
    struct weir_protocol_binding sinks[WR_STDIO_COUNT] = {{.protocol = NULL}};
    weir_process *process = NULL;

    int err = wr_options_read(&known, sizeof(known), options);
    if (err == 0) {
        err = wr_spawn_options_read(&known, &known.spawn);
    }
    if (err == 0 && known.limit_bytes > INT64_MAX) {
        err = -EINVAL;
    }
    err = wr_stream_enter(loop, err, ret != NULL);
    if (err == 0) {
        err = weir_yield(loop);
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
    process_check_invariants(process);
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

    process_check_invariants(process);
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

static int process_await(weir_process *process)
{
    static const struct wr_wait_kind kind = {.name = "process"};
    struct wr_waiter waiter = {.kind = &kind};
    int code;

    process_check_invariants(process);
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
    process_hold(process);
    err = process_await(process);
    if (err == 0) {
        err = weir_process_get_returncode(process, &code);
        wr_assert(err != -EAGAIN);
    }
    process_release(process);
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

/* ---- communicate ----
 *
 * Each pipe of the child has its own task, so there is no deadlock, in whatever
 * order the child reads and writes. The process keeps the progress, so a
 * cancelled call loses nothing. */

struct communication {
    weir_process *process;
    const char *input;
    size_t len;
    size_t max_bytes;
};

static int process_grow_output(weir_loop *loop, struct wr_output *output)
{
    const size_t size = output->size ? output->size * 2 : COMMUNICATE_ROOM;

    wr_assert(size > output->size);
    char *data = wr_alloc(&loop->counting, size);
    if (!data) {
        return -ENOMEM;
    }
    if (output->data) {
        memcpy(data, output->data, output->len + 1);
        wr_free(&loop->counting, output->data, output->size);
    }
    data[output->len] = '\0';
    output->data = data;
    output->size = size;
    return 0;
}

/* Returns the number of bytes read, 0 at the end of the output, or an error if
 * the output exceeds the limit. */
static ssize_t process_read_output(const struct communication *call,
                                   weir_reader *reader,
                                   struct wr_output *output)
{
    wr_assert(output->len + 1 < output->size);
    if (output->len >= call->max_bytes) {
        const ssize_t more = weir_reader_fill(reader, 1);
        if (more == WEIR_EINCOMPLETE) {
            return 0;
        }
        return more > 0 ? WEIR_ELIMIT : more;
    }
    const size_t left = call->max_bytes - output->len;
    const size_t room = output->size - output->len - 1;
    return weir_reader_read(reader, output->data + output->len,
                            room < left ? room : left);
}

static int process_collect(const struct communication *call, int index)
{
    weir_process *process = call->process;
    struct wr_output *output = &process->outputs[index];
    ssize_t len = 1;

    wr_assert(process->is_communicating);
    while (len > 0) {
        if (output->len + 1 >= output->size) {
            int err = process_grow_output(process->loop, output);
            wr_require(err >= 0, err);
        }
        len =
            process_read_output(call, &process->streams[index]->reader, output);
        if (len > 0) {
            output->len += (size_t)len;
            output->data[output->len] = '\0';
        }
        process_check_invariants(process);
    }
    return (int)len;
}

static int process_collect_out(weir_loop *loop, void *arg)
{
    (void)loop;
    return process_collect(arg, WR_STDIO_OUT);
}

static int process_collect_err(weir_loop *loop, void *arg)
{
    (void)loop;
    return process_collect(arg, WR_STDIO_ERR);
}

/* Drains first, because earlier writes may have filled the queue. */
static int process_send_input(const struct communication *call,
                              weir_writer *writer)
{
    weir_process *process = call->process;
    int err = 0;

    wr_assert(process->is_communicating);
    wr_assert(process->input_count <= call->len);
    if (process->input_count < call->len) {
        err = weir_writer_drain(writer);
    }
    while (err == 0 && process->input_count < call->len) {
        const size_t left = call->len - process->input_count;
        const size_t len = left < COMMUNICATE_SLICE ? left : COMMUNICATE_SLICE;
        err =
            weir_writer_write(writer, call->input + process->input_count, len);
        if (err == 0) {
            process->input_count += len;
            err = weir_writer_drain(writer);
        }
    }
    return err;
}

static int process_feed(weir_loop *loop, void *arg)
{
    const struct communication *call = arg;
    weir_writer *writer = call->process->streams[WR_STDIO_IN];
    (void)loop;

    wr_assert(writer != NULL);
    int err = process_send_input(call, writer);
    wr_assert(err <= 0);
    if (err == 0) {
        weir_writer_close(writer);
        err = weir_writer_wait_closed(writer); /* the last write may fail */
    }
    /* Both errors mean that the child has closed its input. */
    wr_assert(err <= 0);
    return err == -EPIPE || err == WEIR_EPEERCLOSED ? 0 : err;
}

static int process_spawn(struct weir_task_group *group,
                         struct communication *call)
{
    static weir_task_fn *const functions[WR_STDIO_COUNT] = {
        process_feed, process_collect_out, process_collect_err};
    int err = 0;

    wr_assert(call->max_bytes > 0);
    for (int i = 0; i < WR_STDIO_COUNT && err == 0; i++) {
        if (call->process->streams[i]) {
            err = weir_task_group_spawn(group, functions[i], call, NULL, NULL);
        }
    }
    return err;
}

static int process_communicate(struct communication *call)
{
    struct weir_task_group group;

    int err = weir_task_group_begin(call->process->loop, &group);
    wr_require(err >= 0, err);
    err = process_spawn(&group, call);
    err = weir_task_group_end(&group, err);
    if (err == 0) {
        err = wr_task_enter(call->process->loop);
    }
    return err < 0 ? err : process_await(call->process);
}

static void process_give_output(const weir_process *process,
                                struct weir_process_output *ret)
{
    process_check_invariants(process);
    wr_assert(!process->is_communicating);
    const struct weir_process_output output = {
        .out = process->outputs[WR_STDIO_OUT].data,
        .out_len = process->outputs[WR_STDIO_OUT].len,
        .err = process->outputs[WR_STDIO_ERR].data,
        .err_len = process->outputs[WR_STDIO_ERR].len,
    };
    wr_answer_write(ret, &output, sizeof(output));
}

int weir_process_communicate(weir_process *process, const void *input,
                             size_t len, size_t max_bytes,
                             struct weir_process_output *ret)
{
    struct communication call = {
        .process = process,
        .input = input,
        .len = len,
        .max_bytes = max_bytes ? max_bytes : COMMUNICATE_MAX_DEFAULT,
    };

    int err = wr_task_enter(process->loop);
    if (err < 0) {
        return err;
    }
    process_check_invariants(process);
    if (ret) {
        err = wr_answer_check(ret);
        wr_require(err >= 0, err);
    }
    wr_require(!process->is_communicating, -EBUSY);
    wr_require(input || len == 0, -EINVAL);
    wr_require(process->streams[WR_STDIO_IN] || len == 0, -EINVAL);
    wr_require(len >= process->input_count, -EINVAL);
    process->is_communicating = true;
    process_hold(process);
    err = process_communicate(&call);
    process->is_communicating = false;
    if (ret) {
        process_give_output(process, ret);
    }
    process_release(process);
    return err;
}

void weir_process_free(weir_process *process)
{
    if (!process || !wr_loop_admits(process->loop)) {
        return;
    }
    process_check_invariants(process);
    /* The streams return errors of the pipes. */
    wr_ignore(weir_transport_close(process->transport) < 0);
    process_release(process);
}
