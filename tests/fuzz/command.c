/*
 * libFuzzer's entry to an operator's commands of weir-proxy: bytes as a line.
 *
 *     ninja tests/fuzz/fuzz-command
 *     tests/fuzz/fuzz-command CORPUS
 */
#include "tools/weir-proxy/control/command.h"
#include "tests/fuzz/check.h"
#include "tools/common/option.h"
#include "tools/weir-proxy/runtime/orders.h"

#include <stdlib.h>
#include <string.h>

const char console_name[] = "fuzz-command";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct command command;
    char why[OPTION_WHY_SIZE] = "";
    char *text = malloc(size > 0 ? size : 1); /* no more than the line has */

    if (!text) {
        return 0;
    }
    memcpy(text, data, size);
    if (command_read(text, size, &command, why)) {
        check(size <= COMMAND_LINE_MAX && command.kind < COMMANDS);
        check(command.weight <= ORDER_WEIGHT_MAX);
        check(strlen(command.target) < COMMAND_WORD_MAX);
        check((command.target[0] != '\0') == (command.kind >= COMMAND_WEIGHT));
        (void)command_is_about(&command, "db", "tcp://127.0.0.1:1");
    } else {
        check(why[0] != '\0' && strlen(why) < OPTION_WHY_SIZE);
    }
    free(text);
    return 0;
}
