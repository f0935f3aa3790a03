/*
 * Choosing among upstreams: the pure part.
 *
 * The owner keeps an array of candidates, writes down for each whether it can
 * be chosen, and asks for an index. Nothing here knows a clock or a connection;
 * the random numbers come from a generator that the owner seeds.
 *
 * Whatever is written, all candidates are looked at once, which prepares for
 * any number of choices: those that take turns are heaps (turns.h), draws look
 * for a number in sums of weights, and the first is known. A hash alone has to
 * look at each candidate, as each key has an order of its own: ten instructions
 * for each, and the logarithm of few.
 */
#ifndef WEIR_LIB_PROXY_UPSTREAM_CHOOSE_H
#define WEIR_LIB_PROXY_UPSTREAM_CHOOSE_H

#include "turns.h"
#include "uring/check.h"
#include "weir/upstream.h"

#define WR_WEIGHT_MAX 256u
/* Weights of candidates are finer than the program's, for slow starts. */
#define WR_WEIGHT_UNIT 256u

/* Of so few candidates all are looked at again after any change. */
#define WR_CANDIDATES_FEW 2u

/* Only candidates of the first tier that has any are chosen from. */
enum wr_tier {
    /* Unchecked, and before all that are up in the order of the balance: */
    WR_TIER_AWAITED = -1,
    WR_TIER_PRIMARY,
    WR_TIER_UNCHECKED, /* not chosen yet, and waited for */
    WR_TIER_AWAITED_BACKUP,
    WR_TIER_BACKUP,
    WR_TIER_UNCHECKED_BACKUP,
    WR_TIER_EJECTED, /* used where nothing else is left */
    WR_TIER_EJECTED_BACKUP,
    WR_TIER_NONE, /* never chosen */
};

struct wr_candidate_upstream {
    enum wr_tier tier;
    uint32_t weight; /* in WR_WEIGHT_UNIT; not 0, unless the tier is NONE */
    uint8_t rank;    /* in its tier: those of the least one alone are chosen */
    bool is_full;
    bool is_excluded;     /* from this choice */
    bool is_kept;         /* it is in use, and chosen while it is up */
    uint64_t hash;        /* of the name, by wr_hash_candidate() */
    uint64_t sum;         /* of weights, written by wr_choose_prepare() */
    struct wr_turn *turn; /* the owner's, none of two candidates */
};

struct wr_random {
    uint64_t state;
};

/* The next number of the generator (splitmix64). */
uint64_t wr_random_next(struct wr_random *random);

/* A number below @limit, which is not 0. */
uint64_t wr_random_below(struct wr_random *random, uint64_t limit);

/* A hash of bytes, the same on all machines. */
uint64_t wr_hash_bytes(const void *data, size_t size);

/* A hash of a name, with which keys draw numbers. */
uint64_t wr_hash_candidate(const void *name, size_t size);

/* True of candidates whose first check has not ended. */
static inline bool wr_tier_is_unchecked(enum wr_tier tier)
{
    wr_assert(tier <= WR_TIER_NONE);
    return tier == WR_TIER_UNCHECKED || tier == WR_TIER_UNCHECKED_BACKUP ||
           tier == WR_TIER_AWAITED || tier == WR_TIER_AWAITED_BACKUP;
}

/* Where WEIR_BALANCE_FIRST waits for the first check of one that is before all
 * that are up, among the primary ones and among the backups, its tier says so:
 * else a later one would be used for a moment. */
void wr_choose_await(struct wr_candidate_upstream *candidates, size_t count);

/* Those that are not of the least rank cannot be used: of all that are up or
 * wait for their first check, of the backups among these, and of those that are
 * ejected. One that is kept stays as it is. */
void wr_choose_by_rank(struct wr_candidate_upstream *candidates, size_t count);

/* The tier that is chosen from: that of the one that is kept, if it is up or
 * waits for its first check. WR_TIER_NONE: no candidate can be used. */
enum wr_tier wr_choose_find_tier(const struct wr_candidate_upstream *candidates,
                                 size_t count);

struct wr_choice_way {
    enum weir_balance balance;
    bool one_backup; /* backups are chosen from by WEIR_BALANCE_FIRST */
};

enum wr_choice {
    WR_CHOICE_MADE,
    WR_CHOICE_FULL,      /* those of the tier have no room */
    WR_CHOICE_UNCHECKED, /* those of the tier have to be waited for */
    WR_CHOICE_NONE,      /* no candidate can be used */
};

/* The one that WEIR_BALANCE_FIRST uses, excluded or full or not; SIZE_MAX:
 * there is none. */
size_t wr_choose_find_first(const struct wr_candidate_upstream *candidates,
                            size_t count);

/* The candidates of a set, and what they have in common with those of others.
 */
struct wr_candidates {
    struct wr_candidate_upstream *all;
    size_t count;
    struct wr_turns *turns;
    struct wr_random *random;
};

/* A choice that is prepared by the candidates as they are written. */
struct wr_choosing {
    enum wr_tier tier;
    enum weir_balance balance;
    size_t first;      /* of WEIR_BALANCE_FIRST */
    uint64_t total;    /* of the weights that are drawn by */
    uint32_t heaviest; /* of WEIR_BALANCE_HASH: no weight is more */
    size_t in_tier;    /* candidates of it, unless they are few */
    uint64_t version;  /* of the turns, when these candidates took part last */
};

/* Each change of a candidate asks for this, before the next choice, or for
 * wr_choose_change(). */
void wr_choose_prepare(struct wr_choice_way way,
                       const struct wr_candidates *candidates,
                       struct wr_choosing *ret);

/* One of the candidates, of which none is excluded, was another before. False:
 * the choice has to be prepared anew. */
WEIR_MUST_USE bool wr_choose_change(struct wr_choosing *choosing,
                                    const struct wr_candidates *candidates,
                                    const struct wr_candidate_upstream *before,
                                    size_t index);

/* Chooses a candidate: writes its index if it returns WR_CHOICE_MADE. @key is
 * the hash of the request's key, for WEIR_BALANCE_HASH. */
enum wr_choice wr_choose(struct wr_choosing *choosing,
                         const struct wr_candidates *candidates, uint64_t key,
                         size_t *ret_index);

/* The weight, in WR_WEIGHT_UNIT, of an upstream that has been up again for
 * @elapsed_ns of a slow start of @slow_start_ns. */
uint32_t wr_weight_warm(uint32_t weight, uint64_t elapsed_ns,
                        uint64_t slow_start_ns);

#endif
