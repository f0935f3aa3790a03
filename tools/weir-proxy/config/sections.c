/*
 * A shared section, [defaults] or [targets NAME], is applied again for each
 * use, with its own line numbers. Other modules do not know about shared
 * sections. Each one is first applied to a scratch configuration, so that its
 * directives are checked even if it is not used.
 */
#include "sections.h"

#include "tools/common/console.h"
#include "words.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum section {
    SECTION_NONE,
    SECTION_SERVICE,
    SECTION_DEFAULTS,
    SECTION_TARGETS,
};

struct saying {
    struct config *config;
    const struct lines *lines;
    char *why;
    unsigned *said;         /* line of each directive in the section, or 0 */
    struct hashes sections; /* by name: [defaults] and [targets ...] */
};

struct range {
    size_t first;
    size_t end;
};

static bool refuse_again(const struct saying *saying, const char *reason,
                         unsigned line)
{
    char place[CONFIG_PLACE_SIZE];

    config_place(saying->config, line, place);
    place[strlen(place) - 2] = '\0';
    return config_refuse(saying->config, saying->why, "%.120s, in %.120s",
                         reason, place);
}

static enum section section_of(const char *title)
{
    static const char word[] = "targets";
    const size_t len = strlen(word);

    return strcmp(title, "defaults") == 0 ? SECTION_DEFAULTS
           : strncmp(title, word, len) == 0 &&
                   (title[len] == ' ' || title[len] == '\t' || !title[len])
               ? SECTION_TARGETS
               : SECTION_SERVICE;
}

static const char *group_of(const char *title)
{
    title += strlen("targets");
    return title + strspn(title, " \t");
}

static struct range range_of(const struct lines *lines, size_t section)
{
    struct range range = {section + 1, section + 1};

    while (range.end < lines->count &&
           lines->all[range.end].kind == LINE_WORD) {
        range.end++;
    }
    return range;
}

static bool is_word(const struct line *line, const char *name)
{
    return line->kind == LINE_WORD && strcmp(line->name, name) == 0;
}

/* Returns the lines of the service or, with @is_of_route, of the route that has
 * line @at. A 'listen' after a 'to' begins the next service of a section. */
static struct range range_around(const struct lines *lines, size_t at,
                                 bool is_of_route)
{
    size_t section = at;
    bool has_target = false;

    while (lines->all[section].kind == LINE_WORD) {
        section--;
    }
    struct range range = range_of(lines, section);
    for (size_t i = range.first; i < range.end; i++) {
        const struct line *line = &lines->all[i];
        if ((is_word(line, "listen") && has_target) ||
            (is_word(line, "route") && is_of_route)) {
            has_target = false;
            range = i <= at ? (struct range){i, range.end}
                            : (struct range){range.first, i};
        }
        has_target |= is_word(line, "to");
    }
    return range;
}

static bool has_word(const struct lines *lines, struct range range,
                     const struct option *word)
{
    for (size_t i = range.first; i < range.end; i++) {
        if (words_find(lines->all[i].name) == word) {
            return true;
        }
    }
    return false;
}

static uint64_t hash_section(enum section kind, const char *group)
{
    return hashes_add_text(hashes_add_byte(HASHES_BASIS, kind), group);
}

static bool index_sections(struct saying *saying)
{
    bool is_whole = true;

    for (size_t i = 0; i < saying->lines->count && is_whole; i++) {
        const struct line *line = &saying->lines->all[i];
        const enum section kind = line->kind == LINE_SECTION
                                      ? section_of(line->value)
                                      : SECTION_SERVICE;
        const char *group =
            kind == SECTION_TARGETS ? group_of(line->value) : NULL;
        is_whole = kind == SECTION_SERVICE ||
                   hashes_add(&saying->sections, hash_section(kind, group), i);
    }
    hashes_sort(&saying->sections);
    return is_whole;
}

/* Returns the first section of this kind and name, or lines->count. */
static size_t find_section(const struct saying *saying, enum section kind,
                           const char *group)
{
    const struct hashed *same;
    const size_t count =
        hashes_find(&saying->sections, hash_section(kind, group), &same);

    for (size_t i = 0; i < count; i++) {
        const char *title = saying->lines->all[same[i].number].value;
        if (section_of(title) == kind &&
            (!group || strcmp(group_of(title), group) == 0)) {
            return same[i].number;
        }
    }
    return saying->lines->count;
}

/* Returns the slot for the line number of a directive. 'check' has two slots,
 * for its kind and for its interval, which has the last slot. */
static unsigned *line_of(const struct saying *saying, const struct option *word,
                         const char *value)
{
    const bool is_interval =
        strcmp(word->name, "check") == 0 && value[0] >= '0' && value[0] <= '9';

    return &saying
                ->said[is_interval ? words.count : (size_t)(word - words.rows)];
}

