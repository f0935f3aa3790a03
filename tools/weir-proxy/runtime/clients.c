/*
 * A table is divided into parts, each with a lock, so that threads seldom
 * contend. A keyed hash selects the part and bucket, so that no client can
 * choose colliding addresses. A lock is held for a few hundred nanoseconds: the
 * time to find one client and to forget up to two others.
 *
 * Clients without connections are in a list of their part, in the order in
 * which they were last seen.
 */
#include "clients.h"

#include "proxy.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define PART_COUNT 64u

/* The period of client-rate has this many slots. */
#define SLOT_COUNT 10u

#define TOLD_NS UINT64_C(1000000000)

/* Maximum number of expired clients that a lookup removes. */
#define FORGET_MAX 2u

/* Limits log lines about refusals to one a second. */
struct telling {
    uint64_t told_ns;
    uint32_t left_out;
};

struct client {
    struct link link; /* in the part's list of clients without connections;
                       * must be the first field */
    struct client *next;
    uint8_t key[NETWORKS_KEY_SIZE];
    enum end_reason ban_reason : 8;
    uint32_t active;
    uint32_t slots[SLOT_COUNT];
    uint64_t slot; /* newest slot, counted from clock time 0 */
    uint64_t banned_until_ns;
    struct telling telling;
};

struct part {
    pthread_mutex_t lock;
    struct client **buckets;
    struct list idle; /* clients without connections */
    size_t count;
};

/* Clients of a service, or of all services with the same client-share. */
struct table {
    struct part parts[PART_COUNT];
    size_t bucket_count; /* number of buckets in each part; a power of two */
    size_t limit;        /* maximum number of clients in a part */
    uint64_t secret;
    _Atomic size_t users;
};

struct clients {
    const struct config_service *config;
    struct table *table;
    struct networks allow;
    struct networks deny;
    struct networks free;
    pthread_mutex_t denied_lock;
    struct telling denied;
};

/* An allow list from an empty file allows no client. */
static bool is_denied(const struct clients *clients,
                      const struct weir_address *address)
{
    return networks_have(&clients->deny, address) ||
           (clients->config->client_allow.count > 0 &&
            !networks_have(&clients->allow, address));
}

static size_t round_up(size_t value)
{
    size_t power = 1;

    while (power < value) {
        power *= 2;
    }
    return power;
}

static void free_table(struct table *table)
{
    for (size_t i = 0; i < PART_COUNT; i++) {
        struct part *part = &table->parts[i];
        for (size_t k = 0; part->buckets && k < table->bucket_count; k++) {
            for (struct client *client = part->buckets[k]; client;) {
                struct client *next = client->next;
                free(client);
                client = next;
            }
        }
        free(part->buckets);
        pthread_mutex_destroy(&part->lock);
    }
    free(table);
}

static struct table *make_table(size_t limit)
{
    struct table *table = calloc(1, sizeof(*table));
    bool is_whole = true;

    if (!table) {
        return NULL;
    }
    table->limit = (limit + PART_COUNT - 1) / PART_COUNT;
    table->bucket_count = round_up(table->limit);
    if (getrandom(&table->secret, sizeof(table->secret), GRND_NONBLOCK) < 0) {
        table->secret = (uint64_t)(uintptr_t)table;
    }
    for (size_t i = 0; i < PART_COUNT; i++) {
        struct part *part = &table->parts[i];
        pthread_mutex_init(&part->lock, NULL);
        part->buckets = calloc(table->bucket_count, sizeof(struct client *));
        is_whole = is_whole && part->buckets;
    }
    if (!is_whole) {
        free_table(table);
        return NULL;
    }
    return table;
}

