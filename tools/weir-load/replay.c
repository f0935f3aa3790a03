/*
 * A line is read twice: its time, and then the request behind it, which is
 * looked up among those before by its text and compiled only where it is new.
 *
 * Times are read as whole nanoseconds, so that those of a record are exact.
 */
#include "replay.h"

#include "template.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define SECOND UINT64_C(1000000000)

/* The first places of the table in which kinds are looked up, a power of 2. */
#define TABLE_SIZE 64U

#define HASH_BEGIN UINT64_C(0xcbf29ce484222325)

static const char length_field[] = "Content-Length:";

struct reader {
    struct replay *replay;
    enum request_form form;
    bool has_times;
    const char *target; /* of a list; NULL: there is none */
    /* By the hash of a text: 1 more than the index of its kind; 0: none. At
     * most half of the places are taken. */
    uint32_t *table;
    size_t table_size;
    /* The request that was begun, with the lines below it, and the number of
     * its first line; 0: there is none. */
    char *block;
    size_t block_len;
    size_t block_room;
    uint64_t block_number;
    char *why;
};

/* FNV-1a. */
static uint64_t hash_bytes(uint64_t hash, const void *bytes, size_t len)
{
    const uint8_t *at = bytes;

    for (size_t i = 0; i < len; i++) {
        hash = (hash ^ at[i]) * UINT64_C(0x100000001b3);
    }
    return hash;
}

static int refuse_memory(char *why)
{
    snprintf(why, TEMPLATE_WHY_SIZE, "no memory");
    return -ENOMEM;
}

/* Room for one more of an array that has count: it doubles when that is a power
 * of 2. NULL: there is no memory, and the array is as it was. */
static void *make_room(void *array, size_t count, size_t size)
{
    const size_t room = count > 0 ? 2 * count : 1;

    return count & (count - 1) ? array : realloc(array, room * size);
}

/* ---- a line ---- */

/* Seconds with a fraction, of which digits past the ninth are left out. Returns
 * how many characters they have, or 0. */
static size_t read_seconds(const char *text, uint64_t *ret_ns)
{
    uint64_t time_ns = 0;
    uint64_t unit_ns = SECOND;
    size_t at = 0;

    for (; text[at] >= '0' && text[at] <= '9'; at++) {
        if (time_ns <= REPLAY_SECONDS_MAX * SECOND) {
            time_ns = time_ns * 10 + (uint64_t)(text[at] - '0') * SECOND;
        }
    }
    if (at == 0) {
        return 0;
    }
    if (text[at] == '.') {
        at++;
        for (; text[at] >= '0' && text[at] <= '9'; at++) {
            unit_ns /= 10;
            time_ns += (uint64_t)(text[at] - '0') * unit_ns;
        }
    }
    *ret_ns = time_ns;
    return text[at] == '\0' || text[at] == ' ' || text[at] == '\t' ? at : 0;
}

/* The time of a line, and where its request begins. */
static int take_time(const struct reader *reader, const char *line,
                     uint64_t *ret_ns, const char **ret_request)
{
    const struct replay *replay = reader->replay;
    const int word_len = (int)strcspn(line, " \t");
    uint64_t time_ns = 0;
    const size_t len = read_seconds(line, &time_ns);

    if (len == 0) {
        snprintf(reader->why, TEMPLATE_WHY_SIZE,
                 "'%.*s' is not a time; write seconds from the begin, as 0.25",
                 word_len < 24 ? word_len : 24, line);
        return -EINVAL;
    }
    if (time_ns > REPLAY_SECONDS_MAX * SECOND) {
        snprintf(reader->why, TEMPLATE_WHY_SIZE,
                 "a time is at most %u seconds from the begin, a week",
                 REPLAY_SECONDS_MAX);
        return -EINVAL;
    }
    time_ns = (uint64_t)((double)time_ns / replay->speed + 0.5);
    if (replay->count > 0 && time_ns < replay->times_ns[replay->count - 1]) {
        snprintf(reader->why, TEMPLATE_WHY_SIZE,
                 "%.*s is before the time above; times ascend",
                 word_len < 24 ? word_len : 24, line);
        return -EINVAL;
    }
    *ret_ns = time_ns;
    *ret_request = line + len + strspn(line + len, " \t");
    return 0;
}

