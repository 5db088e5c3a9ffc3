//! Link settings for a Node-API addon, and the facts of the build.

use std::path::Path;

#[path = "build_facts.rs"]
mod build_facts;

fn main() {
    napi_build::setup();
    build_facts::emit(&Path::new(env!("CARGO_MANIFEST_DIR")).join(".."));
}
