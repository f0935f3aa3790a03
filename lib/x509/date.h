/*
 * Dates of certificates and of lists of revocations (RFC 5280, 4.1.2.5).
 *
 * Pure: a date is read, and not compared with the clock here. RFC 5280 has two
 * forms of it, and of each one way of writing alone.
 */
#ifndef WEIR_LIB_X509_DATE_H
#define WEIR_LIB_X509_DATE_H

#include "der.h"

/* Takes a date, UTCTime of 1950 to 2049 or GeneralizedTime, both with seconds
 * and in UTC, off the front of @from, as seconds since 1970. False where
 * something else lies there, or a day that no calendar has. */
WEIR_MUST_USE bool wr_x509_date_take(struct wr_der *from, int64_t *ret);

/* True where a date comes next. */
bool wr_x509_date_sees(const struct wr_der *from);

#endif
