//! What `getVersion()` tells of a build: the commit, the time, the compiler. Both build scripts that compile `src/` use it.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

/// Hands the facts to the compiler. Runs again when another commit is checked out or a source has changed, and not otherwise.
pub fn emit(root: &Path) {
    let commit = git(root, &["rev-parse", "HEAD"]);
    // A repository that holds this folder by chance has another root.
    let top = git(root, &["rev-parse", "--show-toplevel"]).map(PathBuf::from);
    let is_ours = top.zip(root.canonicalize().ok()).is_some_and(|(top, root)| top == root);
    let commit = commit.filter(|_| is_ours);
    println!("cargo:rustc-env=FASTTUNNEL_GIT_HASH={}", commit.as_deref().unwrap_or("unknown"));
    println!("cargo:rustc-env=FASTTUNNEL_BUILD_TIME={}", iso(build_seconds()));
    println!("cargo:rustc-env=FASTTUNNEL_RUST_VERSION={}", rust_version().unwrap_or_else(|| "unknown".to_owned()));
    println!("cargo:rerun-if-env-changed=SOURCE_DATE_EPOCH");
    for folder in ["node-binding/src", "node-binding/build_facts.rs", "engine/src"] {
        watch(&root.join(folder));
    }
    if is_ours {
        let branch = git(root, &["symbolic-ref", "--quiet", "HEAD"]);
        // A branch stands in a file of its own or, packed, with others.
        for name in [Some("HEAD"), branch.as_deref(), Some("packed-refs")].into_iter().flatten() {
            if let Some(file) = git(root, &["rev-parse", "--git-path", name]) {
                watch(&root.join(file));
            }
        }
    }
}

/// A path that is not there would have everything built again and again.
fn watch(path: &Path) {
    if path.exists() {
        println!("cargo:rerun-if-changed={}", path.display());
    }
}

fn git(root: &Path, args: &[&str]) -> Option<String> {
    let output = Command::new("git").arg("-C").arg(root).args(args).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?.trim().to_owned();
    (output.status.success() && !text.is_empty()).then_some(text)
}

/// `1.95.0`, of `rustc 1.95.0 (59807616e 2026-04-14)`.
fn rust_version() -> Option<String> {
    let output = Command::new(env::var_os("RUSTC")?).arg("--version").output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    text.split(' ').nth(1).map(|version| version.trim().to_owned())
}

/// Seconds since 1970: those of `SOURCE_DATE_EPOCH` make two builds alike.
fn build_seconds() -> u64 {
    let given = env::var("SOURCE_DATE_EPOCH").ok().and_then(|text| text.trim().parse().ok());
    given.unwrap_or_else(|| SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()))
}

/// `2026-11-30T11:22:33Z`.
fn iso(seconds: u64) -> String {
    let (days, left) = (seconds / 86_400, seconds % 86_400);
    // Years begin in March here, so that a leap day is the last: 719 468 days lie between 0000-03-01 and 1970-01-01.
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let (day, month) = (day - (153 * month + 2) / 5 + 1, if month < 10 { month + 3 } else { month - 9 });
    let year = era * 400 + year + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z", left / 3_600, left / 60 % 60, left % 60)
}
