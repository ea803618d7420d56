/* SPDX-License-Identifier: BSD-2-Clause */

#include "kit/wave.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#define HEADER 44

int16_t *
wave_load(const char *name, size_t *samples)
{
    char path[256];
    FILE *file;
    long bytes;
    int16_t *pcm;

    snprintf(path, sizeof path, "tests/fixtures/%s", name);
    file = fopen(path, "rb");
    if (file == NULL)
        fail_msg("can't open %s", path);
    assert_int_equal(fseek(file, 0, SEEK_END), 0);
    bytes = ftell(file) - HEADER;
    assert_true(bytes > 0);
    assert_int_equal(fseek(file, HEADER, SEEK_SET), 0);
    pcm = malloc((size_t) bytes);
    assert_non_null(pcm);
    *samples = fread(pcm, 2, (size_t) bytes / 2, file);
    fclose(file);
    return pcm;
}

void
wave_add_noise(int16_t *pcm, size_t samples, double rms, uint32_t seed)
{
    for (size_t i = 0; i < samples; i++) {
        double sum = 0;
        long value;

        for (int k = 0; k < 4; k++) { /* nearly a bell: deviation 0.577 */
            seed = seed * 1664525u + 1013904223u;
            sum += (double) (seed >> 8) / 16777216.0 - 0.5;
        }
        value = pcm[i] + (long) (sum / 0.577 * rms);
        value = value > INT16_MAX ? INT16_MAX : value;
        pcm[i] = (int16_t) (value < INT16_MIN ? INT16_MIN : value);
    }
}
