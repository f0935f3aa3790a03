/*
 * The makers of connected and accepted Unix sockets.
 *
 * Their names are abstract and chosen by the kernel, so no test has to remove
 * files.
 */
#include "tests/contract/harness.h"

#include <weir/connect.h>

void rig_open_unix_connected(struct rig *rig)
{
    const struct weir_factory factory = {.create = rig_create, .arg = rig};
    struct weir_address addr = {.len = sizeof(sa_family_t),
                                .storage.any.sa_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    expect(fd >= 0);
    expect_eq(bind(fd, &addr.storage.any, addr.len), 0);
    expect_eq(listen(fd, 1), 0);
    addr.len = sizeof(addr.storage);
    expect_eq(getsockname(fd, &addr.storage.any, &addr.len), 0);
    expect_ok(weir_create_connection_at(
        rig->loop, &factory, weir_endpoint_addresses(&addr, 1),
        SIZED(weir_connect_options, .connection = rig->connection), NULL, NULL,
        NULL));
    rig_turn(rig);
    rig->peer = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
    expect(rig->peer >= 0);
    close(fd);
}

void rig_open_unix_accepted(struct rig *rig)
{
    const struct weir_factory factory = {.create = rig_create, .arg = rig};
    struct weir_address addr;
    expect_ok(weir_create_unix_server(
        rig->loop, &factory, "",
        SIZED(weir_server_options, .connection = rig->connection),
        rig_server_done, rig, &rig->server));
    rig_wait_server(rig);
    expect(weir_server_get_socket(rig->server, 0, &addr) >= 0);
    rig->peer = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    expect(rig->peer >= 0);
    expect_eq(connect(rig->peer, &addr.storage.any, addr.len), 0);
}
