/*
 * Where lines of the log go that is no file: a syslog server (RFC 5424), at a
 * Unix socket or by UDP, or systemd's journal, with the log's fields as its
 * own. Each line is a datagram.
 */
#ifndef WEIR_PROXY_SINK_H
#define WEIR_PROXY_SINK_H

#include "record.h"

#include "weir/address.h"

enum sink_kind {
    SINK_NONE, /* it is a file */
    SINK_SYSLOG,
    SINK_JOURNAL,
};

struct sink {
    enum sink_kind kind;
    struct weir_address address;
};

/* Reads "syslog", "syslog:PATH", "syslog:udp://HOST:PORT", "journal" or
 * "journal:PATH"; whatever else it is has SINK_NONE. False, with a line in
 * @why. */
bool sink_read(const char *text, struct sink *ret, char *why);

/* A socket that is connected to it, or a negative errno. */
int sink_connect(const struct sink *sink);

/* Facilities of syslog by their names; NULL behind the last. */
extern const char *const sink_facilities[];

/* Room for a datagram about one connection. */
#define SINK_SIZE (2 * RECORD_TEXT_SIZE + 512)

/* Writes a datagram of a line, which ends with a newline; its bytes. @facility
 * is an index of sink_facilities. */
size_t sink_write(const struct sink *sink, const struct record *record,
                  const char *line, size_t len, int facility, char *buf);

#endif
