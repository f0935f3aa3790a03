/*
 * Sets of networks, of an operator's lists: each word is a network, or @FILE
 * with one in each line.
 *
 * A set of any size is searched in the logarithm of its size.
 */
#ifndef WEIR_PROXY_NETWORKS_H
#define WEIR_PROXY_NETWORKS_H

#include "config.h"

#include "weir/address.h"

/* Networks that a set may have. */
#define NETWORKS_MAX 1000000u

struct networks_range;

struct networks {
    struct networks_range *ranges; /* sorted, and none touches another */
    size_t count;
    bool has_unix;
};

/* Reads the words and their files. False, with a line in @why. */
bool networks_read(const struct config_texts *texts, struct networks *ret,
                   char *why);
void networks_free(struct networks *networks);

/* IPv4 inside IPv6 is IPv4. */
bool networks_have(const struct networks *networks,
                   const struct weir_address *address);

/* An address as bytes that are compared: its family, then its bytes; others are
 * 0. */
#define NETWORKS_KEY_SIZE 17
/* False for an address that is neither IPv4 nor IPv6. */
bool networks_key(const struct weir_address *address, uint8_t *ret_key);

#endif
