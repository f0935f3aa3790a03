/*
 * Happy Eyeballs, the pure part. The next candidate is the first untried one of
 * the family whose turn it is. So addresses that are added late are treated as
 * if they had been there from the start.
 */
#include "race.h"

#include "lib/base/shortage.h"
#include "uring/check.h"

#include <errno.h>

void wr_eyeballs_check_invariants(const struct wr_eyeballs *eyeballs)
{
    wr_assert(eyeballs->untried_count + eyeballs->running_count <=
              eyeballs->count);
    wr_assert(eyeballs->has_begun || eyeballs->running_count == 0);
    wr_assert(!eyeballs->has_begun || eyeballs->latest < eyeballs->count);
    wr_assert(eyeballs->turn < WR_EYEBALLS_FAMILIES);
    wr_assert(eyeballs->awaited < 1u << WR_EYEBALLS_FAMILIES);
}

static void eyeballs_set_state(struct wr_candidate *candidate,
                               enum wr_candidate_state state)
{
    wr_assert(state == candidate->state + 1);
    candidate->state = state;
}

void wr_eyeballs_init(struct wr_eyeballs *eyeballs,
                      const struct wr_eyeballs_options *options,
                      struct wr_candidate *candidates)
{
    const uint32_t interleave = options->interleave;

    *eyeballs = (struct wr_eyeballs){
        .candidates = candidates,
        .keeps_order = options->keeps_order,
        .lead = interleave > 0 ? interleave - 1 : 0,
        .delay_ns =
            options->delay_ns > 0 ? options->delay_ns : WR_EYEBALLS_DELAY_NS,
        .hold_ns = UINT64_MAX,
    };
    wr_eyeballs_check_invariants(eyeballs);
}

static uint32_t eyeballs_know_family(struct wr_eyeballs *eyeballs, int family)
{
    uint32_t index = 0;

    wr_assert(family != AF_UNSPEC);
    while (eyeballs->families[index] != family &&
           eyeballs->families[index] != AF_UNSPEC) {
        index++;
        wr_assert(index < WR_EYEBALLS_FAMILIES);
    }
    eyeballs->families[index] = family;
    return index;
}

void wr_eyeballs_await(struct wr_eyeballs *eyeballs, int family)
{
    wr_assert(!eyeballs->has_begun);
    eyeballs->awaited |= 1u << eyeballs_know_family(eyeballs, family);
    wr_eyeballs_check_invariants(eyeballs);
}

void wr_eyeballs_close(struct wr_eyeballs *eyeballs, int family)
{
    eyeballs->awaited &= ~(1u << eyeballs_know_family(eyeballs, family));
    wr_eyeballs_check_invariants(eyeballs);
}

void wr_eyeballs_add(struct wr_eyeballs *eyeballs,
                     const struct weir_address *address)
{
    wr_assert(address->len > 0);
    (void)eyeballs_know_family(eyeballs, address->storage.any.sa_family);
    eyeballs->candidates[eyeballs->count++] =
        (struct wr_candidate){.address = *address};
    eyeballs->untried_count++;
    wr_eyeballs_check_invariants(eyeballs);
}

static bool eyeballs_find(const struct wr_eyeballs *eyeballs, int family,
                          size_t *ret_index)
{
    for (size_t i = 0; i < eyeballs->count; i++) {
        const struct wr_candidate *candidate = &eyeballs->candidates[i];
        if (candidate->state == WR_CANDIDATE_UNTRIED &&
            (family == AF_UNSPEC ||
             candidate->address.storage.any.sa_family == family)) {
            *ret_index = i;
            return true;
        }
    }
    return false;
}

static size_t eyeballs_pick(const struct wr_eyeballs *eyeballs)
{
    size_t index = 0;

    wr_assert(eyeballs->untried_count > 0);
    if (eyeballs->keeps_order) {
        const bool has_one = eyeballs_find(eyeballs, AF_UNSPEC, &index);
        wr_assert(has_one);
        return index;
    }
    for (uint32_t i = 0; i < WR_EYEBALLS_FAMILIES; i++) {
        const uint32_t turn = (eyeballs->turn + i) % WR_EYEBALLS_FAMILIES;
        const int family = eyeballs->families[turn];
        if (family != AF_UNSPEC && eyeballs_find(eyeballs, family, &index)) {
            return index;
        }
    }
    wr_assert(false);
    return index;
}

