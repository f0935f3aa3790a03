/**
 * @file base.h
 * The base of all other headers of weir: visibility, the types of objects, the
 * allocator hook and the version.
 *
 * Rules that hold in all headers are on one page of the guide, installed as
 * share/doc/weir/rules.md: ownership, parameters, options, common errors,
 * threads, tasks, callbacks and units. Read it first. "thread loop" in the head
 * of a header means that its functions must be called on the loop's thread,
 * "thread any" that any thread may call them; "suspends yes" means that they
 * suspend the calling task. A function that differs has its own line.
 *
 * Rules of all headers: include/guide/rules.md.
 * @thread any
 * @suspends no
 */
#ifndef WEIR_BASE_H
#define WEIR_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
/** Opens a part of a header in which everything has C linkage. */
#define WEIR_BEGIN_DECLS extern "C" {
/** Ends the part that WEIR_BEGIN_DECLS has opened. */
#define WEIR_END_DECLS }
#else
/** Opens a part of a header in which everything has C linkage. */
#define WEIR_BEGIN_DECLS
/** Ends the part that WEIR_BEGIN_DECLS has opened. */
#define WEIR_END_DECLS
#endif

/** Marks a symbol that the library exports. */
#define WEIR_API __attribute__((visibility("default")))

/** Makes the compiler warn if the result of a function is ignored. Two kinds of
 * functions have this mark: functions that suspend, because every wait can be
 * interrupted, and functions whose failure, in a correct program, is reported
 * only by their result. These functions have no mark: writes, whose error is
 * kept (writer.h); functions whose error a later call returns, too; functions
 * that send a signal; and functions that fail only after misuse. */
#define WEIR_MUST_USE __attribute__((warn_unused_result))

/** Makes the compiler check the arguments of a function like printf().
 * Parameter number @p fmt is the format and parameter number @p args the first
 * argument, counted from 1. */
#define WEIR_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))

/** Selects the default of a signed field in which zero is a valid value, for
 * example a water mark. In all other fields zero selects the default. */
#define WEIR_DEFAULT INT64_MIN

/** @p x seconds in nanoseconds, the unit of times and delays. @p x is an
 * integer, at least 0; the result must be less than 2^64. */
#define WEIR_SECONDS(x) (UINT64_C(1000000000) * (uint64_t)(x))
/** @p x milliseconds in nanoseconds; see WEIR_SECONDS(). */
#define WEIR_MILLISECONDS(x) (UINT64_C(1000000) * (uint64_t)(x))

/** Major version of the headers. It changes if programs may have to be
 * changed. */
#define WEIR_VERSION_MAJOR 0
/** Minor version of the headers. It changes with new functions. */
#define WEIR_VERSION_MINOR 1
/** Patch version of the headers. It changes if only the library changes. */
#define WEIR_VERSION_PATCH 0

WEIR_BEGIN_DECLS

/** An event loop; see loop.h. */
typedef struct weir_loop weir_loop;

/** A connection's transport; see transport.h. */
typedef struct weir_transport weir_transport;

/** A listening server; see server.h. */
typedef struct weir_server weir_server;

/** An operation under way, which can be cancelled; see pending.h. */
typedef struct weir_pending weir_pending;

/** A reference to bytes in the receive pool; see buffer.h. */
typedef struct weir_lease weir_lease;

/** Code that can suspend, with its own stack; see task.h. */
typedef struct weir_task weir_task;

/** A result that will be set later; see future.h. */
typedef struct weir_future weir_future;

/** The receiving side of a stream; see reader.h. */
typedef struct weir_reader weir_reader;

/** The sending side of a stream; see writer.h. */
typedef struct weir_writer weir_writer;

/** Keys, certificates and rules of TLS connections; see tls.h. */
typedef struct weir_tls_context weir_tls_context;
/** A session that a client can resume; see tls_connection.h. */
typedef struct weir_tls_session weir_tls_session;

/** A loop's mailbox for other threads; see loop.h. */
typedef struct weir_mailbox weir_mailbox;

/** The source of the library's memory. Both functions must be set, and memory
 * must be aligned like malloc()'s. They are called only on the loop's thread,
 * except in three cases, which need a thread-safe allocator:
 * - weir_loop_call_soon_threadsafe() and weir_mailbox_call_soon() allocate on
 *   the calling thread;
 * - the last weir_mailbox_unref() frees on the calling thread;
 * - if a job of the executor ends after its loop was freed, the job's thread
 *   frees the job's memory. */
struct weir_allocator {
    /** Like malloc(), with a @p size above 0. Returns NULL if there is no
     * memory. */
    void *(*alloc)(void *arg, size_t size);
    /** Frees memory from alloc; @p size is the requested size. */
    void (*free)(void *arg, void *ptr, size_t size);
    /** Passed to both functions. */
    void *arg;
};

/**
 * Version of the running library, for example "0.1.0".
 *
 * @return a string with static life time
 */
WEIR_API const char *weir_version(void);

WEIR_END_DECLS

#endif
