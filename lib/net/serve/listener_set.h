/*
 * The listening sockets of one server, opened and closed together.
 *
 * The set has the requested addresses of a server and binds them as one: all or
 * none, except families that this machine does not have, and with one port for
 * all if the kernel chooses the port.
 */
#ifndef WEIR_LIB_NET_SERVE_LISTENER_SET_H
#define WEIR_LIB_NET_SERVE_LISTENER_SET_H

#include "lib/names/endpoint.h"
#include "lib/names/lookups.h"
#include "listener.h"

#include "weir/pending.h"
#include "weir/server.h"

/* All is borrowed except a descriptor, which is taken. */
struct wr_server_call {
    struct weir_endpoint endpoint; /* a host is added to those of the options */
    const struct weir_server_options *options;
    weir_server_done_fn *done;
    void *done_arg;
};

struct wr_listener_set {
    weir_loop *loop;
    const struct wr_listener_ops *ops;
    void *owner;
    struct wr_listener *all;        /* memory for capacity listeners */
    struct weir_address *addresses; /* memory for capacity addresses */
    size_t capacity;
    size_t address_count;
    size_t count; /* listeners that were opened */
    int fd;       /* to adopt, or -1 */
    bool is_none; /* no_sockets: the server has no listener */
    struct wr_listen_options options;
    struct wr_lookups names; /* addresses that are not known yet */
    char *error_text;        /* memory of the program, or NULL */
    size_t error_text_size;
    int told_err;                  /* the error in error_text */
    struct weir_attempt *attempts; /* NULL before the first attempt */
    size_t attempt_count;
    size_t attempt_capacity;
};

/* Reads the addresses of @call, starts the lookups of its names, and allocates
 * the listeners. Keeps a socket of @call for the open. Returns 0,
 * WEIR_EDNSBADNAME, -EINVAL or another error, after which nothing is left. */
WEIR_MUST_USE int wr_listener_set_init(struct wr_listener_set *set,
                                       weir_loop *loop,
                                       const struct wr_server_call *call);
void wr_listener_set_fini(struct wr_listener_set *set);

void wr_listener_set_check_invariants(const struct wr_listener_set *set);

/* True while addresses are not known. */
static inline bool wr_listener_set_has_names(const struct wr_listener_set *set)
{
    return !wr_list_is_empty(&set->names.all);
}

/* Waits for the addresses of the names, in a task that has entered. Returns 0
 * when all addresses are known, or an error. */
WEIR_MUST_USE int wr_listener_set_resolve(struct wr_listener_set *set);

/* True if the set is in its state between the start and the close. */
static inline bool wr_listener_set_is_open(const struct wr_listener_set *set)
{
    return set->is_none ? set->count == 0 : set->count > 0;
}

/* Writes the text for @err, or clears it for 0, unless the text of this error
 * was written already. */
void wr_listener_set_tell(struct wr_listener_set *set, int err);

/* Binds all and, unless options.bind_only is set, listens; or opens none. */
WEIR_MUST_USE int wr_listener_set_open(struct wr_listener_set *set);

/* Listens on all bound sockets, or on none. May be repeated after an error. */
WEIR_MUST_USE int wr_listener_set_listen(struct wr_listener_set *set);

/* Closes all; see wr_listener_close(). */
void wr_listener_set_close(struct wr_listener_set *set);

bool wr_listener_set_is_closed(const struct wr_listener_set *set);

uint64_t wr_listener_set_get_armed(const struct wr_listener_set *set);

/* A goal of wr_listener_set_arm(): one accept more. A new accept checks the
 * kernel's queue immediately. */
#define WR_ACCEPT_ANOTHER 0u

/* Arms up to @goal one-shot accepts on each listener, and at most @room on all
 * listeners together, but at least one on each. */
void wr_listener_set_arm(struct wr_listener_set *set, uint32_t goal,
                         uint64_t room);

void wr_listener_set_arm_multishot(struct wr_listener_set *set);

void wr_listener_set_end_multishot(struct wr_listener_set *set);

void wr_listener_set_disarm(struct wr_listener_set *set);

#endif
