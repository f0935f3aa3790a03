/*
 * The pending queries of a DNS forwarder: at most 4096, oldest first, each with
 * an unpredictable id, which protects against forged responses. Does no I/O,
 * except that it reads random numbers.
 */
#ifndef WEIR_EXAMPLES_DNS_PENDING_H
#define WEIR_EXAMPLES_DNS_PENDING_H

#include "dns_message.h"

#include <sys/queue.h>
#include <sys/random.h>
#include <weir.h>

enum { PENDING_COUNT = 4096, ID_TRIES = 16 };

struct pending {
    TAILQ_ENTRY(pending) link;
    struct weir_address client;
    uint64_t until_ns;
    size_t question_len;
    uint16_t id;                            /* id of the forwarder's query */
    uint8_t asked[DNS_HEAD + DNS_QUESTION]; /* start of the client's query,
                                             * with its id */
};

TAILQ_HEAD(pending_list, pending);
static struct pending_list waiting = TAILQ_HEAD_INITIALIZER(waiting);
static struct pending_list unused = TAILQ_HEAD_INITIALIZER(unused);
static struct pending pool[PENDING_COUNT];
static struct pending *by_id[UINT16_MAX + 1];

static inline void pending_init(void)
{
    for (size_t i = 0; i < PENDING_COUNT; i++) {
        TAILQ_INSERT_TAIL(&unused, &pool[i], link);
    }
}

/* Returns an id that no pending query has, or -1. */
static inline int random_id(void)
{
    static uint16_t numbers[256];
    static size_t left;
    for (int i = 0; i < ID_TRIES; i++) {
        if (left == 0) {
            ssize_t got = getrandom(numbers, sizeof(numbers), GRND_NONBLOCK);
            left = got < 0 ? 0 : (size_t)got / sizeof(numbers[0]);
        }
        if (left > 0 && !by_id[numbers[--left]]) {
            return numbers[left];
        }
    }
    return -1;
}

/* Returns NULL if there are too many pending queries, or no free id was
 * found. */
static inline struct pending *pending_add(void)
{
    struct pending *pending = TAILQ_FIRST(&unused);
    int id = pending ? random_id() : -1;
    if (id < 0) {
        return NULL;
    }
    TAILQ_REMOVE(&unused, pending, link);
    TAILQ_INSERT_TAIL(&waiting, pending, link);
    pending->id = (uint16_t)id;
    by_id[id] = pending;
    return pending;
}

static inline void pending_remove(struct pending *pending)
{
    by_id[pending->id] = NULL;
    TAILQ_REMOVE(&waiting, pending, link);
    TAILQ_INSERT_HEAD(&unused, pending, link);
}

#endif
