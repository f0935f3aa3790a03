/*
 * The modes of the server whose answers have their time: echo with a delay, and
 * rr, which answers each request of a fixed size with bytes of a fixed size.
 *
 * They are protocol tables, as those of modes.h, and hold a bounded amount of
 * memory for a connection.
 */
#ifndef WEIR_LOAD_SERVE_PACED_H
#define WEIR_LOAD_SERVE_PACED_H

#include "modes.h"

/* By name; NULL when there is none. */
const struct mode *serve_paced_find(const char *name);

#endif
