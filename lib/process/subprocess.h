/*
 * Child processes with transports. A program starts one with weir/subprocess.h,
 * and the protocol follows in the next loop iteration; a process with streams
 * is started completely in the call of a task.
 */
#ifndef WEIR_LIB_PROCESS_SUBPROCESS_H
#define WEIR_LIB_PROCESS_SUBPROCESS_H

#include "uring/spawn.h"
#include "weir/subprocess.h"

/* Reads the options of a child that @outer ends with; see options.h. */
WEIR_MUST_USE int wr_spawn_options_read(const void *outer,
                                        struct weir_spawn_options *spawn);

/* Makes the child and connects its protocol in this call, from a task: the
 * factory, connection_made and the sinks call no code of the program. A sink
 * that has a table is called for its pipe instead of the protocol. @options
 * were read. After an error there is no child, or a killed child that nothing
 * reports. */
WEIR_MUST_USE int
wr_subprocess_open(weir_loop *loop, const struct weir_factory *factory,
                   const char *const *argv,
                   const struct weir_spawn_options *options,
                   const struct weir_protocol_binding sinks[WR_STDIO_COUNT]);

#define WR_SHELL_ARGV(command)                                                 \
    (const char *const[])                                                      \
    {                                                                          \
        "/bin/sh", "-c", (command), NULL                                       \
    }

#endif
