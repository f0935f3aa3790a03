/*
 * Parses a line with the rows of its tool. Options that do not depend on
 * others are translated at once; other values are kept until the line is
 * parsed.
 */
#include "foreign.h"

#include "tools/common/console.h"
#include "tools/common/shell_line.h"
#include "tools/common/units.h"
#include "tools/weir-load/base/base.h"
#include "tools/weir-load/measure/measure.h"
#include "tools/weir-load/options/options.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/mman.h>
#include <unistd.h>

bool grammar_refuse(struct grammar_line *line, const char *format, ...)
{
    char why[512];
    va_list arguments;

    line->refused++;
    va_start(arguments, format);
    vsnprintf(why, sizeof(why), format, arguments);
    va_end(arguments);
    if (!line->is_silent) {
        say("as %s: %s", line->tool->name, why);
    }
    return false;
}

const char *grammar_text(struct grammar_line *line, const char *format, ...)
{
    char *text = line->room + line->used;
    const size_t size = sizeof(line->room) - line->used;
    va_list arguments;

    va_start(arguments, format);
    const int len = vsnprintf(text, size, format, arguments);
    va_end(arguments);
    if (len < 0 || (size_t)len >= size) {
        grammar_refuse(line, "the line is too long");
        return "";
    }
    line->used += (size_t)len + 1;
    return text;
}

const char *grammar_replace(struct grammar_line *line, const char *text,
                            const char *mark, const char *by)
{
    const char *found = NULL;

    while (text && (found = strstr(text, mark)) && line->refused == 0) {
        text = grammar_text(line, "%.*s%s%s", (int)(found - text), text, by,
                            found + strlen(mark));
    }
    return text;
}

static void add_word(struct grammar_line *line, const char *word)
{
    if (line->argc + 1 < GRAMMAR_WORDS_MAX) {
        line->argv[line->argc++] = word;
    } else if (line->refused == 0) {
        grammar_refuse(line, "the line is too long");
    }
}

void grammar_say(struct grammar_line *line, const char *words,
                 const char *value)
{
    while (*words) {
        const size_t len = strcspn(words, "|");
        const size_t before = strcspn(words, "|%");
        add_word(line, before == len
                           ? grammar_text(line, "%.*s", (int)len, words)
                           : grammar_text(line, "%.*s%s%.*s", (int)before,
                                          words, value, (int)(len - before - 1),
                                          words + before + 1));
        words += len + (words[len] == '|');
    }
}

void grammar_say_header(struct grammar_line *line, const char *name,
                        const char *value)
{
    const size_t len = strlen(name);

    for (size_t i = 0; i + 1 < line->argc; i++) {
        if (strcmp(line->argv[i], "-H") == 0 &&
            strncasecmp(line->argv[i + 1], name, len) == 0 &&
            line->argv[i + 1][len] == ':') {
            return;
        }
    }
    grammar_say(line, "-H", NULL);
    add_word(line, grammar_text(line, "%s: %s", name, value));
}

const char *grammar_keep_file(struct grammar_line *line, const char *bytes,
                              size_t len)
{
    const int fd = memfd_create("weir-load", MFD_CLOEXEC);

    if (fd < 0 || write(fd, bytes, len) != (ssize_t)len) {
        grammar_refuse(line, "no memory");
        return NULL;
    }
    return grammar_text(line, "/dev/fd/%d", fd);
}

uint64_t grammar_count(const struct grammar_line *line,
                       enum grammar_means means)
{
    uint64_t count = 0;

    if (line->kept[means]) {
        units_parse_count(line->kept[means], &count);
    }
    return count;
}

static void end_line(struct shell_line *out)
{
    if (shell_line_end(out)) {
        console_write(out->text, out->len);
    }
}

static bool is_good(enum grammar_takes takes, const char *value)
{
    const size_t len = strlen(value);
    uint64_t number = 0;

    switch (takes) {
    case GRAMMAR_COUNT:
        return units_parse_count(value, &number) == 0;
    case GRAMMAR_NUMBER:
    case GRAMMAR_SECONDS:
        return len > 0 && value[strspn(value, "0123456789.")] == '\0';
    case GRAMMAR_TIME:
        return units_parse_time(value, &number) == 0;
    case GRAMMAR_UNIT:
        return units_parse_time(value, &number) == 0 &&
               (number == 0 || !units_lacks_unit(value));
    default:
        return true;
    }
}

