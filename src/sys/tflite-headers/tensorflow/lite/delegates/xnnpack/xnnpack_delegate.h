// The XNNPACK delegate. The library does not apply it by itself.
#ifndef PINSIGHT_TFLITE_XNNPACK_DELEGATE_H_
#define PINSIGHT_TFLITE_XNNPACK_DELEGATE_H_

#include "tensorflow/lite/core/c/common.h"

#ifdef __cplusplus
extern "C" {
#endif

// 32 bytes in 2.17.1, more in later versions: the library fills and reads only what it knows, so
// room for growth is harmless. The tail is a union, which Rust lets stay unwritten.
typedef struct TfLiteXNNPackDelegateOptions {
  int32_t num_threads;
  uint32_t flags;
  union {
    uint64_t word;
    uint8_t bytes[248];
  } rest;
} TfLiteXNNPackDelegateOptions;

TfLiteXNNPackDelegateOptions TfLiteXNNPackDelegateOptionsDefault(void);
TfLiteDelegate* TfLiteXNNPackDelegateCreate(const TfLiteXNNPackDelegateOptions* options);
void TfLiteXNNPackDelegateDelete(TfLiteDelegate* delegate);

#ifdef __cplusplus
}
#endif

#endif
