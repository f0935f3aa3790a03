/*
 * The upstreams of a set: adding, removing, and upstreams for the addresses of
 * a name.
 *
 * An upstream whose name is spread (is_spread) is never chosen itself. Each
 * address of the name becomes an upstream, called a member, with all settings
 * of the name. A member stays as long as its address is in the answers, with
 * its health and counts. A removed member keeps its connections.
 *
 * Members of a service have a rank from the priority of their DNS record, and a
 * share of the name's weight from the weight of the record. Both follow the
 * answers.
 */
#include "upstream.h"

#include <stdio.h>
#include <string.h>

/* "NAME at ADDRESS" */
#define MEMBERS_NAME_SIZE 512u
#define MEMBERS_SOURCE_MAX                                                     \
    ((int)(MEMBERS_NAME_SIZE - WEIR_ADDRESS_TEXT_SIZE - 5))

static void members_number(weir_upstreams *set, size_t index)
{
    wr_assert(index <= set->count);
    for (size_t i = index; i < set->count; i++) {
        set->upstreams[i]->index = i;
    }
}

static void members_insert(weir_upstreams *set, size_t index,
                           weir_upstream *upstream)
{
    const size_t behind = set->count - index;

    wr_assert(set->count < set->capacity);
    wr_assert(index <= set->count);
    memmove(set->upstreams + index + 1, set->upstreams + index,
            behind * sizeof(*set->upstreams));
    memmove(set->candidates + index + 1, set->candidates + index,
            behind * sizeof(*set->candidates));
    set->upstreams[index] = upstream;
    set->candidates[index] = (struct wr_candidate_upstream){
        .hash = wr_hash_candidate(upstream->name, strlen(upstream->name))};
    set->count++;
    members_number(set, index);
    wr_survey_forget(set);
    wr_upstreams_wake(set);
}

void wr_members_append(weir_upstreams *set, weir_upstream *upstream)
{
    members_insert(set, set->count, upstream);
}

void wr_members_drop(weir_upstreams *set, size_t index)
{
    const size_t left = set->count - index - 1;
    weir_upstream *upstream = set->upstreams[index];

    wr_assert(index < set->count);
    wr_assert(!upstream->is_removed);
    memmove(set->upstreams + index, set->upstreams + index + 1,
            left * sizeof(*set->upstreams));
    memmove(set->candidates + index, set->candidates + index + 1,
            left * sizeof(*set->candidates));
    set->count--;
    members_number(set, index);
    wr_survey_forget(set);
    wr_upstream_stop(upstream);
    upstream->is_removed = true;
    wr_list_remove(&upstream->news_link);
    if (upstream->source) {
        wr_list_push_back(&upstream->source->gone, &upstream->gone_link);
    }
    wr_upstream_note_apart(upstream);
    wr_upstream_fold(upstream);
    wr_upstreams_wake(set); /* requests may have no upstream left */
    wr_upstream_unref(upstream);
}

void wr_members_drop_of(weir_upstreams *set, const weir_upstream *source)
{
    for (size_t i = set->count; i-- > 0;) {
        if (set->upstreams[i]->source == source) {
            wr_members_drop(set, i);
        }
    }
    wr_assert(source != NULL);
}

static bool members_have(const weir_upstreams *set, const weir_upstream *source,
                         const struct weir_address *address)
{
    for (size_t i = 0; i < set->count; i++) {
        const weir_upstream *member = set->upstreams[i];
        if (member->source == source &&
            weir_address_is_equal(&member->target.single, address)) {
            return true;
        }
    }
    wr_assert(source->is_spread);
    return false;
}

/* Sets a member's rank and weight from the DNS record of address @index. */
static void members_rank(weir_upstream *member, const struct wr_target *target,
                         size_t index)
{
    const struct wr_srv_rank *ranks =
        wr_srv_get_ranks(target->addresses, target->address_count);
    const struct wr_srv_rank *own = &ranks[index];
    uint32_t heaviest = 1;
    uint8_t rank = 0; /* at most WEIR_SRV_MAX */

    wr_assert(target->service && index < target->address_count);
    for (size_t i = 0; i < target->address_count; i++) {
        /* Records are in the order of priorities. */
        if (i > 0 && i <= index && ranks[i].priority > ranks[i - 1].priority) {
            rank++;
        }
        if (ranks[i].priority == own->priority && ranks[i].weight > heaviest) {
            heaviest = ranks[i].weight;
        }
    }
    const uint32_t share = own->weight * WR_WEIGHT_UNIT / heaviest;
    member->priority = own->priority;
    member->record_weight = own->weight;
    member->rank = rank;
    wr_upstream_set_weight(member, member->weight, share > 0 ? share : 1);
    member->set->has_ranks |= rank > 0;
}

