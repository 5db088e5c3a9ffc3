//! Files that lie beside the repository: tests that want them are skipped where they are missing.

use std::path::PathBuf;

/// A file of the shared folder beside the repository.
pub fn shared(path: &str) -> Option<String> {
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared").join(path);
    let text = std::fs::read_to_string(&file).ok();
    if text.is_none() {
        eprintln!("skipped: {} is missing", file.display());
    }
    text
}
