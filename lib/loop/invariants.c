/*
 * The invariants of a loop, its members and its modules.
 *
 * A build with -Dinvariants=true checks them once per loop iteration, the
 * simulation after every step.
 */
#include "loop.h"

static uint64_t invariants_walk(const struct wr_list *list)
{
    uint64_t count = 0;

    for (const struct wr_list *link = list->next; link != list;
         link = link->next) {
        wr_assert(link->next->prev == link);
        wr_assert(link->prev->next == link);
        count++;
    }
    return count;
}

/* Longer lists of members are checked only every WALK_TURNS iterations. */
#define WALK_MEMBERS 1000u
#define WALK_TURNS   16u

static void invariants_check_members(const weir_loop *loop, uint32_t stage)
{
    const struct wr_list *members = &loop->members[stage];

    if (loop->member_counts[stage] > WALK_MEMBERS &&
        loop->counts.turns % WALK_TURNS != 0) {
        return;
    }
    wr_assert(invariants_walk(members) == loop->member_counts[stage]);
    for (const struct wr_list *link = members->next; link != members;
         link = link->next) {
        const struct wr_member *member =
            wr_container_of(link, const struct wr_member, link);
        wr_assert(member->ops->stage == stage);
        if (member->ops->check) {
            member->ops->check(member);
        }
    }
}

static void invariants_check_state(const weir_loop *loop)
{
    wr_assert(loop->state < WR_LOOP_STATES);
    wr_assert(!loop->is_stopping || !wr_loop_is_closing(loop));
    if (wr_loop_is_running(loop)) {
        wr_assert(*loop->owner != WR_UNBOUND);
    } else {
        wr_assert(!loop->current);
        wr_assert(loop->callback_count == 0);
    }
    if (loop->state == WR_LOOP_CLOSED) {
        wr_assert(!loop->uring.ring);
        wr_assert(loop->uring.ops_in_flight == 0);
    }
}

void wr_loop_check_invariants(const weir_loop *loop)
{
    if (wr_loop_is_forked(loop)) {
        return; /* a forked child makes no iteration */
    }
    invariants_check_state(loop);
    wr_ignore(invariants_walk(&loop->ready) == 0);
    wr_ignore(invariants_walk(&loop->turn_ends) == 0);
    wr_assert(wr_list_is_empty(&loop->before_ends));
    wr_ignore(invariants_walk(&loop->moves.ends) == 0);
    wr_assert(!loop->moves.is_running);
    wr_assert(!loop->moves.holds_signals ||
              wr_list_is_linked(&loop->moves.turn_end.link));
    for (uint32_t stage = 0; stage < WR_STAGES; stage++) {
        invariants_check_members(loop, stage);
    }
    wr_ignore(invariants_walk(&loop->modules) == 0);
    for (const struct wr_list *link = loop->modules.next;
         link != &loop->modules; link = link->next) {
        const struct wr_module *module =
            wr_container_of(link, const struct wr_module, link);
        if (module->ops->check) {
            module->ops->check(module);
        }
    }
}
