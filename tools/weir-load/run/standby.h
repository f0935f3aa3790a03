/*
 * --wait: waits until the servers answer before the run starts. A job may start
 * its server and the load at the same time, and neither knows how long the
 * other takes.
 */
#ifndef WEIR_LOAD_STANDBY_H
#define WEIR_LOAD_STANDBY_H

#include "tools/weir-load/base/exits.h"
#include "tools/weir-load/options/options.h"

/* Waits until a connection to each target is established, and over http://
 * without --proxy-protocol until a request is answered in any way. Prints what
 * it waits for.
 *
 * Returns LOAD_OK, LOAD_INTERRUPTED, or after printing an error LOAD_NOTHING
 * (timeout) or LOAD_INTERNAL. */
enum load_exit standby_wait(const struct run_options *options);

#endif
