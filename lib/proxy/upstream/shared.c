/*
 * The state shared by sets of upstreams: calls to sets, the random generator
 * and targets.
 *
 * Memory is allocated before the mutex is taken, and freed after it is
 * released.
 */
#include "shared.h"

#include <errno.h>
#include <string.h>

/* A checker counts as not running if its check has not ended this long after
 * its time-out and one more interval. */
#define LATE_SLACK_NS UINT64_C(1000000000)

/* ---- calls ---- */

static void shared_free_call(struct wr_shared_call *call)
{
    weir_upstreams_shared *shared = call->shared;

    wr_assert(!call->owner);
    wr_wake_unref(call->wake);
    wr_free(&shared->allocator, call, sizeof(*call));
    wr_shared_unref(shared);
}

/* Called when the item has left the mailbox. Returns true if there is news. */
static bool shared_end_post(struct wr_shared_call *call)
{
    wr_shared_lock(call->shared);
    const bool has_news = !wr_list_is_empty(&call->news);
    wr_assert(call->is_posted);
    call->is_posted = false;
    wr_shared_unlock(call->shared);
    return has_news;
}

static void shared_run_call(void *arg)
{
    struct wr_shared_call *call = arg;
    const bool has_news = shared_end_post(call);

    if (call->owner) {
        call->look(call->owner, has_news);
    } else {
        shared_free_call(call);
    }
}

/* Called if the loop ended before the call arrived. Frees the call, unless its
 * set still exists, which is closed then. */
static void shared_drop_call(void *arg)
{
    struct wr_shared_call *call = arg;

    shared_end_post(call);
    if (!call->owner) {
        shared_free_call(call);
    }
}

int wr_shared_call_make(weir_upstreams_shared *shared, struct wr_wake *wake,
                        void (*look)(void *owner, bool has_news), void *owner,
                        struct wr_shared_call **ret)
{
    struct wr_shared_call *call = wr_alloc(&shared->allocator, sizeof(*call));

    wr_require(call, -ENOMEM);
    *call = (struct wr_shared_call){
        .shared = shared,
        .wake = wake,
        .item = {.run = shared_run_call, .arg = call, .drop = shared_drop_call},
        .look = look,
        .owner = owner};
    wr_list_init(&call->news);
    wr_wake_ref(wake);
    wr_shared_lock(shared);
    wr_assert(shared->ref_count > 0);
    shared->ref_count++;
    wr_shared_unlock(shared);
    *ret = call;
    return 0;
}

void wr_shared_call_end(struct wr_shared_call *call)
{
    wr_assert(call->owner);
    wr_assert(wr_list_is_empty(&call->news));
    call->owner = NULL;
    wr_shared_lock(call->shared);
    const bool is_posted = call->is_posted;
    wr_shared_unlock(call->shared);
    if (!is_posted) {
        shared_free_call(call);
    }
}

struct wr_shared_part *wr_shared_call_next_news(struct wr_shared_call *call)
{
    wr_shared_lock(call->shared);
    struct wr_list *link = wr_list_pop_front(&call->news);
    wr_shared_unlock(call->shared);
    return link ? wr_container_of(link, struct wr_shared_part, news_link)
                : NULL;
}

void wr_shared_seed(weir_upstreams_shared *shared, uint64_t seed)
{
    wr_shared_lock(shared);
    if (!shared->is_seeded) {
        shared->random = (struct wr_random){seed};
        shared->is_seeded = true;
    }
    wr_shared_unlock(shared);
}

uint64_t wr_shared_draw(weir_upstreams_shared *shared)
{
    wr_shared_lock(shared);
    wr_assert(shared->is_seeded);
    const uint64_t number = wr_random_next(&shared->random);
    wr_shared_unlock(shared);
    return number;
}

/* ---- targets ---- */

/* Updates the fields that are read without the mutex; the only function that
 * writes them. The mutex must be held, unless the target is new. */
static void shared_show_ejection(struct wr_shared_target *target)
{
    const struct wr_ejection *ejection = &target->ejection;
    const enum wr_failure connect = WR_FAILURE_CONNECT;

    wr_assert(!ejection->is_ejected || target->ejected_until_ns > 0);
    for (enum wr_failure row = 0; row < WR_FAILURES; row++) {
        atomic_store_explicit(&target->has_row[row],
                              wr_ejection_has_row(ejection, row) ||
                                  (row == connect && target->is_failing),
                              memory_order_relaxed);
    }
    atomic_store_explicit(&target->is_ejected, ejection->is_ejected,
                          memory_order_relaxed);
}

