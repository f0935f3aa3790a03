/*
 * Sets of upstreams have this in common: a way to be called, the generator and
 * targets.
 *
 * Memory is got before the mutex is taken, and freed after it is given back.
 */
#include "shared.h"

#include <errno.h>
#include <string.h>

/* ---- calls ---- */

static void shared_free_call(struct wr_shared_call *call)
{
    weir_upstreams_shared *shared = call->shared;

    wr_assert(!call->owner);
    wr_wake_unref(call->wake);
    wr_free(&shared->allocator, call, sizeof(*call));
    wr_shared_unref(shared);
}

/* The item has left the mailbox. True: the set is there. */
static bool shared_end_post(struct wr_shared_call *call)
{
    wr_shared_lock(call->shared);
    wr_assert(call->is_posted);
    call->is_posted = false;
    wr_shared_unlock(call->shared);
    if (!call->owner) {
        shared_free_call(call);
        return false;
    }
    return true;
}

static void shared_run_call(void *arg)
{
    struct wr_shared_call *call = arg;

    if (shared_end_post(call)) {
        call->look(call->owner);
    }
}

static void shared_drop_call(void *arg)
{
    shared_end_post(arg); /* a set that is there is closed */
}

int wr_shared_call_make(weir_upstreams_shared *shared, struct wr_wake *wake,
                        void (*look)(void *owner), void *owner,
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
    call->owner = NULL;
    wr_shared_lock(call->shared);
    const bool is_posted = call->is_posted;
    wr_shared_unlock(call->shared);
    if (!is_posted) {
        shared_free_call(call);
    }
}

/* ---- random numbers ---- */

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

static struct wr_shared_target *
shared_make_target(weir_upstreams_shared *shared, const char *name,
                   const char *place)
{
    const size_t name_size = strlen(name) + 1;
    const size_t place_size = strlen(place) + 1;
    const size_t size =
        sizeof(struct wr_shared_target) + name_size + place_size;
    struct wr_shared_target *target = wr_alloc(&shared->allocator, size);

    if (target) {
        memset(target, 0, sizeof(*target));
        target->size = size;
        target->hash = wr_hash_bytes(name, name_size);
        target->place = target->text + name_size;
        memcpy(target->text, name, name_size);
        memcpy(target->text + name_size, place, place_size);
        wr_list_init(&target->link);
        wr_list_init(&target->parts);
    }
    return target;
}

/* Under the mutex: true if it is an upstream of the set already. */
static bool shared_is_taken(const struct wr_shared_target *target,
                            const struct wr_shared_call *call)
{
    const struct wr_list *link = target->parts.next;

    for (; link != &target->parts; link = link->next) {
        const struct wr_shared_part *part =
            wr_container_of(link, struct wr_shared_part, link);
        wr_assert(part->target == target);
        if (part->call == call && !part->is_left) {
            return true;
        }
    }
    return false;
}

/* Under the mutex: the target that is like @made; NULL: there is none. */
static struct wr_shared_target *
shared_find_target(const weir_upstreams_shared *shared,
                   const struct wr_shared_target *made,
                   const struct wr_shared_call *call)
{
    for (struct wr_list *link = shared->targets.next; link != &shared->targets;
         link = link->next) {
        struct wr_shared_target *target =
            wr_container_of(link, struct wr_shared_target, link);
        wr_assert(!wr_list_is_empty(&target->parts));
        if (target->hash == made->hash && target->size == made->size &&
            strcmp(target->text, made->text) == 0 &&
            strcmp(target->place, made->place) == 0 &&
            !shared_is_taken(target, call)) {
            return target;
        }
    }
    return NULL;
}

int wr_shared_part_open(struct wr_shared_part *part,
                        struct wr_shared_call *call, const char *name,
                        const char *place)
{
    weir_upstreams_shared *shared = call->shared;
    struct wr_shared_target *made = shared_make_target(shared, name, place);

    wr_require(made, -ENOMEM);
    *part = (struct wr_shared_part){.call = call};
    wr_list_init(&part->link);
    wr_shared_lock(shared);
    part->target = shared_find_target(shared, made, call);
    if (!part->target) {
        wr_list_push_back(&shared->targets, &made->link);
        part->target = made;
        made = NULL;
    }
    wr_list_push_back(&part->target->parts, &part->link);
    wr_shared_unlock(shared);
    if (made) {
        wr_free(&shared->allocator, made, made->size);
    }
    return 0;
}

void wr_shared_part_leave(struct wr_shared_part *part)
{
    wr_shared_lock(part->call->shared);
    wr_assert(wr_list_is_linked(&part->link));
    part->is_left = true;
    wr_shared_unlock(part->call->shared);
}

void wr_shared_part_close(struct wr_shared_part *part)
{
    weir_upstreams_shared *shared = part->call->shared;
    struct wr_shared_target *target = part->target;

    wr_shared_lock(shared);
    wr_list_remove(&part->link);
    const bool is_last = wr_list_is_empty(&target->parts);
    if (is_last) {
        wr_assert(wr_shared_part_get_active(part) == 0);
        wr_list_remove(&target->link);
    }
    wr_shared_unlock(shared);
    if (is_last) {
        wr_free(&shared->allocator, target, target->size);
    }
}

/* ---- life ---- */

int wr_shared_make(const struct weir_allocator *allocator,
                   weir_upstreams_shared **ret)
{
    weir_upstreams_shared *shared = wr_alloc(allocator, sizeof(*shared));

    wr_require(shared, -ENOMEM);
    *shared = (weir_upstreams_shared){.allocator = *allocator, .ref_count = 1};
    if (pthread_mutex_init(&shared->mutex, NULL)) {
        wr_free(allocator, shared, sizeof(*shared));
        return -ENOMEM;
    }
    wr_list_init(&shared->targets);
    wr_list_init(&shared->places);
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
    wr_assert(wr_list_is_empty(&shared->targets));
    wr_assert(wr_list_is_empty(&shared->places));
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