static uint64_t mix(uint64_t value)
{
    value = (value ^ value >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    value = (value ^ value >> 27) * UINT64_C(0x94d049bb133111eb);
    return value ^ value >> 31;
}

static uint64_t hash_of(const struct table *table, const uint8_t *key)
{
    uint64_t words[2];

    memcpy(words, key + 1, sizeof(words));
    return mix(mix(mix(table->secret + key[0]) ^ words[0]) ^ words[1]);
}

static struct client **bucket_of(const struct table *table,
                                 const struct part *part, const uint8_t *key)
{
    return &part->buckets[hash_of(table, key) / PART_COUNT %
                          table->bucket_count];
}

static struct part *part_of(struct table *table, const uint8_t *key)
{
    return &table->parts[hash_of(table, key) % PART_COUNT];
}

/* Returns the oldest client without connections, or NULL. */
static struct client *oldest_of(const struct part *part)
{
    return (struct client *)(void *)part->idle.oldest;
}

static void forget(struct table *table, struct part *part)
{
    struct client *client = oldest_of(part);
    struct client **place = bucket_of(table, part, client->key);

    list_remove(&part->idle, &client->link);
    while (*place != client) {
        place = &(*place)->next;
    }
    *place = client->next;
    free(client);
    part->count--;
}

static uint64_t slot_ns_of(const struct config_service *config)
{
    const uint64_t slot_ns = config->client_rate_ns / SLOT_COUNT;

    return slot_ns > 0 ? slot_ns : 1;
}

/* Returns true if a client's ban, log throttle and rate have expired. */
static bool is_past(const struct client *client,
                    const struct config_service *config, uint64_t now_ns)
{
    return client->banned_until_ns <= now_ns &&
           client->telling.told_ns + TOLD_NS <= now_ns &&
           client->slot + SLOT_COUNT < now_ns / slot_ns_of(config);
}

/* Finds or adds a client. Returns NULL if out of memory, or if the part is full
 * of clients with connections. */
static struct client *find_client(struct clients *clients, struct part *part,
                                  const uint8_t *key, uint64_t now_ns)
{
    struct table *table = clients->table;
    struct client **bucket = bucket_of(table, part, key);
    struct client *client = *bucket;

    while (client && memcmp(client->key, key, NETWORKS_KEY_SIZE) != 0) {
        client = client->next;
    }
    if (client) {
        return client;
    }
    for (unsigned i = 0; i < FORGET_MAX && oldest_of(part) &&
                         is_past(oldest_of(part), clients->config, now_ns);
         i++) {
        forget(table, part);
    }
    if (part->count >= table->limit && oldest_of(part)) {
        forget(table, part);
    }
    client = part->count < table->limit ? calloc(1, sizeof(*client)) : NULL;
    if (client) {
        memcpy(client->key, key, NETWORKS_KEY_SIZE);
        client->next = *bucket;
        *bucket = client;
        part->count++;
        list_add(&part->idle, &client->link);
    }
    return client;
}

static uint64_t count_recent(struct client *client, uint64_t slot)
{
    uint64_t sum = 0;

    /* The slot may be earlier than the client's, because threads read the clock
     * at slightly different times. */
    if (slot > client->slot + SLOT_COUNT) {
        client->slot = slot - SLOT_COUNT;
    }
    while (client->slot < slot) {
        client->slots[++client->slot % SLOT_COUNT] = 0;
    }
    for (size_t i = 0; i < SLOT_COUNT; i++) {
        sum += client->slots[i];
    }
    return sum;
}

/* Returns the reason of a refusal, or END_REASONS to admit the client. */
static enum end_reason judge(const struct config_service *config,
                             struct client *client, uint64_t now_ns)
{
    const uint64_t slot = now_ns / slot_ns_of(config);
    enum end_reason reason = END_REASONS;

    if (client->banned_until_ns > now_ns) {
        return client->ban_reason;
    }
    if (config->client_conns > 0 && client->active >= config->client_conns) {
        reason = END_CLIENT_LIMIT;
    } else if (config->client_rate > 0 &&
               count_recent(client, slot) >= config->client_rate) {
        reason = END_CLIENT_RATE;
    }
    if (reason != END_REASONS) {
        if (config->client_ban_ns > 0) {
            client->banned_until_ns = now_ns + config->client_ban_ns;
            client->ban_reason = reason;
        }
        return reason;
    }
    client->slots[slot % SLOT_COUNT] += config->client_rate > 0;
    return END_REASONS;
}

static void tell(struct telling *telling, enum end_reason reason,
                 uint64_t now_ns, struct clients_refusal *ret)
{
    const bool is_told =
        telling->told_ns == 0 || telling->told_ns + TOLD_NS <= now_ns;

    *ret =
        (struct clients_refusal){.reason = reason,
                                 .is_told = is_told,
                                 .left_out = is_told ? telling->left_out : 0};
    telling->left_out = is_told ? 0 : telling->left_out + 1;
    telling->told_ns = is_told ? now_ns : telling->told_ns;
}

/* Must be called with the part's lock held. */
static bool enter(struct clients *clients, struct client *client,
                  struct part *part, uint64_t now_ns,
                  struct clients_refusal *ret)
{
    const enum end_reason reason = judge(clients->config, client, now_ns);

    if (client->active == 0) {
        list_remove(&part->idle, &client->link);
    }
    if (reason == END_REASONS) {
        client->active++;
        return true;
    }
    tell(&client->telling, reason, now_ns, ret);
    if (client->active == 0) {
        list_add(&part->idle, &client->link); /* as the youngest */
    }
    return false;
}

/* Clears the bits after the prefix, so that a network counts as one client. */
static void cut(const struct config_service *config, uint8_t *key)
{
    const size_t bits =
        key[0] == 4 ? config->client_prefix4 : config->client_prefix6;

    for (size_t bit = bits; bit < 128; bit++) {
        key[1 + bit / 8] &= (uint8_t) ~(0x80u >> bit % 8);
    }
}

bool clients_enter(struct clients *clients, const struct weir_address *address,
                   uint64_t now_ns, struct client **ret,
                   struct clients_refusal *ret_refusal)
{
    uint8_t key[NETWORKS_KEY_SIZE];

    *ret = NULL;
    if (is_denied(clients, address)) {
        /* Denied clients are not stored, as they would displace others. */
        pthread_mutex_lock(&clients->denied_lock);
        tell(&clients->denied, END_CLIENT_DENIED, now_ns, ret_refusal);
        pthread_mutex_unlock(&clients->denied_lock);
        return false;
    }
    if (networks_have(&clients->free, address) || !networks_key(address, key)) {
        return true;
    }
    cut(clients->config, key);
    struct part *part = part_of(clients->table, key);
    pthread_mutex_lock(&part->lock);
    struct client *client = find_client(clients, part, key, now_ns);
    const bool is_in =
        !client || enter(clients, client, part, now_ns, ret_refusal);
    pthread_mutex_unlock(&part->lock);
    *ret = is_in ? client : NULL;
    return is_in;
}

void clients_leave(struct clients *clients, struct client *client)
{
    struct part *part = part_of(clients->table, client->key);

    pthread_mutex_lock(&part->lock);
    client->active--;
    if (client->active == 0) {
        list_add(&part->idle, &client->link);
    }
    pthread_mutex_unlock(&part->lock);
}

static bool has_rules(const struct config_service *config)
{
    return config->client_conns > 0 || config->client_rate > 0 ||
           config->client_allow.count > 0 || config->client_deny.count > 0;
}

/* Returns true if both services count the same networks as one client, in the
 * same period, and share a table. */
static bool counts_alike(const struct config_service *one,
                         const struct config_service *other)
{
    const bool is_shared = one->client_share && other->client_share;

    return one->client_rate_ns == other->client_rate_ns &&
           one->client_prefix4 == other->client_prefix4 &&
           one->client_prefix6 == other->client_prefix6 &&
           (is_shared ? strcmp(one->client_share, other->client_share) == 0
                      : !one->client_share && !other->client_share &&
                            strcmp(one->name, other->name) == 0);
}

/* Returns the table of a service that counts alike, or NULL. @all has an
 * element for each of the first @count services. */
static struct table *find_table(struct clients *const *all, size_t count,
                                const struct config *config,
                                const struct config_service *one)
{
    for (size_t i = 0; i < count; i++) {
        if (all[i] && counts_alike(one, &config->services[i])) {
            return all[i]->table;
        }
    }
    return NULL;
}

/* Makes the clients of a service. @table is NULL to make a new one. */
static bool make_one(const struct config *config,
                     const struct config_service *service, struct table *table,
                     struct clients **ret, char *why)
{
    struct clients *clients = calloc(1, sizeof(*clients));

    *ret = clients;
    if (!clients) {
        return option_refuse(why, "no memory");
    }
    pthread_mutex_init(&clients->denied_lock, NULL);
    clients->config = service;
    clients->table = table ? table : make_table((size_t)config->client_table);
    if (!clients->table) {
        return option_refuse(why, "no memory for a table of %llu clients",
                             (unsigned long long)config->client_table);
    }
    atomic_fetch_add(&clients->table->users, 1);
    return networks_read(&service->client_allow, &clients->allow, why) &&
           networks_read(&service->client_deny, &clients->deny, why) &&
           networks_read(&service->client_free, &clients->free, why);
}

struct clients **clients_make(const struct config *config,
                              struct clients **before,
                              const struct config *before_config, char *why)
{
    const bool has_room =
        before && before_config->client_table == config->client_table;
    struct clients **clients =
        calloc(config->service_count + 1, sizeof(struct clients *));
    bool is_good = clients || option_refuse(why, "no memory");

    for (size_t i = 0; i < config->service_count && is_good; i++) {
        const struct config_service *one = &config->services[i];
        if (!has_rules(one)) {
            continue;
        }
        struct table *table = find_table(clients, i, config, one);
        if (!table && has_room) {
            table = find_table(before, before_config->service_count,
                               before_config, one);
        }
        is_good = make_one(config, one, table, &clients[i], why);
    }
    if (!is_good) {
        clients_free(clients, config);
        clients = NULL;
    }
    return clients;
}

void clients_free(struct clients **clients, const struct config *config)
{
    for (size_t i = 0; clients && i < config->service_count; i++) {
        if (!clients[i]) {
            continue;
        }
        struct table *table = clients[i]->table;
        if (table && atomic_fetch_sub(&table->users, 1) == 1) {
            free_table(table);
        }
        networks_free(&clients[i]->allow);
        networks_free(&clients[i]->deny);
        networks_free(&clients[i]->free);
        pthread_mutex_destroy(&clients[i]->denied_lock);
        free(clients[i]);
    }
    free(clients);
}