/* Returns true for 'check = off', which has neither a kind nor an interval. */
static bool is_off(const struct option *word, const char *value)
{
    return strcmp(word->name, "check") == 0 && strcmp(value, "off") == 0;
}

/* Refuses a directive that was already set in the current section. */
static bool is_first(const struct saying *saying, const struct option *word,
                     const char *value)
{
    const unsigned same = *line_of(saying, word, value);
    const unsigned line =
        same == 0 && is_off(word, value) ? saying->said[words.count] : same;
    char reason[OPTION_WHY_SIZE];

    snprintf(reason, sizeof(reason), "'%s' was already set", word->name);
    return word->repeats || line == 0 || refuse_again(saying, reason, line);
}

/* Forgets the recorded lines of directives that may be set again, because a new
 * service, route or target begins. */
static void forget(struct saying *saying, enum word_scope first)
{
    for (size_t i = 0; i < words.count; i++) {
        if (words.rows[i].scope >= (int)first) {
            saying->said[i] = 0;
        }
    }
    if (first <= SCOPE_ROUTE) {
        saying->said[words.count] = 0;
    }
}

static void note_line(struct saying *saying, const struct option *word,
                      const char *value, bool begins_service)
{
    if (begins_service) {
        forget(saying, SCOPE_SERVICE);
    } else if (strcmp(word->name, "route") == 0) {
        forget(saying, SCOPE_ROUTE);
    } else if (strcmp(word->name, "to") == 0) {
        forget(saying, SCOPE_TARGET);
    } else if (strcmp(word->name, "cert") == 0) {
        *line_of(saying, words_find("key"), "") = 0;
    }
    *line_of(saying, word, value) = saying->config->line;
    if (is_off(word, value)) {
        saying->said[words.count] = saying->config->line;
    }
}

static bool say_line(const struct saying *saying, const struct line *line)
{
    char reason[OPTION_WHY_SIZE];

    saying->config->line = line->number;
    return words_say(saying->config, line->name, line->value, reason) ||
           config_refuse(saying->config, saying->why, "%s", reason);
}

/* Applies the directives that [defaults] has for each target to the current
 * target. The target's own directives are applied later and replace them. */
static bool say_of_target(const struct saying *saying)
{
    const size_t at = find_section(saying, SECTION_DEFAULTS, NULL);
    const unsigned line = saying->config->line;
    bool is_good = true;

    if (at == saying->lines->count) {
        return true;
    }
    const struct range range = range_of(saying->lines, at);
    saying->config->inherits = true;
    for (size_t i = range.first; i < range.end && is_good; i++) {
        const struct option *word = words_find(saying->lines->all[i].name);
        is_good = !word || word->scope != SCOPE_EACH_TARGET ||
                  say_line(saying, &saying->lines->all[i]);
    }
    saying->config->inherits = false;
    struct config_target *target = config_target(saying->config);
    target->inherits_from = target->from.len > 0;
    target->said = NULL;
    saying->config->line = is_good ? line : saying->config->line;
    return is_good;
}

static bool say_whole_line(const struct saying *saying, const struct line *line)
{
    return say_line(saying, line) &&
           (!is_word(line, "to") || say_of_target(saying));
}

/* Returns true if the directive applies where the section is used. */
typedef bool is_said_fn(const struct saying *saying, const struct option *word,
                        struct range own);

static bool say_section(const struct saying *saying, size_t section,
                        struct range own, is_said_fn *is_said)
{
    const struct range range = range_of(saying->lines, section);
    const unsigned line = saying->config->line;
    bool is_good = true;

    for (size_t i = range.first; i < range.end && is_good; i++) {
        const struct option *word = words_find(saying->lines->all[i].name);
        is_good = !is_said(saying, word, own) ||
                  say_whole_line(saying, &saying->lines->all[i]);
    }
    saying->config->line = is_good ? line : saying->config->line;
    return is_good;
}

/* Selects directives for a service. Skips an inherited directive if it would
 * add a value to the service's own values, or if the service has the directive
 * that it is paired with. */
static bool is_of_service(const struct saying *saying,
                          const struct option *word, struct range own)
{
    static const char *const pairs[][2] = {{"key", "cert"},
                                           {"check-send", "check-expect"},
                                           {"check-expect", "check-send"}};

    for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
        if (strcmp(word->name, pairs[i][0]) == 0 &&
            has_word(saying->lines, own, words_find(pairs[i][1]))) {
            return false;
        }
    }
    return word->scope < SCOPE_TARGET &&
           (!word->repeats || !has_word(saying->lines, own, word));
}

static bool is_of_route(const struct saying *saying, const struct option *word,
                        struct range own)
{
    return word->scope == SCOPE_ROUTE && is_of_service(saying, word, own);
}

static bool names_clients(const struct option *word)
{
    return strncmp(word->name, "route", strlen("route")) == 0;
}