static int add_kind(const struct reader *reader, const char *text, size_t len)
{
    struct replay *replay = reader->replay;

    if (replay->kind_count == REPLAY_KINDS_MAX) {
        snprintf(reader->why, TEMPLATE_WHY_SIZE,
                 "more than %u different requests", REPLAY_KINDS_MAX);
        return -E2BIG;
    }
    struct request_kind *kinds =
        make_room(replay->kinds, replay->kind_count, sizeof(*kinds));
    if (!kinds) {
        return refuse_memory(reader->why);
    }
    replay->kinds = kinds;
    struct request_kind *kind = &kinds[replay->kind_count];
    char *words = request_kind_keep(kind, text, len);
    if (!words) {
        return refuse_memory(reader->why);
    }
    replay->kind_count++;
    return request_kind_read(kind, words, reader->form, reader->why);
}

/* The place of a text in the table: that of its kind, or a free one. */
static uint32_t *find_place(const struct reader *reader, const char *text)
{
    const size_t mask = reader->table_size - 1;
    size_t at = hash_bytes(HASH_BEGIN, text, strlen(text)) & mask;

    while (reader->table[at] > 0 &&
           strcmp(reader->replay->kinds[reader->table[at] - 1].line, text) !=
               0) {
        at = (at + 1) & mask;
    }
    return &reader->table[at];
}

static int grow_table(struct reader *reader)
{
    const struct replay *replay = reader->replay;
    const size_t size =
        reader->table_size > 0 ? 2 * reader->table_size : TABLE_SIZE;
    uint32_t *table = calloc(size, sizeof(*table));

    if (!table) {
        return refuse_memory(reader->why);
    }
    free(reader->table);
    reader->table = table;
    reader->table_size = size;
    for (uint32_t i = 0; i < replay->kind_count; i++) {
        *find_place(reader, replay->kinds[i].line) = i + 1;
    }
    return 0;
}

/* The kind with a text, which is made where there is none. */
static int find_kind(struct reader *reader, const char *text, uint32_t *ret)
{
    const struct replay *replay = reader->replay;

    if (2 * replay->kind_count >= reader->table_size) {
        const int err = grow_table(reader);
        if (err < 0) {
            return err;
        }
    }
    uint32_t *place = find_place(reader, text);
    if (*place == 0) {
        const int err = add_kind(reader, text, strlen(text));
        if (err < 0) {
            return err;
        }
        *place = (uint32_t)replay->kind_count;
    }
    *ret = *place - 1;
    return 0;
}

/* The time of a request that is to be added. */
static int add_time(struct replay *replay, uint64_t time_ns)
{
    uint64_t *times_ns =
        make_room(replay->times_ns, replay->count, sizeof(*times_ns));

    if (!times_ns) {
        return -ENOMEM;
    }
    const uint64_t pause_ns =
        time_ns - (replay->count > 0 ? times_ns[replay->count - 1] : 0);
    replay->pause_ns =
        pause_ns > replay->pause_ns ? pause_ns : replay->pause_ns;
    times_ns[replay->count] = time_ns;
    replay->times_ns = times_ns;
    return 0;
}

/* Where a URL leads to. */
struct place {
    bool is_tls;
    const char *host;
    size_t host_len;
    unsigned long port; /* 0: it has a wrong one */
    /* Of the URL, without path and query. */
    size_t size;
};

static bool is_url(const char *text)
{
    return strncasecmp(text, "http://", 7) == 0 ||
           strncasecmp(text, "https://", 8) == 0;
}

/* False: it is no URL. */
static bool read_place(const char *url, struct place *ret)
{
    if (!is_url(url)) {
        return false;
    }
    const bool is_tls = url[4] != ':';
    const char *host = url + (is_tls ? 8 : 7);
    size_t len = strcspn(host, "/? \t\n");
    const char *colon = memrchr(host, ':', len);

    *ret = (struct place){.is_tls = is_tls,
                          .host = host,
                          .host_len = len,
                          .port = is_tls ? 443 : 80,
                          .size = (size_t)(host - url) + len};
    if (colon && !memchr(colon, ']', len - (size_t)(colon - host))) {
        const size_t digits = strspn(colon + 1, "0123456789");
        ret->host_len = (size_t)(colon - host);
        ret->port = digits <= 5 && colon + 1 + digits == host + len
                        ? strtoul(colon + 1, NULL, 10)
                        : 0;
    }
    return true;
}

