/*
 * A command line is parsed in one pass. After a wrong option the next option is
 * parsed, so that all mistakes are reported. Arguments that are not options are
 * handled only if all options were right, because the argument after an unknown
 * option may be its value.
 */
#include "option.h"

#include "console.h"
#include "units.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool option_refuse(char *why, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(why, OPTION_WHY_SIZE, format, arguments);
    va_end(arguments);
    return false;
}

const char *option_flag(const struct option *option, char ret[OPTION_FLAG_SIZE])
{
    if (option->letter) {
        snprintf(ret, OPTION_FLAG_SIZE, "-%c", option->letter);
    } else {
        snprintf(ret, OPTION_FLAG_SIZE, "--%s", option->name);
    }
    return ret;
}

bool option_say(const struct option *option, const char *format, ...)
{
    char flag[OPTION_FLAG_SIZE];
    char why[OPTION_WHY_SIZE];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(why, sizeof(why), format, arguments);
    va_end(arguments);
    return say("%s: %s", option_flag(option, flag), why);
}

static bool is_option(const struct option *option)
{
    return option->kind != OPTION_TITLE && option->kind != OPTION_NOTE;
}

static bool has_alias(const struct option *option, const char *name, size_t len)
{
    const char *at = option->aliases ? option->aliases : "";

    while (*at) {
        const size_t alias = strcspn(at, " ");
        if (alias == len && memcmp(at, name, len) == 0) {
            return true;
        }
        at += alias + (at[alias] == ' ');
    }
    return false;
}

const struct option *option_find(const struct option_set *set, const char *name,
                                 size_t len)
{
    for (size_t i = 0; i < set->count; i++) {
        const struct option *option = &set->rows[i];
        if (is_option(option) && ((strlen(option->name) == len &&
                                   memcmp(option->name, name, len) == 0) ||
                                  (len > 1 && has_alias(option, name, len)))) {
            return option;
        }
    }
    return NULL;
}

static const struct option *find_letter(const struct option_set *set,
                                        char letter)
{
    for (size_t i = 0; i < set->count; i++) {
        const struct option *option = &set->rows[i];
        if (is_option(option) && letter &&
            (option->letter == letter || has_alias(option, &letter, 1))) {
            return option;
        }
    }
    return NULL;
}

size_t option_distance(const char *a, const char *b)
{
    size_t row[64];
    const size_t len = strlen(b);

    if (len >= sizeof(row) / sizeof(row[0])) {
        return SIZE_MAX;
    }
    for (size_t j = 0; j <= len; j++) {
        row[j] = j;
    }
    for (size_t i = 1; a[i - 1]; i++) {
        size_t corner = row[0];
        row[0] = i;
        for (size_t j = 1; j <= len; j++) {
            const size_t above = row[j];
            const size_t least = above < row[j - 1] ? above : row[j - 1];
            row[j] = corner + (a[i - 1] != b[j - 1]);
            row[j] = row[j] < least + 1 ? row[j] : least + 1;
            corner = above;
        }
    }
    return row[len];
}

/* Returns the edit distance between an unknown name and an option of --help, or
 * 1 if the name is a prefix of the option's. */
static size_t measure(const struct option *option, const char *name)
{
    if (!is_option(option) || !option->help) {
        return SIZE_MAX;
    }
    return strncmp(option->name, name, strlen(name)) == 0
               ? 1
               : option_distance(name, option->name);
}

static const char *suggest(const struct option_set *set, const char *name,
                           const char *best, size_t *least)
{
    for (size_t i = 0; i < set->count; i++) {
        const size_t found = measure(&set->rows[i], name);
        if (found < *least || (best && found == *least &&
                               strlen(set->rows[i].name) < strlen(best))) {
            *least = found;
            best = set->rows[i].name;
        }
    }
    return best;
}

const char *option_suggest(const struct option_set *set, const char *name)
{
    size_t least = strlen(name) < 5 ? 2 : strlen(name) / 3 + 2;
    char folded[64];
    size_t len = 0;

    for (; name[len] && len + 1 < sizeof(folded); len++) {
        folded[len] = name[len] == '_' ? '-' : (char)tolower(name[len]);
    }
    folded[len] = '\0';
    const char *best = suggest(set, folded, NULL, &least);
    return set->passed ? suggest(set->passed, folded, best, &least) : best;
}

