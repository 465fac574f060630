/* Counts how often qemu-user executes each block of a program, and writes that with the block's instructions:
 * one line a block, "address executions hexadecimal-bytes", into the file that the argument out= names.
 *
 * The plugin interface's declarations are our own, since Debian packages no header: version 1, which qemu 6 to 8
 * have.
 */
#include <inttypes.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef uint64_t qemu_plugin_id_t;
struct qemu_plugin_tb;
struct qemu_plugin_insn;
enum qemu_plugin_op { QEMU_PLUGIN_INLINE_ADD_U64 };
typedef struct {
    const char *target_name;
    struct { int min, cur; } version;
    int system_emulation;
    union { struct { int smp_vcpus, max_vcpus; } system; };
} qemu_info_t;

extern void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t, void (*)(qemu_plugin_id_t, struct qemu_plugin_tb *));
extern void qemu_plugin_register_vcpu_tb_exec_inline(struct qemu_plugin_tb *, enum qemu_plugin_op, void *, uint64_t);
extern void qemu_plugin_register_atexit_cb(qemu_plugin_id_t, void (*)(qemu_plugin_id_t, void *), void *);
extern uint64_t qemu_plugin_tb_vaddr(const struct qemu_plugin_tb *);
extern size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *);
extern struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *, size_t);
extern const void *qemu_plugin_insn_data(const struct qemu_plugin_insn *);
extern size_t qemu_plugin_insn_size(const struct qemu_plugin_insn *);

int qemu_plugin_version = 1;

struct block {
    struct block *next;
    uint64_t address, executions;
    size_t bytes;
    unsigned char code[];
};

static struct block *blocks;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char *path;

static void translated(qemu_plugin_id_t id, struct qemu_plugin_tb *tb) {
    (void)id;
    size_t count = qemu_plugin_tb_n_insns(tb);
    struct block *block = calloc(1, sizeof *block + 4 * count);
    if (block == NULL)
        abort();
    block->address = qemu_plugin_tb_vaddr(tb);
    for (size_t index = 0; index < count; index++) {
        struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, index);
        size_t size = qemu_plugin_insn_size(insn);
        if (size != 4)
            abort();
        memcpy(block->code + block->bytes, qemu_plugin_insn_data(insn), size);
        block->bytes += size;
    }
    qemu_plugin_register_vcpu_tb_exec_inline(tb, QEMU_PLUGIN_INLINE_ADD_U64, &block->executions, 1);
    pthread_mutex_lock(&lock);
    block->next = blocks;
    blocks = block;
    pthread_mutex_unlock(&lock);
}

static void ended(qemu_plugin_id_t id, void *unused) {
    (void)id;
    (void)unused;
    FILE *out = fopen(path, "w");
    if (out == NULL)
        abort();
    for (struct block *block = blocks; block != NULL; block = block->next) {
        fprintf(out, "%" PRIx64 " %" PRIu64 " ", block->address, block->executions);
        for (size_t index = 0; index < block->bytes; index++)
            fprintf(out, "%02x", block->code[index]);
        fputc('\n', out);
    }
    if (fclose(out) != 0)
        abort();
}

int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t *info, int argc, char **argv) {
    (void)info;
    if (argc != 1 || strncmp(argv[0], "out=", 4) != 0) {
        fputs("count: out=FILE is missing\n", stderr);
        return 1;
    }
    path = strdup(argv[0] + 4);
    qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
    qemu_plugin_register_atexit_cb(id, ended, NULL);
    return 0;
}