static struct wr_shared_target *
shared_make_target(weir_upstreams_shared *shared,
                   const struct wr_shared_key *key)
{
    const size_t name_size = strlen(key->name) + 1;
    const size_t endpoint_size = strlen(key->endpoint) + 1;
    const size_t size =
        sizeof(struct wr_shared_target) + name_size + endpoint_size;
    struct wr_shared_target *target = wr_alloc(&shared->allocator, size);

    if (target) {
        memset(target, 0, sizeof(*target));
        target->size = size;
        target->ejection = key->ejection;
        target->ejected_until_ns = key->ejected_until_ns;
        target->failure_err = key->failure_err;
        target->back_ns = key->back_ns;
        shared_show_ejection(target);
        target->hashed.hash = wr_hash_bytes(key->name, name_size);
        target->endpoint = target->text + name_size;
        memcpy(target->text, key->name, name_size);
        memcpy(target->text + name_size, key->endpoint, endpoint_size);
        wr_assert(target->endpoint + endpoint_size <= (char *)target + size);
        wr_list_init(&target->parts);
    }
    return target;
}

static struct wr_shared_part *
shared_next_part(const struct wr_shared_target *target,
                 const struct wr_shared_part *part)
{
    struct wr_list *link = part ? part->link.next : target->parts.next;

    wr_assert(!part || part->target == target);
    return link == &target->parts
               ? NULL
               : wr_container_of(link, struct wr_shared_part, link);
}

/* True if the set has an active part in the target. The mutex must be held. */
static bool shared_is_taken(const struct wr_shared_target *target,
                            const struct wr_shared_call *call)
{
    const struct wr_shared_part *part = shared_next_part(target, NULL);

    wr_assert(part != NULL);
    while (part && (part->call != call || part->is_left)) {
        part = shared_next_part(target, part);
    }
    return part != NULL;
}

/* Returns the oldest target with the name and endpoint of @made that is not
 * taken, or NULL. The mutex must be held. */
static struct wr_shared_target *
shared_find_target(weir_upstreams_shared *shared,
                   const struct wr_shared_target *made,
                   const struct wr_shared_call *call)
{
    struct wr_hashed_way way = {&shared->targets, made->hashed.hash};
    struct wr_shared_target *oldest = NULL;

    for (; *way.place; wr_hashed_go_on(&way)) {
        struct wr_shared_target *target =
            wr_container_of(*way.place, struct wr_shared_target, hashed);
        wr_assert(!wr_list_is_empty(&target->parts));
        if (target->hashed.hash == made->hashed.hash &&
            target->size == made->size &&
            strcmp(target->text, made->text) == 0 &&
            strcmp(target->endpoint, made->endpoint) == 0 &&
            (!oldest || target->number < oldest->number) &&
            !shared_is_taken(target, call)) {
            oldest = target;
        }
    }
    return oldest;
}

/* Records a change on which choices depend. The mutex must be held. */
static void shared_note_change_of_target(const struct wr_shared_part *part)
{
    wr_assert(part->target != NULL);
    wr_shared_note_change_of(part->call->shared,
                             (struct wr_shared_change){.target = part->target});
}

/* Makes the part's set check for changes. The mutex must be held. */
static void shared_tell(struct wr_shared_part *part)
{
    wr_assert(!part->is_left);
    if (!wr_list_is_linked(&part->news_link)) {
        wr_list_push_back(&part->call->news, &part->news_link);
    }
    wr_shared_call(part->call);
}

/* Makes other sets with this target check for changes: all, or those with
 * @health if it is not NULL. The mutex must be held. */
static void shared_tell_others(const struct wr_shared_part *own,
                               const struct wr_shared_health *health)
{
    struct wr_shared_part *part = NULL;

    while ((part = shared_next_part(own->target, part))) {
        if (part->call != own->call && !part->is_left &&
            (!health || part->health == health)) {
            shared_tell(part);
        }
    }
    wr_assert(!health || health == own->health);
}

/* ---- the health of a target ---- */

