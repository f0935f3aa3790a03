/*
 * No wake-up is lost. A client that has to wait increments `waiting` and then
 * tries again; a thread that ends a connection decrements `taken` and then
 * reads `waiting`. At least one of them sees the other's change, because these
 * operations are sequentially consistent.
 */
#include "places.h"

#include "setup.h"
#include "tools/common/console.h"

#include <errno.h>

/* Retry interval after out of memory. */
#define RETRY_NS UINT64_C(10000000)

/* The limit may be set or removed at any time. */
static bool take(struct places *places, bool *ret_is_counted)
{
    const uint64_t limit =
        atomic_load_explicit(&places->limit, memory_order_relaxed);
    uint64_t taken = atomic_load(&places->taken);

    *ret_is_counted = limit > 0;
    if (limit == 0) {
        return true;
    }
    do {
        if (taken >= limit) {
            return false;
        }
    } while (!atomic_compare_exchange_weak(&places->taken, &taken, taken + 1));
    return true;
}

static void give(struct places *places, bool is_counted)
{
    if (is_counted) {
        atomic_fetch_sub(&places->taken, 1);
    }
}

static void end_wait(struct place *place, struct door *door,
                     enum place_state state)
{
    place->state = state;
    list_remove(&door->waiting, &place->link);
    atomic_fetch_sub(&door->places->waiting, 1);
}

static void let_in(struct door *door)
{
    bool is_counted;

    while (door->waiting.oldest && take(door->places, &is_counted)) {
        struct place *place = (struct place *)door->waiting.oldest;
        place->is_counted_here = is_counted;
        end_wait(place, door, PLACE_TAKEN);
        door->take_in(place);
    }
}

void places_look(struct worker *worker)
{
    for (struct link *link = worker->all.oldest; link; link = link->younger) {
        const struct services *services = (const struct services *)(void *)link;
        for (size_t i = 0; i < services->door_count; i++) {
            let_in(&services->doors[i]);
        }
    }
}

static void look(void *arg)
{
    struct worker *worker = arg;

    atomic_store(&worker->is_called, false);
    places_look(worker);
}

static void call_others(void *arg)
{
    struct worker *own = arg;
    struct proxy *proxy = own->proxy;
    weir_threads *threads = weir_thread_get_group(own->thread);
    bool has_failed = false;

    for (uint32_t i = 0; i < proxy->worker_count; i++) {
        struct worker *worker = &proxy->workers[i];
        if (worker == own || atomic_exchange(&worker->is_called, true)) {
            continue;
        }
        const int err = weir_thread_call_soon(weir_threads_get(threads, i),
                                              look, worker, NULL);
        if (err < 0) {
            atomic_store(&worker->is_called, false);
            has_failed = has_failed || err != -ESHUTDOWN;
        }
    }
    if (has_failed &&
        weir_loop_call_later(own->loop, RETRY_NS, call_others, own, NULL) < 0) {
        say("no memory to notify other threads of a free connection");
    }
}

bool places_enter(struct place *place, struct door *door)
{
    if (!take(&door->service->worker->proxy->places, &place->is_counted)) {
        return false;
    }
    if (!door->waiting.oldest && take(door->places, &place->is_counted_here)) {
        place->state = PLACE_TAKEN;
        door->take_in(place);
        return true;
    }
    place->state = PLACE_WAITING;
    list_add(&door->waiting, &place->link);
    atomic_fetch_add(&door->places->waiting, 1);
    let_in(door);
    return true;
}

void places_leave(struct place *place, struct door *door)
{
    if (place->state == PLACE_OUTSIDE) {
        return;
    }
    if (place->state == PLACE_WAITING) {
        end_wait(place, door, PLACE_COUNTED);
    } else if (place->state == PLACE_TAKEN) {
        give(door->places, place->is_counted_here);
        if (atomic_load(&door->places->waiting) > 0) {
            /* This thread is checked, too: a listening socket of another setup
             * may have the same address. */
            places_look(door->service->worker);
            call_others(door->service->worker);
        }
    }
    give(&door->service->worker->proxy->places, place->is_counted);
}

struct place *places_turn_away(struct door *door)
{
    struct place *place = (struct place *)door->waiting.oldest;

    if (place) {
        end_wait(place, door, PLACE_COUNTED);
    }
    return place;
}
