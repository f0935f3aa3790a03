/*
 * --wait: a run begins when the servers are there.
 *
 * A job starts its server and the load beside each other, and neither knows how
 * long the other takes.
 */
#ifndef WEIR_LOAD_STANDBY_H
#define WEIR_LOAD_STANDBY_H

#include "tools/weir-load/base/exits.h"
#include "tools/weir-load/options/options.h"

/*
 * Waits until a connection to each target stands, and over http:// without
 * --proxy-protocol until a request was answered, however it was. Says what it
 * waits for.
 *
 * LOAD_OK; LOAD_NOTHING after a line when the time is over; LOAD_INTERRUPTED;
 * or LOAD_INTERNAL after a line.
 */
enum load_exit standby_wait(const struct run_options *options);

#endif
