/*
 * A connection on the fake ring, with the test's protocol.
 *
 * The test plays the other end, which the machine has. The factory has the
 * protocol only during the call, because the library copies it.
 */
#include "tests/trace/adopt.h"

#include <weir/connect.h>

int adopt(weir_loop *on, const struct weir_protocol *protocol, void *user,
          const struct weir_connect_options *options,
          struct fake_peer **ret_peer)
{
    const struct weir_factory factory = bind_to(protocol, user);
    const int fd = fake_connected_fd(ret_peer);

    expect_ok(weir_create_connection_at(on, &factory, weir_endpoint_fd(fd),
                                        options, NULL, NULL, NULL));
    return fd;
}
