/*
 * A connection that a handler serves; see handler.h.
 *
 * The exception hook records its calls, and the end of a test checks what is
 * left on the loop.
 */
#include "tests/streams/handler.h"

#include <weir/connect.h>

struct seen seen;

void hook(void *arg, weir_loop *on, const struct weir_exception *told)
{
    cr_assert_eq(on, loop);
    cr_assert_not_null(told->message);
    seen.reports++;
    seen.err = told->err;
    seen.callback = told->callback;
    seen.transport = told->transport;
    seen.task_name[0] = '\0';
    if (told->task) {
        snprintf(seen.task_name, sizeof(seen.task_name), "%s",
                 weir_task_get_name(told->task));
    }
}

static int create(void *arg, weir_transport *t,
                  struct weir_protocol_binding *ret)
{
    *ret = *(const struct weir_protocol_binding *)arg;
    return 0;
}

int adopt(struct pair *p, struct weir_protocol_binding *binding)
{
    const struct weir_factory factory = {create, binding};
    p->fd = fake_connected_fd(&p->peer);
    return weir_create_connection_at(loop, &factory, weir_endpoint_fd(p->fd),
                                     NULL, NULL, NULL, NULL);
}

void serve(struct pair *p, weir_client_connected_fn *handler,
           struct weir_stream_options *options)
{
    struct weir_stream_options own = {.size = sizeof(own)};
    struct weir_protocol_binding binding;

    memset(p, 0, sizeof(*p));
    memset(&seen, 0, sizeof(seen));
    weir_loop_set_exception_handler(loop, hook, NULL);
    options = options ? options : &own;
    options->client_connected = handler;
    options->arg = p;
    cr_assert_eq(weir_stream_protocol_new(loop, options, &binding, NULL), 0);
    cr_assert_eq(adopt(p, &binding), 0);
    nap();
}

void expect_over(struct pair *p)
{
    nap();
    cr_assert(fake_peer_is_alone(p->peer));
    cr_assert_eq(rig_statistics().connections, 0);
    cr_assert_eq(rig_statistics().tasks, 1, "only the main task is left");
    fake_peer_close(p->peer);
}
