/*
 * Returns memory to the system after many connections have ended.
 *
 * Loops free the memory of connections seconds after their end, and the C
 * library keeps it. When far fewer connections remain than before,
 * malloc_trim() returns it, at most once a minute because it walks the whole
 * heap.
 */
#ifndef WEIR_PROXY_TRIMMING_H
#define WEIR_PROXY_TRIMMING_H

#include "proxy.h"

void trimming_enter(struct worker *worker);
void trimming_leave(struct worker *worker);

#endif