/* Returns true for directives about clients. A group of targets does not have
 * these; each route that uses the group has its own. */
static bool is_of_clients(const struct option *word)
{
    return names_clients(word) || strcmp(word->name, "passthrough") == 0 ||
           strcmp(word->name, "send-proxy") == 0 ||
           strcmp(word->name, "send-proxy-tlv") == 0 ||
           strcmp(word->name, "abort-on-close") == 0;
}

static bool is_of_targets(const struct saying *saying,
                          const struct option *word, struct range own)
{
    return is_of_route(saying, word, own) && !is_of_clients(word);
}

static bool is_of_group(const struct saying *saying, const struct option *word,
                        struct range own)
{
    return !is_of_clients(word) || !has_word(saying->lines, own, word);
}

static bool say_defaults(const struct saying *saying, struct range own,
                         is_said_fn *is_said)
{
    const size_t at = find_section(saying, SECTION_DEFAULTS, NULL);

    saying->config->inherits = true;
    const bool is_good =
        at == saying->lines->count || say_section(saying, at, own, is_said);
    saying->config->inherits = false;
    return is_good;
}

static bool check_own(const struct saying *saying, struct range own, size_t at)
{

    for (size_t i = own.first; i < own.end; i++) {
        const struct line *line = &saying->lines->all[i];
        const struct option *word = words_find(line->name);
        if (!word || i == at || word->scope < SCOPE_ROUTE ||
            is_of_clients(word)) {
            continue;
        }
        saying->config->line = line->number;
        return config_refuse(
            saying->config, saying->why,
            "%.30s: '%.30s' with 'to = %.60s' must be in [targets %.60s]",
            word->name, word->name, saying->lines->all[at].value,
            saying->lines->all[at].value + 1);
    }
    return true;
}

static bool use_group(const struct saying *saying, size_t at)
{
    const struct range own = range_around(saying->lines, at, true);
    const char *group = saying->lines->all[at].value + 1;
    const size_t section = find_section(saying, SECTION_TARGETS, group);

    if (section == saying->lines->count || group[0] == '\0') {
        return config_refuse(saying->config, saying->why,
                             "to: there is no section [targets %.100s]", group);
    }
    if (!config_service(saying->config)) {
        return config_refuse(
            saying->config, saying->why,
            "to: it must follow the 'listen' that it applies to");
    }
    return check_own(saying, own, at) &&
           (config_begin_group(saying->config, group) ||
            config_refuse(saying->config, saying->why, "no memory")) &&
           say_defaults(saying, range_of(saying->lines, section),
                        is_of_targets) &&
           say_section(saying, section, own, is_of_group);
}

static bool inherit(const struct saying *saying, size_t at,
                    const struct option *word, bool begins_service)
{
    const struct config_service *service = config_service(saying->config);

    if (begins_service) {
        return say_defaults(saying, range_around(saying->lines, at, false),
                            is_of_service);
    }
    return strcmp(word->name, "route") != 0 ||
           service->routes[0].target_count == 0 || /* the first route was
                                                    * copied */
           say_defaults(saying, range_around(saying->lines, at, true),
                        is_of_route);
}

static bool say_word(struct saying *saying, size_t at, bool in_service)
{
    const struct line *line = &saying->lines->all[at];
    const struct option *word = words_find(line->name);
    const size_t service_count = saying->config->service_count;

    saying->config->line = line->number;
    if (word && word->scope != SCOPE_PROGRAM && !in_service) {
        return config_refuse(saying->config, saying->why,
                             "this directive must be in a section: [NAME]");
    }
    if (word && word->scope == SCOPE_PROGRAM && in_service) {
        return config_refuse(saying->config, saying->why,
                             "this directive must precede the first section");
    }
    if (word && !is_first(saying, word, line->value)) {
        return false;
    }
    const bool has_group =
        word && strcmp(word->name, "to") == 0 && line->value[0] == '@';
    if (has_group ? !use_group(saying, at) : !say_whole_line(saying, line)) {
        return false;
    }
    const bool begins_service = saying->config->service_count > service_count;
    note_line(saying, word, line->value, begins_service);
    return inherit(saying, at, word, begins_service);
}

static bool begin_service(struct saying *saying, size_t at)
{
    struct config *config = saying->config;
    const char *name = saying->lines->all[at].value;

    for (size_t i = 0; i < config->service_count; i++) {
        if (config->services[i].name &&
            strcmp(config->services[i].name, name) == 0) {
            return config_refuse(saying->config, saying->why,
                                 "there is already a section of that name");
        }
    }
    forget(saying, SCOPE_SERVICE);
    return (config_begin_service(config, name) ||
            config_refuse(saying->config, saying->why, "no memory")) &&
           say_defaults(saying, range_around(saying->lines, at, false),
                        is_of_service);
}

