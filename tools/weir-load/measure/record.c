/*
 * Sums of histograms. Empty histograms are neither cleared nor added:
 * most runs leave some of them empty, and each has a quarter of a
 * megabyte.
 */
#include "measure.h"

#include <assert.h>

static void clear(struct histogram *h)
{
    if (h->count > 0) {
        histogram_clear(h);
    }
}

static void add(struct histogram *h, const struct histogram *from)
{
    if (from->count > 0) {
        histogram_merge(h, from);
    }
}

void record_init(struct record *record)
{
    histogram_begin(&record->response);
    histogram_begin(&record->lateness);
    histogram_begin(&record->own_lateness);
    histogram_begin(&record->blocked);
    histogram_begin(&record->reading);
    histogram_begin(&record->sampled);
    histogram_begin(&record->prompt);
    histogram_begin(&record->whole);
    histogram_begin(&record->service);
    histogram_begin(&record->ttfb);
}

void record_settle(struct record *record)
{
    add(&record->service, &record->whole);
    add(&record->ttfb, &record->whole);
    clear(&record->whole);
}

void record_merge(struct record *record, const struct record *from)
{
    assert(record->whole.count == 0);
    assert(from->whole.count == 0);
    add(&record->response, &from->response);
    add(&record->lateness, &from->lateness);
    add(&record->own_lateness, &from->own_lateness);
    add(&record->blocked, &from->blocked);
    add(&record->reading, &from->reading);
    add(&record->sampled, &from->sampled);
    add(&record->prompt, &from->prompt);
    add(&record->service, &from->service);
    add(&record->ttfb, &from->ttfb);
}
