/*
 * The upgrade of the contract suites: start_tls before a test sees the
 * connection.
 *
 * A separate protocol owns the connection first. It waits for the line that
 * requests TLS, if there is one, and passes the bytes after it to TLS. When the
 * handshake has completed, it passes the new transport to the test's protocol,
 * which sees it as newly made.
 */
#include "tests/contract/harness.h"

#include <weir/start_tls.h>
#include <weir/tls.h>

static void upgrade_done(void *arg, int err, weir_transport *t)
{
    struct rig_upgrade *upgrade = arg;
    const struct weir_factory factory = upgrade->factory;
    struct weir_protocol_binding binding = {.protocol = NULL};
    if (err < 0) {
        expect(upgrade->failed != NULL);
        upgrade->failed(factory.arg, err, NULL);
        return;
    }
    expect_eq(factory.create(factory.arg, t, &binding), 0);
    expect_eq(weir_transport_set_protocol(t, &binding, NULL, 0), 0);
    binding.protocol->connection_made(binding.user, t);
}

static void upgrade_start(struct rig_upgrade *upgrade, weir_transport *t,
                          const struct weir_buf *initial)
{
    const struct weir_start_tls_options options = {
        .size = sizeof(options), .initial = initial, .initial_count = 1};
    expect_ok(weir_transport_start_tls(t, &upgrade->tls, &options, upgrade_done,
                                       upgrade, NULL));
    weir_tls_context_unref(upgrade->tls.context);
}

static void upgrade_made(void *user, weir_transport *t)
{
    const struct weir_buf none = {.len = 0};
    struct rig_upgrade *upgrade = user;
    if (!upgrade->awaits_line) {
        upgrade_start(upgrade, t, &none);
    }
}

static int upgrade_received(void *user, weir_transport *t,
                            const struct weir_buf *buf)
{
    const size_t line = strlen(RIG_UPGRADE_LINE);
    struct weir_buf rest = *buf;
    expect(rest.len >= line);
    expect(memcmp(rest.data, RIG_UPGRADE_LINE, line) == 0);
    rest.data += line;
    rest.len -= line;
    upgrade_start(user, t, &rest);
    return 0;
}

static CALLBACKS(upgrade_protocol, STREAM, .connection_made = upgrade_made,
                 .data_received = upgrade_received);

struct weir_factory rig_upgrade_factory(struct rig_upgrade *upgrade)
{
    weir_tls_context_ref(upgrade->tls.context);
    return bind_to(&upgrade_protocol, upgrade);
}