bool option_has_choices(const struct option *option)
{
    return option->choices || option->name_choice;
}

const char *option_name_choice(const struct option *option, int index)
{
    return option->name_choice ? option->name_choice(index)
                               : option->choices[index];
}

const char *option_list_choices(const struct option *option, char *ret,
                                size_t size)
{
    const char *name = option_name_choice(option, 0);
    const char *comma = "";
    size_t len = 0;

    ret[0] = '\0';
    for (int i = 1; name && len < size; i++) {
        const char *next = option_name_choice(option, i);
        len += (size_t)snprintf(ret + len, size - len, "%s%s",
                                i > 1 && !next ? " or " : comma, name);
        comma = ", ";
        name = next;
    }
    return ret;
}

/* Formats a number exactly, in the largest unit possible. */
static const char *format_exact(enum option_kind kind, uint64_t number,
                                char ret[UNITS_TEXT_SIZE])
{
    static const struct unit {
        const char *name;
        uint64_t value;
    } sizes[] = {{"G", UINT64_C(1) << 30}, {"M", 1 << 20}, {"K", 1 << 10}},
      times[] = {{"h", UINT64_C(3600000000000)},
                 {"s", 1000000000},
                 {"ms", 1000000},
                 {"us", 1000},
                 {"ns", 1}};
    const struct unit *units = kind == OPTION_TIME ? times : sizes;
    size_t count = kind == OPTION_TIME   ? sizeof(times) / sizeof(times[0])
                   : kind == OPTION_SIZE ? sizeof(sizes) / sizeof(sizes[0])
                                         : 0;

    if (kind == OPTION_SHARE) {
        snprintf(ret, UNITS_TEXT_SIZE, "%g%%", (double)number / 1e4);
        return ret;
    }
    for (; number > 0 && count > 0; units++, count--) {
        if (number % units->value == 0) {
            snprintf(ret, UNITS_TEXT_SIZE, "%llu%s",
                     (unsigned long long)(number / units->value), units->name);
            return ret;
        }
    }
    snprintf(ret, UNITS_TEXT_SIZE, "%llu", (unsigned long long)number);
    return ret;
}

static bool refuse_range(const struct option *option, const char *value,
                         char *why)
{
    char least[UNITS_TEXT_SIZE];
    char most[UNITS_TEXT_SIZE];

    format_exact(option->kind, option->least, least);
    if (option->most == 0 && option->least == 0) {
        return option_refuse(why, "%.200s is too large", value);
    }
    if (option->most == 0) {
        return option_refuse(why, "%.200s is out of range, at least %s", value,
                             least);
    }
    return option_refuse(why, "%.200s is out of range, %s to %s", value, least,
                         format_exact(option->kind, option->most, most));
}

static bool read_number(const struct option *option, const char *value,
                        uint64_t *ret, char *why)
{
    static const struct {
        int (*parse)(const char *text, uint64_t *ret);
        const char *wanted;
    } kinds[] = {
        [OPTION_COUNT] = {units_parse_count, "a count such as 50 or 10k"},
        [OPTION_SIZE] = {units_parse_size, "a size such as 64K or 1M"},
        [OPTION_TIME] = {units_parse_time, "a time such as 500ms or 10s"},
        [OPTION_SHARE] = {units_parse_percent, "a share such as 2%"},
    };
    uint64_t number = 0;
    const int err = kinds[option->kind].parse(value, &number);

    if (err < 0 && err != -ERANGE) {
        return option_refuse(why, "'%.200s' is not %s", value,
                             kinds[option->kind].wanted);
    }
    if (err < 0 || number < option->least ||
        (option->most > 0 && number > option->most)) {
        return refuse_range(option, value, why);
    }
    *ret = number;
    return true;
}

static bool read_choice(const struct option *option, const char *value,
                        int *ret, char *why)
{
    const char *name = NULL;
    char all[256];

    for (int i = 0; (name = option_name_choice(option, i)); i++) {
        if (strcmp(name, value) == 0) {
            *ret = i;
            return true;
        }
    }
    return option_refuse(why, "'%.200s' is not %s", value,
                         option_list_choices(option, all, sizeof(all)));
}

