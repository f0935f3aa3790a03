/*
 * Describes the machine of a run from uname, sysfs and procfs. A file may be
 * missing, in a container or on another architecture. This leaves its field
 * empty and is not an error.
 */
#include "measure.h"

#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/timex.h>
#include <sys/utsname.h>
#include <unistd.h>

/* Reads the first line, or the value of the first line that begins with @label.
 * Sets @buf to "" if there is none. */
static void read_line(const char *path, const char *label, char *buf,
                      size_t size)
{
    char line[256];
    FILE *file = fopen(path, "re");
    bool is_found = false;

    buf[0] = '\0';
    while (file && !is_found && fgets(line, sizeof(line), file)) {
        const char *colon = strchr(line, ':');
        is_found =
            !label || (strncmp(line, label, strlen(label)) == 0 && colon);
        if (is_found) {
            snprintf(buf, size, "%.*s", (int)size - 1,
                     label ? colon + 2 : line);
            buf[strcspn(buf, "\n")] = '\0';
        }
    }
    if (file) {
        fclose(file);
    }
}

static uint64_t nanoseconds(const struct timeval *time)
{
    return (uint64_t)time->tv_sec * UINT64_C(1000000000) +
           (uint64_t)time->tv_usec * 1000;
}

static void read_clock(struct host *host)
{
    struct timex state = {.modes = 0};
    const int answer = adjtimex(&state);

    if (answer < 0) {
        return;
    }
    host->clock_is_synchronised =
        answer != TIME_ERROR && (state.status & STA_UNSYNC) == 0;
    host->clock_estimated_error_ns = (uint64_t)state.esterror * 1000;
    host->clock_greatest_error_ns = (uint64_t)state.maxerror * 1000;
}

void host_describe(struct host *ret)
{
    struct utsname names;
    cpu_set_t cpus;

    *ret = (struct host){0};
    if (uname(&names) == 0) {
        snprintf(ret->name, sizeof(ret->name), "%s", names.nodename);
        snprintf(ret->kernel, sizeof(ret->kernel), "%s %s", names.sysname,
                 names.release);
        snprintf(ret->machine, sizeof(ret->machine), "%s", names.machine);
    }
    read_line("/proc/cpuinfo", "model name", ret->cpu_model,
              sizeof(ret->cpu_model));
    read_line("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", NULL,
              ret->governor, sizeof(ret->governor));
    ret->cpu_count = sysconf(_SC_NPROCESSORS_ONLN);
    if (sched_getaffinity(0, sizeof(cpus), &cpus) == 0) {
        ret->cpus_allowed = CPU_COUNT(&cpus);
    }
    read_clock(ret);
}

void host_measure(struct host_usage *ret)
{
    struct rusage usage;
    char line[128];
    unsigned long long ran = 0;
    unsigned long long waited = 0;

    *ret = (struct host_usage){0};
    if (getrusage(RUSAGE_THREAD, &usage) == 0) {
        ret->user_ns = nanoseconds(&usage.ru_utime);
        ret->system_ns = nanoseconds(&usage.ru_stime);
        ret->max_rss_bytes = (uint64_t)usage.ru_maxrss * 1024;
    }
    read_line("/proc/thread-self/schedstat", NULL, line, sizeof(line));
    if (sscanf(line, "%llu %llu", &ran, &waited) == 2) {
        ret->run_queue_wait_ns = waited;
    }
}

void host_subtract(struct host_usage *usage, const struct host_usage *before)
{
    usage->user_ns -= before->user_ns;
    usage->system_ns -= before->system_ns;
    usage->run_queue_wait_ns -= before->run_queue_wait_ns;
}

bool host_is_same(const struct weir_address *a, const struct weir_address *b)
{
    if (a->len == 0 || a->storage.any.sa_family != b->storage.any.sa_family) {
        return false;
    }
    if (a->storage.any.sa_family == AF_INET) {
        return a->storage.inet.sin_addr.s_addr ==
               b->storage.inet.sin_addr.s_addr;
    }
    return a->storage.any.sa_family == AF_UNIX ||
           memcmp(&a->storage.inet6.sin6_addr, &b->storage.inet6.sin6_addr,
                  sizeof(struct in6_addr)) == 0;
}
