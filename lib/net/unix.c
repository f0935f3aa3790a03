/*
 * Makers of Unix connections and servers.
 *
 * A path is one address, and everything else is done by those who take
 * addresses as values: connect.c and server.c.
 */
#include "unix.h"

#include "lib/base/address.h"
#include "lib/transport/socket.h"
#include "weir/unix.h"

/* Reads the address of @path, which must be given unless there is another one,
 * and looks at the family that is insisted on. */
static int unix_read_path(const char *path, bool has_other, int family,
                          struct weir_address *ret)
{
    wr_assert(ret->len == 0);
    wr_require(path ? !has_other : has_other, -EINVAL);
    wr_require(family == AF_UNSPEC || family == AF_UNIX, -EINVAL);
    return path ? weir_address_parse_unix(path, ret) : 0;
}

int wr_unix_connect_start(weir_loop *loop, const struct weir_factory *factory,
                          const char *path,
                          struct weir_connect_options *options,
                          weir_connect **ret)
{
    const bool has_other = options->use_sock || options->address_count > 0;
    struct weir_address address = {.len = 0};

    int err = unix_read_path(path, has_other, options->family, &address);
    if (err < 0) {
        wr_socket_refuse(options->use_sock, options->sock);
        return err;
    }
    if (path) {
        options->addresses = &address;
        options->address_count = 1;
    }
    options->family = AF_UNIX;
    wr_assert(options->use_sock || options->address_count > 0);
    return wr_connect_start(loop, factory, NULL, 0, options, ret);
}

int wr_unix_server_create(weir_loop *loop, const struct weir_factory *factory,
                          const char *path, struct weir_server_options *options,
                          weir_server **ret)
{
    const bool has_other = options->use_sock || options->address_count > 0;
    struct weir_address address = {.len = 0};

    int err = unix_read_path(path, has_other, options->family, &address);
    if (err < 0) {
        wr_socket_refuse(options->use_sock, options->sock);
        return err;
    }
    if (path) {
        options->addresses = &address;
        options->address_count = 1;
    }
    options->family = AF_UNIX;
    wr_assert(options->use_sock || options->address_count > 0);
    return wr_server_create(loop, factory, NULL, 0, options, ret);
}

int weir_create_unix_connection(weir_loop *loop,
                                const struct weir_factory *factory,
                                const char *path,
                                const struct weir_connect_options *options,
                                weir_connect **ret)
{
    struct weir_connect_options known;

    int err = wr_connect_options_take(&known, options);
    wr_require(err >= 0, err);
    return wr_unix_connect_start(loop, factory, path, &known, ret);
}

int weir_create_unix_server(weir_loop *loop, const struct weir_factory *factory,
                            const char *path,
                            const struct weir_server_options *options,
                            weir_server **ret)
{
    struct weir_server_options known;

    int err = wr_server_options_take(&known, options);
    wr_require(err >= 0, err);
    return wr_unix_server_create(loop, factory, path, &known, ret);
}