static struct wr_shared_health *
shared_make_health(weir_upstreams_shared *shared,
                   const struct wr_shared_key *key)
{
    struct wr_shared_health *health =
        wr_alloc(&shared->allocator, sizeof(*health));

    wr_assert(wr_check_is_active(key->check));
    if (health) {
        *health = (struct wr_shared_health){.checker = NULL};
        wr_health_init(&health->health, key->check->plan.rise,
                       key->check->plan.fall, key->health);
        atomic_init(&health->state, key->health);
    }
    return health;
}

/* True if an active part uses this health, even a paused one. The mutex must be
 * held. */
static bool shared_is_kept(const struct wr_shared_target *target,
                           const struct wr_shared_health *health)
{
    const struct wr_shared_part *part = NULL;

    wr_assert(health != NULL);
    while ((part = shared_next_part(target, part))) {
        if (part->health == health && !part->is_left) {
            return true;
        }
    }
    return false;
}

/* Returns the health with the same check plan, or NULL. The mutex must be
 * held. */
static struct wr_shared_health *
shared_find_health(const struct wr_shared_target *target,
                   const struct wr_check *check)
{
    const struct wr_shared_part *part = NULL;

    wr_assert(wr_check_is_active(check));
    while ((part = shared_next_part(target, part))) {
        if (part->health && wr_check_is_same(part->check, check)) {
            return part->health;
        }
    }
    return NULL;
}

/* Sets the time of the checker's next check. The mutex must be held. */
static void shared_note_due(struct wr_shared_part *part, uint64_t due_ns)
{
    const struct weir_upstream_check *plan = &part->check->plan;
    const uint64_t lasts_ns = wr_add_sat(plan->timeout_ns, plan->interval_ns);

    wr_assert(part->health->checker == part);
    part->health->due_ns = due_ns;
    part->health->late_ns =
        wr_add_sat(due_ns, wr_add_sat(lasts_ns, LATE_SLACK_NS));
}

/* Sets the checker, which starts immediately; the only function that does so.
 * The mutex must be held. */
static void shared_set_checker(struct wr_shared_health *health,
                               struct wr_shared_part *part, uint64_t now_ns)
{
    wr_assert(!part || part->health == health);
    wr_assert(!part || !part->is_left);
    health->checker = part;
    health->is_under_way = false;
    if (part) {
        shared_note_due(part, now_ns);
    }
}

/* Returns the part that makes the checks if @own does not, or NULL. It is the
 * oldest or the youngest of sets that are not retired, or else any part that
 * has not left and is not paused. The mutex must be held. */
static struct wr_shared_part *
shared_pick_checker(const struct wr_shared_part *own, bool is_youngest)
{
    struct wr_shared_part *part = NULL;
    struct wr_shared_part *found = NULL;

    wr_assert(own->health != NULL);
    while ((part = shared_next_part(own->target, part))) {
        if (part->health == own->health && !part->is_left && !part->is_paused &&
            (!found ||
             (!part->is_retired && (is_youngest || found->is_retired)))) {
            found = part;
        }
    }
    return found;
}

/* Makes @part the checker instead of @own; NULL means none. The mutex must be
 * held. */
static void shared_pass_on(struct wr_shared_part *own,
                           struct wr_shared_part *part, uint64_t now_ns)
{
    wr_assert(own->health->checker == own);
    shared_set_checker(own->health, part, now_ns);
    if (part) {
        shared_tell(part);
    }
}

/* ---- parts ---- */

/* Memory that a part may need. The unused rest is freed. */
struct shared_made {
    struct wr_shared_target *target;
    struct wr_turn_group *group; /* for the target */
    struct wr_shared_health *health;
};

static void shared_free_made(const weir_upstreams_shared *shared,
                             const struct shared_made *made)
{
    wr_assert(made != NULL);
    wr_free(&shared->allocator, made->target,
            made->target ? made->target->size : 0);
    wr_free(&shared->allocator, made->group, sizeof(*made->group));
    wr_free(&shared->allocator, made->health, sizeof(*made->health));
}

/* Returns false if memory runs out. */
static bool shared_make_parts(weir_upstreams_shared *shared,
                              const struct wr_shared_key *key,
                              struct shared_made *ret)
{
    *ret = (struct shared_made){
        .target = shared_make_target(shared, key),
        .group = wr_alloc(&shared->allocator, sizeof(*ret->group)),
        .health = key->check ? shared_make_health(shared, key) : NULL};
    if (ret->target && ret->group && (ret->health || !key->check)) {
        return true;
    }
    shared_free_made(shared, ret);
    return false;
}

