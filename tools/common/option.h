/*
 * Options: a row for each, from which its command line is read, explained and
 * completed.
 *
 * A row has the option's names, what its value is and where it goes, and the
 * sentence of --help. The parser, --help, every message, the completions of
 * shells (completion.h) and the tests of the manuals walk the rows; nothing
 * else lists them. weir-proxy reads the lines of its file with the same rows.
 *
 * "--name value", "--name=value", "-name value", "-x value", "-xvalue" and
 * "-xy" are read; "--" ends the options. All wrong words of a line are told,
 * each in a line of its own.
 */
#ifndef WEIR_COMMON_OPTION_H
#define WEIR_COMMON_OPTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Room for every reason why a value is refused. */
#define OPTION_WHY_SIZE 512

/* Room for "--" and a name. */
#define OPTION_FLAG_SIZE 48

/* Options that one command line may give. */
#define OPTIONS_GIVEN_MAX 256

/* What a value is, and the type of its field. */
enum option_kind {
    OPTION_OTHER,   /* what ->read reads */
    OPTION_SWITCH,  /* bool: true; with a value "on" or "off" */
    OPTION_COUNT,   /* uint64_t */
    OPTION_SIZE,    /* uint64_t, bytes */
    OPTION_TIME,    /* uint64_t, nanoseconds */
    OPTION_CHOICE,  /* int or an enum: the index in ->choices */
    OPTION_EITHER,  /* bool: is it the second of the two ->choices? */
    OPTION_SHARE,   /* double: 0.05 for "5%"; bounds in millionths */
    OPTION_RATE,    /* double, a second, which ->read reads */
    OPTION_TEXT,    /* const char *, borrowed; not empty */
    OPTION_HELP,    /* no field: prints --help, and ends */
    OPTION_VERSION, /* no field: prints the version, and ends */
    OPTION_TITLE,   /* no option: a heading of --help */
    OPTION_NOTE,    /* no option: a sentence of --help */
};

struct option;

/* Reads a value into the options of the command. It is "" where the option
 * takes none, and NULL where it may have one and has not. False, with the
 * reason in
 * @why. */
typedef bool option_read_fn(void *options, const struct option *option,
                            const char *value, char *why);

/* Another option that this one cannot stand beside, or cannot do without. */
struct option_rule {
    const char *name;   /* NULL: the end of the rules */
    const char *reason; /* "FLAG: --NAME REASON" */
};

struct option {
    const char *name;
    char letter;         /* 0: it has no short name */
    const char *value;   /* as --help calls it; NULL: it takes none. Behind a
                          * '=' or in the next word; "[=WHAT]": not there, or
                          * behind a '='; "[WHAT]": likewise, or the next word,
                          * if that does not begin with a '-' */
    const char *help;    /* NULL: --help does not show it. "{}" in it are the
                          * choices */
    const char *aliases; /* other names that mean the same, with spaces between
                          * them; one letter: a short name. NULL: none */
    enum option_kind kind;
    size_t offset;              /* of the field, in its owner */
    uint64_t least;             /* of a number */
    uint64_t most;              /* 0: as much as the type holds */
    const char *const *choices; /* ends with NULL */
    /* In place of the list, where another module has it; NULL: behind the last.
     */
    const char *(*name_choice)(int index);
    const char *initial; /* what it is unless it is given, which --help
                          * shows; NULL: what ->help says of it, or 0 */
    const char *json;    /* its member of a configuration, behind the name of
                          * an object and a dot if it is in one; a '?' at its
                          * end: 0 is null. NULL: none */
    option_read_fn *read;
    size_t mark; /* 1 + offset in the options of a `const struct option *`
                  * that is set to the row once it was given; 0: none */
    const struct option_rule *excludes; /* NULL: none */
    const char *needs;                  /* the name of an option; NULL: none */
    int scope;       /* of the command's own: which struct has the field */
    int need;        /* of the command's own: what it needs; 0: nothing */
    bool is_common;  /* --help of a set that ->has_common shows it, without
                      * what follows the first ". " of ->help */
    bool repeats;    /* it may be given again: it adds to what there is, or
                      * begins what the options behind it are about */
    bool says_where; /* its reasons need no flag before them */
};

