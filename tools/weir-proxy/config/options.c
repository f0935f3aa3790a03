/*
 * Options are the directives of words.h with "--" before them. The first
 * argument that is not an option is the address to listen on; others are
 * targets. Options after --config are applied after the file.
 */
#include "options.h"

#include "tools/common/console.h"
#include "words.h"

static bool check(struct config *config)
{
    char why[OPTION_WHY_SIZE];
    char place[CONFIG_PLACE_SIZE];

    if (config->is_top) {
        return config->admin ||
               say("--top needs the address of the proxy's --admin");
    }
    return config_check(config, why) ||
           say("%s%s", config_place(config, config->line, place), why);
}

enum options_result options_parse(int argc, char **argv,
                                  struct config *ret_config)
{
    config_init(ret_config);
    const enum options_result result =
        options_read(&words, ret_config, argc, argv, 1, NULL);

    return result == OPTIONS_READY && !check(ret_config) ? OPTIONS_BAD : result;
}

bool options_read_again(int argc, char **argv, struct config *ret_config,
                        char *why)
{
    option_refuse(why, "no memory");
    console_divert(why, OPTION_WHY_SIZE);
    const bool is_good = options_parse(argc, argv, ret_config) == OPTIONS_READY;
    console_divert(NULL, 0);
    return is_good;
}
