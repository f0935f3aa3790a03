/*
 * Timers: the wheel itself.
 *
 * A deadline's tick is a number of ten digits in base 64. A timer's level is
 * the highest digit in which its tick differs from the wheel's, and its slot is
 * the value of that digit. So timers of one tick always share a slot, which
 * keeps them in the order of arming, and the first occupied slot of the lowest
 * occupied level has the earliest deadlines.
 *
 * Time jumps from one occupied slot to the next. A slot of the lowest level
 * becomes due as a whole; the timers of a higher slot move to the levels below.
 *
 * Opening a slot of a million timers would stop the loop for 40 ms. So each
 * expiry takes a few timers out of the next slot of each level early, and sorts
 * them into stages, one list for each slot of the level below. When the slot
 * opens, these lists are moved as a whole. New timers are added to the slot
 * itself and are moved after the older timers, which keeps the order.
 */
#include "timer.h"

/* Maximum number of timers that are read to find a slot's first deadline. */
#define SCAN_MAX    16u
#define CHECKED_MAX 64u

/* For each 64 ticks that pass, STAGE_STEP timers of each level are sorted early
 * (120 000 a second), at most STAGE_MAX of a level in one expiry (30 us of
 * cache misses). STAGE_LEVEL_FIRST is the lowest staged level, with slots of 4
 * ms. */
#define STAGE_STEP        8u
#define STAGE_MAX         256u
#define STAGE_LEVEL_FIRST 2u
/* Run i of the merge sort has 2^i timers. The last run is never used. */
#define SORT_RUNS 48u

#define DIGIT_MASK   (WR_WHEEL_SLOTS - 1u)
#define NEXT_UNKNOWN 0u

_Static_assert(WR_WHEEL_SLOTS == 64, "a level's slots are bits of a uint64_t");
_Static_assert(WR_WHEEL_LEVELS *WR_WHEEL_BITS < 64, "shifts stay defined");
_Static_assert((UINT64_MAX / WR_TICK_NS + 1) >>
                       ((WR_WHEEL_LEVELS - 1) * WR_WHEEL_BITS) ==
                   1,
               "what rounds up past the last tick has the top level alone");

struct slot_ref {
    unsigned level;
    unsigned index;
    uint64_t start_tick;
};

static inline uint64_t timer_tick_of(uint64_t when_ns)
{
    return when_ns / WR_TICK_NS + (when_ns % WR_TICK_NS != 0);
}

static inline uint64_t timer_tick_to_ns(uint64_t tick)
{
    return tick > UINT64_MAX / WR_TICK_NS ? UINT64_MAX : tick * WR_TICK_NS;
}

static uint64_t timer_check_list(const struct wr_wheel *wheel,
                                 const struct wr_list *list, unsigned level,
                                 unsigned index)
{
    uint64_t count = 0;

    for (const struct wr_list *at = list->next; at != list; at = at->next) {
        const struct wr_timer *timer =
            wr_container_of(at, const struct wr_timer, link);
        const uint64_t tick = timer_tick_of(timer->when_ns);
        wr_assert(tick > wheel->now_tick);
        wr_assert((tick >> level * WR_WHEEL_BITS & DIGIT_MASK) == index);
        wr_assert((tick ^ wheel->now_tick) >> (level + 1) * WR_WHEEL_BITS == 0);
        wr_assert(wheel->next_ns == NEXT_UNKNOWN ||
                  timer_tick_of(wheel->next_ns) <= tick);
        count++;
    }
    return count;
}

/* Returns the number of timers. The staged slot's own list may be empty. */
static uint64_t timer_check_marked(const struct wr_wheel *wheel, unsigned level,
                                   bool stages)
{
    const unsigned staged_index = wheel->staged_index[level];
    uint64_t bits = stages ? wheel->staged[level] : wheel->occupied[level];
    uint64_t count = 0;

    for (; bits; bits &= bits - 1) {
        const unsigned i = (unsigned)__builtin_ctzll(bits);
        const struct wr_list *list =
            stages ? &wheel->stages[level][i] : &wheel->slots[level][i];
        wr_assert(!wr_list_is_empty(list) ||
                  (!stages && wheel->staged[level] && i == staged_index));
        count +=
            timer_check_list(wheel, list, level, stages ? staged_index : i);
    }
    return count;
}

