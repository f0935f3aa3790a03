/*
 * Reading which addresses a connection attempt is to try.
 *
 * Text and values are read alike, into addresses that are known to be good.
 * Candidates are the addresses that fit the family that was asked for and the
 * own address.
 */
#include "connect_plan.h"

#include "lib/base/address.h"
#include "lib/names/name.h"
#include "lib/transport/socket.h"

#include <weir/error.h>

#define CANDIDATE_LIMIT 4096u

/* Plans for a socket that the program brings. */
static int connect_plan_adopted(struct wr_connect_plan *plan,
                                const struct weir_connect_options *options)
{
    wr_require(!options->local_host && options->local_port == 0 &&
                   !options->local_address,
               -EINVAL);
    int family = wr_socket_check(options->sock, &plan->single);
    wr_require(family >= 0, family);
    wr_assert(wr_address_is_valid(&plan->single));
    wr_require(options->family == AF_UNSPEC || options->family == family,
               -EINVAL);
    plan->family = family;
    return 0;
}

/* Reads a host: a literal address, or a name that will be looked up. */
static int connect_plan_host(struct wr_connect_plan *plan, const char *host,
                             uint16_t port)
{
    const int err = weir_address_parse(host, port, &plan->single);

    if (err == WEIR_ENOTLITERAL) {
        wr_require(wr_name_is_valid(host), WEIR_EDNSBADNAME);
        plan->name = host;
        plan->port = port;
        return 0;
    }
    plan->addresses = &plan->single;
    plan->address_count = 1;
    return err;
}

/* Reads the addresses that are to be tried. */
static int connect_plan_peers(struct wr_connect_plan *plan, const char *host,
                              uint16_t port,
                              const struct weir_connect_options *options)
{
    if (options->address_count == 0) {
        wr_require(host, -EINVAL);
        return connect_plan_host(plan, host, port);
    }
    wr_require(!host && port == 0 && options->addresses, -EINVAL);
    wr_require(options->address_count <= CANDIDATE_LIMIT, -EINVAL);
    for (size_t i = 0; i < options->address_count; i++) {
        const struct weir_address *address = &options->addresses[i];
        wr_require(wr_address_is_valid(address), -EINVAL);
        wr_require(!wr_address_is_unnamed(address), -EINVAL);
    }
    plan->addresses = options->addresses;
    plan->address_count = options->address_count;
    return 0;
}

/* Reads the own address, which the peers' must be of a family with. */
static int connect_plan_local(struct wr_connect_plan *plan,
                              const struct weir_connect_options *options)
{
    const struct weir_address *local = options->local_address;
    const char *host = options->local_host;

    if (local) {
        wr_require(!host && options->local_port == 0, -EINVAL);
        wr_require(wr_address_is_valid(local), -EINVAL);
        plan->local = *local;
    } else if (host) {
        int err = weir_address_parse(host, options->local_port, &plan->local);
        wr_require(err >= 0, err);
    }
    if (plan->local.len > 0) {
        const int family = plan->local.storage.any.sa_family;
        wr_require(plan->family == AF_UNSPEC || plan->family == family,
                   -EINVAL);
        plan->family = family;
    }
    return 0;
}

/* An address of another family than was asked for is left out, and a Unix one
 * if an own port was, or a protocol. */
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

static int connect_plan_read_all(struct wr_connect_plan *plan, const char *host,
                                 uint16_t port,
                                 const struct weir_connect_options *options)
{
    if (options->use_sock) {
        wr_require(!host && port == 0 && options->address_count == 0, -EINVAL);
        return connect_plan_adopted(plan, options);
    }
    int err = connect_plan_peers(plan, host, port, options);
    return err < 0 ? err : connect_plan_local(plan, options);
}

int wr_connect_plan_check(const struct weir_connect_options *options,
                          const struct weir_factory *factory)
{
    wr_require(factory && factory->create, -EINVAL);
    wr_require(options->family == AF_UNSPEC || options->family == AF_INET ||
                   options->family == AF_INET6 || options->family == AF_UNIX,
               -EINVAL);
    wr_require(options->error_text || options->error_text_size == 0, -EINVAL);
    wr_require(wr_socket_is_proto(options->proto), -EINVAL);
    wr_require(options->proto == 0 || !options->use_sock, -EINVAL);
    return 0;
}

int wr_connect_plan_read(struct wr_connect_plan *plan, const char *host,
                         uint16_t port,
                         const struct weir_connect_options *options)
{
    *plan = (struct wr_connect_plan){.family = options->family,
                                     .local_port = options->local_port,
                                     .proto = options->proto};
    int err = connect_plan_read_all(plan, host, port, options);
    wr_require(err >= 0, err);
    if (options->use_sock) {
        return 0;
    }
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
