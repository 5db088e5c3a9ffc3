//! What processes have cost, from /proc: the server's CPU time by thread, and the generator's own.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Instant;

use crate::error::Error;

/// The processes that listen on the server's port; several when they share the socket.
#[derive(Clone, Debug)]
pub struct Server {
    /// Process ids.
    pub pids: Vec<u32>,
}

impl Server {
    /// The process that was named.
    pub fn of(pid: u32) -> Result<Server, Error> {
        match cpu_seconds(&format!("/proc/{pid}/stat")) {
            Some(_) => Ok(Server { pids: vec![pid] }),
            None => Err(Error::Usage(format!("--server-pid {pid}: there is no such process"))),
        }
    }

    /// Looks the listening socket up, then who has it open.
    pub fn listening_on(address: SocketAddr) -> Result<Server, Error> {
        let tables = ["/proc/net/tcp", "/proc/net/tcp6"].map(|table| fs::read_to_string(table).unwrap_or_default());
        let sockets: Vec<String> = tables
            .iter()
            .flat_map(|table| table.lines().skip(1))
            .filter_map(|line| listener(line, address.port()))
            .map(|inode| format!("socket:[{inode}]"))
            .collect();
        if sockets.is_empty() {
            return Err(Error::Server(format!("nobody listens on port {}: start the server first", address.port())));
        }
        let pids: Vec<u32> = entries("/proc").filter(|pid| has_open(*pid, &sockets)).collect();
        if pids.is_empty() {
            return Err(Error::Server(format!(
                "the process that listens on port {} belongs to another user: name it with --server-pid",
                address.port()
            )));
        }
        Ok(Server { pids })
    }

    /// CPU seconds of all threads, ended ones included; None when a process is gone.
    fn cpu_seconds(&self) -> Option<f64> {
        self.pids.iter().map(|pid| cpu_seconds(&format!("/proc/{pid}/stat"))).sum()
    }

    /// CPU seconds of each living thread.
    fn threads(&self) -> BTreeMap<u32, (String, f64)> {
        let mut threads = BTreeMap::new();
        for pid in &self.pids {
            for tid in entries(&format!("/proc/{pid}/task")) {
                let stat = format!("/proc/{pid}/task/{tid}/stat");
                let name = fs::read_to_string(format!("/proc/{pid}/task/{tid}/comm")).unwrap_or_default();
                if let Some(seconds) = cpu_seconds(&stat) {
                    threads.insert(tid, (name.trim().to_owned(), seconds));
                }
            }
        }
        threads
    }
}

/// A moment's readings, or the difference of two.
#[derive(Clone, Debug)]
pub struct Usage {
    at: Instant,
    /// Seconds between the two.
    pub wall_s: f64,
    /// Good answers in that time.
    pub answers: u64,
    /// CPU seconds of the server.
    pub server_s: Option<f64>,
    /// CPU seconds of the server's threads.
    pub threads: BTreeMap<u32, (String, f64)>,
    /// CPU seconds of this process.
    pub own_s: f64,
    /// Seconds that this process could run and had no core.
    pub own_waited_s: f64,
    /// CPU seconds of all processes of the machine, and what its host kept for others.
    pub machine_s: f64,
}

impl Usage {
    /// Reads everything.
    pub fn now(server: &Server, answers: u64) -> Usage {
        Usage {
            at: Instant::now(),
            wall_s: 0.0,
            answers,
            server_s: server.cpu_seconds(),
            threads: server.threads(),
            own_s: cpu_seconds("/proc/self/stat").unwrap_or_default(),
            own_waited_s: waited_seconds().unwrap_or_default(),
            machine_s: machine_seconds().unwrap_or_default(),
        }
    }

    /// What was used since `before`.
    pub fn since(mut self, before: &Usage) -> Usage {
        self.wall_s = self.at.duration_since(before.at).as_secs_f64().max(1e-9);
        self.server_s = self.server_s.zip(before.server_s).map(|(now, then)| (now - then).max(0.0));
        for (tid, (_, seconds)) in &mut self.threads {
            *seconds -= before.threads.get(tid).map_or(0.0, |(_, then)| *then);
        }
        self.own_s -= before.own_s;
        self.own_waited_s -= before.own_waited_s;
        self.machine_s -= before.machine_s;
        self
    }

    /// Microseconds of server CPU for one answer; None without an answer, or without a server.
    pub fn server_us_per_answer(&self) -> Option<f64> {
        self.server_s.and_then(|seconds| self.us_per_answer(seconds))
    }

    /// Microseconds of the generator's CPU for one answer.
    pub fn own_us_per_answer(&self) -> Option<f64> {
        self.us_per_answer(self.own_s)
    }

    fn us_per_answer(&self, seconds: f64) -> Option<f64> {
        (self.answers > 0).then(|| seconds * 1e6 / self.answers as f64)
    }

