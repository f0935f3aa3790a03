/*
 * Dates of certificates and of revocation lists (RFC 5280, 4.1.2.5). RFC 5280
 * has two types of date, each with a single format. Nothing here reads the
 * clock. Pure functions.
 */
#ifndef WEIR_LIB_X509_DATE_H
#define WEIR_LIB_X509_DATE_H

#include "der.h"

/* Takes a date off the front of @from, as seconds since 1970: a UTCTime (1950
 * to 2049) or a GeneralizedTime, with seconds and in UTC. Returns false for
 * another element or an impossible date. */
WEIR_MUST_USE bool wr_x509_date_take(struct wr_bytes *from, int64_t *ret);

bool wr_x509_date_sees(const struct wr_bytes *from);

#endif
