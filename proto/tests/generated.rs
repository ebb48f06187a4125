//! The committed code is what `agent.proto` gives.

#[path = "../codegen/generate.rs"]
mod generate;

const FILE: &str = "rocketmq.agent.v1.rs";

#[test]
fn committed_code_is_what_the_proto_file_gives() {
    let folder = tempfile::tempdir().unwrap();
    generate::into(folder.path()).unwrap();
    let fresh = std::fs::read_to_string(folder.path().join(FILE)).unwrap();
    let committed = std::fs::read_to_string(generate::committed().join(FILE)).unwrap();
    assert!(fresh == committed, "src/gen is stale: run `cargo run --example gen` and commit");
}