static void timer_check_heads(const struct wr_wheel *wheel, unsigned level)
{
    const unsigned staged_index = wheel->staged_index[level];
    uint64_t occupied = wheel->staged[level] ? UINT64_C(1) << staged_index : 0;
    uint64_t staged = 0;

    for (unsigned i = 0; i < WR_WHEEL_SLOTS; i++) {
        const uint64_t bit = UINT64_C(1) << i;
        occupied |= wr_list_is_empty(&wheel->slots[level][i]) ? 0 : bit;
        staged |= wr_list_is_empty(&wheel->stages[level][i]) ? 0 : bit;
    }
    wr_assert(occupied == wheel->occupied[level]);
    wr_assert(staged == wheel->staged[level]);
}

static void timer_check_lists(const struct wr_wheel *wheel)
{
    for (unsigned level = 0; level < WR_WHEEL_LEVELS; level++) {
        const unsigned digit =
            (unsigned)(wheel->now_tick >> level * WR_WHEEL_BITS) & DIGIT_MASK;
        const uint64_t occupied = wheel->occupied[level];
        const unsigned staged_index = wheel->staged_index[level];
        wr_assert((occupied << (63u - digit)) == 0);
        wr_assert(staged_index > 0 ? occupied >> staged_index & 1u
                                   : wheel->staged[level] == 0);
        if (wheel->armed_count > CHECKED_MAX) {
            timer_check_heads(wheel, level);
        }
    }
    if (wheel->armed_count <= CHECKED_MAX) {
        /* If a list has no bit, its timers are missing from the count. */
        uint64_t count = wr_list_count(&wheel->due) +
                         wr_list_count(&wheel->past) +
                         wr_list_count(&wheel->held);

        for (unsigned level = 0; level < WR_WHEEL_LEVELS; level++) {
            count += timer_check_marked(wheel, level, false) +
                     timer_check_marked(wheel, level, true);
        }
        wr_assert(count == wheel->armed_count);
        wr_assert(wr_list_is_empty(&wheel->past) ||
                  wheel->next_ns == NEXT_UNKNOWN);
    }
}

void wr_wheel_check_invariants(const struct wr_wheel *wheel)
{
    wr_assert(!wheel->is_expiring);
    wr_assert(wheel->armed_count > 0 || wr_list_is_empty(&wheel->due));
    wr_assert(wheel->next_ns == NEXT_UNKNOWN || !wr_wheel_holds(wheel));
    wr_debug_check(timer_check_lists(wheel));
}

static bool timer_find_first(const struct wr_wheel *wheel, struct slot_ref *ret)
{
    for (unsigned level = 0; level < WR_WHEEL_LEVELS; level++) {
        if (wheel->occupied[level] == 0) {
            continue;
        }
        unsigned shift = level * WR_WHEEL_BITS;
        uint64_t above = wheel->now_tick >> shift >> WR_WHEEL_BITS;
        ret->level = level;
        ret->index = (unsigned)__builtin_ctzll(wheel->occupied[level]);
        ret->start_tick = ((above << WR_WHEEL_BITS) | ret->index) << shift;
        return true;
    }
    return false;
}

