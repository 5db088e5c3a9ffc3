//! Node-API and libc calls that have no safe form. This file, `raw_ring` and `raw_turn` are the only ones
//! of this crate with `unsafe`.
#![allow(unsafe_code)]

use std::ffi::c_void;
use std::hint::black_box;
use std::os::fd::{BorrowedFd, OwnedFd};

use napi::bindgen_prelude::Uint32Array;
use napi::{Env, Error, JsString, JsValue, Result, Status};
use napi_sys as sys;

/// The elements of a typed array that JavaScript has allocated and shares with us.
pub fn elements(array: &mut Uint32Array) -> &mut [u32] {
    // SAFETY: `as_mut` asks that nobody else reads or writes the array meanwhile. It is backed by an ArrayBuffer (not
    // a SharedArrayBuffer: `lib/bridge/bridge.ts` allocates it and gives it to nobody else), so only JavaScript on this
    // thread could, and it does not run while a native call borrows the slice.
    unsafe { array.as_mut() }
}

/// Writes the UTF-8 form of a JavaScript string behind `out`, without an allocation when there is room. Lone
/// surrogates become U+FFFD.
pub fn append_utf8(env: &Env, text: JsString<'_>, out: &mut Vec<u8>) -> Result<()> {
    let length = text.utf8_len()?;
    let start = out.len();
    // One more: Node-API terminates the text with a zero.
    out.reserve(length + 1);
    let mut written = 0;
    // SAFETY: the buffer is `out`'s spare capacity, `length + 1` bytes of which were reserved above, and Node-API writes
    // at most `bufsize` bytes, the final zero included. `env` and `text` are of the native call that we are in.
    let status = unsafe {
        sys::napi_get_value_string_utf8(
            env.raw(),
            text.raw(),
            out.as_mut_ptr().add(start).cast(),
            length + 1,
            &mut written,
        )
    };
    check(status, "napi_get_value_string_utf8")?;
    // SAFETY: Node-API has initialised `written <= length` bytes from `start` on, and that much is reserved.
    unsafe { out.set_len(start + written.min(length)) };
    Ok(())
}

/// Bytes of the block that [`keep_freed_memory`] frees. glibc keeps up to twice as much from then on.
const FREED_BLOCK_BYTES: usize = 16 * 1024 * 1024;

/// Makes glibc keep what is freed, up to a bound, instead of giving it back to the kernel at once.
///
/// V8 frees the Buffers of a body many at a time; with the first threshold of 128 KiB all their pages go back then, and
/// have to be faulted in again for the next ones: measured 100 000 page faults and 40 % more CPU for one GiB. glibc
/// raises the threshold by itself when a large block is freed, as happens in most processes sooner or later.
pub fn keep_freed_memory() {
    // SAFETY: `free` gets what `malloc` returned, which nobody has used and which may be null.
    // The black box keeps the compiler from leaving both out.
    unsafe { libc::free(black_box(libc::malloc(FREED_BLOCK_BYTES))) };
}

/// An environment cleanup hook that can be taken back without leaking (napi's own cannot).
pub struct CleanupHook {
    env: sys::napi_env,
    action: *mut Box<dyn FnOnce()>,
}

impl CleanupHook {
    /// Runs `action` when the environment ends, before hooks that were added earlier (a threadsafe function made
    /// before is still alive then).
    pub fn add(env: &Env, action: impl FnOnce() + 'static) -> Result<Self> {
        let action: *mut Box<dyn FnOnce()> = Box::into_raw(Box::new(Box::new(action)));
        // SAFETY: `action` stays valid until the hook has run or was removed; `run` and `remove` exclude each other,
        // because a hook that was removed is not run, and both happen on the environment's thread.
        let status = unsafe { sys::napi_add_env_cleanup_hook(env.raw(), Some(run), action.cast()) };
        let hook = CleanupHook { env: env.raw(), action };
        if status == sys::Status::napi_ok {
            return Ok(hook);
        }
        // SAFETY: the hook was not taken, so nobody else has the pointer that came from `Box::into_raw` above.
        drop(unsafe { Box::from_raw(action) });
        Err(Error::new(Status::from(status), "napi_add_env_cleanup_hook failed"))
    }

    /// Takes the hook back. Only on the environment's thread, and only while the hook has not run.
    pub fn remove(self) {
        // SAFETY: same function and pointer as were added; the caller is on the environment's thread and the hook has
        // not run (its action would have taken this object out of its place first), so the box is still there.
        unsafe {
            sys::napi_remove_env_cleanup_hook(self.env, Some(run), self.action.cast());
            drop(Box::from_raw(self.action));
        }
    }
}

/// Runs a hook's action once.
unsafe extern "C" fn run(action: *mut c_void) {
    if action.is_null() {
        return;
    }
    // SAFETY: `action` is the pointer given to `napi_add_env_cleanup_hook`, made by `Box::into_raw` of this very type;
    // Node runs a hook at most once, and not at all after it was removed.
    let action = unsafe { Box::from_raw(action.cast::<Box<dyn FnOnce()>>()) };
    // A panic must not cross into Node; the environment ends anyway.
    let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(action));
}

unsafe extern "C" {
    /// Of mimalloc, which is linked in as the allocator; its crate does not name this function.
    fn mi_collect(force: bool);
}

/// Gives memory that this thread has freed back to the system. By itself the allocator does so only when it is busy again.
pub fn release_memory() {
    // SAFETY: declared as in mimalloc.h (`void mi_collect(bool force) mi_attr_noexcept`); any thread may call it at any time.
    unsafe { mi_collect(true) }
}

/// Another descriptor of what a number stands for that another process has given this one. Programs that are started from
/// now on get neither.
pub fn duplicate(descriptor: i32) -> std::io::Result<OwnedFd> {
    if descriptor < 0 {
        return Err(rustix::io::Errno::BADF.into());
    }
    // SAFETY: the number is not -1. It is borrowed for the calls of this function alone, which fail with EBADF where it stands
    // for nothing, and change nothing of what it stands for but that it is closed on exec.
    let given = unsafe { BorrowedFd::borrow_raw(descriptor) };
    let own = rustix::io::fcntl_dupfd_cloexec(given, 3)?;
    rustix::io::fcntl_setfd(given, rustix::io::FdFlags::CLOEXEC)?;
    Ok(own)
}

fn check(status: sys::napi_status, call: &str) -> Result<()> {
    if status == sys::Status::napi_ok {
        Ok(())
    } else {
        Err(Error::new(Status::from(status), format!("{call} failed")))
    }
}