/* Takes objects that do not exist yet from @made. The mutex must be held. */
static void shared_join(struct wr_shared_part *part, struct shared_made *made)
{
    weir_upstreams_shared *shared = part->call->shared;

    part->target = shared_find_target(shared, made->target, part->call);
    if (!part->target) {
        part->target = made->target;
        part->target->number = ++shared->last_target;
        wr_hashed_add(&shared->targets, &part->target->hashed);
        wr_turns_give_room(&shared->turns, made->group);
        made->target = NULL;
        made->group = NULL;
    }
    if (part->check) {
        part->health = shared_find_health(part->target, part->check);
    }
    if (part->health && !part->health->checker &&
        !shared_is_kept(part->target, part->health)) {
        /* The health was not checked for a time: reset it. */
        part->health->health = made->health->health;
        part->health->back_ns = 0;
        atomic_store_explicit(&part->health->state, part->health->health.state,
                              memory_order_relaxed);
    }
    if (part->check && !part->health) {
        part->health = made->health;
        made->health = NULL;
    }
    wr_list_push_back(&part->target->parts, &part->link);
    wr_assert(!part->health == !part->check);
}

void wr_shared_use(weir_upstreams_shared *shared,
                   const struct wr_shared_part *part, uint64_t now_ns)
{
    struct wr_shared_target *target = part ? part->target : NULL;

    wr_assert(now_ns > 0);
    if (shared->in_use != target) {
        shared->in_use = target;
        shared->in_use_since_ns = now_ns;
        wr_shared_note_change(shared);
    }
}

int wr_shared_part_open(struct wr_shared_part *part,
                        struct wr_shared_call *call,
                        const struct wr_shared_key *key, uint64_t now_ns)
{
    weir_upstreams_shared *shared = call->shared;
    struct shared_made made;

    wr_require(shared_make_parts(shared, key, &made), -ENOMEM);
    *part = (struct wr_shared_part){.call = call, .check = key->check};
    wr_list_init(&part->link);
    wr_list_init(&part->news_link);
    wr_shared_lock(shared);
    shared_join(part, &made);
    if (key->in_use_since_ns > 0 && !shared->in_use) {
        wr_shared_use(shared, part, key->in_use_since_ns);
    }
    if (part->health) {
        part->health->part_count++;
    }
    if (part->health &&
        (!part->health->checker || part->health->checker->is_retired)) {
        shared_set_checker(part->health, part, now_ns);
    }
    wr_shared_note_change(shared);
    wr_shared_unlock(shared);
    shared_free_made(shared, &made);
    return 0;
}

void wr_shared_part_retire(struct wr_shared_part *part, uint64_t now_ns)
{
    struct wr_shared_part *other = NULL;

    wr_shared_lock(part->call->shared);
    wr_assert(!part->is_left);
    part->is_retired = true;
    if (part->health && part->health->checker == part) {
        other = shared_pick_checker(part, true);
    }
    if (other && !other->is_retired) {
        shared_pass_on(part, other, now_ns);
    }
    wr_shared_note_change(part->call->shared);
    wr_shared_unlock(part->call->shared);
}

void wr_shared_part_pause(struct wr_shared_part *part, bool is_paused,
                          uint64_t now_ns)
{
    struct wr_shared_health *health = part->health;

    wr_shared_lock(part->call->shared);
    wr_assert(!part->is_left);
    part->is_paused = is_paused;
    if (health && is_paused && health->checker == part) {
        shared_pass_on(part, shared_pick_checker(part, false), now_ns);
    } else if (health && !is_paused && !health->checker) {
        shared_set_checker(health, part, now_ns);
    }
    wr_shared_note_change(part->call->shared);
    wr_shared_unlock(part->call->shared);
}

void wr_shared_part_leave(struct wr_shared_part *part, uint64_t now_ns)
{
    wr_shared_lock(part->call->shared);
    wr_assert(wr_list_is_linked(&part->link));
    part->is_left = true;
    wr_list_remove(&part->news_link);
    if (part->health && part->health->checker == part) {
        shared_pass_on(part, shared_pick_checker(part, false), now_ns);
    }
    /* Other sets with this target add it again at their next choice. */
    wr_turns_set(&part->call->shared->turns, &part->target->turn, 0, 0);
    wr_shared_note_change(part->call->shared);
    wr_shared_unlock(part->call->shared);
}

