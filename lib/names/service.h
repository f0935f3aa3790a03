/*
 * Services: the names of ports, for one protocol each.
 *
 * The functions that read a line are pure; the others read one file, which is
 * closed again when they return.
 */
#ifndef WEIR_LIB_NAMES_SERVICE_H
#define WEIR_LIB_NAMES_SERVICE_H

#include "weir/resolver.h"

#define WR_SERVICES_PATH "/etc/services"

/* Reads one line of a file of services, in text that is written to. True when
 * it names @name for @protocol ("tcp", "udp"); *ret_port is in host order. */
bool wr_service_line_names(char *line, const char *name, const char *protocol,
                           uint16_t *ret_port);

/* True when the line gives @port of @protocol a name; *ret_name lies in @line.
 */
bool wr_service_line_is_port(char *line, uint16_t port, const char *protocol,
                             const char **ret_name);

/* The port of a service: a number, or a name that the file has for TCP, else
 * for UDP. WEIR_ESERVICE when there is none. @path is NULL for numbers alone.
 */
WEIR_MUST_USE int wr_service_find(const char *path, const char *service,
                                  uint16_t *ret_port);

/* Writes the name of a port, or the port as a number. */
void wr_service_write(const char *path, uint16_t port, const char *protocol,
                      char ret[WEIR_SERVICE_SIZE]);

#endif
