/*
 * The configuration is read again: SIGHUP, or an operator by --ctl.
 *
 * The command line and its files are read as a new process would read them, and
 * a new setup is made of them (setup.h), which takes the listening sockets of
 * the one before it as a successor does by --handover (handover.h). Then all
 * threads accept by the new one, or, where anything of it is wrong, by the old
 * one still. Connections keep what they began with.
 */
#ifndef WEIR_PROXY_RELOAD_H
#define WEIR_PROXY_RELOAD_H

#include "proxy.h"

/* For the first worker, before the others: what follows here may be called. 0
 * or -ENOMEM. */
int reload_prepare(struct proxy *proxy);
void reload_finish(struct proxy *proxy);

/* Begins to read again; what comes of it is said on standard error. While it
 * does so already it does it once more. */
void reload_ask(struct proxy *proxy);
/* Reads again; a task of the first worker waits. False with a line in @why,
 * which was said, too. */
bool reload_run(struct proxy *proxy, char *why);

/* The right to change the setup, or to hand its sockets over; a task of the
 * first worker waits for it. 0, or a negative error. */
int reload_begin(struct proxy *proxy);
void reload_end(struct proxy *proxy);

#endif
