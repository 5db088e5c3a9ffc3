//! Runs a program, without a shell, in a process group of its own.

use std::ffi::OsString;
use std::io::Error;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::io::Errno;
use rustix::process::{
    Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, WaitIdStatus, kill_process_group, pidfd_open, waitid,
};

use super::cancel::Cancel;
use super::failure::Failure;
use super::find_program::find_program;
use super::outcome::{Outcome, Step};
use super::output::{Gathered, gather};
use super::watch::Watched;

/// How long what is left in the pipes is waited for when the child has ended and others hold them.
const LINGER: Duration = Duration::from_millis(200);
/// How often a child is looked at where the kernel (before 5.3) cannot tell of its end.
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// How long a killed child is waited for when everything ends.
const REAP_WITHIN: Duration = Duration::from_secs(1);

/// What to run, and how.
#[derive(Clone, Debug)]
pub struct Spec {
    /// The command.
    pub command: OsString,
    /// Its arguments.
    pub args: Vec<OsString>,
    /// Its working directory.
    pub cwd: Option<PathBuf>,
    /// All of its environment.
    pub env: Vec<(OsString, OsString)>,
    /// What it reads; without it, nothing.
    pub stdin: Option<Vec<u8>>,
    /// How long it may run.
    pub timeout: Option<Duration>,
    /// How many bytes it may write, to both of its outputs together.
    pub max_output: usize,
    /// What asks it to end.
    pub kill_signal: i32,
    /// How long after that it is killed.
    pub kill_after: Duration,
}

/// Why a child was ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// Nobody wants it any more.
    Aborted,
    /// It has run for too long.
    TimedOut,
    /// It has written too much.
    TooMuchOutput,
}

/// How a child has ended.
#[derive(Debug)]
pub struct Ended {
    /// What it wrote to its standard output.
    pub stdout: Vec<u8>,
    /// What it wrote to its standard error.
    pub stderr: Vec<u8>,
    /// Its exit status, when it has exited.
    pub code: Option<i32>,
    /// The signal that has ended it.
    pub signal: Option<i32>,
    /// Why it was ended.
    pub cut: Option<Cut>,
    /// Its outputs have come to their ends: nobody holds them any more.
    pub complete: bool,
    /// How long it has run.
    pub ran: Duration,
}

/// Starts the program; waits for it in the background.
pub fn start(spec: Spec, cancel: &Cancel) -> Step {
    match Running::start(spec, cancel) {
        Ok(running) => Step::Watch(Box::new(running)),
        Err(failure) => Step::Done(Outcome::Failed(failure)),
    }
}

/// A child that runs, or has ended and is not reaped yet: until then nobody else can have its number, or its group's.
struct Running {
    child: Child,
    group: Option<Pid>,
    /// Readable when it has ended.
    end: Option<OwnedFd>,
    stdin: Option<(OwnedFd, Vec<u8>, usize)>,
    stdout: Option<OwnedFd>,
    stderr: Option<OwnedFd>,
    written: [Vec<u8>; 2],
    max_output: usize,
    started: Instant,
    deadline: Option<Instant>,
    kill_signal: Option<Signal>,
    kill_after: Duration,
    cut: Option<Cut>,
    /// When it is killed, if it has not ended until then.
    kill_at: Option<Instant>,
    status: Option<(Option<i32>, Option<i32>)>,
    /// When its pipes are given up.
    linger_until: Option<Instant>,
    reaped: bool,
}

