/*
 * The modes of the server once more, each as a task for a connection that reads
 * and writes a stream: `weir-load serve --api stream`.
 *
 * From outside nothing tells them from those of modes.h.
 */
#ifndef WEIR_LOAD_SERVE_STREAMS_H
#define WEIR_LOAD_SERVE_STREAMS_H

#include "modes.h"

/* As mode_find(). */
const struct mode *serve_streams_find(const char *name);

#endif
