/**
 * @file base.h
 * The base of all other headers of weir: visibility, the option-struct rule,
 * the allocator hook and the version.
 *
 * Conventions that hold in all headers:
 * - `weir_noun_verb` is a function, `weir_noun` an opaque handle, `struct
 *   weir_noun` a struct whose fields the program may use.
 * - Functions return 0 or a count on success and a negative number on error:
 *   `-errno` from the kernel, or one of weir's own codes (error.h).
 * - Options are structs that begin with their size (`.size = sizeof(options)`);
 *   all other fields may be zero, which is the default. A struct inside another
 *   one may also leave its size zero. Every function with options returns
 *   WEIR_EOPTIONSIZE if the size is not set, and -E2BIG if the options were
 *   made for a newer library and set a field that this library does not know.
 * - Structs that the library fills also begin with their size, which the caller
 *   sets: fields beyond the size are not written. Without a size the function
 *   returns WEIR_EOPTIONSIZE. Structs without a size field never change.
 * - Limits are named `..._limit_bytes` for bytes and `..._limit` for counts;
 *   the limit of a single call is `max_...`. Durations are in nanoseconds,
 *   `..._ns`.
 * - Ownership words: *borrowed* until the call returns, *held* until the
 *   callback runs, *taken* by weir, *given* to the caller.
 * - How the life of an object ends:
 *   - transport (a connection, an endpoint, a child process): by
 *     weir_transport_close() or weir_transport_abort(), or by the peer;
 *     connection_lost tells it, and the program frees nothing. A transport that
 *     is kept longer, by weir_transport_ref(), ends with
 *     weir_transport_unref();
 *   - stream: by weir_writer_unref() for the writer that a call gave, and for
 *     each weir_writer_ref(); the reader is a part of it;
 *   - task: by weir_task_join(), which waits for it, or weir_task_detach();
 *     weir_task_unref() is for weir_task_ref();
 *   - operation that is pending: by its done, which weir_pending_cancel()
 *     hastens;
 *   - future, lease, remote, TLS context and TLS session: by their unref;
 *   - place of a connection at an upstream: by weir_upstream_slot_end();
 *   - loop, server, process, datagram stream, a reader of the program, a set of
 *     upstreams, event, lock, semaphore, condition, barrier and queue: by their
 *     free.
 * - The head of each header says whether its functions must be called on the
 *   loop's thread or may be called on any, and whether they suspend the calling
 *   task; a function that differs says so itself.
 *
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
