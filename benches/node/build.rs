//! Link settings for a Node-API addon, the facts of the build, and the cfg that adds the benches to it.

use std::path::Path;

#[path = "../../node-binding/build_facts.rs"]
mod build_facts;

fn main() {
    napi_build::setup();
    build_facts::emit(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../.."));
    println!("cargo:rustc-cfg=fasttunnel_benches");
}
