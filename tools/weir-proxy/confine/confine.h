/*
 * Drops privileges: changes the user and the root, and enters a sandbox in
 * which only configured files (Landlock) and needed system calls (seccomp) are
 * allowed.
 *
 * Privileges are dropped once, after sockets, certificates and the log are
 * open, and before threads start, so that all threads are restricted.
 */
#ifndef WEIR_PROXY_CONFINE_H
#define WEIR_PROXY_CONFINE_H

#include "tools/weir-proxy/config/config.h"

#include <stdio.h>
#include <sys/types.h>

struct confinement {
    bool is_confined; /* user, root, files or system calls are restricted */
    int landlock_abi; /* 0 if files are not restricted */
    bool has_filter;
};

/* Checks that the user, the group and the new root exist, and that this process
 * may change to them. Returns false with a reason in @why. */
bool confine_check(const struct config *config, char *why);

uid_t confine_get_user(const struct config *config);

/* Drops privileges. Prints what the kernel does not support. Returns 0, or an
 * error that was printed. After an error the proxy must not serve. */
int confine_begin(const struct config *config, struct confinement *ret);

/* For -t: prints which files a serving proxy could not access. A child process
 * drops its privileges and tries to open them. */
void confine_look(const struct config *config);

/* Returns a path as processes outside the proxy's root see it, in PATH_MAX
 * bytes. */
const char *confine_path_outside(const struct config *config, const char *path,
                                 char *ret);

/* Writes user, root, Landlock and the system call filter, separated by
 * @between, for /status and for the line printed at the start. */
void confine_write(const struct confinement *confinement,
                   const struct config *config, char between, FILE *out);

#endif
