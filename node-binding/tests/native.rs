//! The native utilities without Node: what they do by themselves, and with a desk that nobody but this test sees. The crate
//! is a library that only Node can load, so that its sources are compiled in here.
#![allow(clippy::unwrap_used, dead_code)]

#[path = "../src/native/mod.rs"]
mod native;

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use native::cancel::Cancel;
use native::command::{self, Spec};
use native::desk::Desk;
use native::failure::Reason;
use native::find_program::find_program;
use native::outcome::{Outcome, Step};
use native::output::{Gathered, gather};
use native::read::{Most, read};
use native::session::{Room, Session};
use native::walk::Walk;
use native::walk_plan::{Kind, Plan, Rules};
use native::write::{Target, Writing};
use rustix::io::Errno;

/// A folder of one test, which goes with it.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("fasttunnel-native-{}-{number}", std::process::id()));
        fs::create_dir(&path).unwrap();
        Folder(path)
    }

    fn names(&self) -> Vec<OsString> {
        fs::read_dir(&self.0).unwrap().map(|entry| entry.unwrap().file_name()).collect()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

const RULES: Rules = Rules { max_depth: 3, max_entries: 2, follow_links: true };

#[test]
fn a_walk_enters_directories_down_to_its_depth_and_each_of_them_once() {
    let mut plan = Plan::new(RULES, (1, 1));
    assert!(plan.enters(Kind::Directory, 1, (1, 2)));
    assert!(plan.enters(Kind::Directory, 2, (2, 2)), "of another device");
    assert!(!plan.enters(Kind::Directory, 3, (1, 3)), "too deep");
    assert!(!plan.enters(Kind::Directory, 1, (1, 2)), "a second time");
    assert!(!plan.enters(Kind::Directory, 2, (1, 1)), "where it has begun");
    assert!(!plan.enters(Kind::Symlink, 1, (1, 4)) && !plan.enters(Kind::File, 1, (1, 5)));
}

#[test]
fn a_walk_that_meets_more_entries_than_it_may_fails() {
    let mut plan = Plan::new(RULES, (1, 1));
    assert_eq!((plan.count(), plan.count(), plan.count()), (Ok(()), Ok(()), Err(Reason::TooMany(2))));
}

#[test]
fn a_command_is_found_in_the_path_of_the_child_and_one_that_may_not_be_run_is_passed_over() {
    let folder = Folder::new();
    for (name, mode) in [("a", 0o644), ("b", 0o755)] {
        fs::create_dir(folder.0.join(name)).unwrap();
        let file = folder.0.join(name).join("tool");
        fs::write(&file, "").unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
    }
    let (a, b) = (folder.0.join("a"), folder.0.join("b"));
    let both = std::env::join_paths([&a, &b]).unwrap();
    assert_eq!(find_program("tool".as_ref(), Some(&both), None), Ok(b.join("tool")));
    assert_eq!(find_program("tool".as_ref(), Some(a.as_os_str()), None), Err(Errno::ACCESS));
    assert_eq!(find_program("tool".as_ref(), Some("b:a".as_ref()), Some(&folder.0)), Ok(b.join("tool")));
    assert_eq!(find_program("./tool".as_ref(), None, Some(&b)), Ok(b.join("./tool")));
    assert_eq!(find_program("other".as_ref(), Some(&both), None), Err(Errno::NOENT));
    assert_eq!(find_program("b".as_ref(), Some(folder.0.as_os_str()), None), Err(Errno::ACCESS), "a directory");
}

#[test]
fn bytes_are_gathered_up_to_a_bound() {
    let (reader, writer) = std::io::pipe().unwrap();
    rustix::fs::fcntl_setfl(&reader, rustix::fs::OFlags::NONBLOCK).unwrap();
    let mut bytes = Vec::new();
    assert_eq!(gather(&reader, &mut bytes, 5), Ok(Gathered::Waiting));
    rustix::io::write(&writer, b"12345").unwrap();
    assert_eq!((gather(&reader, &mut bytes, 5), bytes.as_slice()), (Ok(Gathered::Waiting), b"12345".as_slice()));
    rustix::io::write(&writer, b"6").unwrap();
    assert_eq!((gather(&reader, &mut bytes, 5), bytes.as_slice()), (Ok(Gathered::TooMuch), b"12345".as_slice()));
    drop(writer);
    assert_eq!(gather(&reader, &mut bytes, 5), Ok(Gathered::Ended));
}

#[test]
fn what_never_ends_is_read_in_pieces_however_much_room_there_is() {
    let zeros = fs::File::open("/dev/zero").unwrap();
    let mut bytes = Vec::with_capacity(8 * 1024 * 1024);
    assert_eq!((gather(&zeros, &mut bytes, usize::MAX), bytes.len()), (Ok(Gathered::Waiting), 1024 * 1024));
}

#[test]
fn a_file_that_grows_or_shrinks_while_it_is_read_gives_what_it_has() {
    let folder = Folder::new();
    let (path, cancel) = (folder.0.join("file"), Cancel::default());
    let most = Most { regular: 300_000, other: 0 };
    for (then, count, rest) in [(250_000, 200_000, 50_000), (100_000, 100_000, 0), (200_000, 200_000, 0)] {
        fs::write(&path, vec![b'a'; 200_000]).unwrap();
        let Step::Done(Outcome::Opened(file)) = read(&path, most, &cancel) else { panic!("it is open") };
        assert_eq!(file.size(), 200_000);
        fs::write(&path, vec![b'b'; then]).unwrap();
        let mut memory = vec![0; 200_000];
        let filled = file.fill(&mut memory, &cancel).unwrap();
        assert_eq!((filled.count, filled.rest.len()), (count, rest));
        assert!(memory[..count].iter().chain(&filled.rest).all(|byte| *byte == b'b'));
    }
    let Step::Done(Outcome::Opened(file)) = read(&path, most, &cancel) else { panic!("it is open") };
    fs::write(&path, vec![b'c'; 300_001]).unwrap();
    assert_eq!(file.fill(&mut vec![0; 200_000], &cancel).unwrap_err().reason, Reason::TooLarge(300_000));
}

#[test]
fn a_file_that_is_written_no_further_leaves_the_old_one_and_nothing_beside_it() {
    let folder = Folder::new();
    let path = folder.0.join("file");
    fs::write(&path, "old").unwrap();
    let target = Target { path: path.clone(), atomic: true, fsync: false, mode: None };
    let mut writing = Writing::begin(&target).unwrap();
    writing.append(b"new", &Cancel::default()).unwrap();
    assert_eq!(folder.names().len(), 2);
    let cancel = Cancel::default();
    cancel.set();
    assert_eq!(writing.finish(&cancel).unwrap_err().reason, Reason::Aborted);
    assert_eq!((folder.names(), fs::read(&path).unwrap()), (vec!["file".into()], b"old".to_vec()));
}

#[test]
fn a_session_keeps_within_its_bounds_and_its_order_when_many_threads_add_to_it() {
    let session = Session::create(Room { messages: 100, bytes: 1000 });
    thread::scope(|scope| {
        for thread in 0..8 {
            let session = Session::find(session.id()).unwrap();
            scope.spawn(move || {
                (0..1000).for_each(|number| assert!(session.add((thread * 10_000 + number).to_string())))
            });
        }
    });
    let held = session.held();
    assert_eq!((held.messages, held.dropped), (100, 7900));
    let text = session.messages();
    let kept: Vec<u32> = text[1..text.len() - 1].split(',').map(|number| number.parse().unwrap()).collect();
    assert_eq!((kept.len(), kept.iter().map(|number| number.to_string().len()).sum()), (100, held.bytes));
    for thread in 0..8 {
        assert!(kept.iter().filter(|number| *number / 10_000 == thread).is_sorted(), "each thread's in its order");
    }
    assert!(!session.add("x".repeat(1001)) && session.add("y".repeat(1000)));
    assert_eq!(session.held().messages, 1);
    let id = session.id();
    drop(session);
    assert!(Session::find(id).is_none());
}

/// A desk, and what tells of its wake-ups.
fn desk() -> (Desk, mpsc::Receiver<()>) {
    let (woken, wakes) = mpsc::channel();
    let wake = move || {
        let _ = woken.send(());
    };
    (Desk::new(Box::new(wake)), wakes)
}

fn shell(script: &str) -> Spec {
    Spec {
        command: "/bin/sh".into(),
        args: vec!["-c".into(), script.into()],
        cwd: None,
        env: Vec::new(),
        stdin: None,
        timeout: None,
        max_output: 1000,
        kill_signal: 15,
        kill_after: Duration::from_millis(50),
    }
}

#[test]
fn an_operation_that_panics_has_an_outcome() {
    let (mut desk, wakes) = desk();
    desk.submit(7, Box::new(|_| panic!("on purpose")));
    wakes.recv_timeout(Duration::from_secs(10)).unwrap();
    let ended = desk.fetch();
    assert!(matches!(&ended[..], [(7, Outcome::Failed(failure))] if failure.reason == Reason::Internal));
    desk.stop();
}

#[test]
fn one_wake_tells_of_all_that_has_ended() {
    let (mut desk, wakes) = desk();
    for id in 0..100 {
        desk.submit(id, Box::new(|_| Step::Done(Outcome::Done)));
    }
    let mut ended = Vec::new();
    while ended.len() < 100 {
        wakes.recv_timeout(Duration::from_secs(10)).unwrap();
        ended.extend(desk.fetch().into_iter().map(|(id, _)| id));
    }
    ended.sort_unstable();
    assert_eq!(ended, (0..100).collect::<Vec<_>>());
    assert!(desk.threads() <= native::pool::THREADS && desk.fetch().is_empty());
    desk.stop();
    assert_eq!(desk.threads(), 0);
}

#[test]
fn what_no_thread_has_begun_is_taken_back_at_once() {
    let (mut desk, wakes) = desk();
    let (release, held) = mpsc::channel::<()>();
    let held = std::sync::Arc::new(std::sync::Mutex::new(held));
    for id in 0..native::pool::THREADS as u32 {
        let held = held.clone();
        desk.submit(
            id,
            Box::new(move |_| {
                let _ = held.lock().unwrap().recv();
                Step::Done(Outcome::Done)
            }),
        );
    }
    desk.submit(99, Box::new(|_| panic!("nobody begins it")));
    desk.abort(99);
    wakes.recv_timeout(Duration::from_secs(10)).unwrap();
    assert!(matches!(&desk.fetch()[..], [(99, Outcome::Failed(failure))] if failure.reason == Reason::Aborted));
    drop(release);
    desk.stop();
}

#[test]
fn a_desk_that_stops_kills_its_commands_with_their_children() {
    let folder = Folder::new();
    let (mut desk, _wakes) = desk();
    let file = folder.0.join("pids");
    let script = format!("trap '' TERM; sleep 1000 & echo $$ $! > {0}.new; mv {0}.new {0}; wait", file.display());
    let spec = Spec { env: vec![("PATH".into(), std::env::var_os("PATH").unwrap())], ..shell(&script) };
    desk.submit(1, Box::new(move |cancel| command::start(spec, cancel)));
    let deadline = Instant::now() + Duration::from_secs(10);
    while !file.exists() {
        assert!(Instant::now() < deadline, "it runs");
        thread::sleep(Duration::from_millis(5));
    }
    let pids: Vec<u32> =
        fs::read_to_string(&file).unwrap().split_whitespace().map(|pid| pid.parse().unwrap()).collect();
    desk.stop();
    for pid in pids {
        // The grandchild is somebody else's to reap.
        while fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z ")) {
            assert!(Instant::now() < deadline, "{pid} has ended");
            thread::sleep(Duration::from_millis(5));
        }
    }
}

#[test]
fn a_walk_leaves_out_what_is_of_a_process_that_has_ended() {
    let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
    let rules = Rules { max_depth: 4, max_entries: 100_000, follow_links: false };
    let mut walk = Walk::new(format!("/proc/{}", child.id()).into(), rules);
    let cancel = Cancel::default();
    assert!(!walk.next(1, &cancel).unwrap().ended);
    child.kill().unwrap();
    child.wait().unwrap();
    let rest = walk.next(100_000, &cancel).unwrap();
    assert!(rest.ended);
}
