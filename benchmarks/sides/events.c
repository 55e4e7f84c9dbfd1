/* One 3 x 3 layer of multi-level neurons, event by event: work only where a payload is not 0. */
#include <stdint.h>

void layer(const uint8_t *x, const int32_t *w, const int32_t *bias, const int32_t *vth, uint8_t *z,
           int32_t *sums, int n, int size, int ci, int co, int levels)
{
    for (int i = 0; i < n; i++, x += size * size * ci, z += size * size * co) {
        for (int p = 0; p < size * size; p++)
            for (int o = 0; o < co; o++)
                sums[p * co + o] = bias[o];
        for (int p = 0; p < size * size; p++)
            for (int c = 0; c < ci; c++) {
                const int32_t payload = x[p * ci + c];
                if (!payload)
                    continue;
                for (int k = 0; k < 9; k++) {
                    const int row = p / size + 1 - k / 3, column = p % size + 1 - k % 3;
                    if (row < 0 || row >= size || column < 0 || column >= size)
                        continue;
                    int32_t *restrict to = sums + (row * size + column) * co;
                    const int32_t *restrict from = w + (k * ci + c) * co;
                    for (int o = 0; o < co; o++)
                        to[o] += payload * from[o];
                }
            }
        for (int p = 0; p < size * size; p++)
            for (int o = 0; o < co; o++) {
                int32_t sent = 0;
                for (int k = 1; k <= levels; k++)
                    sent += sums[p * co + o] >= k * vth[o];
                z[p * co + o] = (uint8_t)sent;
            }
    }
}