static bool may_be_in(enum section kind, const struct option *word)
{
    if (strcmp(word->name, "listen") == 0 || strcmp(word->name, "name") == 0 ||
        names_clients(word)) {
        return false;
    }
    return word->scope == SCOPE_ROUTE || word->scope == SCOPE_EACH_TARGET ||
           word->scope ==
               (kind == SECTION_DEFAULTS ? SCOPE_SERVICE : SCOPE_TARGET);
}

/* Checks that the directives exist, are allowed there, and are not repeated. */
static bool check_words(struct saying *saying, size_t section,
                        enum section kind)
{
    const struct range range = range_of(saying->lines, section);

    forget(saying, SCOPE_PROGRAM);
    for (size_t i = range.first; i < range.end; i++) {
        const struct line *line = &saying->lines->all[i];
        const struct option *word = words_find(line->name);
        saying->config->line = line->number;
        if (!word) {
            return say_line(saying, line); /* prints a similar name */
        }
        if (!may_be_in(kind, word)) {
            return config_refuse(saying->config, saying->why,
                                 "'%s' is not allowed in [%.60s]", word->name,
                                 saying->lines->all[section].value);
        }
        if (!is_first(saying, word, line->value)) {
            return false;
        }
        note_line(saying, word, line->value, false);
    }
    forget(saying, SCOPE_PROGRAM);
    return true;
}

static bool all_of_it(const struct saying *saying, const struct option *word,
                      struct range own)
{
    (void)saying;
    (void)word;
    (void)own;
    return true;
}

/* Checks a section by applying it to a scratch configuration. The directives of
 * [defaults] for every target are applied to a scratch target. */
static bool try_section(const struct saying *saying, size_t section,
                        enum section kind)
{
    char reason[OPTION_WHY_SIZE];
    struct config scratch;
    struct saying trial = *saying;

    config_init(&scratch);
    scratch.parts = saying->config->parts;
    scratch.part_count = saying->config->part_count;
    trial.config = &scratch;
    const bool is_good =
        config_begin_service(&scratch, NULL) &&
                (kind != SECTION_DEFAULTS ||
                 config_add_target(&scratch, "tcp://127.0.0.1:1", reason))
            ? say_section(&trial, section, (struct range){0}, all_of_it)
            : config_refuse(saying->config, saying->why, "no memory");
    scratch.parts = NULL;
    scratch.part_count = 0;
    config_free(&scratch);
    return is_good;
}

static bool check_section(struct saying *saying, size_t section)
{
    const char *title = saying->lines->all[section].value;
    const enum section kind = section_of(title);
    const char *group = kind == SECTION_TARGETS ? group_of(title) : NULL;
    const size_t first = find_section(saying, kind, group);

    saying->config->line = saying->lines->all[section].number;
    if (group && group[0] == '\0') {
        return config_refuse(saying->config, saying->why,
                             "write a group of targets as '[targets NAME]'");
    }
    if (first != section) {
        return refuse_again(saying, "there is already a section of that name",
                            saying->lines->all[first].number);
    }
    if (group && !has_word(saying->lines, range_of(saying->lines, section),
                           words_find("to"))) {
        return config_refuse(saying->config, saying->why,
                             "it has no target; add 'to'");
    }
    return check_words(saying, section, kind) &&
           try_section(saying, section, kind);
}

static bool check_sections(struct saying *saying)
{
    for (size_t i = 0; i < saying->lines->count; i++) {
        const struct line *line = &saying->lines->all[i];
        if (line->kind == LINE_SECTION &&
            section_of(line->value) != SECTION_SERVICE &&
            !check_section(saying, i)) {
            return false;
        }
    }
    return true;
}

static bool say_lines(struct saying *saying)
{
    enum section section = SECTION_NONE;
    bool is_good = true;

    for (size_t i = 0; i < saying->lines->count && is_good; i++) {
        const struct line *line = &saying->lines->all[i];
        saying->config->line = line->number;
        if (line->kind == LINE_FILE) {
            section = SECTION_NONE;
        } else if (line->kind == LINE_SECTION) {
            section = section_of(line->value);
            is_good = section != SECTION_SERVICE || begin_service(saying, i);
        } else if (section == SECTION_NONE || section == SECTION_SERVICE) {
            is_good = say_word(saying, i, section == SECTION_SERVICE);
        }
    }
    return is_good;
}

bool sections_say(struct config *config, const struct lines *lines, char *why)
{
    struct saying saying = {.config = config,
                            .lines = lines,
                            .why = why,
                            .said =
                                calloc(words.count + 1, sizeof(*saying.said))};
    const bool is_good = saying.said && index_sections(&saying)
                             ? check_sections(&saying) && say_lines(&saying)
                             : config_refuse(config, why, "no memory");

    free(saying.said);
    hashes_free(&saying.sections);
    return is_good;
}
