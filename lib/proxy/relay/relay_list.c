/*
 * The relays of a loop: their memory, and a list for weir_loop_dump().
 *
 * At its end the loop waits for a relay's transports, and so for the relay,
 * which is not a loop object itself.
 */
#include "relay.h"

#include <stdio.h>

struct relay_list {
    struct wr_module module;
    weir_loop *loop;
    struct wr_slab memory; /* struct wr_relay */
    struct wr_list relays; /* of wr_relay.link */
};

static void relay_list_dump_way(const struct wr_way *way, FILE *out)
{
    static const char *const states[WR_WAY_STATES] = {
        [WR_WAY_OPEN] = "open",
        [WR_WAY_ENDING] = "ending",
        [WR_WAY_ENDED] = "ended",
        [WR_WAY_BROKEN] = "broken",
    };

    wr_assert(way->state < WR_WAY_STATES);
    fprintf(out, " %c=%s %c_bytes=%llu%s%s%s",
            way->party == WEIR_RELAY_A ? 'a' : 'b', states[way->state],
            way->party == WEIR_RELAY_A ? 'a' : 'b',
            (unsigned long long)way->bytes,
            way->holds & WR_WAY_FULL ? " full" : "",
            way->holds & WR_WAY_RATE ? " rate" : "",
            way->holds & WR_WAY_INITIAL ? " initial" : "");
}

static void relay_list_dump(const struct wr_module *module, FILE *out)
{
    static const char *const states[WR_RELAY_STATES] = {
        [WR_RELAY_OPEN] = "open",       [WR_RELAY_DRAINING] = "draining",
        [WR_RELAY_CLOSING] = "closing", [WR_RELAY_BROKEN] = "broken",
        [WR_RELAY_OVER] = "over",
    };
    const struct relay_list *list =
        wr_container_of(module, const struct relay_list, module);

    for (const struct wr_list *link = list->relays.next; link != &list->relays;
         link = link->next) {
        const struct wr_relay *relay =
            wr_container_of(link, const struct wr_relay, link);
        wr_assert(relay->state < WR_RELAY_STATES);
        fprintf(out, "relay %s", states[relay->state]);
        relay_list_dump_way(&relay->ways[WEIR_RELAY_A], out);
        relay_list_dump_way(&relay->ways[WEIR_RELAY_B], out);
        fputs("\n", out);
    }
}

static void relay_list_check(const struct wr_module *module)
{
    const struct relay_list *list =
        wr_container_of(module, const struct relay_list, module);

    for (const struct wr_list *link = list->relays.next; link != &list->relays;
         link = link->next) {
        wr_relay_check_invariants(
            wr_container_of(link, const struct wr_relay, link));
    }
}

static uint64_t relay_list_trim(struct wr_module *module)
{
    return wr_slab_trim(
        &wr_container_of(module, struct relay_list, module)->memory);
}

static void relay_list_close(struct wr_module *module)
{
    struct relay_list *list =
        wr_container_of(module, struct relay_list, module);

    wr_assert(wr_list_is_empty(&list->relays));
    wr_slab_fini(&list->memory);
    wr_free(&list->loop->counting, list, sizeof(*list));
}

static const struct wr_module_ops relay_list_ops = {
    .trim = relay_list_trim,
    .close = relay_list_close,
    .dump = relay_list_dump,
    .check = relay_list_check,
};

static struct relay_list *relay_list_find(const weir_loop *loop)
{
    struct wr_module *module = wr_loop_find_module(loop, &relay_list_ops);

    return module ? wr_container_of(module, struct relay_list, module) : NULL;
}

struct wr_relay *wr_relay_take(weir_loop *loop)
{
    struct relay_list *list = relay_list_find(loop);

    if (!list) {
        list = wr_alloc(&loop->counting, sizeof(*list));
        wr_require(list, NULL);
        *list = (struct relay_list){.loop = loop};
        wr_slab_init(&list->memory, &loop->counting, sizeof(struct wr_relay));
        wr_list_init(&list->relays);
        wr_loop_add_module(loop, &list->module, &relay_list_ops);
    }
    struct wr_relay *relay = wr_slab_take(&list->memory);
    if (relay) {
        relay->loop = loop;
        wr_list_init(&relay->link);
        wr_list_push_back(&list->relays, &relay->link);
    }
    return relay;
}

void wr_relay_give(struct wr_relay *relay)
{
    struct relay_list *list = relay_list_find(relay->loop);

    wr_assert(list && !wr_timer_is_armed(&relay->timer));
    wr_list_remove(&relay->link);
    wr_slab_give(&list->memory, relay);
}
