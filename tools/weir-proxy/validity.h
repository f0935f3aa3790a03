/*
 * Certificates of the configuration that clients or targets will refuse today,
 * because their time is over or has not come.
 */
#ifndef WEIR_PROXY_VALIDITY_H
#define WEIR_PROXY_VALIDITY_H

#include "config.h"

/* Says which they are: they are no error, as the clock may be wrong. */
void validity_warn(const struct config *config);

#endif
