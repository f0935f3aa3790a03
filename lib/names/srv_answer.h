/*
 * The records of a service in a name server's answer (SRV, RFC 2782). The bytes
 * are untrusted: the number of records, the number of pointers and the length
 * of a name are limited. The best WEIR_SRV_MAX records are kept.
 */
#ifndef WEIR_LIB_NAMES_SRV_ANSWER_H
#define WEIR_LIB_NAMES_SRV_ANSWER_H

#include "uring/check.h"
#include "weir/resolver.h"

#define WR_SRV_TYPE 33

/* Maximum number of records of all types that are read from an answer. */
#define WR_SRV_LOOKED_AT 1024u

struct wr_srv_answer {
    size_t count;
    uint32_t ttl_s;
    struct weir_srv records[WEIR_SRV_MAX];
};

/* Inserts a record in the order of weir_resolve_srv(). Drops the last record of
 * a full answer. */
void wr_srv_insert(struct wr_srv_answer *answer, const struct weir_srv *record);

/* True for a record with a valid host and a port. */
bool wr_srv_is_usable(const struct weir_srv *record);

/* Parses the answer to a query for @name. Returns 0 if it has records,
 * WEIR_EDNSNODATA if it has none, WEIR_EDNSNOSERVICE if a record declares that
 * there is no service, or WEIR_EDNSBADANSWER. */
WEIR_MUST_USE int wr_srv_read(const uint8_t *bytes, size_t len,
                              const char *name, struct wr_srv_answer *ret);

#endif
