/*
 * Names of the kernel features, for the mask and for users.
 *
 * probe.c probes the features: a flag counts as supported only if the kernel
 * accepts it.
 */
#include "feature.h"

#include "check.h"

#include <stdio.h>
#include <string.h>

struct description {
    const char *name;
    const char *kernel;
    const char *without;
};

#define DESCRIPTION(constant, name, kernel, without) {name, kernel, without},
static const struct description feature_descriptions[] = {
    WR_FEATURES(DESCRIPTION)};
#undef DESCRIPTION

_Static_assert(sizeof(feature_descriptions) / sizeof(feature_descriptions[0]) ==
                   WR_FEATURE_COUNT,
               "each feature is described");
_Static_assert(WR_FEATURE_COUNT < 32, "features are bits of a uint32_t");

#define ALL_FEATURES ((UINT32_C(1) << WR_FEATURE_COUNT) - 1)

#define SEPARATORS ", \t\n"

static uint32_t feature_bits_of_name(const char *name, size_t len)
{
    if (len == strlen("all") && memcmp(name, "all", len) == 0) {
        return ALL_FEATURES;
    }
    for (unsigned i = 0; i < WR_FEATURE_COUNT; i++) {
        const char *known = feature_descriptions[i].name;
        if (len == strlen(known) && memcmp(name, known, len) == 0) {
            return UINT32_C(1) << i;
        }
    }
    return 0;
}

void wr_features_reduce(struct wr_features *features)
{
    const uint32_t inc = UINT32_C(1) << WR_FEATURE_BUF_INC;

    wr_assert((features->found & features->masked) == 0);
    wr_assert((features->found & features->unused) == 0);
    if (!wr_has(features, WR_FEATURE_RECV_CREDIT)) {
        features->unused |= features->found & inc;
        features->found &= ~inc;
    }
}

uint32_t wr_features_parse_mask(const char *text, const char **ret_unknown)
{
    uint32_t mask = 0;
    const char *unknown = NULL;
    const char *at = text ? text : "";
    for (;;) {
        at += strspn(at, SEPARATORS);
        size_t len = strcspn(at, SEPARATORS);
        if (len == 0) {
            break;
        }
        uint32_t bits = feature_bits_of_name(at, len);
        if (bits == 0 && !unknown) {
            unknown = at;
        }
        wr_assert((bits & ~ALL_FEATURES) == 0);
        mask |= bits;
        at += len;
    }
    *ret_unknown = unknown;
    return mask;
}

static const char *feature_state(const struct wr_features *features,
                                 unsigned index)
{
    const uint32_t bit = UINT32_C(1) << index;

    if (features->unused & bit) {
        /* BUF_INC is the only feature that needs another feature. */
        wr_assert(index == WR_FEATURE_BUF_INC);
        return "needs recv_credit";
    }
    return features->found & bit    ? "yes"
           : features->masked & bit ? "masked"
                                    : "no";
}

size_t wr_features_text(const struct wr_features *features, char *buf,
                        size_t size)
{
    size_t len = 0;
    wr_assert((features->found & features->masked) == 0);
    wr_assert(buf || size == 0);
    if (size > 0) {
        buf[0] = '\0';
    }
    for (unsigned i = 0; i < WR_FEATURE_COUNT; i++) {
        const struct description *at = &feature_descriptions[i];
        bool found = wr_has(features, (enum wr_feature)i);
        size_t room = len < size ? size - len : 0;
        int ret =
            snprintf(room > 0 ? buf + len : NULL, room, "%-16s %-5s %-6s%s%s\n",
                     at->name, at->kernel, feature_state(features, i),
                     found ? "" : " instead: ", found ? "" : at->without);
        wr_assert(ret > 0);
        len += (size_t)ret;
    }
    return len;
}