static bool read_switch(const char *value, bool *ret, char *why)
{
    const bool is_on = value[0] == '\0' || strcmp(value, "on") == 0;

    if (!is_on && strcmp(value, "off") != 0) {
        return option_refuse(why, "'%.200s' is neither on nor off", value);
    }
    *ret = is_on;
    return true;
}

static bool set_field(const struct option *option, void *owner,
                      const char *value, char *why)
{
    void *field = (char *)owner + option->offset;
    uint64_t millionths = 0;
    int index = 0;
    bool is_good = false;

    switch (option->kind) {
    case OPTION_SWITCH:
        return read_switch(value, field, why);
    case OPTION_CHOICE:
        return read_choice(option, value, field, why);
    case OPTION_EITHER:
        is_good = read_choice(option, value, &index, why);
        *(bool *)field = is_good ? index == 1 : *(bool *)field;
        return is_good;
    case OPTION_SHARE:
        is_good = read_number(option, value, &millionths, why);
        *(double *)field =
            is_good ? (double)millionths / 1e6 : *(double *)field;
        return is_good;
    case OPTION_TEXT:
        *(const char **)field = value;
        return *value || option_refuse(why, "it is empty");
    default:
        assert(option->kind == OPTION_COUNT || option->kind == OPTION_SIZE ||
               option->kind == OPTION_TIME);
        return read_number(option, value, field, why);
    }
}

bool option_read_plain(const struct option_set *set, void *options,
                       const struct option *option, const char *value,
                       char *why)
{
    void *owner = set->owner ? set->owner(options, option, why) : options;

    return owner && set_field(option, owner, value, why);
}

bool option_read(const struct option_set *set, void *options,
                 const struct option *option, const char *value, char *why)
{
    return option->read ? option->read(options, option, value, why)
                        : option_read_plain(set, options, option, value, why);
}

void options_set_initial(const struct option_set *set, int scope, void *owner)
{
    char why[OPTION_WHY_SIZE];

    for (size_t i = 0; i < set->count; i++) {
        const struct option *option = &set->rows[i];
        if (is_option(option) && option->initial && !option->read &&
            option->scope == scope) {
            const bool is_good = set_field(option, owner, option->initial, why);
            assert(is_good);
            (void)is_good;
        }
    }
}

#define HELP_COLUMN 27U
#define HELP_WIDTH  79U

static const char blanks[HELP_COLUMN + 1] = "                           ";

/* Prints a text in lines that begin at @column. The cursor is already there. */
static void print_wrapped(FILE *out, const char *text, unsigned column)
{
    const size_t width = HELP_WIDTH - column;

    while (strlen(text) > width) {
        size_t len = width;
        while (len > 0 && text[len] != ' ') {
            len--;
        }
        len = len > 0 ? len : width; /* a word longer than the line */
        fwrite(text, 1, len, out);
        fputc('\n', out);
        fwrite(blanks, 1, column, out);
        text += len + (text[len] == ' ');
    }
    fputs(text, out);
    fputc('\n', out);
}

const char *option_describe(const struct option *option, char *ret, size_t size)
{
    const char *place = strstr(option->help, "{}");
    char all[256];

    if (!place) {
        return option->help;
    }
    snprintf(ret, size, "%.*s%s%s", (int)(place - option->help), option->help,
             option_list_choices(option, all, sizeof(all)), place + 2);
    return ret;
}

/* If @is_whole is false, prints only the text's first sentence. */
static void print_option(FILE *out, const struct option *option, bool is_whole)
{
    char help[1024];
    char text[1024];

    int len = fprintf(
        out, "  %c%c%s--%s%s%s", option->letter ? '-' : ' ',
        option->letter ? option->letter : ' ', option->letter ? ", " : "  ",
        option->name,
        option->value && strncmp(option->value, "[=", 2) != 0 ? " " : "",
        option->value ? option->value : "");
    const bool is_long = len < 0 || len + 2 > (int)HELP_COLUMN;
    fputs(is_long ? "\n" : "", out);
    fwrite(blanks, 1, HELP_COLUMN - (is_long ? 0 : (size_t)len), out);
    const char *initial = option->initial;
    const char *sentence = option_describe(option, help, sizeof(help));
    const char *end = is_whole ? NULL : strstr(sentence, ". ");
    len = snprintf(text, sizeof(text), "%.*s%s%s%s",
                   end ? (int)(end - sentence) : (int)strlen(sentence),
                   sentence, initial ? " (" : "", initial ? initial : "",
                   initial ? ")" : "");
    const char *alias = is_whole ? option->aliases : NULL;
    for (const char *before = "; also "; alias && *alias; before = ", ") {
        const size_t size = strcspn(alias, " ");
        len += snprintf(text + len, sizeof(text) - (size_t)len, "%s%s%.*s",
                        before, size > 1 ? "--" : "-", (int)size, alias);
        alias += size + (alias[size] == ' ');
    }
    print_wrapped(out, text, HELP_COLUMN);
}

