/*
 * Modes whose responses are timed: echo with a delay, and rr, which responds to
 * each request of a fixed size with a fixed number of bytes.
 *
 * Like the modes of modes.h, they are protocol tables with bounded memory.
 */
#ifndef WEIR_LOAD_SERVE_PACED_H
#define WEIR_LOAD_SERVE_PACED_H

#include "modes.h"

/* Returns a mode by name, or NULL. */
const struct mode *serve_paced_find(const char *name);

#endif
