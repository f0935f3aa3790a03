/*
 * The endpoint of an upstream: its addresses, and how they are reached.
 *
 * The addresses of a name are looked up periodically, independently of
 * connections. A lookup that fails keeps the addresses of the last successful
 * one. Until there is one, a connection looks the name up itself.
 *
 * The name of a service represents the hosts of its records: their addresses
 * have ports and ranks of their own, and no connection is made with the name.
 */
#ifndef WEIR_LIB_PROXY_UPSTREAM_TARGET_H
#define WEIR_LIB_PROXY_UPSTREAM_TARGET_H

#include "check.h"
#include "weir/connect_options.h"
#include "weir/upstream.h"

struct wr_target {
    weir_loop *loop;
    const char *host;           /* the owner's memory, or NULL */
    uint16_t port;              /* port for the addresses of a name */
    struct weir_address single; /* the address, if there is no name */
    struct weir_address *addresses;
    size_t address_count; /* 0 before the name was looked up */
    /* Local address of connections; len 0 means any. */
    struct weir_address local;
    struct wr_secure_settings tls;
    bool is_name; /* the host must be looked up */
    /* The name of a service, or NULL. Then the host is its domain, and
     * after the addresses ->addresses has their ranks (srv.h). */
    const char *service;
    /* Called when a lookup has ended, successfully or not; may be NULL. */
    void (*resolved)(struct wr_target *target, bool is_good);
    /* Connections use the addresses that this target has looked up, and look
     * nothing up themselves. */
    bool is_waited_for;
    bool is_asking;
    bool is_retired; /* no lookup starts any more */
    union {          /* while is_asking */
        weir_lookup lookup;
        struct wr_srv srv; /* of a service */
    };
    struct wr_timer timer; /* the next lookup */
    uint64_t resolve_ns;
    uint64_t error_count; /* lookups that have failed */
};

/* The result points to program memory. Fails like weir_upstreams_add(). */
WEIR_MUST_USE int wr_target_read_endpoint(weir_loop *loop,
                                          const struct weir_endpoint *endpoint,
                                          struct wr_endpoint *ret);

/* Returns 0, or an error of the TLS settings. @host is a copy, or NULL. */
WEIR_MUST_USE int wr_target_init(struct wr_target *target, weir_loop *loop,
                                 const struct wr_endpoint *endpoint,
                                 const char *host,
                                 const struct weir_tls_settings *tls,
                                 uint64_t resolve_ns);

/* Replaces existing TLS settings. Returns 0 or -EINVAL. */
WEIR_MUST_USE int wr_target_set_tls(struct wr_target *target,
                                    const struct weir_tls_settings *settings);

/* Sets the name of a service, which ends with the host. */
void wr_target_set_service(struct wr_target *target, const char *service);

/* Returns the domain of a service: without the labels that begin with '_'. */
const char *wr_target_skip_labels(const char *service);

/* Returns the size of @count addresses, with ranks if it is a service. */
static inline size_t wr_target_get_size(const struct wr_target *target,
                                        size_t count)
{
    wr_assert(target->is_name);
    return target->service ? wr_srv_get_size(count)
                           : count * sizeof(struct weir_address);
}

/* Takes ownership of addresses from the loop's allocator. */
void wr_target_begin(struct wr_target *target, struct weir_address *addresses,
                     size_t count);

void wr_target_fini(struct wr_target *target);

/* Starts to look up the name, if any. Returns 0, or an error of the name. */
WEIR_MUST_USE int wr_target_start(struct wr_target *target);

/* Starts no lookup after the one that is running, if any. */
void wr_target_retire(struct wr_target *target);

void wr_target_stop(struct wr_target *target);

/* Space for "HOST:PORT": a name or an address with a zone, brackets, a port. */
#define WR_ENDPOINT_SIZE 320u

void wr_target_write_endpoint(const char *host, uint16_t port,
                              char ret[WR_ENDPOINT_SIZE]);

/* Writes the Host field of a check's HTTP requests (RFC 9110, 7.2). The host is
 * the certificate name that @tls or else the target's TLS requires, or else the
 * host of the endpoint; the port is the check's or, if that is 0, the
 * endpoint's. A Unix socket has no port. The endpoint is the check's own, if it
 * has one, or else the upstream's. */
void wr_target_write_authority(const struct wr_target *target,
                               const struct wr_check *check,
                               const struct wr_secure_settings *tls,
                               char ret[WR_ENDPOINT_SIZE]);

/* Connects to @host if it is not NULL. The options must not have TLS. */
WEIR_MUST_USE int wr_target_connect(struct wr_target *target,
                                    const struct weir_factory *factory,
                                    const char *host, uint16_t port,
                                    const struct weir_connect_options *options,
                                    weir_connect_done_fn *done, void *done_arg,
                                    weir_pending **ret);

/* A check with another port tries at most this many addresses of a name. */
#define WR_TARGET_PORTS_MAX 8u

/* Connects in a task for a check, like weir_open_connection(), with @ret_alert
 * as its tls_alert. @tls may be NULL; TLS can be started later
 * (wr_target_get_tls()). */
WEIR_MUST_USE int
wr_target_open(const struct wr_target *target, const struct wr_check *check,
               const struct wr_secure_settings *tls, const char **ret_alert,
               weir_reader **ret_reader, weir_writer **ret_writer);

/* Returns the settings as options, borrowed. */
struct weir_tls_settings
wr_target_get_tls(const struct wr_secure_settings *tls);

#endif
