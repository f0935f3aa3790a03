/*
 * Command-line options. Each option is one row of a table.
 *
 * A row has the option's names, its kind of value, its field, and its line in
 * --help. The parser, --help, error messages, shell completions (completion.h)
 * and the tests of the manuals use only the rows. weir-proxy parses the lines
 * of its file with the same rows.
 *
 * "--name value", "--name=value", "-name value", "-x value", "-xvalue" and
 * "-xy" are accepted; "--" ends the options. All errors are reported, one per
 * line.
 */
#ifndef WEIR_COMMON_OPTION_H
#define WEIR_COMMON_OPTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Buffer size for the reason of a refusal. */
#define OPTION_WHY_SIZE 512

/* Buffer size for "--" and a name. */
#define OPTION_FLAG_SIZE 48

/* Maximum number of different options on a command line. */
#define OPTIONS_GIVEN_MAX 256

/* Kind of value, and type of the field. */
enum option_kind {
    OPTION_OTHER,   /* parsed by ->read */
    OPTION_SWITCH,  /* bool; with a value "on" or "off" */
    OPTION_COUNT,   /* uint64_t */
    OPTION_SIZE,    /* uint64_t, bytes */
    OPTION_TIME,    /* uint64_t, nanoseconds */
    OPTION_CHOICE,  /* int or an enum: an index into ->choices */
    OPTION_EITHER,  /* bool: true for the second of two ->choices */
    OPTION_SHARE,   /* double: 0.05 for "5%"; bounds in millionths */
    OPTION_RATE,    /* double, per second, parsed by ->read */
    OPTION_TEXT,    /* const char *, borrowed; not empty */
    OPTION_HELP,    /* no field: prints --help and ends */
    OPTION_VERSION, /* no field: prints the version and ends */
    OPTION_TITLE,   /* not an option: a heading of --help */
    OPTION_NOTE,    /* not an option: a sentence of --help */
};

struct option;

/* Parses a value into the options of the command. @value is "" if the option
 * takes none, and NULL if an optional value is missing. Returns false with a
 * reason in @why. */
typedef bool option_read_fn(void *options, const struct option *option,
                            const char *value, char *why);

/* Another option that this one excludes. */
struct option_rule {
    const char *name;   /* NULL ends the list */
    const char *reason; /* printed as "FLAG: --NAME REASON" */
};

struct option {
    const char *name;
    char letter;         /* 0 without a short name */
    const char *value;   /* Its name in --help, or NULL without a value. A value
                          * follows '=' or is the next argument. "[=WHAT]" is
                          * optional and follows '='. "[WHAT]" is optional, and
                          * may also be the next argument if that does not begin
                          * with '-'. */
    const char *help;    /* NULL hides the option; "{}" becomes the choices */
    const char *aliases; /* other names, separated by spaces; one letter is a
                          * short name. May be NULL */
    enum option_kind kind;
    size_t offset;              /* offset of the field in its struct */
    uint64_t least;             /* lower bound of a number */
    uint64_t most;              /* upper bound; 0 is the type's limit */
    const char *const *choices; /* ends with NULL */
    /* Replaces ->choices; returns NULL after the last choice. */
    const char *(*name_choice)(int index);
    const char *initial; /* default value, shown by --help; NULL if ->help has
                          * it or if it is 0 */
    const char *json;    /* member of a configuration in JSON, "OBJECT.NAME"
                          * inside an object. A '?' at its end makes 0 null. May
                          * be NULL */
    option_read_fn *read;
    size_t mark; /* 1 + offset of a `const struct option *` in the options,
                  * which is set to the row if the option was given; 0 is
                  * none */
    const struct option_rule *excludes; /* or NULL */
    const char *needs;                  /* name of an option, or NULL */
    int scope;       /* command-defined: selects the field's struct */
    int need;        /* defined by the command: a condition; 0 is none */
    bool is_common;  /* shown by --help of a set with ->has_common, up to the
                      * first ". " of ->help */
    bool repeats;    /* may be given again: adds a value or an object */
    bool says_where; /* its reasons already name the flag or place */
};

/* The options that were given, each once, in order. */
struct option_list {
    const struct option *list[OPTIONS_GIVEN_MAX];
    size_t count;
};

