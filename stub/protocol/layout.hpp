// Every structure that lies in shared memory, byte for byte as the releases of the Python backend have it
// (protocol.md §3 to §5), x86_64 and aarch64 with glibc.
//
// Plain data only. Upstream derives its blocking messages from a common base and lets the derived fields
// start in the base's tail padding; here each is written flat, so that offsets can be read off (describe.cpp
// does; tests/protocol/test_layout.py has them from the protocol's tables). Where a structure changed between
// releases both forms stand here, and releases.hpp says which one is in force.
#pragma once

#include <pthread.h>
#include <semaphore.h>

#include <cstddef>
#include <cstdint>

namespace wb {

// Distance in bytes from the start of the region; 0 means "none". Names the ownership header of an object,
// whose payload starts kOwnershipHeader bytes later.
using Handle = std::int64_t;

namespace wire {

inline constexpr std::size_t kOwnershipHeader = 16;

struct Ownership {
  std::uint32_t count;
  std::uint32_t padding[3];
};

struct Queue {
  sem_t empty;  // free slots
  sem_t full;   // used slots
  pthread_mutex_t mutex;
  std::size_t size;
  Handle buffer;
  std::int32_t head;  // next slot to write
  std::int32_t tail;  // next slot to read
};

struct Control {
  bool stub_health;
  bool parent_health;  // unused by everybody
  bool uses_env;
  bool decoupled;
  bool has_user_readiness;              // padding before 26.03
  pthread_mutex_t parent_health_mutex;  // never initialised by upstream
  pthread_mutex_t stub_health_mutex;
  Handle stub_mq;
  Handle parent_mq;
  Handle stub_to_parent_mq;
  Handle parent_to_stub_mq;
  Handle memory_manager_mq;
};

struct Message {
  std::int32_t command;
  Handle args;
  bool inline_response;
  Handle response_handle;
  Handle response_mutex;
  Handle response_cond;
};

struct String {
  Handle data;
  std::size_t length;
};

struct Map {
  std::uint32_t length;
  Handle values;
};

struct Pair {
  Handle key;
  Handle value;
};

// Followed by dims, an embedded String (only `length` valid) with the name, and Memory if `memory` is 0.
struct Tensor {
  Handle memory;
  std::int32_t dtype;
  std::size_t dims_count;
};

// Followed by the data (CPU) or a 64-byte CUDA IPC handle (GPU).
struct Memory {
  std::uint64_t gpu_pointer_offset;
  bool use_cuda_shared_pool;
  std::uint64_t cuda_pool_offset;
  std::int32_t memory_type;
  std::int64_t memory_type_id;
  std::uint64_t byte_size;
  std::uint64_t memory_release_id;
};

struct Error {
  std::int32_t code;
  Handle message;
};

struct CorrelationId {
  Handle text;
  std::uint64_t number;
  std::int32_t type;  // 0 number, 1 string
};

struct Trace {
  Handle context;
  std::uint64_t trace;  // the parent's pointer, opaque to the stub
};

// Followed by requested_output_count handles of names, then input_count handles of tensors.
struct Request {
  std::uint32_t input_count;
  std::uint32_t requested_output_count;
  std::int64_t model_version;
  std::uint32_t flags;
  std::int64_t address;
  std::int64_t response_factory_address;
  bool is_decoupled;  // uninitialised in practice
  std::uint64_t timeout;
  std::int32_t preferred_memory_type;
  std::int64_t preferred_device_id;
  Handle trace;
  std::uint32_t release_flags;
  Handle correlation_id;
  Handle model_name;
  Handle request_id;
  Handle parameters;
};

// 24.04 to 25.01. Followed by outputs_size handles of tensors unless has_error.
struct ResponseWithoutParameters {
  std::uint32_t outputs_size;
  Handle error;
  bool has_error;
  bool is_error_set;
  std::uint64_t id;
  bool is_last_response;
};

// From 25.02 on.
struct Response {
  std::uint32_t outputs_size;
  Handle parameters;
  Handle error;
  bool has_error;
  bool is_error_set;
  std::uint64_t id;
  bool is_last_response;
};

// Followed by batch_size handles of requests.
struct RequestBatch {
  std::uint32_t batch_size;
  Handle gpu_buffers;
};

// Followed by response handles, at offset Release::response_batch_size (112 up to 24.09, 120 later).
struct ResponseBatch {
  pthread_mutex_t mu;  // never constructed
  pthread_cond_t cv;   // never constructed
  bool waiting_on_stub;
  std::uint32_t batch_size;
  Handle error;
  bool has_error;
  bool cleanup;
  bool is_error_set;
  std::uint32_t response_size;
  bool is_response_factory_deleted;  // behind the end before 24.10
};

struct GpuBuffers {
  bool success;
  Handle error;
  Handle buffers;
  std::uint32_t buffer_count;
};

struct InitializeResponse {
  bool has_error;
  bool is_error_set;
  Handle error;
};

struct AutoCompleteResponse {
  bool has_error;
  bool is_error_set;
  Handle error;
  bool has_model_config;
  Handle model_config;
};

// Head of every blocking message: mutex, condition, and the flag that says whose turn it is.
struct Turn {
  pthread_mutex_t mu;
  pthread_cond_t cv;
  bool waiting_on_stub;
};

struct Log {
  pthread_mutex_t mu;
  pthread_cond_t cv;
  bool waiting_on_stub;
  Handle file;
  std::int32_t line;
  Handle message;
  std::int32_t level;
};

struct Cleanup {
  pthread_mutex_t mu;
  pthread_cond_t cv;
  bool waiting_on_stub;
  std::uint64_t id;
};
inline constexpr std::size_t kCleanupAllocated = 112;

struct IsCancelled {
  pthread_mutex_t mu;
  pthread_cond_t cv;
  bool waiting_on_stub;
  std::int64_t response_factory_address;
  std::int64_t request_address;
  bool is_cancelled;
};

struct CancelBls {
  pthread_mutex_t mu;
  pthread_cond_t cv;
  bool waiting_on_stub;
  std::uint64_t infer_payload_id;
  bool is_cancelled;
};

struct MetricMessage {
  pthread_mutex_t mu;
  pthread_cond_t cv;
  bool waiting_on_stub;
  Handle message;
  bool has_error;
  bool is_error_set;
  Handle error;
  double value;
  std::uint64_t address;
};

struct ModelLoaderMessage {
  pthread_mutex_t mu;
  pthread_cond_t cv;
  bool waiting_on_stub;
  Handle message;
  bool has_error;
  bool is_error_set;
  Handle error;
  bool is_model_ready;
};

struct ResponseSend {
  pthread_mutex_t mu;
  pthread_cond_t cv;
  bool is_stub_turn;
  bool has_error;
  bool is_error_set;
  Handle error;
  std::int64_t request_address;
  std::int64_t response_factory_address;
  Handle response;
  Handle gpu_buffers;
  std::uint32_t flags;
};

struct MetricFamily {
  Handle name;
  Handle description;
  std::int32_t kind;
  std::uint64_t address;
};

// 24.04 to 24.07.
struct MetricWithoutBuckets {
  Handle labels;
  double operation_value;
  std::uint64_t address;
  std::uint64_t family_address;
};

// From 24.08 on.
struct Metric {
  Handle labels;
  Handle buckets;
  double operation_value;
  std::uint64_t address;
  std::uint64_t family_address;
};

struct ModelLoader {
  Handle name;
  Handle version;
  bool unload_dependents;
  Handle config;
  Handle files;
};

struct CudaPool {
  pthread_mutex_t mu;
  pthread_cond_t cv;
  bool waiting_on_stub;
  char cuda_handle[64];  // at 89: alignment 1
  std::int32_t device_id;
  Handle error;
  bool has_error;
  bool is_error_set;
};

// From 26.03 on.
struct UserReadiness {
  pthread_mutex_t mu;
  pthread_cond_t cv;
  bool waiting_on_stub;
  bool is_ready;
  bool function_exists;
  bool has_error;
  bool is_error_set;
  Handle error;
};

}  // namespace wire
}  // namespace wb
