/*
 * Result files for a CI pipeline, in several formats; each is written
 * completely or not at all, by a script (results.h). They are opened before the
 * run, so that an unusable name is reported first.
 */
#ifndef WEIR_LOAD_PUBLISH_H
#define WEIR_LOAD_PUBLISH_H

#include "tools/weir-load/options/publish_paths.h"
#include "whole_file.h"

struct result;

struct publish {
    struct whole_file files[PUBLISH_FORMATS];
};

/* Returns an allocated file name made from the given one, or NULL if out of
 * memory. */
typedef char *publish_name_fn(const void *arg, const char *given);

/* Opens all files. Returns false after printing an error; no file is open
 * then. */
bool publish_open(struct publish *self, const struct publish_paths *paths,
                  publish_name_fn *make_name, const void *arg);

/* Runs the script to write the files. Returns false after printing an error. */
bool publish_write(struct publish *self, const struct result *result);

/* Closes the files. A file that publish_write() has not written keeps its old
 * content. */
void publish_drop(struct publish *self);

#endif
