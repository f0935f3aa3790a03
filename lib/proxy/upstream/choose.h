/*
 * Chooses among upstreams: pure functions.
 *
 * After a change all candidates are checked once. This prepares any number of
 * choices: round robin and least connections take the head of a heap (turns.h),
 * a random choice searches a tree of sums of weights, and WEIR_BALANCE_FIRST
 * has one answer. Only WEIR_BALANCE_HASH checks each candidate for each choice,
 * because each key orders them differently. This takes ten instructions per
 * candidate, and few logarithms.
 */
#ifndef WEIR_LIB_PROXY_UPSTREAM_CHOOSE_H
#define WEIR_LIB_PROXY_UPSTREAM_CHOOSE_H

#include "turns.h"
#include "weir/upstream.h"

#define WR_WEIGHT_MAX 256u
/* Weights of candidates are finer than the program's, for slow starts. */
#define WR_WEIGHT_UNIT 256u

/* With at most this many candidates, any change checks all of them again. */
#define WR_CANDIDATES_FEW 2u

/* A choice is made only from the first tier that has candidates. */
enum wr_tier {
    /* Unchecked, but chosen in the order of the balance before others that are
     * up. */
    WR_TIER_AWAITED = -1,
    WR_TIER_PRIMARY,
    WR_TIER_UNCHECKED, /* first check has not ended: requests wait for it */
    WR_TIER_AWAITED_BACKUP,
    WR_TIER_BACKUP,
    WR_TIER_UNCHECKED_BACKUP,
    WR_TIER_EJECTED, /* used if nothing else is left */
    WR_TIER_EJECTED_BACKUP,
    WR_TIER_NONE, /* never chosen */
};

struct wr_candidate_upstream {
    enum wr_tier tier;
    uint32_t weight; /* in WR_WEIGHT_UNIT; not 0 unless NONE */
    /* Rank in the tier. Only candidates with the least rank are chosen. */
    uint8_t rank;
    bool is_full;
    bool is_excluded; /* the request must not use this candidate */
    /* WEIR_BALANCE_FIRST uses this candidate, and chooses it as long as it is
     * up. */
    bool is_kept;
    uint64_t hash; /* hash of the name, by wr_hash_candidate() */
    /* Entry of the tree of weights, set by wr_choose_prepare(). */
    uint64_t sum;
    struct wr_turn *turn; /* borrowed; another one for each candidate */
};

struct wr_random {
    uint64_t state;
};

/* Returns the next number of the generator (splitmix64). */
uint64_t wr_random_next(struct wr_random *random);

uint64_t wr_random_below(struct wr_random *random, uint64_t limit);

/* Returns a hash of bytes, the same on all machines. */
uint64_t wr_hash_bytes(const void *data, size_t size);

uint64_t wr_hash_candidate(const void *name, size_t size);

static inline bool wr_tier_is_unchecked(enum wr_tier tier)
{
    wr_assert(tier <= WR_TIER_NONE);
    return tier == WR_TIER_UNCHECKED || tier == WR_TIER_UNCHECKED_BACKUP ||
           tier == WR_TIER_AWAITED || tier == WR_TIER_AWAITED_BACKUP;
}

/* For WEIR_BALANCE_FIRST: changes the tier of an unchecked candidate to AWAITED
 * if no candidate before it is up. Treats primaries and backups separately.
 * Otherwise a later candidate would be used for a moment. */
void wr_choose_await(struct wr_candidate_upstream *candidates, size_t count);

/* Disables candidates that do not have the least rank of their class. The
 * classes are primaries that are up or wait for their first check, such
 * backups, ejected primaries, and ejected backups. A kept candidate is not
 * changed. */
void wr_choose_by_rank(struct wr_candidate_upstream *candidates, size_t count);

/* Returns the tier to choose from. It is the tier of the kept candidate, if
 * that is up or waits for its first check. Returns WR_TIER_NONE if no candidate
 * can be used. */
enum wr_tier wr_choose_find_tier(const struct wr_candidate_upstream *candidates,
                                 size_t count);

struct wr_choice_way {
    enum weir_balance balance;
    bool one_backup; /* choose from backups by WEIR_BALANCE_FIRST */
};

enum wr_choice {
    WR_CHOICE_MADE,
    WR_CHOICE_FULL,      /* the request must wait for a slot */
    WR_CHOICE_UNCHECKED, /* the request must wait for first checks */
    WR_CHOICE_NONE,
};

/* Returns the index of the candidate that WEIR_BALANCE_FIRST uses, even if it
 * is full, or SIZE_MAX. Skips excluded candidates. */
size_t wr_choose_find_first(const struct wr_candidate_upstream *candidates,
                            size_t count);

/* The candidates of a set, and state that sets share. */
struct wr_candidates {
    struct wr_candidate_upstream *all;
    size_t count;
    struct wr_turns *turns;
    struct wr_random *random;
};

/* The data that speed up choices from the current candidates. */
struct wr_choosing {
    enum wr_tier tier;
    enum weir_balance balance;
    size_t first;      /* of WEIR_BALANCE_FIRST */
    uint64_t total;    /* sum of the weights for drawing */
    uint32_t heaviest; /* the largest weight of WEIR_BALANCE_HASH */
    size_t in_tier;    /* number of candidates, unless they are few */
    uint64_t version;  /* turns->version when these candidates last took part */
};

/* Must be called before the next choice after a candidate has changed, unless
 * wr_choose_change() has returned true. */
void wr_choose_prepare(struct wr_choice_way way,
                       const struct wr_candidates *candidates,
                       struct wr_choosing *ret);

/* Called after candidate @index has changed from @before. No candidate may be
 * excluded. Returns false if the choice must be prepared again. */
WEIR_MUST_USE bool wr_choose_change(struct wr_choosing *choosing,
                                    const struct wr_candidates *candidates,
                                    const struct wr_candidate_upstream *before,
                                    size_t index);

/* Writes *ret_index if the result is WR_CHOICE_MADE. @key is the hash of the
 * request's key, for WEIR_BALANCE_HASH. */
enum wr_choice wr_choose(struct wr_choosing *choosing,
                         const struct wr_candidates *candidates, uint64_t key,
                         size_t *ret_index);

/* Returns the weight, in WR_WEIGHT_UNIT, of an upstream that has been up again
 * for @elapsed_ns of a slow start of @slow_start_ns. */
uint32_t wr_weight_warm(uint32_t weight, uint64_t elapsed_ns,
                        uint64_t slow_start_ns);

#endif
