//! What `getVersion()` tells of a build: the commit, the time, the compiler. Both build scripts that compile `src/` use it.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

/// What is told, and which files say that it is out of date.
pub struct Facts {
    /// The commit, or `unknown`.
    pub git_hash: String,
    /// As ISO 8601.
    pub build_time: String,
    /// Of the compiler, or `unknown`.
    pub rust_version: String,
    /// Sources, and what of git changes with a commit. All of it is there: a path that is not would have everything built
    /// again and again.
    pub watched: Vec<PathBuf>,
}

/// Hands the facts to the compiler. Runs again when there is another commit or a source has changed, and not otherwise.
pub fn emit(root: &Path) {
    let variable = |name| std::env::var(name).ok();
    let facts = find(root, variable("SOURCE_DATE_EPOCH").as_deref(), variable("RUSTC").as_deref());
    println!("cargo:rustc-env=FASTTUNNEL_GIT_HASH={}", facts.git_hash);
    println!("cargo:rustc-env=FASTTUNNEL_BUILD_TIME={}", facts.build_time);
    println!("cargo:rustc-env=FASTTUNNEL_RUST_VERSION={}", facts.rust_version);
    println!("cargo:rerun-if-env-changed=SOURCE_DATE_EPOCH");
    for path in facts.watched {
        println!("cargo:rerun-if-changed={}", path.display());
    }
}

/// The facts of the checkout in `root`. `epoch` is `SOURCE_DATE_EPOCH`, which makes two builds alike.
pub fn find(root: &Path, epoch: Option<&str>, rustc: Option<&str>) -> Facts {
    // A repository that holds this folder by chance has another root.
    let top = git(root, &["rev-parse", "--show-toplevel"]).map(PathBuf::from);
    let is_ours = top.zip(root.canonicalize().ok()).is_some_and(|(top, root)| top == root);
    let ours = |args: &[&str]| if is_ours { git(root, args) } else { None };
    let sources = ["node-binding/src", "node-binding/build_facts.rs", "engine/src"].map(|path| Some(root.join(path)));
    // A commit is written into the first where there is one; a branch into the others, of its own or packed.
    let branch = ours(&["symbolic-ref", "--quiet", "HEAD"]);
    let names = [Some("logs/HEAD"), Some("HEAD"), branch.as_deref(), Some("packed-refs")];
    let states = names.map(|name| ours(&["rev-parse", "--git-path", name?]).map(|path| root.join(path)));
    Facts {
        git_hash: ours(&["rev-parse", "HEAD"]).unwrap_or_else(|| "unknown".to_owned()),
        build_time: iso(epoch.and_then(|text| text.trim().parse().ok()).unwrap_or_else(now)),
        rust_version: rustc.and_then(version_of).unwrap_or_else(|| "unknown".to_owned()),
        watched: sources.into_iter().chain(states).flatten().filter(|path| path.exists()).collect(),
    }
}

fn git(root: &Path, args: &[&str]) -> Option<String> {
    let output = Command::new("git").arg("-C").arg(root).args(args).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?.trim().to_owned();
    (output.status.success() && !text.is_empty()).then_some(text)
}

/// `1.95.0`, of `rustc 1.95.0 (59807616e 2026-04-14)`.
fn version_of(rustc: &str) -> Option<String> {
    let output = Command::new(rustc).arg("--version").output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    text.split(' ').nth(1).map(|version| version.trim().to_owned())
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
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
