/*
 * The relays of a loop: a list, for weir_loop_dump().
 *
 * The loop waits for a relay's transports at its end, and so for the relay: it
 * is no member itself. A relay without memory for the list is not in the dump.
 */
#include "relay.h"

#include <stdio.h>

struct relay_list {
    struct wr_module module;
    weir_loop *loop;
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
        [WR_RELAY_OPEN] = "open",
        [WR_RELAY_CLOSING] = "closing",
        [WR_RELAY_BROKEN] = "broken",
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

static void relay_list_close(struct wr_module *module)
{
    struct relay_list *list =
        wr_container_of(module, struct relay_list, module);

    wr_assert(wr_list_is_empty(&list->relays));
    wr_free(&list->loop->counting, list, sizeof(*list));
}

void wr_relay_list(struct wr_relay *relay)
{
    static const struct wr_module_ops ops = {.close = relay_list_close,
                                             .dump = relay_list_dump,
                                             .check = relay_list_check};
    weir_loop *loop = relay->loop;
    struct wr_module *module = wr_loop_find_module(loop, &ops);
    struct relay_list *list =
        module ? wr_container_of(module, struct relay_list, module) : NULL;

    wr_assert(!wr_list_is_linked(&relay->link));
    if (!list) {
        list = wr_alloc(&loop->counting, sizeof(*list));
        if (!list) {
            return;
        }
        list->loop = loop;
        wr_list_init(&list->relays);
        wr_loop_add_module(loop, &list->module, &ops);
    }
    wr_list_push_back(&list->relays, &relay->link);
}
