//! Makes `proto/src/gen` anew from `agent.proto`, without `protoc`.

#[path = "../codegen/generate.rs"]
mod generate;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    generate::into(&generate::committed())
}
