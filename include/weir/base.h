/**
 * @file base.h
 * The base of all other headers of weir: visibility, the option-struct rule,
 * the allocator hook and the version.
 *
 * Conventions that hold in all headers:
 * - `weir_noun_verb` is a function, `weir_noun` an opaque handle, `struct
 *   weir_noun` something whose fields may be touched.
 * - Functions return 0 or a count on success and a negative number on error:
 *   `-errno` as the kernel gave it, or one of weir's own codes (error.h).
 * - Options are structs that begin with their size (`.size = sizeof(options)`);
 *   all other fields may be zero, which is the default. A struct inside another
 *   one may leave its size zero too. Every function that takes options returns
 *   WEIR_EOPTIONSIZE where the size is not set, and -E2BIG where they were made
 *   for a newer library and a field is set that is unknown to this one.
 * - Structs that the library fills begin with their size, too, which the caller
 *   sets: fields that it does not know are left out. Without it they return
 *   WEIR_EOPTIONSIZE. Structs without a size never change.
 * - A bound is a limit: `..._limit_bytes` of bytes, `..._limit` of things;
 *   what one call takes at most is `max_...`. Lengths of time are in
 *   nanoseconds, `..._ns`.
 * - Ownership words: *borrowed* until the call returns, *held* until the
 *   callback runs, *taken* by weir, *given* to the caller.
 * - The head of each header says which thread its functions belong to, the
 *   loop's or any, and whether they suspend the task that calls them; a
 *   function that differs says so itself.
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

/** The result says whether the call worked; ignoring it is a warning. */
#define WEIR_MUST_USE __attribute__((warn_unused_result))

/** Checks a printf-like format: @p fmt and @p args count from one. */
#define WEIR_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))

/**
 * "Take the default" for signed fields in which zero is a value of its own,
 * water marks among them. In all other fields zero is the default.
 */
#define WEIR_DEFAULT INT64_MIN

/** @p x seconds in nanoseconds, as times and delays are given; @p x is an
 * integer from 0 on, and no more than 2^64 nanoseconds. */
#define WEIR_SECONDS(x) (UINT64_C(1000000000) * (uint64_t)(x))
/** @p x milliseconds in nanoseconds; see WEIR_SECONDS(). */
#define WEIR_MILLISECONDS(x) (UINT64_C(1000000) * (uint64_t)(x))

/** Version of the headers, first number: changes that break programs. */
#define WEIR_VERSION_MAJOR 0
/** Version of the headers, second number: new functions. */
#define WEIR_VERSION_MINOR 1
/** Version of the headers, third number: nothing that can be seen here. */
#define WEIR_VERSION_PATCH 0

WEIR_BEGIN_DECLS

/** An event loop; see loop.h. */
typedef struct weir_loop weir_loop;

/** A connection's transport; see transport.h. */
typedef struct weir_transport weir_transport;

/** A listening server; see server.h. */
typedef struct weir_server weir_server;

/** A connection attempt under way; see server.h. */
typedef struct weir_connect weir_connect;

/** A datagram endpoint that is being made; see datagram.h. */
typedef struct weir_endpoint weir_endpoint;

/** A reference to bytes in the receive pool; see buffer.h. */
typedef struct weir_lease weir_lease;

/** Code that waits, on a stack of its own; see task.h. */
typedef struct weir_task weir_task;

/** A result that is not there yet; see future.h. */
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
 * Where the library gets its memory.
 *
 * Both functions must be set, and what they give must be aligned as malloc()'s
 * is. They are called on the loop's thread only, with two exceptions, which
 * need a thread-safe allocator: a post from another thread
 * (weir_loop_call_soon_threadsafe(), weir_remote_call_soon()) allocates there,
 * and the last reference to a weir_remote frees there; a job of the executor
 * that ends after its loop frees what is left on its thread.
 */
struct weir_allocator {
    /** Like malloc(): @p size is never 0; NULL when there is no memory. */
    void *(*alloc)(void *arg, size_t size);
    /** Frees memory from alloc; @p size is the size that was asked for. */
    void (*free)(void *arg, void *ptr, size_t size);
    /** Passed to both functions. */
    void *arg;
};

/**
 * Version of the library that is running, such as "0.1.0".
 *
 * @return a string with static life time
 */
WEIR_API const char *weir_version(void);

WEIR_END_DECLS

#endif