impl Running {
    fn start(spec: Spec, cancel: &Cancel) -> Result<Self, Failure> {
        cancel.check()?;
        let named = Path::new(&spec.command).to_owned();
        if let Some(cwd) = &spec.cwd {
            let found = std::fs::metadata(cwd).map_err(Failure::of("chdir", cwd))?;
            if !found.is_dir() {
                return Err(Failure::system(Errno::NOTDIR, "chdir", cwd));
            }
        }
        let path = spec.env.iter().find(|(name, _)| name == "PATH").map(|(_, value)| value.as_os_str());
        let program = find_program(&spec.command, path, spec.cwd.as_deref())
            .and_then(absolute)
            .map_err(Failure::of("spawn", &named))?;
        let mut command = Command::new(program);
        command.arg0(&spec.command).args(&spec.args).env_clear().envs(spec.env).process_group(0);
        command.stdin(if spec.stdin.is_some() { Stdio::piped() } else { Stdio::null() });
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        if let Some(cwd) = &spec.cwd {
            command.current_dir(cwd);
        }
        let started = Instant::now();
        let mut child = command.spawn().map_err(Failure::of("spawn", &named))?;
        let stdin = child.stdin.take().map(OwnedFd::from);
        let (stdout, stderr) = (child.stdout.take().map(OwnedFd::from), child.stderr.take().map(OwnedFd::from));
        let group = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        let running = Running {
            end: group.and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok()),
            child,
            group,
            stdin: stdin.zip(spec.stdin).map(|(fd, bytes)| (fd, bytes, 0)),
            stdout,
            stderr,
            written: [Vec::new(), Vec::new()],
            max_output: spec.max_output,
            started,
            deadline: spec.timeout.map(|timeout| started + timeout),
            kill_signal: Signal::from_named_raw(spec.kill_signal),
            kill_after: spec.kill_after,
            cut: None,
            kill_at: None,
            status: None,
            linger_until: None,
            reaped: false,
        };
        let ours = [running.stdin.as_ref().map(|(fd, ..)| fd), running.stdout.as_ref(), running.stderr.as_ref()];
        for fd in ours.into_iter().flatten() {
            unblock(fd).map_err(Failure::of("fcntl", &named))?;
        }
        Ok(running)
    }

    /// Writes what its standard input takes.
    fn feed(&mut self) {
        while let Some((fd, bytes, done)) = &mut self.stdin {
            match rustix::io::write(&*fd, bytes.get(*done..).unwrap_or_default()) {
                Ok(count) if *done + count < bytes.len() => *done += count,
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return,
                // All of it; or it does not read it, which is its own affair.
                Ok(_) | Err(_) => self.stdin = None,
            }
        }
    }

    /// Reads what it has written. Whether that is too much.
    fn gather(&mut self) -> bool {
        let mut too_much = false;
        for place in [0, 1] {
            let pipe = if place == 0 { &mut self.stdout } else { &mut self.stderr };
            let Some(fd) = pipe else { continue };
            let others = self.written[1 - place].len();
            match gather(fd, &mut self.written[place], self.max_output.saturating_sub(others)) {
                Ok(Gathered::Waiting) => {}
                Ok(Gathered::TooMuch) => too_much = true,
                Ok(Gathered::Ended) | Err(_) => *pipe = None,
            }
        }
        too_much
    }

    /// Whether it has ended. It is not reaped by that.
    fn look(&mut self) {
        let (None, Some(pid)) = (self.status, self.group) else { return };
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        match waitid(WaitId::Pid(pid), options) {
            Ok(None) | Err(Errno::INTR) => {}
            Ok(Some(status)) => self.status = Some(ended_with(&status)),
            // Somebody else has reaped it.
            Err(_) => {
                self.status = Some((None, None));
                self.reaped = true;
            }
        }
    }

    /// Asks the group to end, and says when it will be killed.
    fn end(&mut self, cut: Cut, now: Instant) {
        self.cut = Some(cut);
        self.kill_at = Some(now + self.kill_after);
        self.stdin = None;
        if cut == Cut::TooMuchOutput {
            // Nobody reads on.
            (self.stdout, self.stderr) = (None, None);
        }
        match self.kill_signal {
            Some(signal) => {
                self.signal(signal);
                // What is stopped hears of it only when it goes on.
                if signal != Signal::STOP {
                    self.signal(Signal::CONT);
                }
            }
            None => self.kill_at = Some(now),
        }
    }

    fn signal(&self, signal: Signal) {
        if let (Some(group), false) = (self.group, self.reaped) {
            let _ = kill_process_group(group, signal);
        }
    }

    fn finish(&mut self, now: Instant) -> Outcome {
        if self.cut.is_some() {
            // Its children, if there are any left.
            self.signal(Signal::KILL);
        }
        if !self.reaped {
            let _ = self.child.wait();
            self.reaped = true;
        }
        let (code, signal) = self.status.unwrap_or_default();
        let [stdout, stderr] = std::mem::take(&mut self.written);
        Outcome::Command(Box::new(Ended {
            stdout,
            stderr,
            code,
            signal,
            cut: self.cut,
            complete: self.stdout.is_none() && self.stderr.is_none() && self.cut != Some(Cut::TooMuchOutput),
            ran: now - self.started,
        }))
    }
}

