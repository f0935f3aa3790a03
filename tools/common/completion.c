/*
 * A shell's script lists for each command its options, and for each option
 * whether a value follows and which values there are.
 *
 * Texts are in single quotes, in which only the quote itself is special. fish
 * also treats backslashes specially; zsh backslashes, brackets and colons.
 */
#include "completion.h"

#include "console.h"

#include <string.h>

struct completion {
    FILE *out;
    const char *program;
    const struct completion_command *commands;
    size_t count;
};

static void print_function(const struct completion *self)
{
    fputc('_', self->out);
    for (const char *at = self->program; *at; at++) {
        fputc(*at == '-' ? '_' : *at, self->out);
    }
}

static bool is_shown(const struct option *option)
{
    return option->kind != OPTION_TITLE && option->kind != OPTION_NOTE &&
           option->help;
}

static bool has_value(const struct option *option)
{
    return option->value && option->value[0] != '[';
}

/* Calls @print for each option of a command and of ->passed. */
static void walk(const struct completion *self,
                 const struct completion_command *command,
                 void (*print)(const struct completion *self,
                               const struct completion_command *command,
                               const struct option *option))
{
    const struct option_set *sets[] = {command->set, command->set->passed};

    for (size_t set = 0; set < 2 && sets[set]; set++) {
        for (size_t i = 0; i < sets[set]->count; i++) {
            const struct option *option = &sets[set]->rows[i];
            if (is_shown(option) &&
                (set == 0 || !option_find(command->set, option->name,
                                          strlen(option->name)))) {
                print(self, command, option);
            }
        }
    }
}

static const char *name_of(const struct completion_command *command)
{
    return command->name ? command->name : "";
}

static void print_choices(const struct completion *self,
                          const struct option *option)
{
    const char *name = NULL;

    for (int i = 0; (name = option_name_choice(option, i)); i++) {
        fprintf(self->out, "%s%s", i > 0 ? " " : "", name);
    }
}

static void print_bash_word(const struct completion *self,
                            const struct completion_command *command,
                            const struct option *option)
{
    fprintf(self->out, " --%s", option->name);
    if (option->letter) {
        fprintf(self->out, " -%c", option->letter);
    }
}

/* Prints a pattern that matches all spellings of an option of a command. */
static void print_bash_pattern(const struct completion *self,
                               const struct completion_command *command,
                               const struct option *option)
{
    const char *alias = option->aliases ? option->aliases : "";

    fprintf(self->out, "        '%s --%s'", name_of(command), option->name);
    if (option->letter) {
        fprintf(self->out, "|'%s -%c'", name_of(command), option->letter);
    }
    while (*alias) {
        const size_t len = strcspn(alias, " ");
        fprintf(self->out, "|'%s --%.*s'", name_of(command), (int)len, alias);
        alias += len + (alias[len] == ' ');
    }
    fputs(") ", self->out);
}

/* Without choices bash completes file names. */
static void print_bash_value(const struct completion *self,
                             const struct completion_command *command,
                             const struct option *option)
{
    if (!has_value(option)) {
        return;
    }
    print_bash_pattern(self, command, option);
    if (option_has_choices(option)) {
        fputs("words='", self->out);
        print_choices(self, option);
        fputs("' ;;\n", self->out);
    } else {
        fputs("return ;;\n", self->out);
    }
}

static void print_bash(const struct completion *self)
{
    print_function(self);
    fprintf(self->out,
            "()\n{\n"
            "    local current=${COMP_WORDS[COMP_CWORD]}\n"
            "    local before=${COMP_WORDS[COMP_CWORD-1]}\n"
            "    local command='%s' words=\n"
            "    local prefix=\n"
            "\n"
            "    # The '=' of --name=value is a word of its own, unless\n"
            "    # COMP_WORDBREAKS lacks it.\n"
            "    if [[ $current == = ]]; then\n"
            "        current=\n"
            "    elif [[ $before == = ]]; then\n"
            "        before=${COMP_WORDS[COMP_CWORD-2]}\n"
            "    elif [[ $current == --*=* ]]; then\n"
            "        before=${current%%%%=*}\n"
            "        prefix=$before=\n"
            "        current=${current#*=}\n"
            "    fi\n"
            "    COMPREPLY=()\n",
            name_of(&self->commands[0]));
    if (self->commands[0].name) {
        fprintf(self->out, "    case ${COMP_WORDS[1]} in\n        ");
        for (size_t i = 0; i < self->count; i++) {
            fprintf(self->out, "%s%s", i > 0 ? "|" : "",
                    self->commands[i].name);
        }
        fprintf(self->out,
                ")\n        command=${COMP_WORDS[1]} ;;\n"
                "    esac\n"
                "    if ((COMP_CWORD == 1)) && [[ $current != -* ]]; "
                "then\n        words='");
        for (size_t i = 0; i < self->count; i++) {
            fprintf(self->out, "%s%s", i > 0 ? " " : "",
                    self->commands[i].name);
        }
        fprintf(self->out, "'\n    fi\n");
    }
    fprintf(self->out, "    case \"$command $before\" in\n");
    for (size_t i = 0; i < self->count; i++) {
        walk(self, &self->commands[i], print_bash_value);
    }
    fprintf(self->out, "        *)\n"
                       "        if [[ $current == -* ]]; then\n"
                       "            case $command in\n");
    for (size_t i = 0; i < self->count; i++) {
        fprintf(self->out, "            '%s') words='",
                name_of(&self->commands[i]));
        walk(self, &self->commands[i], print_bash_word);
        fprintf(self->out, "' ;;\n");
    }
    fprintf(self->out,
            "            esac\n"
            "        fi ;;\n"
            "    esac\n"
            "    COMPREPLY=($(compgen -P \"$prefix\" -W \"$words\" -- "
            "\"$current\"))\n"
            "}\n"
            "complete -o default -F ");
    print_function(self);
    fprintf(self->out, " %s\n", self->program);
}

