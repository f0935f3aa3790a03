/*
 * Sets the water marks of a transport in one line of a test.
 *
 * The public call takes a struct with named members, so that the two marks
 * cannot be confused.
 */
#ifndef WEIR_TESTS_MARKS_H
#define WEIR_TESTS_MARKS_H

#include <weir/transport.h>

static inline int set_marks(weir_transport *t, int64_t high_bytes,
                            int64_t low_bytes)
{
    const struct weir_water_marks marks = {.high_bytes = high_bytes,
                                           .low_bytes = low_bytes};
    return weir_transport_set_write_buffer_limits(t, marks);
}

#endif
