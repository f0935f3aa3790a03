/*
 * The operators' socket (--ctl). A client sends a command (command.h) on one
 * line. The response is a line with the result, "0", "1" or "2" like
 * weir-proxy's exit codes, and then text.
 *
 * Only the owner can open the socket's file. Processes of other users, except
 * root, are refused even if they got the descriptor from elsewhere.
 */
#ifndef WEIR_PROXY_CONTROL_H
#define WEIR_PROXY_CONTROL_H

#include "tools/weir-proxy/runtime/proxy.h"

#include <stdio.h>
#include <sys/socket.h>

#define CONTROL_DONE   '0'
#define CONTROL_FAILED '1'
#define CONTROL_WRONG  '2'

/* Returns true if sockets can be made at the configured paths, or false with a
 * reason in @why. */
bool control_check(const struct config *config, char *why);
/* Serves the configured socket, if any. Runs in a task of the first worker.
 * Returns 0, or an error that was printed. */
int control_begin(struct worker *worker);
/* Connects to a Unix socket, with a time limit for its responses. Returns a
 * descriptor or a negative error. */
int control_connect(const char *path, unsigned limit_s);
/* Gets the process that called listen() for the other end of a connected Unix
 * socket. Returns false if the kernel does not know it. */
bool control_get_peer(int fd, struct ucred *ret);
/* Implements weir-proxy --ctl PATH COMMAND. Returns the exit code. */
int control_send(const char *path, int word_count, char **words);
/* Gets the lines (changes.h) of the active configuration from the proxy that
 * serves this socket, as texts in an arena. Returns false if no proxy serves
 * the socket or responds. */
bool control_get_facts(const char *path, struct arena *arena,
                       struct config_texts *ret);

#endif
