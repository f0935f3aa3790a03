/*
 * The part of a transport's table that a test of one module never calls.
 *
 * A table must be complete when its transport is made. The test defines the
 * entries that it checks, for example `abort`, `abandon`, `check` and `free`.
 */
#ifndef WEIR_TESTS_UNIT_TABLE_H
#define WEIR_TESTS_UNIT_TABLE_H

#include "lib/transport/transport.h"
#include "tests/unit.h"

/* For `abort`, `abandon` and `free`. */
static inline void table_not_called(weir_transport *t)
{
    cr_assert(false, "an entry of the table %s is called", t->ops->name);
}

/* For `check`. */
static inline void table_not_checked(const weir_transport *t)
{
    cr_assert(false, "the transport %s is checked", t->ops->name);
}

static inline bool table_is_closing(const weir_transport *t)
{
    table_not_checked(t);
    return false;
}

static inline void table_dump(const weir_transport *t, FILE *out)
{
    table_not_checked(t);
    wr_ignore(!out);
}

static inline void table_not_queued(weir_transport *t, size_t len)
{
    wr_ignore(len > 0);
    table_not_called(t);
}

static inline void table_not_moved(struct wr_connection *c)
{
    wr_ignore(!c);
    cr_assert(false, "a device is called");
}

static inline bool table_not_asked(const struct wr_connection *c)
{
    wr_ignore(!c);
    cr_assert(false, "a device is asked");
    return false;
}

static inline void table_no_device(const struct wr_connection *c)
{
    wr_ignore(table_not_asked(c));
}

static inline void table_no_time(const weir_transport *t,
                                 struct wr_clock_view *ret)
{
    wr_ignore(!ret);
    table_not_checked(t);
}

static inline void table_not_expired(weir_transport *t,
                                     const struct wr_deadline *over)
{
    wr_ignore(!over);
    table_not_called(t);
}

#define TABLE_REST                                                             \
    .write = wr_refuse_write, .writelines = wr_refuse_writelines,              \
    .write_ref = wr_refuse_write_ref, .write_lease = wr_refuse_write_lease,    \
    .is_closing = table_is_closing, .close = table_not_called,                 \
    .dump = table_dump

/* For a connection, without `queued` and `doom`. */
#define TABLE_DEVICE                                                           \
    .receive = table_not_moved, .stop = table_not_moved,                       \
    .holds_queue = table_not_asked, .is_in_flight = table_not_asked,           \
    .check_device = table_no_device, .check_progress = table_no_device,        \
    .view_time = table_no_time, .time_expired = table_not_expired

#endif
