/*
 * The search of a record, as in the C library: which name is queried after a
 * step that found nothing, and which error is reported in the end.
 *
 * The name as it was written is followed by all domains. After a name below a
 * domain, the next domain follows if the servers know no address, or cannot
 * answer (SERVFAIL): a lame domain hides no other. Otherwise the name as it was
 * written follows: servers that refuse, or do not answer, would do the same for
 * the other domains. The search ends if no server can be reached, if this
 * machine is out of resources, or after an alias without addresses. If nothing
 * is found and the name as it was written was queried first, its error is
 * reported; else the first of "no address", SERVFAIL and the last error.
 */
#include "cares.h"

#include <string.h>
#include <weir/error.h>

/* True if no other name can be found either: this machine is out of resources,
 * or no server can be reached, not even for a truncated answer. */
static bool cares_search_tells_end(const struct cares_record *record, int err)
{
    wr_assert(err < 0);
    return err > WEIR_EDNSNOTFOUND ||
           (err == WEIR_EDNSUNREACHABLE && !record->was_truncated);
}

enum cares_search_next {
    CARES_SEARCH_DOMAIN, /* with the next name */
    CARES_SEARCH_AS_IS,  /* with the name as it was written */
    CARES_SEARCH_NONE
};

/* If servers refuse to answer for one family and know no address of the other,
 * the search continues as if both had no address. */
static enum cares_search_next
cares_search_choose(const struct cares_record *record)
{
    bool is_known = false;
    bool is_odd = false;

    for (enum wr_lookup_part part = 0; part < WR_LOOKUP_PARTS; part++) {
        const int err = record->errs[part];
        if (!wr_lookup_is_open(record->lookup, part)) {
            continue;
        }
        if (cares_search_tells_end(record, err)) {
            return CARES_SEARCH_NONE;
        }
        is_known |= err == WEIR_EDNSNOTFOUND || err == WEIR_EDNSNODATA ||
                    err == WEIR_EDNSSERVFAIL;
        is_odd |= err == WEIR_EDNSTIMEOUT || err == WEIR_EDNSBADANSWER;
    }
    return is_known && !is_odd ? CARES_SEARCH_DOMAIN : CARES_SEARCH_AS_IS;
}

bool wr_cares_search_has_next(struct cares_record *record)
{
    wr_assert(record->holds == 0);
    wr_assert(record->lookup->open != 0);
    const enum cares_search_next next = cares_search_choose(record);

    if (next == CARES_SEARCH_NONE) {
        return false;
    }
    for (enum wr_lookup_part part = 0; part < WR_LOOKUP_PARTS; part++) {
        if (wr_lookup_is_open(record->lookup, part)) {
            record->has_no_data |= record->errs[part] == WEIR_EDNSNODATA;
            record->has_servfail |= record->errs[part] == WEIR_EDNSSERVFAIL;
        }
    }
    if (record->walk.was_first && !record->walk.was_below) {
        memcpy(record->first_errs, record->errs, sizeof(record->errs));
    }
    if (record->has_alias_alone) {
        wr_search_end(&record->walk);
    } else if (next == CARES_SEARCH_AS_IS && record->walk.was_below) {
        wr_search_cut(&record->walk);
    }
    return true;
}

static bool cares_search_has_bad_answer(const struct cares_record *record)
{
    for (enum wr_lookup_part part = 0; part < WR_LOOKUP_PARTS; part++) {
        if (wr_lookup_is_open(record->lookup, part) &&
            record->errs[part] == WEIR_EDNSBADANSWER) {
            return true;
        }
    }
    return false;
}

int wr_cares_search_get_error(struct cares_record *record)
{
    wr_assert(record->walk.has_ended);
    wr_assert(!record->was_found);
    if (record->has_alias_alone) {
        return cares_search_has_bad_answer(record) ? WEIR_EDNSBADANSWER
                                                   : WEIR_EDNSNODATA;
    }
    if (record->walk.was_first) {
        memcpy(record->errs, record->first_errs, sizeof(record->errs));
        return 0;
    }
    if (record->has_no_data) {
        return WEIR_EDNSNODATA;
    }
    return record->has_servfail ? WEIR_EDNSSERVFAIL : 0;
}
