/*
 * Orders of operators about targets: drain, disable, and weights. An order
 * holds until the operator sends 'ready'; reloads and a successor process keep
 * it.
 */
#ifndef WEIR_PROXY_ORDERS_H
#define WEIR_PROXY_ORDERS_H

#include "tools/weir-proxy/base/keyed.h"
#include "tools/weir-proxy/config/config.h"

enum order_mode {
    ORDER_READY,
    ORDER_DRAIN,
    ORDER_DISABLE, /* for maintenance: the target is not checked either */
};

#define ORDER_WEIGHT_MAX 256
#define ORDER_NO_WEIGHT  UINT32_MAX

/* Mode and weight are written by the first worker, the other fields by all. */
struct order {
    struct keyed keyed;
    _Atomic int mode;
    _Atomic uint32_t weight;     /* or ORDER_NO_WEIGHT */
    _Atomic uint64_t failing_ns; /* time of the last "starts to fail" line */
    _Atomic bool is_failing;     /* last line was "starts to fail" */
};

/* Finds or creates the order of a target. Returns NULL if out of memory. */
struct order *orders_find(struct keyed_table *all, const char *service,
                          const char *route, const char *target);

uint32_t orders_weight(const struct order *order,
                       const struct config_target *target);
/* Returns "disabled", "draining" (with weight 0, too), or NULL. */
const char *orders_word(const struct order *order,
                        const struct config_target *target);

#endif
