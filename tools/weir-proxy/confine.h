/*
 * Giving rights up: another user, another root, and a sandbox, in which the
 * kernel lets the proxy reach the files that its configuration names and make
 * the system calls that it needs, and no other (Landlock, seccomp).
 *
 * All of it is done once, when sockets, certificates and the log are open and
 * before threads are started, so that it holds for each of them.
 */
#ifndef WEIR_PROXY_CONFINE_H
#define WEIR_PROXY_CONFINE_H

#include "config.h"

#include <stdio.h>
#include <sys/types.h>

/* What holds for this process. */
struct confinement {
    bool is_confined; /* by any of these */
    int landlock_abi; /* 0: files are not restricted */
    bool has_filter;  /* of system calls */
};

/* Whether there are such a user, group and folder. False, with a line in @why.
 */
bool confine_check(const struct config *config, char *why);

/* The user that a proxy of this configuration becomes. */
uid_t confine_get_user(const struct config *config);

/* Gives the rights up. What the kernel has not is told; 0, or an error that was
 * told, after which the proxy is not to serve. */
int confine_begin(const struct config *config, struct confinement *ret);

/* Says which files a proxy that serves will not reach, found out by a process
 * that has given the rights up; for -t. */
void confine_look(const struct config *config);

/* A path of the proxy as others have it who are not in its root, in PATH_MAX
 * bytes. */
const char *confine_path_outside(const struct config *config, const char *path,
                                 char *ret);

/* The words of /status, and of the line at the start: user, root, Landlock and
 * calls, with a character between them. */
void confine_write(const struct confinement *confinement,
                   const struct config *config, char between, FILE *out);

#endif
