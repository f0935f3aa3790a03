/*
 * Numbered faults in the library's sources, of which one is chosen at run time.
 *
 * plant.py writes WR_MUTANT(n) ? fault : original over the original. The
 * environment says which n is true, in WEIR_MUTANT, or in WEIR_MUTANTS_REACHED
 * the file that gets a byte for each n that was asked for. The file is mapped,
 * so it is complete however a process ends.
 */
#ifndef WEIR_TESTS_MUTANTS_MUTANT_H
#define WEIR_TESTS_MUTANTS_MUTANT_H

#ifdef __cplusplus
extern "C" {
#endif

extern __attribute__((visibility("hidden"))) unsigned wr_mutant_chosen;
extern __attribute__((visibility("hidden"))) unsigned char *wr_mutants_reached;

#ifdef __cplusplus
}
#endif

static inline int wr_mutant_is(unsigned number)
{
    if (__builtin_expect(wr_mutants_reached != 0, 0)) {
        wr_mutants_reached[number] = 1;
    }
    return __builtin_expect(wr_mutant_chosen == number, 0);
}

#define WR_MUTANT(number) wr_mutant_is(number)

#endif