/* Merges two sorted lists into @younger. Keeps the order of arming. */
static void timer_merge(struct wr_list *older, struct wr_list *younger)
{
    struct wr_list merged;

    wr_assert(older != younger);
    wr_list_init(&merged);
    while (!wr_list_is_empty(older) && !wr_list_is_empty(younger)) {
        const uint64_t old_tick = timer_tick_of(
            wr_container_of(older->next, struct wr_timer, link)->when_ns);
        const uint64_t young_tick = timer_tick_of(
            wr_container_of(younger->next, struct wr_timer, link)->when_ns);
        struct wr_list *first = young_tick < old_tick ? younger : older;
        wr_list_push_back(&merged, wr_list_pop_front(first));
    }
    wr_list_splice_back(&merged, older);
    wr_list_splice_back(&merged, younger);
    wr_list_splice_back(younger, &merged);
}

/* A merge sort: run i has 2^i timers, armed before those of lower runs. */
static void timer_take_past(struct wr_wheel *wheel)
{
    struct wr_list runs[SORT_RUNS];
    struct wr_list sorted;
    struct wr_list *member;

    wr_assert(!wheel->is_expiring);
    wr_assert(!wr_list_is_empty(&wheel->past));
    for (unsigned i = 0; i < SORT_RUNS; i++) {
        wr_list_init(&runs[i]);
    }
    wr_list_init(&sorted);
    while ((member = wr_list_pop_front(&wheel->past))) {
        struct wr_list run;
        unsigned i = 0;
        wr_list_init(&run);
        wr_list_push_back(&run, member);
        for (; !wr_list_is_empty(&runs[i]); i++) {
            timer_merge(&runs[i], &run);
        }
        wr_assert(i < SORT_RUNS - 1);
        wr_list_splice_back(&runs[i], &run);
    }
    for (unsigned i = 0; i < SORT_RUNS; i++) {
        timer_merge(&runs[i], &sorted);
    }
    wr_list_splice_back(&wheel->due, &sorted);
}

/* Links a timer into the slot of its deadline, or into @passed. next_ns is then
 * unknown, so that wr_wheel_next() checks the lists. */
static inline void timer_place(struct wr_wheel *wheel, struct wr_timer *timer,
                               struct wr_list *passed)
{
    uint64_t tick = timer_tick_of(timer->when_ns);
    struct wr_list *list = passed;
    if (WR_LIKELY(tick > wheel->now_tick)) {
        unsigned bit = 63u - (unsigned)__builtin_clzll(tick ^ wheel->now_tick);
        unsigned level = bit / WR_WHEEL_BITS;
        unsigned index =
            (unsigned)(tick >> (level * WR_WHEEL_BITS)) & DIGIT_MASK;
        wr_debug_assert(level < WR_WHEEL_LEVELS);
        wheel->occupied[level] |= UINT64_C(1) << index;
        list = &wheel->slots[level][index];
    } else {
        wheel->next_ns = NEXT_UNKNOWN;
    }
    struct wr_list *last = list->prev;
    timer->link.prev = last;
    timer->link.next = list;
    last->next = &timer->link;
    list->prev = &timer->link;
}

static void timer_clear_slot(struct wr_wheel *wheel, unsigned level,
                             unsigned index)
{
    bool is_staged = wheel->staged_index[level] == index;
    if (!wr_list_is_empty(&wheel->slots[level][index]) ||
        (is_staged && wheel->staged[level] != 0)) {
        return;
    }
    wheel->occupied[level] &= ~(UINT64_C(1) << index);
    if (is_staged) {
        wheel->staged_index[level] = 0;
    }
}

/* The due, past and held lists have no bit in `occupied` or `staged`. */
static void timer_note_empty(struct wr_wheel *wheel, const struct wr_list *list)
{
    uintptr_t in_slots = (uintptr_t)list - (uintptr_t)wheel->slots;
    uintptr_t in_stages = (uintptr_t)list - (uintptr_t)wheel->stages;
    wheel->next_ns = NEXT_UNKNOWN;
    if (in_slots < sizeof(wheel->slots)) {
        unsigned slot = (unsigned)(in_slots / sizeof(*list));
        timer_clear_slot(wheel, slot / WR_WHEEL_SLOTS, slot % WR_WHEEL_SLOTS);
    } else if (in_stages < sizeof(wheel->stages)) {
        unsigned slot = (unsigned)(in_stages / sizeof(*list));
        unsigned level = slot / WR_WHEEL_SLOTS;
        wheel->staged[level] &= ~(UINT64_C(1) << slot % WR_WHEEL_SLOTS);
        timer_clear_slot(wheel, level, wheel->staged_index[level]);
    }
}

