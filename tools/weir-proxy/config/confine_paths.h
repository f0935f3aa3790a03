/*
 * The files that a configuration names, and the sandbox (Landlock) that allows
 * only these files.
 *
 * A Landlock rule applies to an inode, so a rule for a file would not cover a
 * file that replaces it. Rules therefore allow the folder in the path and, if
 * the path is a link, the folder of its destination. All other files in these
 * folders are allowed, too.
 */
#ifndef WEIR_PROXY_CONFINE_PATHS_H
#define WEIR_PROXY_CONFINE_PATHS_H

#include "config.h"

enum confine_use {
    CONFINE_CONFIG,
    CONFINE_READ,    /* read on SIGHUP */
    CONFINE_APPEND,  /* a log, reopened on SIGUSR1 */
    CONFINE_SOCKETS, /* a folder in which sockets are created and removed */
    CONFINE_CONNECT, /* a target's Unix socket */
};

typedef void confine_path_fn(void *arg, const char *path, enum confine_use use);

void confine_each_path(const struct config *config, confine_path_fn *call,
                       void *arg);

/* @ret has PATH_MAX bytes. */
const char *confine_folder_of(const char *path, char *ret);

bool confine_is_folder(const char *path);

/* Returns true for a terminal, a pipe or another path that is not a regular
 * file. */
bool confine_is_special(const char *path);

/* Returns true for a folder with unrelated files, such as /etc. */
bool confine_is_broad(const char *folder);

/* Restricts this thread, and threads created by it, to these paths. Returns the
 * Landlock ABI version or a negative errno. */
int confine_paths(const struct config *config);

#endif
