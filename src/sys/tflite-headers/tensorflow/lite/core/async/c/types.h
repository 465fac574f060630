// Here because tflitec copies this file by name.
#include "tensorflow/lite/core/c/c_api_types.h"
