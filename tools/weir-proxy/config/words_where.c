/*
 * Parses the directives about reaching targets.
 *
 * These are the name servers for their names, the names that clients may
 * choose, and the local address of connections to targets.
 */
#include "matching.h"
#include "words_set.h"

#include "weir/address.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

bool words_say_from(void *options, const struct option *word, const char *value,
                    char *why)
{
    struct config *config = options;
    struct config_target *target = words_owner(config, word, why);

    if (!target) {
        return false;
    }
    target->inherits_from = false;
    if (strcmp(value, "any") == 0) {
        target->from = (struct weir_address){.len = 0};
        return true;
    }
    return weir_address_parse(value, 0, &target->from) == 0 ||
           option_refuse(why,
                         "'%.100s' is not an address such as 192.0.2.1 or ::1, "
                         "or any",
                         value);
}

bool words_say_resolver(void *options, const struct option *word,
                        const char *value, char *why)
{
    struct config *config = options;
    struct weir_address address;
    const char *at = value;
    char item[128];

    do {
        const size_t len = strcspn(at, ",");
        snprintf(item, sizeof(item), "%.*s", (int)len, at);
        if (len >= sizeof(item) ||
            (weir_address_parse(item, 53, &address) < 0 &&
             weir_address_parse_with_port(item, &address) < 0)) {
            return option_refuse(why,
                                 "'%.100s' is not an address such as 10.0.0.53 "
                                 "or [::1]:5353, or several of them",
                                 item);
        }
        at += len + (at[len] == ',');
    } while (*at);
    return words_set_text(config, word, value, why);
}

bool words_say_sni_allow(void *options, const struct option *word,
                         const char *value, char *why)
{
    const struct config_target *target = words_owner(options, word, why);

    if (target && !target->is_sni) {
        return option_refuse(why, "it must follow 'to = sni:PORT'");
    }
    if (!target || !words_add_texts(options, word, value, why)) {
        return false;
    }
    for (size_t i = 0; i < target->allowed.count; i++) {
        const char *name = target->allowed.texts[i];
        size_t last = matching_length_of(name);
        while (last > 0 && name[last - 1] != '.') {
            last--;
        }
        if (!matching_is_host_name(name) ||
            isdigit((unsigned char)name[last])) {
            return option_refuse(why,
                                 "'%.100s' is not a name such as a.example, "
                                 "which allows all names below it",
                                 name);
        }
    }
    return true;
}