static void print_help(const struct option_set *set, bool is_whole, FILE *out)
{
    fputs(set->head, out);
    for (size_t i = 0; i < set->count; i++) {
        const struct option *option = &set->rows[i];
        if (option->kind == OPTION_HELP) {
            fputs(is_whole ? "\n" : "", out);
        } else if (!is_whole && !option->is_common) {
            continue;
        }
        if (option->kind == OPTION_TITLE) {
            fprintf(out, "\n%s:\n", option->help);
        } else if (option->kind == OPTION_NOTE) {
            print_wrapped(out, option->help, 0);
        } else if (option->help) {
            print_option(out, option, is_whole);
        }
    }
    if (set->tail) {
        fprintf(out, "\n%s", set->tail);
    }
}

struct line {
    const struct option_set *set;
    void *options;
    char **argv;
    int argc;
    int next;    /* index of the next argument */
    bool is_bad; /* an option was refused */
    unsigned refused_count;
    const struct option *asked; /* --help or --version, or NULL */
    bool is_stopped;            /* the other arguments cannot be parsed */
    bool is_over;               /* "--" has ended the options */
    struct option_list *given;
    const char **words; /* arguments that are not options */
    size_t word_count;
};

/* A script may have generated thousands of wrong arguments. */
#define REFUSED_MAX 10U

static void count_refused(struct line *line)
{
    line->is_bad = true;
    line->refused_count++;
    if (line->refused_count == REFUSED_MAX) {
        say("there may be more errors (see %s --help)", line->set->command);
        line->is_stopped = true;
    }
}

static void refuse_unknown(struct line *line, const char *flag)
{
    const char *name = flag + strspn(flag, "-");
    const size_t len = strcspn(name, "=");
    const char *instead = NULL;
    const char *like = NULL;
    char text[64];

    for (const struct option_set *set = line->set; set && !instead;
         set = set->passed) {
        instead = set->gone ? set->gone(name, len) : NULL;
    }
    snprintf(text, sizeof(text), "%.*s", (int)len, name);
    like = len > 1 ? option_suggest(line->set, text) : NULL;
    if (instead) {
        say("%.*s was removed; use %s", (int)(name + len - flag), flag,
            instead);
    } else if (like) {
        say("unknown flag %.100s; did you mean --%s? (see %s --help)", flag,
            like, line->set->command);
    } else {
        say("unknown flag %.100s (see %s --help)", flag, line->set->command);
    }
    count_refused(line);
}

static bool is_listed(const struct option_list *given,
                      const struct option *option)
{
    for (size_t i = 0; i < given->count; i++) {
        if (given->list[i] == option) {
            return true;
        }
    }
    return false;
}

bool option_is_given(const struct option_list *given, const char *name)
{
    for (size_t i = 0; i < given->count; i++) {
        if (strcmp(given->list[i]->name, name) == 0) {
            return true;
        }
    }
    return false;
}

/* Records that an option was given. A switch with "off" counts as not given. */
static void note(struct line *line, const struct option *option,
                 const char *value)
{
    if (option->kind == OPTION_SWITCH && strcmp(value, "off") == 0) {
        return;
    }
    if (!is_listed(line->given, option)) {
        assert(line->given->count < OPTIONS_GIVEN_MAX);
        line->given->list[line->given->count++] = option;
    }
    if (option->mark > 0) {
        char *field = (char *)line->options + option->mark - 1;
        memcpy(field, &option, sizeof(option));
    }
}

