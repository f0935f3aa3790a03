/*
 * The memory limit of a proxy whose configuration has none.
 *
 * It is a part of the memory that the program may take, which is that of the
 * machine or of the program's cgroup.
 */
#ifndef WEIR_PROXY_MEMORY_H
#define WEIR_PROXY_MEMORY_H

#include <stdint.h>

/* For each thread, however little memory there is. */
#define MEMORY_DEFAULT_LEAST (UINT64_C(128) << 20)

/* The lowest limit of the cgroups that the program is in, of version 2 or 1;
 * UINT64_MAX: there is none. @root is put before the paths of files: "" except
 * in tests. */
uint64_t memory_read_cgroup_limit(const char *root);

/* A quarter of @available_bytes, but at least MEMORY_DEFAULT_LEAST for each
 * thread. */
uint64_t memory_share(uint64_t available_bytes, uint32_t thread_count);

/* That share of the memory of the cgroup or the machine, which is less. */
uint64_t memory_default_limit(uint32_t thread_count);

#endif
