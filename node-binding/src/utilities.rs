//! The native utilities as JavaScript sees them: operations go in by number, outcomes are fetched when the ring says so.

use std::cell::RefCell;
use std::collections::HashMap;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use napi::bindgen_prelude::{Buffer, BufferSlice, Float64ArraySlice, Function, Object, Uint8ArraySlice};
use napi::{Env, Result};
use napi_derive::napi;

use crate::native::command::{self, Cut, Ended, Spec};
use crate::native::desk::Desk;
use crate::native::failure::{Failure, Reason};
use crate::native::outcome::{Outcome, Step};
use crate::native::read::{self, Most, OpenFile};
use crate::native::walk::{Batch, Walk};
use crate::native::walk_plan::Rules;
use crate::native::write::{Target, Writing};
use crate::raw::CleanupHook;
use crate::ring::Ring;

/// The utilities of one environment. All methods on its JavaScript thread; none of them waits.
#[napi]
pub struct NativeUtilities {
    life: Rc<RefCell<Option<Life>>>,
    hook: Rc<RefCell<Option<CleanupHook>>>,
}

/// What has to end before the environment does.
struct Life {
    desk: Desk,
    unfinished: Unfinished,
    /// Held, because its end takes the bell away.
    #[allow(dead_code)]
    ring: Ring,
}

/// What to run: `Spec`.
#[napi(object, object_to_js = false)]
pub struct NativeCommand {
    /// The command.
    pub command: Buffer,
    /// Its arguments.
    pub args: Vec<Buffer>,
    /// Its working directory.
    pub cwd: Option<Buffer>,
    /// Names and values in turn.
    pub env: Vec<String>,
    /// What it reads.
    pub stdin: Option<Buffer>,
    /// 0: none.
    pub timeout_ms: f64,
    /// Of both outputs.
    pub max_output_bytes: f64,
    /// Its number.
    pub kill_signal: i32,
    /// After that.
    pub kill_after_ms: f64,
}

/// What to list: `Rules`.
#[napi(object, object_to_js = false)]
pub struct NativeListing {
    /// 1 is the directory's own entries.
    pub max_depth: u32,
    /// It may meet so many.
    pub max_entries: f64,
    /// Whether links to directories are entered.
    pub follow_symlinks: bool,
}

/// A file that is open, for JavaScript to give the memory for its bytes: of its own, because memory of ours would be freed
/// too late by its collector, and not be allowed everywhere (Electron).
#[napi]
pub struct NativeFile {
    file: Arc<Mutex<Option<OpenFile>>>,
    size: f64,
}

#[napi]
impl NativeFile {
    /// Its bytes.
    #[napi(getter)]
    pub fn size(&self) -> f64 {
        self.size
    }

    /// Closes it.
    #[napi(catch_unwind)]
    pub fn close(&self) {
        drop(self.file.lock().unwrap_or_else(PoisonError::into_inner).take());
    }
}

/// A walk that is asked for batches.
#[napi]
pub struct NativeWalk {
    walk: Arc<Mutex<Walk>>,
}

#[napi]
impl NativeWalk {
    /// Nothing is opened before the first batch is asked for.
    #[napi(constructor, catch_unwind)]
    pub fn new(path: Uint8ArraySlice<'_>, listing: NativeListing) -> Self {
        let rules = Rules {
            max_depth: listing.max_depth,
            max_entries: listing.max_entries as u64,
            follow_links: listing.follow_symlinks,
        };
        NativeWalk { walk: Arc::new(Mutex::new(Walk::new(path_of(&path), rules))) }
    }

    /// Closes the directory that is open: JavaScript's collector may come late, and there are only so many descriptors. Not
    /// while a batch is read.
    #[napi(catch_unwind)]
    pub fn close(&self) {
        if let Ok(mut walk) = self.walk.try_lock() {
            walk.close();
        }
    }
}

