/*
 * asyncio's "Loop.subprocess_exec() and SubprocessProtocol": a protocol
 * receives the output and the exit status of a child. The child is date(1),
 * which prints the date of time 0.
 */
#include "check.h"

#include <stdio.h>

static int pipe_data_received(void *loop, weir_transport *t, int fd,
                              const struct weir_buf *buf)
{
    (void)loop;
    (void)t;
    printf("from %d: %.*s", fd, (int)buf->len, (const char *)buf->data);
    return 0;
}

static void connection_lost(void *loop, weir_transport *t, int error)
{
    int status;
    check(error);
    check(weir_transport_get_returncode(t, &status));
    printf("exit status %d\n", status);
    weir_loop_stop(loop);
}

static const struct weir_protocol protocol = {
    .size = sizeof(protocol),
    .kind = WEIR_PROTOCOL_SUBPROCESS,
    .pipe_data_received = pipe_data_received,
    .connection_lost = connection_lost,
};

static int create(void *loop, weir_transport *t,
                  struct weir_protocol_binding *ret)
{
    (void)t;
    *ret = (struct weir_protocol_binding){&protocol, loop};
    return 0;
}

int main(void)
{
    const char *const argv[] = {"date", "--utc", "--date=@0", "+%F", NULL};
    weir_loop *loop;
    check(weir_loop_new(NULL, &loop));
    const struct weir_factory factory = {create, loop};
    check(weir_subprocess_exec(loop, &factory, argv, NULL, NULL, NULL, NULL));
    check(weir_loop_run(loop));
    check(weir_loop_free(loop));
    return 0;
}
