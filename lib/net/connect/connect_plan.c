/*
 * Reading the addresses that a connection attempt will try.
 *
 * Text and values become valid addresses alike. Candidates are the addresses
 * that fit the family of the options and the own address.
 */
#include "connect_plan.h"

#include "lib/base/address.h"
#include "lib/names/lookup.h"
#include "lib/transport/socket.h"

#include <weir/error.h>

#define CANDIDATE_LIMIT 4096u

/* Plans for a socket that is adopted. */
static int connect_plan_adopted(struct wr_connect_plan *plan, int fd,
                                const struct weir_connect_options *options)
{
    wr_require(options->local_port == 0 && !options->local_address, -EINVAL);
    int family = wr_socket_check(fd, &plan->single);
    wr_require(family >= 0, family);
    wr_assert(wr_address_is_valid(&plan->single));
    wr_require(options->family == AF_UNSPEC || options->family == family,
               -EINVAL);
    plan->family = family;
    return 0;
}

/* Reads a host: a literal address, or a name that will be looked up. */
static int connect_plan_host(weir_loop *loop, struct wr_connect_plan *plan,
                             const char *host, uint16_t port)
{
    int err = weir_address_parse(host, port, &plan->single);

    if (err == WEIR_ENOTLITERAL) {
        err = wr_lookup_check_name(loop, host);
        wr_require(err >= 0, err);
        plan->name = host;
        plan->port = port;
        return 0;
    }
    plan->addresses = &plan->single;
    plan->address_count = 1;
    return err;
}

/* Reads the addresses that are to be tried. */
static int connect_plan_peers(weir_loop *loop, struct wr_connect_plan *plan,
                              const struct wr_connect_call *call)
{
    if (call->host) {
        wr_assert(!call->addresses);
        return connect_plan_host(loop, plan, call->host, call->port);
    }
    wr_require(call->addresses, -EINVAL);
    wr_require(call->address_count <= CANDIDATE_LIMIT, -EINVAL);
    for (size_t i = 0; i < call->address_count; i++) {
        const struct weir_address *address = &call->addresses[i];
        wr_require(wr_address_is_valid(address), -EINVAL);
        wr_require(!wr_address_is_unnamed(address), -EINVAL);
    }
    plan->addresses = call->addresses;
    plan->address_count = call->address_count;
    return 0;
}

/* Reads the own address, whose family must be that of the peers. */
static int connect_plan_local(struct wr_connect_plan *plan,
                              const struct weir_connect_options *options)
{
    const struct weir_address *local = options->local_address;

    if (local) {
        wr_require(options->local_port == 0, -EINVAL);
        wr_require(wr_address_is_valid(local), -EINVAL);
        plan->local = *local;
    }
    if (plan->local.len > 0) {
        const int family = plan->local.storage.any.sa_family;
        wr_require(plan->family == AF_UNSPEC || plan->family == family,
                   -EINVAL);
        plan->family = family;
    }
    return 0;
}

/* True unless the address has another family than the options, or is a Unix
 * address and the options have an own port or a protocol. */
static bool connect_plan_is_candidate(const struct wr_connect_plan *plan,
                                      const struct weir_address *address)
{
    const int family = address->storage.any.sa_family;
    wr_assert(address->len > 0);
    if (family == AF_UNIX && (plan->local_port != 0 || plan->proto != 0)) {
        return false;
    }
    return plan->family == AF_UNSPEC || plan->family == family;
}

int wr_connect_plan_check(const struct wr_connect_call *call,
                          const struct weir_factory *factory)
{
    const struct weir_connect_options *options = call->options;

    wr_require(factory && factory->create, -EINVAL);
    wr_require(options->family == AF_UNSPEC || options->family == AF_INET ||
                   options->family == AF_INET6 || options->family == AF_UNIX,
               -EINVAL);
    wr_require(options->error_text || options->error_text_size == 0, -EINVAL);
    wr_require(wr_socket_is_proto(options->proto), -EINVAL);
    wr_require(options->proto == 0 || !call->is_adopting, -EINVAL);
    wr_require(!options->fast_open ||
                   (!call->is_adopting && options->proto != IPPROTO_MPTCP),
               -EINVAL);
    return 0;
}

int wr_connect_plan_read(weir_loop *loop, struct wr_connect_plan *plan,
                         const struct wr_connect_call *call)
{
    const struct weir_connect_options *options = call->options;

    *plan = (struct wr_connect_plan){.family = options->family,
                                     .local_port = options->local_port,
                                     .proto = options->proto};
    if (call->is_adopting) {
        return connect_plan_adopted(plan, call->fd, options);
    }
    int err = connect_plan_peers(loop, plan, call);
    if (err >= 0) {
        err = connect_plan_local(plan, options);
    }
    wr_require(err >= 0, err);
    if (plan->name) {
        wr_require(plan->family != AF_UNIX, -EINVAL);
        return 0;
    }
    for (size_t i = 0; i < plan->address_count; i++) {
        plan->candidate_count +=
            connect_plan_is_candidate(plan, &plan->addresses[i]);
    }
    wr_require(plan->candidate_count > 0, -EINVAL);
    return 0;
}

void wr_connect_plan_add(const struct wr_connect_plan *plan,
                         struct wr_eyeballs *eyeballs)
{
    for (size_t i = 0; i < plan->address_count; i++) {
        if (connect_plan_is_candidate(plan, &plan->addresses[i])) {
            wr_eyeballs_add(eyeballs, &plan->addresses[i]);
        }
    }
    wr_assert(eyeballs->count == plan->candidate_count);
}
