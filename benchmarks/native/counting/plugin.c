/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A plugin for qemu-aarch64 (user mode) that counts what a program executes between marks it sets itself:
 *
 *     prctl(MARKER_MAGIC, MARKER_START)      begin a region
 *     prctl(MARKER_MAGIC, MARKER_TICK, n)    note, under the number n, what the region has executed so far
 *     prctl(MARKER_MAGIC, MARKER_STOP)       end it
 *
 * On a real kernel that option is unknown, the call returns EINVAL, and nothing else happens.
 *
 * Arguments: out=FILE (required), hottest=N (blocks listed per region, 0 by default).
 * Needs plugin API 3 (qemu 9.1): per-processor inline counters, instruction words copied out.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "../markers.h"
#include "output.h"

#define PRCTL 167 /* the number of that system call on AArch64 Linux */
#define PLUGIN_API 3

QEMU_PLUGIN_EXPORT int qemu_plugin_version = PLUGIN_API;

static struct account account;
static char *output_path;

static void on_translation(qemu_plugin_id_t id, struct qemu_plugin_tb *tb)
{
    (void)id;
    unsigned length = (unsigned)qemu_plugin_tb_n_insns(tb);
    uint32_t *words = g_new0(uint32_t, length);
    for (unsigned n = 0; n < length; n++) {
        uint8_t *bytes = (uint8_t *)&words[n];
        qemu_plugin_insn_data(qemu_plugin_tb_get_insn(tb, n), bytes, sizeof *words);
        words[n] = (uint32_t)bytes[3] << 24 | bytes[2] << 16 | bytes[1] << 8 | bytes[0];
    }
    struct block *block = account_block(&account, qemu_plugin_tb_vaddr(tb), words, length);
    g_free(words);
    qemu_plugin_register_vcpu_tb_exec_inline_per_vcpu(tb, QEMU_PLUGIN_INLINE_ADD_U64, block->executions, 1);
}

static void on_system_call(qemu_plugin_id_t id, unsigned processor, int64_t number, uint64_t option,
                           uint64_t marker, uint64_t tick, uint64_t a4, uint64_t a5, uint64_t a6, uint64_t a7,
                           uint64_t a8)
{
    (void)id, (void)processor, (void)a4, (void)a5, (void)a6, (void)a7, (void)a8;
    if (number != PRCTL || option != MARKER_MAGIC) {
        return;
    }
    switch (marker) {
    case MARKER_START:
        account_begin(&account);
        break;
    case MARKER_TICK:
        account_tick(&account, tick);
        break;
    case MARKER_STOP:
        account_end(&account);
        break;
    }
}

static void on_exit_write(qemu_plugin_id_t id, void *unused)
{
    (void)id, (void)unused;
    FILE *stream = fopen(output_path, "w");
    if (!stream || !write_account(stream, &account)) {
        fprintf(stderr, "counting plugin: cannot write %s: %s\n", output_path, strerror(errno));
    }
    if (stream) {
        fclose(stream);
    }
}

QEMU_PLUGIN_EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t *info, int argc, char **argv)
{
    unsigned hottest = 0;
    if (strcmp(info->target_name, "aarch64") != 0 || info->system_emulation) {
        fprintf(stderr, "counting plugin: only for qemu-aarch64 in user mode\n");
        return -1;
    }
    for (int n = 0; n < argc; n++) {
        if (g_str_has_prefix(argv[n], "out=")) {
            output_path = g_strdup(argv[n] + strlen("out="));
        } else if (g_str_has_prefix(argv[n], "hottest=")) {
            char *end;
            hottest = (unsigned)strtoul(argv[n] + strlen("hottest="), &end, 10);
            if (*end) {
                fprintf(stderr, "counting plugin: %s: give a whole number\n", argv[n]);
                return -1;
            }
        } else {
            fprintf(stderr, "counting plugin: unknown argument %s\n", argv[n]);
            return -1;
        }
    }
    if (!output_path) {
        fprintf(stderr, "counting plugin: give out=FILE\n");
        return -1;
    }
    account_init(&account, hottest);
    qemu_plugin_register_vcpu_tb_trans_cb(id, on_translation);
    qemu_plugin_register_vcpu_syscall_cb(id, on_system_call);
    qemu_plugin_register_atexit_cb(id, on_exit_write, NULL);
    return 0;
}