/* Prints a text inside single quotes and brackets. */
static void print_zsh_text(const struct completion *self, const char *text)
{
    for (; *text; text++) {
        if (*text == '\'') {
            fputs("'\\''", self->out);
        } else {
            if (strchr("[]:\\", *text)) {
                fputc('\\', self->out);
            }
            fputc(*text, self->out);
        }
    }
}

static void print_zsh_option(const struct completion *self,
                             const struct completion_command *command,
                             const struct option *option)
{
    char text[1024];

    fprintf(self->out, "        ");
    if (option->letter) {
        fprintf(self->out, "%s{-%c%s,--%s%s}'[", option->repeats ? "'*'" : "",
                option->letter, has_value(option) ? "+" : "", option->name,
                has_value(option) ? "=" : "");
    } else {
        fprintf(self->out, "'%s--%s%s[", option->repeats ? "*" : "",
                option->name, has_value(option) ? "=" : "");
    }
    print_zsh_text(self, option_describe(option, text, sizeof(text)));
    fputc(']', self->out);
    if (has_value(option)) {
        fputc(':', self->out);
        print_zsh_text(self, option->value);
        fputc(':', self->out);
        if (option_has_choices(option)) {
            fputc('(', self->out);
            print_choices(self, option);
            fputc(')', self->out);
        } else {
            fputs("_files", self->out);
        }
    }
    fprintf(self->out, "' \\\n");
}

static void print_zsh(const struct completion *self)
{
    fprintf(self->out, "#compdef %s\n\n", self->program);
    fprintf(self->out, "local command='%s'\n", name_of(&self->commands[0]));
    if (self->commands[0].name) {
        fprintf(self->out, "local -a commands\ncommands=(");
        for (size_t i = 0; i < self->count; i++) {
            fprintf(self->out, "%s%s", i > 0 ? " " : "",
                    self->commands[i].name);
        }
        fprintf(self->out, ")\n"
                           "if (( CURRENT == 2 )) && [[ $words[2] != -* ]]; "
                           "then\n"
                           "    compadd -a commands\n"
                           "    _files\n"
                           "    return\n"
                           "fi\n"
                           "if (( $commands[(Ie)$words[2]] )); then\n"
                           "    command=$words[2]\n"
                           "    shift words\n"
                           "    (( CURRENT-- ))\n"
                           "fi\n");
    }
    fprintf(self->out, "case $command in\n");
    for (size_t i = 0; i < self->count; i++) {
        fprintf(self->out, "    ('%s')\n    _arguments -s \\\n",
                name_of(&self->commands[i]));
        walk(self, &self->commands[i], print_zsh_option);
        fprintf(self->out, "        '*:word:_files' ;;\n");
    }
    fprintf(self->out, "esac\n");
}

static void print_fish_option(const struct completion *self,
                              const struct completion_command *command,
                              const struct option *option)
{
    char text[1024];

    fprintf(self->out, "complete -c %s", self->program);
    if (command->name && command != &self->commands[0]) {
        fprintf(self->out, " -n '__fish_seen_subcommand_from %s'",
                command->name);
    } else if (command->name) {
        fprintf(self->out, " -n 'not __fish_seen_subcommand_from");
        for (size_t i = 1; i < self->count; i++) {
            fprintf(self->out, " %s", self->commands[i].name);
        }
        fprintf(self->out, "'");
    }
    fprintf(self->out, " -l %s", option->name);
    if (option->letter) {
        fprintf(self->out, " -s %c", option->letter);
    }
    if (has_value(option)) {
        fprintf(self->out, " -r");
    }
    if (has_value(option) && option_has_choices(option)) {
        fprintf(self->out, " -f -a '");
        print_choices(self, option);
        fprintf(self->out, "'");
    }
    fprintf(self->out, " -d '");
    for (const char *at = option_describe(option, text, sizeof(text)); *at;
         at++) {
        fprintf(self->out, *at == '\'' || *at == '\\' ? "\\%c" : "%c", *at);
    }
    fprintf(self->out, "'\n");
}

static void print_fish(const struct completion *self)
{
    for (size_t i = 0; i < self->count; i++) {
        if (self->commands[i].name) {
            fprintf(self->out,
                    "complete -c %s -n __fish_use_subcommand -a %s\n",
                    self->program, self->commands[i].name);
        }
        walk(self, &self->commands[i], print_fish_option);
    }
}

bool completion_print(FILE *out, const char *shell, const char *program,
                      const struct completion_command *commands, size_t count)
{
    static const struct {
        const char *shell;
        void (*print)(const struct completion *self);
    } shells[] = {
        {"bash", print_bash}, {"zsh", print_zsh}, {"fish", print_fish}};
    const struct completion self = {out, program, commands, count};

    for (size_t i = 0; i < sizeof(shells) / sizeof(shells[0]); i++) {
        if (shell && strcmp(shells[i].shell, shell) == 0) {
            shells[i].print(&self);
            return true;
        }
    }
    return say("--completion needs a shell: bash, zsh or fish");
}
