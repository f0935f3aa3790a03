/*
 * What outlives what: handles, leases, the loop; and who may call.
 *
 * A handle with a reference answers after the loss, a lease keeps its bytes
 * after the connection and the loop are gone. Another thread and a forked
 * child get an error and change nothing.
 */
#include "tests/contract/harness.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/wait.h>

static void expect_addresses(const struct rig *rig)
{
    struct weir_extra_info info;
    struct weir_address peername;
    struct weir_address sockname;
    weir_transport_get_peername(rig->t, &peername);
    weir_transport_get_sockname(rig->t, &sockname);
    expect_eq(peername.storage.inet.sin_addr.s_addr, htonl(INADDR_LOOPBACK));
    expect_eq(sockname.storage.inet.sin_addr.s_addr, htonl(INADDR_LOOPBACK));
    expect(peername.storage.inet.sin_port != 0);
    expect(sockname.storage.inet.sin_port != 0);
    expect(peername.storage.inet.sin_port != sockname.storage.inet.sin_port);
    expect_eq(weir_transport_get_extra_info(rig->t, "peername", &info), 0);
    expect_eq(memcmp(&info.address, &peername, sizeof(peername)), 0);
    expect_eq(weir_transport_get_extra_info(rig->t, "sockname", &info), 0);
    expect_eq(memcmp(&info.address, &sockname, sizeof(sockname)), 0);
}

UNIT(references, r60__names_are_the_sockets_own_and_kept_after_the_loss)
{
    struct rig rig = {0};
    while (rig_next(&rig)) {
        struct sockaddr_in addr;
        struct weir_address peername;
        socklen_t len = sizeof(addr);
        if (!rig.maker->has_addresses) {
            continue;
        }
        getsockname(rig.peer, (struct sockaddr *)&addr, &len);
        weir_transport_get_peername(rig.t, &peername);
        expect_eq(peername.storage.inet.sin_port, addr.sin_port);
        weir_transport_close(rig.t);
        rig_wait_lost(&rig);
        rig_turns(&rig, 2);

        expect_addresses(&rig);

        weir_transport_get_peername(rig.t, &peername);
        expect_eq(peername.storage.inet.sin_port, addr.sin_port);
    }
}

UNIT(references, a_connection_without_addresses_says_so)
{
    struct rig rig = {0};
    while (rig_next(&rig)) {
        struct weir_address addr;
        if (rig.maker->has_addresses) {
            continue;
        }
        weir_transport_get_peername(rig.t, &addr);
        expect_eq(addr.len, 0);
        weir_transport_get_sockname(rig.t, &addr);
        expect_eq(addr.len, 0);
    }
}

UNIT(references, extra_info_answers_by_name)
{
    struct rig rig = {0};
    while (rig_next(&rig)) {
        struct weir_extra_info info = {.fd = -7};
        expect_eq(weir_transport_get_extra_info(rig.t, "cipher", &info),
                  -ENOENT);
        expect_eq(info.fd, -7); /* written on success only */
        expect_eq(weir_transport_get_extra_info(rig.t, "socket", &info), 0);
        expect_eq(info.fd, weir_transport_get_socket(rig.t));
        expect(info.fd >= 0);

        weir_transport_close(rig.t);
        rig_wait_lost(&rig);
        rig_turn(&rig);

        expect_eq(weir_transport_get_extra_info(rig.t, "socket", &info), 0);
        expect_eq(info.fd, -EBADF);
    }
}

UNIT(references, every_getter_answers_after_the_loss)
{
    struct rig rig = {0};
    while (rig_next(&rig)) {
        char text[256];
        weir_transport_abort(rig.t);
        rig_wait_lost(&rig);
        rig_turns(&rig, 2);

        expect(weir_transport_is_closing(rig.t));
        expect(!weir_transport_is_reading(rig.t));
        expect(weir_transport_can_write_eof(rig.t));
        expect_eq(rig_pending(&rig), 0);
        expect_eq(weir_transport_get_read_buffer_size(rig.t), 0);
        expect_eq(weir_transport_error(rig.t), 0);
        expect_eq(weir_transport_end(rig.t), WEIR_END_ABORTED);
        expect(weir_transport_get_loop(rig.t) == rig.loop);
        expect(weir_transport_get_protocol(rig.t).user == &rig);
        weir_transport_error_text(rig.t, text, sizeof(text));
        expect(strstr(text, "aborted") != NULL);
        expect_eq(weir_transport_pause_reading(rig.t), 0);
        expect_eq(weir_transport_set_read_buffer_limit(rig.t, 0), 0);
        rig_turns(&rig, 2);
        expect_eq(rig.lost_count, 1);
    }
}

UNIT(references, error_text_fits_into_what_it_is_given)
{
    struct rig rig = {0};
    while (rig_next(&rig)) {
        char text[8] = "xxxxxxx";
        expect(weir_transport_error_text(rig.t, text, 4) == text);

        expect_eq(text[3], '\0');
        expect_eq(text[4], 'x');
    }
}

UNIT(references, loop_free_loses_what_is_alive_and_says_how_many)
{
    struct rig rig = {.small_buffers = true};
    while (rig_next(&rig)) {
        rig_clog(&rig); /* with a send in flight */
        rig_peer_send(&rig, 1000);
        if (rig.server) {
            weir_server_free(rig.server);
        }

        expect_eq(weir_loop_free(rig.loop), 1);

        expect_eq(rig.lost_count, 1);
        expect_eq(rig.lost_err, 0);
        expect_eq(weir_transport_end(rig.t), WEIR_END_ABORTED);
        expect_eq(weir_transport_write(rig.t, "x", 1), -ESHUTDOWN);
        expect_eq(weir_transport_get_socket(rig.t), -EBADF);
        weir_transport_unref(rig.t);
        rig.loop = NULL;
    }
}

