/*
 * The certificates of a service with their keys: files named in the
 * configuration, and files in the folders that it names.
 *
 * In a folder each file that ends with .pem or .crt is a certificate, in the
 * order of names; its key is in the file of that name with .key, or in the same
 * file.
 */
#ifndef WEIR_PROXY_IDENTITIES_H
#define WEIR_PROXY_IDENTITIES_H

#include "config.h"

/* The first is for clients that request no server name. */
struct identities {
    struct config_texts certs;
    struct config_texts keys; /* of each certificate; may be the same file */
};

/* Finds the current files. Returns false with a reason in @why. @ret must be
 * freed in any case. */
bool identities_find(const struct config_service *service,
                     struct identities *ret, char *why);
void identities_free(struct identities *identities);

#endif
