/*
 * The endpoint to which a connection is made, and the options that limit it.
 * Candidates are the addresses that have the family of the options and of the
 * local address.
 */
#include "connect.h"

#include "lib/base/address.h"
#include "lib/transport/pipe/pipe.h"
#include "lib/transport/socket.h"

#define CANDIDATE_LIMIT 4096u

/* Returns AF_UNSPEC if no family is set, or an error if the families differ. */
static int connect_endpoint_find_family(const struct wr_connect_call *call)
{
    const struct weir_connect_options *options = call->options;
    const struct weir_address *local = options->local_address;
    struct weir_address peer;
    int family = AF_UNSPEC;

    wr_assert(options->size > 0);
    if (call->endpoint.kind == WEIR_ENDPOINT_FD) {
        family = wr_socket_check(call->endpoint.fd, &peer);
        wr_require(family >= 0, family);
    } else if (local) {
        wr_require(wr_address_is_valid(local), -EINVAL);
        family = local->storage.any.sa_family;
    }
    wr_require(options->family == AF_UNSPEC || family == AF_UNSPEC ||
                   family == options->family,
               -EINVAL);
    return family == AF_UNSPEC ? options->family : family;
}

static int connect_endpoint_check(const struct wr_connect_call *call)
{
    const struct weir_connect_options *options = call->options;
    const bool is_adopting = wr_endpoint_is_open(&call->endpoint);

    wr_require(options->family == AF_UNSPEC || options->family == AF_INET ||
                   options->family == AF_INET6 || options->family == AF_UNIX,
               -EINVAL);
    wr_require(options->error_text || options->error_text_size == 0, -EINVAL);
    wr_require(wr_socket_is_proto(options->proto), -EINVAL);
    wr_require(!options->fast_open || options->proto != IPPROTO_MPTCP, -EINVAL);
    wr_require(!options->local_address || options->local_port == 0, -EINVAL);
    wr_require(!is_adopting ||
                   (options->proto == 0 && !options->fast_open &&
                    !options->local_address && options->local_port == 0),
               -EINVAL);
    return 0;
}

int wr_connect_read_endpoint(weir_loop *loop,
                             const struct wr_connect_call *call,
                             struct wr_endpoint *ret)
{
    int err = connect_endpoint_check(call);
    wr_require(err >= 0, err);
    if (wr_endpoint_is_pipe(&call->endpoint)) {
        *ret = (struct wr_endpoint){.count = 0};
        /* A pipe has no family, and no TLS. */
        wr_require(call->options->family == AF_UNSPEC && !call->options->tls,
                   -EINVAL);
        return wr_pipe_check(call->endpoint.fd,
                             call->endpoint.kind == WEIR_ENDPOINT_READ_PIPE
                                 ? WR_PIPE_READ
                                 : WR_PIPE_WRITE);
    }
    err = wr_endpoint_read(loop, &call->endpoint, CANDIDATE_LIMIT, ret);
    wr_require(err >= 0, err);
    return connect_endpoint_find_family(call);
}

int wr_connect_fill_race(struct wr_race *race, int family,
                         const struct wr_endpoint *endpoint)
{
    const struct wr_attempt_options *options = &race->options.attempt;

    wr_assert(!race->is_over);
    wr_assert(!endpoint->name || endpoint->count == 0);
    if (endpoint->name) {
        wr_require(family != AF_UNIX, -EINVAL);
        return wr_race_add_name(race, endpoint->name, endpoint->port, family);
    }
    for (size_t i = 0; i < endpoint->count; i++) {
        const struct weir_address *address = &endpoint->addresses[i];
        wr_require(!wr_address_is_unnamed(address), -EINVAL);
        const int own = address->storage.any.sa_family;
        wr_assert(address->len > 0);
        /* Skips addresses of other families, and Unix addresses if the options
         * have a local port or a protocol. */
        if ((family == AF_UNSPEC || family == own) &&
            (own != AF_UNIX ||
             (options->local_port == 0 && options->proto == 0))) {
            wr_eyeballs_add(&race->eyeballs, address);
        }
    }
    wr_assert(race->eyeballs.count <= endpoint->count);
    return race->eyeballs.count > 0 ? 0 : -EINVAL;
}
