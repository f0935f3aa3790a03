/*
 * The inside of a process: a child, the streams on its pipes, its output.
 *
 * The process is the protocol of the child's transport. The pipes have stream
 * protocols (stream.h), and the subprocess calls these instead of the process's
 * pipe callbacks. The program, waiting calls and the transport until its loss
 * hold references.
 */
#ifndef WEIR_LIB_STREAM_PROCESS_H
#define WEIR_LIB_STREAM_PROCESS_H

#include "lib/process/subprocess.h"
#include "weir/process.h"
#include "writer.h"

/* Collected output, with room for a zero byte behind it. */
struct wr_output {
    char *data; /* NULL: no memory yet */
    size_t len;
    size_t size;
};

struct weir_process {
    weir_loop *loop;
    weir_transport *transport;                /* with a reference */
    weir_writer *streams[WR_STDIO_COUNT];     /* NULL: no pipe, or freed */
    struct wr_list waiters;                   /* for the child's end */
    struct wr_output outputs[WR_STDIO_COUNT]; /* outputs[0] is not used */
    size_t input_count; /* bytes that communicate has written */
    uint32_t refs;
    bool is_communicating; /* set and cleared around communicate */
};

void wr_process_check_invariants(const weir_process *process);

/* Takes and drops the reference of a waiting call; the last reference frees. */
void wr_process_hold(weir_process *process);
void wr_process_release(weir_process *process);

/* Waits for the child's end, after wr_task_enter(). */
WEIR_MUST_USE int wr_process_await(weir_process *process);

#endif
