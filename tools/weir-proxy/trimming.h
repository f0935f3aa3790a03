/*
 * Giving memory back to the system when a crowd has gone.
 *
 * Loops free what connections have needed some seconds after they were lost;
 * the C library keeps it for later. When far fewer connections are left than
 * there were, it is asked to give back what is free, at most once a minute, as
 * it looks through all memory of the process.
 */
#ifndef WEIR_PROXY_TRIMMING_H
#define WEIR_PROXY_TRIMMING_H

#include "proxy.h"

/* A connection of the worker has begun; one has ended. */
void trimming_enter(struct worker *worker);
void trimming_leave(struct worker *worker);

#endif
