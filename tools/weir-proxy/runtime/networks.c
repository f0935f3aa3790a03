/*
 * A network is a range of keys.
 *
 * Ranges are sorted and disjoint. An address can therefore only be in the last
 * range that begins at or before it.
 */
#include "networks.h"

#include "tools/weir-proxy/base/arena.h"

#include "weir/network.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct networks_range {
    uint8_t first[NETWORKS_KEY_SIZE];
    uint8_t last[NETWORKS_KEY_SIZE];
};

bool networks_key(const struct weir_address *address, uint8_t *ret_key)
{
    struct weir_address plain = *address;

    memset(ret_key, 0, NETWORKS_KEY_SIZE);
    weir_address_unmap(&plain);
    switch (plain.storage.any.sa_family) {
    case AF_INET:
        ret_key[0] = 4;
        memcpy(ret_key + 1, &plain.storage.inet.sin_addr, 4);
        return true;
    case AF_INET6:
        ret_key[0] = 6;
        memcpy(ret_key + 1, &plain.storage.inet6.sin6_addr, 16);
        return true;
    default:
        return false;
    }
}

static bool add(struct networks *networks, const char *text, char *why)
{
    struct weir_network network;

    if (weir_network_parse(text, &network) < 0) {
        return option_refuse(why, "'%.60s' is not a network such as 10.0.0.0/8",
                             text);
    }
    if (network.family == AF_UNIX) {
        networks->has_unix = true;
        return true;
    }
    if (networks->count == NETWORKS_MAX) {
        return option_refuse(why, "more than %u networks", NETWORKS_MAX);
    }
    const size_t size = network.family == AF_INET ? 4 : 16;
    struct networks_range range = {
        .first = {network.family == AF_INET ? 4 : 6}};
    memcpy(range.first + 1, network.bytes, size);
    memcpy(range.last, range.first, sizeof(range.last));
    for (size_t bit = network.prefix_bits; bit < size * 8; bit++) {
        range.last[1 + bit / 8] |= (uint8_t)(0x80u >> bit % 8);
    }
    return arena_add(NULL, &networks->ranges, &networks->count, &range,
                     sizeof(range)) ||
           option_refuse(why, "no memory");
}

static char *trim(char *line)
{
    line[strcspn(line, "#\r\n")] = '\0';
    line += strspn(line, " \t");
    for (size_t len = strlen(line); len > 0 && strchr(" \t", line[len - 1]);
         len--) {
        line[len - 1] = '\0';
    }
    return line;
}

static bool add_file(struct networks *networks, const char *path, char *why)
{
    char reason[OPTION_WHY_SIZE];
    char *line = NULL;
    size_t room = 0;
    bool is_good = true;
    FILE *file = fopen(path, "re");

    if (!file) {
        return option_refuse(why, "%.200s: %s", path, strerror(errno));
    }
    for (unsigned number = 1; is_good && getline(&line, &room, file) >= 0;
         number++) {
        const char *text = trim(line);
        is_good = text[0] == '\0' || add(networks, text, reason) ||
                  option_refuse(why, "%.200s:%u: %s", path, number, reason);
    }
    free(line);
    if (is_good && ferror(file)) {
        is_good = option_refuse(why, "%.200s: it cannot be read", path);
    }
    fclose(file);
    return is_good;
}

static int compare(const void *a, const void *b)
{
    const struct networks_range *one = a;
    const struct networks_range *other = b;

    return memcmp(one->first, other->first, NETWORKS_KEY_SIZE);
}

/* Sorts the networks, and removes networks that are inside others. Two networks
 * overlap only if one contains the other. */
static void join(struct networks *networks)
{
    size_t count = 0;

    if (networks->count == 0) {
        return;
    }
    qsort(networks->ranges, networks->count, sizeof(*networks->ranges),
          compare);
    for (size_t i = 1; i < networks->count; i++) {
        struct networks_range *last = &networks->ranges[count];
        const struct networks_range *next = &networks->ranges[i];
        if (memcmp(next->first, last->last, NETWORKS_KEY_SIZE) > 0) {
            networks->ranges[++count] = *next;
        } else if (memcmp(next->last, last->last, NETWORKS_KEY_SIZE) > 0) {
            memcpy(last->last, next->last, NETWORKS_KEY_SIZE);
        }
    }
    networks->count = count + 1;
}

bool networks_read(const struct config_texts *texts, struct networks *ret,
                   char *why)
{
    struct networks networks = {.ranges = NULL};

    for (size_t i = 0; i < texts->count; i++) {
        const char *text = texts->texts[i];
        if (!(text[0] == '@' ? add_file(&networks, text + 1, why)
                             : add(&networks, text, why))) {
            networks_free(&networks);
            return false;
        }
    }
    join(&networks);
    *ret = networks;
    return true;
}

void networks_free(struct networks *networks)
{
    free(networks->ranges);
    *networks = (struct networks){.ranges = NULL};
}

bool networks_have(const struct networks *networks,
                   const struct weir_address *address)
{
    uint8_t key[NETWORKS_KEY_SIZE];
    size_t from = 0;
    size_t to = networks->count;

    if (!networks_key(address, key)) {
        return address->storage.any.sa_family == AF_UNIX && networks->has_unix;
    }
    while (from < to) {
        const size_t middle = from + (to - from) / 2;
        if (memcmp(networks->ranges[middle].first, key, sizeof(key)) > 0) {
            to = middle;
        } else {
            from = middle + 1;
        }
    }
    return from > 0 &&
           memcmp(networks->ranges[from - 1].last, key, sizeof(key)) >= 0;
}