void wr_shared_part_close(struct wr_shared_part *part)
{
    weir_upstreams_shared *shared = part->call->shared;
    struct wr_shared_target *target = part->target;
    struct wr_shared_health *health = part->health;

    struct wr_turn_group *group = NULL;

    wr_shared_lock(shared);
    wr_assert(part->is_left);
    wr_list_remove(&part->link);
    const bool is_last = wr_list_is_empty(&target->parts);
    const bool is_last_health = health && --health->part_count == 0;
    if (is_last) {
        wr_assert(wr_shared_part_get_active(part) == 0);
        wr_hashed_remove(&shared->targets, &target->hashed);
        wr_turns_leave(&shared->turns, &target->turn);
        group = wr_turns_take_room(&shared->turns);
        shared->in_use = shared->in_use == target ? NULL : shared->in_use;
        wr_shared_note_change(shared);
    }
    wr_shared_unlock(shared);
    if (is_last_health) {
        wr_assert(!health->checker);
        wr_free(&shared->allocator, health, sizeof(*health));
    }
    if (is_last) {
        wr_free(&shared->allocator, target->addresses, target->address_size);
        wr_free(&shared->allocator, target, target->size);
        wr_free(&shared->allocator, group, sizeof(*group));
    }
}

void wr_shared_part_keep_addresses(struct wr_shared_part *part,
                                   const struct weir_address *addresses,
                                   size_t count, size_t size)
{
    weir_upstreams_shared *shared = part->call->shared;
    struct wr_shared_target *target = part->target;
    struct weir_address *copy =
        count > 0 ? wr_alloc(&shared->allocator, size) : NULL;

    wr_assert(count > 0 || size == 0);
    if (!copy && count > 0) {
        return;
    }
    if (copy) {
        memcpy(copy, addresses, size);
    }
    wr_shared_lock(shared);
    struct weir_address *before = target->addresses;
    const size_t before_size = target->address_size;
    target->addresses = copy;
    target->address_count = count;
    target->address_size = size;
    wr_shared_unlock(shared);
    wr_free(&shared->allocator, before, before_size);
}

/* Returns false if the size has changed in the meantime. */
static bool shared_read_addresses(const struct wr_shared_part *part,
                                  struct weir_address *ret, size_t size,
                                  size_t *ret_count)
{
    const struct wr_shared_target *target = part->target;

    wr_assert(ret != NULL);
    wr_shared_lock(part->call->shared);
    const bool is_same = target->address_size == size;
    if (is_same) {
        memcpy(ret, target->addresses, size);
        *ret_count = target->address_count;
    }
    wr_shared_unlock(part->call->shared);
    return is_same;
}

int wr_shared_part_copy_addresses(const struct wr_shared_part *part,
                                  const struct weir_allocator *allocator,
                                  struct weir_address **ret, size_t *ret_count)
{
    struct weir_address *copy = NULL;
    size_t count = 0;
    size_t size = 0;
    bool is_read = false;

    wr_assert(ret != NULL);
    while (!is_read) {
        wr_free(allocator, copy, size);
        wr_shared_lock(part->call->shared);
        size = part->target->address_size;
        wr_shared_unlock(part->call->shared);
        copy = size > 0 ? wr_alloc(allocator, size) : NULL;
        wr_require(copy || size == 0, -ENOMEM);
        is_read = size == 0 || shared_read_addresses(part, copy, size, &count);
    }
    *ret = copy;
    *ret_count = count;
    return 0;
}

/* Takes the mutex, except in a forked child, because a thread of the parent may
 * hold it forever. */
void wr_shared_part_read(const struct wr_shared_part *part,
                         struct wr_shared_facts *ret)
{
    const struct wr_shared_target *target = part->target;
    const struct wr_shared_health *health = part->health;
    const bool is_forked = wr_wake_is_forked(part->call->wake);

