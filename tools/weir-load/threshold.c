/*
 * All is done on logarithms of rates, so that a width is a part of the rate.
 *
 * The least width is not 0: what a run asks for and reaches is not exact, and a
 * server is not the same in each run.
 */
#include "threshold.h"

#include <math.h>

/* A run fails for a reason of its own, or passes for one. */
#define FAILS_ANYWAY  0.05
#define PASSES_ANYWAY 0.01

#define WIDEST 0.16

void threshold_init(struct threshold *self, double low, double high,
                    double least_width)
{
    self->first = log(low);
    self->step = (log(high) - self->first) / (THRESHOLD_PLACES - 1);
    for (size_t i = 0; i < THRESHOLD_WIDTHS; i++) {
        self->widths[i] =
            least_width * pow(WIDEST / least_width,
                              (double)i / (double)(THRESHOLD_WIDTHS - 1));
        for (size_t k = 0; k < THRESHOLD_PLACES; k++) {
            self->shares[i][k] = 1.0 / THRESHOLD_WIDTHS / THRESHOLD_PLACES;
        }
    }
}

/* How likely a run passes that is so many widths below the threshold. */
static double pass_share(double distance)
{
    /* The logistic curve, which is close to the normal one. */
    const double share = 1 / (1 + exp(-1.702 * distance));

    return PASSES_ANYWAY + (1 - PASSES_ANYWAY - FAILS_ANYWAY) * share;
}

void threshold_add(struct threshold *self, double rate, bool passed)
{
    double sum = 0;

    for (size_t i = 0; i < THRESHOLD_WIDTHS; i++) {
        for (size_t k = 0; k < THRESHOLD_PLACES; k++) {
            const double place = self->first + (double)k * self->step;
            const double share =
                pass_share((place - log(rate)) / self->widths[i]);
            self->shares[i][k] *= passed ? share : 1 - share;
            sum += self->shares[i][k];
        }
    }
    for (size_t i = 0; i < THRESHOLD_WIDTHS; i++) {
        for (size_t k = 0; k < THRESHOLD_PLACES; k++) {
            self->shares[i][k] /= sum;
        }
    }
}

double threshold_quantile(const struct threshold *self, double share)
{
    double below = 0;
    size_t k = 0;

    for (; k < THRESHOLD_PLACES; k++) {
        double here = 0;
        for (size_t i = 0; i < THRESHOLD_WIDTHS; i++) {
            here += self->shares[i][k];
        }
        if (below + here >= share) {
            break;
        }
        below += here;
    }
    return exp(self->first + (double)k * self->step);
}
