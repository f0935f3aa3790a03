/*
 * `weir-proxy --top`: shows a running proxy as top(1) shows processes.
 *
 * On a terminal it redraws every second until q or ^C. Elsewhere it prints
 * once, without rates.
 */
#ifndef WEIR_PROXY_TOP_H
#define WEIR_PROXY_TOP_H

#include <stdbool.h>

/* Shows the proxy whose operator's page is at @where, "HOST:PORT" or "PORT".
 * Returns false after printing an error. */
bool top_run(const char *where);

#endif
