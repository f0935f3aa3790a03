/*
 * Reading the addresses of a datagram endpoint.
 *
 * Addresses are text or values of one family, or belong to a socket that is
 * adopted. Text that is not an address is a name, which is looked up later.
 */
#include "endpoint.h"

#include "lib/base/address.h"
#include "lib/transport/datagram/datagram.h"
#include "weir/error.h"

/* An address as text or as a value; len 0 when neither is given, or a name. */
static int endpoint_plan_parse(const char *host, uint16_t port,
                               const struct weir_address *value,
                               struct weir_address *ret, bool *ret_is_name)
{
    wr_assert(ret->len == 0);
    *ret_is_name = false;
    if (value) {
        wr_require(!host && port == 0, -EINVAL);
        wr_require(wr_address_is_valid(value), -EINVAL);
        *ret = *value;
        return 0;
    }
    int err = host ? weir_address_parse(host, port, ret) : 0;
    *ret_is_name = err == WEIR_ENOTLITERAL;
    return *ret_is_name ? 0 : err;
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
    if (family == AF_UNSPEC && options->local_port > 0) {
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
        wr_require(options->local_port == 0, -EINVAL);
        return 0;
    }
    if (leads_to_peer && options->local_port == 0) {
        return 0; /* connecting chooses both address and port */
    }
    return wr_address_passive(plan->family, NULL, options->local_port,
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

    wr_require(plan->local.len == 0 && plan->remote.len == 0, -EINVAL);
    wr_require(!wr_endpoint_plan_has_names(plan), -EINVAL);
    wr_require(options->local_port == 0, -EINVAL);
    int family = endpoint_plan_check_socket(call->fd);
    wr_require(family >= 0, family);
    wr_require(options->family == AF_UNSPEC || options->family == family,
               -EINVAL);
    plan->family = family;
    return 0;
}

int wr_endpoint_plan_read(struct wr_endpoint_plan *plan,
                          const struct wr_endpoint_call *call)
{
    const struct weir_datagram_options *options = call->options;

    *plan = (struct wr_endpoint_plan){.family = AF_UNSPEC};
    int err = endpoint_plan_parse(
        options->local_host, options->local_host ? options->local_port : 0,
        call->local, &plan->local, &plan->is_local_name);
    wr_require(err >= 0, err);
    wr_require(!call->local || options->local_port == 0, -EINVAL);
    wr_require(options->remote_host || options->remote_port == 0, -EINVAL);
    err =
        endpoint_plan_parse(options->remote_host, options->remote_port,
                            call->remote, &plan->remote, &plan->is_remote_name);
    wr_require(err >= 0, err);
    if (call->is_adopting) {
        return endpoint_plan_adopt(plan, call);
    }
    plan->family = endpoint_plan_find_family(plan, options);
    wr_require(plan->family >= 0, plan->family);
    return wr_endpoint_plan_has_names(plan)
               ? 0
               : wr_endpoint_plan_choose_local(plan, options);
}
