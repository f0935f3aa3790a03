/*
 * Connected Unix sockets that become no transport, and that contain descriptors
 * whose closes block.
 *
 * They do not hold up the loop.
 */
#include "tests/contract/fds_rig.h"
#include "tests/contract/slow_close.h"

#include <fcntl.h>
#include <weir/connect.h>

static weir_loop *loop;
static weir_server *server;
static struct slow slow;

static int echo(void *user, weir_transport *t, const struct weir_buf *buf)
{
    return weir_transport_write(t, buf->data, buf->len);
}

static CALLBACKS(echo_protocol, STREAM, .data_received = echo);

static bool refuses;
static int refused_count;

static int create(void *arg, weir_transport *t,
                  struct weir_protocol_binding *ret)
{
    *ret = (struct weir_protocol_binding){.protocol = &echo_protocol};
    refused_count += refuses;
    return refuses ? -ECONNREFUSED : 0;
}

static void turn(void)
{
    weir_loop_stop(loop);
    cr_assert_eq(weir_loop_run(loop), 0);
}

static int connect_plain(const struct sockaddr_un *name, socklen_t len)
{
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    cr_assert_eq(connect(fd, (const struct sockaddr *)name, len), 0);
    return fd;
}

static void expect_echo(int fd)
{
    char byte = 'x';
    cr_assert_eq(send(fd, &byte, 1, MSG_NOSIGNAL), 1);
    while (recv(fd, &byte, 1, MSG_DONTWAIT) != 1) {
        turn();
    }
}

static void send_slow(int fd)
{
    int fds[SLOW];
    slow_open(&slow, fds);
    cr_assert_eq(rights_send(fd, "f", 1, fds, SLOW, 0), 1);
    for (int i = 0; i < SLOW; i++) {
        close(fds[i]);
    }
}

/* Returns the number of threads of the process, without the kernel's workers.
 */
static int count_threads(void)
{
    int count = 0;
    DIR *tasks = opendir("/proc/self/task");
    cr_assert(tasks != NULL);
    for (const struct dirent *entry; (entry = readdir(tasks));) {
        char path[64];
        char name[16] = "";
        snprintf(path, sizeof(path), "/proc/self/task/%.16s/comm",
                 entry->d_name);
        const int fd = open(path, O_RDONLY | O_CLOEXEC);
        count += fd >= 0 && read(fd, name, sizeof(name)) > 0 &&
                 strncmp(name, "iou-", 4) != 0;
        close(fd);
    }
    closedir(tasks);
    return count;
}

UNIT(close_refused, a_connection_that_the_factory_refuses_holds_up_nothing)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    const int len = snprintf(name.sun_path + 1, sizeof(name.sun_path) - 1,
                             "weir-close-refused-%d", (int)getpid());
    const socklen_t size =
        (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)len);
    const struct weir_factory factory = {.create = create};
    const int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    cr_assert_geq(listener, 0);
    cr_assert_eq(bind(listener, (const struct sockaddr *)&name, size), 0);
    cr_assert_eq(listen(listener, 8), 0);
    /* The kernel cannot refuse descriptors. */
    cr_assert_eq(setenv("WEIR_FEATURES_MASK", "passrights", 1), 0);
    cr_assert_eq(weir_loop_new(NULL, &loop), 0);
    expect_ok(weir_create_server_at(loop, &factory, weir_endpoint_fd(listener),
                                    NULL, NULL, NULL, &server));
    const int served = connect_plain(&name, size);
    expect_echo(served);
    const int threads = count_threads();
    const int refused = connect_plain(&name, size);
    send_slow(refused);
    refuses = true;
    while (refused_count == 0) {
        turn();
    }

    expect_echo(served);
    cr_assert_eq(count_threads(), threads + 1); /* it is blocked in a close */

    slow_let_end(&slow);
    close(refused);
    close(served);
    weir_server_free(server);
    cr_assert_geq(weir_loop_free(loop), 0);
}

UNIT(close_refused, an_adoption_that_is_refused_holds_up_nothing)
{
    const struct weir_connect_options bad = {.size = 0};
    const struct weir_factory factory = {.create = create};
    int pair[2];
    expect_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    expect_eq(weir_loop_new(NULL, &loop), 0);
    send_slow(pair[1]);
    const int threads = count_threads();

    expect_eq(weir_create_connection_at(loop, &factory,
                                        weir_endpoint_fd(pair[0]), &bad, NULL,
                                        NULL, NULL),
              WEIR_EOPTIONSIZE);
    expect_eq(count_threads(), threads + 1, "it waits in a close");

    slow_let_end(&slow);
    close(pair[1]);
    expect_eq(weir_loop_free(loop), 0);
}
