/*
 * A shared section, [defaults] or [targets NAME], is applied again for each
 * use, with its own line numbers. Other modules do not know about shared
 * sections. Each one is first applied to a scratch configuration, so that its
 * directives are checked even if it is not used.
 */
#include "sections.h"

#include "tools/common/console.h"
#include "words.h"

#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct saying {
    struct config *config;
    const struct lines *lines;
    char *why;
    size_t began; /* index of the line at which the service began */
    void *shared; /* tree of the first lines of [defaults] and [targets NAME] */
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

static int compare_sections(const void *a, const void *b)
{
    const struct line *one = a;
    const struct line *other = b;

    return one->kind == other->kind ? strcmp(one->value, other->value)
                                    : (int)one->kind - (int)other->kind;
}

/* If there are several sections of a name, the tree has the first. */
static bool index_sections(struct saying *saying)
{
    for (size_t i = 0; i < saying->lines->count; i++) {
        const struct line *line = &saying->lines->all[i];
        if ((line->kind == LINE_DEFAULTS || line->kind == LINE_TARGETS) &&
            !tsearch(line, &saying->shared, compare_sections)) {
            return false;
        }
    }
    return true;
}

/* Returns the first section of this kind and name, or lines->count. */
static size_t find_section(const struct saying *saying, enum line_kind kind,
                           const char *name)
{
    const struct line wanted = {.kind = kind, .value = (char *)name};
    const struct line *const *found =
        tfind(&wanted, &saying->shared, compare_sections);

    return found ? (size_t)(*found - saying->lines->all) : saying->lines->count;
}

/* Returns true if one 'check' replaces the other. A kind and an interval do
 * not; 'off' is both. */
static bool is_same_check(const char *one, const char *other)
{
    const bool is_interval = one[0] >= '0' && one[0] <= '9';
    const bool is_other_interval = other[0] >= '0' && other[0] <= '9';

    return is_interval == is_other_interval || strcmp(one, "off") == 0 ||
           strcmp(other, "off") == 0;
}

/* Refuses a directive that was already set for its service, route or target. */
static bool is_first(const struct saying *saying, size_t at,
                     const struct option *word)
{
    const struct line *all = saying->lines->all;
    const size_t first = word->scope == SCOPE_PROGRAM ? 0 : saying->began;
    const bool is_check = strcmp(word->name, "check") == 0;
    const bool is_key = strcmp(word->name, "key") == 0;
    char reason[OPTION_WHY_SIZE];

    for (size_t i = at; i-- > first && !word->repeats;) {
        if (is_word(&all[i], word->name) &&
            (!is_check || is_same_check(all[i].value, all[at].value))) {
            snprintf(reason, sizeof(reason), "'%s' was already set",
                     word->name);
            return refuse_again(saying, reason, all[i].number);
        }
        if ((word->scope >= SCOPE_ROUTE && is_word(&all[i], "route")) ||
            (word->scope >= SCOPE_TARGET && is_word(&all[i], "to")) ||
            (is_key && is_word(&all[i], "cert"))) {
            break;
        }
    }
    return true;
}

static bool say_line(const struct saying *saying, const struct line *line)
{
    char reason[OPTION_WHY_SIZE];

    saying->config->line = line->number;
    return words_say(saying->config, line->name, line->value, reason) ||
           config_refuse(saying->config, saying->why, "%s", reason);
}

/* Returns true if a directive of [defaults] applies here. @own has the lines
 * that may replace it. */
typedef bool is_said_fn(const struct saying *saying, const struct option *word,
                        struct range own);

/* Applies the directives of [defaults] that @is_said selects; all if it is
 * NULL. */
static bool say_defaults(const struct saying *saying, struct range own,
                         is_said_fn *is_said)
{
    const struct range range = range_of(
        saying->lines, find_section(saying, LINE_DEFAULTS, "defaults"));
    bool is_good = true;

    saying->config->inherits = true;
    for (size_t i = range.first; i < range.end && is_good; i++) {
        const struct line *line = &saying->lines->all[i];
        is_good = (is_said && !is_said(saying, words_find(line->name), own)) ||
                  say_line(saying, line);
    }
    saying->config->inherits = false;
    return is_good;
}

/* Unknown words of [defaults] may not have been refused yet. */
static bool is_of_each_target(const struct saying *saying,
                              const struct option *word, struct range own)
{
    (void)saying;
    (void)own;
    return word && word->scope == SCOPE_EACH_TARGET;
}

/* A target's own directives are applied after those of [defaults], and replace
 * them. */
