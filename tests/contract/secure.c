/*
 * libweir calls TLS only through the function table at the start of a context.
 *
 * Here the test provides the table, so that no TLS is needed. Settings without
 * a context are refused.
 */
#include "lib/transport/secure.h"
#include "tests/contract/maker.h"

#include <weir/connect.h>
#include <weir/tls_connection.h>

static struct secure_world {
    int result;
    int reads;
    int drops;
    enum wr_secure_side side;
    const char *host;
} world;

static int secure_read(struct wr_secure_settings *ret,
                       const struct weir_tls_settings *settings,
                       enum wr_secure_side side, const char *host)
{
    world.reads++;
    world.side = side;
    world.host = host;
    if (world.result == 0) {
        ret->context = settings->context;
    }
    return world.result;
}

static void secure_drop(struct wr_secure_settings *settings)
{
    world.drops++;
    settings->context = NULL;
}

static const struct wr_secure_ops secure_ops = {.read = secure_read,
                                                .drop = secure_drop};
static struct wr_secure_context secure_context = {.ops = &secure_ops};

static struct weir_tls_settings secure_settings(bool has_context)
{
    return (struct weir_tls_settings){
        .size = sizeof(struct weir_tls_settings),
        .context =
            has_context ? (weir_tls_context *)(void *)&secure_context : NULL};
}

static int secure_create(void *arg, weir_transport *t,
                         struct weir_protocol_binding *ret)
{
    cr_assert_fail("no connection may be made");
    return -EINVAL;
}

static const struct weir_factory secure_factory = {.create = secure_create};

static int secure_connect(weir_loop *loop, const struct weir_tls_settings *tls)
{
    return weir_create_connection(loop, &secure_factory, "127.0.0.1", 1,
                                  SIZED(weir_connect_options, .tls = tls), NULL,
                                  NULL, NULL);
}

static int secure_serve(weir_loop *loop, const struct weir_tls_settings *tls)
{
    weir_server *server = NULL;
    const int err = weir_create_server(loop, &secure_factory, "127.0.0.1", 0,
                                       SIZED(weir_server_options, .tls = tls),
                                       NULL, NULL, &server);
    if (err == 0) {
        weir_server_free(server);
    }
    return err;
}

static weir_loop *secure_loop(int result)
{
    weir_loop *loop = NULL;

    world = (struct secure_world){.result = result};
    expect_eq(weir_loop_new(NULL, &loop), 0);
    return loop;
}

UNIT(secure, settings_without_a_context_are_refused)
{
    const struct weir_tls_settings none = secure_settings(false);
    weir_loop *loop = secure_loop(0);

    expect_eq(secure_connect(loop, &none), -EINVAL);
    expect_eq(secure_serve(loop, &none), -EINVAL);
    expect_eq(world.reads, 0);
    weir_loop_free(loop);
}

UNIT(secure, a_maker_asks_the_table_of_the_context_and_passes_its_error_on)
{
    const struct weir_tls_settings tls = secure_settings(true);
    weir_loop *loop = secure_loop(-EXDEV);

    expect_eq(secure_connect(loop, &tls), -EXDEV);
    expect_eq(world.side, WR_SECURE_CLIENT);
    cr_assert_str_eq(world.host, "127.0.0.1");
    expect_eq(secure_serve(loop, &tls), -EXDEV);
    expect_eq(world.side, WR_SECURE_SERVER);
    expect_eq(world.reads, 2);
    expect_eq(world.drops, 0);
    weir_loop_free(loop);
}

UNIT(secure, a_maker_gives_back_the_settings_that_it_has_read)
{
    const struct weir_tls_settings tls = secure_settings(true);
    weir_loop *loop = secure_loop(0);

    expect_eq(secure_connect(loop, &tls), 0);
    expect_eq(secure_serve(loop, &tls), 0);
    expect_eq(world.drops, 0);
    weir_loop_free(loop);
    expect_eq(world.reads, 2);
    expect_eq(world.drops, 2);
}
