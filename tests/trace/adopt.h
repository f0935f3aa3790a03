/*
 * A connection on the fake ring, with a protocol of the test.
 *
 * It is made in the loop's next turn. Its factory gives what stands here until
 * then, of the last connections that a test has adopted.
 */
#ifndef WEIR_TESTS_TRACE_ADOPT_H
#define WEIR_TESTS_TRACE_ADOPT_H

#include "tests/fake/fake.h"
#include "tests/unit.h"

#include <weir.h>

enum { ADOPTED_MAX = 64 };

static inline int adopt_bind(void *arg, weir_transport *t,
                             struct weir_protocol_binding *ret)
{
    *ret = *(struct weir_protocol_binding *)arg;
    return 0;
}

/* Its descriptor. @options: NULL for the default. */
static inline int adopt(weir_loop *on, const struct weir_protocol *protocol,
                        void *user, const struct weir_connect_options *options,
                        struct fake_peer **ret_peer)
{
    static struct weir_protocol_binding bindings[ADOPTED_MAX];
    static unsigned count;
    struct weir_protocol_binding *binding = &bindings[count++ % ADOPTED_MAX];
    const struct weir_factory factory = {.create = adopt_bind, .arg = binding};
    const int fd = fake_connected_fd(ret_peer);

    *binding =
        (struct weir_protocol_binding){.protocol = protocol, .user = user};
    expect_ok(
        weir_adopt_connection(on, &factory, fd, options, NULL, NULL, NULL));
    return fd;
}

#endif
