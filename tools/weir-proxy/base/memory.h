/*
 * The default memory limit: a share of the memory that the program may use.
 *
 * The program may use the memory of the machine or of its cgroup, whichever is
 * less.
 */
#ifndef WEIR_PROXY_MEMORY_H
#define WEIR_PROXY_MEMORY_H

#include <stdint.h>

/* Smallest default limit for each thread, even if there is less memory. */
#define MEMORY_DEFAULT_LEAST (UINT64_C(128) << 20)

/* Returns the lowest limit of the program's cgroups, of version 1 or 2, or
 * UINT64_MAX if there is none. @root is prepended to file paths; it is ""
 * except in tests. */
uint64_t memory_read_cgroup_limit(const char *root);

/* Returns a quarter of @available_bytes, at least MEMORY_DEFAULT_LEAST for each
 * thread. */
uint64_t memory_share(uint64_t available_bytes, uint32_t thread_count);

/* Applies memory_share() to the memory that the program may use. */
uint64_t memory_default_limit(uint32_t thread_count);

#endif
