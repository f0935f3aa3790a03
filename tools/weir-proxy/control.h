/*
 * The socket of an operator (--ctl): a line is a command (command.h), what
 * comes back is how it ended, "0", "1" or "2" as weir-proxy's exit codes, and
 * then lines.
 *
 * Its file is for its owner alone, and a process of anybody else, but for root,
 * is refused whoever opened it.
 */
#ifndef WEIR_PROXY_CONTROL_H
#define WEIR_PROXY_CONTROL_H

#include "proxy.h"

#include <stdio.h>

#define CONTROL_DONE   '0'
#define CONTROL_FAILED '1'
#define CONTROL_WRONG  '2'

/* Could sockets be made at the paths of the configuration? False, with a line
 * in @why. */
bool control_check(const struct config *config, char *why);
/* Serves the socket of the configuration, if it has one; on the first worker,
 * whose task may wait. An error is said. */
int control_begin(struct worker *worker);
/* A successor has the path now. */
void control_stop_listening(struct control *control);
/* Before the loop ends, and after it. */
void control_end(struct control *control);
void control_free(struct control *control);

/* weir-proxy --ctl PATH COMMAND...: returns the exit code. */
int control_send(const char *path, int word_count, char **words);
/* The facts of the proxy that serves this socket, to be freed; NULL: there is
 * none. */
char *control_get_facts(const char *path);

#endif
