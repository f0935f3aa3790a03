/**
 * @file base.h
 * The base of all other headers of weir: visibility, the types of objects, the
 * allocator hook and the version.
 *
 * What holds in all headers stands once, on a page of the guide that is
 * installed as share/doc/weir/rules.md: ownership, parameters, options, the
 * errors that many functions have, threads, tasks, callbacks and units. Read it
 * first: a header says only what is particular to its functions. The last lines
 * of its head say whether they must be called on the loop's thread or may be
 * called on any, and whether they suspend the calling task; a function that
 * differs says so itself.
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
/** Ends what WEIR_BEGIN_DECLS opened. */
#define WEIR_END_DECLS }
#else
/** Opens a part of a header in which everything has C linkage. */
#define WEIR_BEGIN_DECLS
/** Ends what WEIR_BEGIN_DECLS opened. */
#define WEIR_END_DECLS
#endif

/** Marks a symbol that the library exports. */
#define WEIR_API __attribute__((visibility("default")))

/**
 * Ignoring the result is a warning.
 *
 * Functions have this mark if a correct program can see them fail, by want of
 * memory or by what a peer, a file or the kernel did, and nothing else would
 * report it; and all functions that suspend, as any may be interrupted. Others
 * do not have it: writes, whose error is kept (writer.h); functions whose error
 * a later call returns too; signals; and functions whose only errors are those
 * of misuse.
 */
#define WEIR_MUST_USE __attribute__((warn_unused_result))

/** Checks a printf-like format: @p fmt and @p args count from one. */
#define WEIR_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))

/**
 * The default of signed fields in which zero is a valid value, for example
 * water marks. In all other fields zero is the default.
 */
#define WEIR_DEFAULT INT64_MIN

/** @p x seconds in nanoseconds, the unit of times and delays; @p x is an
 * integer from 0 on, of less than 2^64 nanoseconds. */
#define WEIR_SECONDS(x) (UINT64_C(1000000000) * (uint64_t)(x))
/** @p x milliseconds in nanoseconds; see WEIR_SECONDS(). */
#define WEIR_MILLISECONDS(x) (UINT64_C(1000000) * (uint64_t)(x))

/** Version of the headers, first number: changes that break programs. */
#define WEIR_VERSION_MAJOR 0
/** Version of the headers, second number: new functions. */
#define WEIR_VERSION_MINOR 1
/** Version of the headers, third number: changes that the headers do not
 * show. */
#define WEIR_VERSION_PATCH 0

WEIR_BEGIN_DECLS

/** An event loop; see loop.h. */
typedef struct weir_loop weir_loop;

/** A connection's transport; see transport.h. */
typedef struct weir_transport weir_transport;

/** A listening server; see server.h. */
typedef struct weir_server weir_server;

/** An operation that has begun and may be given up; see pending.h. */
typedef struct weir_pending weir_pending;

/** A reference to bytes in the receive pool; see buffer.h. */
typedef struct weir_lease weir_lease;

/** Code that can suspend, on a stack of its own; see task.h. */
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
typedef struct weir_remote weir_remote;

/**
 * The source of the library's memory.
 *
 * Both functions must be set, and memory must be aligned like malloc()'s. They
 * are called only on the loop's thread, with two exceptions, which need a
 * thread-safe allocator: a post from another thread
 * (weir_loop_call_soon_threadsafe(), weir_remote_call_soon()) allocates on that
 * thread, and the last reference to a weir_remote frees there; a job of the
 * executor that ends after its loop frees the rest on the job's thread.
 */
struct weir_allocator {
    /** Like malloc(): @p size is never 0; NULL without memory. */
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
