/*
 * Parses lists of CPUs, such as 0,2-3. A list with more CPUs than a machine can
 * have is refused instead of cut, because the part cut off could have a CPU
 * that client and server share.
 */
#include "measure.h"

#include <stdlib.h>

/* Parses "2" or "2-3" and appends it. Returns the rest of the text, or NULL. */
static const char *parse_range(const char *text, struct cpus *cpus)
{
    char *end = NULL;
    const long first = strtol(text, &end, 10);
    long last = first;

    if (end == text || first < 0) {
        return NULL;
    }
    if (*end == '-') {
        text = end + 1;
        last = strtol(text, &end, 10);
    }
    if (end == text || last < first || last >= CPU_SETSIZE ||
        (size_t)(last - first) >= CPUS_MAX - cpus->count) {
        return NULL;
    }
    for (long cpu = first; cpu <= last; cpu++) {
        cpus->list[cpus->count++] = (int)cpu;
    }
    return end;
}

bool cpus_parse(const char *text, struct cpus *ret)
{
    struct cpus cpus = {.count = 0};

    const char *rest = parse_range(text, &cpus);
    while (rest && *rest == ',') {
        rest = parse_range(rest + 1, &cpus);
    }
    if (!rest || *rest) {
        return false;
    }
    *ret = cpus;
    return true;
}

void cpus_of_process(struct cpus *ret)
{
    cpu_set_t set;

    ret->count = 0;
    if (sched_getaffinity(0, sizeof(set), &set) < 0) {
        return;
    }
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        if (CPU_ISSET((size_t)cpu, &set)) {
            ret->list[ret->count++] = cpu;
        }
    }
}

int cpus_find_common(const struct cpus *a, const struct cpus *b)
{
    for (size_t i = 0; i < a->count; i++) {
        for (size_t k = 0; k < b->count; k++) {
            if (a->list[i] == b->list[k]) {
                return a->list[i];
            }
        }
    }
    return -1;
}

void cpus_print(const struct cpus *cpus, FILE *out)
{
    for (size_t i = 0; i < cpus->count; i++) {
        const size_t first = i;
        while (i + 1 < cpus->count && cpus->list[i + 1] == cpus->list[i] + 1) {
            i++;
        }
        fprintf(out, "%s%d", first > 0 ? "," : "", cpus->list[first]);
        if (i > first) {
            fprintf(out, "-%d", cpus->list[i]);
        }
    }
}
