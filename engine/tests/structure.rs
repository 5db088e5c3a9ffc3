//! Rooms and their doors: which folder may know which, that no files of one folder know each other in a circle, and that
//! ARCHITECTURE.md names what is there.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Folders and files at the top, each with those that it may know. What is not named in a list is not known.
const MAY_KNOW: &[(&str, &[&str])] = &[
    ("stated", &[]),
    ("limits", &[]),
    ("bounds", &["limits"]),
    ("placement", &["limits"]),
    ("wire", &["limits"]),
    ("access", &["limits", "wire"]),
    ("caller", &["limits", "wire"]),
    ("tunnel", &["limits", "wire"]),
    ("proxy", &["limits", "wire"]),
    // `proxy`: which hosts its CA vouches for.
    ("tls", &["limits", "proxy"]),
    ("trust", &[]),
    ("inherited", &[]),
    // `tunnel`: what hosts register is what the route table is built of.
    ("link", &["stated", "limits", "wire", "access", "caller", "tunnel", "proxy", "tls", "trust"]),
    ("host", &["stated", "limits", "wire", "tunnel", "link"]),
    ("handlers", &["limits", "wire", "tunnel", "link"]),
    ("config", &["limits", "placement", "access", "caller", "tunnel", "proxy", "tls", "trust", "inherited"]),
    (
        "shard",
        &[
            "stated",
            "limits",
            "wire",
            "access",
            "caller",
            "tunnel",
            "proxy",
            "link",
            "config",
            "tls",
            "trust",
            "inherited",
        ],
    ),
    ("facts", &["stated", "limits", "bounds", "wire", "tunnel", "link", "host", "shard"]),
    ("error", &["limits", "config", "shard", "inherited"]),
    ("engine", &["limits", "wire", "caller", "tunnel", "proxy", "link", "config", "shard", "error", "tls", "trust"]),
];

/// The code of a file, without its tests and comments.
fn code(text: &str) -> String {
    let code = text.split("\n#[cfg(test)]").next().unwrap_or_default();
    code.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

/// Names that follow `prefix` in the code, also in the braces of a list.
fn names_behind<'a>(code: &'a str, prefix: &str) -> BTreeSet<&'a str> {
    let name = |text: &'a str| &text[..text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len())];
    let mut names = BTreeSet::new();
    for (at, _) in code.match_indices(prefix) {
        if code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':') {
            continue;
        }
        let rest = &code[at + prefix.len()..];
        match rest.strip_prefix('{').and_then(|list| list.split_once("};")) {
            Some((list, _)) => names.extend(list.split(',').map(|item| name(item.trim()))),
            None => drop(names.insert(name(rest))),
        }
    }
    names
}

/// The Rust files of a folder, by module name, those of folders in it included: `multipart` for `multipart/mod.rs` and all
/// beside that. The folder's own `mod.rs` is `mod`.
fn modules(folder: &Path) -> BTreeMap<String, String> {
    let mut modules: BTreeMap<String, String> = BTreeMap::new();
    let entries = std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    for path in entries.map(|entry| entry.expect("a readable folder").path()) {
        let name = path.file_stem().expect("a file name").to_string_lossy().into_owned();
        if name == "tests" {
            continue;
        }
        let text = if path.is_dir() {
            modules_of_folder(&path)
        } else {
            code(&std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display())))
        };
        modules.entry(name).or_default().push_str(&text);
    }
    modules
}

fn modules_of_folder(folder: &Path) -> String {
    // What these files know of each other is their own business, of what is around them not.
    let texts =
        modules(folder).into_values().map(|text| text.replace("super::super::", "OUTER::").replace("super::", ""));
    texts.map(|text| text.replace("OUTER::", "super::")).collect()
}

fn source() -> BTreeMap<String, BTreeMap<String, String>> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let top = std::fs::read_dir(&source).expect("the sources").map(|entry| entry.expect("a readable folder").path());
    let rooms = top.filter_map(|path| {
        let name = path.file_stem()?.to_string_lossy().into_owned();
        let files = if path.is_dir() {
            modules(&path)
        } else {
            BTreeMap::from([(name.clone(), code(&std::fs::read_to_string(&path).expect("a readable file")))])
        };
        (name != "lib").then_some((name, files))
    });
    rooms.collect()
}

#[test]
fn folders_know_only_what_lies_below_them() {
    let rooms = source();
    let known: BTreeSet<_> = MAY_KNOW.iter().map(|(room, _)| *room).collect();
    assert_eq!(known, rooms.keys().map(String::as_str).collect(), "each has a row above");
    let mut found = Vec::new();
    for (room, below) in MAY_KNOW {
        for (file, text) in &rooms[*room] {
            let others = names_behind(text, "crate::").into_iter().filter(|name| name != room && known.contains(name));
            found.extend(others.filter(|name| !below.contains(name)).map(|name| format!("{room}/{file} knows {name}")));
        }
    }
    assert!(found.is_empty(), "{found:#?}");
}

/// Each folder below `folder`, itself included, with the path that its files have in the crate.
fn folders(folder: &Path, path: &str) -> Vec<(String, BTreeMap<String, String>)> {
    let mut found = vec![(path.to_owned(), modules(folder))];
    let entries = std::fs::read_dir(folder).expect("a readable folder").map(|entry| entry.expect("an entry").path());
    for inner in entries.filter(|inner| inner.is_dir()) {
        let name = inner.file_name().expect("a file name").to_string_lossy().into_owned();
        found.extend(folders(&inner, &format!("{path}{name}::")));
    }
    found
}