/// Files that are written in pieces, between two of them. Here, and not in [`NativeWriter`]: what JavaScript holds is not
/// dropped when the process exits, and what is half written has to go then.
type Unfinished = Arc<Mutex<HashMap<u64, Writing>>>;

/// A file that is written in pieces.
#[napi]
pub struct NativeWriter {
    target: Target,
    /// Its number in this process.
    id: u64,
}

static NEXT_WRITER: AtomicU64 = AtomicU64::new(0);

#[napi]
impl NativeWriter {
    /// Nothing is opened before the first piece comes.
    #[napi(constructor, catch_unwind)]
    pub fn new(path: Uint8ArraySlice<'_>, atomic: bool, fsync: bool, mode: Option<u32>) -> Self {
        let target = Target { path: path_of(&path), atomic, fsync, mode };
        NativeWriter { target, id: NEXT_WRITER.fetch_add(1, Ordering::Relaxed) }
    }
}

#[napi]
impl NativeUtilities {
    /// `ring` is called when outcomes wait; it should call `fetch`. It does not keep the event loop alive.
    #[napi(constructor, catch_unwind)]
    pub fn new(env: Env, ring: Function<'_, (), ()>, by_loop: bool) -> Result<Self> {
        // Before the cleanup hook: hooks run last-in-first-out, and this one must still be alive then.
        let (ring, wake) = Ring::new(&env, &ring, by_loop)?;
        let (desk, unfinished) = (Desk::new(wake), Unfinished::default());
        let life = Rc::new(RefCell::new(Some(Life { desk, unfinished, ring })));
        let hook = Rc::new(RefCell::new(None));
        let (ending, place) = (life.clone(), hook.clone());
        let added = CleanupHook::add(&env, move || {
            // It runs now: nobody may remove it any more.
            let _: Option<CleanupHook> = place.borrow_mut().take();
            end(&ending);
        })?;
        hook.replace(Some(added));
        Ok(NativeUtilities { life, hook })
    }

    /// Reads a whole file.
    #[napi(catch_unwind)]
    pub fn read_file(&self, id: u32, path: Uint8ArraySlice<'_>, max_regular: f64, max_other: f64) {
        let path = path_of(&path);
        let most = Most { regular: max_regular as u64, other: max_other as u64 };
        self.submit(id, move |cancel| read::read(&path, most, cancel));
    }

    /// Reads an open file into memory of JavaScript's, which nobody else has.
    #[napi(catch_unwind)]
    pub fn fill(&self, id: u32, file: &NativeFile, mut memory: Buffer) {
        let file = file.file.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(life) = &mut *self.life.borrow_mut() else { return };
        life.desk.submit_borrowing(
            id,
            Box::new(move |cancel| {
                let filled = file.ok_or_else(Failure::internal).and_then(|file| file.fill(memory.as_mut(), cancel));
                Step::Done(Outcome::Filled(Box::new(memory), filled))
            }),
        );
    }

    /// Writes the next piece of a file, of which `last` is the last. After a failure nothing is left of it.
    #[napi(catch_unwind)]
    pub fn write_file(&self, id: u32, writer: &NativeWriter, piece: Uint8ArraySlice<'_>, last: bool) {
        let Some(unfinished) = self.unfinished() else { return };
        let (target, writer, piece) = (writer.target.clone(), writer.id, piece.to_vec());
        self.submit(id, move |cancel| {
            // Taken out: a failure drops it, and with it what was written beside the file.
            let taken = unfinished.lock().unwrap_or_else(PoisonError::into_inner).remove(&writer);
            let write = || {
                cancel.check()?;
                let mut writing = taken.map_or_else(|| Writing::begin(&target), Ok)?;
                writing.append(&piece, cancel)?;
                if last { writing.finish(cancel).map(|()| None) } else { Ok(Some(writing)) }
            };
            let written: std::result::Result<_, Failure> = write();
            Step::from(written.map(|writing| {
                if let Some(writing) = writing {
                    unfinished.lock().unwrap_or_else(PoisonError::into_inner).insert(writer, writing);
                }
                Outcome::Done
            }))
        });
    }