static const char *name_form(enum grammar_takes takes)
{
    return takes == GRAMMAR_COUNT    ? "a count"
           : takes == GRAMMAR_NUMBER ? "a number"
           : takes == GRAMMAR_UNIT   ? "a time with a unit, such as 10s"
           : takes == GRAMMAR_TIME   ? "a time such as 10s"
                                     : "a number of seconds";
}

/* Returns true if a native line would replace a part of the text as a
 * placeholder. */
static bool has_place(const char *text)
{
    for (const char *at = strchr(text, '{'); at; at = strchr(at + 1, '{')) {
        const size_t len = strspn(at + 1, "abcdefghijklmnopqrstuvwxyz");
        if (len > 0 && (at[1 + len] == ':' || at[1 + len] == '}')) {
            return true;
        }
    }
    return false;
}

/* Handles a header, "NAME: VALUE" or, for autocannon, "NAME=VALUE". */
static void take_header(struct grammar_line *line, const char *value)
{
    const char *marks = line->tool->has_equals ? ":=" : ":";
    const size_t len = strcspn(value, marks);
    const char *rest = value + len + (value[len] != '\0');

    rest += strspn(rest, " \t");
    if (len == 0 || !*rest) {
        grammar_refuse(line, "-H %s: a header is NAME: VALUE", value);
        return;
    }
    add_word(line, "-H");
    add_word(line, grammar_text(line, "%.*s: %s", (int)len, value, rest));
}

/* @value is "" if the option has no value. */
static void take(struct grammar_line *line, const struct grammar_row *row,
                 const char *flag, const char *value)
{
    const size_t len = strlen(value);

    if (row->takes == GRAMMAR_COUNT && len > 0 && value[len - 1] == 'm') {
        value = grammar_text(line, "%.*sM", (int)len - 1, value);
    }
    if (!is_good(row->takes, value)) {
        grammar_refuse(line, "%s %s: it is not %s", flag, value,
                       name_form(row->takes));
    } else if (row->means == GRAMMAR_REFUSED) {
        grammar_refuse(line, "%s%s%s: %s", flag, *value ? " " : "", value,
                       row->text);
    } else if (row->means == GRAMMAR_HEADER) {
        take_header(line, value);
    } else if (row->means == GRAMMAR_SAY) {
        grammar_say(line, row->text, value);
    } else if (row->means >= GRAMMAR_KEPT) {
        line->kept[row->means] = row->text ? row->text : value;
    }
}

static const struct grammar_row *find_row(const struct grammar *tool,
                                          const char *name, size_t len)
{
    for (const struct grammar_row *row = tool->rows; row->names; row++) {
        const char *at = row->names;
        while (*at) {
            const size_t size = strcspn(at, " ");
            if (size == len && strncmp(at, name, len) == 0) {
                return row;
            }
            at += size + (at[size] == ' ');
        }
    }
    return NULL;
}

static bool has_value(const struct grammar_row *row)
{
    return row->takes != GRAMMAR_NONE && row->takes != GRAMMAR_OFF &&
           row->takes != GRAMMAR_MAYBE;
}

/* @value is the value attached to the option, or NULL. Returns how many of the
 * following arguments were used. */
static int take_row(struct grammar_line *line, const struct grammar_row *row,
                    const char *flag, const char *value, const char *next)
{
    const bool is_next = !value && has_value(row);
    const bool is_truth =
        !value && !has_value(row) && line->tool->has_names && next &&
        (strcmp(next, "true") == 0 || strcmp(next, "false") == 0);

    if (is_next && !next) {
        grammar_refuse(line, "%s needs a value", flag);
        return 0;
    }
    value = is_next || is_truth ? next : value ? value : "";
    if (has_value(row) || row->takes == GRAMMAR_MAYBE) {
        take(line, row, flag, value);
    } else if ((strcmp(value, "false") == 0) == (row->takes == GRAMMAR_OFF)) {
        take(line, row, flag, "");
    }
    return is_next || is_truth;
}

