/*
 * The certificates of a service with their keys: files named in the
 * configuration, and files in folders named in the configuration.
 *
 * In a folder each file whose name ends with .pem or .crt is a certificate.
 * They are used in the order of their names. The key of a certificate is in the
 * file with the same name but the ending .key, or in the certificate's file.
 */
#ifndef WEIR_PROXY_IDENTITIES_H
#define WEIR_PROXY_IDENTITIES_H

#include "config.h"

/* The first certificate is for clients that request no server name. */
struct identities {
    struct arena arena;
    struct config_texts certs;
    struct config_texts keys; /* for each certificate; may be the same file */
};

/* Returns false with a reason in @why. The caller frees ret->arena in any
 * case. */
bool identities_find(const struct config_service *service,
                     struct identities *ret, char *why);

#endif
