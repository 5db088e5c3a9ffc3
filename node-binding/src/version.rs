//! What this build is. `build_facts.rs` finds it out when it is built.

use napi_derive::napi;

/// What this build is.
#[napi(object, object_from_js = false)]
pub struct NativeVersion {
    /// Version of the package.
    pub version: &'static str,
    /// The commit; `unknown` where there was no git.
    pub git_hash: &'static str,
    /// When it was built, as ISO 8601; by `SOURCE_DATE_EPOCH` if that was set.
    pub build_time: &'static str,
    /// The compiler.
    pub rust_version: &'static str,
}

/// What this build is.
#[cfg_attr(test, allow(dead_code))]
#[napi]
pub fn native_version() -> NativeVersion {
    NativeVersion {
        version: env!("CARGO_PKG_VERSION"),
        git_hash: env!("FASTTUNNEL_GIT_HASH"),
        build_time: env!("FASTTUNNEL_BUILD_TIME"),
        rust_version: env!("FASTTUNNEL_RUST_VERSION"),
    }
}
