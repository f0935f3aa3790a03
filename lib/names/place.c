/*
 * Making and reading struct weir_place.
 *
 * A struct wr_place refers to the memory of the program or, if the text was an
 * address, to itself.
 */
#include "place.h"

#include "lib/base/address.h"
#include "lookup.h"
#include "weir/error.h"

struct weir_place weir_place_none(void)
{
    return weir_place_host(NULL, 0);
}

struct weir_place weir_place_host(const char *host, uint16_t port)
{
    return (struct weir_place){
        .kind = WEIR_PLACE_HOST, .host = host, .port = port};
}

struct weir_place weir_place_addresses(const struct weir_address *addresses,
                                       size_t count)
{
    return (struct weir_place){.kind = WEIR_PLACE_ADDRESSES,
                               .addresses = addresses,
                               .address_count = count};
}

struct weir_place weir_place_unix(const char *path)
{
    return (struct weir_place){.kind = WEIR_PLACE_UNIX, .path = path};
}

struct weir_place weir_place_fd(int fd)
{
    return (struct weir_place){.kind = WEIR_PLACE_FD, .fd = fd};
}

struct weir_place weir_place_read_pipe(int fd)
{
    return (struct weir_place){.kind = WEIR_PLACE_READ_PIPE, .fd = fd};
}

struct weir_place weir_place_write_pipe(int fd)
{
    return (struct weir_place){.kind = WEIR_PLACE_WRITE_PIPE, .fd = fd};
}

static int place_read_host(weir_loop *loop, const struct weir_place *place,
                           struct wr_place *ret)
{
    const int err = weir_address_parse(place->host, place->port, &ret->single);

    wr_assert(ret->count == 0 && !ret->name);
    if (err == WEIR_ENOTLITERAL) {
        ret->name = place->host;
        ret->port = place->port;
        return wr_lookup_check_name(loop, place->host);
    }
    ret->count = 1;
    return err;
}

static int place_read_addresses(const struct weir_place *place, size_t limit,
                                struct wr_place *ret)
{
    wr_assert(ret->count == 0 && !ret->name);
    wr_require(place->addresses && place->address_count > 0, -EINVAL);
    wr_require(place->address_count <= limit, -EINVAL);
    for (size_t i = 0; i < place->address_count; i++) {
        wr_require(wr_address_is_valid(&place->addresses[i]), -EINVAL);
    }
    ret->addresses = place->addresses;
    ret->count = place->address_count;
    return 0;
}

int wr_place_read(weir_loop *loop, const struct weir_place *place, size_t limit,
                  struct wr_place *ret)
{
    *ret = (struct wr_place){.addresses = &ret->single};
    switch (place->kind) {
    case WEIR_PLACE_HOST:
        return place->host ? place_read_host(loop, place, ret) : 0;
    case WEIR_PLACE_ADDRESSES:
        return place_read_addresses(place, limit, ret);
    case WEIR_PLACE_UNIX:
        wr_require(place->path, -EINVAL);
        ret->count = 1;
        return weir_address_parse_unix(place->path, &ret->single);
    case WEIR_PLACE_FD:
        return 0;
    case WEIR_PLACE_READ_PIPE:
    case WEIR_PLACE_WRITE_PIPE:
        break;
    }
    return -EINVAL;
}
