/*
 * Internals of a process: a child, the streams on its pipes, its output. The
 * process is the protocol of the child's transport. The pipes have stream
 * protocols (stream.h), which the subprocess calls instead of the process's
 * pipe callbacks. The program, waiting calls and, until its loss, the transport
 * hold references.
 */
#ifndef WEIR_LIB_STREAM_PROCESS_H
#define WEIR_LIB_STREAM_PROCESS_H

#include "lib/process/subprocess.h"
#include "weir/process.h"
#include "writer.h"

/* Collected output, with space for a zero byte after it. */
struct wr_output {
    char *data; /* NULL before the first allocation */
    size_t len;
    size_t size;
};

struct weir_process {
    weir_loop *loop;
    weir_transport *transport;            /* holds a reference */
    weir_writer *streams[WR_STDIO_COUNT]; /* NULL if not a pipe, or freed */
    struct wr_list waiters;
    struct wr_output outputs[WR_STDIO_COUNT]; /* outputs[0] is not used */
    size_t input_count; /* bytes that communicate has written */
    uint32_t refs;
    bool is_communicating; /* set during communicate */
};

void wr_process_check_invariants(const weir_process *process);

/* Add and drop a reference; the last reference frees. */
void wr_process_hold(weir_process *process);
void wr_process_release(weir_process *process);

/* Waits for the child's end. Call wr_task_enter() first. */
WEIR_MUST_USE int wr_process_await(weir_process *process);

#endif
