/*
 * The inside of a process: a child, the streams on its pipes, what it wrote.
 *
 * It is the protocol of the child's transport, and the pipes have the protocols
 * of streams (stream.h), which their subprocess calls in its place. The object
 * is kept by the program, by calls that wait, and by the transport until that
 * is lost.
 */
#ifndef WEIR_LIB_STREAM_PROCESS_H
#define WEIR_LIB_STREAM_PROCESS_H

#include "lib/process/subprocess.h"
#include "weir/process.h"
#include "writer.h"

/* Output that was collected; with room for a zero byte behind it. */
struct wr_output {
    char *data; /* NULL: no memory yet */
    size_t len;
    size_t size;
};

struct weir_process {
    weir_loop *loop;
    weir_transport *transport;                /* with a reference */
    weir_writer *streams[WR_STDIO_COUNT];     /* NULL: no pipe, or freed */
    struct wr_list waiters;                   /* tasks that wait for the end */
    struct wr_output outputs[WR_STDIO_COUNT]; /* the first is not used */
    size_t input_count; /* bytes that communicate has passed on */
    uint32_t refs;
    bool is_communicating; /* set and cleared around that call */
};

void wr_process_check_invariants(const weir_process *process);

/* The reference of a call that waits; the last one frees. */
void wr_process_hold(weir_process *process);
void wr_process_release(weir_process *process);

/* Waits for the child's end; for a task that has entered. */
WEIR_MUST_USE int wr_process_await(weir_process *process);

#endif
