/*
 * The possible paths of a program, which a child tries one after the other.
 * They are found before the child is made, because the child may not allocate.
 * No file system access.
 */
#ifndef WEIR_LIB_PROCESS_PROGRAM_H
#define WEIR_LIB_PROCESS_PROGRAM_H

#include "weir/base.h"

struct wr_program {
    const char **paths; /* in order, NULL at the end; one piece of memory */
    size_t size;        /* of the memory of paths */
};

/* Finds the paths of @file like execvp(): a name with a slash is the path; any
 * other name is looked up in the PATH of @env. Returns 0, -ENOENT for an empty
 * name, or -ENOMEM. */
WEIR_MUST_USE int wr_program_init(struct wr_program *program,
                                  const struct weir_allocator *allocator,
                                  const char *file, const char *const *env);
void wr_program_fini(struct wr_program *program,
                     const struct weir_allocator *allocator);

#endif