#[test]
fn files_of_a_folder_do_not_know_each_other_in_circles() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let all = folders(&source, "crate::");
    assert!(all.len() > 10, "{} folders", all.len());
    // The top is in a table of its own.
    for (path, files) in all.into_iter().filter(|(path, _)| path != "crate::") {
        // Takes away what knows nothing (any more), until nothing is left, or only circles are.
        let mut left: BTreeMap<&str, BTreeSet<&str>> = files
            .iter()
            .filter(|(file, _)| *file != "mod")
            .map(|(file, text)| {
                let mut known = names_behind(text, "super::");
                known.extend(names_behind(text, &path));
                known.retain(|name| name != file && *name != "mod" && files.contains_key(*name));
                (file.as_str(), known)
            })
            .collect();
        loop {
            let free: Vec<&str> = left.iter().filter(|(_, known)| known.is_empty()).map(|(file, _)| *file).collect();
            if free.is_empty() {
                break;
            }
            for file in free {
                left.remove(file);
                for known in left.values_mut() {
                    known.remove(file);
                }
            }
        }
        assert!(left.is_empty(), "{path} in a circle, or above one: {left:#?}");
    }
}

/// What could touch a descriptor that is closed, or that is somebody else's by now.
const DESCRIPTORS: [&str; 4] = ["RawFd", "OwnedReadHalf", "OwnedWriteHalf", "allow(unsafe_code)"];

#[test]
fn the_transport_alone_knows_descriptors_by_number_and_has_unsafe_code() {
    let mut found = BTreeMap::new();
    for (room, files) in source() {
        for (file, text) in files {
            let known = DESCRIPTORS.iter().filter(|name| text.contains(*name)).count();
            if known > 0 {
                found.insert(format!("{room}/{file}"), known);
            }
        }
    }
    assert_eq!(found, BTreeMap::from([("shard/transport".to_owned(), DESCRIPTORS.len())]));
}

#[test]
fn which_service_a_connection_has_is_said_where_it_comes_in_and_asked_nowhere() {
    let rooms = folders(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src/shard"), "crate::shard::");
    let (_, shard) = rooms.first().expect("the shard");
    let known = |text: &str| ["TUNNEL", "ADMIN", "IN_PROCESS"].iter().any(|name| text.contains(&format!("&{name}")));
    let knowing: Vec<_> = shard.iter().filter(|(_, text)| known(text)).map(|(room, _)| room.as_str()).collect();
    assert_eq!(knowing, ["door", "life"]);
}

/// The Rust files below a folder.
fn rust_files(folder: &Path, found: &mut Vec<std::path::PathBuf>) {
    for path in std::fs::read_dir(folder).expect("a readable folder").map(|entry| entry.expect("an entry").path()) {
        if path.is_dir() {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn what_fuzzers_call_is_not_in_what_ships() {
    const GATE: &str = "#[cfg(any(test, feature = \"fuzzing\"))]";
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let (mut files, mut gated) = (Vec::new(), 0);
    rust_files(&source, &mut files);
    for file in files.iter().filter(|file| !file.components().any(|part| part.as_os_str() == "fuzz")) {
        let text = std::fs::read_to_string(file).expect("a readable file");
        let lines: Vec<&str> = text.lines().map(str::trim).collect();
        let opens = |line: &str| line.ends_with("mod fuzz;") || line.starts_with("pub fn fuzz_");
        for (at, line) in lines.iter().enumerate().filter(|(_, line)| opens(line)) {
            // `fuzz.rs` itself stands behind the gate of its module.
            if file.file_stem().is_some_and(|name| name == "fuzz") {
                continue;
            }
            assert_eq!(lines[at.saturating_sub(1)], GATE, "{}: {line}", file.display());
            gated += 1;
        }
    }
    assert!(gated >= 6, "{gated}");
    let manifest = std::fs::read_to_string(source.join("../Cargo.toml")).expect("Cargo.toml");
    assert!(!manifest.contains("\ndefault = "), "no feature is on by itself");
}

#[test]
fn who_judges_residents_does_not_know_what_they_speak() {
    let rooms = folders(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src/shard"), "crate::shard::");
    let (_, shard) = rooms.first().expect("the shard");
    for room in ["bounds", "life", "resident", "service", "transport"] {
        let known = names_behind(&shard[room], "crate::shard::");
        assert!(!known.contains("connection") && !known.contains("request"), "{room}: {known:?}");
    }
}

#[test]
fn what_the_architecture_names_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace");
    let text = std::fs::read_to_string(root.join("ARCHITECTURE.md")).expect("ARCHITECTURE.md");
    let paths: BTreeSet<&str> = text.split('`').skip(1).step_by(2).filter(|name| name.contains('/')).collect();
    let own = |path: &&&str| path.starts_with("engine/") || path.starts_with("node-binding/");
    let missing: Vec<_> = paths.iter().filter(own).filter(|path| !root.join(path).exists()).collect();
    assert!(paths.len() > 30 && missing.is_empty(), "{missing:#?}");
    // And every room of the shard has its line.
    let rooms = modules(&root.join("engine/src/shard"));
    let rooms = rooms.keys().filter(|room| !["mod", "fuzz"].contains(&room.as_str()));
    let without: Vec<_> = rooms.filter(|room| !text.contains(&format!("| `engine/src/shard/{room}` |"))).collect();
    assert!(without.is_empty(), "{without:#?}");
}

#[test]
fn the_search_sees_names_in_lists_and_paths() {
    let code = code("use super::{a, b::C, Shard};\n// super::d\nlet x = super::e::f();\n#[cfg(test)]\nuse super::g;");
    assert_eq!(names_behind(&code, "super::"), BTreeSet::from(["a", "b", "Shard", "e"]));
    assert_eq!(names_behind("crate::wire::x; my_crate::link::y", "crate::"), BTreeSet::from(["wire"]));
}