static void take(struct line *line, const struct option *option,
                 const char *flag, const char *value)
{
    const struct option_set *set = line->set;
    char why[OPTION_WHY_SIZE];

    if (option->kind == OPTION_HELP || option->kind == OPTION_VERSION) {
        line->asked = option;
        return;
    }
    if ((set->begin && !set->begin(line->options, option, value, why)) ||
        !option_read(set, line->options, option, value, why)) {
        if (option->says_where) {
            say("%s", why);
        } else {
            say("%s: %s", flag, why);
        }
        count_refused(line);
        line->is_stopped = set->is_ordered && option->repeats;
    } else {
        note(line, option, value);
    }
}

/* Returns the value after a flag, or NULL after printing an error. */
static const char *next_value(struct line *line, const char *flag)
{
    if (line->next < line->argc) {
        return line->argv[line->next++];
    }
    say("%s needs a value (see %s --help)", flag, line->set->command);
    count_refused(line);
    return NULL;
}

static bool needs_value(const struct option *option)
{
    return option->value && option->value[0] != '[';
}

/* Returns true if the next argument is an optional value. */
static bool may_be_value(const struct line *line, const struct option *option)
{
    return option->value && option->value[0] == '[' &&
           option->value[1] != '=' && line->next < line->argc &&
           line->argv[line->next][0] != '-';
}

static void pass(struct line *line, const struct option *option,
                 const char *word)
{
    char why[OPTION_WHY_SIZE];

    if (!line->set->pass(line->options, option, word, why)) {
        say("%s", why);
        count_refused(line);
        line->is_stopped = true;
    }
}

/* Passes on "-x", as static text, and its value, which may be NULL. */
static void pass_letter(struct line *line, const struct option *option,
                        char letter, const char *value)
{
    static char flags[128][3];
    char *flag = flags[(unsigned char)letter % 128U];

    flag[0] = '-';
    flag[1] = letter;
    pass(line, option, flag);
    if (value) {
        pass(line, option, value);
    }
}

static bool asks_for_all(const struct line *line)
{
    return line->next < line->argc &&
           strcmp(line->argv[line->next], "all") == 0;
}

/* Parses "--name" or "--name=value", with one or two dashes. */
static void read_long(struct line *line, const char *text)
{
    const struct option_set *set = line->set;
    const char *name = text + (text[1] == '-' ? 2 : 1);
    const size_t len = strcspn(name, "=");
    const struct option *option = option_find(set, name, len);
    const struct option *passed =
        !option && set->passed ? option_find(set->passed, name, len) : NULL;
    const char *value = name[len] == '=' ? name + len + 1 : NULL;
    char flag[OPTION_FLAG_SIZE];

    snprintf(flag, sizeof(flag), "%.*s", (int)(name + len - text), text);
    if (passed) {
        const char *next =
            !value && needs_value(passed) ? next_value(line, flag) : NULL;
        if (value || !needs_value(passed) || next) {
            pass(line, passed, text);
        }
        if (next) {
            pass(line, passed, next);
        }
    } else if (!option) {
        refuse_unknown(line, text);
    } else if (value && option->kind == OPTION_SWITCH && !*value) {
        say("%s: '' is neither on nor off", flag);
        count_refused(line);
    } else if (value && !option->value && option->kind != OPTION_SWITCH) {
        say("%s takes no value", flag);
        count_refused(line);
    } else {
        const bool is_next =
            !value && (needs_value(option) || may_be_value(line, option));
        if (is_next) {
            value = next_value(line, flag);
        }
        if (value || !is_next) {
            take(line, option, flag, value || option->value ? value : "");
        }
    }
}

/* Parses one letter of an argument. @rest follows the letter. Returns true if
 * @rest was the letter's value or must not be parsed. */
