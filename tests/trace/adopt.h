/*
 * A connection on the fake ring, with a protocol of the test.
 *
 * It is made in the loop's next turn. Its factory gives what stands here until
 * then, of the last connections that a test has adopted.
 */
#ifndef WEIR_TESTS_TRACE_ADOPT_H
#define WEIR_TESTS_TRACE_ADOPT_H

#include "tests/bind.h"
#include "tests/fake/fake.h"
#include "tests/unit.h"

#include <weir/connect_options.h>
#include <weir/error.h>

/* Its descriptor. @options: NULL for the default. */
int adopt(weir_loop *on, const struct weir_protocol *protocol, void *user,
          const struct weir_connect_options *options,
          struct fake_peer **ret_peer);

#endif
