/*
 * TLS in a library that was built without it.
 *
 * Each call that would need it says so, and does nothing else: no context, no
 * connection and no server is made.
 */
#include "tests/contract/maker.h"

#include <weir/error.h>
#include <weir/tls.h>
#include <weir/tls_connection.h>

UNIT(no_tls, a_context_cannot_be_made_and_the_text_says_why)
{
    const struct weir_tls_options options = {.size = sizeof(options)};
    weir_tls_context *context = NULL;
    char text[128] = "";

    expect_eq(weir_tls_context_new(&options, &context, text, sizeof(text)),
              WEIR_ENOTLS);
    cr_assert_null(context);
    cr_assert_str_eq(text, weir_strerror(WEIR_ENOTLS));
    weir_tls_context_unref(NULL);
    weir_tls_session_unref(NULL);
}

/* A factory. */
static int no_tls_create(void *arg, weir_transport *t,
                         struct weir_protocol_binding *ret)
{
    (void)arg;
    (void)t;
    (void)ret;
    cr_assert_fail("no connection may be made");
    return -EINVAL;
}

UNIT(no_tls, connections_and_servers_with_tls_are_refused)
{
    const struct weir_factory factory = {.create = no_tls_create};
    const struct weir_tls_settings tls = {.size = sizeof(tls)};
    const struct weir_connect_options connect = {.size = sizeof(connect),
                                                 .tls = &tls};
    const struct weir_server_options serve = {.size = sizeof(serve),
                                              .tls = &tls};
    weir_server *server = NULL;
    weir_loop *loop = NULL;

    expect_eq(weir_loop_new(NULL, &loop), 0);
    expect_eq(
        weir_create_connection(loop, &factory, "127.0.0.1", 1, &connect, NULL),
        WEIR_ENOTLS);
    expect_eq(
        weir_create_server(loop, &factory, "127.0.0.1", 0, &serve, &server),
        WEIR_ENOTLS);
    cr_assert_null(server);
    weir_loop_free(loop);
}