/* True while addresses of other families wait for the preferred family. */
static bool eyeballs_is_holding(struct wr_eyeballs *eyeballs, uint64_t now_ns)
{
    size_t index;

    if (eyeballs->has_begun || !(eyeballs->awaited & 1u) ||
        eyeballs_find(eyeballs, eyeballs->families[0], &index)) {
        return false;
    }
    if (eyeballs->hold_ns == UINT64_MAX) {
        eyeballs->hold_ns = wr_add_sat(now_ns, WR_EYEBALLS_RESOLUTION_NS);
    }
    return now_ns < eyeballs->hold_ns;
}

enum wr_eyeballs_step wr_eyeballs_next(struct wr_eyeballs *eyeballs,
                                       uint64_t now_ns, size_t *ret_index,
                                       uint64_t *ret_when_ns)
{
    wr_eyeballs_check_invariants(eyeballs);
    *ret_when_ns = UINT64_MAX;
    if (eyeballs->untried_count == 0) {
        return eyeballs->running_count > 0 || eyeballs->awaited != 0
                   ? WR_EYEBALLS_WAIT
                   : WR_EYEBALLS_FAILED;
    }
    if (eyeballs_is_holding(eyeballs, now_ns)) {
        *ret_when_ns = eyeballs->hold_ns;
        return WR_EYEBALLS_WAIT;
    }
    if (eyeballs->running_count > 0 && now_ns < eyeballs->next_ns) {
        *ret_when_ns = eyeballs->next_ns;
        return WR_EYEBALLS_WAIT;
    }
    *ret_index = eyeballs_pick(eyeballs);
    return WR_EYEBALLS_TRY;
}

void wr_eyeballs_try(struct wr_eyeballs *eyeballs, size_t index,
                     uint64_t now_ns)
{
    struct wr_candidate *candidate = &eyeballs->candidates[index];
    const uint32_t family = eyeballs_know_family(
        eyeballs, candidate->address.storage.any.sa_family);

    wr_assert(index < eyeballs->count);
    wr_assert(candidate->state == WR_CANDIDATE_UNTRIED);
    eyeballs_set_state(candidate, WR_CANDIDATE_TRIED);
    eyeballs->untried_count--;
    eyeballs->running_count++;
    eyeballs->latest = index;
    eyeballs->has_begun = true;
    eyeballs->next_ns = wr_add_sat(now_ns, eyeballs->delay_ns);
    if (family == 0 && eyeballs->lead > 0) {
        eyeballs->lead--; /* the preferred family keeps its turn */
    } else {
        eyeballs->lead = 0;
        eyeballs->turn = (family + 1) % WR_EYEBALLS_FAMILIES;
    }
    wr_eyeballs_check_invariants(eyeballs);
}

void wr_eyeballs_fail(struct wr_eyeballs *eyeballs, size_t index, int err,
                      uint64_t now_ns)
{
    struct wr_candidate *candidate = &eyeballs->candidates[index];

    wr_assert(err < 0);
    wr_assert(index < eyeballs->count);
    wr_assert(candidate->state == WR_CANDIDATE_TRIED);
    wr_assert(eyeballs->running_count > 0);
    eyeballs_set_state(candidate, WR_CANDIDATE_FAILED);
    candidate->err = err;
    eyeballs->running_count--;
    if (index == eyeballs->latest) {
        eyeballs->next_ns = now_ns;
    }
    wr_eyeballs_check_invariants(eyeballs);
}

/* True for errors of a family or a route that this machine does not have. */
static bool eyeballs_says_little(int err)
{
    return err == -EAFNOSUPPORT || err == -EADDRNOTAVAIL || err == -ENETUNREACH;
}

int wr_eyeballs_get_error(const struct wr_eyeballs *eyeballs)
{
    int first = 0;
    int best = 0;

    for (size_t i = 0; i < eyeballs->count; i++) {
        const int err = eyeballs->candidates[i].err;
        wr_assert(err <= 0);
        if (wr_err_is_shortage(err)) {
            return err;
        }
        if (best == 0 && !eyeballs_says_little(err)) {
            best = err;
        }
        first = first == 0 ? err : first;
    }
    return best < 0 ? best : first;
}

const struct wr_candidate *
wr_eyeballs_find_tried(const struct wr_eyeballs *eyeballs, size_t index)
{
    for (size_t i = 0; i < eyeballs->count; i++) {
        const struct wr_candidate *candidate = &eyeballs->candidates[i];
        wr_assert(candidate->err <= 0);
        if (candidate->state != WR_CANDIDATE_UNTRIED && index-- == 0) {
            return candidate;
        }
    }
    return NULL;
}
