/*
 * weir_process_communicate(): input and output of a child at the same time.
 * Each pipe has its own task, so there is no deadlock, in whatever order the
 * child reads and writes. The progress is kept in the process and not in the
 * call, so a cancelled call loses nothing.
 */
#include "process.h"

#include "lib/base/options.h"

#define COMMUNICATE_MAX_DEFAULT (64u << 20)
#define COMMUNICATE_SLICE       (64u << 10) /* of the input, written at once */
#define COMMUNICATE_ROOM        4096u       /* first size of an output */

struct communication {
    weir_process *process;
    const char *input;
    size_t len;
    size_t max_bytes;
};

static int communicate_grow(weir_loop *loop, struct wr_output *output)
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

/* Reads the available bytes. Returns their number, 0 at the end of the output,
 * or an error. Output as long as the limit is no error; one byte more is. */
static ssize_t communicate_read(const struct communication *call,
                                weir_reader *reader, struct wr_output *output)
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

static int communicate_collect(const struct communication *call, int index)
{
    weir_process *process = call->process;
    struct wr_output *output = &process->outputs[index];
    ssize_t len = 1;

    wr_assert(process->is_communicating);
    while (len > 0) {
        if (output->len + 1 >= output->size) {
            int err = communicate_grow(process->loop, output);
            wr_require(err >= 0, err);
        }
        len = communicate_read(call, &process->streams[index]->reader, output);
        if (len > 0) {
            output->len += (size_t)len;
            output->data[output->len] = '\0';
        }
        wr_process_check_invariants(process);
    }
    return (int)len;
}

static int communicate_collect_out(weir_loop *loop, void *arg)
{
    (void)loop;
    return communicate_collect(arg, WR_STDIO_OUT);
}

static int communicate_collect_err(weir_loop *loop, void *arg)
{
    (void)loop;
    return communicate_collect(arg, WR_STDIO_ERR);
}

/* Drains first, because earlier writes may have filled the queue. */
static int communicate_send(const struct communication *call,
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

static int communicate_feed(weir_loop *loop, void *arg)
{
    const struct communication *call = arg;
    weir_writer *writer = call->process->streams[WR_STDIO_IN];
    (void)loop;

    wr_assert(writer != NULL);
    int err = communicate_send(call, writer);
    wr_assert(err <= 0);
    if (err == 0) {
        weir_writer_close(writer);
        err = weir_writer_wait_closed(writer); /* the last write may fail */
    }
    /* These errors report that the child has closed its input. */
    wr_assert(err <= 0);
    return err == -EPIPE || err == WEIR_EPEERCLOSED ? 0 : err;
}

static int communicate_spawn(struct weir_task_group *group,
                             struct communication *call)
{
    static weir_task_fn *const functions[WR_STDIO_COUNT] = {
        communicate_feed, communicate_collect_out, communicate_collect_err};
    int err = 0;

    wr_assert(call->max_bytes > 0);
    for (int i = 0; i < WR_STDIO_COUNT && err == 0; i++) {
        if (call->process->streams[i]) {
            err = weir_task_group_spawn(group, functions[i], call, NULL, NULL);
        }
    }
    return err;
}

static int communicate_run(struct communication *call)
{
    struct weir_task_group group;

    int err = weir_task_group_begin(call->process->loop, &group);
    wr_require(err >= 0, err);
    err = communicate_spawn(&group, call);
    err = weir_task_group_end(&group, err);
    if (err == 0) {
        err = wr_task_enter(call->process->loop);
    }
    return err < 0 ? err : wr_process_await(call->process);
}

static void communicate_give(const weir_process *process,
                             struct weir_process_output *ret)
{
    wr_process_check_invariants(process);
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
    wr_process_check_invariants(process);
    if (ret) {
        err = wr_answer_check(ret);
        wr_require(err >= 0, err);
    }
    wr_require(!process->is_communicating, -EBUSY);
    wr_require(input || len == 0, -EINVAL);
    wr_require(process->streams[WR_STDIO_IN] || len == 0, -EINVAL);
    wr_require(len >= process->input_count, -EINVAL);
    process->is_communicating = true;
    wr_process_hold(process);
    err = communicate_run(&call);
    process->is_communicating = false;
    if (ret) {
        communicate_give(process, ret);
    }
    wr_process_release(process);
    return err;
}
