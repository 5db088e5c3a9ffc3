//! What a build says of itself, in checkouts of every kind.
#![allow(clippy::unwrap_used, dead_code)]

#[path = "../build_facts.rs"]
mod build_facts;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use build_facts::find;

fn git(folder: &Path, args: &[&str]) -> String {
    let identity = ["-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "init.defaultBranch=main"];
    let output = Command::new("git").current_dir(folder).args(identity).args(args).output().unwrap();
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// A folder with sources, and nothing of git yet.
struct Checkout(PathBuf);

impl Checkout {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("fasttunnel-facts-{}-{name}", std::process::id()));
        fs::create_dir_all(path.join("node-binding/src")).unwrap();
        fs::create_dir_all(path.join("engine/src")).unwrap();
        Checkout(path)
    }
}

impl Drop for Checkout {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn the_time_is_that_of_the_epoch_which_the_build_is_given() {
    let checkout = Checkout::new("time");
    for (epoch, time) in [
        ("0", "1970-01-01T00:00:00Z"),
        ("951782399", "2000-02-28T23:59:59Z"),
        ("951782400", "2000-02-29T00:00:00Z"),
        ("1709251199", "2024-02-29T23:59:59Z"),
        ("1709251200", "2024-03-01T00:00:00Z"),
        ("1796038102\n", "2026-11-30T11:28:22Z"),
        ("4107542400", "2100-03-01T00:00:00Z"),
    ] {
        assert_eq!(find(&checkout.0, Some(epoch), None).build_time, time, "{epoch}");
    }
    let now = find(&checkout.0, None, None).build_time;
    assert!(now.as_str() > "2026-01-01" && find(&checkout.0, Some("no number"), None).build_time >= now);
}

#[test]
fn the_compiler_is_the_one_that_compiles() {
    let checkout = Checkout::new("compiler");
    let version = find(&checkout.0, None, Some("rustc")).rust_version;
    assert!(version.split('.').count() == 3 && version.starts_with(|c: char| c.is_ascii_digit()), "{version}");
    assert_eq!(find(&checkout.0, None, Some("/no/such/rustc")).rust_version, "unknown");
}

#[test]
fn without_git_or_within_a_repository_of_others_there_is_no_commit() {
    let checkout = Checkout::new("without");
    assert_eq!(find(&checkout.0, None, None).git_hash, "unknown");
    git(&checkout.0, &["init", "-q"]);
    assert_eq!(find(&checkout.0, None, None).git_hash, "unknown", "no commit yet");
    git(&checkout.0, &["commit", "-q", "--allow-empty", "-m", "a"]);
    let within = Checkout(checkout.0.join("within"));
    fs::create_dir_all(within.0.join("node-binding/src")).unwrap();
    let facts = find(&within.0, None, None);
    assert_eq!((facts.git_hash.as_str(), facts.watched), ("unknown", vec![within.0.join("node-binding/src")]));
}

#[test]
fn a_commit_on_a_branch_or_none_packed_or_not_changes_a_file_that_is_watched() {
    let checkout = Checkout::new("commits");
    git(&checkout.0, &["init", "-q"]);
    git(&checkout.0, &["commit", "-q", "--allow-empty", "-m", "first"]);
    for before in [vec!["status"], vec!["pack-refs", "--all"], vec!["checkout", "-q", "--detach"]] {
        git(&checkout.0, &before);
        let facts = find(&checkout.0, None, None);
        assert_eq!(facts.git_hash, git(&checkout.0, &["rev-parse", "HEAD"]));
        assert!(facts.watched.iter().all(|path| path.exists()), "{:?}", facts.watched);
        let files = || facts.watched.iter().filter(|path| path.is_file()).map(|path| fs::read(path).unwrap());
        let contents: Vec<_> = files().collect();
        git(&checkout.0, &["commit", "-q", "--allow-empty", "-m", "next"]);
        assert!(files().ne(contents), "{before:?}");
        assert_ne!(find(&checkout.0, None, None).git_hash, facts.git_hash);
    }
}
