/*
 * The kinds of loops that weir can be a guest of: epoll, poll, libuv and GLib.
 *
 * A host does nothing but wait for the guest, as embed.h says, and make its
 * turns. One round is one wait of the host, for a minute if the guest has no
 * deadline; a test fails when such a wait was not ended.
 */
#ifndef WEIR_TESTS_CONTRACT_HOST_KINDS_H
#define WEIR_TESTS_CONTRACT_HOST_KINDS_H

#include "tests/contract/host_rig.h"

struct host_kind;

struct any_host {
    const struct host_kind *kind;
    struct guest guest; /* only its turns are used */
    int fd;             /* of the guest */
    void *own;          /* the kind's */
};

struct host_kind {
    const char *name;
    void (*open)(struct any_host *host);
    void (*round)(struct any_host *host);
    void (*close)(struct any_host *host);
};

/* Those that weir was built with; ends with a kind without a name. */
extern const struct host_kind host_kinds[];

/* Opens a host of `loop`, which is open. */
void any_host_open(struct any_host *host, const struct host_kind *kind);
/* One wait, and a turn of the guest if it has one to make. */
void any_host_round(struct any_host *host);
/* Makes turns until the guest has nothing to do; returns their number. */
uint64_t any_host_rest(struct any_host *host);
void any_host_close(struct any_host *host);

#endif
