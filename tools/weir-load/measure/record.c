/*
 * Sums of histograms. Empty histograms are neither cleared nor added: most runs
 * leave several of them empty, and each has a quarter of a megabyte. Struct
 * record has only histograms, so it is treated as an array of them.
 */
#include "measure.h"

#include <assert.h>

#define RECORD_COUNT (sizeof(struct record) / sizeof(struct histogram))

static void add(struct histogram *h, const struct histogram *from)
{
    if (from->count > 0) {
        histogram_merge(h, from);
    }
}

void record_init(struct record *record)
{
    for (size_t i = 0; i < RECORD_COUNT; i++) {
        histogram_begin(&((struct histogram *)record)[i]);
    }
}

void record_settle(struct record *record)
{
    add(&record->service, &record->whole);
    add(&record->ttfb, &record->whole);
    if (record->whole.count > 0) {
        histogram_clear(&record->whole);
    }
}

void record_merge(struct record *record, const struct record *from)
{
    assert(record->whole.count == 0);
    assert(from->whole.count == 0);
    for (size_t i = 0; i < RECORD_COUNT; i++) {
        add(&((struct histogram *)record)[i],
            &((const struct histogram *)from)[i]);
    }
}
