/*
 * Computes how much of the client's CPUs other programs use.
 *
 * The kernel measures idle time, but counts other time by ticks, which a
 * program that runs between ticks escapes. So the use by others is computed as
 * all ticks minus the idle ticks, the interrupts and the client's own use.
 */
#include "measure.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* If all ticks differ from the window by more than this share, the counters are
 * not real: gVisor's do not change, and lxcfs computes its own. */
#define STRAY_SHARE 0.25

/* How far a counter may seem to decrease: values are rounded, and the kernel
 * moves time between counters. */
#define ROUNDED_TICKS 2U

/* Parses a line such as "cpu3 12 0 7 1024 ...". Returns false for other lines,
 * such as the sum of all CPUs. */
static bool read_cpu(const char *line, struct sharing_sample *ret)
{
    unsigned long long user = 0;
    unsigned long long nice = 0;
    unsigned long long system = 0;
    unsigned long long idle = 0;
    unsigned long long waiting = 0;
    unsigned long long hard = 0;
    unsigned long long soft = 0;
    unsigned long long stolen = 0;
    unsigned cpu = 0;

    /* Without the digit, %u would read a counter of the line "cpu  ...". */
    if (line[3] < '0' || line[3] > '9' ||
        sscanf(line, "cpu%u %llu %llu %llu %llu %llu %llu %llu %llu", &cpu,
               &user, &nice, &system, &idle, &waiting, &hard, &soft,
               &stolen) != 9) {
        return false;
    }
    if (cpu < CPUS_MAX) {
        ret->cpus[cpu] = (struct sharing_cpu){
            .idle = idle + waiting,
            .interrupts = hard + soft,
            .stolen = stolen,
            .total =
                user + nice + system + idle + waiting + hard + soft + stolen,
        };
    }
    return true;
}

/* Returns false if the file lists no CPU. */
static bool sharing_read(FILE *file, uint64_t now_ns,
                         struct sharing_sample *ret)
{
    char line[512];
    bool has_any = false;

    memset(ret, 0, sizeof(*ret));
    ret->at_ns = now_ns;
    /* The lines of CPUs come first. A later line may be longer than the
     * buffer. */
    while (fgets(line, sizeof(line), file) && strncmp(line, "cpu", 3) == 0) {
        has_any |= read_cpu(line, ret);
    }
    return has_any;
}

void sharing_look(uint64_t now_ns, struct sharing_sample *ret)
{
    FILE *file = fopen("/proc/stat", "re");

    if (!file) {
        memset(ret, 0, sizeof(*ret));
        return;
    }
    sharing_read(file, now_ns, ret);
    fclose(file);
}

static bool add_gain(uint64_t begin, uint64_t end, uint64_t *sum)
{
    *sum += end > begin ? end - begin : 0;
    return end + ROUNDED_TICKS >= begin;
}

/* Adds the CPU time between two samples. Returns false if /proc/stat does not
 * list the CPU, or if a counter decreased by more than ROUNDED_TICKS. */
static bool add_cpu(const struct sharing_cpu *begin,
                    const struct sharing_cpu *end, struct sharing_cpu *sum)
{
    return begin->total > 0 && add_gain(begin->idle, end->idle, &sum->idle) &&
           add_gain(begin->interrupts, end->interrupts, &sum->interrupts) &&
           add_gain(begin->stolen, end->stolen, &sum->stolen) &&
           add_gain(begin->total, end->total, &sum->total);
}

struct sharing sharing_find(const struct sharing_sample *begin,
                            const struct sharing_sample *end,
                            const struct cpus *cpus, size_t thread_count,
                            double own_cpus)
{
    const struct sharing none = {.cpu_count = 0};
    struct sharing_cpu sum = {0};

    if (begin->at_ns == 0 || end->at_ns < begin->at_ns + SHARING_WINDOW_NS ||
        cpus->count == 0) {
        return none;
    }
    for (size_t i = 0; i < cpus->count; i++) {
        const int cpu = cpus->list[i];
        if (!add_cpu(&begin->cpus[cpu], &end->cpus[cpu], &sum)) {
            return none;
        }
    }
    const double count = (double)cpus->count;
    const double ticks = (double)(end->at_ns - begin->at_ns) / 1e9 *
                         (double)sysconf(_SC_CLK_TCK) * count;
    const double total = (double)sum.total;
    if (total < (1 - STRAY_SHARE) * ticks ||
        total > (1 + STRAY_SHARE) * ticks) {
        return none;
    }
    const double used = total - (double)sum.idle - (double)sum.interrupts;
    const double others = used / total * count - own_cpus;
    return (struct sharing){
        .cpu_count = cpus->count,
        .thread_count = thread_count,
        .idle = (double)sum.idle / total * count,
        .others = others > 0 ? others : 0,
        .stolen = (double)sum.stolen / total * count,
    };
}

double sharing_idle_part(const struct sharing *sharing)
{
    const size_t needed = sharing->thread_count < sharing->cpu_count
                              ? sharing->thread_count
                              : sharing->cpu_count;

    return sharing->idle / (double)needed;
}

double sharing_others_part(const struct sharing *sharing)
{
    return sharing->others / (double)sharing->cpu_count;
}
