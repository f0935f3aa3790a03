/*
 * Orders are kept by the names of service, route and target, until the program
 * ends. A target that was drained, removed from the configuration and added
 * again is still drained. control.c sets the orders, and targets_obey() applies
 * them.
 */
#include "orders.h"

#include <stdatomic.h>

struct order *orders_find(struct keyed_table *all, const char *service,
                          const char *route, const char *target)
{
    bool is_new;
    struct order *one = keyed_find(all, keyed_key(service, route, target),
                                   sizeof(*one), &is_new);

    if (one && is_new) {
        atomic_init(&one->mode, ORDER_READY);
        atomic_init(&one->weight, ORDER_NO_WEIGHT);
    }
    return one;
}

uint32_t orders_weight(const struct order *order,
                       const struct config_target *target)
{
    const uint32_t weight = atomic_load(&order->weight);

    return weight == ORDER_NO_WEIGHT ? (uint32_t)target->weight : weight;
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
