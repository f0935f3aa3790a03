/*
 * Makers of Unix connections and servers.
 *
 * A path is one address, and everything else is done by those who take
 * addresses as values: connect.c and server.c.
 */
#include "unix.h"

#include "lib/base/address.h"
#include "lib/base/options.h"
#include "lib/transport/sock.h"
#include "weir/unix.h"

/* Reads @path, which must be given unless there are addresses or a socket. */
static int unix_read_path(const char *path, bool has_other,
                          struct weir_address *ret)
{
    wr_assert(ret->len == 0);
    wr_require(path ? !has_other : has_other, -EINVAL);
    return path ? weir_address_parse_unix(path, ret) : 0;
}

int wr_unix_connect_start(weir_loop *loop, const struct weir_factory *factory,
                          const char *path,
                          struct weir_connect_options *options,
                          weir_connect **ret)
{
    struct weir_address address = {.len = 0};

    int err = unix_read_path(
        path, options->use_sock || options->address_count > 0, &address);
    if (err >= 0 && options->family != AF_UNSPEC &&
        options->family != AF_UNIX) {
        err = -EINVAL;
    }
    if (err < 0) {
        wr_socket_refuse(options->use_sock, options->sock);
        return err;
    }
    if (path) {
        options->addresses = &address;
        options->address_count = 1;
    }
    wr_assert(options->use_sock || options->address_count > 0);
    options->family = AF_UNIX;
    return wr_connect_start(loop, factory, NULL, 0, options, ret);
}

int wr_unix_server_create(weir_loop *loop, const struct weir_factory *factory,
                          const char *path, struct weir_server_options *options,
                          weir_server **ret)
{
    struct weir_address address = {.len = 0};

    int err = unix_read_path(
        path, options->use_sock || options->address_count > 0, &address);
    if (err >= 0 && options->family != AF_UNSPEC &&
        options->family != AF_UNIX) {
        err = -EINVAL;
    }
    if (err < 0) {
        wr_socket_refuse(options->use_sock, options->sock);
        return err;
    }
    if (path) {
        options->addresses = &address;
        options->address_count = 1;
    }
    wr_assert(options->use_sock || options->address_count > 0);
    options->family = AF_UNIX;
    return wr_server_create(loop, factory, NULL, 0, options, ret);
}

int weir_create_unix_connection(weir_loop *loop,
                                const struct weir_factory *factory,
                                const char *path,
                                const struct weir_connect_options *options,
                                weir_connect **ret)
{
    struct weir_connect_options known;

    int err = wr_options_read(&known, sizeof(known), options);
    if (err == 0) {
        err = wr_connection_options_read(&known, &known.connection);
    }
    if (err < 0) {
        wr_socket_refuse(known.use_sock, known.sock);
        return err;
    }
    return wr_unix_connect_start(loop, factory, path, &known, ret);
}

int weir_create_unix_server(weir_loop *loop, const struct weir_factory *factory,
                            const char *path,
                            const struct weir_server_options *options,
                            weir_server **ret)
{
    struct weir_server_options known;

    int err = wr_options_read(&known, sizeof(known), options);
    if (err == 0) {
        err = wr_connection_options_read(&known, &known.connection);
    }
    if (err < 0) {
        wr_socket_refuse(known.use_sock, known.sock);
        return err;
    }
    return wr_unix_server_create(loop, factory, path, &known, ret);
}
