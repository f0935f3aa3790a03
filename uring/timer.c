/*
 * Timers: the wheel itself.
 *
 * A deadline's tick is a number of ten digits in base 64. A timer lies in the
 * level of the highest digit in which its tick differs from the wheel's, and
 * there in the slot of that digit. So all timers of one tick share a slot at
 * any time, which keeps them in the order of arming, and the first occupied
 * slot of the lowest occupied level holds the earliest deadlines.
 *
 * Time moves from one occupied slot to the next, however far apart they are:
 * a slot of the lowest level becomes due as a whole, a higher one is dealt out
 * to the levels below. A timer moves at most once for each digit of its
 * distance; most are cancelled or armed anew before they move at all, and for
 * those nothing is touched but the timer, its neighbours and the slot.
 */
#include "timer.h"

/* A slot of a higher level is searched for its first deadline up to here. */
#define SCAN_MAX 16u

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

static inline uint64_t tick_of(uint64_t when_ns)
{
    return when_ns / WR_TICK_NS + (when_ns % WR_TICK_NS != 0);
}

static inline uint64_t tick_to_ns(uint64_t tick)
{
    return tick > UINT64_MAX / WR_TICK_NS ? UINT64_MAX : tick * WR_TICK_NS;
}

/* The first occupied slot; false when all are empty. */
static bool find_first(const struct wr_wheel *wheel, struct slot_ref *ret)
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

/* Links a timer that is in no list into the slot of its deadline. */
static inline void place(struct wr_wheel *wheel, struct wr_timer *timer)
{
    uint64_t tick = tick_of(timer->when_ns);
    struct wr_list *list = &wheel->due;
    if (WR_LIKELY(tick > wheel->now_tick)) {
        unsigned bit = 63u - (unsigned)__builtin_clzll(tick ^ wheel->now_tick);
        unsigned level = bit / WR_WHEEL_BITS;
        unsigned index =
            (unsigned)(tick >> (level * WR_WHEEL_BITS)) & DIGIT_MASK;
        wheel->occupied[level] |= UINT64_C(1) << index;
        list = &wheel->slots[level][index];
    }
    struct wr_list *last = list->prev;
    timer->link.prev = last;
    timer->link.next = list;
    last->next = &timer->link;
    list->prev = &timer->link;
}

/* The list's last timer went. The due list has no bit to clear. */
static void note_empty(struct wr_wheel *wheel, const struct wr_list *list)
{
    uintptr_t offset = (uintptr_t)list - (uintptr_t)wheel->slots;
    if (offset < sizeof(wheel->slots)) {
        unsigned slot = (unsigned)(offset / sizeof(*list));
        wheel->occupied[slot / WR_WHEEL_SLOTS] &=
            ~(UINT64_C(1) << slot % WR_WHEEL_SLOTS);
    }
    wheel->next_ns = NEXT_UNKNOWN;
}

/* Unlinks an armed timer and leaves its own links as they were. */
static inline void displace(struct wr_wheel *wheel, struct wr_timer *timer)
{
    struct wr_list *next = timer->link.next;
    struct wr_list *prev = timer->link.prev;
    next->prev = prev;
    prev->next = next;
    /* Both neighbours are the same only if they are the head of the list. */
    if (WR_UNLIKELY(next == prev)) {
        note_empty(wheel, next);
    }
    if (WR_UNLIKELY(timer->when_ns == wheel->next_ns)) {
        wheel->next_ns = NEXT_UNKNOWN;
    }
}

/* Empties a slot whose time has come. */
static void open_slot(struct wr_wheel *wheel, const struct slot_ref *slot)
{
    struct wr_list *list = &wheel->slots[slot->level][slot->index];
    wr_assert(!wr_list_is_empty(list));
    wheel->occupied[slot->level] &= ~(UINT64_C(1) << slot->index);
    if (slot->level == 0) {
        wr_list_splice_back(&wheel->due, list);
        return;
    }
    struct wr_list *member = list->next;
    wr_list_init(list);
    /* All others are later, so that the first deadline is known for nothing. */
    wheel->next_ns = UINT64_MAX;
    while (member != list) {
        struct wr_list *next = member->next;
        struct wr_timer *timer = wr_container_of(member, struct wr_timer, link);
        wheel->next_ns = wr_min_u64(wheel->next_ns, timer->when_ns);
        place(wheel, timer);
        member = next;
    }
}

