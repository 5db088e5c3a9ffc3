//! Link settings for a Node-API addon, and the cfg that adds the benches to it.

fn main() {
    napi_build::setup();
    println!("cargo:rustc-cfg=fasttunnel_benches");
}
