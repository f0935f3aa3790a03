/*
 * Handles and leases outlive the loop, and other threads and children cannot
 * use it.
 *
 * A handle with a reference can be queried after the loss, and a lease keeps
 * its bytes after the connection and the loop are gone. Another thread and a
 * forked child get an error and change nothing.
 */
#include "tests/contract/harness.h"
#include "tests/marks.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <sys/wait.h>
#include <tests/have.h>

static void expect_addresses(const struct rig *rig)
{
    struct weir_extra_info info = {.size = sizeof(info)};
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

PAIRS(references, r60__names_are_the_sockets_own_and_kept_after_the_loss, rig,
      .needs = RIG_BOTH_WAYS | RIG_IS_PLAIN | RIG_HAS_ADDRESSES)
{
    struct sockaddr_in addr;
    struct weir_address peername;
    socklen_t len = sizeof(addr);
    getsockname(rig->peer, (struct sockaddr *)&addr, &len);
    weir_transport_get_peername(rig->t, &peername);
    expect_eq(peername.storage.inet.sin_port, addr.sin_port);
    weir_transport_close(rig->t);
    rig_wait_lost(rig);
    rig_turns(rig, 2);

    expect_addresses(rig);

    weir_transport_get_peername(rig->t, &peername);
    expect_eq(peername.storage.inet.sin_port, addr.sin_port);
}

PAIRS(references, a_connection_without_names_has_a_family, rig,
      .needs = RIG_BOTH_WAYS | RIG_IS_NAMELESS)
{
    struct weir_address addr;
    weir_transport_get_peername(rig->t, &addr);
    expect_eq(addr.len, sizeof(sa_family_t));
    expect_eq(addr.storage.any.sa_family, AF_UNIX);
    weir_transport_get_sockname(rig->t, &addr);
    expect_eq(addr.len, sizeof(sa_family_t));
    expect_eq(addr.storage.any.sa_family, AF_UNIX);
}

PAIRS(references, a_unix_peer_has_credentials_also_below_tls, rig,
      .needs = RIG_BOTH_WAYS | RIG_IS_NAMELESS)
{
    struct weir_extra_info info = {.size = sizeof(info)};
    expect_eq(weir_transport_get_extra_info(rig->t, "peercred", &info), 0);
    expect_eq(info.peercred.pid, getpid());
    expect_eq(weir_transport_get_extra_info(rig->t, "pipe", &info), -ENOENT);
}

PAIRS(references, extra_info_answers_by_name, rig,
      .needs = RIG_BOTH_WAYS | RIG_IS_PLAIN)
{
    struct weir_extra_info info = {.size = sizeof(info), .fd = -7};
    expect_eq(weir_transport_get_extra_info(rig->t, "cipher", &info), -ENOENT);
    expect_eq(info.fd, -7); /* written only on success */
    expect_eq(weir_transport_get_extra_info(rig->t, "socket", &info), 0);
    expect_eq(info.fd, weir_transport_get_socket(rig->t));
    expect(info.fd >= 0);

    weir_transport_close(rig->t);
    rig_wait_lost(rig);
    rig_turn(rig);

    expect_eq(weir_transport_get_extra_info(rig->t, "socket", &info), 0);
    expect_eq(info.fd, -EBADF);
}

PAIRS(references, every_getter_answers_after_the_loss, rig,
      .needs = RIG_BOTH_WAYS)
{
    char text[256];
    weir_transport_abort(rig->t);
    rig_wait_lost(rig);
    rig_turns(rig, 2);

    expect(weir_transport_is_closing(rig->t));
    expect(!weir_transport_is_reading(rig->t));
    expect(weir_transport_can_write_eof(rig->t));
    expect_eq(rig_pending(rig), 0);
    expect_eq(weir_transport_get_read_buffer_size(rig->t), 0);
    expect_eq(weir_transport_get_error(rig->t), 0);
    expect_eq(weir_transport_get_end(rig->t), WEIR_END_ABORTED);
    expect(weir_transport_get_loop(rig->t) == rig->loop);
    expect(weir_transport_get_protocol(rig->t).user == rig);
    weir_transport_get_error_text(rig->t, text, sizeof(text));
    expect(strstr(text, "aborted") != NULL);
    expect_eq(weir_transport_pause_reading(rig->t), 0);
    expect_eq(weir_transport_set_read_buffer_limit(rig->t, 0), 0);
    rig_turns(rig, 2);
    expect_eq(rig->lost_count, 1);
}

PAIRS(references, error_text_fits_into_what_it_is_given, rig,
      .needs = RIG_BOTH_WAYS)
{
    char text[8] = "xxxxxxx";
    expect(weir_transport_get_error_text(rig->t, text, 4) == text);

    expect_eq(text[3], '\0');
    expect_eq(text[4], 'x');
}

PAIRS(references, loop_free_loses_what_is_alive_and_says_how_many, rig,
      .small_buffers = true)
{
    rig_clog(rig);
    rig_peer_send(rig, 1000);
    if (rig->server) {
        weir_server_free(rig->server);
    }

    expect_eq(weir_loop_free(rig->loop), rig_alive(rig));

    expect_eq(rig->lost_count, 1);
    expect_eq(rig->lost_err, 0);
    expect_eq(weir_transport_get_end(rig->t), WEIR_END_ABORTED);
    expect_eq(weir_transport_write(rig->t, "x", 1), -ESHUTDOWN);
    expect_eq(weir_transport_get_socket(rig->t),
              rig_can(rig, RIG_IS_MEMORY) ? -EOPNOTSUPP : -EBADF);
    weir_transport_unref(rig->t);
    rig->loop = NULL;
}

static struct weir_buf kept;

static int keep_first(struct rig *rig, const struct weir_buf *buf)
{
    if (rig->count++ == 0) {
        kept = *buf;
        expect_eq(weir_buf_ref(&kept), 0);
    }
    return 0;
}

PAIRS(references, a_lease_outlives_connection_handle_and_loop, rig,
      .hooks = {.data_received = keep_first})
{
    rig_receive(rig, 100);
    if (rig->server) {
        weir_server_free(rig->server);
    }
    weir_transport_unref(rig->t);

    expect_eq(weir_loop_free(rig->loop), rig_alive(rig));
    rig->loop = NULL;

    expect_eq(kept.len, 100);
    expect(rig_is_pattern(kept.data, 0, kept.len));
    weir_buf_unref(kept.lease);
}

PAIRS(references, a_lease_may_be_given_back_after_the_loss, rig,
      .hooks = {.data_received = keep_first})
{
    rig_receive(rig, 100);
    weir_transport_abort(rig->t);
    rig_wait_lost(rig);
    rig_turns(rig, 3);

    expect_eq(kept.len, 100);
    expect(rig_is_pattern(kept.data, 0, kept.len));
    expect_eq(rig_statistics(rig).leases, 1);
    weir_buf_unref(kept.lease);

    expect_eq(rig_statistics(rig).leases, 0);
}

/* Returns the number, from 1, of the first call that does not return @err, or 0
 * if all do. In a forked child an assertion would end the wrong process. */
static int first_not_refused(struct rig *rig, int err)
{
    const struct weir_protocol_binding binding = {&rig_protocol, rig};
    weir_transport *t = rig->t;
    const int results[] = {
        weir_transport_write(t, "x", 1),
        weir_transport_writelines(t, NULL, 0),
        weir_transport_write_ref(t, "x", 1, NULL, NULL),
        weir_transport_write_eof(t),
        weir_transport_pause_reading(t),
        weir_transport_resume_reading(t),
        weir_transport_set_read_buffer_limit(t, 0),
        set_marks(t, 1, 1),
        weir_transport_set_write_hard_limit(t, 1),
        weir_transport_set_timeouts(t, NULL),
        weir_transport_set_protocol(t, &binding, NULL, 0),
        weir_transport_close(t),
        weir_transport_abort(t),
#if WR_TESTS_TLS
        weir_tls_get_session(t, &(weir_tls_session *){NULL}),
#endif
        weir_loop_run(rig->loop),
        weir_loop_free(rig->loop),
    };
    for (size_t i = 0; i < sizeof(results) / sizeof(results[0]); i++) {
        if (results[i] != err) {
            return (int)i + 1;
        }
    }
    return 0;
}

static void count_release(void *arg)
{
    ((struct rig *)arg)->count++;
}

static void *call_from_elsewhere(void *arg)
{
    struct rig *rig = arg;
    expect_eq(first_not_refused(rig, -EPERM), 0);
    expect_eq(weir_transport_write_ref(rig->t, "x", 1, count_release, rig),
              -EPERM);
    return NULL;
}

PAIRS(references, another_thread_gets_eperm_and_changes_nothing, rig,
      .needs = RIG_BOTH_WAYS)
{
    pthread_t thread;
    expect_eq(pthread_create(&thread, NULL, call_from_elsewhere, rig), 0);
    expect_eq(pthread_join(thread, NULL), 0);

    expect_eq(rig->count, 1);
    rig_receive(rig, 100);
    expect_eq(rig_write(rig, 100), 0);
    rig_peer_read(rig, 100);
    expect_events(rig, "made data");
}

PAIRS(references, r67__a_forked_child_gets_echild_and_changes_nothing, rig,
      .needs = RIG_BOTH_WAYS)
{
    const pid_t pid = fork();
    if (pid == 0) {
        _exit(first_not_refused(rig, -ECHILD));
    }
    expect_eq(end_of(pid), 0);

    rig_receive(rig, 100);
    expect_eq(rig_write(rig, 100), 0);
    rig_peer_read(rig, 100);
    expect_events(rig, "made data");
}
