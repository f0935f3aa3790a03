/*
 * Certificates of the configuration that clients or targets will refuse today,
 * because their time is over or has not come.
 *
 * They are told and no error: the clock may be wrong.
 */
#ifndef WEIR_PROXY_VALIDITY_H
#define WEIR_PROXY_VALIDITY_H

#include "config.h"

/* Says which they are. */
void validity_warn(const struct config *config);

#endif
