/*
 * A header of RFC 5424 has the time of the line, which is that of the
 * connection's end, the host, the program and its process id. The journal's
 * native protocol is lines of NAME=VALUE; no value of a record has a newline.
 */
#include "sink.h"

#include "tools/common/option.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define SYSLOG_PATH  "/dev/log"
#define JOURNAL_PATH "/run/systemd/journal/socket"
#define UDP          "udp://"
#define SEVERITY     6 /* informational */

const char *const sink_facilities[] = {"daemon", "user",   "auth",   "local0",
                                       "local1", "local2", "local3", "local4",
                                       "local5", "local6", "local7", NULL};
static const int facility_codes[] = {3, 1, 4, 16, 17, 18, 19, 20, 21, 22, 23};

/* What is behind "NAME" or "NAME:"; NULL: it is another name. */
static const char *find_rest(const char *text, const char *name,
                             const char *otherwise)
{
    const size_t len = strlen(name);

    if (strncmp(text, name, len) != 0) {
        return NULL;
    }
    return text[len] == '\0'  ? otherwise
           : text[len] == ':' ? text + len + 1
                              : NULL;
}

bool sink_read(const char *text, struct sink *ret, char *why)
{
    const char *syslog = find_rest(text, "syslog", SYSLOG_PATH);
    const char *journal = find_rest(text, "journal", JOURNAL_PATH);
    const char *place = syslog ? syslog : journal;
    const bool is_udp = syslog && strncmp(place, UDP, strlen(UDP)) == 0;

    *ret = (struct sink){.kind = syslog    ? SINK_SYSLOG
                                 : journal ? SINK_JOURNAL
                                           : SINK_NONE};
    if (!place) {
        return true;
    }
    if (is_udp) {
        return weir_address_parse_with_port(place + strlen(UDP),
                                            &ret->address) == 0 ||
               option_refuse(why,
                             "'%.100s' is not an address such as "
                             "syslog:udp://127.0.0.1:514",
                             text);
    }
    return ((place[0] == '/' || place[0] == '@') &&
            weir_address_parse_unix(place, &ret->address) == 0) ||
           option_refuse(why,
                         "'%.100s' is not %s:PATH with the path of a Unix "
                         "socket%s",
                         text, syslog ? "syslog" : "journal",
                         syslog ? ", or syslog:udp://HOST:PORT" : "");
}

int sink_connect(const struct sink *sink)
{
    const int fd = socket(sink->address.storage.any.sa_family,
                          SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0) {
        return -errno;
    }
    if (connect(fd, &sink->address.storage.any, sink->address.len) < 0) {
        const int err = -errno;
        close(fd);
        return err;
    }
    return fd;
}

/* "<30>1 TIME HOST weir-proxy PID - - " */
static size_t write_head(const struct record *record, int facility, char *buf,
                         size_t size)
{
    char time[RECORD_TIME_SIZE];
    char host[256] = "-";

    if (gethostname(host, sizeof(host) - 1) < 0 || host[0] == '\0') {
        strcpy(host, "-");
    }
    record_format_time(record->time_ns + record->total_ns, time);
    return (size_t)snprintf(buf, size, "<%d>1 %s %.255s weir-proxy %ld - - ",
                            facility_codes[facility] * 8 + SEVERITY, time, host,
                            (long)getpid());
}

size_t sink_write(const struct sink *sink, const struct record *record,
                  const char *line, size_t len, int facility, char *buf)
{
    size_t size;

    if (sink->kind == SINK_SYSLOG) {
        size = write_head(record, facility, buf, SINK_SIZE);
        memcpy(buf + size, line, len - 1);
        return size + len - 1;
    }
    size = (size_t)snprintf(buf, SINK_SIZE,
                            "PRIORITY=%d\nSYSLOG_FACILITY=%d\n"
                            "SYSLOG_IDENTIFIER=weir-proxy\nMESSAGE=",
                            SEVERITY, facility_codes[facility]);
    memcpy(buf + size, line, len);
    return size + len + record_write_fields(record, "WEIR_", buf + size + len);
}
