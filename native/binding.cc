// What JavaScript sees of the kernel (model/saeKernel.ts): open(isa, threads) once, then trainings that live in native
// memory behind handles. Every argument is checked; a wrong one throws and changes nothing.
#include <node_api.h>
#include <cmath>
#include <exception>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>
#include <system_error>
#include <utility>
#include <vector>
#include "conversion.h"
#include "digest.h"
#include "half.h"
#include "hashing.h"
#include "pool.h"
#include "state.h"

// SAE_HAS_… is defined for each instruction set that step.cc was compiled for (setup/saeKernel.ts).
namespace sae {
Kernel kernelOf_portable();
Kernel kernelOf_avx2();
Kernel kernelOf_avx512();
Kernel kernelOf_avx512bf16();
}  // namespace sae

namespace {

using namespace sae;

// A training's handle; `training` is empty once released.
struct Handle {
  std::unique_ptr<State> training;
};

struct Opened {
  Kernel kernel;
  std::unique_ptr<Pool> pool;
};
Opened opened = {{nullptr, nullptr, nullptr, nullptr}, nullptr};

// An int counts the active pairs of a block of rows up to here, of whatever instruction set.
constexpr int mostFeatures = 1 << 23;
constexpr int mostRows = 1 << 24;

using Refused = std::invalid_argument;

// What an external points to: anybody's external can be passed where one of these is expected.
constexpr napi_type_tag trainingTag = {0x6f1c2f0e8b7d4a51, 0x9a35d2c47be80f16}, hashTag = {0x2d94be63f05a4c78, 0xb7e1098c54fa6d23};

// Makes an external of `owned`, which lives as long as it does.
template <class T>
napi_value externalOf(napi_env env, std::unique_ptr<T> owned, const napi_type_tag& tag) {
  napi_value external;
  if (napi_create_external(env, owned.get(), [](napi_env, void* data, void*) { delete static_cast<T*>(data); }, nullptr, &external) != napi_ok) throw Refused("no handle could be made");
  owned.release();
  if (napi_type_tag_object(env, external, &tag) != napi_ok) throw Refused("no handle could be marked");
  return external;
}

// What externalOf made of a T with this tag.
template <class T>
T& insideOf(napi_env env, napi_value value, const napi_type_tag& tag, const std::string& complaint) {
  napi_valuetype type;
  bool ours = false;
  void* data = nullptr;
  if (napi_typeof(env, value, &type) != napi_ok || type != napi_external || napi_check_object_type_tag(env, value, &tag, &ours) != napi_ok || !ours || napi_get_value_external(env, value, &data) != napi_ok) throw Refused(complaint);
  return *static_cast<T*>(data);
}

bool runsHere(const std::string& isa) {
#if defined(__x86_64__)
  __builtin_cpu_init();
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  const bool avx512 = avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
#if defined(SAE_HAS_avx2)
  if (isa == "avx2") return avx2;
#endif
#if defined(SAE_HAS_avx512)
  if (isa == "avx512") return avx512;
#endif
#if defined(SAE_HAS_avx512bf16)
  if (isa == "avx512bf16") return avx512 && __builtin_cpu_supports("avx512bf16");
#endif
#endif
  return isa == "portable";
}

Kernel kernelOf(const std::string& isa) {
#if defined(SAE_HAS_avx512bf16)
  if (isa == "avx512bf16") return kernelOf_avx512bf16();
#endif
#if defined(SAE_HAS_avx512)
  if (isa == "avx512") return kernelOf_avx512();
#endif
#if defined(SAE_HAS_avx2)
  if (isa == "avx2") return kernelOf_avx2();
#endif
  return kernelOf_portable();
}

// The arguments of a call.
class Arguments {
 public:
  Arguments(napi_env env, napi_callback_info info, size_t count) : env_(env), values_(count) {
    size_t given = count;
    napi_get_cb_info(env, info, &given, values_.data(), nullptr, nullptr);
    if (given < count) throw Refused(std::to_string(count) + " arguments expected, " + std::to_string(given) + " given");
  }

