/*
 * The log at a syslog server (RFC 5424), at a Unix socket or over UDP. Each
 * line is a datagram. The log counts the datagrams that the server does not
 * take.
 */
#ifndef WEIR_PROXY_SINK_H
#define WEIR_PROXY_SINK_H

#include "record.h"

#include "weir/address.h"

/* Reads "syslog", "syslog:PATH" or "syslog:udp://HOST:PORT"; any other text is
 * the name of a file, which has an address of length 0. Returns false, with a
 * line in @why, if the text is wrong. */
bool sink_read(const char *text, struct weir_address *ret, char *why);

/* Returns a datagram socket that is connected there, or a negative errno. */
int sink_connect(const struct weir_address *address);

/* Facilities of syslog by their names; NULL behind the last. */
extern const char *const sink_facilities[];

/* Room for a datagram about one connection. */
#define SINK_SIZE (RECORD_TEXT_SIZE + 512)

/* Writes a datagram of a line, which ends with a newline; its bytes. @facility
 * is an index of sink_facilities. */
size_t sink_write(const struct record *record, const char *line, size_t len,
                  int facility, char *buf);

#endif
