/*
 * The groups and their skew heaps: two heaps are melded along their right
 * sides, which thereby become left sides. An operation on one of n entries
 * takes log n steps amortized, and no balance is stored.
 */
#include "turns.h"

static bool turns_is_before(const struct wr_turn *a, const struct wr_turn *b)
{
    wr_debug_assert(a->group == b->group);
    return a->credit != b->credit ? a->credit > b->credit : a->index < b->index;
}

/* Melds two heaps, which may be empty. Returns the head. */
static struct wr_turn *turns_meld(struct wr_turn *a, struct wr_turn *b)
{
    struct wr_turn *head = NULL;
    struct wr_turn *above = NULL;
    struct wr_turn **place = &head;

    wr_assert(a != b || !a);
    while (a && b) {
        if (turns_is_before(b, a)) {
            struct wr_turn *first = b;
            b = a;
            a = first;
        }
        struct wr_turn *right = a->below[1];
        a->below[1] = a->below[0];
        *place = a;
        a->above = above;
        above = a;
        place = &a->below[0];
        a = right;
    }
    *place = a ? a : b;
    if (*place) {
        (*place)->above = above;
    }
    return head;
}

static void turns_cut(struct wr_turn_group *group, struct wr_turn *turn)
{
    struct wr_turn *above = turn->above;
    struct wr_turn *rest = turns_meld(turn->below[0], turn->below[1]);

    wr_assert(above || group->head == turn);
    if (above) {
        above->below[above->below[1] == turn] = rest;
    } else {
        group->head = rest;
    }
    if (rest) {
        rest->above = above;
    }
    turn->above = NULL;
    turn->below[0] = NULL;
    turn->below[1] = NULL;
}

static struct wr_turn_group *turns_next(const struct wr_turns *turns,
                                        const struct wr_turn_group *group)
{
    struct wr_list *link = group ? group->link.next : turns->groups.next;

    return link == &turns->groups
               ? NULL
               : wr_container_of(link, struct wr_turn_group, link);
}

/* Compares a group's connections divided by its weight with @busy / @weight.
 * Equally busy ones are ordered by weight. */
static int turns_compare(const struct wr_turn_group *group, uint32_t busy,
                         uint32_t weight)
{
    const uint64_t own = (uint64_t)group->busy * weight;
    const uint64_t other = (uint64_t)busy * group->weight;

    wr_assert(weight > 0);
    return own != other ? (own > other) - (own < other)
                        : (group->weight > weight) - (group->weight < weight);
}

/* Finds or makes the group with this weight and number of connections. */
static struct wr_turn_group *turns_find(struct wr_turns *turns, uint32_t busy,
                                        uint32_t weight)
{
    struct wr_turn_group *group = turns_next(turns, NULL);
    int order = 1;

    while (group && (order = turns_compare(group, busy, weight)) < 0) {
        group = turns_next(turns, group);
    }
    if (group && order == 0) {
        return group;
    }
    struct wr_list *link = wr_list_pop_front(&turns->spare);
    wr_assert(link); /* there is a group for each participant */
    struct wr_turn_group *made =
        wr_container_of(link, struct wr_turn_group, link);
    *made = (struct wr_turn_group){.weight = weight, .busy = busy};
    wr_list_init(&made->link);
    wr_list_push_back(group ? &group->link : &turns->groups, &made->link);
    return made;
}

static uint32_t turns_get_busy(const struct wr_turns *turns,
                               const struct wr_turn *turn)
{
    return atomic_load_explicit(&turns->is_by_connections, memory_order_relaxed)
               ? atomic_load(&turn->active_count)
               : 0;
}

static void turns_insert(struct wr_turns *turns, struct wr_turn *turn,
                         uint32_t weight)
{
    struct wr_turn_group *group =
        turns_find(turns, turns_get_busy(turns, turn), weight);

    wr_assert(!turn->group);
    turn->credit -= group->clock * (int64_t)weight;
    turn->group = group;
    group->head = turns_meld(group->head, turn);
    group->count++;
}

static void turns_remove(struct wr_turns *turns, struct wr_turn *turn)
{
    struct wr_turn_group *group = turn->group;

    wr_assert(group->count > 0);
    turns_cut(group, turn);
    turn->credit += group->clock * (int64_t)group->weight;
    turn->group = NULL;
    group->count--;
    if (group->count == 0) {
        wr_list_remove(&group->link);
        wr_list_push_back(&turns->spare, &group->link);
    }
}

/* Moves @turn to another group if its number of connections has changed. */
static void turns_move(struct wr_turns *turns, struct wr_turn *turn)
{
    const struct wr_turn_group *group = turn->group;

    if (group && group->busy != turns_get_busy(turns, turn)) {
        const uint32_t weight = group->weight;
        turns_remove(turns, turn);
        turns_insert(turns, turn, weight);
    }
    wr_debug_assert(turns->count > 0 || !turn->group);
}

/* Moves all participants whose connections have ended to their new groups. */
static void turns_follow(struct wr_turns *turns)
{
    struct wr_turn *turn = NULL;

    if (atomic_load_explicit(&turns->noted, memory_order_relaxed)) {
        turn = atomic_exchange(&turns->noted, NULL);
    }
    while (turn) {
        struct wr_turn *next = turn->noted;
        wr_assert(turn->is_noted);
        atomic_store(&turn->is_noted, false); /* a later end adds it again */
        turns_move(turns, turn);
        turn = next;
    }
}

