/*
 * The certificates of a service, with their keys: those that the configuration
 * names, and those in the folders that it names.
 *
 * Of a folder each file is one that ends with .pem or .crt, in the order of
 * their names; its key is in the file of that name with .key, or in its own.
 */
#ifndef WEIR_PROXY_IDENTITIES_H
#define WEIR_PROXY_IDENTITIES_H

#include "config.h"

/* The first is for clients that ask for no name. */
struct identities {
    struct config_texts certs;
    struct config_texts keys; /* of each of them; its file may be the same */
};

/* Finds the files, as they are now. False, with a line in @why; @ret is to be
 * freed in any case. */
bool identities_find(const struct config_service *service,
                     struct identities *ret, char *why);
void identities_free(struct identities *identities);

#endif