static void refuse_unknown(struct grammar_line *line, const char *word)
{
    grammar_refuse(line, "%.100s: unknown flag", word);
}

/* Parses "--name" or "--name=value", with one or two dashes. */
static int take_name(struct grammar_line *line, const char *word,
                     const char *next)
{
    const char *name = word + (word[1] == '-' ? 2 : 1);
    const size_t len = strcspn(name, "=");
    const struct grammar_row *row = find_row(line->tool, name, len);

    if (!row || (len == 1 && word[1] == '-' && !line->tool->has_names)) {
        refuse_unknown(line, word);
        return 0;
    }
    return take_row(line, row,
                    grammar_text(line, "%.*s", (int)(name + len - word), word),
                    name[len] == '=' ? name + len + 1 : NULL, next);
}

/* Parses "-x", "-xvalue" or "-xy". */
static int take_letters(struct grammar_line *line, const char *word,
                        const char *next)
{
    for (const char *at = word + 1; *at; at++) {
        const struct grammar_row *row = find_row(line->tool, at, 1);
        const char flag[] = {'-', *at, '\0'};
        const char *rest = at + 1;
        if (!row) {
            refuse_unknown(line, word);
            return 0;
        }
        if (has_value(row) || row->takes == GRAMMAR_MAYBE) {
            rest += line->tool->has_equals && *rest == '=';
            return take_row(line, row, flag, *rest ? rest : NULL, next);
        }
        take_row(line, row, flag, NULL, NULL);
    }
    return 0;
}

static void read_words(struct grammar_line *line, int argc, char **argv)
{
    bool is_over = false;

    for (int i = 0; i < argc; i++) {
        const char *next = i + 1 < argc ? argv[i + 1] : NULL;
        const bool is_flag = !is_over && argv[i][0] == '-' && argv[i][1];
        if (is_flag && strcmp(argv[i], "--") == 0) {
            is_over = true;
        } else if (is_flag && (argv[i][1] == '-' || line->tool->has_names)) {
            i += take_name(line, argv[i], next);
        } else if (is_flag) {
            i += take_letters(line, argv[i], next);
        } else if (line->word_count + 1 < GRAMMAR_WORDS_MAX) {
            line->words[line->word_count++] = argv[i];
            is_over |= line->tool->ends_at_word;
        }
    }
}

static void say_kept(struct grammar_line *line, enum grammar_means means,
                     const char *words)
{
    if (line->kept[means]) {
        grammar_say(line, words, line->kept[means]);
    }
}

static void write_load(struct grammar_line *line)
{
    const char *rate = line->kept[GRAMMAR_RATE];
    const char *timeout = line->kept[GRAMMAR_TIMEOUT];

    say_kept(line, GRAMMAR_THREADS, "-t|%");
    say_kept(line, GRAMMAR_CONNS, "-c|%");
    say_kept(line, GRAMMAR_REQUESTS, "-n|%");
    say_kept(line, GRAMMAR_DURATION, "-d|%");
    if (line->kept[GRAMMAR_DURATION]) {
        grammar_say(line, "-w|%",
                    line->kept[GRAMMAR_WARMUP] ? line->kept[GRAMMAR_WARMUP]
                                               : "0");
    }
    if (rate && strtod(rate, NULL) > 0) {
        grammar_say(line, "-R|%", rate);
    }
    if (grammar_count(line, GRAMMAR_DEPTH) > 1) {
        say_kept(line, GRAMMAR_DEPTH, "-p|%");
    }
    grammar_say(line, "--timeout|%",
                timeout && strspn(timeout, "0") < strlen(timeout) ? timeout
                                                                  : "1m");
}

static void write_body(struct grammar_line *line)
{
    const char *body = line->kept[GRAMMAR_BODY];
    const char *path = line->kept[GRAMMAR_BODY_FILE];

    if (path && access(path, R_OK) < 0) {
        grammar_refuse(line, "%s: there is no such file", path);
    } else if (path) {
        grammar_say(line, "-b|@%", path);
    } else if (body && (*body == '@' || has_place(body))) {
        grammar_refuse(line,
                       "%s: a native line fills it; write it to a file, and "
                       "name that as body",
                       body);
    } else if (body && *body) {
        grammar_say(line, "-b|%", body);
    }
}