/* Moves time on, and what is due then to the due list, in order. */
static void advance(struct wr_wheel *wheel, uint64_t tick)
{
    struct slot_ref first;
    while (find_first(wheel, &first) && first.start_tick <= tick) {
        wr_assert(first.start_tick > wheel->now_tick);
        wheel->now_tick = first.start_tick;
        open_slot(wheel, &first);
    }
    wheel->now_tick = wr_max_u64(wheel->now_tick, tick);
}

/* The first deadline of a slot, or when the slot begins if it holds many. */
static uint64_t first_deadline(const struct wr_wheel *wheel,
                               const struct slot_ref *slot)
{
    const struct wr_list *list = &wheel->slots[slot->level][slot->index];
    uint64_t start_ns = tick_to_ns(slot->start_tick);
    uint64_t first_ns = UINT64_MAX;
    unsigned count = 0;
    if (slot->level == 0) {
        return start_ns; /* all of it is due at this very tick */
    }
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

void wr_wheel_init(struct wr_wheel *wheel, uint64_t now_ns)
{
    *wheel = (struct wr_wheel){
        .now_tick = now_ns / WR_TICK_NS,
        .next_ns = UINT64_MAX,
    };
    for (unsigned level = 0; level < WR_WHEEL_LEVELS; level++) {
        for (unsigned index = 0; index < WR_WHEEL_SLOTS; index++) {
            wr_list_init(&wheel->slots[level][index]);
        }
    }
    wr_list_init(&wheel->due);
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
    if (wr_timer_is_armed(timer)) {
        displace(wheel, timer);
    } else {
        wheel->armed_count++;
    }
    timer->when_ns = when_ns;
    if (when_ns < wheel->next_ns) {
        wheel->next_ns = when_ns;
    }
    place(wheel, timer);
}

void wr_timer_cancel(struct wr_wheel *wheel, struct wr_timer *timer)
{
    if (!wr_timer_is_armed(timer)) {
        return;
    }
    wr_assert(wheel->armed_count > 0);
    wheel->armed_count--;
    displace(wheel, timer);
    wr_list_init(&timer->link);
}

uint64_t wr_wheel_next(struct wr_wheel *wheel)
{
    struct slot_ref first;
    if (!wr_list_is_empty(&wheel->due)) {
        return 0;
    }
    if (wheel->next_ns == NEXT_UNKNOWN) {
        bool found = find_first(wheel, &first);
        wheel->next_ns = found ? first_deadline(wheel, &first) : UINT64_MAX;
    }
    return tick_to_ns(tick_of(wheel->next_ns));
}

unsigned wr_wheel_expire(struct wr_wheel *wheel, uint64_t now_ns, unsigned max)
{
    wr_assert(!wheel->is_expiring);
    advance(wheel, now_ns / WR_TICK_NS);
    if (wheel->next_ns <= now_ns) {
        wheel->next_ns = NEXT_UNKNOWN;
    }
    if (wr_list_is_empty(&wheel->due)) {
        return 0;
    }

    /* What the calls add to the due list lies behind this mark. */
    struct wr_list mark;
    unsigned count = 0;
    wr_list_init(&mark);
    wr_list_push_back(&wheel->due, &mark);
    wheel->is_expiring = true;
    while (count < max && wheel->due.next != &mark) {
        struct wr_timer *timer = wr_container_of(wr_list_pop_front(&wheel->due),
                                                 struct wr_timer, link);
        wr_assert(wheel->armed_count > 0);
        wheel->armed_count--;
        count++;
        timer->expire(timer);
    }
    wr_list_remove(&mark);
    wheel->is_expiring = false;
    return count;
}
