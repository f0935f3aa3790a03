/*
 * Reading the addresses of a datagram endpoint.
 *
 * Addresses are text or values of one family, or belong to a socket that is
 * adopted. Text that is not an address is a name, which is looked up later.
 */
#include "endpoint.h"

#include "lib/base/address.h"
#include "lib/transport/datagram/datagram.h"

/* Reads one side: an address, len 0 if there is none, or a name. */
static int endpoint_plan_read_side(weir_loop *loop,
                                   const struct weir_place *place,
                                   struct weir_address *ret, bool *ret_is_name)
{
    struct wr_place known;

    wr_assert(ret->len == 0);
    const int err = wr_place_read(loop, place, 1, &known);
    wr_require(err >= 0, err);
    *ret_is_name = known.name != NULL;
    if (known.count == 1) {
        *ret = known.addresses[0];
    }
    return 0;
}

static bool endpoint_plan_is_family(int family)
{
    return family == AF_INET || family == AF_INET6 || family == AF_UNIX;
}

/* The common family of the options and addresses, or -EINVAL. */
static int
endpoint_plan_find_family(const struct wr_endpoint_plan *plan,
                          const struct weir_datagram_options *options)
{
    const int asked[] = {
        options->family,
        plan->local.len > 0 ? plan->local.storage.any.sa_family : AF_UNSPEC,
        plan->remote.len > 0 ? plan->remote.storage.any.sa_family : AF_UNSPEC,
    };
    int family = AF_UNSPEC;

    for (size_t i = 0; i < sizeof(asked) / sizeof(asked[0]); i++) {
        if (asked[i] != AF_UNSPEC) {
            wr_require(family == AF_UNSPEC || family == asked[i], -EINVAL);
            family = asked[i];
        }
    }
    if (wr_endpoint_plan_has_names(plan)) {
        wr_require(family != AF_UNIX, -EINVAL);
        if (family == AF_UNSPEC && options->allow_broadcast) {
            return AF_INET; /* the other one has no broadcasts */
        }
        return family == AF_UNSPEC || endpoint_plan_is_family(family)
                   ? family
                   : -EAFNOSUPPORT;
    }
    if (family == AF_UNSPEC && plan->local_port > 0) {
        family = AF_INET6;
    }
    wr_assert(family >= 0);
    wr_require(family != AF_UNSPEC, -EINVAL);
    return endpoint_plan_is_family(family) ? family : -EAFNOSUPPORT;
}

/* A port, or the kernel's choice. */
int wr_endpoint_plan_choose_local(struct wr_endpoint_plan *plan,
                                  const struct weir_datagram_options *options)
{
    const bool leads_to_peer =
        plan->remote.len > 0 && !options->allow_broadcast;

    wr_assert(plan->family != AF_UNSPEC);
    if (plan->local.len > 0) {
        return 0;
    }
    if (plan->family == AF_UNIX) {
        wr_require(plan->local_port == 0, -EINVAL);
        return 0;
    }
    if (leads_to_peer && plan->local_port == 0) {
        return 0; /* connecting chooses both address and port */
    }
    return wr_address_passive(plan->family, NULL, plan->local_port,
                              &plan->local);
}

/* The family of a datagram socket that is adopted. */
static int endpoint_plan_check_socket(int fd)
{
    int type = 0;
    int family = 0;
    socklen_t len = sizeof(type);

    int err = wr_sys_getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len);
    if (err == -ENOTSOCK) {
        return -EINVAL;
    }
    wr_require(err >= 0, err);
    wr_require(type == SOCK_DGRAM, -EINVAL);
    len = sizeof(family);
    err = wr_sys_getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &family, &len);
    wr_require(err >= 0, err);
    return endpoint_plan_is_family(family) ? family : -EAFNOSUPPORT;
}

static int endpoint_plan_adopt(struct wr_endpoint_plan *plan,
                               const struct wr_endpoint_call *call)
{
    const struct weir_datagram_options *options = call->options;

    wr_require(plan->remote.len == 0 && !plan->is_remote_name, -EINVAL);
    int family = endpoint_plan_check_socket(call->local.fd);
    wr_require(family >= 0, family);
    wr_require(options->family == AF_UNSPEC || options->family == family,
               -EINVAL);
    plan->family = family;
    return 0;
}

/* Takes the places of the options, where the call has none; not both. */
static int endpoint_plan_choose_places(struct wr_endpoint_call *call)
{
    const struct weir_datagram_options *options = call->options;

    if (call->has_places) {
        return options->local_host || options->local_port != 0 ||
                       options->remote_host || options->remote_port != 0
                   ? -EINVAL
                   : 0;
    }
    call->local = weir_place_host(options->local_host, options->local_port);
    call->remote = weir_place_host(options->remote_host, options->remote_port);
    return 0;
}

int wr_endpoint_plan_read(weir_loop *loop, struct wr_endpoint_plan *plan,
                          struct wr_endpoint_call *call)
{
    *plan = (struct wr_endpoint_plan){.family = AF_UNSPEC};
    int err = endpoint_plan_choose_places(call);
    wr_require(err >= 0, err);
    wr_require(call->options->family != AF_UNIX ||
                   (!wr_place_get_host(&call->local) &&
                    !wr_place_get_host(&call->remote)),
               -EINVAL);
    wr_require(call->remote.kind != WEIR_PLACE_FD, -EINVAL);
    wr_require(call->remote.kind != WEIR_PLACE_HOST || call->remote.host ||
                   call->remote.port == 0,
               -EINVAL);
    plan->local_port = call->local.port;
    err = endpoint_plan_read_side(loop, &call->local, &plan->local,
                                  &plan->is_local_name);
    wr_require(err >= 0, err);
    err = endpoint_plan_read_side(loop, &call->remote, &plan->remote,
                                  &plan->is_remote_name);
    wr_require(err >= 0, err);
    if (call->local.kind == WEIR_PLACE_FD) {
        return endpoint_plan_adopt(plan, call);
    }
    plan->family = endpoint_plan_find_family(plan, call->options);
    wr_require(plan->family >= 0, plan->family);
    return wr_endpoint_plan_has_names(plan)
               ? 0
               : wr_endpoint_plan_choose_local(plan, call->options);
}
