/*
 * Dates of certificates and of revocation lists (RFC 5280, 4.1.2.5). Pure
 * functions.
 *
 * Dates are parsed here, not compared with the clock. RFC 5280 has two types of
 * date, each with a single format.
 */
#ifndef WEIR_LIB_X509_DATE_H
#define WEIR_LIB_X509_DATE_H

#include "der.h"

/* Takes a date off the front of @from, as seconds since 1970: a UTCTime of 1950
 * to 2049 or a GeneralizedTime, both with seconds and in UTC. Returns false if
 * something else is there, or an impossible date. */
WEIR_MUST_USE bool wr_x509_date_take(struct wr_bytes *from, int64_t *ret);

/* Returns true if a date is next. */
bool wr_x509_date_sees(const struct wr_bytes *from);

#endif
