/*
 * The event loops in which weir can be embedded: epoll, poll, libuv and GLib.
 *
 * A host only waits for the embedded loop (the guest), as described in embed.h,
 * and runs its iterations. One round is one wait of the host, at most a minute
 * if the guest has no deadline; a test fails if an event has not ended such a
 * wait.
 */
#ifndef WEIR_TESTS_CONTRACT_HOST_KINDS_H
#define WEIR_TESTS_CONTRACT_HOST_KINDS_H

#include "tests/contract/host_rig.h"

struct host_kind;

struct any_host {
    const struct host_kind *kind;
    struct guest guest; /* only its iterations are used */
    int fd;
    void *own;
};

struct host_kind {
    const char *name;
    void (*open)(struct any_host *host);
    void (*round)(struct any_host *host);
    void (*close)(struct any_host *host);
};

/* The kinds that weir was built with; the last has no name. */
extern const struct host_kind host_kinds[];

void any_host_open(struct any_host *host, const struct host_kind *kind);
void any_host_round(struct any_host *host);
uint64_t any_host_rest(struct any_host *host);
void any_host_close(struct any_host *host);

#endif
