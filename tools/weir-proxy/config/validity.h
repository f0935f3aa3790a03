/*
 * Warns about certificates that clients or targets will refuse today, because
 * they have expired or are not yet valid, and about certificates that expire
 * soon.
 *
 * Such a certificate is not an error, because the clock may be wrong.
 */
#ifndef WEIR_PROXY_VALIDITY_H
#define WEIR_PROXY_VALIDITY_H

#include "config.h"

void validity_warn(const struct config *config);

#endif
