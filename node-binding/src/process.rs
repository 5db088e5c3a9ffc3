//! What the addon tells of the process, and of itself.
// `--all-targets` compiles the library for tests as well, where nothing registers exports.

use fasttunnel_engine::facts;
use fasttunnel_engine::link::clock;
use fasttunnel_engine::placement::available_cores as cores_of_process;
use napi_derive::napi;

/// Milliseconds of processor time that the calling thread has used.
#[cfg_attr(test, allow(dead_code))]
#[napi]
pub fn thread_cpu_ms() -> f64 {
    clock::thread_cpu_ns() as f64 / 1e6
}

/// Cores that the process may use: by its affinity, and by the quotas of its control groups.
#[cfg_attr(test, allow(dead_code))]
#[napi]
pub fn available_cores() -> u32 {
    cores_of_process() as u32
}

/// The hash of all that TypeScript states as well, for it to compare: the addon and the script must be of one build.
#[cfg_attr(test, allow(dead_code))]
#[napi]
pub fn facts_hash() -> String {
    facts::hash()
}
