/*
 * The files that a configuration names, and the sandbox in which no other can
 * be reached (Landlock).
 *
 * A file that is replaced is another one to the kernel: what is allowed is its
 * folder, as it is named and as it is found behind links. So all else in it can
 * be reached, too.
 */
#ifndef WEIR_PROXY_CONFINE_PATHS_H
#define WEIR_PROXY_CONFINE_PATHS_H

#include "config.h"

enum confine_use {
    CONFINE_CONFIG,  /* a file of the configuration */
    CONFINE_READ,    /* the file, when SIGHUP comes */
    CONFINE_APPEND,  /* a log, when SIGUSR1 comes */
    CONFINE_SOCKETS, /* a folder where sockets are made and removed */
    CONFINE_CONNECT, /* a Unix socket of a target */
};

typedef void confine_path_fn(void *arg, const char *path, enum confine_use use);

/* Calls for each path. */
void confine_each_path(const struct config *config, confine_path_fn *call,
                       void *arg);

/* The folder of a path, in PATH_MAX bytes. */
const char *confine_folder_of(const char *path, char *ret);

bool confine_is_folder(const char *path);

/* Is it there, and no file that could be moved away, but a terminal, a pipe or
 * the like? */
bool confine_is_special(const char *path);

/* Has the folder what a proxy has nothing to do with? */
bool confine_is_broad(const char *folder);

/* Lets this thread, and those that it will make, reach these alone: the
 * version of Landlock, or a negative errno. */
int confine_paths(const struct config *config);

#endif
