/*
 * Making and reading struct weir_endpoint.
 *
 * A struct wr_endpoint refers to the memory of the program or, if the text was
 * an address, to itself.
 */
#include "endpoint.h"

#include "lib/base/address.h"
#include "lookup.h"
#include "weir/error.h"

struct weir_endpoint weir_endpoint_none(void)
{
    return weir_endpoint_host(NULL, 0);
}

struct weir_endpoint weir_endpoint_host(const char *host, uint16_t port)
{
    return (struct weir_endpoint){
        .kind = WEIR_ENDPOINT_HOST, .host = host, .port = port};
}

struct weir_endpoint
weir_endpoint_addresses(const struct weir_address *addresses, size_t count)
{
    return (struct weir_endpoint){.kind = WEIR_ENDPOINT_ADDRESSES,
                                  .addresses = addresses,
                                  .address_count = count};
}

struct weir_endpoint weir_endpoint_unix(const char *path)
{
    return (struct weir_endpoint){.kind = WEIR_ENDPOINT_UNIX, .path = path};
}

struct weir_endpoint weir_endpoint_fd(int fd)
{
    return (struct weir_endpoint){.kind = WEIR_ENDPOINT_FD, .fd = fd};
}

struct weir_endpoint weir_endpoint_read_pipe(int fd)
{
    return (struct weir_endpoint){.kind = WEIR_ENDPOINT_READ_PIPE, .fd = fd};
}

struct weir_endpoint weir_endpoint_write_pipe(int fd)
{
    return (struct weir_endpoint){.kind = WEIR_ENDPOINT_WRITE_PIPE, .fd = fd};
}

static int endpoint_read_host(weir_loop *loop,
                              const struct weir_endpoint *endpoint,
                              struct wr_endpoint *ret)
{
    const int err =
        weir_address_parse(endpoint->host, endpoint->port, &ret->single);

    wr_assert(ret->count == 0 && !ret->name);
    if (err == WEIR_ENOTLITERAL) {
        ret->name = endpoint->host;
        ret->port = endpoint->port;
        return wr_lookup_check_name(loop, endpoint->host);
    }
    ret->count = 1;
    return err;
}

static int endpoint_read_addresses(const struct weir_endpoint *endpoint,
                                   size_t limit, struct wr_endpoint *ret)
{
    wr_assert(ret->count == 0 && !ret->name);
    wr_require(endpoint->addresses && endpoint->address_count > 0, -EINVAL);
    wr_require(endpoint->address_count <= limit, -EINVAL);
    for (size_t i = 0; i < endpoint->address_count; i++) {
        wr_require(wr_address_is_valid(&endpoint->addresses[i]), -EINVAL);
    }
    ret->addresses = endpoint->addresses;
    ret->count = endpoint->address_count;
    return 0;
}

int wr_endpoint_read(weir_loop *loop, const struct weir_endpoint *endpoint,
                     size_t limit, struct wr_endpoint *ret)
{
    *ret = (struct wr_endpoint){.addresses = &ret->single};
    switch (endpoint->kind) {
    case WEIR_ENDPOINT_HOST:
        return endpoint->host ? endpoint_read_host(loop, endpoint, ret) : 0;
    case WEIR_ENDPOINT_ADDRESSES:
        return endpoint_read_addresses(endpoint, limit, ret);
    case WEIR_ENDPOINT_UNIX:
        wr_require(endpoint->path, -EINVAL);
        ret->count = 1;
        return weir_address_parse_unix(endpoint->path, &ret->single);
    case WEIR_ENDPOINT_FD:
        return 0;
    case WEIR_ENDPOINT_READ_PIPE:
    case WEIR_ENDPOINT_WRITE_PIPE:
        break;
    }
    return -EINVAL;
}