/* Scales a credit; less than half a turn becomes 0. */
static int64_t turns_scale(int64_t credit, uint64_t bound, uint64_t was)
{
    __extension__ typedef unsigned __int128 wide;
    const bool is_owed = credit > 0;
    const uint64_t size = is_owed ? (uint64_t)credit : -(uint64_t)credit;

    if (bound >= was) {
        return credit;
    }
    const int64_t scaled = (int64_t)((wide)size * bound / was);
    if (scaled < (int64_t)(bound / 2)) {
        return 0;
    }
    return is_owed ? scaled : -scaled;
}

void wr_turns_init(struct wr_turns *turns)
{
    *turns = (struct wr_turns){.version = 1};
    wr_list_init(&turns->groups);
    wr_list_init(&turns->spare);
    wr_assert(turns->count == 0);
}

void wr_turns_give_room(struct wr_turns *turns, struct wr_turn_group *group)
{
    wr_assert(group != NULL);
    *group = (struct wr_turn_group){.weight = 0};
    wr_list_init(&group->link);
    wr_list_push_back(&turns->spare, &group->link);
}

struct wr_turn_group *wr_turns_take_room(struct wr_turns *turns)
{
    struct wr_list *link = wr_list_pop_front(&turns->spare);

    wr_assert(link); /* there are more groups than participants */
    return wr_container_of(link, struct wr_turn_group, link);
}

void wr_turns_begin(struct wr_turns *turns, bool is_by_connections)
{
    if (turns->is_by_connections != is_by_connections) {
        wr_turns_clear(turns);
        atomic_store(&turns->is_by_connections, is_by_connections);
    }
    wr_assert(turns->version > 0);
}

/* NULL means that a participant has left. */
static void turns_note_change(struct wr_turns *turns, struct wr_turn *turn)
{
    wr_assert(turns->version > 0);
    turns->version++;
    turns->changed[turns->version % WR_TURNS_KEPT] = turn;
}

void wr_turns_set(struct wr_turns *turns, struct wr_turn *turn, uint32_t weight,
                  size_t index)
{
    if (turn->group && turn->group->weight == weight && turn->index == index) {
        return;
    }
    if (turn->group) {
        turns->total -= turn->group->weight;
        turns_remove(turns, turn);
        turn->bound = turns->bound;
        wr_assert(turns->count > 0);
        turns->count--;
        turns_note_change(turns, turn);
    }
    if (weight > 0) {
        turn->index = index;
        turn->credit = turns_scale(turn->credit, turns->bound, turn->bound);
        turns_insert(turns, turn, weight);
        turns->total += weight;
        turns->count++;
        turns_note_change(turns, turn);
    }
}

void wr_turns_clear(struct wr_turns *turns)
{
    struct wr_turn_group *group;

    while ((group = turns_next(turns, NULL))) {
        wr_turns_set(turns, group->head, 0, 0);
    }
    wr_assert(turns->count == 0);
}

void wr_turns_scale(struct wr_turns *turns)
{
    const uint64_t was = turns->bound;

    turns->bound = wr_max_u64(was, turns->total);
    if (turns->total > was / 2 || turns->count == 0) {
        return;
    }
    turns->bound = turns->total;
    for (struct wr_turn_group *group = turns_next(turns, NULL); group;
         group = turns_next(turns, group)) {
        const int64_t earned = group->clock * (int64_t)group->weight;
        struct wr_turn *scaled = NULL;
        while (group->head) { /* keeps the order, except of equal credits */
            struct wr_turn *turn = group->head;
            turns_cut(group, turn);
            turn->credit =
                turns_scale(turn->credit + earned, turns->bound, was) - earned;
            scaled = turns_meld(scaled, turn);
        }
        group->head = scaled;
    }
    wr_assert(turns->bound > 0);
}

struct wr_turn *wr_turns_choose(struct wr_turns *turns)
{
    struct wr_turn *best = NULL;
    int64_t most = 0;
    int64_t total = 0;

    turns_follow(turns);
    wr_assert(turns->count > 0);
    const struct wr_turn_group *first = turns_next(turns, NULL);
    for (struct wr_turn_group *group = turns_next(turns, NULL);
         group && (uint64_t)group->busy * first->weight ==
                      (uint64_t)first->busy * group->weight;
         group = turns_next(turns, group)) {
        const int64_t weight = group->weight;
        group->clock++;
        total += weight * (int64_t)group->count;
        const int64_t credit = group->head->credit + group->clock * weight;
        if (!best || credit > most ||
            (credit == most && group->head->index < best->index)) {
            best = group->head;
            most = credit;
        }
    }
    struct wr_turn_group *own = best->group;
    turns_cut(own, best);
    best->credit -= total;
    own->head = turns_meld(own->head, best);
    return best;
}

void wr_turns_take(struct wr_turns *turns, struct wr_turn *turn)
{
    const uint32_t before = atomic_fetch_add(&turn->active_count, 1);

    wr_assert(before < UINT32_MAX);
    turns_move(turns, turn);
}

void wr_turns_leave(struct wr_turns *turns, struct wr_turn *turn)
{
    wr_turns_set(turns, turn, 0, 0);
    turns_note_change(turns, NULL);
    turns_follow(turns); /* removes @turn from ->noted */
    wr_assert(!turn->group);
    wr_assert(!turn->is_noted);
}

void wr_turns_note(struct wr_turns *turns, struct wr_turn *turn)
{
    if (atomic_exchange(&turn->is_noted, true)) {
        return; /* already in the list */
    }
    turn->noted = atomic_load(&turns->noted);
    while (!atomic_compare_exchange_weak(&turns->noted, &turn->noted, turn)) {
        wr_assert(turn->noted != turn);
    }
}