impl Watched for Running {
    fn polls<'a>(&'a self, fds: &mut Vec<PollFd<'a>>) {
        if let (None, Some(end)) = (self.status, &self.end) {
            fds.push(PollFd::new(end, PollFlags::IN));
        }
        if let Some((fd, ..)) = &self.stdin {
            fds.push(PollFd::new(fd, PollFlags::OUT));
        }
        for fd in [&self.stdout, &self.stderr].into_iter().flatten() {
            fds.push(PollFd::new(fd, PollFlags::IN));
        }
    }

    fn deadline(&self) -> Option<Instant> {
        let runs = self.status.is_none();
        let deadline = if self.cut.is_some() { self.kill_at } else { self.deadline.filter(|_| runs) };
        let look = (runs && self.end.is_none()).then(|| Instant::now() + LOOK_EVERY);
        [deadline, look, self.linger_until].into_iter().flatten().min()
    }

    fn advance(&mut self, now: Instant, cancelled: bool) -> Option<Outcome> {
        self.feed();
        // First this: what it wrote before its end is in the pipes then.
        self.look();
        let too_much = self.gather();
        if self.cut.is_none() {
            let timed_out = self.status.is_none() && self.deadline.is_some_and(|deadline| deadline <= now);
            let cut = [(cancelled, Cut::Aborted), (too_much, Cut::TooMuchOutput), (timed_out, Cut::TimedOut)];
            if let Some((_, cut)) = cut.into_iter().find(|(holds, _)| *holds) {
                self.end(cut, now);
            }
        }
        let killed = self.kill_at.is_some_and(|at| at <= now);
        if killed {
            self.signal(Signal::KILL);
            // Once; its end comes by itself.
            self.kill_at = self.status.is_some().then_some(now);
        }
        self.status?;
        let silent = self.stdout.is_none() && self.stderr.is_none();
        let linger = if self.cut.is_some() { self.kill_at } else { Some(now + LINGER) };
        let until = *self.linger_until.get_or_insert(linger.unwrap_or(now));
        (silent || until <= now).then(|| self.finish(now))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.reaped {
            return;
        }
        self.signal(Signal::KILL);
        let deadline = Instant::now() + REAP_WITHIN;
        while !matches!(self.child.try_wait(), Ok(Some(_)) | Err(_)) && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(1));
        }
    }
}

/// What is relative to `cwd` would be looked for from there once more.
fn absolute(program: PathBuf) -> Result<PathBuf, Errno> {
    std::path::absolute(program).map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::NOENT))
}

fn ended_with(status: &WaitIdStatus) -> (Option<i32>, Option<i32>) {
    (status.exit_status(), status.terminating_signal())
}

fn unblock(fd: impl AsFd) -> Result<(), Error> {
    let flags = fcntl_getfl(&fd)?;
    Ok(fcntl_setfl(&fd, flags | OFlags::NONBLOCK)?)
}