  double number(size_t index) {
    double value;
    if (napi_get_value_double(env_, values_[index], &value) != napi_ok) throw Refused(at(index) + "is not a number");
    return value;
  }
  int whole(size_t index, int least, int most) {
    const double value = number(index);
    if (!(value >= least && value <= most) || value != std::floor(value)) throw Refused(at(index) + "is not a whole number from " + std::to_string(least) + " to " + std::to_string(most));
    return int(value);
  }
  bool boolean(size_t index) {
    bool value;
    if (napi_get_value_bool(env_, values_[index], &value) != napi_ok) throw Refused(at(index) + "is not true or false");
    return value;
  }
  std::string text(size_t index) {
    char text[64];
    size_t length;
    if (napi_get_value_string_utf8(env_, values_[index], text, sizeof text, &length) != napi_ok) throw Refused(at(index) + "is not a string");
    return text;
  }
  Handle& handle(size_t index) { return insideOf<Handle>(env_, values_[index], trainingTag, at(index) + "is not a training"); }
  State& training(size_t index) {
    Handle& found = handle(index);
    if (!found.training) throw Refused("the training was released");
    return *found.training;
  }
  // A typed array of exactly `length` elements; of any whole number of rows of −length elements where it is negative. A
  // detached one has none.
  template <class T>
  T* array(size_t index, napi_typedarray_type wanted, long length, size_t* rows = nullptr) {
    napi_typedarray_type type;
    size_t count;
    void* data;
    if (napi_get_typedarray_info(env_, values_[index], &type, &count, &data, nullptr, nullptr) != napi_ok || type != wanted) throw Refused(at(index) + "is not a typed array of the right kind");
    if (length >= 0 && count != size_t(length)) throw Refused(at(index) + "has " + std::to_string(count) + " elements, not " + std::to_string(length));
    if (length < 0) {
      if (count == 0 || count % size_t(-length) != 0) throw Refused(at(index) + "has " + std::to_string(count) + " elements, not a multiple of " + std::to_string(-length));
      *rows = count / size_t(-length);
      if (*rows > size_t(mostRows)) throw Refused(at(index) + "has " + std::to_string(*rows) + " vectors, more than " + std::to_string(mostRows));
    }
    return static_cast<T*>(data);
  }
  // A typed array of any length.
  template <class T>
  T* any(size_t index, napi_typedarray_type wanted, size_t* count) {
    return anyOf<T>(values_[index], at(index), wanted, count);
  }
  // A list of arrays of half-precision numbers, each with its length.
  Blocks halfArrays(size_t index) {
    uint32_t length = 0;
    if (napi_get_array_length(env_, values_[index], &length) != napi_ok) throw Refused(at(index) + "is not a list");
    Blocks arrays(length);
    for (uint32_t element = 0; element < length; element++) {
      napi_value value;
      if (napi_get_element(env_, values_[index], element, &value) != napi_ok) throw Refused(at(index) + "has no element " + std::to_string(element));
      arrays[element].first = anyOf<uint16_t>(value, at(index), napi_uint16_array, &arrays[element].second);
    }
    return arrays;
  }
  // A list of arrays of bytes, each with its length; they are added to `values`.
  Hashing::Pieces byteArrays(size_t index, std::vector<napi_value>& values) {
    uint32_t length = 0;
    if (napi_get_array_length(env_, values_[index], &length) != napi_ok) throw Refused(at(index) + "is not a list");
    Hashing::Pieces arrays(length);
    for (uint32_t element = 0; element < length; element++) {
      napi_value value;
      if (napi_get_element(env_, values_[index], element, &value) != napi_ok) throw Refused(at(index) + "has no element " + std::to_string(element));
      arrays[element].first = anyOf<uint8_t>(value, at(index), napi_uint8_array, &arrays[element].second);
      values.push_back(value);
    }
    return arrays;
  }
  napi_value value(size_t index) const { return values_[index]; }
  float* floats(size_t index, long length, size_t* rows = nullptr) { return array<float>(index, napi_float32_array, length, rows); }