static weir_lease *kept_lease;
static const uint8_t *kept_bytes;

static int keep_first(struct rig *rig, const struct weir_buf *buf)
{
    if (rig->count++ == 0) {
        struct weir_buf kept = *buf;
        expect_eq(weir_buf_keep(&kept), 0);
        kept_lease = kept.lease;
        kept_bytes = kept.data;
    }
    return 0;
}

UNIT(references, a_lease_outlives_connection_handle_and_loop)
{
    struct rig rig = {.hooks = {.data_received = keep_first}};
    while (rig_next(&rig)) {
        rig_peer_send(&rig, 100);
        rig_wait_received(&rig, 100);
        if (rig.server) {
            weir_server_free(rig.server);
        }
        weir_transport_unref(rig.t);

        expect_eq(weir_loop_free(rig.loop), 1);
        rig.loop = NULL;

        expect(rig_is_pattern(kept_bytes, 0, 1));
        weir_lease_unref(kept_lease);
    }
}

UNIT(references, a_lease_may_be_given_back_after_the_loss)
{
    struct rig rig = {.hooks = {.data_received = keep_first}};
    while (rig_next(&rig)) {
        rig_peer_send(&rig, 100);
        rig_wait_received(&rig, 100);
        weir_transport_abort(rig.t);
        rig_wait_lost(&rig);
        rig_turns(&rig, 3);

        expect(rig_is_pattern(kept_bytes, 0, 1));
        expect_eq(rig_statistics(&rig).leases, 1);
        weir_lease_unref(kept_lease);

        expect_eq(rig_statistics(&rig).leases, 0);
    }
}

/* ---- who may call ---- */

static void expect_refused(struct rig *rig, int err)
{
    const struct weir_protocol_binding binding = {&rig_protocol, rig};
    weir_transport *t = rig->t;

    expect_eq(weir_transport_write(t, "x", 1), err);
    expect_eq(weir_transport_writelines(t, NULL, 0), err);
    expect_eq(weir_transport_write_ref(t, "x", 1, NULL, NULL), err);
    expect_eq(weir_transport_write_eof(t), err);
    expect_eq(weir_transport_pause_reading(t), err);
    expect_eq(weir_transport_resume_reading(t), err);
    expect_eq(weir_transport_set_read_buffer_limit(t, 0), err);
    expect_eq(weir_transport_set_write_buffer_limits(t, 1, 1), err);
    expect_eq(weir_transport_set_write_hard_limit(t, 1), err);
    expect_eq(weir_transport_set_timeouts(t, NULL), err);
    expect_eq(weir_transport_set_protocol(t, &binding, NULL, 0), err);
    expect_eq(weir_transport_close(t), err);
    expect_eq(weir_transport_abort(t), err);
    expect_eq(weir_loop_run(rig->loop), err);
    expect_eq(weir_loop_free(rig->loop), err);
}

static void count_release(void *arg)
{
    ((struct rig *)arg)->count++;
}

static void *call_from_elsewhere(void *arg)
{
    struct rig *rig = arg;
    expect_refused(rig, -EPERM);
    expect_eq(weir_transport_write_ref(rig->t, "x", 1, count_release, rig),
              -EPERM);
    return NULL;
}

UNIT(references, another_thread_gets_eperm_and_changes_nothing)
{
    struct rig rig = {0};
    while (rig_next(&rig)) {
        pthread_t thread;
        expect_eq(pthread_create(&thread, NULL, call_from_elsewhere, &rig), 0);
        expect_eq(pthread_join(thread, NULL), 0);

        expect_eq(rig.count, 1); /* released before the return */
        rig_peer_send(&rig, 100);
        rig_wait_received(&rig, 100);
        expect_eq(rig_write(&rig, 100), 0);
        rig_peer_read(&rig, 100);
        expect_events(&rig, "made data");
    }
}

/* In the child an assertion would end the wrong process: count instead. */
static int count_not_refused(struct rig *rig)
{
    weir_transport *t = rig->t;
    int wrong = 0;
    wrong += weir_transport_write(t, "x", 1) != -ECHILD;
    wrong += weir_transport_write_eof(t) != -ECHILD;
    wrong += weir_transport_pause_reading(t) != -ECHILD;
    wrong += weir_transport_close(t) != -ECHILD;
    wrong += weir_transport_abort(t) != -ECHILD;
    wrong += weir_loop_run(rig->loop) != -ECHILD;
    wrong += weir_loop_free(rig->loop) != -ECHILD;
    return wrong;
}

UNIT(references, r67__a_forked_child_gets_echild_and_changes_nothing)
{
    struct rig rig = {0};
    while (rig_next(&rig)) {
        int status;
        const pid_t pid = fork();
        if (pid == 0) {
            _exit(count_not_refused(&rig));
        }
        expect_eq(waitpid(pid, &status, 0), pid);
        expect(WIFEXITED(status));
        expect_eq(WEXITSTATUS(status), 0);

        rig_peer_send(&rig, 100);
        rig_wait_received(&rig, 100);
        expect_eq(rig_write(&rig, 100), 0);
        rig_peer_read(&rig, 100);
        expect_events(&rig, "made data");
    }
}
