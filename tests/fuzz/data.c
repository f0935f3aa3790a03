/*
 * Bytes made up by libFuzzer as the file of --data: what is read has its rows
 * and fields, which are written as often as they are asked for and are never
 * larger than their column says; what is refused has a reason.
 *
 *     ninja tests/fuzz/fuzz-data
 *     tests/fuzz/fuzz-data CORPUS
 */
#include "tools/weir-load/request/request.h"

#include "check.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_rows(const struct data *data)
{
    check(data->row_count > 0 && data->column_count > 0);
    for (size_t row = 0; row < data->row_count; row++) {
        for (size_t column = 0; column < data->column_count; column++) {
            const size_t room = data->columns[column].size_max;
            char *out = malloc(room > 0 ? room : 1);
            check(out != NULL);
            check(data_write(data, column, row, out) <= room);
            free(out);
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *bytes = malloc(size > 0 ? size : 1);
    char why[WHY_SIZE] = "";
    char names[16];
    struct data rows;

    check(bytes != NULL);
    memcpy(bytes, data, size);
    if (data_parse(bytes, size, &rows, why) < 0) {
        check(why[0] != '\0');
        return 0;
    }
    check_rows(&rows);
    check(strlen(data_list(&rows, names, sizeof(names))) < sizeof(names));
    check(data_find(&rows, rows.columns[0].name) == 0);
    data_fini(&rows);
    return 0;
}
