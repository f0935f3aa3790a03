/*
 * Parses --part, the share of the load that this process makes.
 *
 * Numbers in schedulers' variables start at 0, but in "2/8" they start at 1,
 * like GNU parallel's {#}.
 */
#include "schedule.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct scheduler {
    const char *index;
    const char *count; /* NULL if the scheduler does not set the count */
};

/* The first scheduler whose index variable is set is used. Open MPI and MPICH
 * come before Slurm: if Slurm starts them, both variables have the same
 * index. */
static const struct scheduler schedulers[] = {
    {"JOB_COMPLETION_INDEX", NULL},
    {"OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"},
    {"PMI_RANK", "PMI_SIZE"},
    {"SLURM_PROCID", "SLURM_NTASKS"},
};

/* Returns false unless the text is a number up to PARTS_MAX. */
static bool read_number(const char *text, uint32_t *ret)
{
    char *end = NULL;

    if (text[0] < '0' || text[0] > '9') {
        return false;
    }
    errno = 0;
    const unsigned long number = strtoul(text, &end, 10);
    *ret = (uint32_t)number;
    return *end == '\0' && errno == 0 && number <= PARTS_MAX;
}

static const struct scheduler *find_scheduler(void)
{
    for (size_t i = 0; i < sizeof(schedulers) / sizeof(schedulers[0]); i++) {
        if (getenv(schedulers[i].index)) {
            return &schedulers[i];
        }
    }
    return NULL;
}

/* Reads the part from the environment. If @count is 0, the number of parts is
 * read there, too. */
static int read_environment(uint32_t count, struct part *ret, char *why)
{
    const struct scheduler *scheduler = find_scheduler();

    if (!scheduler) {
        return why_refuse(why, -EINVAL,
                          "auto: none of JOB_COMPLETION_INDEX, SLURM_PROCID, "
                          "PMI_RANK and OMPI_COMM_WORLD_RANK is set; write "
                          "the part itself, as 2/8");
    }
    const char *index = getenv(scheduler->index);
    const char *all = scheduler->count ? getenv(scheduler->count) : NULL;
    if (!read_number(index, &ret->index)) {
        return why_refuse(why, -EINVAL,
                          "auto: %s is '%.40s', which is not an index",
                          scheduler->index, index);
    }
    ret->count = count;
    if (count == 0 && !all) {
        return why_refuse(
            why, -EINVAL,
            "auto: %s is set, but not the number of parts; write auto/8",
            scheduler->index);
    }
    if (count == 0 && !read_number(all, &ret->count)) {
        return why_refuse(why, -EINVAL,
                          "auto: %s is '%.40s', which is not a count",
                          scheduler->count, all);
    }
    if (ret->index >= ret->count) {
        return why_refuse(
            why, -EINVAL, "auto: %s is %u, beyond the last of %u parts, %u",
            scheduler->index, ret->index, ret->count, ret->count - 1);
    }
    return 0;
}

static int read_text(const char *text, struct part *ret, char *why)
{
    const char *slash = strchr(text, '/');
    char number[16] = "";
    uint32_t index = 0;

    if (slash && (size_t)(slash - text) < sizeof(number)) {
        memcpy(number, text, (size_t)(slash - text));
    }
    if (!slash || !read_number(number, &index) ||
        !read_number(slash + 1, &ret->count)) {
        return why_refuse(
            why, -EINVAL,
            "'%.80s' is not a part such as 2/8, of at most %u, or "
            "auto",
            text, PARTS_MAX);
    }
    if (ret->count == 0) {
        return why_refuse(why, -EINVAL,
                          "'%.80s': the number of parts is 1 to %u", text,
                          PARTS_MAX);
    }
    if (index == 0) {
        return why_refuse(
            why, -EINVAL,
            "'%.80s': parts are numbered from 1; where a scheduler "
            "numbers from 0, auto/%u reads its number",
            text, ret->count);
    }
    if (index > ret->count) {
        return why_refuse(why, -EINVAL, "'%.80s': there are only %u parts",
                          text, ret->count);
    }
    ret->index = index - 1;
    return 0;
}

int part_parse(const char *text, struct part *ret, char *why)
{
    uint32_t count = 0;

    if (strcmp(text, "auto") == 0) {
        return read_environment(0, ret, why);
    }
    if (strncmp(text, "auto/", 5) != 0) {
        return read_text(text, ret, why);
    }
    if (!read_number(text + 5, &count) || count == 0) {
        return why_refuse(why, -EINVAL,
                          "'%.80s': the number of parts is 1 to %u", text,
                          PARTS_MAX);
    }
    return read_environment(count, ret, why);
}