    if (!is_forked) {
        wr_shared_lock(part->call->shared);
    }
    *ret = (struct wr_shared_facts){
        .ejection = target->ejection,
        .ejected_until_ns = target->ejected_until_ns,
        .back_ns = wr_shared_part_get_back(part),
        .last_err = target->last_err,
        .failure_err = target->failure_err,
        .failure_alert = target->failure_alert,
        .in_use_since_ns = wr_shared_part_is_in_use(part)
                               ? part->call->shared->in_use_since_ns
                               : 0,
    };
    if (health) {
        ret->check_err = health->err;
        ret->check_alert = health->alert;
        ret->check_status = health->status;
        memcpy(ret->check_reason, health->reason, sizeof(ret->check_reason));
        ret->is_being_checked = health->is_under_way;
        ret->is_checker = health->checker == part;
        ret->check_due_ns = health->due_ns;
    }
    if (!is_forked) {
        wr_shared_unlock(part->call->shared);
    }
    wr_assert(ret->last_err <= 0);
}

/* ---- failures ---- */

bool wr_shared_part_break_row(struct wr_shared_part *part, enum wr_failure row)
{
    struct wr_shared_target *target = part->target;

    wr_assert(row < WR_FAILURES);
    wr_shared_lock(part->call->shared);
    const bool works_again = row == WR_FAILURE_CONNECT && target->is_failing;
    if (works_again) {
        target->is_failing = false;
    }
    wr_ejection_note_success(&target->ejection, row);
    shared_show_ejection(target);
    wr_shared_unlock(part->call->shared);
    return works_again;
}

bool wr_shared_part_begin_failing(struct wr_shared_part *part)
{
    struct wr_shared_target *target = part->target;

    wr_shared_lock(part->call->shared);
    const bool begins = !target->is_failing;
    wr_assert(!part->is_left);
    target->is_failing = true;
    shared_show_ejection(target);
    wr_shared_unlock(part->call->shared);
    return begins;
}

uint64_t wr_shared_part_note_failure(struct wr_shared_part *part,
                                     const struct wr_ejection_plan *plan,
                                     enum wr_failure row, int err,
                                     const char *alert, uint64_t now_ns)
{
    struct wr_shared_target *target = part->target;
    uint64_t until_ns = 0;

    wr_assert(err < 0);
    wr_shared_lock(part->call->shared);
    target->last_err = err;
    target->failure_err = err;
    target->failure_alert = alert;
    const uint64_t time_ns =
        plan ? wr_ejection_note_failure(&target->ejection, plan, row) : 0;
    if (time_ns > 0) {
        until_ns = wr_add_sat(now_ns, time_ns);
        target->ejected_until_ns = until_ns;
        shared_note_change_of_target(part);
        shared_tell_others(part, NULL);
    }
    shared_show_ejection(target);
    wr_shared_unlock(part->call->shared);
    return until_ns;
}

uint64_t wr_shared_part_end_ejection(struct wr_shared_part *part,
                                     uint64_t now_ns)
{
    struct wr_shared_target *target = part->target;
    uint64_t until_ns = 0;

    wr_assert(!part->is_left);
    wr_shared_lock(part->call->shared);
    if (target->ejection.is_ejected && now_ns < target->ejected_until_ns) {
        until_ns = target->ejected_until_ns;
    } else if (target->ejection.is_ejected) {
        wr_ejection_end(&target->ejection);
        target->back_ns = now_ns;
        shared_note_change_of_target(part);
        shared_show_ejection(target);
    }
    wr_shared_unlock(part->call->shared);
    return until_ns;
}

/* ---- checks ---- */

bool wr_shared_part_begin_check(struct wr_shared_part *part)
{
    struct wr_shared_health *health = part->health;

    wr_shared_lock(part->call->shared);
    wr_assert(!part->is_left);
    const bool is_checker = health->checker == part;
    if (is_checker) {
        wr_assert(!health->is_under_way);
        health->is_under_way = true;
    }
    wr_shared_unlock(part->call->shared);
    return is_checker;
}

bool wr_shared_part_end_check(struct wr_shared_part *part)
{
    struct wr_shared_health *health = part->health;

    wr_shared_lock(part->call->shared);
    wr_assert(!part->is_left);
    const bool is_checker = health->checker == part;
    if (is_checker) {
        health->is_under_way = false;
    }
    wr_shared_unlock(part->call->shared);
    return is_checker;
}

/* Publishes a changed state. The mutex must be held. */
static void shared_change_health(struct wr_shared_part *part, bool was_down,
                                 uint64_t now_ns)
{
    struct wr_shared_health *health = part->health;

    wr_assert(health->health.state != WR_HEALTH_UNKNOWN);
    health->back_ns = was_down ? now_ns : health->back_ns;
    atomic_store_explicit(&health->state, health->health.state,
                          memory_order_relaxed);
    shared_note_change_of_target(part);
    shared_tell_others(part, health);
}