/* The options that a command line gave, each once, in its order. */
struct option_list {
    const struct option *list[OPTIONS_GIVEN_MAX];
    size_t count;
};

struct option_set {
    const char *command; /* as people write it: "weir-load run" */
    const char *head;    /* of --help */
    const char *tail;    /* NULL: none */
    const struct option *rows;
    size_t count;
    /* Returns what to use instead of a removed option, of which @len bytes
     * count, or NULL. The member may be NULL. */
    const char *(*gone)(const char *name, size_t len);
    /* Other options, which are passed on and not read here; NULL: none. */
    const struct option_set *passed;
    /* The struct with an option's field; NULL with the reason in @why. Without
     * it: the options of the command. */
    void *(*owner)(void *options, const struct option *option, char *why);
    /* Takes a word that is no option: false with the reason in @why. All of
     * them follow the options, unless the words are ordered. */
    bool (*word)(void *options, const char *text, char *why);
    /* Takes a word of an option that is passed on. Needed with ->passed. */
    bool (*pass)(void *options, const struct option *option, const char *word,
                 char *why);
    /* Before an option is read, with its value, or NULL; false with the reason
     * in @why. NULL: nothing. */
    bool (*begin)(void *options, const struct option *option, const char *value,
                  char *why);
    void (*print_version)(void);
    /* --help shows common options, and "--help all" every one. */
    bool has_common;
    /* Options are about the words before them: words are taken where they
     * stand. */
    bool is_ordered;
    /* "--" is a word between others, and ends nothing. */
    bool has_sides;
};

/* The last rows of every set. */
#define OPTION_ROW_HELP                                                        \
    {                                                                          \
        "help", 'h', NULL, "this text", .kind = OPTION_HELP                    \
    }
#define OPTION_ROW_VERSION                                                     \
    {                                                                          \
        "version", 0, NULL, "the version, and that of the TLS library",        \
            .kind = OPTION_VERSION                                             \
    }

enum options_result {
    OPTIONS_READY,
    /* --help or --version was asked for and printed. */
    OPTIONS_DONE,
    /* A line or more on standard error have said why. */
    OPTIONS_BAD,
};

/* Reads argv from @first on into @options, and looks whether what was given
 * goes together (->excludes, ->needs). @ret_given may be NULL. */
enum options_result options_read(const struct option_set *set, void *options,
                                 int argc, char **argv, int first,
                                 struct option_list *ret_given);

/* Was the option of this name given? There must be one. */
bool option_is_given(const struct option_list *given, const char *name);

/* Sets the fields of @owner whose options are of this scope and have an
 * initial value. */
void options_set_initial(const struct option_set *set, int scope, void *owner);

/* The option of a name, of which @len bytes count, or NULL. */
const struct option *option_find(const struct option_set *set, const char *name,
                                 size_t len);

/* The name that is most like an unknown one, or NULL. */
const char *option_suggest(const struct option_set *set, const char *name);

/* Letters by which one differs from another that has less than 64. */
size_t option_distance(const char *a, const char *b);

/* Reads one value. False, with the reason in @why. */
bool option_read(const struct option_set *set, void *options,
                 const struct option *option, const char *value, char *why);

/* The same, by the kind of the option, for its ->read. */
bool option_read_plain(const struct option_set *set, void *options,
                       const struct option *option, const char *value,
                       char *why);

/* Has it choices, and its choice of this number, or NULL behind the last. */
bool option_has_choices(const struct option *option);
const char *option_name_choice(const struct option *option, int index);

/* Writes "a, b or c"; returns @ret. */
const char *option_list_choices(const struct option *option, char *ret,
                                size_t size);

/* The sentence of --help, with the choices in it; it may be in @ret. */
const char *option_describe(const struct option *option, char *ret,
                            size_t size);

/* "-c" or "--connections", as --help has it first; returns @ret. */
const char *option_flag(const struct option *option,
                        char ret[OPTION_FLAG_SIZE]);

/* Writes the reason; returns false. */
__attribute__((format(printf, 2, 3))) bool
option_refuse(char *why, const char *format, ...);

/* "FLAG: why" on standard error; returns false. */
__attribute__((format(printf, 2, 3))) bool
option_say(const struct option *option, const char *format, ...);

#endif
