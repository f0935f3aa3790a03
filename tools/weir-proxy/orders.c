/*
 * Orders are remembered by the names of service, route and target, until the
 * end: a target that is taken out of the configuration and put into it again is
 * still drained.
 */
#include "orders.h"

#include "counts.h"

#include <stdatomic.h>
#include <stdlib.h>

struct order *orders_find(struct order **all, const char *service,
                          const char *route, const char *target)
{
    const uint64_t key = counts_key(service, route, target);
    struct order *one = *all;

    while (one && one->key != key) {
        one = one->next;
    }
    if (!one) {
        one = calloc(1, sizeof(*one));
        if (!one) {
            return NULL;
        }
        one->key = key;
        atomic_init(&one->mode, ORDER_READY);
        atomic_init(&one->weight, ORDER_NO_WEIGHT);
        one->next = *all;
        *all = one;
    }
    return one;
}

void orders_free(struct order *all)
{
    while (all) {
        struct order *next = all->next;
        free(all);
        all = next;
    }
}

uint32_t orders_weight(const struct order *order,
                       const struct config_target *target)
{
    const uint32_t weight = atomic_load(&order->weight);

    return weight == ORDER_NO_WEIGHT ? (uint32_t)target->weight : weight;
}

bool orders_is_disabled(const struct order *order)
{
    return atomic_load(&order->mode) == ORDER_DISABLE;
}

const char *orders_word(const struct order *order,
                        const struct config_target *target)
{
    const int mode = atomic_load(&order->mode);

    if (mode == ORDER_DISABLE) {
        return "disabled";
    }
    return mode == ORDER_DRAIN || orders_weight(order, target) == 0 ? "draining"
                                                                    : NULL;
}
