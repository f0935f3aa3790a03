/*
 * A configuration of weir-proxy from text; see proxy_config.h.
 *
 * The directives are applied by the functions that flags and files use. Nothing
 * is printed.
 */
#include "tests/unit/proxy_config.h"

#include "tools/common/console.h"

struct config config;
char why[OPTION_WHY_SIZE];

bool say(const char *format, ...)
{
    (void)format;
    return false;
}

void console_write(const char *text, size_t len)
{
    (void)text;
    (void)len;
}

void with_empty(void (*body)(void))
{
    config_init(&config);
    body();
    config_free(&config);
}

void says(const char *name, const char *value)
{
    why[0] = '\0';
    cr_assert(words_say(&config, name, value, why), "%s %s: %s", name, value,
              why);
}

bool directive_at(const char *text, unsigned line, struct directive *ret)
{
    for (unsigned i = 1; i < line && text; i++) {
        text = strstr(text, "; ");
        text = text ? text + 2 : NULL;
    }
    if (!text) {
        return false;
    }
    const char *end = strstr(text, "; ");
    const char *value = strchr(text, ' ') + 1;
    const size_t size = end ? (size_t)(end - value) : strlen(value);
    const size_t name_size = (size_t)(value - 1 - text);
    cr_assert(name_size < sizeof(ret->name) && size < sizeof(ret->value));
    *ret = (struct directive){.name = ""};
    memcpy(ret->name, text, name_size);
    memcpy(ret->value, value, size);
    return true;
}

void expect_lack(const char *name, const char *reason, const char *text)
{
    struct directive at;
    why[0] = '\0';
    cr_assert_not(config_check(&config, why), "'%s'", reason);
    cr_assert_not_null(strstr(why, reason), "said: %s", why);
    cr_assert_eq(config.line == 0, name == NULL, "'%s'", reason);
    cr_assert(!name || directive_at(text, config.line, &at));
    cr_assert(!name || strcmp(at.name, name) == 0, "'%s' at line %u, not at %s",
              reason, config.line, name);
}
