/*
 * Tracepoints: places of a running program that bpftrace, perf, SystemTap and
 * gdb find by name and can stop at or count, without a build of its own.
 *
 * Each is a nop of one instruction and a note in the file that tells where it
 * is and in which registers its arguments are (USDT, provider "weir"):
 *
 *     turn(loop, completions)               a turn has handled its completions
 *     receive(transport, bytes)             bytes have arrived
 *     send(transport, bytes)                the kernel has taken bytes
 *     task_switch(task, number)             a task is about to run
 *     handshake(transport, nanoseconds)     a TLS handshake is done
 *
 * A build with -Dtracepoints=enabled has them; it needs <sys/sdt.h>. An echo
 * then takes 430 instructions of the user and not 426, which is why it must be
 * asked for. Names and arguments belong to the interface: include/guide tells
 * users.
 */
#ifndef WEIR_URING_TRACEPOINT_H
#define WEIR_URING_TRACEPOINT_H

#include <stdint.h> /* the values are uint64_t or smaller */

#ifdef WR_TRACEPOINTS
#include <sys/sdt.h>
#define WR_TRACEPOINT(name, object, value)                                     \
    DTRACE_PROBE2(weir, name, object, value)
#else
#define WR_TRACEPOINT(name, object, value) ((void)(object), (void)(value))
#endif

#endif
