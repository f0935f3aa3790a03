/*
 * The files for a pipeline that a run writes beside its report: its findings in
 * several formats, each whole or not at all. A script writes them (results.h).
 *
 * They are opened before the work, so that a name that cannot be written is
 * told before and not after.
 */
#ifndef WEIR_LOAD_PUBLISH_H
#define WEIR_LOAD_PUBLISH_H

#include "tools/weir-load/options/publish_paths.h"
#include "whole_file.h"

struct result;

struct publish {
    struct whole_file files[PUBLISH_FORMATS];
};

/* Makes the name of a file from what was given; NULL without memory. */
typedef char *publish_name_fn(const void *arg, const char *given);

/* False after a line; then nothing is open. */
bool publish_open(struct publish *self, const struct publish_paths *paths,
                  publish_name_fn *make_name, const void *arg);

/* Has the script write what was opened, and ends it; false after a line. */
bool publish_write(struct publish *self, const struct result *result);

/* Ends what was opened and not written. */
void publish_drop(struct publish *self);

#endif
