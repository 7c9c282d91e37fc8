#include "tests/e2e/raw_call.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/dynamic_message.h>
#include <google/protobuf/message.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>

#include <memory>
#include <random>

#include "engine/base/check.h"
#include "lectern/v1/services.pb.h"
#include "services/common/grpc_status.h"

namespace lectern::e2e {
namespace {

namespace pb = google::protobuf;

void Fill(pb::Message* message, std::mt19937_64& random, int depth);

void FillField(pb::Message* message, const pb::FieldDescriptor* field, std::mt19937_64& random,
               int depth) {
  const pb::Reflection& reflect = *message->GetReflection();
  const bool repeated = field->is_repeated();
  const std::string text =
      random() % 2 == 0 ? "documents/0123456789abcdef" : std::string(random() % 40, 'a');
  switch (field->cpp_type()) {
    case pb::FieldDescriptor::CPPTYPE_MESSAGE:
      if (depth > 0 && !field->is_map()) {
        Fill(repeated ? reflect.AddMessage(message, field) : reflect.MutableMessage(message, field),
             random, depth - 1);
      }
      break;
    case pb::FieldDescriptor::CPPTYPE_STRING:
      repeated ? reflect.AddString(message, field, text) : reflect.SetString(message, field, text);
      break;
    case pb::FieldDescriptor::CPPTYPE_INT32:
      if (!repeated) reflect.SetInt32(message, field, static_cast<int32_t>(random()));
      break;
    case pb::FieldDescriptor::CPPTYPE_INT64:
      if (!repeated) reflect.SetInt64(message, field, static_cast<int64_t>(random()));
      break;
    case pb::FieldDescriptor::CPPTYPE_DOUBLE:
      if (!repeated) reflect.SetDouble(message, field, static_cast<double>(random()) / 3.0);
      break;
    case pb::FieldDescriptor::CPPTYPE_BOOL:
      if (!repeated) reflect.SetBool(message, field, random() % 2 == 0);
      break;
    default:
      break;
  }
}

void Fill(pb::Message* message, std::mt19937_64& random, int depth) {
  const pb::Descriptor* type = message->GetDescriptor();
  for (int i = 0; i < type->field_count(); ++i) FillField(message, type->field(i), random, depth);
}

}  // namespace

std::vector<ApiMethod> ApiMethods() {
  std::vector<ApiMethod> methods;
  const pb::FileDescriptor* file = v1::GetJobRequest::descriptor()->file();
  for (int i = 0; i < file->service_count(); ++i) {
    const pb::ServiceDescriptor* service = file->service(i);
    for (int j = 0; j < service->method_count(); ++j) {
      const pb::MethodDescriptor* method = service->method(j);
      methods.push_back(
          {"/" + service->full_name() + "/" + method->name(), method->input_type()->full_name()});
    }
  }
  return methods;
}

std::string FilledRequest(const std::string& type, uint64_t seed) {
  const pb::Descriptor* descriptor =
      pb::DescriptorPool::generated_pool()->FindMessageTypeByName(type);
  LECTERN_CHECK(descriptor != nullptr);
  const std::unique_ptr<pb::Message> message(
      pb::MessageFactory::generated_factory()->GetPrototype(descriptor)->New());
  std::mt19937_64 random(seed);
  Fill(message.get(), random, 3);
  return message->SerializePartialAsString();
}

absl::Status CallRaw(const std::string& address, const std::string& method,
                     const std::string& bytes, std::chrono::milliseconds limit) {
  static const std::shared_ptr<grpc::Channel> channel =
      grpc::CreateChannel(address, grpc::InsecureChannelCredentials());
  grpc::GenericStub stub(channel);
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + limit);
  grpc::CompletionQueue queue;
  const auto wait = [&queue] {
    void* tag = nullptr;
    bool ok = false;
    queue.Next(&tag, &ok);
    return ok;
  };
  const std::unique_ptr<grpc::GenericClientAsyncReaderWriter> call =
      stub.PrepareCall(&context, method, &queue);
  call->StartCall(nullptr);
  bool alive = wait();
  const grpc::Slice slice(bytes);
  const grpc::ByteBuffer request(&slice, 1);
  if (alive) {
    call->Write(request, nullptr);
    alive = wait();
  }
  if (alive) {
    call->WritesDone(nullptr);
    wait();
  }
  grpc::ByteBuffer reply;
  do {
    call->Read(&reply, nullptr);
  } while (wait());
  grpc::Status status;
  call->Finish(&status, nullptr);
  wait();
  queue.Shutdown();
  return common::FromGrpcStatus(status);
}

}  // namespace lectern::e2e