    /// Nobody writes that file on.
    #[napi(catch_unwind)]
    pub fn drop_writer(&self, id: u32, writer: &NativeWriter) {
        let Some(unfinished) = self.unfinished() else { return };
        let writer = writer.id;
        self.submit(id, move |_| {
            let dropped = unfinished.lock().unwrap_or_else(PoisonError::into_inner).remove(&writer);
            drop(dropped);
            Step::Done(Outcome::Done)
        });
    }

    /// The next entries of a walk.
    #[napi(catch_unwind)]
    pub fn walk(&self, id: u32, walk: &NativeWalk, most: u32) {
        let walk = walk.walk.clone();
        self.submit(id, move |cancel| {
            let mut walk = walk.lock().unwrap_or_else(PoisonError::into_inner);
            Step::from(walk.next(most as usize, cancel).map(Outcome::Entries))
        });
    }

    /// Runs a command.
    #[napi(catch_unwind)]
    pub fn execute(&self, id: u32, command: NativeCommand) {
        let mut names = command.env.into_iter().map(OsString::from);
        let env = std::iter::from_fn(|| names.next().zip(names.next())).collect();
        let spec = Spec {
            command: text_of(&command.command),
            args: command.args.iter().map(|arg| text_of(arg)).collect(),
            cwd: command.cwd.map(|cwd| path_of(&cwd)),
            env,
            stdin: command.stdin.map(|stdin| stdin.to_vec()),
            timeout: (command.timeout_ms > 0.0).then(|| milliseconds(command.timeout_ms)),
            max_output: command.max_output_bytes as usize,
            kill_signal: command.kill_signal,
            kill_after: milliseconds(command.kill_after_ms),
        };
        self.submit(id, move |cancel| command::start(spec, cancel));
    }

    /// Nobody wants the outcome of that operation any more; it comes nevertheless, and soon.
    #[napi(catch_unwind)]
    pub fn abort(&self, id: u32) {
        if let Some(life) = &*self.life.borrow() {
            life.desk.abort(id);
        }
    }

    /// What has ended since the last call.
    #[napi(catch_unwind)]
    pub fn fetch<'env>(&self, env: &'env Env) -> Result<Vec<Object<'env>>> {
        let ended = self.life.borrow_mut().as_mut().map(|life| life.desk.fetch()).unwrap_or_default();
        ended.into_iter().map(|(id, outcome)| settled(env, id, outcome)).collect()
    }

    /// Ends everything, as the end of the environment does. Nothing has an outcome any more.
    #[napi(catch_unwind)]
    pub fn end(&self) {
        end(&self.life);
    }

    /// Threads that work on files now or wait for work.
    #[napi(catch_unwind)]
    pub fn threads(&self) -> u32 {
        self.life.borrow().as_ref().map_or(0, |life| life.desk.threads() as u32)
    }
}

impl NativeUtilities {
    fn unfinished(&self) -> Option<Unfinished> {
        self.life.borrow().as_ref().map(|life| life.unfinished.clone())
    }

    fn submit(&self, id: u32, work: impl FnOnce(&crate::native::cancel::Cancel) -> Step + Send + 'static) {
        if let Some(life) = &mut *self.life.borrow_mut() {
            life.desk.submit(id, Box::new(move |cancel| work(cancel)));
        }
    }
}

impl Drop for NativeUtilities {
    fn drop(&mut self) {
        end(&self.life);
        if let Some(hook) = self.hook.borrow_mut().take() {
            hook.remove();
        }
    }
}

