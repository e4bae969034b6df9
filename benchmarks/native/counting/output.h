/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef MOCOVIT_OUTPUT_H
#define MOCOVIT_OUTPUT_H

#include <stdio.h>

#include "account.h"

/* Write the account as JSON (schema 1, read by benchmarks/reports/counts.py); false when the stream failed. */
bool write_account(FILE *stream, const struct account *account);

#endif