static bool is_same_place(const struct place *a, const struct place *b)
{
    return a->is_tls == b->is_tls && a->port == b->port && a->port > 0 &&
           a->host_len == b->host_len &&
           strncasecmp(a->host, b->host, a->host_len) == 0;
}

/* Of a list: the request of a line, in which a URL of the target becomes its
 * path, behind a method or alone. The line is changed. */
static int take_request(const struct reader *reader, char *line,
                        const char **ret_request)
{
    const char *whole = line;
    struct place target;
    struct place place;

    line = request_kind_skip_name(line);
    const size_t method_len = strcspn(line, " \t\n:/");
    char *url = line + method_len + strspn(line + method_len, " \t");

    *ret_request = whole;
    url = is_url(line) ? line : url;
    if (reader->form == REQUEST_HTTP && line[0] == '{') {
        snprintf(reader->why, TEMPLATE_WHY_SIZE,
                 "targets of vegeta in JSON are not read; write METHOD URL, as "
                 "jq -r '.method + \" \" + .url' does, with headers and "
                 "@FILE for a body below");
        return -EINVAL;
    }
    if (reader->form != REQUEST_HTTP || !read_place(url, &place)) {
        return 0;
    }
    if (!reader->target || !read_place(reader->target, &target) ||
        !is_same_place(&place, &target)) {
        snprintf(reader->why, TEMPLATE_WHY_SIZE,
                 "'%.60s' is not of the target; write its path alone", url);
        return -EINVAL;
    }
    /* The place is longer than the '/' that a path may need. */
    char *rest = url + place.size;
    const bool has_path = rest[0] == '/';
    url[0] = '/';
    memmove(url + !has_path, rest, strlen(rest) + 1);
    return 0;
}

/* A line that is neither empty nor a comment. */
static int add_line(struct reader *reader, char *line)
{
    struct replay *replay = reader->replay;
    const char *request = NULL;
    uint64_t time_ns = 0;
    uint32_t kind = 0;

    if (replay->count == REPLAY_LINES_MAX) {
        snprintf(reader->why, TEMPLATE_WHY_SIZE, "more than %u requests",
                 REPLAY_LINES_MAX);
        return -E2BIG;
    }
    int err = reader->has_times ? take_time(reader, line, &time_ns, &request)
                                : take_request(reader, line, &request);
    if (err == 0) {
        err = find_kind(reader, request, &kind);
    }
    if (err < 0) {
        return err;
    }
    uint32_t *indices =
        make_room(replay->kind_indices, replay->count, sizeof(*indices));
    if (!indices) {
        return refuse_memory(reader->why);
    }
    replay->kind_indices = indices;
    if (reader->has_times && add_time(replay, time_ns) < 0) {
        return refuse_memory(reader->why);
    }
    indices[replay->count] = kind;
    replay->count++;
    return 0;
}

/* ---- the file ---- */

/* The request that was begun is whole. */
static int end_block(struct reader *reader)
{
    const int err =
        reader->block_number > 0 ? add_line(reader, reader->block) : 0;

    reader->block_len = 0;
    reader->block_number = err < 0 ? reader->block_number : 0;
    return err;
}

/* Adds a line to the request that was begun. */
static int add_to_block(struct reader *reader, const char *line, size_t len)
{
    const bool is_first = reader->block_len == 0;
    const size_t wanted = reader->block_len + len + 2;

    if (wanted > reader->block_room) {
        const size_t room = 2 * wanted;
        char *block = realloc(reader->block, room);
        if (!block) {
            return refuse_memory(reader->why);
        }
        reader->block = block;
        reader->block_room = room;
    }
    if (!is_first) {
        reader->block[reader->block_len++] = '\n';
    }
    memcpy(reader->block + reader->block_len, line, len + 1);
    reader->block_len += len;
    return 0;
}