bool wr_shared_part_note_check(struct wr_shared_part *part, int err,
                               const char *alert, uint32_t status,
                               const char *reason, uint64_t now_ns)
{
    struct wr_shared_health *health = part->health;

    wr_assert(err <= 0);
    wr_shared_lock(part->call->shared);
    health->alert = alert;
    health->status = status;
    memcpy(health->reason, reason, sizeof(health->reason));
    if (err < 0) {
        health->err = err;
        part->target->last_err = err;
    }
    const bool was_down = health->health.state == WR_HEALTH_DOWN;
    const bool has_changed = wr_health_note(&health->health, err == 0);
    if (has_changed) {
        shared_change_health(part, was_down, now_ns);
    }
    wr_shared_unlock(part->call->shared);
    return has_changed;
}

bool wr_shared_part_lift(struct wr_shared_part *part, uint64_t now_ns)
{
    struct wr_shared_health *health = part->health;

    wr_assert(health != NULL);
    wr_shared_lock(part->call->shared);
    const bool was_down = health->health.state == WR_HEALTH_DOWN;
    const bool has_changed = wr_health_lift(&health->health);
    if (has_changed) {
        shared_change_health(part, was_down, now_ns);
    }
    wr_shared_unlock(part->call->shared);
    return has_changed;
}

bool wr_shared_part_is_in_doubt(const struct wr_shared_part *part)
{
    wr_assert(part->health != NULL);
    wr_shared_lock(part->call->shared);
    const bool is_in_doubt = part->health->health.streak > 0;
    wr_shared_unlock(part->call->shared);
    return is_in_doubt;
}

void wr_shared_part_set_due(struct wr_shared_part *part, uint64_t due_ns)
{
    wr_shared_lock(part->call->shared);
    const uint64_t late_ns = part->health->late_ns;
    if (part->health->checker == part) {
        shared_note_due(part, due_ns);
    }
    if (part->health->late_ns < late_ns) {
        shared_note_change_of_target(part);
    }
    wr_shared_unlock(part->call->shared);
    wr_assert(!part->is_left);
}

bool wr_shared_part_take_over(struct wr_shared_part *part, uint64_t now_ns)
{
    struct wr_shared_health *health = part->health;

    wr_assert(!part->is_left);
    if (part->is_paused || health->checker == part ||
        now_ns <= health->late_ns) {
        return false;
    }
    shared_set_checker(health, part, now_ns);
    shared_note_change_of_target(part);
    return true;
}

/* ---- creating and freeing ---- */

int wr_shared_make(const struct weir_allocator *allocator,
                   weir_upstreams_shared **ret)
{
    weir_upstreams_shared *shared = wr_alloc(allocator, sizeof(*shared));

    wr_require(shared, -ENOMEM);
    *shared = (weir_upstreams_shared){
        .allocator = *allocator, .ref_count = 1, .revision = 1};
    if (pthread_mutex_init(&shared->mutex, NULL)) {
        wr_free(allocator, shared, sizeof(*shared));
        return -ENOMEM;
    }
    wr_turns_init(&shared->turns);
    wr_assert(shared->ref_count == 1);
    *ret = shared;
    return 0;
}

void wr_shared_unref(weir_upstreams_shared *shared)
{
    wr_shared_lock(shared);
    wr_assert(shared->ref_count > 0);
    shared->ref_count--;
    const bool is_last = shared->ref_count == 0;
    wr_shared_unlock(shared);
    if (!is_last) {
        return;
    }
    const struct weir_allocator allocator = shared->allocator;
    wr_assert(!shared->targets);
    wr_assert(!shared->places);
    wr_assert(shared->queued_count == 0);
    pthread_mutex_destroy(&shared->mutex);
    wr_free(&allocator, shared, sizeof(*shared));
}

int weir_upstreams_shared_new(const struct weir_allocator *allocator,
                              weir_upstreams_shared **ret)
{
    return wr_shared_make(allocator ? allocator : wr_default_allocator(), ret);
}

void weir_upstreams_shared_free(weir_upstreams_shared *shared)
{
    if (shared) {
        wr_shared_unref(shared);
    }
}
