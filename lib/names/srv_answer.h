/*
 * The records of a service in a name server's answer (SRV, RFC 2782).
 *
 * The bytes are a stranger's. Names are read within the answer, by pointers
 * that lead backwards alone, of which a name has a number, and have their
 * length; records beyond a number are not looked at, and of those that are the
 * best are kept.
 */
#ifndef WEIR_LIB_NAMES_SRV_ANSWER_H
#define WEIR_LIB_NAMES_SRV_ANSWER_H

#include "uring/check.h"
#include "weir/resolver.h"

/* The type of a question for them. */
#define WR_SRV_TYPE 33

/* The most records of an answer that are looked at, of all types. */
#define WR_SRV_LOOKED_AT 1024u

struct wr_srv_answer {
    size_t count;
    uint32_t ttl_s; /* until then it is good */
    struct weir_srv records[WEIR_SRV_MAX];
};

/* Sorts one in, in the order of weir_lookup_srv(); the last one goes if there
 * are too many. */
void wr_srv_insert(struct wr_srv_answer *answer, const struct weir_srv *record);

/* True for what can be connected to. */
bool wr_srv_is_usable(const struct weir_srv *record);

/* Reads the answer to a question for @name: 0: there are records;
 * WEIR_EDNSNODATA: there are none; WEIR_EDNSNOSERVICE: one says that there is
 * no service; WEIR_EDNSBADANSWER. */
WEIR_MUST_USE int wr_srv_read(const uint8_t *bytes, size_t len,
                              const char *name, struct wr_srv_answer *ret);

#endif