static inline void timer_displace(struct wr_wheel *wheel,
                                  struct wr_timer *timer)
{
    struct wr_list *next = timer->link.next;
    struct wr_list *prev = timer->link.prev;
    wr_debug_assert(next->prev == &timer->link);
    wr_debug_assert(prev->next == &timer->link);
    next->prev = prev;
    prev->next = next;
    /* Equal neighbours are the head of the list. */
    if (WR_UNLIKELY(next == prev)) {
        timer_note_empty(wheel, next);
    }
    if (WR_UNLIKELY(timer->when_ns == wheel->next_ns)) {
        wheel->next_ns = NEXT_UNKNOWN;
    }
}

static void timer_deal(struct wr_wheel *wheel, struct wr_list *list)
{
    struct wr_list *member = list->next;
    wr_list_init(list);
    while (member != list) {
        struct wr_list *next = member->next;
        struct wr_timer *timer = wr_container_of(member, struct wr_timer, link);
        wheel->next_ns = wr_min_u64(wheel->next_ns, timer->when_ns);
        timer_place(wheel, timer, &wheel->due);
        member = next;
    }
}

/* Timers whose digit in the level below is 0 move to lower levels, before the
 * timers that are still in the slot's own list. */
static void timer_unstage(struct wr_wheel *wheel, unsigned level)
{
    uint64_t left = wheel->staged[level] & ~UINT64_C(1);
    wr_assert(wheel->occupied[level - 1] == 0);
    wheel->occupied[level - 1] = left;
    wheel->staged[level] = 0;
    wheel->staged_index[level] = 0;
    timer_deal(wheel, &wheel->stages[level][0]);
    while (left != 0) {
        unsigned digit = (unsigned)__builtin_ctzll(left);
        wr_list_splice_back(&wheel->slots[level - 1][digit],
                            &wheel->stages[level][digit]);
        left &= left - 1;
    }
}

static void timer_open_slot(struct wr_wheel *wheel, const struct slot_ref *slot)
{
    struct wr_list *list = &wheel->slots[slot->level][slot->index];
    bool is_staged = wheel->staged_index[slot->level] == slot->index;
    wheel->occupied[slot->level] &= ~(UINT64_C(1) << slot->index);
    if (slot->level == 0) {
        wr_list_splice_back(&wheel->due, list);
        return;
    }
    /* All other timers are later, so moving these finds the first deadline,
     * unless staged lists are moved unread. */
    wheel->next_ns = UINT64_MAX;
    if (is_staged) {
        timer_unstage(wheel, slot->level);
    }
    timer_deal(wheel, list);
    if (is_staged) {
        wheel->next_ns = NEXT_UNKNOWN;
    }
}

static void timer_stage(struct wr_wheel *wheel, unsigned level, uint64_t count)
{
    if (wheel->staged_index[level] == 0) {
        wheel->staged_index[level] =
            (uint8_t)__builtin_ctzll(wheel->occupied[level]);
    }
    unsigned shift = (level - 1) * WR_WHEEL_BITS;
    struct wr_list *list = &wheel->slots[level][wheel->staged_index[level]];
    for (; count > 0 && !wr_list_is_empty(list); count--) {
        struct wr_list *member = wr_list_pop_front(list);
        const struct wr_timer *timer =
            wr_container_of(member, const struct wr_timer, link);
        uint64_t tick = timer_tick_of(timer->when_ns);
        unsigned digit = (unsigned)(tick >> shift) & DIGIT_MASK;
        wheel->staged[level] |= UINT64_C(1) << digit;
        wr_list_push_back(&wheel->stages[level][digit], member);
    }
}

