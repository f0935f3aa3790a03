/*
 * Computes when a response is due. The periods of freezes start at time 0 of
 * the clock, so that all threads of a server freeze together without shared
 * state. 1e9 / rate is rarely an integer, so the remainder is carried over to
 * the next response.
 */
#include "modes.h"

#include "tools/common/units.h"

#include <errno.h>
#include <string.h>

#define SECOND_NS UINT64_C(1000000000)

/* Returns the first time from @at_ns on that is outside a freeze. */
static uint64_t thaw(const struct pace *pace, uint64_t at_ns)
{
    const struct pace_options *options = &pace->options;

    if (options->period_ns == 0) {
        return at_ns;
    }
    const uint64_t phase_ns = at_ns % options->period_ns;
    return phase_ns < options->period_ns - options->freeze_ns
               ? at_ns
               : at_ns - phase_ns + options->period_ns;
}

/* Adds a response to the queue of the rate limit. Returns when it may be
 * sent. */
static uint64_t queue(struct pace *pace, uint64_t at_ns)
{
    const uint64_t rate = pace->options.rate;

    if (rate == 0) {
        return at_ns;
    }
    if (at_ns > pace->free_ns) {
        pace->free_ns = at_ns;
        pace->remainder = 0;
    }
    pace->remainder += SECOND_NS % rate;
    pace->free_ns =
        thaw(pace, pace->free_ns) + SECOND_NS / rate + pace->remainder / rate;
    pace->remainder %= rate;
    return pace->free_ns;
}

void pace_init(struct pace *pace, const struct pace_options *options)
{
    *pace = (struct pace){.options = *options};
}

bool pace_is_needed(const struct pace_options *options)
{
    return options->delay_ns > 0 || options->period_ns > 0 || options->rate > 0;
}

int pace_parse_freeze(const char *text, struct pace_options *options)
{
    char first[64];
    uint64_t freeze_ns = 0;
    uint64_t period_ns = 0;

    const char *slash = strchr(text, '/');
    if (!slash || (size_t)(slash - text) >= sizeof(first)) {
        return -EINVAL;
    }
    memcpy(first, text, (size_t)(slash - text));
    first[slash - text] = '\0';
    if (units_parse_time(first, &freeze_ns) < 0 ||
        units_parse_time(slash + 1, &period_ns) < 0 || freeze_ns == 0 ||
        freeze_ns >= period_ns) {
        return -EINVAL;
    }
    options->freeze_ns = freeze_ns;
    options->period_ns = period_ns;
    return 0;
}

uint64_t pace_take(struct pace *pace, uint64_t now_ns, uint64_t extra_ns)
{
    const uint64_t done_ns = queue(pace, thaw(pace, now_ns));

    return thaw(pace, done_ns + pace->options.delay_ns + extra_ns);
}
