/*
 * A connection on the fake ring, with the test's protocol.
 *
 * It is made in the next iteration of the loop. Until then its factory keeps
 * the facts here, which are about the latest connections of a test.
 */
#ifndef WEIR_TESTS_TRACE_ADOPT_H
#define WEIR_TESTS_TRACE_ADOPT_H

#include "tests/bind.h"
#include "tests/fake/fake.h"
#include "tests/unit.h"

#include <weir/connect_options.h>
#include <weir/error.h>

/* Returns the descriptor. @options may be NULL for the defaults. */
int adopt(weir_loop *on, const struct weir_protocol *protocol, void *user,
          const struct weir_connect_options *options,
          struct fake_peer **ret_peer);

#endif
