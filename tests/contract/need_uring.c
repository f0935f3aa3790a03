/*
 * Tests of io_uring itself; see need_uring.h.
 *
 * Creating a loop shows whether io_uring is available. Any other error fails
 * the test.
 */
#include "tests/contract/need_uring.h"

#include "tests/unit.h"

#include <weir/error.h>
#include <weir/loop.h>

void need_uring(void)
{
    const struct weir_loop_options options = {.size = sizeof(options),
                                              .engine = WEIR_ENGINE_URING};
    weir_loop *other = NULL;
    const int err = weir_loop_new(&options, &other);
    if (err == WEIR_ERINGOLD || err == WEIR_ERINGABSENT) {
        cr_skip_test("%s", weir_strerror(err));
    }
    cr_assert_eq(err, 0);
    cr_assert_eq(weir_loop_free(other), 0);
}
