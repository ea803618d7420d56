/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * How often the quality of any session changed, by the level it changed to:
 * voiced_quality_changes_total. Any thread. Owns the metrics.
 */

#ifndef VOICE_QUALITY_COUNTS_H
#define VOICE_QUALITY_COUNTS_H

#include "service/quality.h"

void quality_count_change(enum quality_level to);

#endif
