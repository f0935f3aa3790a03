/*
 * What is told of a peer whose certificates could not be judged: the program
 * has the error of this side, and the peer an alert that does not blame its
 * certificates. And a client's signature counts only with a judged key.
 *
 * The program is linked so that the function that verifies a signature comes
 * here, and malloc(), of which the room for the peer's certificate is known by
 * its size.
 */
#include "lib/tls/context/context_impl.h"
#include "lib/tls/context/signature.h"
#include "tests/tls/rig.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { ALERT_INTERNAL = 80, ALERT_ILLEGAL = 47 };

static struct tls_pair pair;
static bool lacks_memory_to_verify;
static size_t size_to_keep; /* of which there is no memory; 0: there is */

int __real_wr_tls_signature_verify(const struct wr_x509_signed *sign,
                                   struct wr_bytes key_info);
int __wrap_wr_tls_signature_verify(const struct wr_x509_signed *sign,
                                   struct wr_bytes key_info);
void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);

int __wrap_wr_tls_signature_verify(const struct wr_x509_signed *sign,
                                   struct wr_bytes key_info)
{
    return lacks_memory_to_verify
               ? -ENOMEM
               : __real_wr_tls_signature_verify(sign, key_info);
}

void *__wrap_malloc(size_t size)
{
    return size > 0 && size == size_to_keep ? NULL : __real_malloc(size);
}

/* The bytes of the certificate that both sides have, of its text: four letters
 * are three bytes. */
static size_t alerts_measure(const char *path)
{
    char line[128];
    size_t letters = 0;
    bool is_inside = false;
    FILE *file = fopen(path, "r");

    cr_assert_not_null(file);
    while (fgets(line, sizeof(line), file)) {
        const bool is_mark = strncmp(line, "-----", 5) == 0;
        letters += is_inside && !is_mark ? strcspn(line, "=\n") : 0;
        if (is_mark && letters > 0) {
            break;
        }
        is_inside = is_mark || letters > 0;
    }
    fclose(file);
    return letters * 3 / 4;
}

/* Both sides have the same certificate; the server asks for the client's where
 * the client does not judge. */
static void alerts_connect(enum weir_tls_version version, bool to_client)
{
    struct weir_tls_options client = tls_options(false);
    struct weir_tls_options server = tls_options(true);
    client.min_version = client.max_version = version;
    if (!to_client) {
        client.certificate = server.certificate;
        client.key = server.key;
        server.authorities = client.authorities;
        server.client_auth = WEIR_TLS_CLIENT_AUTH_REQUIRED;
        client.authorities.file = NULL;
        client.no_verify = true;
    }
    tls_pair_join(&pair, &client, &server, NULL);
}

/* The side that judges has no memory to do so. */
static void alerts_expect_internal(enum weir_tls_version version,
                                   bool to_client)
{
    alerts_connect(version, to_client);
    struct tls_side *judge = to_client ? &pair.client : &pair.server;
    struct tls_side *other = to_client ? &pair.server : &pair.client;
    expect_eq(wr_tls_engine_get_error(&judge->engine), -ENOMEM);
    expect_eq(wr_tls_engine_get_alert_sent(&judge->engine), ALERT_INTERNAL);
    cr_assert_null(judge->engine.secret, "its first record is sealed once");
    expect_eq(wr_tls_engine_get_error(&other->engine), WEIR_ETLSALERT);
    expect_eq(wr_tls_engine_get_alert_received(&other->engine), ALERT_INTERNAL);
    tls_pair_disconnect(&pair);
}

static void alerts_expect_internal_always(void)
{
    for (int to_client = 0; to_client < 2; to_client++) {
        alerts_expect_internal(WEIR_TLS_1_2, to_client);
        alerts_expect_internal(WEIR_TLS_1_3, to_client);
    }
}

UNIT(tls_alerts, no_memory_to_verify_a_signature_is_not_the_peers_fault)
{
    lacks_memory_to_verify = true;
    alerts_expect_internal_always();
    lacks_memory_to_verify = false;
}

UNIT(tls_alerts, no_memory_to_keep_a_certificate_is_not_the_peers_fault)
{
    const struct weir_tls_options options = tls_options(true);

    /* Test allocators put a head before each block. */
    size_to_keep = sizeof(struct allocator_block) +
                   alerts_measure(options.certificate.file);
    cr_assert(size_to_keep > 0);
    alerts_expect_internal_always();
    size_to_keep = 0;
}
