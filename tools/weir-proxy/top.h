/*
 * `weir-proxy --top`: what a running proxy does, as top(1) shows processes.
 *
 * On a terminal it is drawn anew each second until q or ^C; elsewhere it is
 * written once, without rates.
 */
#ifndef WEIR_PROXY_TOP_H
#define WEIR_PROXY_TOP_H

#include <stdbool.h>

/* Asks the proxy whose operator's page is at @where, "HOST:PORT" or "PORT".
 * True at the end, false after the reason was said. */
bool top_run(const char *where);

#endif