static bool say_whole_line(const struct saying *saying, const struct line *line)
{
    const bool is_said = say_line(saying, line);

    if (!is_said || !is_word(line, "to")) {
        return is_said;
    }
    const bool is_good =
        say_defaults(saying, (struct range){0}, is_of_each_target);
    struct config_target *target = config_target(saying->config);
    target->inherits_from = target->from.len > 0;
    target->said = NULL;
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

/* Applies the directives of [targets NAME], except those about clients that the
 * route has, too. */
static bool say_group(const struct saying *saying, size_t section,
                      struct range own)
{
    const struct range range = range_of(saying->lines, section);
    bool is_good = true;

    for (size_t i = range.first; i < range.end && is_good; i++) {
        const struct line *line = &saying->lines->all[i];
        const struct option *word = words_find(line->name);
        is_good = (is_of_clients(word) && has_word(saying->lines, own, word)) ||
                  say_whole_line(saying, line);
    }
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
    const size_t section = find_section(saying, LINE_TARGETS, group);

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
           say_group(saying, section, own);
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
    if (word && !is_first(saying, at, word)) {
        return false;
    }
    const bool has_group =
        word && strcmp(word->name, "to") == 0 && line->value[0] == '@';
    if (has_group ? !use_group(saying, at) : !say_whole_line(saying, line)) {
        return false;
    }
    const bool begins_service = saying->config->service_count > service_count;
    saying->began = begins_service ? at : saying->began;
    if (begins_service) {
        return say_defaults(saying, range_around(saying->lines, at, false),
                            is_of_service);
    }
    return strcmp(word->name, "route") != 0 ||
           config_service(saying->config)->routes[0].is_begun || /* its base
                                                                  * has them */
           say_defaults(saying, range_around(saying->lines, at, true),
                        is_of_route);
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
    saying->began = at;
    return (config_begin_service(config, name) ||
            config_refuse(saying->config, saying->why, "no memory")) &&
           say_defaults(saying, range_around(saying->lines, at, false),
                        is_of_service);
}

static bool may_be_in(enum line_kind kind, const struct option *word)
{
    if (strcmp(word->name, "listen") == 0 || strcmp(word->name, "name") == 0 ||
        names_clients(word)) {
        return false;
    }
    return word->scope == SCOPE_ROUTE || word->scope == SCOPE_EACH_TARGET ||
           word->scope ==
               (kind == LINE_DEFAULTS ? SCOPE_SERVICE : SCOPE_TARGET);
}

/* Checks that the directives exist, are allowed there, and are not repeated. */
static bool check_words(struct saying *saying, size_t section)
{
    const struct range range = range_of(saying->lines, section);
    const struct line *title = &saying->lines->all[section];

    saying->began = section;
    for (size_t i = range.first; i < range.end; i++) {
        const struct line *line = &saying->lines->all[i];
        const struct option *word = words_find(line->name);
        saying->config->line = line->number;
        if (!word) {
            return say_line(saying, line); /* prints a similar name */
        }
        if (!may_be_in(title->kind, word)) {
            return config_refuse(saying->config, saying->why,
                                 "'%s' is not allowed in [%.60s]", word->name,
                                 title->name);
        }
        if (!is_first(saying, i, word)) {
            return false;
        }
    }
    return true;
}

/* Checks a section by applying it to a scratch configuration. The directives of
 * [defaults] for every target are applied to a scratch target. */
static bool try_section(const struct saying *saying, size_t section)
{
    char reason[OPTION_WHY_SIZE];
    struct config scratch;
    struct saying trial = *saying;

    config_init(&scratch);
    scratch.parts = saying->config->parts;
    scratch.part_count = saying->config->part_count;
    trial.config = &scratch;
    const bool is_group = saying->lines->all[section].kind == LINE_TARGETS;
    bool is_good =
        config_begin_service(&scratch, NULL) &&
        (is_group || config_add_target(&scratch, "tcp://127.0.0.1:1", reason));
    is_good = !is_good ? config_refuse(saying->config, saying->why, "no memory")
              : is_group ? say_group(&trial, section, (struct range){0})
                         : say_defaults(&trial, (struct range){0}, NULL);
    config_free(&scratch);
    return is_good;
}

static bool check_section(struct saying *saying, size_t section)
{
    const struct line *line = &saying->lines->all[section];
    const size_t first = find_section(saying, line->kind, line->value);
    const bool is_group = line->kind == LINE_TARGETS;

    saying->config->line = line->number;
    if (is_group && line->value[0] == '\0') {
        return config_refuse(saying->config, saying->why,
                             "write a group of targets as '[targets NAME]'");
    }
    if (first != section) {
        return refuse_again(saying, "there is already a section of that name",
                            saying->lines->all[first].number);
    }
    if (is_group && !has_word(saying->lines, range_of(saying->lines, section),
                              words_find("to"))) {
        return config_refuse(saying->config, saying->why,
                             "it has no target; add 'to'");
    }
    return check_words(saying, section) && try_section(saying, section);
}

static bool check_sections(struct saying *saying)
{
    bool is_good = true;

    for (size_t i = 0; i < saying->lines->count && is_good; i++) {
        const enum line_kind kind = saying->lines->all[i].kind;
        is_good = (kind != LINE_DEFAULTS && kind != LINE_TARGETS) ||
                  check_section(saying, i);
    }
    return is_good;
}

static bool say_lines(struct saying *saying)
{
    enum line_kind section = LINE_FILE;
    bool is_good = true;

    for (size_t i = 0; i < saying->lines->count && is_good; i++) {
        const enum line_kind kind = saying->lines->all[i].kind;
        saying->config->line = saying->lines->all[i].number;
        section = kind == LINE_WORD ? section : kind;
        if (kind == LINE_SERVICE) {
            is_good = begin_service(saying, i);
        } else if (kind == LINE_WORD &&
                   (section == LINE_FILE || section == LINE_SERVICE)) {
            is_good = say_word(saying, i, section == LINE_SERVICE);
        }
    }
    return is_good;
}

bool sections_say(struct config *config, const struct lines *lines, char *why)
{
    struct saying saying = {.config = config, .lines = lines, .why = why};
    const bool is_good = index_sections(&saying)
                             ? check_sections(&saying) && say_lines(&saying)
                             : config_refuse(config, why, "no memory");

    while (saying.shared) {
        tdelete(*(void **)saying.shared, &saying.shared, compare_sections);
    }
    return is_good;
}
