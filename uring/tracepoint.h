/*
 * Tracepoints, which bpftrace, perf, SystemTap and gdb find by name.
 *
 * Each is one nop and an ELF note with its address and the registers of its
 * arguments (USDT, provider "weir"). Names and arguments are a public
 * interface, documented in include/guide.
 *
 * Tracepoints need -Dtracepoints=enabled and <sys/sdt.h>. They are off by
 * default because an echo then takes 430 user instructions instead of 426.
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
