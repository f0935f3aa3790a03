/*
 * libFuzzer's entry to the reader of services: the bytes of an answer to a
 * question for "s.test". What is read is in order, and can be connected to.
 *
 *     ninja tests/fuzz/fuzz-srv-answer
 *     tests/fuzz/srv_answer_seeds.py CORPUS
 *     tests/fuzz/fuzz-srv-answer CORPUS
 */
#include "lib/names/srv_answer.h"
#include "tests/fuzz/check.h"

#include <weir/error.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct wr_srv_answer answer;
    const int err = wr_srv_read(data, size, "s.test", &answer);

    check(err == 0 || err == WEIR_EDNSNODATA || err == WEIR_EDNSNOSERVICE ||
          err == WEIR_EDNSBADANSWER);
    check(answer.count <= WEIR_SRV_MAX);
    check((err == 0) <= (answer.count > 0));
    for (size_t i = 0; i < answer.count; i++) {
        const struct weir_srv *one = &answer.records[i];
        check(wr_srv_is_usable(one));
        check(i == 0 || one[-1].priority < one->priority ||
              (one[-1].priority == one->priority &&
               one[-1].weight >= one->weight));
    }
    return 0;
}
