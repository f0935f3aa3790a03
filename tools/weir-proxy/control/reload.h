/*
 * Reads the configuration again, on SIGHUP or by an operator's command.
 *
 * The command line and its files are read as by a new process and become a new
 * setup (setup.h), which takes over the listening sockets. If anything fails,
 * the old setup stays in use. Existing connections keep the setup with which
 * they started.
 */
#ifndef WEIR_PROXY_RELOAD_H
#define WEIR_PROXY_RELOAD_H

#include "tools/weir-proxy/config/config.h"
#include "tools/weir-proxy/runtime/proxy.h"

/* Prepares for reloads. Must be called by the first worker, before it reports
 * that it is ready. Returns 0 or -ENOMEM. */
int reload_prepare(struct proxy *proxy);
void reload_finish(struct proxy *proxy);

/* Starts a reload; the result is printed to standard error. If a reload is
 * running, another one follows it. */
void reload_ask(struct proxy *proxy);
/* Reloads in a task of the first worker, which waits. Returns false with a
 * reason in @why, which was printed, too. */
bool reload_run(struct proxy *proxy, char *why);

enum reload_report {
    RELOAD_PLANNED,
    RELOAD_DONE,
    RELOAD_REPLACED, /* a new process replaces the running one */
};

/* Prints the lines (changes.h) in which two configurations differ.
 * RELOAD_PLANNED prints all of them. Otherwise at most 20 lines and three
 * pieces of each are printed, and then the number of other lines. Except for
 * RELOAD_REPLACED, also prints the directives that a reload does not apply.
 * Returns the number of lines. */
size_t reload_say(const struct config_texts *before,
                  const struct config_texts *after, enum reload_report how);

/* Waits in a task of the first worker for the lock on the setup. The lock is
 * needed to change the setup or to hand over its sockets. Returns 0 or a
 * negative error. */
int reload_begin(struct proxy *proxy);
void reload_end(struct proxy *proxy);

#endif
