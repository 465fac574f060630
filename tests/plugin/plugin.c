// An external delegate for the tests: it does what its option `mode` says.
//
//   nothing       takes no part of the graph
//   fail-create   makes no delegate, and says why
//   fail-silent   makes no delegate
//   fail-prepare  refuses the graph when it is applied
//   die           ends the process by SIGSEGV when it is applied
//   leave         ends the process with exit code 0 when it is applied
//   fail-kernel   takes the whole graph, and fails when its part is prepared
//   take          takes the whole graph: each output is filled with `value`
//   fail-invoke   the same, and every inference fails
//   hang          the same, and once the file `begin` is there no inference ends
//   nap           the same, and the first inference that finds the file `begin` lasts until the file `end` is there
//
// Declarations are those of TensorFlow Lite's c_api_opaque.h, operator.h and external_delegate_interface.h.
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct TfLiteOpaqueContext TfLiteOpaqueContext;
typedef struct TfLiteOpaqueDelegate TfLiteOpaqueDelegate;
typedef struct TfLiteOpaqueNode TfLiteOpaqueNode;
typedef struct TfLiteOpaqueTensor TfLiteOpaqueTensor;
typedef struct TfLiteOperator TfLiteOperator;
typedef struct { int size; int data[]; } TfLiteIntArray;
enum { kOk = 0, kError = 1, kDelegateError = 2, kBuiltinDelegate = 51, kAllowDynamicTensors = 1 };

typedef struct {
  void* data;
  int (*Prepare)(TfLiteOpaqueContext*, TfLiteOpaqueDelegate*, void*);
  int (*CopyFromBufferHandle)(void);
  int (*CopyToBufferHandle)(void);
  void (*FreeBufferHandle)(void);
  int64_t flags;
} TfLiteOpaqueDelegateBuilder;

TfLiteOpaqueDelegate* TfLiteOpaqueDelegateCreate(const TfLiteOpaqueDelegateBuilder*);
void TfLiteOpaqueDelegateDelete(TfLiteOpaqueDelegate*);
void* TfLiteOpaqueDelegateGetData(const TfLiteOpaqueDelegate*);
int TfLiteOpaqueContextGetExecutionPlan(TfLiteOpaqueContext*, TfLiteIntArray**);
int TfLiteOpaqueContextReplaceNodeSubsetsWithDelegateKernels(TfLiteOpaqueContext*, TfLiteOperator*,
                                                             const TfLiteIntArray*, TfLiteOpaqueDelegate*);
TfLiteOperator* TfLiteOperatorCreate(int builtin, const char* name, int version, void* user_data);
void TfLiteOperatorSetPrepare(TfLiteOperator*, int (*)(TfLiteOpaqueContext*, TfLiteOpaqueNode*));
void TfLiteOperatorSetInvoke(TfLiteOperator*, int (*)(TfLiteOpaqueContext*, TfLiteOpaqueNode*));
int TfLiteOpaqueNodeNumberOfOutputs(const TfLiteOpaqueNode*);
TfLiteOpaqueTensor* TfLiteOpaqueNodeGetOutput(TfLiteOpaqueContext*, const TfLiteOpaqueNode*, int);
void* TfLiteOpaqueTensorData(const TfLiteOpaqueTensor*);
size_t TfLiteOpaqueTensorByteSize(const TfLiteOpaqueTensor*);

// One delegate at a time is enough for a test.
static char mode[32];
static float value;
static char begin[4096], end[4096];
static int napped;

static int is(const char* name) { return strcmp(mode, name) == 0; }
static int there(const char* path) { return access(path, F_OK) == 0; }

static int kernel_prepare(TfLiteOpaqueContext* context, TfLiteOpaqueNode* node) {
  (void)context, (void)node;
  return is("fail-kernel") ? kDelegateError : kOk;
}

static int kernel_invoke(TfLiteOpaqueContext* context, TfLiteOpaqueNode* node) {
  if (is("fail-invoke")) return kError;
  if (is("hang") && there(begin))
    for (;;) pause();
  if (is("nap") && !napped && there(begin)) {
    napped = 1;
    while (!there(end)) usleep(10000);
  }
  for (int i = 0; i < TfLiteOpaqueNodeNumberOfOutputs(node); i++) {
    const TfLiteOpaqueTensor* out = TfLiteOpaqueNodeGetOutput(context, node, i);
    float* data = TfLiteOpaqueTensorData(out);
    for (size_t k = 0; k < TfLiteOpaqueTensorByteSize(out) / sizeof *data; k++) data[k] = value;
  }
  return kOk;
}

static int prepare(TfLiteOpaqueContext* context, TfLiteOpaqueDelegate* delegate, void* data) {
  (void)data;
  if (is("nothing")) return kOk;
  if (is("fail-prepare")) return kDelegateError;
  if (is("leave")) exit(0);
  if (is("die")) {
    // Rust's own handler leaves a fault that comes only once for the one to follow.
    signal(SIGSEGV, SIG_DFL);
    raise(SIGSEGV);
  }
  TfLiteIntArray* plan;
  if (TfLiteOpaqueContextGetExecutionPlan(context, &plan) != kOk) return kError;
  // The plan changes while it is replaced.
  size_t bytes = sizeof *plan + plan->size * sizeof *plan->data;
  TfLiteIntArray* nodes = malloc(bytes);
  memcpy(nodes, plan, bytes);
  TfLiteOperator* kernel = TfLiteOperatorCreate(kBuiltinDelegate, "TestPlugin", 1, NULL);
  TfLiteOperatorSetPrepare(kernel, kernel_prepare);
  TfLiteOperatorSetInvoke(kernel, kernel_invoke);
  int status = TfLiteOpaqueContextReplaceNodeSubsetsWithDelegateKernels(context, kernel, nodes, delegate);
  free(nodes);
  return status;
}

TfLiteOpaqueDelegate* tflite_plugin_create_delegate(const char* const* keys, const char* const* values, size_t count,
                                                    void (*report_error)(const char*)) {
  mode[0] = 0, value = 0, begin[0] = 0, end[0] = 0, napped = 0;
  for (size_t i = 0; i < count; i++) {
    if (strcmp(keys[i], "mode") == 0) {
      strncpy(mode, values[i], sizeof mode - 1);
    } else if (strcmp(keys[i], "value") == 0) {
      value = strtof(values[i], NULL);
    } else if (strcmp(keys[i], "begin") == 0) {
      strncpy(begin, values[i], sizeof begin - 1);
    } else if (strcmp(keys[i], "end") == 0) {
      strncpy(end, values[i], sizeof end - 1);
    } else {
      report_error("an option that it does not know");
      return NULL;
    }
  }
  if (is("fail-create")) {
    report_error("its device is not there");
    return NULL;
  }
  if (is("fail-silent")) return NULL;
  TfLiteOpaqueDelegateBuilder builder = {.Prepare = prepare, .flags = kAllowDynamicTensors};
  return TfLiteOpaqueDelegateCreate(&builder);
}

void tflite_plugin_destroy_delegate(TfLiteOpaqueDelegate* delegate) { TfLiteOpaqueDelegateDelete(delegate); }