 private:
  template <class T>
  T* anyOf(napi_value value, const std::string& what, napi_typedarray_type wanted, size_t* count) {
    napi_typedarray_type type;
    void* data;
    if (napi_get_typedarray_info(env_, value, &type, count, &data, nullptr, nullptr) != napi_ok || type != wanted) throw Refused(what + "is not a typed array of the right kind");
    return static_cast<T*>(data);
  }
  static std::string at(size_t index) { return "argument " + std::to_string(index + 1) + " "; }
  napi_env env_;
  std::vector<napi_value> values_;
};

// Runs `body`; what it throws becomes a JavaScript error.
template <class Body>
napi_value guarded(napi_env env, const Body& body) {
  try {
    return body();
  } catch (const Refused& refused) {
    napi_throw_type_error(env, nullptr, refused.what());
  } catch (const std::bad_alloc&) {
    napi_throw_error(env, nullptr, "there is not enough memory for the SAE kernel");
  } catch (const std::exception& error) {
    napi_throw_error(env, nullptr, error.what());
  }
  return nullptr;
}

std::unique_ptr<Pool> poolOf(int threads) {
  try {
    return std::make_unique<Pool>(threads);
  } catch (const std::system_error& error) {
    throw Refused(std::to_string(threads) + " threads could not be started: " + error.what());
  }
}

// Of the kernel in use. Throws where there is none yet.
Opened& inUse() {
  if (opened.pool == nullptr) throw Refused("open comes first");
  return opened;
}

// open(isa, threads): isa '' takes the best one the processor has. Returns its name.
napi_value open(napi_env env, napi_callback_info info) {
  return guarded(env, [&] {
    Arguments given(env, info, 2);
    std::string isa = given.text(0);
    const int threads = given.whole(1, 1, 1 << 12);
    for (const char* best : {"avx512bf16", "avx512", "avx2", "portable"})
      if (isa.empty() && runsHere(best)) isa = best;
    if (!runsHere(isa)) throw Refused("instruction set " + isa + " is not on this processor, or the compiler did not know it");
    if (opened.pool == nullptr || opened.pool->threads() != threads) opened.pool = poolOf(threads);
    opened.kernel = kernelOf(isa);
    napi_value name;
    napi_create_string_utf8(env, isa.c_str(), isa.size(), &name);
    return name;
  });
}

napi_value create(napi_env env, napi_callback_info info) {
  return guarded(env, [&] {
    Arguments given(env, info, 2);
    auto handle = std::make_unique<Handle>();
    handle->training = std::make_unique<State>(given.whole(0, 1, mostFeatures), given.whole(1, 1, mostFeatures));
    return externalOf(env, std::move(handle), trainingTag);
  });
}

napi_value release(napi_env env, napi_callback_info info) {
  return guarded(env, [&]() -> napi_value {
    Arguments(env, info, 1).handle(0).training.reset();
    return nullptr;
  });
}

// Between JavaScript's arrays (W_enc [d, F], b_enc [F], W_dec [F, d], b_dec [d]) and the feature-major ones in here.
template <class Move>
napi_value transfer(napi_env env, napi_callback_info info, const Move& move) {
  return guarded(env, [&]() -> napi_value {
    Arguments given(env, info, 6);
    State& state = given.training(0);
    const int which = given.whole(1, 0, 2), d = state.d, features = state.features;
    Parameters& inside = which == 0 ? state.weights : which == 1 ? state.m : state.v;
    float* encoder = given.floats(2, long(d) * features);
    float* encoderBias = given.floats(3, features);
    float* decoder = given.floats(4, long(d) * features);
    float* decoderBias = given.floats(5, d);
    for (int feature = 0; feature < features; feature++)
      for (int c = 0; c < d; c++) {
        move(inside.encoder.data()[size_t(feature) * state.stride + c], encoder[size_t(c) * features + feature]);
        move(inside.decoder.data()[size_t(feature) * state.stride + c], decoder[size_t(feature) * d + c]);
      }
    for (int feature = 0; feature < features; feature++) move(inside.encoderBias.data()[feature], encoderBias[feature]);
    for (int c = 0; c < d; c++) move(inside.decoderBias.data()[c], decoderBias[c]);
    return nullptr;
  });
}

napi_value load(napi_env env, napi_callback_info info) {
  return transfer(env, info, [](float& inside, float& outside) { inside = outside; });
}

napi_value save(napi_env env, napi_callback_info info) {
  return transfer(env, info, [](float& inside, float& outside) { outside = inside; });
}

napi_value step(napi_env env, napi_callback_info info) {
  return guarded(env, [&]() -> napi_value {
    Arguments given(env, info, 6);
    State& state = given.training(0);
    size_t rows;
    const float* x = given.floats(1, -long(state.d), &rows);
    const bool sparse = given.boolean(2);
    const double* s = given.array<double>(3, napi_float64_array, 7);
    uint32_t* fired = given.array<uint32_t>(4, napi_uint32_array, state.features);
    double* out = given.array<double>(5, napi_float64_array, 5);
    const StepResult result = inUse().kernel.step(state, *inUse().pool, x, int(rows), sparse, {s[0], s[1], s[2], s[3], s[4], s[5], s[6]}, fired);
    out[0] = result.loss;
    out[1] = result.meanSquare;
    out[2] = result.l1;
    out[3] = result.pairs;
    out[4] = result.nonFinite;
    return nullptr;
  });
}

napi_value losses(napi_env env, napi_callback_info info) {
  return guarded(env, [&]() -> napi_value {
    Arguments given(env, info, 5);
    State& state = given.training(0);
    size_t rows;
    const float* x = given.floats(1, -long(state.d), &rows);
    inUse().kernel.losses(state, *inUse().pool, x, int(rows), given.number(2), given.number(3), given.floats(4, long(rows)));
    return nullptr;
  });
}

// tokenLosses(final, embedding, targets, d, out): model/lossKernel.ts.
napi_value tokenLosses(napi_env env, napi_callback_info info) {
  return guarded(env, [&]() -> napi_value {
    Arguments given(env, info, 5);
    const int d = given.whole(3, 1, mostFeatures);
    size_t rows, columns;
    const float* final = given.floats(0, -long(d), &rows);
    const float* embedding = given.floats(1, -long(d), &columns);
    const int32_t* targets = given.array<int32_t>(2, napi_int32_array, long(rows));
    float* out = given.floats(4, long(rows));
    for (size_t row = 0; row < rows; row++)
      if (targets[row] < 0 || size_t(targets[row]) >= columns) throw Refused("target " + std::to_string(targets[row]) + " is no row of the embedding, which has " + std::to_string(columns));
    inUse().kernel.tokenLosses(*inUse().pool, final, embedding, targets, int(rows), int(columns), d, out);
    return nullptr;
  });
}

napi_value halfConversion(napi_env env, napi_callback_info) {
  napi_value answer;
  napi_get_boolean(env, convertsHalf(), &answer);
  return answer;
}

// widen(blocks, rows, d, scale, target): data/halfKernel.ts.
napi_value widen(napi_env env, napi_callback_info info) {
  return guarded(env, [&]() -> napi_value {
    if (!convertsHalf()) throw Refused("this processor does not convert half precision");
    Arguments given(env, info, 5);
    const Blocks blocks = given.halfArrays(0);
    const size_t d = size_t(given.whole(2, 1, mostFeatures));
    size_t rows;
    float* target = given.floats(4, -long(d), &rows);
    const uint32_t* places = given.array<uint32_t>(1, napi_uint32_array, long(2 * rows));
    widenPlaces(*inUse().pool, blocks, places, rows, d, given.number(3), target);
    return nullptr;
  });
}

// narrow(source, d, places, target): data/halfKernel.ts.
napi_value narrowing(napi_env env, napi_callback_info info) {
  return guarded(env, [&] {
    if (!convertsHalf()) throw Refused("this processor does not convert half precision");
    Arguments given(env, info, 4);
    const size_t d = size_t(given.whole(1, 1, mostFeatures));
    size_t rows, room;
    const uint32_t* places = given.any<uint32_t>(2, napi_uint32_array, &rows);
    const float* source = given.floats(0, long(rows * d));
    uint16_t* target = given.any<uint16_t>(3, napi_uint16_array, &room);
    napi_value answer;
    napi_create_uint32(env, narrowToPlaces(*inUse().pool, source, rows, d, places, target, room / d), &answer);
    return answer;
  });
}

// alignedAt(bytes, alignment): data/directFile.ts.
napi_value alignedAt(napi_env env, napi_callback_info info) {
  return guarded(env, [&] {
    Arguments given(env, info, 2);
    size_t count;
    const uint8_t* bytes = given.any<uint8_t>(0, napi_uint8_array, &count);
    const uintptr_t alignment = uintptr_t(given.whole(1, 1, 1 << 20));
    napi_value answer;
    napi_create_uint32(env, uint32_t((alignment - reinterpret_cast<uintptr_t>(bytes) % alignment) % alignment), &answer);
    return answer;
  });
}

napi_value digestsHere(napi_env env, napi_callback_info) {
  napi_value answer;
  napi_get_boolean(env, digests(), &answer);
  return answer;
}

// crc32(bytes): data/digestKernel.ts.
napi_value checksum(napi_env env, napi_callback_info info) {
  return guarded(env, [&] {
    if (!digests()) throw Refused("this processor has no instructions for digests");
    size_t count;
    const uint8_t* bytes = Arguments(env, info, 1).any<uint8_t>(0, napi_uint8_array, &count);
    napi_value answer;
    napi_create_uint32(env, crc32(bytes, count), &answer);
    return answer;
  });
}

// A job on a thread of Node's pool; the references keep JavaScript from freeing the pieces.
struct HashWork {
  Hashing::Job job;
  std::vector<napi_ref> references = {};
  napi_async_work work = nullptr;
  napi_deferred promise = nullptr;
};

std::shared_ptr<Hashing>& hashingAt(napi_env env, napi_value value) { return insideOf<std::shared_ptr<Hashing>>(env, value, hashTag, "argument 1 is not a hash"); }

napi_value createHash(napi_env env, napi_callback_info) {
  return guarded(env, [&] {
    if (!digests()) throw Refused("this processor has no instructions for digests");
    return externalOf(env, std::make_unique<std::shared_ptr<Hashing>>(std::make_shared<Hashing>()), hashTag);
  });
}

void endWork(napi_env env, napi_status, void* data) {
  std::unique_ptr<HashWork> ended(static_cast<HashWork*>(data));
  for (napi_ref reference : ended->references) napi_delete_reference(env, reference);
  napi_delete_async_work(env, ended->work);
  const napi_deferred promise = ended->promise;
  ended.reset();
  napi_value nothing;
  napi_get_undefined(env, &nothing);
  napi_resolve_deferred(env, promise, nothing);
}

// hash(hash, pieces): a promise, kept when all pieces went in.
napi_value hash(napi_env env, napi_callback_info info) {
  return guarded(env, [&] {
    Arguments given(env, info, 2);
    std::shared_ptr<Hashing> hashing = hashingAt(env, given.value(0));
    std::vector<napi_value> kept;
    Hashing::Pieces pieces = given.byteArrays(1, kept);
    std::unique_ptr<HashWork> work(new HashWork{{std::move(hashing), std::move(pieces)}});
    napi_value name, promise;
    napi_create_string_utf8(env, "sha256", NAPI_AUTO_LENGTH, &name);
    const auto run = [](napi_env, void* data) { static_cast<HashWork*>(data)->job.run(); };
    if (napi_create_promise(env, &work->promise, &promise) != napi_ok) throw Refused("no promise could be made");
    if (napi_create_async_work(env, nullptr, name, run, endWork, work.get(), &work->work) != napi_ok) throw Refused("no work could be made");
    for (napi_value value : kept) napi_create_reference(env, value, 1, &work->references.emplace_back());
    napi_queue_async_work(env, work->work);
    work.release();
    return promise;
  });
}

// digest(hash, target): the 32 bytes.
napi_value finishHash(napi_env env, napi_callback_info info) {
  return guarded(env, [&]() -> napi_value {
    Arguments given(env, info, 2);
    Hashing& hashing = *hashingAt(env, given.value(0));
    hashing.finish(given.array<uint8_t>(1, napi_uint8_array, 32));
    return nullptr;
  });
}

napi_value initialise(napi_env env, napi_value exports) {
  const struct {
    const char* name;
    napi_callback function;
  } all[] = {{"open", open}, {"create", create}, {"release", release}, {"load", load}, {"save", save}, {"step", step}, {"losses", losses}, {"tokenLosses", tokenLosses}, {"convertsHalf", halfConversion}, {"widen", widen}, {"narrow", narrowing}, {"alignedAt", alignedAt}, {"digests", digestsHere}, {"crc32", checksum}, {"createHash", createHash}, {"hash", hash}, {"digest", finishHash}};
  for (const auto& each : all) {
    napi_value function;
    napi_create_function(env, each.name, NAPI_AUTO_LENGTH, each.function, nullptr, &function);
    napi_set_named_property(env, exports, each.name, function);
  }
  return exports;
}

}  // namespace

NAPI_MODULE(sae_kernel, initialise)
