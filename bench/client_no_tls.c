/*
 * The TLS modes of a client that was built without OpenSSL.
 *
 * They end with an error, so that a comparison without a client cannot look
 * like a result.
 */
#include "bench/client.h"

#include <stdio.h>
#include <stdlib.h>

static void refuse(void)
{
    fprintf(stderr, "the client was built without OpenSSL\n");
    exit(2);
}

void client_run_handshakes(struct client *k)
{
    (void)k;
    refuse();
}

void client_run_requests(struct client *k)
{
    (void)k;
    refuse();
}

void client_run_tls_idle(struct client *k)
{
    (void)k;
    refuse();
}
