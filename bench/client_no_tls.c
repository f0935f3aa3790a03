/*
 * The modes of TLS where the client was built without OpenSSL.
 *
 * They say so and end the run: a comparison that was not made must not look
 * like one.
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
