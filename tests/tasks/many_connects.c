/*
 * Fifty thousand simultaneous connects by name, each with an internal task of
 * weir.
 *
 * The resolver has answered none of them. On a kernel where guard pages need
 * separate mappings, tasks with guarded stacks would be limited to 32,754.
 */
#include "rig.h"

#include "uring/feature.h"

#include <weir/connect.h>
#include <weir/resolver.h>

/* A sanitizer keeps memory of its own for each stack. */
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
#define COUNT 4000u
/* The guard of each object costs mappings. */
#elif defined(WR_GUARD)
#define COUNT 20000u
#else
#define COUNT 50000u
#endif

static weir_pending *connects[COUNT];
static uint32_t asked;
static uint32_t cancelled;
static uint32_t told;

static int resolver_start(void *user, weir_lookup *lookup, const char *host,
                          int family, void **ret_data)
{
    asked++;
    return 0;
}

static void resolver_cancel(void *user, weir_lookup *lookup, void *data)
{
    cancelled++;
}

static int create(void *arg, weir_transport *t,
                  struct weir_protocol_binding *ret)
{
    cr_assert(false, "nothing is connected");
    return -EPROTO;
}

static void done(void *arg, int err, weir_transport *t)
{
    expect_eq(err, -ECANCELED);
    told++;
}

static void connect_all(void)
{
    static const struct weir_resolver silent = {.size = sizeof(silent),
                                                .start = resolver_start,
                                                .cancel = resolver_cancel};
    static const struct weir_factory factory = {.create = create};

    expect_eq(weir_loop_set_resolver(loop, &silent, NULL), 0);
    for (uint32_t i = 0; i < COUNT; i++) {
        const int err = weir_create_connection(
            loop, &factory, "many.example", 80, NULL, done, NULL, &connects[i]);
        expect_eq(err, 0, "connect %u: %s", i, weir_strerror(err));
    }
}

static int connect_and_cancel(weir_loop *on, void *arg)
{
    connect_all();
    expect_eq(weir_sleep(on, S), 0);
    expect_eq(asked, COUNT);
    expect_eq(told, 0);
    expect_eq(rig_statistics().tasks, COUNT + 1);
    for (uint32_t i = 0; i < COUNT; i++) {
        weir_pending_cancel(connects[i]);
    }
    expect_eq(told, 0, "never from inside the call");
    expect_eq(weir_sleep(on, S), 0);
    expect_eq(told, COUNT);
    expect_eq(cancelled, COUNT);
    expect_eq(rig_statistics().tasks, 1);
    return 0;
}

TASK(many_connects, by_name_wait_at_once_and_are_all_cancelled)
{
    expect_eq(connect_and_cancel(loop, NULL), 0);
}

UNIT(many_connects, by_name_wait_at_once_where_a_guard_costs_mappings)
{
    static const struct fake_options machine = {
        .seed = 1,
        .missing = UINT32_C(1) << WR_FEATURE_GUARD_INSTALL,
    };
    fake_start(&machine);
    expect_eq(weir_loop_new(NULL, &loop), 0);
    expect_eq(rig_main(connect_and_cancel, NULL), 0);
    rig_stop();
}

static int connect_and_leave(weir_loop *on, void *arg)
{
    connect_all();
    return weir_sleep(on, S);
}

UNIT(many_connects, by_name_end_with_their_loop)
{
    rig_start();
    expect_eq(rig_main(connect_and_leave, NULL), 0);
    rig_stop();
    expect_eq(told, COUNT);
}