static void timer_reach(struct wr_wheel *wheel, uint64_t tick)
{
    const uint64_t before = wheel->now_tick;

    wr_debug_assert(!wheel->is_expiring);
    struct slot_ref first;
    while (timer_find_first(wheel, &first) && first.start_tick <= tick) {
        wr_assert(first.start_tick > wheel->now_tick);
        wheel->now_tick = first.start_tick;
        timer_open_slot(wheel, &first);
    }
    wheel->now_tick = wr_max_u64(wheel->now_tick, tick);
    if ((before ^ wheel->now_tick) >> WR_WHEEL_BITS != 0) {
        uint64_t count =
            wr_min_u64((wheel->now_tick - before + WR_WHEEL_SLOTS) >>
                           WR_WHEEL_BITS,
                       STAGE_MAX / STAGE_STEP) *
            STAGE_STEP;
        /* A slot of the last level never opens. */
        for (unsigned level = STAGE_LEVEL_FIRST; level < WR_WHEEL_LEVELS - 1;
             level++) {
            if (wheel->occupied[level] != 0) {
                timer_stage(wheel, level, count);
            }
        }
    }
}

static uint64_t timer_first_in_list(const struct wr_list *list,
                                    uint64_t start_ns)
{
    uint64_t first_ns = UINT64_MAX;
    unsigned count = 0;
    for (const struct wr_list *at = list->next; at != list; at = at->next) {
        if (count++ == SCAN_MAX) {
            return start_ns;
        }
        const struct wr_timer *timer =
            wr_container_of(at, const struct wr_timer, link);
        first_ns = wr_min_u64(first_ns, timer->when_ns);
    }
    return first_ns;
}

/* Returns the first deadline of a slot or, if a search would take long, an
 * earlier time within the slot. */
static uint64_t timer_first_deadline(const struct wr_wheel *wheel,
                                     const struct slot_ref *slot)
{
    unsigned level = slot->level;
    uint64_t start_ns = timer_tick_to_ns(slot->start_tick);
    if (level == 0) {
        return start_ns; /* all timers of the slot have this tick */
    }
    uint64_t first_ns =
        timer_first_in_list(&wheel->slots[level][slot->index], start_ns);
    if (wheel->staged_index[level] == slot->index &&
        wheel->staged[level] != 0) {
        uint64_t digit = (uint64_t)__builtin_ctzll(wheel->staged[level]);
        uint64_t below = digit << ((level - 1) * WR_WHEEL_BITS);
        first_ns = wr_min_u64(
            first_ns,
            timer_first_in_list(&wheel->stages[level][digit],
                                timer_tick_to_ns(slot->start_tick + below)));
    }
    return first_ns;
}

void wr_wheel_init(struct wr_wheel *wheel, uint64_t now_ns)
{
    *wheel = (struct wr_wheel){
        .now_tick = now_ns / WR_TICK_NS,
        .next_ns = UINT64_MAX,
    };
    for (unsigned level = 0; level < WR_WHEEL_LEVELS; level++) {
        for (unsigned index = 0; index < WR_WHEEL_SLOTS; index++) {
            wr_list_init(&wheel->slots[level][index]);
            wr_list_init(&wheel->stages[level][index]);
        }
    }
    wr_list_init(&wheel->past);
    wr_list_init(&wheel->due);
    wr_list_init(&wheel->held);
}

void wr_timer_init(struct wr_timer *timer, wr_timer_expire_fn *expire)
{
    wr_assert(expire != NULL);
    wr_list_init(&timer->link);
    timer->when_ns = UINT64_MAX;
    timer->expire = expire;
}

