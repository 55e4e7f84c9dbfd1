/* This machine's peaks: independent chains of its widest multiply-and-add instructions, and sums
   over memory. The first three return how many multiplications a round does, or 0 where the
   compiler knows of no such instruction here. Registers by name: gcc 12 spills an array of them. */
#include <stdint.h>

#define EACH(X) X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11)
#define CHAINS 12

#ifdef __AVX512F__
#include <immintrin.h>
#define START(k) __m512 s##k = _mm512_set1_ps(k);
#define KEEP(k) _mm512_storeu_ps(out + 16 * k, s##k);
#define RUN(STEP)                                   \
    const __m512 a = _mm512_set1_ps(1.0f), b = a;   \
    EACH(START) for (int64_t i = 0; i < rounds; i++) { EACH(STEP) } EACH(KEEP)
#define FMA(k) __asm__("vfmadd231ps %2, %1, %0" : "+v"(s##k) : "v"(a), "v"(b));
#define BF16(k) __asm__("vdpbf16ps %2, %1, %0" : "+v"(s##k) : "v"(a), "v"(b));
#define INT8(k) __asm__("vpdpbusd %2, %1, %0" : "+v"(s##k) : "v"(a), "v"(b));
#endif

int int8(int64_t rounds, float *out)
{
#ifdef __AVX512VNNI__
    RUN(INT8)
    return CHAINS * 64;
#else
    return rounds < 0 && out ? 1 : 0;
#endif
}

int bfloat16(int64_t rounds, float *out)
{
#ifdef __AVX512BF16__
    RUN(BF16)
    return CHAINS * 32;
#else
    return rounds < 0 && out ? 1 : 0;
#endif
}

int float32(int64_t rounds, float *out)
{
#ifdef __AVX512F__
    RUN(FMA)
    return CHAINS * 16;
#else
    return rounds < 0 && out ? 1 : 0;
#endif
}

int64_t reading(const int64_t *memory, int64_t words)
{
    int64_t sums[32] = {0};
    for (int64_t i = 0; i < words; i += 32)
        for (int k = 0; k < 32; k++)
            sums[k] += memory[i + k];
    for (int k = 1; k < 32; k++)
        sums[0] += sums[k];
    return sums[0];
}