static void write_http(struct grammar_line *line, bool is_tls)
{
    const char *method = line->kept[GRAMMAR_METHOD];
    const char *version = line->kept[GRAMMAR_HTTP];
    const char *user = line->kept[GRAMMAR_USER];
    const char *encoding = line->kept[GRAMMAR_ENCODING];
    const bool has_body =
        (line->kept[GRAMMAR_BODY] && *line->kept[GRAMMAR_BODY]) ||
        line->kept[GRAMMAR_BODY_FILE];

    for (size_t i = 0; i < line->argc; i++) {
        if (strcmp(line->argv[i], "-H") == 0 && has_place(line->argv[i + 1])) {
            grammar_refuse(line, "-H %s: a native line fills such places",
                           line->argv[i + 1]);
        }
    }
    if (has_body || (method && strcasecmp(method, "GET") != 0)) {
        char *upper = (char *)grammar_text(line, "%s", method ? method : "GET");
        for (char *at = upper; *at; at++) {
            *at = *at >= 'a' && *at <= 'z' ? (char)(*at - 'a' + 'A') : *at;
        }
        grammar_say(line, "-X", NULL);
        add_word(line, upper);
    }
    if (line->kept[GRAMMAR_TYPE]) {
        grammar_say_header(line, "Content-Type", line->kept[GRAMMAR_TYPE]);
    }
    if (encoding && *encoding && !(method && strcasecmp(method, "HEAD") == 0)) {
        grammar_say_header(line, "Accept-Encoding", encoding);
    }
    if (user) {
        char *text = hdr_encode_base64((const uint8_t *)user, strlen(user));
        grammar_say_header(line, "Authorization",
                           grammar_text(line, "Basic %s", text ? text : ""));
        free(text);
    }
    write_body(line);
    if (version && strcmp(version, "2") == 0) {
        grammar_say(line, "--http2", NULL);
    } else if (version && is_tls && strcmp(version, "auto") == 0) {
        grammar_say(line, "--http|auto", NULL);
    }
    if (is_tls && (line->tool->is_trusting || line->kept[GRAMMAR_INSECURE])) {
        grammar_say(line, "-k", NULL);
    }
}

static void write_output(struct grammar_line *line)
{
    const char *format = line->kept[GRAMMAR_FORMAT];
    const char *json = line->kept[GRAMMAR_JSON];
    const bool is_json =
        format && (strcmp(format, "json") == 0 || strcmp(format, "j") == 0);

    if (json && *json && strcmp(json, "-") != 0) {
        add_word(line, grammar_text(line, "--json=%s", json));
    } else if (json || is_json) {
        add_word(line, "--json");
    } else if (format && strcmp(format, "plain-text") != 0 &&
               strcmp(format, "pt") != 0 && strcmp(format, "text") != 0 &&
               *format) {
        grammar_refuse(line,
                       "%s: the result is text or JSON; for a line for each "
                       "request write --log FILE before the tool",
                       format);
    }
}

static const char *write_url(struct grammar_line *line, const char *url)
{
    const int len = (int)strcspn(url, "#"); /* a fragment is not sent */

    const bool lacks_scheme = !strstr(url, "://");

    url = grammar_text(line, "%s%.*s", lacks_scheme ? "http://" : "", len, url);
    if (lacks_scheme && line->tool->needs_scheme) {
        grammar_refuse(line, "%s: it is not a URL; http:// is missing",
                       url + 7);
    } else if (strncasecmp(url, "http://", 7) != 0 &&
               strncasecmp(url, "https://", 8) != 0) {
        grammar_refuse(line, "%s: it loads http:// and https:// here", url);
    } else if (has_place(url)) {
        grammar_refuse(line, "%s: a native line fills such places", url);
    }
    return url;
}

