/*
 * Features of wolfSSL that no other library has: weir's codes for its errors,
 * its call for a ticket that may be empty, the account of its memory, and
 * random numbers from the kernel.
 *
 * The program is linked so that getentropy() comes here. tls_backend_parts.c
 * has OpenSSL's own features, for each build.
 */
#include "lib/tls/wolfssl/wolfssl.h"
#include "tests/death.h"
#include "tests/tls/rig.h"

#include <errno.h>
#include <limits.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <weir/error.h>

/* Number of calls of getentropy() that still succeed. */
static int random_left = INT_MAX;

int getentropy(void *data, size_t size)
{
    if (random_left == 0) {
        errno = ENOSYS;
        return -1;
    }
    random_left--;
    return syscall(SYS_getrandom, data, size, 0) == (long)size ? 0 : -1;
}

UNIT(tls_wolfssl, errors_of_wolfssl_become_ours)
{
    expect_eq(wr_wolfssl_code_of(MEMORY_E), -ENOMEM);
    expect_eq(wr_wolfssl_code_of(ASN_AFTER_DATE_E), WEIR_ETLSEXPIRED);
    expect_eq(wr_wolfssl_code_of(ASN_BEFORE_DATE_E), WEIR_ETLSNOTYET);
    expect_eq(wr_wolfssl_code_of(ASN_NO_SIGNER_E), WEIR_ETLSISSUER);
    expect_eq(wr_wolfssl_code_of(ASN_SELF_SIGNED_E), WEIR_ETLSSELFSIGNED);
    expect_eq(wr_wolfssl_code_of(DOMAIN_NAME_MISMATCH), WEIR_ETLSHOSTNAME);
    expect_eq(wr_wolfssl_code_of(EXTKEYUSE_AUTH_E), WEIR_ETLSPURPOSE);
    expect_eq(wr_wolfssl_code_of(ASN_NAME_INVALID_E), WEIR_ETLSCONSTRAINT);
    expect_eq(wr_wolfssl_code_of(ASN_PATHLEN_INV_E), WEIR_ETLSPATHLEN);
    expect_eq(wr_wolfssl_code_of(ASN_CRIT_EXT_E), WEIR_ETLSCRITICAL);
    expect_eq(wr_wolfssl_code_of(RSA_KEY_SIZE_E), WEIR_ETLSWEAK);
    expect_eq(wr_wolfssl_code_of(BAD_HELLO), WEIR_ETLSPROTOCOL);
    expect_eq(wr_wolfssl_code_of(-9999), WEIR_ETLSPROTOCOL);
}

UNIT(tls_wolfssl, a_ticket_without_a_byte_is_not_opened)
{
    static struct tls_pair pair;
    uint8_t name[WOLFSSL_TICKET_NAME_SZ] = {0};
    uint8_t iv[WOLFSSL_TICKET_IV_SZ] = {0};
    uint8_t mac[WOLFSSL_TICKET_MAC_SZ] = {0};
    uint8_t data[1] = {0};
    int size = -1;
    tls_pair_join(&pair, NULL, NULL, NULL);

    expect_eq(wr_wolfssl_on_ticket(pair.server.engine.conn.ssl, name, iv, mac,
                                   0, data, 0, &size, NULL),
              WOLFSSL_TICKET_RET_REJECT);
    expect_eq(size, 0);
    tls_pair_disconnect(&pair);
}

/* Encrypts a ticket of a connection of @from, with @room bytes for its client.
 * Returns true if a connection of @to decrypts it. */
static bool wolfssl_seal(WOLFSSL *from, WOLFSSL *to, int room)
{
    uint8_t name[WOLFSSL_TICKET_NAME_SZ] = {0};
    uint8_t iv[WOLFSSL_TICKET_IV_SZ] = {0};
    uint8_t mac[WOLFSSL_TICKET_MAC_SZ] = {0};
    uint8_t data[128] = "a session";
    const int plain = 96;
    int size = plain + room;

    expect_eq(
        wr_wolfssl_on_ticket(from, name, iv, mac, 1, data, plain, &size, NULL),
        WOLFSSL_TICKET_RET_OK);
    expect_leq(size, plain + room);
    return wr_wolfssl_on_ticket(to, name, iv, mac, 0, data, size, &size,
                                NULL) == WOLFSSL_TICKET_RET_OK;
}

/* wolfSSL may have been built with less space than by default. */
UNIT(tls_wolfssl, a_ticket_without_room_for_its_client_is_good_for_nothing)
{
    static struct tls_pair pair;
    static struct tls_pair other;
    const struct wr_tls_peer_options how = {.server_hostname = NULL};
    struct weir_tls_options server = tls_options(true);
    struct weir_tls_options client = tls_options(false);
    server.client_auth = WEIR_TLS_CLIENT_AUTH_OPTIONAL;
    server.authorities.file = tls_file("ca.pem");
    client.authorities.file = NULL;
    client.no_verify = true;
    weir_tls_context *server_context = tls_context(&server);
    weir_tls_context *client_context = tls_context(&client);

    for (int room = 0; room <= 32; room += 8) {
        tls_pair_connect(&pair, client_context, server_context, &how);
        tls_pair_expect(&pair, 0, 0);
        tls_pair_open(&other, client_context, server_context, &how);
        expect_eq(wolfssl_seal(pair.server.engine.conn.ssl,
                               other.server.engine.conn.ssl, room),
                  room == 32);
        tls_pair_disconnect(&other);
        tls_pair_disconnect(&pair);
    }
    tls_contexts_unref(client_context, server_context);
}

UNIT_ABORTS(tls_wolfssl, an_account_does_not_end_before_what_it_holds,
            "memory->count == 0")
{
    static struct tls_pair pair;
    tls_pair_join(&pair, NULL, NULL, NULL);

    wr_tls_backend_get()->account_fini(pair.account.known);
}

static int alert_count; /* alerts of servers that had encrypted nothing */

/* Runs a handshake in which this many calls of getentropy() succeed. Returns
 * true if they are enough; otherwise no side has violated the protocol. */
static bool wolfssl_shake_with(int calls, int version)
{
    static struct tls_pair pair;
    const struct wr_tls_peer_options how = {.server_hostname = "localhost"};
    weir_tls_context *client = tls_context_of(false, version);
    weir_tls_context *server = tls_context_of(true, version);

    random_left = calls;
    tls_pair_connect(&pair, client, server, &how);
    random_left = INT_MAX;
    const int client_error = pair.client.engine.err;
    const int server_error = pair.server.engine.err;
    const int error =
        server_error == WEIR_ETLSENGINE ? server_error : client_error;
    const bool is_open = pair.client.engine.state == WR_TLS_ENGINE_OPEN &&
                         pair.server.engine.state == WR_TLS_ENGINE_OPEN;
    expect_eq(error, is_open ? 0 : WEIR_ETLSENGINE, "%d calls, %d", calls,
              version);
    if (server_error == WEIR_ETLSENGINE && !pair.server.engine.may_seal) {
        const int internal_error = 80;
        expect_eq(client_error, WEIR_ETLSALERT);
        expect_eq(wr_tls_engine_get_alert_received(&pair.client.engine),
                  internal_error);
        alert_count++;
    }
    tls_pair_disconnect(&pair);
    tls_contexts_unref(client, server);
    return is_open;
}

UNIT(tls_wolfssl, a_handshake_without_random_numbers_fails)
{
    for (int version = 12; version <= 13; version++) {
        int calls = 0;
        alert_count = 0;
        while (!wolfssl_shake_with(calls, version)) {
            calls++;
        }
        expect_gt(calls, 4);
        expect_gt(alert_count, 0);
    }
}
