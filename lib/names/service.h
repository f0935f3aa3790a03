/*
 * Services: names of ports, each for one protocol.
 *
 * The functions for a line are pure. The others open, read and close one file,
 * services(5), in one call.
 */
#ifndef WEIR_LIB_NAMES_SERVICE_H
#define WEIR_LIB_NAMES_SERVICE_H

#include "weir/resolver.h"

#define WR_SERVICES_PATH "/etc/services"

/* Parses one line of a services file; @line is changed. Returns true if it
 * defines @name for @protocol ("tcp", "udp"). *ret_port is in host byte
 * order. */
bool wr_service_line_names(char *line, const char *name, const char *protocol,
                           uint16_t *ret_port);

/* Returns true if the line names @port of @protocol; *ret_name points into
 * @line, which is changed. */
bool wr_service_line_is_port(char *line, uint16_t port, const char *protocol,
                             const char **ret_name);

/* Gets the port of a service: a number, or a name that the file has for TCP,
 * else for UDP. If @path is NULL, accepts only numbers. Returns 0,
 * WEIR_ESERVICE if the service is unknown, or -EMFILE or a similar error if the
 * file could not be read. */
WEIR_MUST_USE int wr_service_find(const struct weir_allocator *allocator,
                                  const char *path, const char *service,
                                  uint16_t *ret_port);

/* Writes the name of a port, or its number if it has no name or the file could
 * not be read. @path may be NULL. */
void wr_service_write(const struct weir_allocator *allocator, const char *path,
                      uint16_t port, const char *protocol,
                      char ret[WEIR_SERVICE_SIZE]);

#endif