static bool read_letter(struct line *line, char letter, const char *rest)
{
    const struct option_set *set = line->set;
    const struct option *option = find_letter(set, letter);
    const bool is_passed = !option && set->passed;
    const char flag[] = {'-', letter, '\0'};
    const char *value = NULL;

    if (is_passed) {
        option = find_letter(set->passed, letter);
    }
    if (!option) {
        refuse_unknown(line, flag);
        return true;
    }
    if (option->kind == OPTION_HELP &&
        (*rest || (line->next < line->argc &&
                   line->argv[line->next][0] != '-' && !asks_for_all(line)))) {
        say("%s prints the help, and takes no value", flag);
        count_refused(line);
        return true;
    }
    if (needs_value(option)) {
        value = *rest ? rest : next_value(line, flag);
        if (!value) {
            return true;
        }
    } else if (option->value && *rest == '=') {
        value = rest + 1;
    }
    if (is_passed) {
        pass_letter(line, option, letter, value);
    } else {
        take(line, option, flag, value || option->value ? value : "");
    }
    if (!value && *rest == '=') {
        say("%s takes no value", flag);
        count_refused(line);
    }
    return value || *rest == '=' || line->asked;
}

/* Parses "-x", "-xvalue", "-x value" or several letters without values. */
static void read_letters(struct line *line, const char *text)
{
    for (const char *at = text + 1; *at; at++) {
        if (read_letter(line, *at, at + 1)) {
            return;
        }
    }
}

/* Returns true for a long name after one dash, as vegeta has them. */
static bool is_one_dash(const struct line *line, const char *text)
{
    const struct option_set *set = line->set;
    const char *name = text + 1;
    const size_t len = strcspn(name, "=");

    return len > 1 && (option_find(set, name, len) ||
                       (set->passed && option_find(set->passed, name, len)));
}

static void take_word(struct line *line, const char *text)
{
    char why[OPTION_WHY_SIZE];

    if (!line->is_bad && !line->set->word(line->options, text, why)) {
        say("%s", why);
        count_refused(line);
        line->is_stopped = true;
    }
}

static void read_next(struct line *line)
{
    const char *text = line->argv[line->next++];
    const bool is_end = strcmp(text, "--") == 0 && !line->is_over;

    if (is_end && !line->set->has_sides) {
        line->is_over = true;
    } else if (is_end || line->is_over || text[0] != '-' || text[1] == '\0') {
        if (line->is_over && text[0] == '-' && line->set->passed) {
            say("%.100s: only targets may follow --", text);
            count_refused(line);
        } else if (line->set->is_ordered) {
            take_word(line, text);
        } else {
            line->words[line->word_count++] = text;
        }
    } else if (text[1] == '-' || is_one_dash(line, text)) {
        read_long(line, text);
    } else {
        read_letters(line, text);
    }
}

static bool check_rules(const struct line *line)
{
    bool is_good = true;

    for (size_t i = 0; i < line->given->count; i++) {
        const struct option *option = line->given->list[i];
        const struct option_rule *rule = option->excludes;
        for (; rule && rule->name; rule++) {
            if (option_is_given(line->given, rule->name)) {
                is_good =
                    option_say(option, "--%s %s", rule->name, rule->reason);
                break;
            }
        }
        if (option->needs && !option_is_given(line->given, option->needs)) {
            is_good = option_say(option, "there is no --%s", option->needs);
        }
    }
    return is_good;
}

static enum options_result read_all(struct line *line)
{
    while (line->next < line->argc && !line->asked && !line->is_stopped) {
        read_next(line);
    }
    if (line->asked && !line->is_bad) {
        if (line->asked->kind == OPTION_HELP) {
            print_help(line->set, !line->set->has_common || asks_for_all(line),
                       stdout);
        } else {
            line->set->print_version();
        }
        return OPTIONS_DONE;
    }
    for (size_t i = 0; i < line->word_count && !line->is_bad; i++) {
        take_word(line, line->words[i]);
    }
    return !line->is_bad && check_rules(line) ? OPTIONS_READY : OPTIONS_BAD;
}

enum options_result options_read(const struct option_set *set, void *options,
                                 int argc, char **argv, int first,
                                 struct option_list *ret_given)
{
    struct option_list given = {.count = 0};
    struct line line = {.set = set,
                        .options = options,
                        .argv = argv,
                        .argc = argc,
                        .next = first,
                        .given = ret_given ? ret_given : &given,
                        .words = calloc((size_t)argc + 1, sizeof(char *))};

    line.given->count = 0;
    if (!line.words) {
        say("no memory");
        return OPTIONS_BAD;
    }
    const enum options_result result = read_all(&line);
    free(line.words);
    return result;
}