void wr_timer_arm(struct wr_wheel *wheel, struct wr_timer *timer,
                  uint64_t when_ns)
{
    wr_debug_assert(timer->expire);
    if (wr_timer_is_armed(timer)) {
        wr_debug_assert(wheel->armed_count > 0);
        timer_displace(wheel, timer);
    } else {
        wheel->armed_count++;
    }
    timer->when_ns = when_ns;
    if (when_ns < wheel->next_ns) {
        wheel->next_ns = when_ns;
    }
    timer_place(wheel, timer, &wheel->past);
}

void wr_timer_cancel(struct wr_wheel *wheel, struct wr_timer *timer)
{
    if (!wr_timer_is_armed(timer)) {
        return;
    }
    wr_assert(wheel->armed_count > 0);
    wheel->armed_count--;
    timer_displace(wheel, timer);
    wr_list_init(&timer->link);
}

uint64_t wr_wheel_next(struct wr_wheel *wheel)
{
    struct slot_ref first;
    if (!wr_list_is_empty(&wheel->due) || wr_wheel_holds(wheel)) {
        return 0;
    }
    if (wheel->next_ns == NEXT_UNKNOWN) {
        if (!wr_list_is_empty(&wheel->past)) {
            return 0;
        }
        bool found = timer_find_first(wheel, &first);
        wheel->next_ns =
            found ? timer_first_deadline(wheel, &first) : UINT64_MAX;
    }
    return timer_tick_to_ns(timer_tick_of(wheel->next_ns));
}

uint64_t wr_wheel_hold(struct wr_wheel *wheel, uint64_t past_ns,
                       uint64_t now_ns)
{
    const uint64_t now_tick = now_ns / WR_TICK_NS;
    struct wr_list passed;

    wr_debug_check(wr_wheel_check_invariants(wheel));
    wr_assert(past_ns <= now_ns);
    wr_assert(!wheel->is_expiring);
    wr_list_init(&passed);
    if (!wr_list_is_empty(&wheel->past)) {
        timer_take_past(wheel);
    }
    timer_reach(wheel, wr_min_u64(timer_tick_of(past_ns), now_tick));
    wr_list_splice_back(&passed, &wheel->due);
    timer_reach(wheel, now_tick);
    wr_list_splice_back(&wheel->held, &wheel->due);
    wr_list_splice_back(&wheel->due, &passed);
    wheel->next_ns = NEXT_UNKNOWN;
    return wr_wheel_holds(wheel)
               ? wr_container_of(wheel->held.next, struct wr_timer, link)
                     ->when_ns
               : UINT64_MAX;
}

void wr_wheel_release(struct wr_wheel *wheel)
{
    wr_assert(!wheel->is_expiring);
    wr_assert(wheel->next_ns == NEXT_UNKNOWN);
    wr_list_splice_back(&wheel->due, &wheel->held);
}

unsigned wr_wheel_expire(struct wr_wheel *wheel, uint64_t now_ns, unsigned max)
{
    wr_debug_check(wr_wheel_check_invariants(wheel));
    wr_assert(!wheel->is_expiring);
    if (WR_UNLIKELY(!wr_list_is_empty(&wheel->past))) {
        timer_take_past(wheel);
    }
    timer_reach(wheel, now_ns / WR_TICK_NS);
    if (wheel->next_ns <= now_ns || wr_wheel_holds(wheel)) {
        wheel->next_ns = NEXT_UNKNOWN;
    }
    if (wr_list_is_empty(&wheel->due)) {
        return 0;
    }

    unsigned count = 0;
    wheel->is_expiring = true;
    while (count < max && !wr_list_is_empty(&wheel->due)) {
        struct wr_timer *timer = wr_container_of(wr_list_pop_front(&wheel->due),
                                                 struct wr_timer, link);
        wr_assert(wheel->armed_count > 0);
        wr_debug_assert(timer->when_ns <= now_ns);
        wheel->armed_count--;
        count++;
        timer->expire(timer);
    }
    wheel->is_expiring = false;
    wr_debug_check(wr_wheel_check_invariants(wheel));
    return count;
}
