//! What the kernel says about this process.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};

static SEVERAL_ENGINES: AtomicBool = AtomicBool::new(false);

/// For tests with more than one engine at a time: the end of one leaves the other's threads.
pub fn expect_several_engines() {
    SEVERAL_ENGINES.store(true, Ordering::Relaxed);
}

pub fn counts_own_threads() -> bool {
    !SEVERAL_ENGINES.load(Ordering::Relaxed)
}

/// Threads of shards.
pub fn shard_threads() -> usize {
    names().iter().filter(|name| name.starts_with("fasttunnel-")).count()
}

/// All threads but the kernel's own workers for a ring, which it keeps and ends as it likes.
pub fn threads() -> usize {
    names().iter().filter(|name| !name.starts_with("iou-")).count()
}

fn names() -> Vec<String> {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    // A thread may end between listing and reading.
    tasks.filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("comm")).ok()).collect()
}

/// Open descriptors.
pub fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

/// Resident memory in KiB.
pub fn resident_kib() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// CPU time of this process in milliseconds.
pub fn cpu_ms() -> u64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit(") ").next().unwrap().split(' ').collect();
    // utime and stime, in ticks of 10 ms.
    (fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()) * 10
}

/// The descriptor of this process's end of the IPv4 connection with the client at `peer`.
pub fn descriptor_of(server: SocketAddr, peer: SocketAddr) -> i32 {
    let hex = |address: SocketAddr| match address {
        SocketAddr::V4(v4) => format!("{:08X}:{:04X}", u32::from_le_bytes(v4.ip().octets()), v4.port()),
        SocketAddr::V6(_) => panic!("IPv4 only"),
    };
    let table = std::fs::read_to_string("/proc/self/net/tcp").unwrap();
    let inode = table
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>())
        .find(|fields| fields[1] == hex(server) && fields[2] == hex(peer))
        .map(|fields| fields[9].to_owned())
        .expect("the connection is in /proc/self/net/tcp");
    let link = format!("socket:[{inode}]");
    std::fs::read_dir("/proc/self/fd")
        .unwrap()
        .map(|entry| entry.unwrap())
        .find(|entry| std::fs::read_link(entry.path()).is_ok_and(|target| target.to_string_lossy() == link))
        .map(|entry| entry.file_name().to_string_lossy().parse().unwrap())
        .expect("a descriptor of this process")
}