static bool write_line(struct grammar_line *line)
{
    if (line->word_count == 0) {
        return grammar_refuse(line, "there is no URL");
    }
    if (line->word_count > 1 && !line->tool->has_words) {
        return grammar_refuse(
            line, "%s: only one URL is supported, at the end of the line",
            line->words[1]);
    }
    write_load(line);
    if (!line->tool->is_redis) {
        line->words[0] = write_url(line, line->words[0]);
        write_http(line, strncasecmp(line->words[0], "https", 5) == 0);
    }

    write_output(line);
    add_word(line, line->words[0]);
    return line->refused == 0;
}

/* Translates the arguments of a tool and appends the result to line->argv.
 * Returns false after printing which options are refused. The line uses the
 * arguments, and must exist until the process ends. */
static bool translate(struct grammar_line *line, const struct grammar *tool,
                      int argc, char **argv)
{
    line->tool = tool;

    for (const struct grammar_row *row = tool->initial; row->names; row++) {
        line->kept[row->means] = row->text;
    }
    if (tool->command) {
        if (argc == 0 || strcmp(argv[0], tool->command) != 0) {
            return grammar_refuse(line, "only its command %s is known",
                                  tool->command);
        }
        argc--;
        argv++;
    }
    read_words(line, argc, argv);
    return line->refused == 0 && tool->adapt(line) && write_line(line);
}

/* Prints the native command line without passwords. */
static void show(const struct grammar_line *line)
{
    struct shell_line out;
    char begin[64];

    snprintf(begin, sizeof(begin), "weir-load: as %s: weir-load",
             line->tool->name);
    shell_line_begin(&out, begin);
    for (size_t i = 1; i < line->argc; i++) {
        const char *word = line->argv[i];
        const char *place = strstr(word, "://");
        const size_t login = place ? strcspn(place + 3, "@/?") + 3 : 0;
        char text[1024];
        if (strncmp(word, "Authorization: Basic ", 21) == 0) {
            word = "Authorization: Basic ***";
        } else if (login > 0 && place[login] == '@') {
            snprintf(text, sizeof(text), "%.*s***%s", (int)(place + 3 - word),
                     word, place + login);
            word = text;
        }
        shell_line_add(&out, word);
    }
    end_line(&out);
}

int grammar_run(int argc, char **argv, int first,
                int (*run)(int argc, char **argv, int first))
{
    static struct grammar_line line;
    const struct grammar *tool = NULL;
    int at = first;

    add_word(&line, "weir-load");
    while (at < argc && !(tool = grammar_find(argv[at]))) {
        add_word(&line, argv[at++]);
    }
    if (!tool) {
        while (first + 1 < argc && argv[first][0] == '-') {
            first++;
        }
        say("as %s: the tools are wrk, wrk2, hey, oha, ab, bombardier, h2load, "
            "vegeta, autocannon, siege, fortio and redis-benchmark; for others "
            "see coming-from.md of the guide",
            first < argc ? argv[first] : "what");
        return LOAD_USAGE;
    }
    if (!translate(&line, tool, argc - at - 1, argv + at + 1)) {
        return LOAD_USAGE;
    }
    show(&line);
    return run((int)line.argc, (char **)line.argv, 1);
}

void grammar_suggest(int argc, char **argv, int first)
{
    static struct run_options options;
    const struct grammar_row *rows = NULL;
    const struct grammar *tool = NULL;
    char said[256]; /* errors of other tools, which are discarded */

    for (size_t i = 0; (tool = grammar_at(i)); i++) {
        struct grammar_line *line = calloc(1, sizeof(*line));
        if (!line) {
            return;
        }
        line->is_silent = true;
        add_word(line, argv[0]);
        console_divert(said, sizeof(said));
        const bool is_taken =
            tool->rows != rows &&
            translate(line, tool, argc - first, argv + first) &&
            options_parse((int)line->argc, (char **)line->argv, 1, &options,
                          NULL) == OPTIONS_READY;
        console_divert(NULL, 0);
        if (is_taken) {
            struct shell_line out;
            shell_line_begin(&out, "weir-load");
            shell_line_add(&out, "as");
            shell_line_add(&out, tool->name);
            for (int word = first; word < argc; word++) {
                shell_line_add(&out, argv[word]);
            }
            if (!rows && !out.is_lost) {
                say("for the meaning that another tool gives it, write:");
            }
            rows = tool->rows;
            end_line(&out);
        }
        free(line);
    }
}
