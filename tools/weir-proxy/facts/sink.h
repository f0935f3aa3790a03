/*
 * The log at a syslog server (RFC 5424), at a Unix socket or over UDP.
 *
 * Each line of the log is a datagram. Datagrams that the server does not accept
 * are counted as lost lines.
 */
#ifndef WEIR_PROXY_SINK_H
#define WEIR_PROXY_SINK_H

#include "record.h"

#include "weir/address.h"

/* Parses "syslog", "syslog:PATH" or "syslog:udp://HOST:PORT". Any other text is
 * a file's name and gives an address of length 0. Returns false with a reason
 * in @why. */
bool sink_read(const char *text, struct weir_address *ret, char *why);

/* Returns a connected datagram socket or a negative errno. */
int sink_connect(const struct weir_address *address);

extern const char *const sink_facilities[];

#define SINK_HEAD_SIZE 512

/* Writes what precedes a line in its datagram, without a NUL. Returns its
 * length.
 * @facility is an index of sink_facilities. */
size_t sink_write_head(const struct record *record, int facility, char *buf);

#endif