fn end(life: &RefCell<Option<Life>>) {
    let taken = life.borrow_mut().take();
    if let Some(life) = taken {
        life.desk.stop();
        life.unfinished.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

/// `Settled` of `lib/utilities/operations.ts`.
fn settled<'env>(env: &'env Env, id: u32, outcome: Outcome) -> Result<Object<'env>> {
    let mut object = Object::new(env)?;
    object.set("id", id)?;
    match outcome {
        Outcome::Bytes(bytes) => object.set("bytes", buffer(env, &bytes)?)?,
        Outcome::Opened(file) => {
            let size = file.size() as f64;
            object.set("file", NativeFile { file: Arc::new(Mutex::new(Some(file))), size })?;
        }
        Outcome::Filled(memory, Ok(filled)) => {
            drop(memory);
            object.set("count", filled.count as f64)?;
            object.set("rest", buffer(env, &filled.rest)?)?;
        }
        Outcome::Done => {}
        Outcome::Entries(batch) => put_entries(env, &mut object, batch)?,
        Outcome::Command(ended) => put_command(env, &mut object, *ended)?,
        Outcome::Failed(failure) | Outcome::Filled(_, Err(failure)) => put_failure(env, &mut object, &failure)?,
    }
    Ok(object)
}

fn put_entries<'env>(env: &'env Env, object: &mut Object<'env>, batch: Batch) -> Result<()> {
    object.set("names", env.create_string(&batch.names)?)?;
    object.set("directories", env.create_string(&batch.directories)?)?;
    object.set("rows", Float64ArraySlice::copy_from(env, batch.rows)?)?;
    object.set("ended", batch.ended)?;
    if batch.raw.is_empty() {
        return Ok(());
    }
    let (places, paths): (Vec<u32>, Vec<Vec<u8>>) = batch.raw.into_iter().unzip();
    let paths = paths.into_iter().map(|path| BufferSlice::copy_from(env, path)).collect::<Result<Vec<_>>>()?;
    object.set("rawPlaces", places)?;
    object.set("rawPaths", paths)
}

fn put_command<'env>(env: &'env Env, object: &mut Object<'env>, ended: Ended) -> Result<()> {
    object.set("stdout", buffer(env, &ended.stdout)?)?;
    object.set("stderr", buffer(env, &ended.stderr)?)?;
    if let Some(code) = ended.code {
        object.set("exitCode", code)?;
    }
    if let Some(signal) = ended.signal {
        object.set("signal", signal)?;
    }
    if let Some(cut) = ended.cut {
        let name = match cut {
            Cut::Aborted => "aborted",
            Cut::TimedOut => "timedOut",
            Cut::TooMuchOutput => "tooMuchOutput",
        };
        object.set("cut", name)?;
    }
    object.set("complete", ended.complete)?;
    object.set("durationMs", ended.ran.as_secs_f64() * 1e3)
}

fn put_failure<'env>(env: &'env Env, object: &mut Object<'env>, failure: &Failure) -> Result<()> {
    let (reason, number) = match failure.reason {
        Reason::System(errno) => ("system", f64::from(errno)),
        Reason::Aborted => ("aborted", 0.0),
        Reason::TooLarge(most) => ("tooLarge", most as f64),
        Reason::TooMany(most) => ("tooMany", most as f64),
        Reason::Internal => ("internal", 0.0),
    };
    object.set("reason", reason)?;
    object.set("number", number)?;
    object.set("syscall", failure.syscall)?;
    object.set("path", BufferSlice::copy_from(env, &failure.path)?)
}

/// A Buffer of these bytes, in memory of JavaScript's: not all runtimes take any other (Electron).
fn buffer<'env>(env: &'env Env, bytes: &[u8]) -> Result<BufferSlice<'env>> {
    BufferSlice::copy_from(env, bytes)
}

fn path_of(bytes: &[u8]) -> PathBuf {
    text_of(bytes).into()
}

fn text_of(bytes: &[u8]) -> OsString {
    OsString::from_vec(bytes.to_vec())
}

fn milliseconds(number: f64) -> Duration {
    Duration::try_from_secs_f64(number / 1e3).unwrap_or_default()
}
