/*
 * The header of RFC 5424 has the time at which the connection ended, the host,
 * the program and its process id.
 *
 * The severity is always informational.
 */
#include "sink.h"

#include "tools/common/option.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define SYSLOG_PATH "/dev/log"
#define UDP         "udp://"
#define SEVERITY    6

const char *const sink_facilities[] = {"daemon", "user",   "auth",   "local0",
                                       "local1", "local2", "local3", "local4",
                                       "local5", "local6", "local7", NULL};
static const int facility_codes[] = {3, 1, 4, 16, 17, 18, 19, 20, 21, 22, 23};

/* Returns REST of "NAME:REST", @otherwise for "NAME", or NULL for other
 * texts. */
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

bool sink_read(const char *text, struct weir_address *ret, char *why)
{
    const char *place = find_rest(text, "syslog", SYSLOG_PATH);

    *ret = (struct weir_address){.len = 0};
    if (!place) {
        return !find_rest(text, "journal", text) ||
               option_refuse(why,
                             "'%.100s' was removed; use -, as systemd sends "
                             "standard output to the journal, or syslog",
                             text);
    }
    if (strncmp(place, UDP, strlen(UDP)) == 0) {
        return weir_address_parse_with_port(place + strlen(UDP), ret) == 0 ||
               option_refuse(why,
                             "'%.100s' is not an address such as "
                             "syslog:udp://127.0.0.1:514",
                             text);
    }
    return ((place[0] == '/' || place[0] == '@') &&
            weir_address_parse_unix(place, ret) == 0) ||
           option_refuse(why,
                         "'%.100s' is not syslog:PATH with the path of a Unix "
                         "socket, or syslog:udp://HOST:PORT",
                         text);
}

int sink_connect(const struct weir_address *address)
{
    const int fd = socket(address->storage.any.sa_family,
                          SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0) {
        return -errno;
    }
    if (connect(fd, &address->storage.any, address->len) < 0) {
        const int err = -errno;
        close(fd);
        return err;
    }
    return fd;
}

size_t sink_write_head(const struct record *record, int facility, char *buf)
{
    char time[RECORD_TIME_SIZE];
    char host[256] = "-";

    if (gethostname(host, sizeof(host) - 1) < 0 || host[0] == '\0') {
        strcpy(host, "-");
    }
    record_format_time(record->time_ns + record->total_ns, time);
    return (size_t)snprintf(
        buf, SINK_HEAD_SIZE, "<%d>1 %s %.255s weir-proxy %ld - - ",
        facility_codes[facility] * 8 + SEVERITY, time, host, (long)getpid());
}