/* A line without its end: it begins a request, goes on with one or ends it. */
static int take_line(struct reader *reader, char *line, size_t len,
                     uint64_t number)
{
    if (memchr(line, '\0', len)) {
        reader->block_number = number;
        snprintf(reader->why, TEMPLATE_WHY_SIZE,
                 "it has a byte of zero; write \\0");
        return -EINVAL;
    }
    const char *begin = line + strspn(line, " \t");
    const size_t left = len - (size_t)(begin - line);
    const bool is_request = *begin != '\0' && *begin != '#';
    if (reader->block_number > 0 && reader->form == REQUEST_HTTP &&
        is_request && request_kind_goes_on(begin, left)) {
        /* In lists of others: the body decides about it. */
        if (!reader->has_times &&
            strncasecmp(begin, length_field, sizeof(length_field) - 1) == 0) {
            return 0;
        }
        return add_to_block(reader, begin, left);
    }
    const int err = end_block(reader);
    if (err < 0 || !is_request) {
        return err;
    }
    reader->block_number = number;
    return add_to_block(reader, begin, left);
}

/* All lines; the number of the one that is wrong is written. */
static int add_lines(struct reader *reader, FILE *file, uint64_t *ret_number)
{
    char *line = NULL;
    size_t room = 0;
    ssize_t len = 0;
    int err = 0;

    errno = 0;
    while (err == 0 && (len = getline(&line, &room, file)) >= 0) {
        (*ret_number)++;
        len -= len > 0 && line[len - 1] == '\n';
        len -= len > 0 && line[len - 1] == '\r';
        line[len] = '\0';
        err = take_line(reader, line, (size_t)len, *ret_number);
    }
    if (err == 0 && !feof(file)) {
        err = errno > 0 ? -errno : -EIO;
        snprintf(reader->why, TEMPLATE_WHY_SIZE, "%s", strerror(-err));
    } else {
        err = err < 0 ? err : end_block(reader);
        *ret_number =
            reader->block_number > 0 ? reader->block_number : *ret_number;
    }
    free(line);
    free(reader->block);
    return err;
}

static int read_all(struct reader *reader, FILE *file, char *why)
{
    char line_why[TEMPLATE_WHY_SIZE] = "";
    struct replay *replay = reader->replay;
    uint64_t number = 0;

    reader->why = line_why;
    int err = add_lines(reader, file, &number);
    free(reader->table);
    if (err < 0 && number == 0) {
        snprintf(why, REPLAY_WHY_SIZE, "%s", line_why);
    } else if (err < 0) {
        snprintf(why, REPLAY_WHY_SIZE, "line %llu: %s",
                 (unsigned long long)number, line_why);
    } else if (replay->count == 0) {
        snprintf(why, REPLAY_WHY_SIZE, "there is no request in it");
        err = -EINVAL;
    }
    if (err < 0) {
        replay_fini(replay);
    }
    return err;
}

int replay_parse(FILE *file, enum request_form form, double speed,
                 struct replay *ret, char *why)
{
    struct reader reader = {.replay = ret, .form = form, .has_times = true};

    *ret = (struct replay){.speed = speed};
    return read_all(&reader, file, why);
}

int replay_parse_list(FILE *file, enum request_form form, const char *target,
                      struct replay *ret, char *why)
{
    struct reader reader = {.replay = ret, .form = form, .target = target};

    *ret = (struct replay){.speed = 0};
    return read_all(&reader, file, why);
}

int replay_read(const char *path, enum request_form form, double speed,
                const char *target, struct replay *ret, char *why)
{
    FILE *file = fopen(path, "re");

    if (!file) {
        const int err = -errno;
        snprintf(why, REPLAY_WHY_SIZE, "%s", strerror(-err));
        return err;
    }
    const int err = speed > 0 ? replay_parse(file, form, speed, ret, why)
                              : replay_parse_list(file, form, target, ret, why);
    fclose(file);
    return err;
}

uint64_t replay_hash(const struct replay *replay)
{
    uint64_t hash = HASH_BEGIN;

    if (replay->times_ns) {
        hash = hash_bytes(hash, replay->times_ns,
                          replay->count * sizeof(*replay->times_ns));
    }

    hash = hash_bytes(hash, replay->kind_indices,
                      replay->count * sizeof(*replay->kind_indices));
    for (size_t i = 0; i < replay->kind_count; i++) {
        const char *line = replay->kinds[i].line;
        hash = hash_bytes(hash, line, strlen(line) + 1);
    }
    return hash;
}

void replay_fini(struct replay *replay)
{
    for (size_t i = 0; i < replay->kind_count; i++) {
        request_kind_fini(&replay->kinds[i]);
    }
    free(replay->kinds);
    free(replay->times_ns);
    free(replay->kind_indices);
    *replay = (struct replay){.count = 0};
}
