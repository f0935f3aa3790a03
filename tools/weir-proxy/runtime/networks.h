/*
 * Sets of networks from configured lists. Each entry is a network, or @FILE
 * with one network on each line.
 *
 * A lookup takes time logarithmic in the size of the set.
 */
#ifndef WEIR_PROXY_NETWORKS_H
#define WEIR_PROXY_NETWORKS_H

#include "tools/weir-proxy/config/config.h"

#include "weir/address.h"

#define NETWORKS_MAX 1000000u

struct networks_range;

struct networks {
    struct networks_range *ranges;
    size_t count;
    bool has_unix;
};

/* Reads networks and files of them. Returns false with a reason in @why. */
bool networks_read(const struct config_texts *texts, struct networks *ret,
                   char *why);
void networks_free(struct networks *networks);

/* An IPv4-mapped address counts as IPv4. */
bool networks_have(const struct networks *networks,
                   const struct weir_address *address);

/* Size of a key: 4 or 6 for the family, then the address, padded with zeros. */
#define NETWORKS_KEY_SIZE 17
/* Returns false if the address is neither IPv4 nor IPv6. */
bool networks_key(const struct weir_address *address, uint8_t *ret_key);

#endif