    /// Cores that were busy with neither of the two: on a quiet machine next to none.
    pub fn rest_cores(&self) -> f64 {
        ((self.machine_s - self.own_s - self.server_s.unwrap_or_default()) / self.wall_s).max(0.0)
    }

    /// The part of the time in which the generator ran.
    pub fn own_share(&self) -> f64 {
        self.own_s / self.wall_s
    }

    /// The part of the time in which the generator wanted to run.
    pub fn own_waited_share(&self) -> f64 {
        self.own_waited_s / self.wall_s
    }
}

/// CPU seconds of the processes that this one has started and seen end.
pub fn ended_children_seconds() -> f64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    ticks(&stat, CHILDREN).map_or(0.0, seconds)
}

/// Numbers among the names in a folder of /proc.
fn entries(folder: &str) -> impl Iterator<Item = u32> + use<> {
    fs::read_dir(folder).into_iter().flatten().flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

/// The inode of a line of /proc/net/tcp, if it listens on `port`.
fn listener(line: &str, port: u16) -> Option<&str> {
    let fields: Vec<&str> = line.split_whitespace().collect();
    let (_, hex) = fields.get(1)?.rsplit_once(':')?;
    let listens = *fields.get(3)? == "0A" && u16::from_str_radix(hex, 16).ok()? == port;
    listens.then(|| fields.get(9).copied())?
}

fn has_open(pid: u32, sockets: &[String]) -> bool {
    let folder = format!("/proc/{pid}/fd");
    fs::read_dir(&folder).into_iter().flatten().flatten().any(|entry| {
        let link = fs::read_link(Path::new(&folder).join(entry.file_name()));
        link.is_ok_and(|link| link.to_str().is_some_and(|text| sockets.iter().any(|socket| socket == text)))
    })
}

/// utime and stime of a stat file.
fn cpu_seconds(file: &str) -> Option<f64> {
    ticks(&fs::read_to_string(file).ok()?, OWN).map(seconds)
}

/// Fields 14 and 15 of a stat file, counted behind the name: it may hold blanks and parentheses.
const OWN: usize = 11;
/// Fields 16 and 17.
const CHILDREN: usize = 13;

/// User and system time.
fn ticks(stat: &str, first: usize) -> Option<u64> {
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(first);
    Some(fields.next()?.parse::<u64>().ok()? + fields.next()?.parse::<u64>().ok()?)
}

/// CPU seconds of everybody.
fn machine_seconds() -> Option<f64> {
    busy_ticks(&fs::read_to_string("/proc/stat").ok()?).map(seconds)
}

/// The first line of /proc/stat: user, nice, system, idle, waiting for a disk, interrupts, soft ones, stolen by the
/// host; guests are part of user.
fn busy_ticks(stat: &str) -> Option<u64> {
    let fields: Option<Vec<u64>> =
        stat.lines().next()?.split_whitespace().skip(1).map(|field| field.parse().ok()).collect();
    let fields = fields.filter(|fields| fields.len() >= 8)?;
    Some(fields[..3].iter().chain(&fields[5..8]).sum())
}

fn seconds(ticks: u64) -> f64 {
    ticks as f64 / rustix::param::clock_ticks_per_second() as f64
}

/// Time in the run queue, where the kernel counts it.
fn waited_seconds() -> Option<f64> {
    let text = fs::read_to_string("/proc/self/schedstat").ok()?;
    text.split_whitespace().nth(1)?.parse::<u64>().ok().map(|ns| ns as f64 / 1e9)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn stat_lines_are_read_whatever_the_name_is() {
        let line = "42 (a) b (c) R 1 42 42 0 -1 4194304 100 0 0 0 250 150 7 8 20 0 3 0 5000 1 1";
        assert_eq!((ticks(line, OWN), ticks(line, CHILDREN)), (Some(400), Some(15)));
        assert_eq!(ticks("nothing", OWN), None);
    }

    #[test]
    fn the_machine_is_busy_when_it_neither_idles_nor_waits() {
        assert_eq!(busy_ticks("cpu  1 2 4 1000 2000 8 16 32 64 128\ncpu0 1 1"), Some(63));
        assert_eq!(busy_ticks("cpu 1 2"), None);
    }

    #[test]
    fn listeners_are_found_by_port() {
        let line = "   0: 0100007F:1B9E 00000000:0000 0A 00000000:00000000 00:00000000 00000000  0  0 987654 1 0";
        assert_eq!(listener(line, 7070), Some("987654"));
        assert_eq!(listener(line, 7071), None);
        assert_eq!(listener(&line.replace(" 0A ", " 01 "), 7070), None);
    }

    #[test]
    fn a_listener_of_this_process_is_found() {
        let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let server = Server::listening_on(socket.local_addr().unwrap()).unwrap();
        assert!(server.pids.contains(&std::process::id()));
        let usage = Usage::now(&server, 0);
        assert!(usage.server_s.is_some() && usage.threads.len() > 1);
    }
}
