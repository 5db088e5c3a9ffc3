//! What the engine knows of event loops, as JSON.

use std::sync::Arc;

use fasttunnel_engine::link::access_log::LogTally;
use fasttunnel_engine::link::host::Host;

/// The event loops' objects, comma-separated: `Member` of `lib/stats/stats.ts`.
pub fn members_json(members: &[Arc<Host>]) -> String {
    let object = |host: &Arc<Host>| {
        let (member, calls, waiting, running) = (host.number(), host.calls(), host.unbegun(), host.running());
        format!("{{\"member\":{member},\"calls\":{calls},\"waiting\":{waiting},\"running\":{running}}}")
    };
    members.iter().map(object).collect::<Vec<_>>().join(",")
}

/// The member `log` of `Stats` in `lib/stats/stats.ts`, and a comma.
pub fn log_json(LogTally { written, dropped, failed }: LogTally) -> String {
    format!("\"log\":{{\"written\":{written},\"dropped\":{dropped},\"failed\":{failed}}},")
}