struct option_set {
    const char *command; /* such as "weir-load run" */
    const char *head;    /* printed by --help before the options */
    const char *tail;    /* printed by --help after the options; may be NULL */
    const struct option *rows;
    size_t count;
    /* Returns the replacement of a removed option, or NULL. May be NULL. */
    const char *(*gone)(const char *name, size_t len);
    /* Options that are passed on without being parsed, or NULL. */
    const struct option_set *passed;
    /* Returns the struct that has an option's field, or NULL with a reason in
     * @why. If this pointer is NULL, the command's options are that struct. */
    void *(*owner)(void *options, const struct option *option, char *why);
    /* Handles an argument that is not an option. Returns false with a reason in
     * @why. Called after all options, unless is_ordered is true. */
    bool (*word)(void *options, const char *text, char *why);
    /* Handles an argument for ->passed, with which it is required. */
    bool (*pass)(void *options, const struct option *option, const char *word,
                 char *why);
    /* Called before an option is parsed, with its value or NULL. Returns false
     * with a reason in @why. May be NULL. */
    bool (*begin)(void *options, const struct option *option, const char *value,
                  char *why);
    void (*print_version)(void);
    /* --help shows common options, and "--help all" all of them. */
    bool has_common;
    /* Options apply to the arguments before them. */
    bool is_ordered;
    /* "--" is an ordinary argument. */
    bool has_sides;
};

/* Last rows of every set. */
#define OPTION_ROW_HELP                                                        \
    {                                                                          \
        "help", 'h', NULL, "print this text", .kind = OPTION_HELP              \
    }
#define OPTION_ROW_VERSION                                                     \
    {                                                                          \
        "version", 0, NULL,                                                    \
            "print the version of the program and of the TLS library",         \
            .kind = OPTION_VERSION                                             \
    }

enum options_result {
    OPTIONS_READY,
    /* --help or --version was printed. */
    OPTIONS_DONE,
    /* The reason was printed to standard error. */
    OPTIONS_BAD,
};

/* Parses argv, starting at @first, into @options, and checks ->excludes and
 * ->needs. @ret_given may be NULL. */
enum options_result options_read(const struct option_set *set, void *options,
                                 int argc, char **argv, int first,
                                 struct option_list *ret_given);

bool option_is_given(const struct option_list *given, const char *name);

/* Sets the fields of @owner that have this scope and an initial value. */
void options_set_initial(const struct option_set *set, int scope, void *owner);

/* Returns the option called @name, which has @len bytes, or NULL. */
const struct option *option_find(const struct option_set *set, const char *name,
                                 size_t len);

/* Returns the name most similar to an unknown one, or NULL. */
const char *option_suggest(const struct option_set *set, const char *name);

/* Returns the edit distance, or SIZE_MAX if @b has 64 or more bytes. */
size_t option_distance(const char *a, const char *b);

/* Parses one value. Returns false with a reason in @why. */
bool option_read(const struct option_set *set, void *options,
                 const struct option *option, const char *value, char *why);

/* Parses a value by the option's kind; for ->read functions. */
bool option_read_plain(const struct option_set *set, void *options,
                       const struct option *option, const char *value,
                       char *why);

bool option_has_choices(const struct option *option);
/* Returns a choice, or NULL after the last one. */
const char *option_name_choice(const struct option *option, int index);

/* Writes "a, b or c". Returns @ret. */
const char *option_list_choices(const struct option *option, char *ret,
                                size_t size);

/* Returns the option's text of --help, with its choices instead of "{}". The
 * result is @ret, of @size bytes, or the option's own text. */
const char *option_describe(const struct option *option, char *ret,
                            size_t size);

/* Writes the name in --help, such as "-c" or "--rate". Returns @ret. */
const char *option_flag(const struct option *option,
                        char ret[OPTION_FLAG_SIZE]);

/* Writes the reason. Returns false. */
__attribute__((format(printf, 2, 3))) bool
option_refuse(char *why, const char *format, ...);

/* Prints "FLAG: why" to standard error. Returns false. */
__attribute__((format(printf, 2, 3))) bool
option_say(const struct option *option, const char *format, ...);

#endif
