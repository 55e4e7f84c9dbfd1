/* Max pooling of bytes for one kind of words: WORD, LOAD, STORE, NAME. A row is one of the outputs. */

static void NAME(pool)(void *job, int64_t first, int64_t last, int64_t group, float *spare)
{
    const windows *p = job;
    const int64_t channels = p->channels, line = p->width * p->kw * channels;
    (void)group, (void)spare;
    for (int64_t row = first; row < last; row++)
        for (int64_t column = 0; column < p->width; column++) {
            const int8_t *corner = p->code + row * p->kh * line + column * p->kw * channels;
            const int64_t at = (row * p->width + column) * channels;
            int8_t *restrict largest = p->largest + at, *restrict which = p->which + at;
            WORD *restrict z = (WORD *)p->z + at;
            for (int64_t c = 0; c < channels; c++) {
                largest[c] = corner[c] & 127;
                which[c] = 0;
            }
            for (int8_t tap = 1; tap < p->kh * p->kw; tap++) {
                const int8_t *restrict x = corner + tap / p->kw * line + tap % p->kw * channels;
                for (int64_t c = 0; c < channels; c++) {
                    const int8_t now = x[c] & 127;
                    which[c] = now > largest[c] ? tap : which[c]; /* the first of equal ones, as torch */
                    largest[c] = now > largest[c] ? now : largest[c];
                }
            }
            for (int64_t c = 0; c < channels; c++)
                z[c] = STORE((float)largest[c]);
        }
}

static void NAME(spread)(void *job, int64_t first, int64_t last, int64_t group, float *spare)
{
    const windows *p = job;
    const int64_t channels = p->channels, line = p->width * p->kw * channels;
    (void)group, (void)spare;
    for (int64_t row = first; row < last; row++)
        for (int64_t column = 0; column < p->width; column++) {
            const int64_t at = (row * p->width + column) * channels;
            const WORD *restrict g = (const WORD *)p->z + at;
            const int8_t *restrict which = p->which + at;
            WORD *corner = (WORD *)p->grad + row * p->kh * line + column * p->kw * channels;
            for (int8_t tap = 0; tap < p->kh * p->kw; tap++) {
                WORD *restrict out = corner + tap / p->kw * line + tap % p->kw * channels;
                for (int64_t c = 0; c < channels; c++)
                    out[c] = which[c] == tap ? g[c] : 0;
            }
        }
}