/* Returns an address that is not a member yet, or NULL. */
static const struct weir_address *members_find_new(const weir_upstreams *set,
                                                   const weir_upstream *source)
{
    const struct wr_target *target = &source->target;

    wr_assert(target->is_name);
    for (size_t i = 0; i < target->address_count; i++) {
        const struct weir_address *address = &target->addresses[i];
        /* No connection is possible from a local address of another family. */
        if ((target->local.len == 0 || target->local.storage.any.sa_family ==
                                           address->storage.any.sa_family) &&
            !members_have(set, source, address)) {
            return address;
        }
    }
    return NULL;
}

/* Members of a name are ordered by the bytes of their addresses, so that all
 * sets have the same order, whatever answers they have received. */
static bool members_is_before(const weir_upstream *member,
                              const weir_upstream *other)
{
    const struct weir_address *address = &member->target.single;

    wr_assert(member->source == other->source);
    return memcmp(&address->storage, &other->target.single.storage,
                  sizeof(address->storage)) < 0;
}

/* Members come after their name, and before upstreams added after the name. */
static size_t members_find_index(const weir_upstreams *set,
                                 const weir_upstream *member)
{
    size_t index = 0;

    while (index < set->count && set->upstreams[index] != member->source) {
        index++;
    }
    wr_assert(index < set->count);
    do {
        index++;
    } while (index < set->count &&
             set->upstreams[index]->source == member->source &&
             !members_is_before(member, set->upstreams[index]));
    return index;
}

static int members_add(weir_upstreams *set, weir_upstream *source,
                       const struct weir_address *address)
{
    char name[MEMBERS_NAME_SIZE];
    char text[WEIR_ADDRESS_TEXT_SIZE];
    const struct wr_upstream_made made = wr_upstream_copy(source);
    struct weir_upstream_options options = made.options;
    weir_upstream *member;

    wr_assert(source->is_spread);
    snprintf(name, sizeof(name), "%.*s at %s", MEMBERS_SOURCE_MAX, source->name,
             weir_address_format(address, text, sizeof(text)));
    options.endpoint = weir_endpoint_addresses(address, 1);
    options.name = name;
    options.tls = made.has_tls ? &made.tls : NULL;
    options.check_tls = made.has_check_tls ? &made.check_tls : NULL;
    int err = wr_upstreams_make_room(set);
    wr_require(err >= 0, err);
    err = wr_upstream_make_member(source, &options, &member);
    wr_require(err >= 0, err);
    if (set->is_retired) {
        wr_upstream_retire(member);
    }
    wr_upstream_pause(member, source->is_paused);
    wr_upstream_follow(member);
    members_insert(set, members_find_index(set, member), member);
    return 0;
}

static void members_rank_all(weir_upstreams *set, const weir_upstream *source)
{
    const struct wr_target *target = &source->target;

    wr_assert(source->is_spread);
    for (size_t i = 0; i < set->count; i++) {
        weir_upstream *member = set->upstreams[i];
        for (size_t j = 0;
             member->source == source && j < target->address_count; j++) {
            if (weir_address_is_equal(&target->addresses[j],
                                      &member->target.single)) {
                members_rank(member, target, j);
            }
        }
    }
}

static void members_follow(weir_upstreams *set, weir_upstream *source)
{
    const struct wr_target *target = &source->target;
    const struct weir_address *address;
    int err = 0;

    wr_assert(source->has_answer);
    source->has_answer = false;
    for (size_t i = set->count; i-- > 0;) {
        const weir_upstream *member = set->upstreams[i];
        if (member->source == source &&
            !wr_address_is_among(&member->target.single, target->addresses,
                                 target->address_count)) {
            wr_members_drop(set, i);
        }
    }
    while (err == 0 && (address = members_find_new(set, source))) {
        err = members_add(set, source, address);
    }
    if (target->service) {
        members_rank_all(set, source);
    }
    source->target.error_count += err < 0; /* retried with the next answer */
    source->is_settled = true;
    wr_survey_forget(set);
    source->told = wr_upstream_get_state(source);
}

void wr_members_spread(weir_upstreams *set)
{
    wr_assert(!set->is_closed);
    for (size_t i = 0; i < set->count && set->has_answers; i++) {
        if (set->upstreams[i]->has_answer) {
            members_follow(set, set->upstreams[i]);
            i = SIZE_MAX; /* the indexes have changed: restart */
        }
    }
    set->has_answers = false;
}
