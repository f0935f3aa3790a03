/*
 * What operators have ordered of targets: to be drained or disabled, and
 * weights. It holds until they say 'ready', whatever configuration is read or
 * process follows meanwhile.
 */
#ifndef WEIR_PROXY_ORDERS_H
#define WEIR_PROXY_ORDERS_H

#include "config.h"
#include "keyed.h"

enum order_mode {
    ORDER_READY,
    ORDER_DRAIN,
    ORDER_DISABLE,
};

#define ORDER_NO_WEIGHT UINT32_MAX

/* About one target of a route. The first worker writes it, and all read it. */
struct order {
    struct keyed keyed;
    _Atomic int mode;
    _Atomic uint32_t weight;     /* ORDER_NO_WEIGHT: the configuration's */
    _Atomic uint64_t failing_ns; /* a line has said then that it fails, and */
    _Atomic bool is_failing;     /* none has that it works again */
};

/* Finds that of a target, or makes it; NULL: no memory. */
struct order *orders_find(struct keyed_table *all, const char *service,
                          const char *route, const char *target);

/* The weight of a target under an order. */
uint32_t orders_weight(const struct order *order,
                       const struct config_target *target);
/* Is somebody at work on it: it is not checked either? */
bool orders_is_disabled(const struct order *order);
/* What it is because of it: draining or disabled; NULL: neither. */
const char *orders_word(const struct order *order,
                        const struct config_target *target);

#endif
