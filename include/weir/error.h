/**
 * @file error.h
 * Error codes.
 *
 * The kernel's errors pass through unchanged as `-errno`. weir's own codes
 * start below -4095, where no errno can be, in groups of a hundred: stream,
 * ring, usage, names, processes.
 */
#ifndef WEIR_ERROR_H
#define WEIR_ERROR_H

#include "base.h"

WEIR_BEGIN_DECLS

/** weir's own error codes. */
enum weir_error {
    /** No byte moved within a transport's idle time-out. */
    WEIR_EIDLE = -4100,
    /** The peer sent nothing within the read time-out. */
    WEIR_EREADTIMEOUT = -4101,
    /** The peer accepted nothing within the write-stall time-out. */
    WEIR_EWRITESTALL = -4102,
    /** Closing took longer than the close time-out; the rest was dropped. */
    WEIR_ECLOSETIMEOUT = -4103,
    /** A buffered protocol offered no memory to receive into. */
    WEIR_ENOBUFFER = -4104,

    /** The stream ended before all the bytes that were asked for. */
    WEIR_EINCOMPLETE = -4105,
    /** No separator within the limit. */
    WEIR_ELIMIT = -4106,
    /** The peer's end of stream ended the connection. */
    WEIR_EPEERCLOSED = -4107,
    /** The kernel's account of a receive buffer cannot be true: the bytes that
     * it speaks of may be another connection's, and are not delivered. */
    WEIR_EBADBUFFER = -4108,

    /** io_uring is switched off by sysctl kernel.io_uring_disabled. */
    WEIR_ERINGSYSCTL = -4200,
    /** io_uring is refused by a seccomp filter or a security module. */
    WEIR_ERINGSECCOMP = -4201,
    /** The kernel has no io_uring at all. */
    WEIR_ERINGABSENT = -4202,
    /** The kernel's io_uring is older than weir needs (Linux 6.1). */
    WEIR_ERINGOLD = -4203,
    /** RLIMIT_MEMLOCK is too small even for the smallest ring. */
    WEIR_ERINGMEMLOCK = -4204,
    /** Completions were lost for want of memory; the ring is unusable. */
    WEIR_ERINGLOST = -4205,

    /** A host name where only a literal address is understood. */
    WEIR_ENOTLITERAL = -4300,
    /** A suspending call where no task runs, or in a callback. */
    WEIR_ENOTTASK = -4301,
    /** No more guarded stacks: vm.max_map_count (before Linux 6.13). */
    WEIR_ESTACKLIMIT = -4302,
    /** The barrier was aborted or reset. */
    WEIR_EBROKEN = -4303,
    /** The queue was shut down. */
    WEIR_EQUEUESHUTDOWN = -4304,

    /** There is no such name (NXDOMAIN). */
    WEIR_EDNSNOTFOUND = -4500,
    /** The name exists, and has no address of the family asked for. */
    WEIR_EDNSNODATA = -4501,
    /** The name servers cannot answer now (SERVFAIL); it may work later. */
    WEIR_EDNSSERVFAIL = -4502,
    /** No name server answered in time; it may work later. */
    WEIR_EDNSTIMEOUT = -4503,
    /** The name servers refuse to answer (REFUSED, NOTIMP). */
    WEIR_EDNSREFUSED = -4504,
    /** No name server could be reached. */
    WEIR_EDNSUNREACHABLE = -4505,
    /** The answer of a name server is not understood. */
    WEIR_EDNSBADANSWER = -4506,
    /** The text can be no host name. */
    WEIR_EDNSBADNAME = -4507,
    /** There is no service of this name. */
    WEIR_ESERVICE = -4508,
    /** A host name, and weir was built without a resolver (c-ares). */
    WEIR_ENONAMES = -4509,
    /** The exit status of a child process is not known: other code has reaped
     * it, or it could not be waited for. */
    WEIR_ENOSTATUS = -4600,
};

/**
 * One line of text for an error code, without a trailing dot.
 *
 * @param err  a negative code from this library, or 0
 * @return     a string with static life time, never NULL
 * @thread any
 * @suspends no
 */
WEIR_API const char *weir_strerror(int err);

/**
 * The name of an error code, such as "ECONNRESET" or "WEIR_EIDLE".
 *
 * @param err  a negative code from this library, or 0
 * @return     a string with static life time, never NULL
 * @thread any
 * @suspends no
 */
WEIR_API const char *weir_err_name(int err);

WEIR_END_DECLS

#endif
