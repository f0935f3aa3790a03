/*
 * Names are looked up one by one: there are 64 at most, and each line is looked
 * up once, before the run. A record is large, but its pages are not touched
 * before a latency falls into them.
 */
#include "kinds.h"

#include "fields.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char other_name[] = "other";

/* Bytes of the first word of a request that is not HTTP's; what follows may be
 * somebody's password. An escape ends it, or is it. */
static size_t measure_word(const char *request)
{
    return request[0] == '\0' ? 0 : 1 + strcspn(request + 1, " \t\\");
}

/* What a line is called. */
static void print_name(const struct request_kind *line, char *ret)
{
    if (line->name) {
        snprintf(ret, KINDS_NAME_SIZE, "%s", line->name);
    } else if (line->path) {
        snprintf(ret, KINDS_NAME_SIZE, "%s %.*s", line->method,
                 (int)strcspn(line->path, "?"), line->path);
    } else {
        snprintf(ret, KINDS_NAME_SIZE, "%.*s", (int)measure_word(line->request),
                 line->request);
    }
    for (char *at = ret; *at; at++) {
        *at = *at == '\n' || *at == '\r' || *at == '\t' ? ' ' : *at;
    }
}

size_t kinds_find(const struct kinds *kinds, const char *name)
{
    size_t place = 0;

    while (place < kinds->count && strcmp(kinds->names[place], name) != 0) {
        place++;
    }
    return place;
}

/* The place of a line, which is made if there is room; others are the last.
 * False: it is one of those. */
static bool place_line(struct kinds *kinds, const struct request_kind *line,
                       uint8_t *ret)
{
    char name[KINDS_NAME_SIZE];

    print_name(line, name);
    const size_t place = kinds_find(kinds, name);
    if (place == KINDS_MAX) {
        *ret = KINDS_MAX - 1;
        snprintf(kinds->names[*ret], KINDS_NAME_SIZE, "%s", other_name);
        return false;
    }
    if (place == kinds->count) {
        snprintf(kinds->names[place], KINDS_NAME_SIZE, "%s", name);
        kinds->count++;
    }
    *ret = (uint8_t)place;
    return true;
}

/* Lines with a name of their own, or those without. */
static void place_lines(struct kinds *kinds, const struct request_kind *lines,
                        size_t count, bool has_name)
{
    for (size_t i = 0; i < count; i++) {
        if ((lines[i].name != NULL) == has_name) {
            place_line(kinds, &lines[i], &kinds->places[i]);
        }
    }
}

int kinds_init(struct kinds *kinds, const struct request_kind *lines,
               size_t count)
{
    bool has_room = true;

    kinds->count = 0;
    kinds->places = calloc(count, sizeof(*kinds->places));
    if (!kinds->places) {
        return -ENOMEM;
    }
    for (size_t i = 0; i < count && has_room; i++) {
        has_room = place_line(kinds, &lines[i], &kinds->places[i]);
    }
    if (!has_room) {
        kinds->count = 0;
        place_lines(kinds, lines, count, true);
        place_lines(kinds, lines, count, false);
    }
    return 0;
}

char *kinds_list(const struct kinds *kinds, char *ret, size_t size)
{
    size_t len = 0;

    ret[0] = '\0';
    for (size_t i = 0; i < kinds->count; i++) {
        if (len + strlen(kinds->names[i]) + 3 > size) {
            break;
        }
        len += (size_t)snprintf(ret + len, size - len, "%s%s",
                                i > 0 ? ", " : "", kinds->names[i]);
    }
    return ret;
}

struct kind_record *kinds_new_records(const struct kinds *kinds)
{
    struct kind_record *records = calloc(kinds->count, sizeof(*records));

    for (size_t i = 0; records && i < kinds->count; i++) {
        /* All zero but for this: its pages stay untouched. */
        records[i].latency.min = UINT64_MAX;
    }
    return records;
}

void kinds_add(const struct kinds *kinds, struct kind_record *sum,
               const struct kind_record *from)
{
    for (size_t i = 0; i < kinds->count; i++) {
        fields_merge(fields_kind, &sum[i].counts, &from[i].counts);
        for (size_t k = 0; k < KINDS_STATUS_COUNT; k++) {
            sum[i].status[k] += from[i].status[k];
        }
        if (from[i].latency.count > 0) {
            histogram_merge(&sum[i].latency, &from[i].latency);
        }
    }
}
