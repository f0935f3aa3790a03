/*
 * asyncio's "Watch a file descriptor for read events": one end of a socketpair
 * is watched, the other is written to. Any descriptor that poll(2) supports can
 * be watched, such as the descriptor of another library.
 */
#include "check.h"

#include <err.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

static weir_loop *loop;
static int pair[2];

static void readable(void *arg)
{
    char data[100];
    ssize_t len = read(pair[0], data, sizeof(data));

    (void)arg;
    if (len < 0) {
        err(1, "read");
    }
    printf("received: %.*s\n", (int)len, data);
    weir_loop_remove_reader(loop, pair[0]);
    weir_loop_stop(loop);
}

static void send_data(void *arg)
{
    (void)arg;
    if (write(pair[1], "abc", 3) != 3) { /* as if from the network */
        err(1, "write");
    }
}

int main(void)
{
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) < 0) {
        err(1, "socketpair");
    }
    check(weir_loop_new(NULL, &loop));
    check(weir_loop_add_reader(loop, pair[0], readable, NULL));
    check(weir_loop_call_soon(loop, send_data, NULL, NULL));
    check(weir_loop_run(loop));
    close(pair[0]);
    close(pair[1]);
    check(weir_loop_free(loop));
    return 0;
}
